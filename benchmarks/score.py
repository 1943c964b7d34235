"""Put removals by several tools in one table, and measure what the figures of ``score`` tell.

    S2I_EVAL=FOLDER python benchmarks/score.py [--part even|odd|all] [--faults]

The pairs of the sets removal_photos and removal_static are filled by each method, in the mask of
object and shadow, and scored with the clean photo. LaMa's published results (the set
lama_reference) are scored beside the same methods, without a clean photo. Below stand Kendall's
tau of each figure with ``undone`` among the results of one photo, and the area under the ROC curve
between good results (``undone`` of at least 0.75) and bad ones.

``--faults`` prints how well each figure tells the faults of ``faults.py`` from true pictures. The
constants of ``verify.coherence`` were chosen on the even part.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from faults import BinaryMask, Image, cases, load_scenes
from fill import Item, load_items
from fill_methods import METHODS
from verify import ROOT, auc

from segment2inpaint import Score, score
from segment2inpaint.networks.click import shipped_click_network
from segment2inpaint.types import bounding_box
from segment2inpaint.verify import coherence

PAIRED_SETS, LAMA_SET = ["removal_photos", "removal_static"], "lama_reference"
FILLS = ("guided", "exemplar", "migan", "telea", "ns")
GOOD = 0.75  # of the object's change undone
MIN_DIFFERENCE = 0.02  # of ``undone``; smaller ones are no order
SIGNS = {"feature_similarity": 1, "window_distance": -1, "novelty": -1}  # 1: higher is better
REFERENCE_FIGURES = ("psnr", "ssim", "undone")


@dataclass(frozen=True)
class Row:
    """The score of one tool's result for one photo."""

    photo: str
    tool: str
    score: Score


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--part", choices=("all", "even", "odd"), default="odd")
    parser.add_argument("--faults", action="store_true", help="also measure the made faults")
    args = parser.parse_args()
    if "S2I_EVAL" not in os.environ:
        raise SystemExit("set S2I_EVAL to the folder of the evaluation photos")
    pairs = [row for item in load_items(PAIRED_SETS, args.part) for row in score_item(item)]
    print_table("pairs", pairs, (*SIGNS, *REFERENCE_FIGURES))
    print_agreement("all results", pairs)
    print_agreement("fills alone", [row for row in pairs if row.tool in FILLS])
    lama = [row for item in load_items([LAMA_SET], "all") for row in score_item(item)]
    print_table(LAMA_SET, lama, tuple(SIGNS))
    if args.faults:
        print_faults(args.part)


def score_item(item: Item) -> Iterator[Row]:
    """Yield the scores of all results of a photo."""
    is_pair = item.group != LAMA_SET
    for tool, result in results(item, is_pair=is_pair):
        clean = item.truth if is_pair else None
        yield Row(item.name, tool, score(item.image, result, mask=item.mask, clean=clean))


def results(item: Item, *, is_pair: bool) -> Iterator[tuple[str, Image]]:
    """Yield each tool's result; LaMa's are as published, the others change the mask alone."""
    hole = item.mask[..., None]
    if is_pair:
        yield "clean photo", np.where(hole, item.truth, item.image)
    else:
        yield "LaMa", item.truth
    for name in FILLS:
        yield name, np.where(hole, METHODS[name]()(item.image, item.mask), item.image)
    yield "not removed", item.image


# --- tables -----------------------------------------------------------------------------------


def print_table(title: str, rows: Sequence[Row], figures: Sequence[str]) -> None:
    """Print the mean figures and the verdicts of each tool."""
    print(f"\n{title}: {len({row.photo for row in rows})} photos\n")
    heads = [figure.replace("_", " ") for figure in figures]
    print(f"| | {' | '.join(heads)} | clean / doubtful / failed | changed outside |")
    print("|---" * (len(figures) + 3) + "|")
    for tool in dict.fromkeys(row.tool for row in rows):
        scores = [row.score for row in rows if row.tool == tool]
        means = [f"{np.mean([getattr(s, figure) for s in scores]):.2f}" for figure in figures]
        verdicts = Counter(s.verdict for s in scores)
        counts = " / ".join(str(verdicts[v]) for v in ("clean", "doubtful", "failed"))
        outside = sum(s.changed_outside for s in scores)
        print(f"| {tool} | {' | '.join(means)} | {counts} | {outside} |")


def print_agreement(title: str, rows: Sequence[Row]) -> None:
    """Print how well each figure agrees with ``undone``."""
    good = [(row.score.undone or 0.0) >= GOOD for row in rows]
    print(f"\n{title}: {sum(good)} of {len(rows)} are good\n")
    for figure, sign in SIGNS.items():
        values = [sign * getattr(row.score, figure) for row in rows]
        bad_values, good_values = (
            [v for v, g in zip(values, good, strict=True) if g is wanted]
            for wanted in (False, True)
        )
        tau = kendall(rows, values)
        print(f"{figure:<20}Kendall's tau {tau:.2f}, AUC {auc(good_values, bad_values):.2f}")


def kendall(rows: Sequence[Row], values: Sequence[float]) -> float:
    """Return Kendall's tau between values and ``undone`` over the pairs of results of one photo."""
    ranked = [(row, row.score.undone or 0.0, v) for row, v in zip(rows, values, strict=True)]
    signs = [
        np.sign(undone - other_undone) * np.sign(value - other_value)
        for (row, undone, value), (other, other_undone, other_value) in combinations(ranked, 2)
        if row.photo == other.photo and abs(undone - other_undone) > MIN_DIFFERENCE
    ]
    return float(np.mean(signs))


# --- made faults ------------------------------------------------------------------------------


def print_faults(part: str) -> None:
    """Print the area under the ROC curve of each figure for each fault."""
    scenes = load_scenes(ROOT / "samples", Path(os.environ["S2I_EVAL"]))
    start, step = {"all": (0, 1), "even": (0, 2), "odd": (1, 2)}[part]
    values: dict[str, list[dict[str, float]]] = {}
    for index in range(start, len(scenes), step):
        for case in cases(scenes[index], scenes, index):
            values.setdefault(case.fault, []).append(figures_of(case.after, case.alpha > 0))
    print(f"\nAUC of true pictures and faults, {len(values['truth'])} scenes\n")
    print(f"| | {' | '.join(figure.replace('_', ' ') for figure in SIGNS)} |")
    print("|---" * (len(SIGNS) + 1) + "|")
    for fault, found in values.items():
        areas = [
            auc([v[figure] for v in values["truth"]], [v[figure] for v in found])
            for figure in SIGNS
        ]
        if fault != "truth":
            print(f"| {fault} | {' | '.join(f'{area:.2f}' for area in areas)} |")


def figures_of(image: Image, hole: BinaryMask) -> dict[str, float]:
    """Return the figures of ``verify.coherence``, higher is better."""
    features = coherence.hole_features(image, hole, bounding_box(hole), shipped_click_network())
    return {
        figure: sign * (getattr(coherence, figure)(features) or 0.0)
        for figure, sign in SIGNS.items()
    }


if __name__ == "__main__":
    main()
