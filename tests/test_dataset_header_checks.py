"""``--dry-run`` compares the places of objects with the sizes in the headers of the photos."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from dataset_photos import FAST_OPTIONS, NO_WORKERS, batch, draw_photo, save_photo, write_rows
from PIL import Image

from segment2inpaint import images
from segment2inpaint.errors import BadImage


def save_turned(path: Path, orientation: int) -> Path:
    """Save a photo of 64x48 stored pixels with an EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(draw_photo()).save(path, exif=exif)
    return path


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tiff", "bmp"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_header_has_the_size_and_orientation_of_the_photo(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    if suffix == "bmp" and orientation > 1:
        pytest.skip("BMP has no orientation")
    path = save_turned(tmp_path / f"a.{suffix}", orientation)
    photo = images.read(path)
    assert images.read_header(path) == (photo.size, photo.orientation)
    assert images.read_header(path.read_bytes()) == (photo.size, photo.orientation)


def test_a_header_is_read_without_the_pixels(tmp_path: Path) -> None:
    """A file that ends after its header has a size, and one without a header is refused."""
    save_photo(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    assert images.read_header(data[:60]).size == (48, 64)
    with pytest.raises(BadImage, match="not a picture"):
        images.read_header(b"no picture at all", name="x.png")
    with pytest.raises(BadImage, match="cannot be read"):
        images.read_header(tmp_path / "none.png")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"points": [9999, 200]}, "point 9999,200 is outside the photo of 64 x 48 px"),
        ({"points": [10, 10], "not_points": [64, 0]}, "point 64,0 is outside the photo"),
        ({"boxes": [70, 0, 90, 20]}, "box 70,0,90,20 is outside the photo of 64 x 48 px"),
        ({"boxes": [10, 10, 10, 20]}, "box 10,10,10,20 has no area"),
        ({"colors": "64,1"}, "point 64,1 is outside the photo"),
        ({"points": [10, 10], "protect": "70,0,90,20"}, "protect 70,0,90,20: no pixel"),
        ({"mask": "small.png"}, "small.png: expected the size of the photo, 64x48, got 8x8"),
        ({"photo": "text.png", "points": [1, 1]}, "text.png: not a picture"),
    ],
)
def test_a_dry_run_tells_what_does_not_fit_the_photo(
    tmp_path: Path, row: dict[str, object], message: str
) -> None:
    save_photo(tmp_path / "a.png")
    Image.fromarray(np.full((8, 8), 255, np.uint8)).save(tmp_path / "small.png")
    (tmp_path / "text.png").write_text("no picture, whatever its name says")
    good = {"photo": "a.png", "points": [26, 22]}
    source = write_rows(tmp_path / "rows.jsonl", good, {"photo": "a.png", **row})
    result = batch(source, tmp_path / "out", "--dry-run", *FAST_OPTIONS, *NO_WORKERS)
    assert result.exit_code == 1
    assert f"rows.jsonl:2: {message}" in result.stderr.replace(f"{tmp_path}/", "")
    others = batch(source, tmp_path / "out", "--dry-run", "--skip-invalid", *FAST_OPTIONS)
    assert others.exit_code == 3
    assert "1 photos with 1 objects" in others.stdout
    assert "1 row skipped as invalid" in others.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("point", "valid"), [([40, 60], True), ([60, 40], False)])
def test_the_size_is_that_of_the_upright_photo(
    tmp_path: Path, point: list[int], valid: bool
) -> None:
    save_turned(tmp_path / "a.jpg", 6)  # 48x64 upright
    source = write_rows(tmp_path / "rows.jsonl", {"photo": "a.jpg", "points": point})
    result = batch(source, tmp_path / "out", "--dry-run", *FAST_OPTIONS)
    assert result.exit_code == (0 if valid else 1), result.output
    assert valid or "point 60,40 is outside the photo of 48 x 64 px" in result.stderr


def test_a_mask_may_have_the_size_of_the_stored_photo(tmp_path: Path) -> None:
    save_turned(tmp_path / "a.jpg", 6)
    Image.fromarray(np.full((48, 64), 255, np.uint8)).save(tmp_path / "m.png")
    source = write_rows(tmp_path / "rows.jsonl", {"photo": "a.jpg", "mask": "m.png"})
    assert batch(source, tmp_path / "out", "--dry-run", *FAST_OPTIONS).exit_code == 0


def test_annotations_of_another_shape_are_told(tmp_path: Path) -> None:
    save_photo(tmp_path / "a.png")
    data = {
        "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 20}],
        "categories": [{"id": 1, "name": "red"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 100,
                         "bbox": [2, 2, 10, 10], "segmentation": [[2, 2, 12, 2, 12, 12]]}],
    }  # fmt: skip
    (tmp_path / "coco.json").write_text(json.dumps(data))
    result = batch(tmp_path / "coco.json", tmp_path / "out", "--dry-run", *FAST_OPTIONS)
    assert result.exit_code == 1
    assert "annotated as a photo of 100x20, but the photo has 64x48" in result.stderr


def test_a_dry_run_decodes_no_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_photo(tmp_path / "a.png")
    source = write_rows(tmp_path / "rows.jsonl", {"photo": "a.png", "points": [26, 22]})
    monkeypatch.setattr(images, "read", lambda *_, **__: pytest.fail("a photo was decoded"))
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("pixels were decoded"))
    assert batch(source, tmp_path / "out", "--dry-run", *FAST_OPTIONS).exit_code == 0


def test_headers_of_photos_in_archives_are_read(tmp_path: Path) -> None:
    import tarfile

    save_photo(tmp_path / "a.png")
    row = json.dumps({"points": [[9999, 200]]}).encode()
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        tar.add(tmp_path / "a.png", "0.png")
        member = tarfile.TarInfo("0.json")
        member.size = len(row)
        tar.addfile(member, BytesIO(row))
    result = batch(tmp_path / "s.tar", tmp_path / "out", "--dry-run", *FAST_OPTIONS)
    assert result.exit_code == 1
    assert "point 9999,200 is outside the photo of 64 x 48 px" in result.stderr
