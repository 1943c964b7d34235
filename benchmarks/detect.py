"""How well a detector finds objects: one click, three clicks, a box, clicks to 85 and 90 %.

Photos with truth are taken from the folder S2I_EVAL: ``SET/ITEM/image.jpg|png``, ``mask.png``,
``meta.json`` with ``click_xy`` (the first click) and ``box_xyxy``. Each next click goes to the
centre of the largest error (the NoC protocol of Xu et al. 2016, at most 20 clicks).

    S2I_EVAL=FOLDER python benchmarks/detect.py --detector grabcut --set berkeley100 --limit 20

``--detector plain`` is OpenCV's grabCut as a script would call it, for comparison. ``--shrink 30``
lays each object, 30 px long, over another photo of the set, ``LARGE`` px long: small things.
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
    Image,
    Point,
    Points,
    Prompt,
    bounding_box,
)

PLAIN = 400, 0.2, 3  # long side in px, radius of the disc round the first click, iterations
SETS = "berkeley100", "davis16_val", "coco_mval_b"
LARGE = 1600  # px, long side of a photo with a small thing in it
TILE = 240  # px, height of a picture in the sheets


@dataclass(frozen=True, eq=False)
class Item:
    """A photo with truth."""

    name: str
    image: Image
    truth: BinaryMask
    click: tuple[int, int]
    box: Box


@dataclass(frozen=True, eq=False)
class Score:
    """What one photo gave. ``clicks``: IoU after each click. ``first`` and ``further`` are CPU
    seconds of clicks, ``clock`` those that passed at the first click and at the box.
    """

    item: Item
    bits: BinaryMask
    clicks: list[float]
    box: float
    boundary: float
    first: float
    clock: tuple[float, float]
    further: list[float] = field(default_factory=list)


def items(folder: Path, part: str) -> Iterator[Item]:
    """The set's items; ``part`` is all, even or odd (by their number)."""
    start, step = {"all": (0, 1), "even": (0, 2), "odd": (1, 2)}[part]
    for place in sorted(p.parent for p in folder.glob("*/mask.png"))[start::step]:
        meta = json.loads((place / "meta.json").read_text())
        photo = next(place.glob("image.*"))
        truth = images.read(place / "mask.png").image[..., 0] > 127
        x, y = meta["click_xy"]
        yield Item(place.name, images.read(photo).image, truth, (x, y), Box(*meta["box_xyxy"]))


