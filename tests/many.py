"""Small photos in numbers, for the tests of datasets: a red and a blue square on a gradient."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner, Result
from PIL import Image

from segment2inpaint.cli import main

SIZE = (48, 64)  # height, width
SQUARE = (20, 16, 32, 28)  # x0, y0, x1, y1
BLUE = (42, 32, 54, 42)
RED = "#dc1e1e"
QUICK = ("--inpainter", "telea", "--no-verify")
IN_PLACE = ("--workers", "0")


def pixels(shade: int = 0) -> np.ndarray:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    photo = np.stack([90 + x + shade % 50, 100 + y, 80 + (x + y) // 2], axis=2).astype(np.uint8)
    x0, y0, x1, y1 = SQUARE
    photo[y0:y1, x0:x1] = (220, 30, 30)
    x0, y0, x1, y1 = BLUE
    photo[y0:y1, x0:x1] = (20, 30, 230)
    return photo


def save(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {".jpg": {"quality": 95, "subsampling": 0}}.get(path.suffix, {})
    Image.fromarray(pixels(shade)).save(path, **kind)
    return path


def load(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def is_gone(path: Path) -> bool:
    x0, y0, x1, y1 = SQUARE
    patch = load(path)[y0:y1, x0:x1].astype(int)
    return bool((patch[..., 0] - patch[..., 1] < 100).all())


def batch(*words: object) -> Result:
    return CliRunner().invoke(main, ["batch", *map(str, words)])


def red(source: Path, out: Path, *more: object) -> Result:
    """Remove what is red, in this process."""
    return batch(source, out, "--color", RED, "--tolerance", "30", *QUICK, *IN_PLACE, *more)


def manifest(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def without_times(out: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in r.items() if k not in ("seconds", "timings")} for r in manifest(out)]


def tree(out: Path) -> dict[str, bytes]:
    """Every file of a result but what tells times, by name."""
    told = {"manifest.jsonl", "manifest.parquet", "report.html"}
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and ".segment2inpaint" not in path.parts and path.name not in told
    }


def finished(out: Path) -> int:
    """How many files of a result are there; safe beside the run that writes them."""
    found = [
        name for folder, _, names in os.walk(out) for name in names if ".segment" not in folder
    ]
    return sum(not name.endswith(".part") for name in found)
