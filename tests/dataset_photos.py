"""Small photos with a red and a blue square, and helpers for the tests of datasets."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner, Result
from PIL import Image

from segment2inpaint.cli import main

PHOTO_SIZE = (48, 64)  # height, width
RED_BOX = (20, 16, 32, 28)  # x0, y0, x1, y1
BLUE_BOX = (42, 32, 54, 42)
RED_HEX = "#dc1e1e"
FAST_OPTIONS = ("--inpainter", "telea", "--no-verify")
NO_WORKERS = ("--workers", "0")
PHOTO_NAMES = ("a.png", "a.jpg", "x/photo.jpg", "y/photo.jpg", "z/Ä b.bmp")


def draw_photo(shade: int = 0) -> np.ndarray:
    """Return a photo, (48, 64, 3) uint8; the gradient varies with ``shade``."""
    y, x = np.mgrid[: PHOTO_SIZE[0], : PHOTO_SIZE[1]]
    photo = np.stack([90 + x + shade % 50, 100 + y, 80 + (x + y) // 2], axis=2).astype(np.uint8)
    x0, y0, x1, y1 = RED_BOX
    photo[y0:y1, x0:x1] = (220, 30, 30)
    x0, y0, x1, y1 = BLUE_BOX
    photo[y0:y1, x0:x1] = (20, 30, 230)
    return photo


def red_mask() -> np.ndarray:
    """Return the mask of the red square, (48, 64) uint8, 255 inside."""
    mask = np.zeros(PHOTO_SIZE, np.uint8)
    x0, y0, x1, y1 = RED_BOX
    mask[y0:y1, x0:x1] = 255
    return mask


def box_polygon(box: tuple[int, ...]) -> list[float]:
    """Return the corners of a box (x0, y0, x1, y1) as x, y, x, y, ..."""
    x0, y0, x1, y1 = box
    return [x0, y0, x1, y0, x1, y1, x0, y1]


def save_photo(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"quality": 95, "subsampling": 0} if path.suffix == ".jpg" else {}
    Image.fromarray(draw_photo(shade)).save(path, **options)
    return path


def save_photo_folder(folder: Path) -> Path:
    """Save photos of three formats, in a folder and its subfolders, and a text file."""
    for number, name in enumerate(PHOTO_NAMES):
        save_photo(folder / name, number)
    (folder / "notes.txt").write_text("not a photo")
    return folder


def load_photo(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def is_square_removed(path: Path) -> bool:
    """Return whether no pixel of the red square is red."""
    x0, y0, x1, y1 = RED_BOX
    patch = load_photo(path)[y0:y1, x0:x1].astype(int)
    return bool((patch[..., 0] - patch[..., 1] < 100).all())


def write_rows(path: Path, *rows: object) -> Path:
    """Write a JSONL table."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def batch(*arguments: object) -> Result:
    """Run the command ``batch``."""
    return CliRunner().invoke(main, ["batch", *map(str, arguments)])


def batch_red(source: Path | str, out: Path | str, *more: object) -> Result:
    """Remove the red squares, without worker processes."""
    color = ("--color", RED_HEX, "--tolerance", "30")
    return batch(source, out, *color, *FAST_OPTIONS, *NO_WORKERS, *more)


def read_manifest(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def rows_without_times(out: Path) -> list[dict[str, Any]]:
    """Return the rows of the manifest without the columns that differ from run to run.

    These are the times, and the versions of what a process has imported.
    """
    varying = ("seconds", "timings", "versions")
    return [{k: v for k, v in row.items() if k not in varying} for row in read_manifest(out)]


def output_files(out: Path) -> dict[str, bytes]:
    """Return the files in an output folder by name, without the ones that contain times."""
    with_times = {"manifest.jsonl", "manifest.parquet", "report.html"}
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and ".segment2inpaint" not in path.parts and path.name not in with_times
    }


def output_photos(out: Path) -> list[str]:
    """Return the names of the photos in an output folder."""
    return [name for name in output_files(out) if not name.startswith("masks/")]


def modification_times(out: Path) -> dict[str, int]:
    return {name: (out / name).stat().st_mtime_ns for name in output_files(out)}


def count_outputs(out: Path) -> int:
    """Return the number of complete files in an output folder, also while a run writes there."""
    files = [
        name for folder, _, names in os.walk(out) for name in names if ".segment" not in folder
    ]
    return sum(not name.endswith(".part") for name in files)