def shrunk(some: Sequence[Item], side: int) -> Iterator[Item]:
    """Each object, ``side`` px long, somewhere in the next one's photo."""
    for number, (one, other) in enumerate(zip(some, [*some[1:], *some[:1]], strict=True)):
        dice = np.random.default_rng(number)
        scale = LARGE / max(other.image.shape[:2])
        image = cv2.resize(other.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        scale = side / max(one.box.width, one.box.height)
        size = max(1, round(one.box.width * scale)), max(1, round(one.box.height * scale))
        colours, share = (
            cv2.resize(part, size, interpolation=cv2.INTER_AREA).astype(np.float32)
            for part in (one.image[one.box.slices], one.truth[one.box.slices].astype(np.float32))
        )
        x, y = (int(dice.integers(0, image.shape[1 - i] - size[i])) for i in (0, 1))
        part = image[y : y + size[1], x : x + size[0]]
        part[:] = (part + (colours - part) * share[..., None]).round()
        truth = np.zeros(image.shape[:2], np.bool_)
        truth[y : y + size[1], x : x + size[0]] = share > 0.5
        if truth.any():
            yield Item(one.name, image, truth, deepest_point(truth), Box(*bounding_box(truth)))


class PlainGrabCut:
    """``cv2.grabCut`` from a disc round the first click, or from a box; its rest as it comes."""

    name = "plain"
    prompt_types: tuple[type, ...] = (Points, Box)

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        side, radius, turns = PLAIN
        scale = min(1.0, side / max(image.shape[:2]))
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        (prompt,) = prompts
        trimap = np.full(small.shape[:2], cv2.GC_BGD, np.uint8)
        if isinstance(prompt, Box):
            x0, y0, x1, y1 = (round(v * scale) for v in prompt)
            trimap[y0:y1, x0:x1] = cv2.GC_PR_FGD
        elif isinstance(prompt, Points):
            trimap[:] = cv2.GC_PR_BGD
            first, *_ = prompt.include
            disc = round(radius * min(trimap.shape))
            _round(trimap, first, scale, disc, cv2.GC_PR_FGD)
            for points, value in (prompt.include, cv2.GC_FGD), (prompt.exclude, cv2.GC_BGD):
                for point in points:
                    _round(trimap, point, scale, 3, value)
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.setRNGSeed(0)
        if not (trimap % 2).all() and (trimap % 2).any():
            cv2.grabCut(small, trimap, None, *models, turns, cv2.GC_INIT_WITH_MASK)
        size = image.shape[1], image.shape[0]
        share = cv2.resize((trimap % 2).astype(np.float32), size)
        return [Detection(share > 0.5)]


def _round(trimap: NDArray[np.uint8], at: Point, scale: float, radius: int, value: int) -> None:
    cv2.circle(trimap, (int(at[0] * scale), int(at[1] * scale)), radius, value, -1)


def iou(found: BinaryMask, truth: BinaryMask) -> float:
    """Intersection over union."""
    return float((found & truth).sum() / max((found | truth).sum(), 1))


def boundary_f(found: BinaryMask, truth: BinaryMask) -> float:
    """F measure of the boundaries within 0.75 % of the photo's diagonal (Perazzi et al. 2016)."""
    edges = [_edge(b) for b in (found, truth)]
    reach = max(1, round(0.0075 * float(np.hypot(*truth.shape))))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)
    wide = [cv2.dilate(e.astype(np.uint8), disc) > 0 for e in edges]
    precision = (edges[0] & wide[1]).sum() / max(edges[0].sum(), 1)
    recall = (edges[1] & wide[0]).sum() / max(edges[1].sum(), 1)
    return float(2 * precision * recall / max(precision + recall, 1e-9))


