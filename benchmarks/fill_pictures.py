"""The pictures of ``fill.py``: contact sheets, and plots of time against area."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

SIDE = 300  # px of a picture on the sheet
ROWS = 6  # on a sheet
INK = ((40, 90, 200), (200, 80, 30), (30, 140, 60), (140, 40, 140))


def sheets(items: Sequence[Any], made: dict[str, list[Any]], out: Path) -> None:
    """Write sheet_0.png, ...: photo with the hole's outline | truth | each method's fill."""
    rows = []
    for n, item in enumerate(items):
        outline = cv2.morphologyEx(
            item.bits.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)
        )
        photo = np.where(outline[..., None] > 0, np.array([255, 0, 0], np.uint8), item.image)
        named = {item.name: photo, "truth": item.truth} | {m: p[n] for m, p in made.items()}
        rows.append(np.hstack([fitted(p, name) for name, p in named.items()]))
    for first in range(0, len(rows), ROWS):
        sheet = np.vstack(rows[first : first + ROWS])
        cv2.imwrite(str(out / f"sheet_{first // ROWS}.png"), sheet[..., ::-1])


def fitted(image: Any, name: str) -> Any:
    """The picture in a square of ``SIDE``, with its name."""
    scale = SIDE / max(image.shape[:2])
    size = round(image.shape[1] * scale), round(image.shape[0] * scale)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    panel = np.full((SIDE, SIDE, 3), 40, np.uint8)
    panel[: size[1], : size[0]] = small
    cv2.putText(panel, name, (4, SIDE - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 0), 1)
    return panel


def plot(title: str, x: Sequence[float], lines: dict[str, list[float]], path: Path) -> None:
    """Write a plot with logarithmic axes; each point is labelled with its value."""
    width, height, edge = 640, 480, 60
    input_spec = np.full((height, width, 3), 255, np.uint8)
    low, high = np.log10(min(x)), np.log10(max(x))
    values = [max(v, 0.001) for line in lines.values() for v in line]
    bottom, top = np.floor(np.log10(min(values))), np.ceil(np.log10(max(values)))

    def at(a: float, b: float) -> tuple[int, int]:
        right = (np.log10(a) - low) / (high - low)
        up = (np.log10(max(b, 0.001)) - bottom) / max(top - bottom, 1)
        return round(edge + right * (width - 2 * edge)), round(
            height - edge - up * (height - 2 * edge)
        )

    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(input_spec, title, (edge, 30), font, 0.6, (0, 0, 0), 1)
    for a in x:
        spot = at(a, 10**bottom)
        cv2.putText(input_spec, f"{a:.2g}", (spot[0] - 20, spot[1] + 25), font, 0.4, (0, 0, 0), 1)
    for (name, line), ink in zip(lines.items(), INK, strict=False):
        spots = [at(a, b) for a, b in zip(x, line, strict=True)]
        cv2.polylines(input_spec, [np.array(spots, np.int32)], False, ink, 2)
        for spot, b in zip(spots, line, strict=True):
            cv2.circle(input_spec, spot, 4, ink, -1)
            cv2.putText(input_spec, f"{b:.2f}", (spot[0] - 12, spot[1] - 8), font, 0.4, ink, 1)
        end = (spots[-1][0] - 60, spots[-1][1] + 18)
        cv2.putText(input_spec, name, end, font, 0.5, ink, 1)
    cv2.imwrite(str(path), input_spec[..., ::-1])
