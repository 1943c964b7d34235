"""``score`` on the command line and in Python: any tool's removals, one pair and folders."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import assert_error, run
from disc_scene import disc_mask, ground, smeared, with_object
from PIL import Image as Pillow

import segment2inpaint as s2i
from segment2inpaint.types import Image
from segment2inpaint.verify.checks import CHECK_SPECS

CLEAN, BEFORE = ground(), with_object(ground(), disc_mask())
HOLE = disc_mask(30)
GOOD = np.where(HOLE[..., None], CLEAN, BEFORE)
BAD = np.where(HOLE[..., None], smeared(), BEFORE)


def save(path: Path, pixels: Image) -> Path:
    path.parent.mkdir(exist_ok=True)
    Pillow.fromarray(pixels).save(path)
    return path


@pytest.fixture
def pair(tmp_path: Path) -> list[Path]:
    """The photo, a good result, the mask and the clean photo."""
    names = ("before.png", "good.png", "mask.png", "clean.png")
    pictures = (BEFORE, GOOD, HOLE.astype(np.uint8) * 255, CLEAN)
    return [save(tmp_path / n, p) for n, p in zip(names, pictures, strict=True)]


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Folders of photos and results: one good, one bad, one photo without a result."""
    for name, result in (("a", GOOD), ("b", BAD), ("c", None)):
        save(tmp_path / "photos" / f"{name}.jpg", BEFORE)
        if result is not None:
            save(tmp_path / "results" / f"{name}.png", result)
        save(tmp_path / "masks" / f"{name}_mask.png", HOLE.astype(np.uint8) * 255)
    return tmp_path


# --- one pair -----------------------------------------------------------------------------------


def test_a_good_result_is_told_from_a_bad_one(pair: list[Path], tmp_path: Path) -> None:
    before, good, mask, clean = pair
    bad = save(tmp_path / "bad.png", BAD)
    compared = ["--mask", mask, "--clean", clean, "--json"]
    reports = [run("score", before, after, *compared) for after in (good, bad)]
    assert [r.exit_code for r in reports] == [0, 0]
    better, worse = (json.loads(r.stdout) for r in reports)
    assert worse["verdict"] == "failed"
    assert better["verdict"] != "failed"
    assert [c["name"] for c in better["checks"]] == [*CHECK_SPECS, "shadow", "coverage"]
    assert better["changed_outside"] == worse["changed_outside"] == 0
    assert better["undone"] == 1
    for name in ("psnr", "ssim", "undone", "feature_similarity"):
        assert better[name] > worse[name], name
    for name in ("window_distance", "novelty"):
        assert better[name] < worse[name], name


def test_the_line_says_the_verdict_and_the_measures(pair: list[Path]) -> None:
    before, good, mask, _ = pair
    result = run("score", before, good, "--mask", mask)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{good}: ")
    assert f"{HOLE.sum()} pixels scored, 0 changed outside; feature similarity" in result.stdout
    assert "undone" not in result.stdout


def test_without_a_mask_the_hole_is_what_changed(pair: list[Path]) -> None:
    before, good, *_ = pair
    report = json.loads(run("score", before, good, "--json").stdout)
    assert report["changed_outside"] == 0
    assert disc_mask().sum() < report["area"] < 3 * disc_mask().sum()
    assert report["undone"] is None


def test_pixels_that_changed_outside_the_mask_are_counted(pair: list[Path], tmp_path: Path) -> None:
    before, _, mask, _ = pair
    repainted = GOOD.copy()
    repainted[:10, :10] += np.uint8(3)
    after = save(tmp_path / "repainted.png", repainted)
    report = json.loads(run("score", before, after, "--mask", mask, "--json").stdout)
    assert (report["changed_outside"], report["changed_outside_levels"]) == (100, 3)


def test_the_smoothed_edge_of_a_mask_belongs_to_the_hole(pair: list[Path], tmp_path: Path) -> None:
    before, good, *_ = pair
    values = cv2.GaussianBlur(disc_mask(29).astype(np.uint8) * 255, (0, 0), 1.5)
    mask = save(tmp_path / "soft.png", values)
    report = json.loads(run("score", before, good, "--mask", mask, "--json").stdout)
    assert report["area"] == np.count_nonzero(values)
    assert report["changed_outside"] == 0