def _edge(bits: BinaryMask) -> BinaryMask:
    edge: BinaryMask = bits & (cv2.erode(bits.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)
    return edge


def next_click(found: BinaryMask, truth: BinaryMask) -> tuple[tuple[int, int], bool]:
    """The innermost point of the largest error, and whether it is on the object."""
    best: tuple[float, tuple[int, int], bool] = (-1.0, (0, 0), True)
    for error, on in ((truth & ~found, True), (found & ~truth, False)):
        padded = np.pad(error.astype(np.uint8), 1)
        depth = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
        if depth[y, x] > best[0]:
            best = float(depth[y, x]), (int(x), int(y)), on
    return best[1], best[2]


def run(detector: Detector, item: Item, most: int) -> Score:
    """One click to ``most`` clicks (fewer once 90 % is reached), and the box."""
    include, exclude = [item.click], list[tuple[int, int]]()
    clicks: list[float] = []
    spent: list[tuple[float, float]] = []
    first = np.zeros_like(item.truth)
    for number in range(most):
        bits, seconds = _found(detector, item, [Points(tuple(include), tuple(exclude))])
        spent.append(seconds)
        clicks.append(iou(bits, item.truth))
        if number == 0:
            first = bits
        if clicks[-1] >= 0.9:
            break
        point, on = next_click(bits, item.truth)
        if point in include + exclude:
            break
        (include if on else exclude).append(point)
    boxed, seconds = _found(detector, item, [item.box])
    box, boundary = iou(boxed, item.truth), boundary_f(first, item.truth)
    (cpu, *further), clock = [one for one, _ in spent], (spent[0][1], seconds[1])
    return Score(item, first, clicks, box, boundary, cpu, clock, further)


def _found(
    detector: Detector, item: Item, prompts: Sequence[Prompt]
) -> tuple[BinaryMask, tuple[float, float]]:
    """The mask; CPU seconds, and seconds that passed."""
    start, clock = time.process_time(), time.perf_counter()
    masks = detector.detect(item.image, prompts)
    seconds = time.process_time() - start, time.perf_counter() - clock
    bits = masks[0].mask if masks else np.zeros_like(item.truth)
    return bits, seconds


def after(score: Score, number: int) -> float:
    """IoU after that many clicks; the last, where fewer were enough."""
    return score.clicks[min(number, len(score.clicks)) - 1]


def needed(score: Score, goal: float, most: int) -> int:
    """Clicks until ``goal`` is reached, ``most`` if it never is."""
    return next((i for i, value in enumerate(score.clicks, 1) if value >= goal), most)


def row(name: str, scores: Sequence[Score], most: int) -> str:
    """A line of the table."""

    def mean(values: Sequence[float]) -> float:
        return float(np.mean(values)) if values else float("nan")

    further = [second for s in scores for second in s.further]
    return (
        f"| {name} | {len(scores)} | {mean([s.clicks[0] for s in scores]):.3f} "
        f"| {mean([after(s, 3) for s in scores]):.3f} | {mean([s.box for s in scores]):.3f} "
        f"| {mean([s.boundary for s in scores]):.3f} "
        f"| {mean([needed(s, 0.85, most) for s in scores]):.1f} "
        f"| {mean([needed(s, 0.9, most) for s in scores]):.1f} "
        f"| {mean([s.first for s in scores]):.2f} | {mean(further):.2f} "
        f"| {mean([s.clock[0] for s in scores]):.2f} | {mean([s.clock[1] for s in scores]):.2f} |"
    )


def sheet(scores: Sequence[Score], path: Path) -> None:
    """Photo with click | truth | found, for each."""
    rows = []
    for score in scores:
        photo = score.item.image.copy()
        cv2.circle(photo, score.item.click, max(3, photo.shape[1] // 100), (255, 0, 0), -1)
        shades = [np.where(b[..., None], photo, photo // 4) for b in (score.item.truth, score.bits)]
        rows.append(np.hstack([_tile(p) for p in (photo, *shades)]))
        label = f"{score.item.name} {score.clicks[0]:.2f}"
        cv2.putText(rows[-1], label, (5, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 255, 0), 1)
    cv2.imwrite(str(path), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


def _tile(picture: Image) -> Image:
    scale = min(TILE / picture.shape[0], 1.5 * TILE / picture.shape[1])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    tile: NDArray[np.uint8] = np.zeros((TILE, round(1.5 * TILE), 3), np.uint8)
    tile[: small.shape[0], : small.shape[1]] = small
    return tile


@click.command(help=__doc__)
@click.option("--detector", default="grabcut", show_default=True)
@click.option("--set", "sets", multiple=True, default=SETS, show_default=True)
@click.option("--limit", default=None, type=int, help="Items of each set.")
@click.option("--part", default="all", type=click.Choice(["all", "even", "odd"]))
@click.option("--shrink", default=None, type=int, help="Px that each object is made long.")
@click.option("--clicks", default=20, show_default=True, help="At most, for the number of clicks.")
@click.option("--sheets", type=click.Path(path_type=Path), help="Folder for the worst ten.")
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
        "| set | photos | 1 click | 3 clicks | box | boundary F | NoC85 | NoC90 | CPU s | s more "
        "| clock s | box |"
    )
    click.echo("|---" * 12 + "|")
    for name in sets:
        chosen = list(items(Path(root) / name, part))[:limit]
        if shrink:
            chosen = list(shrunk(chosen, shrink))
        scores = [run(tool, item, clicks) for item in chosen]
        click.echo(row(name, scores, clicks))
        if sheets:
            sheets.mkdir(parents=True, exist_ok=True)
            sheet(sorted(scores, key=lambda s: s.clicks[0])[:10], sheets / f"{name}.png")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    click.echo(f"\npeak memory {peak:.0f} MB")


if __name__ == "__main__":
    main()
