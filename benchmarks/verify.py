"""How well the checks of ``segment2inpaint.verify`` tell faulty removals from sound ones.

    S2I_EVAL=FOLDER python benchmarks/verify.py [--fills N] [--runs N]

Half of the scenes (every other one of each kind) is for tuning: logistic weights and thresholds
are fitted there and printed as they belong into ``verify.RULES``. All figures are for the other
half, with the weights and thresholds that the package has. ``--fills`` fills N scenes with four
candidates each, of three inpainters and of four seeds of one, and tells whether the ranking finds
one that is nearer to the truth than their mean.
``--runs`` removes the object from N photos, by a click, its box and its mask, and tells what
share of the whole run (read, find, fill, verify, write) is verification.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
from faults import Array, Bits, Case, Scene, alpha_of, bits, cases, cluttered, scenes
from fill_measures import psnr, ssim, texture
from numpy.typing import NDArray

from segment2inpaint import Editor, images, inpaint
from segment2inpaint.attempts import SEED_STEP
from segment2inpaint.effects import cast_shadow, shadow
from segment2inpaint.images import photo_of
from segment2inpaint.masks import deepest_point
from segment2inpaint.pipeline import Pipeline
from segment2inpaint.types import Detection, Fill, Points, Prompt, Request, UserMask, bounding_box
from segment2inpaint.verify import checks as verify

ROOT = Path(__file__).parent.parent
FAULTS = {
    "leftover": ("leftover rim", "leftover part", "leftover most"),
    "ghost": ("ghost",),
    "stranger": ("pasted",),
    "seam": ("seam hard", "seam soft"),
    "smear": ("smear",),
    "repeats": ("repeats",),
}
DOUBTED, FAILED = 0.07, 0.01  # of the sound results of the tuning half
MARGIN = 0.5  # of logit, on top: there are few scenes to tune on
CANDIDATES = {
    "four ways": (("telea", 0), ("ns", 0), ("exemplar", 0), ("exemplar", SEED_STEP)),
    "four seeds": tuple(("exemplar", number * SEED_STEP) for number in range(4)),
}
Rows = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """A case with all that the checks say of it."""

    scene: str
    fault: str
    tuning: bool
    numbers: dict[str, tuple[float, ...]]
    scores: dict[str, float]
    thresholds: dict[str, float]

    @property
    def failed(self) -> list[str]:
        return [name for name, score in self.scores.items() if score >= self.thresholds[name]]

    @property
    def clean(self) -> bool:
        return all(score < verify.DOUBT for score in self.scores.values())


def judged(case: Case, tuning: bool) -> Judged:
    box = bounding_box(case.alpha > 0)
    checks = verify.check_removal(case.before, case.after, case.alpha, case.bits, [box])
    view = verify.view(case.before, case.after, case.alpha, case.bits, box)
    return Judged(
        case.scene, case.fault, tuning,
        {name: rule.look(view).numbers for name, rule in verify.CHECK_SPECS.items()},
        {check.name: check.score for check in checks},
        {check.name: check.threshold for check in checks},
    )  # fmt: skip


def main() -> None:
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    ask.add_argument("--fills", type=int, default=0, metavar="N", help="scenes to fill and rank")
    ask.add_argument("--runs", type=int, default=0, metavar="N", help="photos to run whole")
    asked = ask.parse_args()
    if "S2I_EVAL" not in os.environ:
        raise SystemExit("set S2I_EVAL to the folder of the evaluation photos")
    all_ = scenes(ROOT / "samples", Path(os.environ["S2I_EVAL"]))
    results = [judged(c, i % 2 == 0) for i, s in enumerate(all_) for c in cases(s, all_, i)]
    for name in FAULTS:
        fit(name, results)
    fit_shadow(all_)
    report(results)
    leftovers(list(cluttered(Path(os.environ["S2I_EVAL"]))))
    shadows(all_)
    if asked.fills:
        told = all_[1::2]
        ranks(told[:: max(1, len(told) // asked.fills)])
    if asked.runs:
        shares(asked.runs)


def auc(faulty: list[float], sound: list[float]) -> float:
    """Area under the ROC: how often a faulty result has the higher score."""
    a, b = np.array(faulty)[:, None], np.array(sound)
    return float((a > b).mean() + (a == b).mean() / 2)


def fit(name: str, results: list[Judged]) -> None:
    """Print the weights, constant and threshold that the tuning half asks for."""
    tuning = [j for j in results if j.tuning]
    faulty = np.array([j.numbers[name] for j in tuning if j.fault in FAULTS[name]])
    sound = np.array([j.numbers[name] for j in tuning if j.fault == "truth"])
    weights = logistic(faulty, sound)
    totals, worse = sound @ weights, faulty @ weights
    constant = -float(np.quantile(totals, 1 - DOUBTED))
    # where the two lie far apart, in the middle between them
    most = float(np.quantile(totals, 1 - FAILED)) + MARGIN
    most = max(most, (most + float(np.quantile(worse, 0.05))) / 2)
    threshold = float(1 / (1 + np.exp(-(most + constant))))
    numbers = ", ".join(f"{w:.2f}" for w in weights)
    print(f"{name:<10} ({numbers}), {constant:.2f}, {min(threshold, 0.97):.2f}")


def logistic(faulty: Rows, sound: Rows) -> Rows:
    """Weights of a logistic regression with both classes equal, by Newton's method."""
    rows = np.vstack([faulty, sound])
    scale = rows.std(0) + 1e-9
    rows = np.column_stack([rows / scale, np.ones(len(rows))])
    truth = np.repeat([1.0, 0.0], [len(faulty), len(sound)])
    share = np.repeat([0.5 / len(faulty), 0.5 / len(sound)], [len(faulty), len(sound)])
    weights, ridge = np.zeros(rows.shape[1]), np.diag([0.01] * (rows.shape[1] - 1) + [1e-6])
    for _ in range(50):
        said = 1 / (1 + np.exp(-rows @ weights))
        slope = rows.T @ (share * (said - truth)) + ridge @ weights
        bend = (rows.T * (share * said * (1 - said))) @ rows + ridge
        weights -= np.linalg.solve(bend, slope)
    return weights[:-1] / scale


