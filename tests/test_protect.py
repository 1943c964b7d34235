"""Protected areas: no pixel in them changes, whatever is found there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from dataset_photos import (
    FAST_OPTIONS,
    NO_WORKERS,
    RED_BOX,
    batch,
    batch_red,
    draw_photo,
    load_photo,
    read_manifest,
    save_photo,
    write_rows,
)
from PIL import Image

from segment2inpaint import (
    BadOption,
    BadPrompt,
    Box,
    Editor,
    Fill,
    Length,
    Points,
    Refine,
    ReplacementImage,
    Request,
    UserMask,
    mask,
)
from segment2inpaint.cli import main
from segment2inpaint.images import photo_from_array
from segment2inpaint.pipeline import Pipeline
from segment2inpaint.protocols import Crop, InputSpec, ProgressCallback, no_progress
from segment2inpaint.request import from_json, to_json
from segment2inpaint.types import Image as Pixels

HALF = Box(20, 16, 26, 28)  # the left half of the red square
HALF_TEXT = "20,16,26,28"


class WhiteEditor:
    """Repaints everything it sees in white, as an editing model may."""

    name = "white"

    def __init__(self, *, edits: bool) -> None:
        self.input_spec = InputSpec(edits_by_instruction=edits)

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Pixels]:
        return [np.full_like(crop.image, 255) for crop in crops]


def soft_half() -> UserMask:
    """Return a mask of the left half of the square with a faint column of its own."""
    values = np.zeros((48, 64), np.float32)
    values[HALF.slices] = 1
    values[16:28, 26] = 0.1
    return UserMask.from_values(values)


@pytest.mark.parametrize(
    ("refine", "fill"),
    [
        (Refine(), Fill()),
        (Refine(dilate=Length(20, "px"), feather=Length(8, "px")), Fill()),
        (Refine(shadow=True), Fill()),
        (Refine(invert=True), Fill()),
        (Refine(), Fill(candidates=3)),
        (
            Refine(),
            Fill(
                picture=ReplacementImage(
                    np.full((20, 20, 3), 255, np.uint8), np.ones((20, 20), np.float32)
                )
            ),
        ),
    ],
)
@pytest.mark.parametrize("area", [HALF, soft_half()], ids=["box", "mask"])
def test_protected_pixels_stay_whatever_is_done(
    area: Box | UserMask, refine: Refine, fill: Fill
) -> None:
    photo = photo_from_array(draw_photo())
    refine = Refine(**{**refine.__dict__, "protect": (area,)})
    request = Request((Box(*RED_BOX),), refine, fill, "grabcut", "telea")
    result = Editor().run(photo, request)
    inside = np.zeros((48, 64), bool)
    inside[HALF.slices] = True
    if isinstance(area, UserMask):
        inside[16:28, 26] = True
    for candidate in (result, *result.candidates):
        assert (candidate.image[inside] == photo.image[inside]).all()
        assert (candidate.alpha[inside] == 0).all()
    assert result.changed_outside == 0
    assert (result.image != photo.image).any()


@pytest.mark.parametrize("edits", [False, True])
def test_an_editor_of_whole_windows_changes_no_protected_pixel(edits: bool) -> None:
    photo = photo_from_array(draw_photo())
    detector = Editor().detector("grabcut")
    pipeline = Pipeline(detector, WhiteEditor(edits=edits), attempts=2)
    area = Box(0, 0, 64, 20)
    refine = Refine(shadow=True, protect=(area,))
    result = pipeline(photo, [Box(*RED_BOX)], refine)
    assert (result.image[area.slices] == photo.image[area.slices]).all()
    assert (result.image[20:28, 20:32] == 255).all()


def test_a_protected_object_is_refused() -> None:
    photo = photo_from_array(draw_photo())
    request = Request((Box(*RED_BOX),), Refine(protect=(Box(0, 0, 64, 48),)), inpainter="telea")
    with pytest.raises(BadPrompt, match="the whole object is protected"):
        Editor().run(photo, request)


@pytest.mark.parametrize(
    ("area", "message"),
    [
        (Box(70, 0, 90, 10), "protect 70,0,90,10: no pixel of the photo of 64x48"),
        (UserMask(np.ones((4, 4), bool)), "expected the photo's size 64x48, got 4x4"),
    ],
)
def test_an_area_that_does_not_fit_the_photo_is_named(area: Box | UserMask, message: str) -> None:
    request = Request((Box(*RED_BOX),), Refine(protect=(area,)), inpainter="telea")
    with pytest.raises(BadPrompt, match=message):
        Editor().run(photo_from_array(draw_photo()), request)


def test_a_mask_leaves_the_protected_area_out() -> None:
    found = mask(draw_photo(), RED_BOX, refine=Refine(protect=(HALF,)), detector="grabcut")
    assert not found[HALF.slices].any()
    assert found[16:28, 27:31].any()


def test_only_boxes_and_masks_protect() -> None:
    refine = Refine(protect=(Points(((1, 1),)),))  # type: ignore[arg-type]
    with pytest.raises(BadOption, match="a protected area must be a Box or a UserMask"):
        Editor().run(photo_from_array(draw_photo()), Request((Box(*RED_BOX),), refine))


def test_a_request_with_protected_areas_survives_json() -> None:
    area = np.zeros((48, 64), bool)
    area[3:5, 7:9] = True
    request = Request((Box(1, 2, 3, 4),), Refine(protect=(HALF, UserMask(area))))
    data = json.loads(json.dumps(to_json(request)))
    box, mask_again = from_json(data, pytest.fail, pytest.fail).refine.protect
    assert box == HALF
    assert isinstance(mask_again, UserMask)
    assert (mask_again.mask == area).all()


def test_a_request_without_protected_areas_is_written_as_before() -> None:
    assert "protect" not in to_json(Request((Box(1, 2, 3, 4),)))["refine"]


def test_the_command_line_protects_boxes_and_masks(tmp_path: Path) -> None:
    photo = save_photo(tmp_path / "a.png")
    area = np.zeros((48, 64), np.uint8)
    area[26:28, 20:32] = 255
    Image.fromarray(area).save(tmp_path / "keep.png")
    options = ["--protect", HALF_TEXT, "--protect", str(tmp_path / "keep.png")]
    target = ["-b", "20,16,32,28", "--inpainter", "telea", "-o", str(tmp_path / "out.png")]
    result = CliRunner().invoke(main, ["remove", str(photo), *target, *options, "--json"])
    assert result.exit_code == 0, result.output
    before, after = load_photo(photo), load_photo(tmp_path / "out.png")
    assert (before[HALF.slices] == after[HALF.slices]).all()
    assert (before[area > 0] == after[area > 0]).all()
    assert (before != after).any()
    saved = tmp_path / "request.json"
    saved.write_text(result.stdout)
    again = ["remove", str(photo), "--request", str(saved), "-o", str(tmp_path / "again.png")]
    assert CliRunner().invoke(main, again).exit_code == 0
    assert (load_photo(tmp_path / "again.png") == after).all()


def test_a_covered_object_is_one_line_on_the_command_line(tmp_path: Path) -> None:
    photo = save_photo(tmp_path / "a.png")
    target = ["-b", "20,16,32,28", "--inpainter", "telea", "-o", str(tmp_path / "out.png")]
    result = CliRunner().invoke(main, ["remove", str(photo), *target, "--protect", "0,0,64,48"])
    assert result.exit_code == 1
    (line,) = [line for line in result.stderr.splitlines() if not line.startswith("detector: ")]
    assert line.startswith("error: ")
    assert line.endswith("the whole object is protected; make --protect smaller, or leave it out")
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("text", ["1,2,3", "1,2,3,4,5"])
def test_numbers_that_are_no_box_are_refused(tmp_path: Path, text: str) -> None:
    result = CliRunner().invoke(
        main, ["remove", "a.png", "-p", "1,1", "-o", "b.png", "--protect", text]
    )
    assert result.exit_code == 2
    assert "expected X0,Y0,X1,Y1" in result.stderr


def test_a_batch_protects_the_area_in_every_photo(tmp_path: Path) -> None:
    save_photo(tmp_path / "in/a.png")
    assert batch_red(tmp_path / "in", tmp_path / "out", "--protect", HALF_TEXT).exit_code == 0
    before, after = load_photo(tmp_path / "in/a.png"), load_photo(tmp_path / "out/a.png")
    assert (before[HALF.slices] == after[HALF.slices]).all()
    assert (before[16:28, 26:32] != after[16:28, 26:32]).any()


@pytest.mark.parametrize("protect", [list(HALF), [list(HALF)], HALF_TEXT, "keep.png", ["keep.png"]])
def test_a_row_protects_its_photo_against_all_its_rows(tmp_path: Path, protect: object) -> None:
    """The rows of a photo are edited one after the other; none may change the protected area."""
    area = np.zeros((48, 64), np.uint8)
    area[HALF.slices] = 255
    Image.fromarray(area).save(tmp_path / "keep.png")
    save_photo(tmp_path / "a.png")
    source = write_rows(
        tmp_path / "r.jsonl",
        {"photo": "a.png", "boxes": [18, 14, 34, 30], "seed": 1},
        {"photo": "a.png", "boxes": [40, 30, 56, 44], "protect": protect},
    )
    result = batch(source, tmp_path / "out", *FAST_OPTIONS, *NO_WORKERS)
    assert result.exit_code == 0, result.output
    before, after = load_photo(tmp_path / "a.png"), load_photo(tmp_path / "out/a.png")
    assert (before[HALF.slices] == after[HALF.slices]).all()
    assert (before[16:28, 26:32] != after[16:28, 26:32]).any()


def test_a_changed_protected_mask_repeats_the_photo(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((48, 64), np.uint8)).save(tmp_path / "keep.png")
    save_photo(tmp_path / "a.png")
    row = {"photo": "a.png", "boxes": [18, 14, 34, 30], "protect": "keep.png"}
    source, out = write_rows(tmp_path / "r.jsonl", row), tmp_path / "out"
    batch(source, out, *FAST_OPTIONS, *NO_WORKERS)
    area = np.zeros((48, 64), np.uint8)
    area[HALF.slices] = 255
    Image.fromarray(area).save(tmp_path / "keep.png")
    batch(source, out, *FAST_OPTIONS, *NO_WORKERS)
    before, after = load_photo(tmp_path / "a.png"), load_photo(out / "a.png")
    assert (before[HALF.slices] == after[HALF.slices]).all()


def test_a_row_adds_to_what_the_command_line_protects(tmp_path: Path) -> None:
    save_photo(tmp_path / "a.png")
    row = {"photo": "a.png", "boxes": [18, 14, 34, 30], "protect": "26,16,32,20"}
    source = write_rows(tmp_path / "r.jsonl", row)
    batch(source, tmp_path / "out", *FAST_OPTIONS, *NO_WORKERS, "--protect", HALF_TEXT)
    (line,) = read_manifest(tmp_path / "out")
    assert [area["box"] for area in line["request"]["refine"]["protect"]] == [
        list(HALF), [26, 16, 32, 20]
    ]  # fmt: skip
