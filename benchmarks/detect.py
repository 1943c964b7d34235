"""Measure how well a detector finds objects: by one, three and up to 20 clicks, and by a box.

Photos with truth come from the folder that S2I_EVAL names: ``SET/ITEM/image.jpg|png``,
``mask.png``, ``meta.json`` with ``click_xy`` (the first click) and ``box_xyxy``. Each further
click is at the center of the largest error (the NoC protocol of Xu et al. 2016, at most 20
clicks).

    S2I_EVAL=FOLDER python benchmarks/detect.py --detector builtin --set berkeley100 --limit 20

``--detector plain`` is OpenCV's grabCut as a simple script calls it, for comparison. ``--shrink
30`` tests small objects: each object, scaled to 30 px, is composited onto another photo of the set
that is ``LARGE_SIDE`` px long.
"""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint import detect, images
from segment2inpaint.masks import deepest_point
from segment2inpaint.protocols import Detector
from segment2inpaint.types import (
    BinaryMask,
    Box,
    Detection,
    Granularity,
    Image,
    Point,
    Points,
    Prompt,
    bounding_box,
)

# Long side in px, radius of the first disc relative to the short side, iterations.
GRABCUT_SETTINGS = 400, 0.2, 3
GRANULARITIES: tuple[Granularity, ...] = ("part", "object", "whole")
SETS = "berkeley100", "davis16_val", "coco_mval_b"
LARGE_SIDE = 1600  # px, long side of a photo with a shrunk object
TILE_HEIGHT = 240  # px, height of a picture in the sheets


@dataclass(frozen=True, eq=False)
class Item:
    """A photo with its true mask, first click and box."""

    name: str
    image: Image
    truth: BinaryMask
    click: tuple[int, int]
    box: Box


@dataclass(frozen=True, eq=False)
class Score:
    """The results for one photo.

    ``mask`` is that of the first click, ``clicks`` has the IoU after each click, ``box`` that of
    the box, ``boundary`` the boundary F measure of the first click. ``best`` is the best IoU of
    the first click over all granularities. ``first_seconds`` and ``further_seconds`` are CPU
    seconds per click, ``clock_seconds`` wall seconds of the first click and of the box, and
    ``further_clock`` of the other clicks.
    """

    item: Item
    mask: BinaryMask
    clicks: list[float]
    best: float
    box: float
    boundary: float
    first_seconds: float
    clock_seconds: tuple[float, float]
    further_seconds: list[float] = field(default_factory=list)
    further_clock: list[float] = field(default_factory=list)


def read_items(folder: Path, part: str) -> Iterator[Item]:
    """Yield the items of a set: all, or those with even or odd index."""
    start, step = {"all": (0, 1), "even": (0, 2), "odd": (1, 2)}[part]
    for folder_ in sorted(p.parent for p in folder.glob("*/mask.png"))[start::step]:
        meta = json.loads((folder_ / "meta.json").read_text())
        photo_path = next(folder_.glob("image.*"))
        truth = images.read(folder_ / "mask.png").image[..., 0] > 127
        x, y = meta["click_xy"]
        yield Item(
            folder_.name, images.read(photo_path).image, truth, (x, y), Box(*meta["box_xyxy"])
        )


def shrink_items(items: Sequence[Item], side: int) -> Iterator[Item]:
    """Yield each object, scaled to ``side`` px, at a random place in the next item's photo."""
    for number, (source, background) in enumerate(
        zip(items, [*items[1:], *items[:1]], strict=True)
    ):
        rng = np.random.default_rng(number)
        scale = LARGE_SIDE / max(background.image.shape[:2])
        image = cv2.resize(
            background.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC
        )
        scale = side / max(source.box.width, source.box.height)
        size = max(1, round(source.box.width * scale)), max(1, round(source.box.height * scale))
        colours, alpha = (
            cv2.resize(region, size, interpolation=cv2.INTER_AREA).astype(np.float32)
            for region in (
                source.image[source.box.slices],
                source.truth[source.box.slices].astype(np.float32),
            )
        )
        x, y = (int(rng.integers(0, image.shape[1 - i] - size[i])) for i in (0, 1))
        region = image[y : y + size[1], x : x + size[0]]
        region[:] = (region + (colours - region) * alpha[..., None]).round()
        truth = np.zeros(image.shape[:2], np.bool_)
        truth[y : y + size[1], x : x + size[0]] = alpha > 0.5
        if truth.any():
            yield Item(source.name, image, truth, deepest_point(truth), Box(*bounding_box(truth)))


