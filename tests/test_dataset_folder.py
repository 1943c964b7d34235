"""Folders of photos: selection, masks per photo, results of earlier runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from dataset_photos import (
    FAST_OPTIONS,
    NO_WORKERS,
    PHOTO_NAMES,
    batch,
    batch_red,
    is_square_removed,
    load_photo,
    output_files,
    output_photos,
    read_manifest,
    red_mask,
)
from PIL import Image


def test_results_mirror_the_folder_of_photos(photo_folder: Path, tmp_path: Path) -> None:
    """Each result has the name and format of its photo, and is unchanged outside the mask."""
    out = tmp_path / "out"
    result = batch_red(photo_folder, out)
    assert result.exit_code == 0, result.output
    for name in PHOTO_NAMES:
        assert is_square_removed(out / name)
        with Image.open(out / name) as new, Image.open(photo_folder / name) as old:
            assert new.format == old.format
        mask = np.asarray(Image.open(out / f"masks/{name}.png"))
        if not name.endswith(".jpg"):
            assert (load_photo(out / name) == load_photo(photo_folder / name))[mask == 0].all()
    assert not (out / "notes.txt").exists()


def test_globs_select_photos(photo_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    batch_red(photo_folder, out, "--glob", "x/*", "--glob", "*.png", "--no-masks")
    assert set(output_files(out)) == {"a.png", "x/photo.jpg"}


def test_a_mask_folder_holds_a_mask_for_each_photo(photo_folder: Path, tmp_path: Path) -> None:
    """A mask has the name of its photo with any suffix; a photo without a mask is invalid."""
    for name in ["a.jpg.png", "x/photo.png", "y/photo.png", "z/Ä b.png"]:
        (tmp_path / "m" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(red_mask()).save(tmp_path / "m" / name)
    out = tmp_path / "out"
    options = ("--mask", tmp_path / "m", *FAST_OPTIONS, *NO_WORKERS)
    refused = batch(photo_folder, out, *options)
    assert refused.exit_code == 1
    assert "a.png: expected one mask a.* in" in refused.stderr
    result = batch(photo_folder, out, *options, "--skip-invalid")
    assert result.exit_code == 3
    assert set(output_photos(out)) == {"a.jpg", "x/photo.jpg", "y/photo.jpg", "z/Ä b.bmp"}
    assert all(is_square_removed(out / name) for name in output_photos(out))


def test_an_output_folder_inside_the_source_is_not_read(photo_folder: Path) -> None:
    """The second run does not read the results of the first."""
    for _ in range(2):
        assert batch_red(photo_folder, photo_folder / "out").exit_code == 0
    assert len(read_manifest(photo_folder / "out")) == 5


def test_results_of_earlier_runs_are_not_read_as_photos(photo_folder: Path, tmp_path: Path) -> None:
    """These are output folders in the source, and the masks if the source is an output folder."""
    batch_red(photo_folder, photo_folder / "old")
    out = tmp_path / "new"
    assert batch_red(photo_folder, out).exit_code == 0
    assert not any(name.startswith("old") for name in output_files(out))
    again = batch(out, tmp_path / "third", "-p", "5,5", *FAST_OPTIONS, *NO_WORKERS)
    assert again.exit_code == 0, again.output
    assert {row["output"] for row in read_manifest(tmp_path / "third")} == {
        row["output"] for row in read_manifest(out)
    }
