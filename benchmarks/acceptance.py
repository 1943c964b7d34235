"""Fit and measure the probability that a person accepts a removal.

    S2I_EVAL=FOLDER python benchmarks/acceptance.py [--labelled FOLDER] [--outcomes FILE]
                                                    [--plot PNG]

The scenes are those of ``verify.py``, half for tuning and half held out. Outcomes of a scene are
its true picture, the made faults, fills of its mask by several inpainters, and removals by a click
and by a box with all defaults. An outcome is good if it is the truth, or if a person would take it
for the truth: it is near it by the features of the click encoder, and most of the object's change
is undone. That limit was chosen by looking at the pictures of the tuning half.

The weights of ``segment2inpaint.verify.acceptance`` are fitted on the tuning half and on
composites of ``--labelled`` (photos NAME.jpg with masks NAME.png), and printed. All other figures
are those of the other half with the package's own weights. ``--outcomes`` keeps the outcomes in a
file, and reads them if it is there. ``--plot`` draws how often results of each probability are
good.
"""

from __future__ import annotations

import argparse
import os
import pickle
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import faults
import numpy as np
from faults import BinaryMask, Image, Scene, cases, composite_scenes, load_scenes
from numpy.typing import NDArray
from scipy.optimize import minimize
from verify import ROOT, GivenMaskDetector, auc

from segment2inpaint import Editor, inpaint
from segment2inpaint.attempts import SEED_STEP
from segment2inpaint.errors import Segment2InpaintError
from segment2inpaint.images import photo_from_array
from segment2inpaint.judgement import Check
from segment2inpaint.masks import deepest_point
from segment2inpaint.networks.click import shipped_click_network
from segment2inpaint.pipeline import Pipeline
from segment2inpaint.types import Fill, Points, Refine, Request, UserMask, bounding_box
from segment2inpaint.verify import acceptance, checks, coherence
from segment2inpaint.verify.reference import undone

MAX_DISTANCE, MIN_UNDONE = 0.33, 0.5  # of a fill that a person would accept
LABELLED_COUNT = 120  # composites of labelled photos
SEEDS = tuple(("guided", number * SEED_STEP) for number in range(4))
WAYS = ("telea", 0), ("ns", 0), ("exemplar", 0), SEEDS[0]
FILLS = tuple(dict.fromkeys((*WAYS, *SEEDS)))
FILL_FAULTS = ("smear", "repeats")  # made faults that a person may not see: judged as fills are
SHARES = {"truth": 1.0, "fault": 1.0, "shadow": 0.3, "fill": 1.0, "run": 3.0}  # of the fit's weight
# The scenes are cropped around their objects: they cannot show what ``coverage`` means.
FITTED = [name for name in acceptance.WEIGHTS if name != "coverage"]
FOLDS = 10  # of the cross-validation, by scenes
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """A result: its scene, its kind (of ``SHARES``) and name, its checks' logits, and its truth.

    ``distance`` is that of its features to the truth's.
    """

    scene: str
    kind: str
    name: str
    logits: dict[str, float]
    has_failed_check: bool
    good: bool
    distance: float


# --- outcomes ---------------------------------------------------------------------------------


def outcomes(scene: Scene, scenes: Sequence[Scene], index: int) -> Iterator[Outcome]:
    """Yield the outcomes of a scene of the evaluation folder."""
    for case in cases(scene, list(scenes), index):
        found = checks.check_removal(
            case.before, case.after, case.alpha, case.mask, [bounding_box(case.alpha > 0)]
        )
        kind = case.fault if case.fault in ("truth", "shadow") else "fault"
        if case.fault in FILL_FAULTS:
            hole = case.alpha > 0
            yield compared(scene, "fill", case.fault, case.before, case.after, hole, found)
        else:
            yield outcome(scene, kind, case.fault, found, good=kind == "truth")
    mask = scene.mask if scene.is_composite else scene.effect
    for name, seed in FILLS:
        pipeline = Pipeline(GivenMaskDetector(), inpaint.load(name), attempts=1)  # type: ignore[arg-type]
        result = pipeline(
            photo_from_array(scene.before), [UserMask(mask)], Refine(shadow=False), Fill(seed=seed)
        )
        yield compared(
            scene, "fill", f"{name} {seed}", scene.before, result.image, result.alpha > 0,
            result.checks,
        )  # fmt: skip
    yield from runs(scene, index)