class PlainGrabCut:
    """``cv2.grabCut`` from a disc around the first click or from a box, with default parameters."""

    name = "plain"
    prompt_types: tuple[type, ...] = (Points, Box)

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        max_side, radius, iterations = GRABCUT_SETTINGS
        scale = min(1.0, max_side / max(image.shape[:2]))
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        (prompt,) = prompts
        trimap = np.full(small.shape[:2], cv2.GC_BGD, np.uint8)
        if isinstance(prompt, Box):
            x0, y0, x1, y1 = (round(v * scale) for v in prompt)
            trimap[y0:y1, x0:x1] = cv2.GC_PR_FGD
        elif isinstance(prompt, Points):
            trimap[:] = cv2.GC_PR_BGD
            first, *_ = prompt.include
            disc_radius = round(radius * min(trimap.shape))
            _draw_disc(trimap, first, scale, disc_radius, cv2.GC_PR_FGD)
            for points, value in (prompt.include, cv2.GC_FGD), (prompt.exclude, cv2.GC_BGD):
                for point in points:
                    _draw_disc(trimap, point, scale, 3, value)
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.setRNGSeed(0)
        if not (trimap % 2).all() and (trimap % 2).any():
            cv2.grabCut(small, trimap, None, *models, iterations, cv2.GC_INIT_WITH_MASK)
        size = image.shape[1], image.shape[0]
        probability = cv2.resize((trimap % 2).astype(np.float32), size)
        return [Detection(probability > 0.5)]


def _draw_disc(
    trimap: NDArray[np.uint8], point: Point, scale: float, radius: int, value: int
) -> None:
    cv2.circle(trimap, (int(point[0] * scale), int(point[1] * scale)), radius, value, -1)


def iou(predicted: BinaryMask, truth: BinaryMask) -> float:
    """Return the intersection over union."""
    return float((predicted & truth).sum() / max((predicted | truth).sum(), 1))


def boundary_f(predicted: BinaryMask, truth: BinaryMask) -> float:
    """Return the boundaries' F measure within 0.75 % of the diagonal (Perazzi et al. 2016)."""
    edges = [_edge(mask) for mask in (predicted, truth)]
    tolerance = max(1, round(0.0075 * float(np.hypot(*truth.shape))))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * tolerance + 1,) * 2)
    dilated = [cv2.dilate(edge.astype(np.uint8), disc) > 0 for edge in edges]
    precision = (edges[0] & dilated[1]).sum() / max(edges[0].sum(), 1)
    recall = (edges[1] & dilated[0]).sum() / max(edges[1].sum(), 1)
    return float(2 * precision * recall / max(precision + recall, 1e-9))


def _edge(mask: BinaryMask) -> BinaryMask:
    edge: BinaryMask = mask & (cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)
    return edge


def next_click(predicted: BinaryMask, truth: BinaryMask) -> tuple[tuple[int, int], bool]:
    """Return the innermost point of the largest error, and whether it is on the object."""
    best: tuple[float, tuple[int, int], bool] = (-1.0, (0, 0), True)
    for error, is_positive in ((truth & ~predicted, True), (predicted & ~truth, False)):
        padded = np.pad(error.astype(np.uint8), 1)
        distance = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
        y, x = np.unravel_index(int(distance.argmax()), distance.shape)
        if distance[y, x] > best[0]:
            best = float(distance[y, x]), (int(x), int(y)), is_positive
    return best[1], best[2]


def score_item(detector: Detector, item: Item, max_clicks: int) -> Score:
    """Score clicks, up to ``max_clicks`` or until 90 % is reached, and the box."""
    include, exclude = [item.click], list[tuple[int, int]]()
    clicks: list[float] = []
    seconds_per_click: list[tuple[float, float]] = []
    first_mask = np.zeros_like(item.truth)
    for number in range(max_clicks):
        mask, seconds = _detect(detector, item, [Points(tuple(include), tuple(exclude))])
        seconds_per_click.append(seconds)
        clicks.append(iou(mask, item.truth))
        if number == 0:
            first_mask = mask
        if clicks[-1] >= 0.9:
            break
        point, is_positive = next_click(mask, item.truth)
        if point in include + exclude:
            break
        (include if is_positive else exclude).append(point)
    best = max(clicks[0], *(_iou_of(detector, item, g) for g in GRANULARITIES))
    box_mask, seconds = _detect(detector, item, [item.box])
    box, boundary = iou(box_mask, item.truth), boundary_f(first_mask, item.truth)
    (first_cpu, first_clock), *further = seconds_per_click
    clock = first_clock, seconds[1]
    further_cpu, further_clock = [cpu for cpu, _ in further], [wall for _, wall in further]
    return Score(
        item, first_mask, clicks, best, box, boundary, first_cpu, clock, further_cpu, further_clock
    )


def _iou_of(detector: Detector, item: Item, granularity: Granularity) -> float:
    """Return the IoU of the first click with a granularity."""
    mask, _ = _detect(detector, item, [Points((item.click,), (), granularity)])
    return iou(mask, item.truth)