def test_a_transparent_pixel_outside_the_mask_has_changed(pair: list[Path], tmp_path: Path) -> None:
    before, _, mask, _ = pair
    after = save(tmp_path / "alpha.png", np.dstack([GOOD, np.full(GOOD.shape[:2], 255, np.uint8)]))
    same = json.loads(run("score", before, after, "--mask", mask, "--json").stdout)
    assert same["changed_outside"] == 0
    pixels = np.asarray(Pillow.open(after)).copy()
    pixels[0, 0, 3] = 0
    save(after, pixels)
    holed = json.loads(run("score", before, after, "--mask", mask, "--json").stdout)
    assert (holed["changed_outside"], holed["changed_outside_levels"]) == (1, 255)


def test_16_bit_photos_are_compared_in_16_bits(pair: list[Path], tmp_path: Path) -> None:
    mask = pair[2]
    deep = {"before16.png": BEFORE.astype(np.uint16) * 257, "after16.png": GOOD * np.uint16(257)}
    deep["after16.png"][0, 0, 0] += 1
    for name, pixels in deep.items():
        cv2.imwrite(str(tmp_path / name), pixels[..., ::-1])
    before, after = (tmp_path / name for name in deep)
    report = json.loads(run("score", before, after, "--mask", mask, "--json").stdout)
    assert (report["changed_outside"], report["changed_outside_levels"]) == (1, 1)


def test_a_result_from_standard_input(pair: list[Path]) -> None:
    before, good, mask, _ = pair
    result = run("score", before, "-", "--mask", mask, stdin=good.read_bytes())
    assert result.exit_code == 0
    assert result.stdout.startswith("-: ")


# --- mistakes -----------------------------------------------------------------------------------


def test_photos_of_different_sizes_are_an_error(pair: list[Path], tmp_path: Path) -> None:
    small = save(tmp_path / "small.png", GOOD[:-8])
    assert_error(run("score", pair[0], small), 1, "small.png", "200x160", "200x152", "scale it")


def test_another_photo_is_an_error(pair: list[Path], tmp_path: Path) -> None:
    other = save(tmp_path / "other.png", BEFORE // 3)
    assert_error(run("score", pair[0], other, "--mask", pair[2]), 1, "other.png", "same scene")
    assert_error(run("score", pair[0], other), 1, "other.png", "same scene")


def test_a_photo_with_nothing_in_common_is_an_error(pair: list[Path], tmp_path: Path) -> None:
    blocks = np.random.default_rng(0).integers(0, 2, (10, 13, 3), np.uint8) * 255
    height, width = BEFORE.shape[:2]
    other = save(
        tmp_path / "other.png", np.kron(blocks, np.ones((16, 16, 1), np.uint8))[:height, :width]
    )
    assert_error(run("score", pair[0], other), 1, "other.png", "levels; expected the same scene")


def test_a_result_that_is_the_photo_itself_is_nothing_found(pair: list[Path]) -> None:
    assert_error(run("score", pair[0], pair[0]), 4, "before.png", "nothing differs")


def test_an_empty_mask_is_nothing_found(pair: list[Path], tmp_path: Path) -> None:
    black = save(tmp_path / "black.png", np.zeros_like(HOLE, np.uint8))
    assert_error(run("score", *pair[:2], "--mask", black), 4, "mask is empty")


def test_json_and_csv_cannot_share_standard_output(pair: list[Path]) -> None:
    result = run("score", *pair[:2], "--json", "--csv", "-")
    assert result.exit_code == 2


def test_two_photos_cannot_share_standard_input() -> None:
    assert run("score", "-", "-").exit_code == 2


def test_a_table_that_cannot_be_written_is_an_error_before_any_work(
    pair: list[Path], tmp_path: Path
) -> None:
    assert_error(run("score", *pair[:2], "--csv", tmp_path), 1, "expected a file to write")


# --- folders ------------------------------------------------------------------------------------


def test_folders_are_paired_by_name_and_a_photo_without_a_result_is_told(folders: Path) -> None:
    table = folders / "scores.csv"
    result = run(
        "score", folders / "photos", folders / "results", "--mask", folders / "masks",
        "--csv", table, "--json",
    )  # fmt: skip
    assert result.exit_code == 3
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [Path(row["before"]).name for row in rows] == ["a.jpg", "b.jpg", "c.jpg"]
    assert rows[1]["verdict"] == "failed"
    assert "expected one result c.*" in rows[2]["error"]
    assert "2 scored: " in result.stderr
    assert "1 could not be scored" in result.stderr
    written = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["verdict"] for row in written] == [rows[0]["verdict"], "failed", ""]
    assert float(written[1]["smear"]) == rows[1]["checks"][4]["score"]
    assert written[2]["error"] == rows[2]["error"]


