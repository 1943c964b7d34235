"""The judgement of a result: its checks, the verdict that follows, and the action to try."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from segment2inpaint.types import Alpha, Box, Image, Point, bounding_box

Verdict = Literal["clean", "doubtful", "failed"]
ActionName = Literal["take-shadow", "grow-mask", "click-rest", "other-fill", "other-seed"]

DOUBTFUL_SCORE = 0.5  # a check with this score or a higher one is shown to the user
HEATMAP_COLOR = (255, 0, 64)  # RGB
PLACE_LEVEL = 0.5  # of the heatmap's highest value, from which a pixel belongs to the place


@dataclass(frozen=True, eq=False)
class Check:
    """One check of a result, such as for a visible seam.

    ``score`` in [0, 1] is the confidence that the fault is there; the check fails from
    ``threshold`` on. ``sentence`` describes the finding. ``crop``, ``(h, w, 3)`` uint8 RGB, shows
    ``box`` of the result, and ``heatmap``, ``(h, w)`` float32 in [0, 1], marks the fault in it.
    """

    name: str
    score: float
    threshold: float
    sentence: str
    box: Box
    crop: Image = field(repr=False)
    heatmap: Alpha = field(repr=False)

    @property
    def failed(self) -> bool:
        return self.score >= self.threshold

    @property
    def doubtful(self) -> bool:
        """Return whether the check failed or its score is high enough to be shown."""
        return self.failed or self.score >= DOUBTFUL_SCORE

    @property
    def picture(self) -> Image:
        """Return the crop with the fault in red, ``(h, w, 3)`` uint8 RGB."""
        weight = np.float32(0.7) * self.heatmap[..., None]
        blended = self.crop + weight * (np.array(HEATMAP_COLOR, np.float32) - self.crop)
        return np.rint(blended).astype(np.uint8)

    @property
    def place(self) -> Box | None:
        """Return the part of the photo where the heatmap is highest, None if it is 0."""
        highest = float(self.heatmap.max(initial=0))
        if highest <= 0:
            return None
        marked = bounding_box(self.heatmap >= PLACE_LEVEL * highest)
        height, width = self.heatmap.shape
        x0, x1 = (self.box.x0 + x * self.box.width // width for x in (marked.x0, marked.x1))
        y0, y1 = (self.box.y0 + y * self.box.height // height for y in (marked.y0, marked.y1))
        return Box(x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))


@dataclass(frozen=True, eq=False)
class Judgement:
    """The verdict on a result, and why.

    ``probability`` in [0, 1] is the share of such results that a person would accept; None for a
    replacement, for which no such share is known. ``reason`` is the check that speaks most
    against the result, and ``message`` says so in words; None and empty for a clean result.
    """

    verdict: Verdict
    probability: float | None = None
    reason: Check | None = None
    message: str = ""

    @property
    def sentence(self) -> str:
        """Return what to tell the user: no more than the checks can know."""
        if self.verdict == "clean":
            return "no problem found"
        return f"{'failed' if self.verdict == 'failed' else 'look at it'}: {self.message}"

    def to_json(self) -> dict[str, Any]:
        """Return the judgement as JSON data: ``place`` is the reason's box in the photo."""
        place = self.reason and self.reason.place
        return {
            "verdict": self.verdict,
            "probability": None if self.probability is None else round(self.probability, 3),
            "reason": self.reason and self.reason.name,
            "place": place and list(place),
            "sentence": self.sentence,
        }


@dataclass(frozen=True)
class Action:
    """A change of the request that may mend a result, and its values; the others are None.

    ``take-shadow`` removes the shadow too. ``grow-mask`` dilates the mask by ``dilate`` px.
    ``click-rest`` clicks a further ``point`` of the object. ``other-fill`` paints with
    ``inpainter``. ``other-seed`` paints with ``seed``.
    """

    name: ActionName
    point: Point | None = None
    dilate: float | None = None
    inpainter: str | None = None
    seed: int | None = None

    @property
    def options(self) -> str:
        """Return the options of the command line that do the same."""
        match self.name:
            case "take-shadow":
                return "--shadow"
            case "grow-mask":
                return f"--dilate {self.dilate:g}px"
            case "click-rest":
                assert self.point
                return f"-p {self.point[0]},{self.point[1]}"
            case "other-fill":
                return f"--inpainter {self.inpainter}"
            case "other-seed":
                return f"--seed {self.seed}"

    @property
    def sentence(self) -> str:
        """Return what the action does, as an order."""
        match self.name:
            case "take-shadow":
                return "take its shadow too"
            case "grow-mask":
                return f"grow the mask by {self.dilate:g} px"
            case "click-rest":
                return "click the rest of it too"
            case "other-fill":
                return f"paint it with {self.inpainter}"
            case "other-seed":
                return "paint it another way"

    def to_json(self) -> dict[str, Any]:
        """Return the action as JSON data, with its ``options`` and its ``sentence``."""
        values = {key: value for key, value in asdict(self).items() if value is not None}
        return {**values, "options": self.options, "sentence": self.sentence}


def action_from_json(data: Mapping[str, Any]) -> Action:
    """Return the action that ``Action.to_json`` describes."""
    values = {key: value for key, value in data.items() if key not in ("options", "sentence")}
    if "point" in values:
        x, y = values["point"]
        values["point"] = int(x), int(y)
    return Action(**values)