def _detect(
    detector: Detector, item: Item, prompts: Sequence[Prompt]
) -> tuple[BinaryMask, tuple[float, float]]:
    """Return the mask, and CPU and wall seconds."""
    cpu_start, clock_start = time.process_time(), time.perf_counter()
    masks = detector.detect(item.image, prompts)
    seconds = time.process_time() - cpu_start, time.perf_counter() - clock_start
    mask = masks[0].mask if masks else np.zeros_like(item.truth)
    return mask, seconds


def iou_after(score: Score, number: int) -> float:
    """Return the IoU after that many clicks, or after the last one if there were fewer."""
    return score.clicks[min(number, len(score.clicks)) - 1]


def clicks_needed(score: Score, goal: float, max_clicks: int) -> int:
    """Return the number of clicks until ``goal`` is reached, ``max_clicks`` if it never is."""
    return next((i for i, value in enumerate(score.clicks, 1) if value >= goal), max_clicks)


def table_row(name: str, scores: Sequence[Score], max_clicks: int) -> str:
    """Return a row of the table."""

    def mean(values: Sequence[float]) -> float:
        return float(np.mean(values)) if values else float("nan")

    further = [second for s in scores for second in s.further_seconds]
    further_clock = [second for s in scores for second in s.further_clock]
    return (
        f"| {name} | {len(scores)} | {mean([s.clicks[0] for s in scores]):.3f} "
        f"| {mean([s.best for s in scores]):.3f} "
        f"| {mean([iou_after(s, 3) for s in scores]):.3f} | {mean([s.box for s in scores]):.3f} "
        f"| {mean([s.boundary for s in scores]):.3f} "
        f"| {mean([clicks_needed(s, 0.85, max_clicks) for s in scores]):.1f} "
        f"| {mean([clicks_needed(s, 0.9, max_clicks) for s in scores]):.1f} "
        f"| {mean([s.first_seconds for s in scores]):.2f} | {mean(further):.2f} "
        f"| {mean([s.clock_seconds[0] for s in scores]):.2f} "
        f"| {mean([s.clock_seconds[1] for s in scores]):.2f} | {mean(further_clock):.3f} |"
    )


def draw_sheet(scores: Sequence[Score], path: Path) -> None:
    """Draw photo with click | truth | prediction for each item."""
    rows = []
    for score in scores:
        photo = score.item.image.copy()
        cv2.circle(photo, score.item.click, max(3, photo.shape[1] // 100), (255, 0, 0), -1)
        masked = [
            np.where(mask[..., None], photo, photo // 4) for mask in (score.item.truth, score.mask)
        ]
        rows.append(np.hstack([_tile(picture) for picture in (photo, *masked)]))
        label = f"{score.item.name} {score.clicks[0]:.2f}"
        cv2.putText(rows[-1], label, (5, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 255, 0), 1)
    cv2.imwrite(str(path), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


def _tile(picture: Image) -> Image:
    scale = min(TILE_HEIGHT / picture.shape[0], 1.5 * TILE_HEIGHT / picture.shape[1])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    tile: NDArray[np.uint8] = np.zeros((TILE_HEIGHT, round(1.5 * TILE_HEIGHT), 3), np.uint8)
    tile[: small.shape[0], : small.shape[1]] = small
    return tile


@click.command(help=__doc__)
@click.option("--detector", default="builtin", show_default=True)
@click.option("--set", "sets", multiple=True, default=SETS, show_default=True)
@click.option("--limit", default=None, type=int, help="Photos per set.")
@click.option("--part", default="all", type=click.Choice(["all", "even", "odd"]))
@click.option("--shrink", default=None, type=int, help="Length of the shrunk objects, px.")
@click.option("--clicks", default=20, show_default=True, help="Maximum number of clicks.")
@click.option(
    "--sheets", type=click.Path(path_type=Path), help="Folder for sheets of the worst ten."
)
def main(
    detector: str,
    sets: Sequence[str],
    limit: int | None,
    part: str,
    shrink: int | None,
    clicks: int,
    sheets: Path,
) -> None:
    root = os.environ.get("S2I_EVAL")
    if not root:
        raise click.UsageError("set S2I_EVAL to the folder of the photos with truth")
    tool: Detector = PlainGrabCut() if detector == "plain" else detect.load(detector)
    click.echo(
        "| set | photos | 1 click | best granularity | 3 clicks | box | boundary F | NoC85 "
        "| NoC90 | CPU s | CPU s, next | wall s | wall s, box | wall s, next |"
    )
    click.echo("|---" * 14 + "|")
    for name in sets:
        chosen = list(read_items(Path(root) / name, part))[:limit]
        if shrink:
            chosen = list(shrink_items(chosen, shrink))
        scores = [score_item(tool, item, clicks) for item in chosen]
        click.echo(table_row(name, scores, clicks))
        if sheets:
            sheets.mkdir(parents=True, exist_ok=True)
            draw_sheet(sorted(scores, key=lambda s: s.clicks[0])[:10], sheets / f"{name}.png")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    click.echo(f"\npeak memory {peak:.0f} MB")


if __name__ == "__main__":
    main()
