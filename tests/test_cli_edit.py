"""``remove`` and ``replace`` on the command line: results, verdicts and candidates."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import DISC_BOX, SIZE, assert_error, disc_mask, load, run, save_scene, scene
from PIL import Image as Pillow


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return save_scene(tmp_path)


@pytest.mark.parametrize(
    "prompt",
    [
        ["-p", "80,60"],
        ["-b", "62,42,98,78"],
        ["-b", "98,78,62,42"],  # with its corners swapped
        ["--color", "80,60"],
        ["-p", "80,60", "-n", "10,10"],
    ],
)
@pytest.mark.parametrize("inpainter", ["exemplar", "telea", "ns"])
def test_remove_leaves_what_was_behind_the_object(
    photo: Path, tmp_path: Path, prompt: list[str], inpainter: str
) -> None:
    """After each way to point at the disc, the result is close to the scene without it."""
    out = tmp_path / "new" / "out.png"
    result = run("remove", photo, *prompt, "--inpainter", inpainter, "-o", out, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["changed_outside"] == 0
    after, clean = load(out).astype(int), scene(disc=False).astype(int)
    assert np.abs(after - clean)[45:75, 65:95].mean() < 6
    far = np.ones(SIZE, bool)
    far[30:90, 50:110] = False
    assert (after == scene())[far].all()


def test_a_clean_plate_finds_the_object(photo: Path, tmp_path: Path) -> None:
    plate, mask = tmp_path / "plate.png", tmp_path / "m.png"
    Pillow.fromarray(scene(disc=False)).save(plate)
    assert run("mask", photo, "--plate", plate, "-o", mask).exit_code == 0
    truth, found = disc_mask(), load(mask) > 127
    assert (found & truth).sum() / (found | truth).sum() > 0.7


def test_replace_puts_a_picture_in_place(photo: Path, tmp_path: Path) -> None:
    blue = np.zeros((40, 40, 4), np.uint8)
    blue[8:32, 8:32] = (10, 20, 250, 255)
    Pillow.fromarray(blue).save(tmp_path / "blue.png")
    out = tmp_path / "out.png"
    result = run("replace", photo, "--color", "80,60", "--with", tmp_path / "blue.png", "-o", out)
    assert result.exit_code == 0, result.output
    assert (load(out)[55:65, 75:85] == (10, 20, 250)).all()


def test_invert_repaints_the_background(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    words = ["-b", "62,42,98,78", "--invert", "--inpainter", "telea", "-o", out]
    assert run("remove", photo, *words).exit_code == 0
    after = load(out)
    assert (after[55:65, 75:85] == scene()[55:65, 75:85]).all()
    assert (after[:30] != scene()[:30]).any()


def test_holes_of_a_user_mask_stay(photo: Path, tmp_path: Path) -> None:
    """A user mask is exact: here it selects the background, and not the disc in it."""
    disc = disc_mask()
    Pillow.fromarray(np.where(disc, 0, 255).astype(np.uint8)).save(tmp_path / "m.png")
    words = ["remove", photo, "--mask", tmp_path / "m.png", "--inpainter", "telea"]
    out = tmp_path / "o.png"
    assert run(*words, "--dilate", "0px", "-o", out).exit_code == 0
    assert (load(out) == scene())[disc].all()
    assert run(*words, "--invert", "-o", out).exit_code == 0
    assert (load(out) == scene())[:30].all()


@pytest.mark.parametrize("inpainter", ["exemplar", "telea", "ns"])
def test_a_mask_of_the_whole_photo_does_not_crash(
    photo: Path, tmp_path: Path, inpainter: str
) -> None:
    """Nothing is left to copy from; the result still has the right size."""
    Pillow.new("L", SIZE[::-1], 255).save(tmp_path / "m.png")
    out = tmp_path / "x.png"
    words = ["--mask", tmp_path / "m.png", "--inpainter", inpainter, "-o", out]
    assert run("remove", photo, *words).exit_code == 0
    assert load(out).shape == (*SIZE, 3)


def test_a_dash_reads_stdin_and_writes_stdout(photo: Path) -> None:
    words = ["remove", "-", "-p", "80,60", "--inpainter", "telea", "-o", "-"]
    result = run(*words, stdin=photo.read_bytes())
    assert result.exit_code == 0, result.stderr
    assert result.stdout_bytes.startswith(b"\x89PNG")
    mask = run("mask", "-", "-p", "80,60", "-o", "-", stdin=photo.read_bytes())
    assert mask.stdout_bytes.startswith(b"\x89PNG")


def test_save_mask_and_preview_are_written(photo: Path, tmp_path: Path) -> None:
    mask, preview = tmp_path / "m.png", tmp_path / "p.jpg"
    words = ["-p", "80,60", "--inpainter", "telea", "-o", tmp_path / "o.png"]
    result = run("remove", photo, *words, "--save-mask", mask, "--preview", preview)
    assert result.exit_code == 0
    assert (load(mask)[load(tmp_path / "o.png").any(2)] >= 0).all()
    assert load(mask).max() == 255
    assert load(preview).shape == (120, 3 * 160 + 16, 3)
    assert result.stdout == ""


def test_the_same_seed_gives_the_same_picture(photo: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.png" for name in "ab"]
    for file in files:
        run("remove", photo, "-p", "80,60", "--seed", 3, "-o", file)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_file_names_are_escaped_to_one_line(photo: Path, tmp_path: Path) -> None:
    """A name may hold a line break and terminal control codes."""
    out = tmp_path / "a\nb\x1b[31m.png"
    result = run("remove", photo, "--color", "80,60", "--inpainter", "telea", "-o", out)
    assert result.exit_code == 0
    line, *_ = result.stderr.splitlines()  # a proposal may follow
    assert "a\\nb\\x1b[31m.png: 1 object" in line
    assert_error(run("remove", tmp_path / "c\nd.png", "-o", out), 1, "c\\nd.png: no such file")


def test_ctrl_c_leaves_no_partial_file(tmp_path: Path) -> None:
    """An interrupted run has status 130, prints one line and writes nothing."""
    rng = np.random.default_rng(0)
    path, mask = tmp_path / "big.png", tmp_path / "mask.png"
    Pillow.fromarray(rng.integers(0, 256, (3000, 3000, 3), np.uint8)).save(path)
    Pillow.fromarray(np.pad(np.full((2400, 2400), 255, np.uint8), 300)).save(mask)
    out = tmp_path / "out" / "big.png"
    words = [sys.executable, "-m", "segment2inpaint", "remove", str(path), "--mask", str(mask)]
    process = subprocess.Popen([*words, "-o", str(out)], stderr=subprocess.PIPE, text=True)
    assert process.stderr
    while "filling" not in (line := process.stderr.readline()):
        assert line, "the command ended before it could be interrupted"
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    assert process.wait() == 130, rest
    assert "interrupted" in rest
    assert "Traceback" not in rest
    assert not out.parent.exists() or not list(out.parent.iterdir())


def test_remove_without_a_model_imports_no_torch(photo: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom segment2inpaint.cli import main\n"
        f"try: main(['remove', {str(photo)!r}, '-p', '80,60', '-o', {str(tmp_path / 'o.png')!r}])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print({'torch', 'transformers', 'diffusers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# --- the verdict ------------------------------------------------------------------------------


def test_the_verdict_is_printed(photo: Path, tmp_path: Path) -> None:
    result = run("remove", photo, "-p", "80,60", "-o", tmp_path / "out.png", "--json")
    report = json.loads(result.stdout)
    assert report["verdict"] in ("clean", "doubtful", "failed")
    assert f"; {report['sentence']}" in result.stderr
    assert report["action"] is None or f"try: {report['action']['options']}" in result.stderr
    assert {"name", "score", "threshold", "failed", "sentence"} == set(report["checks"][0])
    (best,) = [attempt for attempt in report["attempts"] if attempt["kept"]]
    assert best["verdict"] == report["verdict"]


def test_strict_exits_with_an_error_but_writes_the_result(photo: Path, tmp_path: Path) -> None:
    """A mask of half the disc leaves the other half, so the check fails for every inpainter."""
    half = np.zeros(SIZE, np.uint8)
    half[45:76, 65:80] = 255
    Pillow.fromarray(half).save(tmp_path / "half.png")
    words = ("remove", photo, "--mask", tmp_path / "half.png", "--dilate", "2px", "--attempts", 1)
    out = tmp_path / "out.png"
    assert run(*words, "-o", out).exit_code == 0
    strict = run(*words, "-o", out, "--overwrite", "--strict")
    assert strict.exit_code == 1
    assert "failed" in strict.stderr
    assert out.exists()
    assert run(*words, "-o", out, "--overwrite", "--strict", "--no-verify").exit_code == 0


# --- candidates -------------------------------------------------------------------------------


def test_candidates_are_ranked_and_shown_on_a_sheet(photo: Path, tmp_path: Path) -> None:
    """The best candidate is the first; each has its reasons, and a sheet shows all."""
    out = tmp_path / "out.png"
    box = ",".join(map(str, DISC_BOX))
    result = run("remove", photo, "-b", box, "--candidates", 2, "--json", "-o", out)
    assert result.exit_code == 0, result.output
    candidates = json.loads(result.stdout)["candidates"]
    assert [candidate["rank"] for candidate in candidates] == [1, 2]
    files = [tmp_path / "out-1.png", tmp_path / "out-2.png"]
    assert [candidate["output"] for candidate in candidates] == [str(file) for file in files]
    assert (load(files[0]) != load(files[1])).any()
    assert load(tmp_path / "out-candidates.jpg").shape[1] > load(photo).shape[1]
    assert not out.exists()
    lines = [line for line in result.stderr.splitlines() if line[:1] in "12"]
    assert [line[:3] for line in lines] == ["1  ", "2  "]
    assert all("guided, seed" in line for line in lines)


def test_keep_writes_one_candidate_as_out(photo: Path, tmp_path: Path) -> None:
    """A single kept candidate is written as OUT itself."""
    out = tmp_path / "out.png"
    box = ",".join(map(str, DISC_BOX))
    words = ["remove", photo, "-b", box, "--inpainter", "telea", "--candidates", 2]
    result = run(*words, "--keep", 2, "-o", out)
    assert result.exit_code == 0, result.output
    assert out.exists()
    assert not (tmp_path / "out-2.png").exists()
    assert "not kept" in result.stderr


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--keep", "2"], "ranks from 1 to 1"),
        (["--candidates", "2", "--keep", "0,1"], "ranks from 1 to 2"),
        (["--candidates", "2", "--keep", "one"], "expected numbers"),
    ],
)
def test_keep_out_of_range_is_refused(
    photo: Path, tmp_path: Path, words: list[str], part: str
) -> None:
    result = run("remove", photo, "-p", "80,60", *words, "-o", tmp_path / "out.png")
    assert result.exit_code == 2
    assert part in result.stderr


def test_several_candidates_are_not_written_to_stdout(photo: Path) -> None:
    result = run("remove", photo, "-p", "80,60", "--candidates", 2, "-o", "-")
    assert result.exit_code == 2
    assert "--keep" in result.stderr