def runs(scene: Scene, index: int) -> Iterator[Outcome]:
    """Yield removals by a click and by a box; every other composite has a shadow."""
    has_shadow = scene.shadowed is not None and index // 2 % 2 == 0
    before = scene.shadowed[0] if scene.shadowed and has_shadow else scene.before
    effect = scene.effect if has_shadow or not scene.is_composite else scene.mask
    editor, click = Editor(), Points((deepest_point(scene.mask),))
    for name, prompt, refine in (
        ("click", click, Refine()),
        ("click, no shadow", click, Refine(shadow=False)),
        ("box", bounding_box(scene.mask), Refine()),
    ):
        request = Request((prompt,), refine, attempts=1)
        try:
            result = editor.run(photo_from_array(before), request)
        except Segment2InpaintError:
            continue
        hole = result.alpha > 0
        found = checks.check_removal(
            before, result.image, result.alpha, result.mask, [bounding_box(hole)],
            prompts=(prompt,), seen_in=[d.seen_in for d in result.detections if d.seen_in],
        )  # fmt: skip
        yield compared(scene, "run", name, before, result.image, hole | effect, found)


def compared(
    scene: Scene, kind: str, name: str, before: Image, after: Image, region: BinaryMask,
    found: Sequence[Check],
) -> Outcome:  # fmt: skip
    """Return an outcome that is good if it is near the truth in ``region``."""
    distance = feature_distance(after, scene.clean, region)
    near = cv2.dilate(region.astype(np.uint8), np.ones((9, 9))) > 0
    share = undone(before, after, scene.clean, near) or 0.0
    good = distance < MAX_DISTANCE and share > MIN_UNDONE
    return outcome(scene, kind, name, found, good=good, distance=distance)


def feature_distance(after: Image, clean: Image, region: BinaryMask) -> float:
    """Return the mean squared distance of the features of both pictures in a region."""
    network, box = shipped_click_network(), bounding_box(region)
    a, b = (coherence.hole_features(image, region, box, network) for image in (after, clean))
    squares = np.square(a.values - b.values).sum(2)
    return float(squares[a.hole].mean())


def outcome(
    scene: Scene, kind: str, name: str, found: Sequence[Check], *, good: bool, distance: float = 0.0
) -> Outcome:
    logits = {check.name: acceptance.clipped_logit(check) for check in found}
    failed = any(check.failed for check in found)
    return Outcome(scene.name, kind, name, logits, failed, good, distance)


def labelled_outcomes(folder: Path, work: Path) -> Iterator[Outcome]:
    """Yield removals from composites of labelled photos, whose folders are linked in ``work``."""
    for mask in sorted(folder.rglob("*.png")):
        item = work / "labelled" / mask.stem
        item.mkdir(parents=True, exist_ok=True)
        for source, name in ((mask, "mask.png"), (mask.with_suffix(".jpg"), "image.jpg")):
            (item / name).unlink(missing_ok=True)
            (item / name).symlink_to(source.resolve())
    faults.OBJECT_SETS = faults.BACKGROUND_SETS = ("labelled",)  # type: ignore[assignment]
    faults.COMPOSITE_COUNT = LABELLED_COUNT
    for index, scene in enumerate(composite_scenes(work)):
        yield from runs(scene, index)


def read_outcomes(
    scenes: Sequence[Scene], labelled: Path | None, file: Path | None
) -> tuple[list[Outcome], list[Outcome]]:
    """Return the outcomes for the fit, and those that are held out."""
    if file and file.exists():
        stored: tuple[list[Outcome], list[Outcome]] = pickle.loads(file.read_bytes())
        return stored
    halves: tuple[list[Outcome], list[Outcome]] = [], []
    for index, scene in enumerate(scenes):
        halves[index % 2].extend(outcomes(scene, scenes, index))
    if labelled:
        with tempfile.TemporaryDirectory() as work:
            halves[0].extend(labelled_outcomes(labelled, Path(work)))
    if file:
        file.write_bytes(pickle.dumps(halves))
    return halves


# --- the fit ----------------------------------------------------------------------------------


