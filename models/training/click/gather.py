"""Pictures that scenes are put together of, from packages of Debian and npm, unpacked in a folder.

    python -m models.training.click.gather PACKAGES OUT

makes OUT/cutouts and OUT/photos for ``teach.py``. README.md says which packages, and how.
``shots.json`` tells objects in some of the photos: masks that the click detector found in a box
and that were taken for right by eye. These become cutouts too.
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

Bytes = NDArray[np.uint8]
Bits = NDArray[np.bool_]

CUTOUTS = {
    "emoji": "package/assets/*.webp",
    "clipart": "usr/share/openclipart/png/**/*.png",
    "stamps": "usr/share/tuxpaint/stamps/**/*.png",
    "portraits": "usr/share/games/wesnoth/*/data/**/portraits/**/*.*",
}
FURNITURE = "usr/share/sweethome3d/furniture/*.sh3f"
LESSONS = "usr/share/gcompris-qt/rcc/*.rcc"
PHOTOS = ("usr/share/wallpapers/**/*.*", "usr/share/backgrounds/**/*.*")
NO_THINGS = re.compile(r"/symbols/|roadsigns|/flags|_mirror")
TOLD = re.compile(r"explore_(monuments|world_animals|farm_animals)|categorization|erase|clickgame")
LEAST = 6000, 100_000  # bytes of a photo among lessons, among wallpapers
LONG = 360  # px, long side of the photos with masks
SHOTS = Path(__file__).parent / "shots.json"


@click.command(help=__doc__)
@click.argument("packages", type=click.Path(path_type=Path, exists=True))
@click.argument("out", type=click.Path(path_type=Path))
def main(packages: Path, out: Path) -> None:
    for name, pattern in CUTOUTS.items():
        paths = [p for p in packages.glob(pattern) if not NO_THINGS.search(p.as_posix())]
        click.echo(f"{name}: {_copied(sorted(paths), packages, out / 'cutouts' / name)} pictures")
    click.echo(f"furniture: {_furniture(packages, out / 'cutouts' / 'furniture')} pictures")
    walls = [p for pattern in PHOTOS for p in packages.glob(pattern)]
    large = sorted(p for p in walls if p.is_file() and p.stat().st_size > LEAST[1])
    click.echo(f"wallpapers: {_copied(large, packages, out / 'photos')} pictures")
    count = _taken(packages, out)
    click.echo(f"photos: {count} with a mask")


def _copied(paths: list[Path], root: Path, folder: Path) -> int:
    """The pictures among them, in folders of the same names."""
    kept = [p for p in paths if p.suffix in (".png", ".webp", ".jpg")]
    for path in kept:
        place = folder / path.relative_to(root)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    return len(kept)


def _furniture(root: Path, folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for path in sorted(root.glob(FURNITURE)):
        with zipfile.ZipFile(path) as held:
            for name in held.namelist():
                if name.endswith(".png"):
                    (folder / f"{count}.png").write_bytes(held.read(name))
                    count += 1
    return count


def carved(data: bytes) -> Iterator[bytes]:
    """The WebP files in a file of Qt's resources, which are there as they are."""
    for found in re.finditer(rb"RIFF(....)WEBP", data, re.DOTALL):
        length = 8 + int.from_bytes(found[1], "little")
        yield data[found.start() : found.start() + length]


def _taken(root: Path, out: Path) -> int:
    """Photos from the lessons; those that ``SHOTS`` tells of with masks, and as cutouts."""
    told = json.loads(SHOTS.read_text())
    count, photos = 0, out / "photos"
    folder = out / "cutouts" / "shots"
    for place in (folder, photos):
        place.mkdir(parents=True, exist_ok=True)
    for path in sorted(p for p in root.glob(LESSONS) if TOLD.search(p.name)):
        for data in carved(path.read_bytes()):
            key = hashlib.sha256(data).hexdigest()[:16]
            if len(data) > LEAST[0]:
                (photos / f"{key}.webp").write_bytes(data)
            if key in told:
                photo = reduced(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
                bits = coco.decode({"size": photo.shape[:2], "counts": told[key]}).astype(np.bool_)
                cv2.imwrite(str(folder / f"{key}.png"), cut_out(photo, bits))
                cv2.imwrite(str(photos / f"{key}.mask.png"), bits * np.uint8(255))
                count += 1
    return count


def reduced(photo: NDArray[np.generic] | None) -> Bytes:
    assert photo is not None
    scale = LONG / max(photo.shape[:2])
    size = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(size, np.uint8)


def cut_out(photo: Bytes, bits: Bits) -> Bytes:
    """(h, w, 4): the object without its outermost pixels, softly."""
    inner = cv2.erode(bits.astype(np.uint8) * 255, np.ones((3, 3), np.uint8))
    return np.dstack([photo, cv2.GaussianBlur(inner, (0, 0), 0.8)])


if __name__ == "__main__":
    main()