def test_one_mask_serves_a_whole_folder_and_the_table_goes_to_standard_output(
    folders: Path,
) -> None:
    (folders / "photos" / "c.jpg").unlink()
    mask = folders / "masks" / "a_mask.png"
    result = run(
        "score", folders / "photos", folders / "results", "--mask", mask, "--csv", "-"
    )  # fmt: skip
    assert result.exit_code == 0
    rows = list(csv.DictReader(result.stdout.splitlines()))
    assert [row["area"] for row in rows] == [str(HOLE.sum())] * 2


def test_a_damaged_result_costs_only_itself(folders: Path) -> None:
    (folders / "results" / "c.png").write_bytes(b"no picture")
    (folders / "results" / "d.png").write_bytes(b"nothing has this name")
    result = run("score", folders / "photos", folders / "results", "--json")
    assert result.exit_code == 3
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert ["error" in row for row in rows] == [False, False, True, True]
    assert "has this result" in rows[3]["error"]


def test_folders_without_a_pair_are_an_error(folders: Path) -> None:
    save(folders / "others" / "x.png", GOOD)
    result = run("score", folders / "photos", folders / "others")
    assert_error(result, 1, "others", "nothing to score", "same names")
    assert_error(run("score", folders / "photos", folders / "none"), 1, "expected a folder")
    missing = folders / "none.png"
    result = run("score", folders / "photos", folders / "results", "--mask", missing)
    assert_error(result, 1, "none.png", "no such file")
    photo = save(folders / "photo.png", GOOD)
    assert "two photos or two folders" in run("score", photo, folders / "photos").stderr


def test_the_masks_of_a_run_of_batch_are_no_results(folders: Path) -> None:
    out = folders / "out"
    box = ["-b", "40,30,80,70", "--inpainter", "telea", "--no-verify", "--workers", "0"]
    assert run("batch", folders / "photos", out, *box).exit_code == 0
    result = run("score", folders / "photos", out, "--mask", out / "masks", "--json")
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [Path(row["after"]).name for row in rows] == ["a.jpg", "b.jpg", "c.jpg"]


# --- in Python ----------------------------------------------------------------------------------


def test_arrays_are_scored_in_python() -> None:
    found = s2i.score(BEFORE, GOOD, mask=HOLE, clean=CLEAN)
    assert isinstance(found, s2i.Score)
    assert found.undone == 1
    assert found.changed_outside == 0
    with pytest.raises(s2i.BadPrompt, match="size"):
        s2i.score(BEFORE, GOOD, mask=HOLE[:-1])


def test_a_result_of_remove_changes_nothing_outside_its_saved_mask(tmp_path: Path) -> None:
    photo, out, mask = save(tmp_path / "p.png", BEFORE), tmp_path / "o.png", tmp_path / "m.png"
    words = ["--color", "100,80", "--tolerance", "60", "--inpainter", "telea", "--no-verify"]
    assert run("remove", photo, *words, "-o", out, "--save-mask", mask).exit_code == 0
    assert s2i.score(photo, out, mask=mask).changed_outside == 0