def report(results: list[Judged]) -> None:
    told = [j for j in results if not j.tuning]
    sound = [j for j in told if j.fault == "truth"]
    print(f"\n{'fault':<15}{'cases':>6}{'AUC':>7}{'failed':>8}{'clean':>7}   by")
    for fault in dict.fromkeys(j.fault for j in results):
        those = [j for j in told if j.fault == fault]
        name = next((n for n, faults in FAULTS.items() if fault in faults), fault)
        area = "" if fault == "truth" else f"{auc(scores(those, name), scores(sound, name)):.3f}"
        by = Counter(name for j in those for name in j.failed)
        rates = mean(bool(j.failed) for j in those), mean(j.clean for j in those)
        print(f"{fault:<15}{len(those):>6}{area:>7}{rates[0]:>8.0%}{rates[1]:>7.0%}   {dict(by)}")


def scores(those: list[Judged], name: str) -> list[float]:
    return [j.scores[name] for j in those]


def fit_shadow(all_: list[Scene]) -> None:
    """Print what the tuning half asks for as ``shadow.MIX``."""
    tuning = [s for i, s in enumerate(all_) if s.made and i % 2 == 0]
    faulty = np.array([logits(s.shadowed[0], s.bits) for s in tuning if s.shadowed])
    sound = np.array([logits(s.before, s.bits) for s in tuning])
    weights = logistic(faulty, sound)
    least = float((sound @ weights).max())  # none without a shadow is found to have one
    constant = float(np.log(shadow.SURE / (1 - shadow.SURE))) - least
    print(f"shadow.MIX ({weights[0]:.2f}, {weights[1]:.2f}, {constant:.2f})")


def logits(image: Array, mask: Bits) -> tuple[float, float]:
    cast = shadow.network(shadow.shadow_input(image, mask).planes, shadow.weights())[1]
    return shadow.logits(cast, cast_shadow.project_outline(image, mask)[1])


def leftovers(photos: list[Case]) -> None:
    """What is left at the edge, where there is more about: nothing was fitted on these."""
    rule, found = verify.CHECK_SPECS["leftover"], dict[str, list[float]]()
    for case in photos:
        window = bounding_box(case.alpha > 0)
        seen = verify.view(case.before, case.after, case.alpha, case.bits, window)
        total = np.dot(rule.weights, rule.look(seen).numbers) + rule.constant
        found.setdefault(case.fault, []).append(float(1 / (1 + np.exp(-total))))
    print("\nleftover, in photos as they are")
    for fault, those in found.items():
        area = "" if fault == "whole" else f"AUC {auc(those, found['whole']):.3f}, "
        failed = mean(score >= rule.threshold for score in those)
        print(f"  {fault:<6}{len(those):>5} cases, {area}failed {failed:.0%}")


