"""A shadow goes with its object: by default if it is likely, and as the user wishes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import load, run
from shadow_scene import SIZE, post_mask, scene, shadow_mask

from segment2inpaint import images, remove, replace
from segment2inpaint.effects.shadow import Shadow, add_shadows, shadow_alpha
from segment2inpaint.images import photo_from_array
from segment2inpaint.protocols import InputSpec
from segment2inpaint.regions import EditJob
from segment2inpaint.types import (
    BinaryMask,
    Detection,
    Find,
    Points,
    Prompt,
    Refine,
    Request,
    UserMask,
)

SOFT = {"inpainter": "telea", "dilate": 3, "feather": 0}


def shadow_share(area: BinaryMask) -> float:
    """Return the share of the drawn shadow that an area holds."""
    return float(area[shadow_mask()].mean())


def test_a_likely_shadow_goes_in_the_first_attempt() -> None:
    result = remove(scene(shaded=True), post_mask(), attempts=1, **SOFT)
    assert shadow_share(result.alpha > 0) > 0.8
    assert result.settings["shadow"]
    assert not {check.name: check.doubtful for check in result.checks}["shadow"]


def test_no_shadow_leaves_it() -> None:
    result = remove(scene(shaded=True), post_mask(), shadow=False, verify=False, **SOFT)
    assert shadow_share(result.alpha > 0) < 0.2
    assert not result.settings["shadow"]


def test_without_a_shadow_the_object_goes_alone() -> None:
    result = remove(scene(shaded=False), post_mask(), verify=False, **SOFT)
    assert not result.settings["shadow"]
    assert (
        result.alpha[~cv2.dilate(post_mask().astype(np.uint8), np.ones((9, 9))).astype(bool)].max()
        == 0
    )


def test_a_picture_stands_in_the_old_shadow_unless_it_is_to_go() -> None:
    picture = np.full((8, 8, 3), 200, np.uint8)
    for wanted, goes in ((None, False), (True, True)):
        result = replace(scene(shaded=True), post_mask(), picture=picture, shadow=wanted, **SOFT)
        assert (shadow_share(result.alpha > 0) > 0.8) is goes
        assert result.settings["shadow"] is goes


def test_a_protected_shadow_stays() -> None:
    protected = shadow_mask()
    result = remove(scene(shaded=True), post_mask(), protect=[protected], verify=False, **SOFT)
    assert not (result.alpha[protected] > 0).any()


@pytest.mark.parametrize(
    ("certainty", "wanted", "removed"),
    [
        (0.9, None, True),
        (0.4, None, False),
        (0.4, True, True),
        (0.05, True, False),
        (0.9, False, False),
    ],
)
def test_the_certainty_decides(certainty: float, wanted: bool | None, removed: bool) -> None:
    alpha = np.zeros((2, 2), np.float32)
    assert Shadow(np.ones((2, 2), np.bool_), certainty).goes_with_object(wanted, alpha) is removed


def test_a_shadow_that_is_repainted_already_is_not_added() -> None:
    cast, alpha = Shadow(np.ones((2, 2), np.bool_), 0.9), np.eye(2, dtype=np.float32)
    assert not cast.goes_with_object(None, alpha)
    assert cast.goes_with_object(True, alpha)


@pytest.mark.parametrize(
    ("prompt", "input_spec"),
    [(UserMask(post_mask()), InputSpec(obscures=True)), (Find("text"), InputSpec())],
)
def test_what_is_obscured_or_flat_has_no_shadow_unless_asked_for(
    prompt: Prompt, input_spec: InputSpec
) -> None:
    job = EditJob(scene(shaded=True), [Detection(post_mask())], Request((prompt,)))
    alpha = np.where(post_mask(), np.float32(1), np.float32(0))
    assert not job.shadows_to_remove(Refine(), alpha, input_spec)
    assert job.shadows_to_remove(Refine(shadow=True), alpha, input_spec)
    assert not job.shadows_to_remove(Refine(shadow=True, invert=True), alpha, input_spec)


def test_a_check_does_not_miss_the_shadow_of_text() -> None:
    job = EditJob(scene(shaded=True), [Detection(post_mask())], Request((Find("text"),)))
    assert not job.cast_shadow.mask.any()
    wanted = Request((Find("text"),), Refine(shadow=True))
    assert EditJob(scene(shaded=True), [Detection(post_mask())], wanted).cast_shadow.mask.any()


@pytest.mark.parametrize("wanted", [None, True])
def test_a_negative_click_keeps_the_part_of_the_shadow_that_it_lies_on(wanted: bool | None) -> None:
    """A click beside the shadow changes nothing."""
    photo, refine = scene(shaded=True), Refine(shadow=wanted)

    def shadow_after(*clicks: tuple[int, int]) -> Shadow:
        request = Request((Points(((130, 90),), clicks),), refine)
        return EditJob(photo, [Detection(post_mask())], request).cast_shadow

    whole = shadow_after()
    assert whole.mask.sum() > 500
    assert (shadow_after((20, 20)).mask == whole.mask).all()
    y, x = (int(values[0]) for values in np.nonzero(whole.mask & shadow_mask()))
    assert shadow_after((x, y)).mask.sum() < 0.2 * whole.mask.sum()


def test_a_shadow_is_drawn_as_in_the_whole_photo() -> None:
    cast = Shadow(shadow_mask(), 1.0)
    whole = np.maximum(np.zeros(SIZE, np.float32), shadow_alpha(cast, 9.5))
    assert (add_shadows(np.zeros(SIZE, np.float32), [cast], 9.5) == whole).all()


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Return a photo of a post with its shadow, and the post's mask."""
    photo, mask = tmp_path / "post.png", tmp_path / "mask.png"
    image = scene(shaded=True)
    images.write(photo, photo_from_array(image), image, np.zeros(image.shape[:2], np.float32))
    images.write_mask(mask, post_mask().astype(np.float32))
    return photo, mask


def test_the_mask_with_effects_is_what_remove_repaints(files: tuple[Path, Path]) -> None:
    photo, mask = files
    plain, both, repainted = (mask.with_name(f"{n}.png") for n in ("plain", "both", "repainted"))
    assert run("mask", photo, "--mask", mask, "-o", plain).exit_code == 0
    assert (load(plain) > 0).sum() == post_mask().sum()
    result = run("mask", photo, "--mask", mask, "--with-effects", "-o", both)
    assert result.exit_code == 0, result.output
    assert shadow_share(load(both) > 127) > 0.8
    words = ["--dilate", "0", "--feather", "0", "--inpainter", "telea", "--no-verify"]
    result = run(
        "remove",
        photo,
        "--mask",
        mask,
        *words,
        "-o",
        photo.with_name("out.png"),
        "--save-mask",
        repainted,
    )
    assert "1 object with its shadow" in result.stderr
    assert ((load(repainted) > 127) == (load(both) > 127)).all()


def test_numbers_of_objects_have_no_effects(files: tuple[Path, Path]) -> None:
    photo, mask = files
    result = run("mask", photo, "--everything", "--with-effects", "-o", mask.with_name("n.png"))
    assert result.exit_code == 2
    assert "add --pick" in result.stderr