def fit(tuning: Sequence[Outcome]) -> None:
    """Print the weights, the bias, the usual logits and the verdicts that the outcomes give.

    Weights and bias are scaled so that the probability of fills and runs is right.
    """
    made = [o for o in tuning if is_made(o)]
    crossed, good = crossed_logits(tuning), good_of(made)
    factor, shift = calibration(crossed, good)
    found = factor * fitted(tuning)
    print(f"WEIGHTS = {{{by_name(found[:-1])}}}\nBIAS = {found[-1] + shift:.2f}")
    print(f"USUAL_LOGITS = {{{by_name(np.median(logits_of(made)[good], 0))}}}")
    report_levels(made, sigmoid(factor * crossed + shift))


def fitted(tuning: Sequence[Outcome]) -> FloatArray:
    """Return the weights and the bias of a logistic regression; no weight is below 0."""
    rows, good, weights = logits_of(tuning), good_of(tuning), fit_weights(tuning)

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        logits = parameters[-1] - rows @ parameters[:-1]
        error = weights * (sigmoid(logits) - good)
        ridge = 1e-3 * parameters[:-1]
        value = (weights * np.logaddexp(0, np.where(good, -logits, logits))).sum()
        return value + ridge @ parameters[:-1], np.append(2 * ridge - rows.T @ error, error.sum())

    bounds = [(0, None)] * len(FITTED) + [(None, None)]
    start = np.append(np.full(len(FITTED), 0.3), 1.0)
    found: FloatArray = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    return found


def crossed_logits(tuning: Sequence[Outcome]) -> FloatArray:
    """Return the logits of fills and runs by models that were fitted without their scenes."""
    fold = {scene: i % FOLDS for i, scene in enumerate(dict.fromkeys(o.scene for o in tuning))}
    models = [fitted([o for o in tuning if fold[o.scene] != k]) for k in range(FOLDS)]
    made = [o for o in tuning if is_made(o)]
    rows = zip((models[fold[o.scene]] for o in made), logits_of(made), strict=True)
    return np.array([model[-1] - row @ model[:-1] for model, row in rows])


def calibration(logits: FloatArray, good: NDArray[np.bool_]) -> FloatArray:
    """Return the factor and the shift of logits that make their probabilities right.

    After Platt (1999).
    """
    signs = np.where(good, -1, 1)

    def loss(parameters: FloatArray) -> float:
        return float(np.logaddexp(0, signs * (parameters[0] * logits + parameters[1])).mean())

    found: FloatArray = minimize(loss, [1.0, 0.0]).x
    return found


def report_levels(made: Sequence[Outcome], p: FloatArray) -> None:
    """Print what each probability to call a result clean or failed would mean."""
    passed, good = np.array([not o.has_failed_check for o in made]), good_of(made)
    print(f"\n{'level':<14}{'results':>8}{'good':>6}{'of all good':>13}   (cross-validated)")
    levels = [(f"from {level:.2f}", passed & (p >= level)) for level in np.arange(0.6, 0.91, 0.05)]
    levels += [(f"below {level:.2f}", p < level) for level in (0.05, 0.1, 0.15, 0.2)]
    for name, chosen in levels:
        share = (good & chosen).sum() / good.sum()
        print(f"{name:<14}{chosen.sum():>8}{good[chosen].mean():>6.0%}{share:>13.0%}")


def is_made(found: Outcome) -> bool:
    """Return whether an inpainter made the outcome."""
    return found.kind in ("fill", "run")


def by_name(values: FloatArray) -> str:
    """Return the values of the checks as the entries of a dict."""
    return ", ".join(f'"{name}": {value:.2f}' for name, value in zip(FITTED, values, strict=True))


def logits_of(found: Sequence[Outcome]) -> FloatArray:
    return np.array([[o.logits[name] for name in FITTED] for o in found])


def good_of(found: Sequence[Outcome]) -> NDArray[np.bool_]:
    return np.array([o.good for o in found])


def fit_weights(found: Sequence[Outcome]) -> FloatArray:
    """Return weights by which each kind has its share of ``SHARES``."""
    kinds = [o.kind for o in found]
    weights = np.array([SHARES[kind] / kinds.count(kind) for kind in kinds])
    return np.asarray(weights / weights.sum())


def probabilities(found: Sequence[Outcome]) -> FloatArray:
    """Return the package's probabilities."""
    weights = np.array([acceptance.WEIGHTS[name] for name in FITTED])
    return sigmoid(acceptance.BIAS - logits_of(found) @ weights)


