"""Collect cutouts and photos from packages of Debian and npm that are unpacked in a folder.

    python -m models.training.click.collect_cutouts PACKAGES OUT

It writes OUT/cutouts and OUT/photos for ``models.training.click.train``.
``models/weights/click.md`` names the packages. ``photo_masks.json`` has masks of objects in some
of the photos: the click detector found them in a box, and they were checked by eye. These objects
become cutouts, too.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

ByteArray = NDArray[np.uint8]
BinaryMask = NDArray[np.bool_]

CUTOUT_PATTERNS = {
    "emoji": "package/assets/*.webp",
    "clipart": "usr/share/openclipart/png/**/*.png",
    "stamps": "usr/share/tuxpaint/stamps/**/*.png",
    "portraits": "usr/share/games/wesnoth/*/data/**/portraits/**/*.*",
}
FURNITURE_PATTERN = "usr/share/sweethome3d/furniture/*.sh3f"
GCOMPRIS_PATTERN = "usr/share/gcompris-qt/rcc/*.rcc"
WALLPAPER_PATTERNS = ("usr/share/wallpapers/**/*.*", "usr/share/backgrounds/**/*.*")
NON_OBJECTS = re.compile(r"/symbols/|roadsigns|/flags|_mirror")
GCOMPRIS_PHOTOS = re.compile(
    r"explore_(monuments|world_animals|farm_animals)|categorization|erase|clickgame"
)
MIN_PHOTO_BYTES = 6000  # of a photo of gcompris
MIN_WALLPAPER_BYTES = 100_000
MASKED_PHOTO_SIDE = 360  # px, long side that photos with masks are reduced to
MASKS_FILE = Path(__file__).parent / "photo_masks.json"


@click.command(help=__doc__)
@click.argument("packages", type=click.Path(path_type=Path, exists=True))
@click.argument("out", type=click.Path(path_type=Path))
def main(packages: Path, out: Path) -> None:
    for name, pattern in CUTOUT_PATTERNS.items():
        paths = [path for path in packages.glob(pattern) if not NON_OBJECTS.search(path.as_posix())]
        click.echo(
            f"{name}: {_copy_pictures(sorted(paths), packages, out / 'cutouts' / name)} pictures"
        )
    click.echo(f"furniture: {_extract_furniture(packages, out / 'cutouts' / 'furniture')} pictures")
    wallpapers = [path for pattern in WALLPAPER_PATTERNS for path in packages.glob(pattern)]
    large = sorted(
        path for path in wallpapers if path.is_file() and path.stat().st_size > MIN_WALLPAPER_BYTES
    )
    click.echo(f"wallpapers: {_copy_pictures(large, packages, out / 'photos')} pictures")
    count = _extract_photos(packages, out)
    click.echo(f"photos: {count} with a mask")


def _copy_pictures(paths: list[Path], root: Path, folder: Path) -> int:
    """Copy the pictures into folders of the same names; return their number."""
    pictures = [p for p in paths if p.suffix in (".png", ".webp", ".jpg")]
    for path in pictures:
        target = folder / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return len(pictures)


def _extract_furniture(root: Path, folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for path in sorted(root.glob(FURNITURE_PATTERN)):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".png"):
                    (folder / f"{count}.png").write_bytes(archive.read(name))
                    count += 1
    return count


def extract_webp(data: bytes) -> Iterator[bytes]:
    """Yield the WebP files in a Qt resource file, which stores them uncompressed."""
    for match in re.finditer(rb"RIFF(....)WEBP", data, re.DOTALL):
        length = 8 + int.from_bytes(match[1], "little")
        yield data[match.start() : match.start() + length]


def _extract_photos(root: Path, out: Path) -> int:
    """Write the photos of gcompris, with masks and cutouts where known; return their number."""
    masks = json.loads(MASKS_FILE.read_text())
    count, photos = 0, out / "photos"
    folder = out / "cutouts" / "shots"
    for folder_ in (folder, photos):
        folder_.mkdir(parents=True, exist_ok=True)
    for path in sorted(p for p in root.glob(GCOMPRIS_PATTERN) if GCOMPRIS_PHOTOS.search(p.name)):
        for data in extract_webp(path.read_bytes()):
            key = hashlib.sha256(data).hexdigest()[:16]
            if len(data) > MIN_PHOTO_BYTES:
                (photos / f"{key}.webp").write_bytes(data)
            if key in masks:
                photo = resize(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
                mask = coco.decode({"size": photo.shape[:2], "counts": masks[key]}).astype(np.bool_)
                cv2.imwrite(str(folder / f"{key}.png"), cut_out(photo, mask))
                cv2.imwrite(str(photos / f"{key}.mask.png"), mask * np.uint8(255))
                count += 1
    return count


def resize(photo: NDArray[np.generic] | None) -> ByteArray:
    """Return the photo with a long side of MASKED_PHOTO_SIDE px."""
    assert photo is not None
    scale = MASKED_PHOTO_SIDE / max(photo.shape[:2])
    resized = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.uint8)


def cut_out(photo: ByteArray, mask: BinaryMask) -> ByteArray:
    """Return the object (h, w, 4), without its outermost pixels and with a soft edge."""
    inner = cv2.erode(mask.astype(np.uint8) * 255, np.ones((3, 3), np.uint8))
    return np.dstack([photo, cv2.GaussianBlur(inner, (0, 0), 0.8)])


if __name__ == "__main__":
    main()
