"""``changed_outside`` is counted on the file as other programs read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import run
from dataset_photos import read_manifest
from pictures import encode_picture, random_pixels
from PIL import Image, ImageOps

from segment2inpaint import images
from segment2inpaint.images import avif, sixteen_bit

FAST = ("--inpainter", "telea", "--no-verify")
PLUGIN_SUFFIXES = {".avif": "AVIF", ".heic": "HEIF", ".jxl": "JXL"}
SUFFIXES = [
    ".png", ".tif", ".bmp", ".webp", ".jpg",
    *(end for end, kind in PLUGIN_SUFFIXES.items() if kind in images.formats()),
]  # fmt: skip


def smooth(height: int = 60, width: int = 84) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(1).normal(0, 3, (height, width, 3))
    waves = np.stack([120 + 60 * np.sin(x / 9) + y, 90 + 40 * np.cos(y / 7), 90 + x], axis=2)
    return (waves + noise).clip(0, 255).astype(np.uint8)


def save(path: Path, orientation: int = 1) -> Path:
    kind = images.format_of(path)
    options: dict[str, Any] = {"JPEG": {"quality": 88, "subsampling": "4:2:0"}}.get(kind, {})
    exif = Image.Exif()
    exif[0x0112] = orientation
    if kind in ("HEIF", "JXL"):
        images.write(path, images.photo_from_array(smooth()), smooth(), np.zeros((60, 84)))
    else:
        path.write_bytes(encode_picture(smooth(), kind, **options, exif=exif))
    return path


def changed_in_files(before: Path, after: Path, mask: Path) -> tuple[int, int]:
    """Return the number of changed pixels where the mask is 0, and the largest difference."""
    old, new = (
        np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB")).astype(int)
        for path in (before, after)
    )
    difference = np.abs(old - new).max(axis=2)
    difference[np.asarray(Image.open(mask)) > 0] = 0
    return int((difference > 0).sum()), int(difference.max())


@pytest.mark.parametrize("options", [(), ("--quality", "70")])
@pytest.mark.parametrize("target", SUFFIXES)
@pytest.mark.parametrize("source", SUFFIXES)
def test_the_count_on_the_command_line_is_that_of_the_files(
    source: str, target: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    photo, out, mask = save(tmp_path / f"a{source}"), tmp_path / f"o{target}", tmp_path / "s.png"
    done = run("remove", photo, "-b", "30,20,47,37", *FAST, *options, "-o", out,
               "--save-mask", mask, "--json")  # fmt: skip
    report = json.loads(done.stdout)
    count, levels = changed_in_files(photo, out, mask)
    assert (report["changed_outside"], report["changed_outside_levels"]) == (count, levels)
    assert f"{count} pixels changed outside" in done.stderr
    is_lossy = target == ".jpg" or (options and target in (".webp", *PLUGIN_SUFFIXES))
    assert (count > 0) == bool(is_lossy)
    if is_lossy:
        blocks = source == target == ".jpg" and not options
        words = "in JPEG blocks at its edge" if blocks else "by lossy encoding"
        assert f"by up to {levels} of 255 levels {words}" in done.stderr


@pytest.mark.parametrize("orientation", [3, 6])
def test_the_count_of_a_turned_jpeg_is_that_of_the_files(orientation: int, tmp_path: Path) -> None:
    photo, out, mask = save(tmp_path / "a.jpg", orientation), tmp_path / "o.jpg", tmp_path / "s.png"
    done = run(
        "remove", photo, "-b", "20,20,37,37", *FAST, "-o", out, "--save-mask", mask, "--json"
    )
    report = json.loads(done.stdout)
    assert (report["changed_outside"], report["changed_outside_levels"]) == changed_in_files(
        photo, out, mask
    )
    assert "in JPEG blocks at its edge" in done.stderr


@pytest.mark.skipif("AVIF" not in images.formats(), reason="Pillow without AVIF")
def test_avif_that_is_not_lossless_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(avif, "can_write_lossless", lambda: False)
    photo, out, mask = save(tmp_path / "a.avif"), tmp_path / "o.avif", tmp_path / "s.png"
    done = run("remove", photo, "-b", "30,20,47,37", *FAST, "-o", out, "--save-mask", mask)
    count, levels = changed_in_files(photo, out, mask)
    assert 0 < levels <= 3
    assert (
        f"{count} pixels changed outside, by up to {levels} of 255 levels by lossy" in done.stderr
    )


def test_the_count_in_the_manifest_is_that_of_the_files(tmp_path: Path) -> None:
    """For photos with one edit and with two, in every format."""
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    rows = []
    for suffix in SUFFIXES:
        save(folder / f"a{suffix}")
        rows.append({"photo": f"a{suffix}", "boxes": [[30, 20, 47, 37]]})
        rows.append({"photo": f"a{suffix}", "boxes": [[60, 10, 70, 20]], "seed": 1})
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = run("batch", folder / "rows.jsonl", out, *FAST, "--workers", 0)
    assert done.exit_code == 0, done.output
    manifest = read_manifest(out)
    assert len(manifest) == len(rows)
    for row in manifest:
        count, _ = changed_in_files(Path(row["photo"]), out / row["output"], out / row["mask"])
        assert row["changed_outside"] == count
        assert (count > 0) == row["output"].endswith(".jpg")


def test_transparency_and_16_bits_count_as_well() -> None:
    rgba = random_pixels(9, 9, 4)
    photo = images.read(encode_picture(rgba, "PNG"))
    alpha = np.zeros(photo.size, np.float32)
    changed = rgba.copy()
    changed[2, 3, 3] ^= 8
    webp = encode_picture(changed, "WEBP", lossless=True, exact=True)
    assert images.file_changes(photo, 0, alpha, webp)[:2] == (1, 8)
    deep = random_pixels(9, 9, 3, np.uint16)
    photo = images.read(sixteen_bit.encode_png(deep))
    other = deep.copy()
    other[4, 4, 1] ^= 1
    assert images.file_changes(photo, 0, alpha, sixteen_bit.encode_tiff(other))[:2] == (1, 1)
    assert images.file_changes(photo, 0, alpha + 1, sixteen_bit.encode_tiff(other))[:2] == (0, 0)
