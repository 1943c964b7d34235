"""What can be done with a ``Result``: PIL, files, notebooks, supervision."""

from __future__ import annotations

import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision
from numpy.typing import NDArray
from PIL import Image as Pillow

from segment2inpaint import Result, images, read, remove
from segment2inpaint.errors import BadImage, BadOption

BLOCK = np.zeros((96, 128), np.bool_)
BLOCK[40:60, 50:70] = True
OTHER = np.zeros((96, 128), np.bool_)
OTHER[5:15, 100:120] = True


def scene(channels: int = 3) -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    return rng.normal(128, 9, (96, 128, channels)).clip(0, 255).astype(np.uint8)


def edit(photo: Any, *masks: NDArray[np.bool_]) -> Result:
    return remove(photo, *(masks or (BLOCK,)), inpainter="telea", verify=False)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_a_pil_image_has_the_channels_of_the_photo(channels: int, mode: str) -> None:
    array = scene(channels)
    source = Pillow.fromarray(array[..., 0] if channels == 1 else array)
    result = edit(source)
    picture = result.pil
    assert picture.mode == mode
    assert picture.size == (128, 96)
    after = np.asarray(picture).reshape(array.shape)
    assert (after[result.alpha == 0] == array[result.alpha == 0]).all()
    assert (after[..., : 1 if channels < 3 else 3] != array[..., : 1 if channels < 3 else 3]).any()
    if channels in (2, 4):
        assert (after[..., -1] == array[..., -1]).all()


def test_a_pil_image_is_what_save_writes(tmp_path: Path) -> None:
    result = edit(scene(4))
    result.save(tmp_path / "out" / "a.png")
    assert (np.asarray(Pillow.open(tmp_path / "out" / "a.png")) == np.asarray(result.pil)).all()
    assert (np.asarray(Pillow.open(BytesIO(result.encode()))) == np.asarray(result.pil)).all()


def test_save_keeps_format_and_metadata_and_protects_the_original(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    exif = Pillow.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera"
    Pillow.fromarray(scene()).transpose(Pillow.Transpose.ROTATE_90).save(path, exif=exif)
    before = path.read_bytes()
    result = edit(path)
    with pytest.raises(BadImage, match="overwrite"):
        result.save(path)
    assert path.read_bytes() == before
    result.save(tmp_path / "b.jpg")
    assert read(tmp_path / "b.jpg").orientation == 6
    assert Pillow.open(tmp_path / "b.jpg").getexif()[0x010F] == "camera"
    assert result.encode() == (tmp_path / "b.jpg").read_bytes()
    assert len(result.encode("WEBP", quality=30)) < len(result.encode("WEBP"))
    result.save(path, overwrite=True)
    assert path.read_bytes() != before
    with pytest.raises(BadImage, match="transparency"):
        edit(scene(4)).save(tmp_path / "c.jpg")


def test_a_new_transparency_is_in_the_picture() -> None:
    result = remove(scene(), BLOCK, invert=True, background="transparent")
    picture = result.pil
    assert picture.mode == "RGBA"
    assert picture.getpixel((60, 50))[3] == 255  # type: ignore[index]
    assert picture.getpixel((5, 90))[3] == 0  # type: ignore[index]


def test_a_notebook_shows_a_small_png() -> None:
    large = np.repeat(np.repeat(scene(), 12, axis=0), 12, axis=1)
    mask = np.repeat(np.repeat(BLOCK, 12, axis=0), 12, axis=1)
    for result, size in ((edit(scene()), (128, 96)), (edit(large, mask), (1024, 768))):
        shown = Pillow.open(BytesIO(result._repr_png_()))
        assert shown.format == "PNG"
        assert shown.size == size


def test_the_mask_is_the_union_of_the_detections() -> None:
    result = edit(scene(), BLOCK, OTHER)
    assert len(result.detections) == 2
    assert (result.mask == BLOCK | OTHER).all()


def test_the_detections_are_those_of_supervision() -> None:
    result = edit(scene(), BLOCK, OTHER)
    found = result.to_supervision()
    assert isinstance(found, supervision.Detections)
    assert len(found) == 2
    assert found.xyxy.tolist() == [[50, 40, 70, 60], [100, 5, 120, 15]]
    assert found.mask is not None
    assert (np.asarray(found.mask) == [BLOCK, OTHER]).all()
    assert found.area.tolist() == [400, 200]
    assert found.confidence is not None
    assert found.confidence.tolist() == [d.score for d in result.detections]
    assert len(replace(result, detections=()).to_supervision()) == 0


def test_without_supervision_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    result = edit(scene())
    with pytest.raises(BadOption, match="pip install supervision"):
        result.to_supervision()


def test_a_result_without_its_photo_is_written_too(tmp_path: Path) -> None:
    """Old code makes such results."""
    result = replace(edit(scene()), photo=None)
    result.save(tmp_path / "a.png")
    assert (images.read(tmp_path / "a.png").image == result.image).all()