def sigmoid(logits: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + np.exp(-logits)))


# --- the report -------------------------------------------------------------------------------


def report(held_out: Sequence[Outcome]) -> None:
    """Print areas under the ROC curve, and how good the results of each verdict are."""
    groups: dict[str, Sequence[Outcome]] = {"all": held_out}
    for kind in ("fill", "run"):
        groups[kind + "s"] = [o for o in held_out if o.kind == kind]
    for name in dict.fromkeys(o.name for o in held_out if o.kind in ("fault", "shadow")):
        groups[name] = [o for o in held_out if o.name in ("truth", name)]
    print(f"\n{'':<18}{'results':>8}{'good':>6}{'AUC':>7}")
    for name, found in groups.items():
        good, p = good_of(found), probabilities(found)
        area = auc(list(p[good]), list(p[~good]))
        print(f"{name:<18}{len(found):>8}{good.mean():>6.0%}{area:>7.3f}")
    print(f"\n{'runs and fills':<18}{'results':>8}{'good':>6}{'of all good':>13}")
    made = [o for o in held_out if is_made(o)]
    verdicts = np.array([verdict_of(o) for o in made])
    for verdict in ("clean", "doubtful", "failed"):
        good = good_of(made)[verdicts == verdict]
        share = good.sum() / max(1, good_of(made).sum())
        print(f"{verdict:<18}{len(good):>8}{good.mean():>6.0%}{share:>13.0%}")


def verdict_of(found: Outcome) -> str:
    (probability,) = probabilities([found])
    if found.has_failed_check or probability < acceptance.FAILED_PROBABILITY:
        return "failed"
    return "clean" if probability >= acceptance.CLEAN_PROBABILITY else "doubtful"


def report_ranking(held_out: Sequence[Outcome]) -> None:
    """Print how often the candidate that ranks first is nearer the truth than their mean."""
    print("\nbest of four by rank, by the distance of features to the truth")
    for title, fills in (("four seeds", SEEDS), ("four ways", WAYS)):
        names = [f"{name} {seed}" for name, seed in fills]
        nearer, first = [], []
        for scene in dict.fromkeys(o.scene for o in held_out):
            four = [o for o in held_out if o.scene == scene and o.name in names]
            if len(four) == len(names):
                best = four[int(probabilities(four).argmax())].distance
                nearer.append(best < np.mean([o.distance for o in four]))
                first.append(best == min(o.distance for o in four))
        print(
            f"  {title:<12}nearer than the mean {np.mean(nearer):.0%}, first {np.mean(first):.0%}"
        )


def draw_reliability(held_out: Sequence[Outcome], file: Path) -> None:
    """Draw the share of good results against the probability, of runs and fills."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    made = [o for o in held_out if is_made(o)]
    p, good = probabilities(made), good_of(made)
    edges = np.linspace(0, 1, 11)
    figure, axes = pyplot.subplots(figsize=(5, 5))
    axes.plot([0, 1], [0, 1], color="#999", linewidth=1)
    for low, high in pairwise(edges):
        inside = (p >= low) & ((p < high) | (high == 1))
        if inside.any():
            share, count = good[inside].mean(), int(inside.sum())
            error = np.sqrt(max(share * (1 - share), 0.25 / count) / count)
            axes.errorbar(p[inside].mean(), share, error, fmt="o", color="#27a")
            axes.annotate(f" {count}", (p[inside].mean(), share), fontsize=8)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability", ylabel="share of good results")
    axes.set_title("Held-out removals and fills, with their numbers", fontsize=10)
    figure.tight_layout()
    figure.savefig(file, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--labelled", type=Path, help="folder of labelled photos, for the fit")
    parser.add_argument("--outcomes", type=Path, metavar="FILE", help="keep the outcomes here")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the reliability")
    args = parser.parse_args()
    if "S2I_EVAL" not in os.environ:
        raise SystemExit("set S2I_EVAL to the folder of the evaluation photos")
    scenes = load_scenes(ROOT / "samples", Path(os.environ["S2I_EVAL"]))
    tuning, held_out = read_outcomes(scenes, args.labelled, args.outcomes)
    fit(tuning)
    report(held_out)
    report_ranking(held_out)
    if args.plot:
        draw_reliability(held_out, args.plot)


if __name__ == "__main__":
    main()
