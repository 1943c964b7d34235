"""Pictures of ``fill.py``: contact sheets, and plots of time against area."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

TILE_SIDE = 300  # px, of a picture on a sheet
ROWS_PER_SHEET = 6
LINE_COLOURS = ((40, 90, 200), (200, 80, 30), (30, 140, 60), (140, 40, 140))


def write_sheets(items: Sequence[Any], fills: dict[str, list[Any]], out: Path) -> None:
    """Write sheet_0.png, ...: photo with the hole's outline | truth | each method's fill."""
    rows = []
    for index, item in enumerate(items):
        outline = cv2.morphologyEx(
            item.mask.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)
        )
        photo = np.where(outline[..., None] > 0, np.array([255, 0, 0], np.uint8), item.image)
        pictures = {item.name: photo, "truth": item.truth} | {m: p[index] for m, p in fills.items()}
        rows.append(np.hstack([draw_tile(p, name) for name, p in pictures.items()]))
    for first in range(0, len(rows), ROWS_PER_SHEET):
        sheet = np.vstack(rows[first : first + ROWS_PER_SHEET])
        cv2.imwrite(str(out / f"sheet_{first // ROWS_PER_SHEET}.png"), sheet[..., ::-1])


def draw_tile(image: Any, name: str) -> Any:
    """Draw the picture into a square of TILE_SIDE px, with its name."""
    scale = TILE_SIDE / max(image.shape[:2])
    size = round(image.shape[1] * scale), round(image.shape[0] * scale)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    tile = np.full((TILE_SIDE, TILE_SIDE, 3), 40, np.uint8)
    tile[: size[1], : size[0]] = small
    cv2.putText(tile, name, (4, TILE_SIDE - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 0), 1)
    return tile


def write_plot(title: str, x: Sequence[float], lines: dict[str, list[float]], path: Path) -> None:
    """Write a plot with logarithmic axes; each point is labelled with its value."""
    width, height, margin = 640, 480, 60
    canvas = np.full((height, width, 3), 255, np.uint8)
    log_min, log_max = np.log10(min(x)), np.log10(max(x))
    values = [max(value, 0.001) for line in lines.values() for value in line]
    log_bottom, log_top = np.floor(np.log10(min(values))), np.ceil(np.log10(max(values)))

    def to_pixel(x_value: float, y_value: float) -> tuple[int, int]:
        fraction_x = (np.log10(x_value) - log_min) / (log_max - log_min)
        fraction_y = (np.log10(max(y_value, 0.001)) - log_bottom) / max(log_top - log_bottom, 1)
        return round(margin + fraction_x * (width - 2 * margin)), round(
            height - margin - fraction_y * (height - 2 * margin)
        )

    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(canvas, title, (margin, 30), font, 0.6, (0, 0, 0), 1)
    for x_value in x:
        point = to_pixel(x_value, 10**log_bottom)
        cv2.putText(
            canvas, f"{x_value:.2g}", (point[0] - 20, point[1] + 25), font, 0.4, (0, 0, 0), 1
        )
    for (name, line), colour in zip(lines.items(), LINE_COLOURS, strict=False):
        points = [to_pixel(x_value, y_value) for x_value, y_value in zip(x, line, strict=True)]
        cv2.polylines(canvas, [np.array(points, np.int32)], False, colour, 2)
        for point, y_value in zip(points, line, strict=True):
            cv2.circle(canvas, point, 4, colour, -1)
            cv2.putText(
                canvas, f"{y_value:.2f}", (point[0] - 12, point[1] - 8), font, 0.4, colour, 1
            )
        label = (points[-1][0] - 60, points[-1][1] + 18)
        cv2.putText(canvas, name, label, font, 0.5, colour, 1)
    cv2.imwrite(str(path), canvas[..., ::-1])
