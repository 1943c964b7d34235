"""Masks beside photos: the usual pairings of names."""

from __future__ import annotations

import shutil
import unicodedata
from pathlib import Path

import pytest
from dataset_photos import (
    FAST_OPTIONS,
    NO_WORKERS,
    batch,
    is_square_removed,
    output_photos,
    red_mask,
    save_photo,
)
from PIL import Image

from segment2inpaint.dataset.formats.folder import FolderSource
from segment2inpaint.dataset.run_types import UnmatchedRow

OPTIONS = (*FAST_OPTIONS, *NO_WORKERS)


def save_mask(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(red_mask()).save(path)


def source(photos: Path, masks: Path) -> FolderSource:
    return FolderSource(str(photos), {"prompts": [{"mask": str(masks)}]})


@pytest.mark.parametrize(
    "mask",
    [
        "a_mask.png", "a.mask.png", "a-mask.png", "a_mask.bmp", "a.jpg_mask.png", "mask_a.png",
        "A_MASK.PNG", "masks/a.png", "mask/a.png", "masks/a.jpg.png", "mask/a_mask.png",
    ],
)  # fmt: skip
def test_a_mask_in_the_folder_of_its_photo_is_found_and_is_no_photo(
    tmp_path: Path, mask: str
) -> None:
    """``--mask`` names the folder of the photos itself."""
    save_photo(tmp_path / "in/a.jpg")
    save_mask(tmp_path / "in" / mask)
    result = batch(tmp_path / "in", tmp_path / "out", "--mask", tmp_path / "in", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert output_photos(tmp_path / "out") == ["a.jpg"]
    assert is_square_removed(tmp_path / "out/a.jpg")


@pytest.mark.parametrize(
    ("photos", "photo", "masks", "mask"),
    [
        ("set", "a.png", "set/masks", "a.png"),
        ("set", "x/a.png", "set/x/masks", "a_mask.png"),
        ("set", "images/a.png", "set/masks", "a.png"),
        ("set", "images/x/a.png", "set", "masks/x/a.png"),
        ("set/images", "x/a.png", "set", "masks/x/a.png"),
        ("set/images", "x/a.png", "set/mask", "x/a-mask.png"),
        ("set/images", "x/a.png", "elsewhere", "a.png"),
        ("set", "x/a.png", "set", "x/masks/a.png"),
    ],
)
def test_masks_are_found_wherever_people_put_them(
    tmp_path: Path, photos: str, photo: str, masks: str, mask: str
) -> None:
    """Folders beside each other, one in the other, or a common one above both."""
    save_photo(tmp_path / photos / photo)
    save_mask(tmp_path / masks / mask)
    (item,) = source(tmp_path / photos, tmp_path / masks).items()
    assert item.photo == str(tmp_path / photos / photo)  # type: ignore[union-attr]
    assert item.request == {"prompts": [{"mask": str(tmp_path / masks / mask)}]}  # type: ignore[union-attr]


def test_the_pairing_names_forms_and_what_has_no_partner(tmp_path: Path) -> None:
    """The plan says it, whatever is selected."""
    for name in ("a.png", "b.png", "c.png"):
        save_photo(tmp_path / name)
    save_mask(tmp_path / "a_mask.png")
    save_mask(tmp_path / "masks/b.png")
    save_mask(tmp_path / "lost_mask.png")
    folder = source(tmp_path, tmp_path)
    problem, lost = list(folder.items())[-2:]
    assert isinstance(lost, UnmatchedRow)
    assert str(lost) == f"{tmp_path}/lost_mask.png: no photo in {tmp_path} has this mask"
    assert str(problem).startswith(f"c.png: expected one mask c.* in {tmp_path}, got none")
    assert folder.pairing == (
        f"masks in {tmp_path}: 1 as NAME_mask.*, 1 as masks/NAME.*, of 3 photos; "
        "c.png without a mask; lost_mask.png without a photo"
    )


def test_a_photo_named_like_a_mask_stays_a_photo_if_it_has_a_mask(tmp_path: Path) -> None:
    save_photo(tmp_path / "gas_mask.png")
    save_mask(tmp_path / "gas_mask_mask.png")
    (item,) = source(tmp_path, tmp_path).items()
    assert item.output == "gas_mask.png"  # type: ignore[union-attr]


def test_names_like_those_of_masks_are_photos_where_masks_are_elsewhere(tmp_path: Path) -> None:
    save_photo(tmp_path / "in/face_mask.png")
    save_mask(tmp_path / "m/face_mask.png")
    (item,) = source(tmp_path / "in", tmp_path / "m").items()
    assert item.output == "face_mask.png"  # type: ignore[union-attr]


def test_two_masks_of_one_form_are_a_problem_of_their_photo_alone(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        save_photo(tmp_path / name)
        save_mask(tmp_path / f"{name[0]}_mask.png")
    save_mask(tmp_path / "a_mask.bmp")
    problem, item, *_ = source(tmp_path, tmp_path).items()
    assert "got a_mask.bmp, a_mask.png" in str(problem)
    assert item.output == "b.jpg"  # type: ignore[union-attr]


def test_masks_in_the_other_unicode_form_are_found(tmp_path: Path) -> None:
    """A mask was made on a Mac, its photo was not."""
    save_photo(tmp_path / "in" / unicodedata.normalize("NFC", "Käse.png"))
    mask = unicodedata.normalize("NFD", "Käse.png")
    save_mask(tmp_path / "m" / mask)
    (item,) = source(tmp_path / "in", tmp_path / "m").items()
    assert item.request == {"prompts": [{"mask": str(tmp_path / "m" / mask)}]}  # type: ignore[union-attr]


def test_plates_are_paired_as_masks_are(tmp_path: Path) -> None:
    save_photo(tmp_path / "a.png")
    shutil.copy(tmp_path / "a.png", tmp_path / "a_plate.png")
    base = {"prompts": [{"plate": str(tmp_path)}]}
    (item,) = FolderSource(str(tmp_path), base).items()
    assert item.request == {"prompts": [{"plate": str(tmp_path / "a_plate.png")}]}  # type: ignore[union-attr]


def test_a_mask_without_a_photo_is_told_and_does_not_stop_the_others(tmp_path: Path) -> None:
    """Whatever is selected, a mask of a photo that is there is not lost."""
    for name in ("a.png", "b.png"):
        save_photo(tmp_path / "in" / name)
        save_mask(tmp_path / "m" / name)
    arguments = ("--mask", tmp_path / "m", "--glob", "a.*", *OPTIONS)
    assert batch(tmp_path / "in", tmp_path / "out", *arguments).exit_code == 0
    save_mask(tmp_path / "m/c.png")
    result = batch(tmp_path / "in", tmp_path / "out2", *arguments)
    assert result.exit_code == 3, result.output
    assert "m/c.png: no photo in" in result.stderr
    assert output_photos(tmp_path / "out2") == ["a.png"]
