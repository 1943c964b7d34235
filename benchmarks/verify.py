"""Measure how well the checks of ``segment2inpaint.verify`` tell faulty removals from sound ones.

    S2I_EVAL=FOLDER python benchmarks/verify.py [--runs N]

Every other scene of each kind is for tuning: logistic weights and thresholds are fitted on this
half, and printed as ``segment2inpaint.verify.checks.CHECK_SPECS`` lists them. All other figures
are those of the other half, with the package's weights and thresholds.

``--runs`` removes the object from N photos, by a click, its box and its mask, and prints which
share of the whole run (read, find, fill, verify, write) is verification.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import mean

import numpy as np
from faults import (
    BinaryMask,
    Case,
    Scene,
    cases,
    load_scenes,
    read_mask,
    unedited_cases,
)
from numpy.typing import NDArray

from segment2inpaint import Editor, images
from segment2inpaint.effects import shadow
from segment2inpaint.judgement import DOUBTFUL_SCORE
from segment2inpaint.masks import deepest_point
from segment2inpaint.types import (
    Detection,
    Points,
    Prompt,
    Request,
    UserMask,
    bounding_box,
)
from segment2inpaint.verify import checks as verify
from segment2inpaint.verify.hole_view import hole_view

ROOT = Path(__file__).parent.parent
FAULTS = {
    "leftover": ("leftover rim", "leftover part", "leftover most"),
    "ghost": ("ghost",),
    "stranger": ("pasted",),
    "seam": ("seam hard", "seam soft"),
    "smear": ("smear",),
    "repeats": ("repeats",),
    "coherence": ("smear", "ghost", "pasted", "repeats", "leftover most"),
}
FALSE_DOUBT_RATE, FALSE_FAILURE_RATE = 0.07, 0.01  # of sound results, tuning half
LOGIT_MARGIN = 0.5  # added to the threshold, since there are few scenes to tune on
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Evaluation:
    """A case, and what the checks return for it."""

    scene: str
    fault: str
    tuning: bool
    measurements: dict[str, tuple[float, ...]]
    scores: dict[str, float]
    thresholds: dict[str, float]

    @property
    def failed(self) -> list[str]:
        return [name for name, score in self.scores.items() if score >= self.thresholds[name]]

    @property
    def clean(self) -> bool:
        return all(score < DOUBTFUL_SCORE for score in self.scores.values())


def evaluate(case: Case, tuning: bool) -> Evaluation:
    """Run the checks on a case."""
    box = bounding_box(case.alpha > 0)
    checks = verify.check_removal(case.before, case.after, case.alpha, case.mask, [box])
    view = hole_view(case.before, case.after, case.alpha, case.mask, box)
    view = verify.with_rest(view, case.before, case.mask)
    return Evaluation(
        case.scene, case.fault, tuning,
        {name: spec.measure(view).numbers for name, spec in verify.CHECK_SPECS.items()},
        {check.name: check.score for check in checks},
        {check.name: check.threshold for check in checks},
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=0, metavar="N", help="number of photos to time")
    args = parser.parse_args()
    if "S2I_EVAL" not in os.environ:
        raise SystemExit("set S2I_EVAL to the folder of the evaluation photos")
    scenes = load_scenes(ROOT / "samples", Path(os.environ["S2I_EVAL"]))
    results = [evaluate(c, i % 2 == 0) for i, s in enumerate(scenes) for c in cases(s, scenes, i)]
    for name in FAULTS:
        fit_check(name, results)
    for name in ("background", "detail"):
        fit_constant(name, results)
    report(results)
    report_leftovers(list(unedited_cases(Path(os.environ["S2I_EVAL"]))))
    report_shadows(scenes)
    if args.runs:
        measure_verification_share(args.runs)


def auc(faulty: list[float], sound: list[float]) -> float:
    """Return the area under the ROC curve: how often a faulty result has the higher score."""
    faulty_scores, sound_scores = np.array(faulty)[:, None], np.array(sound)
    return float((faulty_scores > sound_scores).mean() + (faulty_scores == sound_scores).mean() / 2)


def fit_check(name: str, results: list[Evaluation]) -> None:
    """Print the weights, constant and threshold that the tuning half gives."""
    tuning = [e for e in results if e.tuning]
    faulty = np.array([e.measurements[name] for e in tuning if e.fault in FAULTS[name]])
    sound = np.array([e.measurements[name] for e in tuning if e.fault == "truth"])
    weights = logistic(faulty, sound)
    totals, faulty_totals = sound @ weights, faulty @ weights
    constant = -float(np.quantile(totals, 1 - FALSE_DOUBT_RATE))
    # If faulty and sound totals lie far apart, the threshold lies in the middle between them.
    limit = float(np.quantile(totals, 1 - FALSE_FAILURE_RATE)) + LOGIT_MARGIN
    limit = max(limit, (limit + float(np.quantile(faulty_totals, 0.05))) / 2)
    threshold = float(1 / (1 + np.exp(-(limit + constant))))
    weight_text = ", ".join(f"{w:.2f}" for w in weights)
    print(f"{name:<10} ({weight_text}), {constant:.2f}, {min(threshold, 0.97):.2f}")


def fit_constant(name: str, results: list[Evaluation]) -> None:
    """Print the constant of a check that fails no result: its weight is 1."""
    sound = [e.measurements[name][0] for e in results if e.tuning and e.fault == "truth"]
    print(f"{name:<10} (1.00), {-np.quantile(sound, 1 - FALSE_DOUBT_RATE):.2f}")


def logistic(faulty: FloatArray, sound: FloatArray) -> FloatArray:
    """Return the weights of a logistic regression with balanced classes (Newton's method)."""
    rows = np.vstack([faulty, sound])
    scale = rows.std(0) + 1e-9
    rows = np.column_stack([rows / scale, np.ones(len(rows))])
    truth = np.repeat([1.0, 0.0], [len(faulty), len(sound)])
    sample_weights = np.repeat([0.5 / len(faulty), 0.5 / len(sound)], [len(faulty), len(sound)])
    weights, ridge = np.zeros(rows.shape[1]), np.diag([0.01] * (rows.shape[1] - 1) + [1e-6])
    for _ in range(50):
        predicted = 1 / (1 + np.exp(-rows @ weights))
        gradient = rows.T @ (sample_weights * (predicted - truth)) + ridge @ weights
        hessian = (rows.T * (sample_weights * predicted * (1 - predicted))) @ rows + ridge
        weights -= np.linalg.solve(hessian, gradient)
    return np.asarray(weights[:-1] / scale, np.float64)


def report(results: list[Evaluation]) -> None:
    """Print area under the ROC curve, failures and clean passes for each fault."""
    held_out = [e for e in results if not e.tuning]
    sound = [e for e in held_out if e.fault == "truth"]
    print(f"\n{'fault':<15}{'cases':>6}{'AUC':>7}{'failed':>8}{'clean':>7}   by")
    for fault in dict.fromkeys(e.fault for e in results):
        selected = [e for e in held_out if e.fault == fault]
        name = next((n for n, faults in FAULTS.items() if fault in faults), fault)
        auc_ = "" if fault == "truth" else f"{auc(scores(selected, name), scores(sound, name)):.3f}"
        causes = Counter(name for e in selected for name in e.failed)
        rates = mean(bool(e.failed) for e in selected), mean(e.clean for e in selected)
        print(
            f"{fault:<15}{len(selected):>6}{auc_:>7}{rates[0]:>8.0%}{rates[1]:>7.0%}   "
            f"{dict(causes)}"
        )


def scores(evaluations: list[Evaluation], name: str) -> list[float]:
    return [e.scores[name] for e in evaluations]


def report_leftovers(photos: list[Case]) -> None:
    """Print how well leftovers are found in unedited, cluttered photos, which were not fitted."""
    spec, scores_by_fault = verify.CHECK_SPECS["leftover"], dict[str, list[float]]()
    for case in photos:
        window = bounding_box(case.alpha > 0)
        view = hole_view(case.before, case.after, case.alpha, case.mask, window)
        view = verify.with_rest(view, case.before, case.mask)
        total = np.dot(spec.weights, spec.measure(view).numbers) + spec.bias
        scores_by_fault.setdefault(case.fault, []).append(float(1 / (1 + np.exp(-total))))
    print("\nleftover, in unedited photos")
    for fault, selected in scores_by_fault.items():
        auc_ = "" if fault == "whole" else f"AUC {auc(selected, scores_by_fault['whole']):.3f}, "
        failed = mean(score >= spec.threshold for score in selected)
        print(f"  {fault:<6}{len(selected):>5} cases, {auc_}failed {failed:.0%}")


def report_shadows(scenes: list[Scene]) -> None:
    """Print shadow masks' IoU with the truth, and the rate of false alarms."""
    print("\nshadow: IoU if requested (with the object), certainty")
    for scene in scenes:
        if scene.name.startswith("rendered"):
            cast = shadow.find_shadow(scene.before, scene.mask)
            own = cast.mask & (cast.certainty >= shadow.REQUESTED_CERTAINTY)
            shadow_iou, combined = iou(own, scene.effect & ~scene.mask), own | scene.mask
            effect_iou = iou(combined, scene.effect)
            print(f"  {scene.name:<18}{shadow_iou:.2f} ({effect_iou:.2f})  {cast.certainty:.2f}")
    composites = [s for i, s in enumerate(scenes) if s.is_composite and i % 2]
    false_alarms = [
        shadow.find_shadow(s.before, s.mask).certainty >= shadow.AUTOMATIC_CERTAINTY
        for s in composites
    ]
    detected = [
        shadow.find_shadow(s.shadowed[0], s.mask).certainty >= shadow.AUTOMATIC_CERTAINTY
        for s in composites
        if s.shadowed
    ]
    print(
        f"  without a shadow: false alarms {mean(false_alarms):.0%}; "
        f"with one: found {mean(detected):.0%}"
    )


def iou(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    return float((first & second).sum() / max(1, (first | second).sum()))


class GivenMaskDetector:
    """A detector that returns the given masks."""

    name = "given"
    prompt_types: tuple[type, ...] = (UserMask,)

    def detect(self, image: object, prompts: list[UserMask]) -> list[Detection]:
        return [Detection(p.mask) for p in prompts]


def measure_verification_share(count: int) -> None:
    """Print verification's share of whole runs, on samples and photos of the evaluation folder."""
    names = json.loads((ROOT / "samples/samples.json").read_text())
    pairs = [(ROOT / f"samples/{name}.jpg", ROOT / f"samples/{name}_mask.png") for name in names]
    folders = sorted(photo.parent for photo in Path(os.environ["S2I_EVAL"]).glob("*/*/mask.png"))
    pairs += [(next(folder.glob("image.*")), folder / "mask.png") for folder in folders]
    selected, editor = pairs[:: max(1, len(pairs) // count)], Editor()
    time_run(editor, selected[0][0], bounding_box(read_mask(selected[0][1])))  # compiles the fill
    print(f"\nshare of verification in {len(selected)} runs")
    print(f"{'':<16}{'total':>8}{'median':>9}{'highest':>9}")
    for inpainter, kind in product(("guided", "exemplar"), ("click", "box", "mask")):
        rows = np.array(
            [
                time_run(editor, photo, make_prompt(kind, read_mask(mask)), inpainter)
                for photo, mask in selected
            ]
        )
        ratios = rows[:, 0] / rows[:, 1]
        total = rows[:, 0].sum() / rows[:, 1].sum()
        name = f"{inpainter}, {kind}"
        print(f"{name:<16}{total:>8.0%}{np.median(ratios):>9.0%}{ratios.max():>9.0%}")


def make_prompt(kind: str, mask: BinaryMask) -> Prompt:
    """Return the prompt by which a user would select the object."""
    if kind == "click":
        return Points((deepest_point(mask),))
    return bounding_box(mask) if kind == "box" else UserMask(mask)


def time_run(
    editor: Editor, path: Path, prompt: Prompt, inpainter: str = "guided"
) -> tuple[float, float]:
    """Return the seconds of the verification, and of the whole run with one attempt."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        photo = images.read(path)
        result = editor.run(photo, Request((prompt,), attempts=1, inpainter=inpainter))
        images.write(Path(folder) / path.name, photo, result.image, result.alpha)
    return result.seconds["verify"], time.perf_counter() - start


if __name__ == "__main__":
    main()