def shadows(all_: list[Scene]) -> None:
    """Masks of shadows against the truth, and shadows found where none was cast."""
    print("\nshadow: IoU on demand (with the object), certainty")
    for scene in all_:
        if scene.name.startswith("rendered"):
            cast = shadow.find_shadow(scene.before, scene.bits)
            own = cast.mask & (cast.certainty >= shadow.ASKED)
            alone, both = overlap(own, scene.effect & ~scene.bits), own | scene.bits
            whole = overlap(both, scene.effect)
            print(f"  {scene.name:<18}{alone:.2f} ({whole:.2f})  {cast.certainty:.2f}")
    bare = [s for i, s in enumerate(all_) if s.made and i % 2]
    taken = [shadow.find_shadow(s.before, s.bits).certainty >= shadow.SURE for s in bare]
    found = [
        shadow.find_shadow(s.shadowed[0], s.bits).certainty >= shadow.SURE
        for s in bare
        if s.shadowed
    ]
    print(
        f"  without a shadow: taken for one in {mean(taken):.0%}; with one: found {mean(found):.0%}"
    )


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


class Given:
    """A detector that finds the mask it is given."""

    name = "given"
    prompt_types: tuple[type, ...] = (UserMask,)

    def detect(self, image: object, prompts: list[UserMask]) -> list[Detection]:
        return [Detection(p.mask) for p in prompts]


def ranks(some: list[Scene]) -> None:
    """Is the best by rank nearer to the truth than the mean candidate; "all three" counts."""
    print(f"\nbest of four nearer to truth than the mean of them, {len(some)} scenes")
    for lot, candidates in CANDIDATES.items():
        found = [standing(scene, candidates) for scene in some]
        told = (f"{m} {mean(one[m] for one in found):.0%}" for m in found[0])
        print(f"  {lot:<12}" + ", ".join(told))


def standing(scene: Scene, candidates: Sequence[tuple[str, int]]) -> dict[str, bool]:
    """For each measure, whether the first by rank is nearer to the truth than the mean."""
    mask = scene.bits if scene.made else scene.effect
    hole, made, checks = alpha_of(mask) > 0, [], []
    for name, seed in candidates:
        pipeline = Pipeline(Given(), inpaint.load(name), attempts=1)  # type: ignore[arg-type]
        result = pipeline(photo_of(scene.before), [UserMask(mask)], fill=Fill(seed=seed))
        made.append(result.image)
        checks.append(result.checks)
    errors = {
        "psnr": [-psnr(m, scene.clean, hole) for m in made],
        "ssim": [-ssim(m, scene.clean, hole) for m in made],
        "texture": [texture(m, scene.clean, hole) for m in made],
    }
    standard = [(np.array(e) - np.mean(e)) / (np.std(e) + 1e-9) for e in errors.values()]
    errors["all three"] = list(np.mean(standard, axis=0))
    best = verify.rank(checks)[0]
    return {measure: bool(one[best] < np.mean(one)) for measure, one in errors.items()}


def shares(count: int) -> None:
    """What share of a whole run is verification, on the samples and photos of the other sets."""
    names = json.loads((ROOT / "samples/samples.json").read_text())
    pairs = [(ROOT / f"samples/{n}.jpg", ROOT / f"samples/{n}_mask.png") for n in names]
    folders = sorted(p.parent for p in Path(os.environ["S2I_EVAL"]).glob("*/*/mask.png"))
    pairs += [(next(f.glob("image.*")), f / "mask.png") for f in folders]
    some, editor = pairs[:: max(1, len(pairs) // count)], Editor()
    timed(editor, some[0][0], bounding_box(bits(some[0][1])))  # compiles the fill
    print(f"\nverification, share of {len(some)} runs")
    print(f"{'':<10}{'all together':>14}{'median':>9}{'highest':>9}")
    for kind in ("click", "box", "mask"):
        rows = np.array([timed(editor, p, pointing(kind, bits(m))) for p, m in some])
        each = rows[:, 0] / rows[:, 1]
        whole = rows[:, 0].sum() / rows[:, 1].sum()
        print(f"{kind:<10}{whole:>14.0%}{np.median(each):>9.0%}{each.max():>9.0%}")


def pointing(kind: str, mask: Bits) -> Prompt:
    """What a user would point at the object with."""
    if kind == "click":
        return Points((deepest_point(mask),))
    return bounding_box(mask) if kind == "box" else UserMask(mask)


def timed(editor: Editor, path: Path, prompt: Prompt) -> tuple[float, float]:
    """Seconds of the verification, and of all: one attempt, from file to file."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        photo = images.read(path)
        result = editor.run(photo, Request((prompt,), attempts=1, inpainter="exemplar"))
        images.write(Path(folder) / path.name, photo, result.image, result.alpha)
    return result.seconds["verify"], time.perf_counter() - start


if __name__ == "__main__":
    main()
