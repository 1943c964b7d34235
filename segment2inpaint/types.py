"""The nouns of the package, the two protocols and the errors.

One pixel convention holds between ``images.read`` and ``images.write``:

* ``Image``: ``(H, W, 3)`` uint8, RGB, upright (EXIF orientation applied).
* ``Bits``: ``(H, W)`` bool, True = repaint.
* ``Alpha``: ``(H, W)`` float32 in [0, 1]: how much of the new pixel is used.
* Points are ``(x, y)``, sizes are ``(height, width)``, boxes ``(x0, y0, x1, y1)`` half-open,
  all in photo pixels with the origin at the top left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segment2inpaint.errors import BadOption

Image = NDArray[np.uint8]
BinaryMask = NDArray[np.bool_]
Alpha = NDArray[np.float32]
Point = tuple[int, int]
Granularity = Literal["auto", "part", "object", "whole"]


# --- what to find ---------------------------------------------------------------------------


class Box(NamedTuple):
    """A half-open rectangle in photo pixels: x0 <= x < x1, y0 <= y < y1."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        return self.y1 - self.y0

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the box in an ``(H, W, ...)`` array."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def contains(self, point: Point) -> bool:
        return self.x0 <= point[0] < self.x1 and self.y0 <= point[1] < self.y1

    def overlaps(self, other: Box) -> bool:
        return (
            self.x0 < other.x1 and other.x0 < self.x1 and self.y0 < other.y1 and other.y0 < self.y1
        )

    def union(self, other: Box) -> Box:
        return Box(
            min(self.x0, other.x0),
            min(self.y0, other.y0),
            max(self.x1, other.x1),
            max(self.y1, other.y1),
        )

    def grown(self, by: int, size: tuple[int, int]) -> Box:
        """The box with ``by`` px more on each side, clipped to a photo of ``size`` (h, w)."""
        return Box(
            max(0, self.x0 - by),
            max(0, self.y0 - by),
            min(size[1], self.x1 + by),
            min(size[0], self.y1 + by),
        )


@dataclass(frozen=True)
class Points:
    """One object, by clicks on it (``include``) and beside it (``exclude``), each (x, y).

    Two objects are two ``Points``. A ``Points`` with ``exclude`` only belongs to every object.
    ``granularity`` says how much a click means (a wheel, a car, a car with its trailer) to a
    detector that offers several masks; ``auto`` goes by their quality.
    """

    include: tuple[Point, ...] = ()
    exclude: tuple[Point, ...] = ()
    granularity: Granularity = "auto"


@dataclass(frozen=True)
class Color:
    """Everything of one colour.

    ``at`` is a pixel (x, y) whose neighbourhood gives the colour; else ``rgb``, 0 to 255 each.
    ``tolerance`` is a CIE76 difference (0 to about 100), None chooses it from the photo.
    Connected to ``at`` unless ``everywhere``; a colour given by ``rgb`` is taken everywhere.
    """

    at: Point | None = None
    rgb: tuple[int, int, int] | None = None
    tolerance: float | None = None
    everywhere: bool = False


@dataclass(frozen=True, eq=False)
class CleanPlate:
    """A photo of the same scene without the object, ``(H, W, 3)`` uint8 RGB as large as the photo.

    ``source`` is its file, for the request.
    """

    image: Image = field(repr=False)
    source: str = ""


@dataclass(frozen=True)
class Text:
    """What the object is, in words; every object that scores above ``threshold`` in [0, 1].

    ``threshold`` None is the detector's own. ``pick`` takes some of the objects found, by their
    number from 1, the best first; empty takes all.
    """

    words: str
    threshold: float | None = None
    pick: tuple[int, ...] = ()


@dataclass(frozen=True)
class Everything:
    """Whatever can be told apart in the photo; ``pick`` takes some of it, numbered from 1."""

    pick: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class UserMask:
    """A mask made elsewhere, ``(H, W)`` bool as large as the photo, True = the object.

    ``source`` is its file, for the request. Its holes stay, whatever ``Refine.fill_holes`` says.
    """

    mask: BinaryMask = field(repr=False)
    source: str = ""


Prompt = Points | Box | Color | CleanPlate | Text | Everything | UserMask


@dataclass(frozen=True, eq=False)
class Detection:
    """One object found.

    ``slack`` is how far the true edge may lie from the mask's, in photo px: 0 where the edge
    was found at full resolution, about long side / 256 for an unrefined SAM mask.
    ``own``: the user's mask, not one that was found, so that its holes are meant.
    """

    mask: BinaryMask = field(repr=False)
    score: float = 1.0
    edge_uncertainty: float = 0.0
    from_user: bool = False

    def __post_init__(self) -> None:
        if self.mask.ndim != 2 or self.mask.dtype != np.bool_:
            raise TypeError(f"mask must be (H, W) bool, got {self.mask.shape} {self.mask.dtype}")


# --- what is done to the mask, what to paint ------------------------------------------------


class Length(NamedTuple):
    """A radius: ``auto``, a number of photo pixels, or per cent of the mask's box diagonal.

    ``Length()`` is auto, ``Length(12, "px")`` is ``Length.parse("12px")``.
    """

    value: float = 0.0
    unit: Literal["auto", "px", "%"] = "auto"

    @classmethod
    def parse(cls, text: str) -> Length:
        """Read ``auto``, ``12px``, ``12`` (px) or ``3%``. Raises ``BadOption``."""
        word = text.strip().lower()
        if word == "auto":
            return cls()
        unit: Literal["px", "%"] = "%" if word.endswith("%") else "px"
        try:
            value = float(word.removesuffix("%").removesuffix("px"))
        except ValueError:
            raise BadOption(f"length must be auto, 12px or 3%, got {text!r}") from None
        if not 0 <= value < float("inf"):
            raise BadOption(f"length must be a number from 0, got {text!r}")
        return cls(value, unit)

    def __str__(self) -> str:
        return "auto" if self.unit == "auto" else f"{self.value:g}{self.unit}"


@dataclass(frozen=True)
class Refine:
    """What is done to the found mask; ``dilate`` and ``feather`` are radii (see ``Length``).

    ``fill_holes``: small holes in a mask that was found are of the object. ``invert``: everything
    but the objects is repainted. ``shadow``: the object's shadow goes too; None: if the result
    shows that it was left behind.
    ``edge_refine``: a mask whose edge is known roughly is brought to the edge in the photo.
    """

    dilate: Length = Length()
    feather: Length = Length()
    fill_holes: bool = True
    invert: bool = False
    shadow: bool | None = None
    edge_refine: bool = True


@dataclass(frozen=True, eq=False)
class ReplacementImage:
    """A picture to put where the object was, of any size.

    ``image`` is ``(h, w, 3)`` uint8 RGB, ``alpha`` its outline, ``(h, w)`` float32 in [0, 1].
    """

    image: Image = field(repr=False)
    alpha: Alpha = field(repr=False)
    source: str = ""


@dataclass(frozen=True)
class Fill:
    """What to paint. None leaves a value to the model's card.

    ``prompt`` to ``strength`` mean what they mean in diffusers; inpainters without a text
    encoder ignore all but the prompt, which they refuse. ``strength`` is above 0 and at most 1, a
    ``seed`` from 0. ``padding_mask_crop`` is the context round the mask in photo px, None the
    automatic one. ``picture`` is laid over the filled hole, as large as the old object's box
    allows and standing on its lower edge. ``candidates``, 1 to 64, is how many results to make,
    ranked by what their verification says.
    """

    prompt: str | None = None
    negative_prompt: str | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    strength: float | None = None
    seed: int = 0
    padding_mask_crop: int | None = None
    picture: ReplacementImage | None = None
    candidates: int = 1


# --- the request and the result ---------------------------------------------------------------


Verdict = Literal["clean", "doubtful", "failed"]
DOUBTFUL_SCORE = 0.5  # a check with this score or more is worth showing
RED = (255, 0, 64)  # over what a check is about


@dataclass(frozen=True, eq=False)
class Check:
    """One question asked of a result.

    ``score`` in [0, 1]: how sure the fault is; from ``threshold`` on the check has failed.
    ``sentence`` tells what was seen, ``picture`` shows it: the surroundings ``shown``, in red
    ``where``, (h, w) in [0, 1].
    """

    name: str
    score: float
    threshold: float
    sentence: str
    crop: Image = field(repr=False)
    heatmap: Alpha = field(repr=False)

    @property
    def failed(self) -> bool:
        return self.score >= self.threshold

    @property
    def doubtful(self) -> bool:
        """Whether the check has failed or is worth showing all the same."""
        return self.failed or self.score >= DOUBTFUL_SCORE

    @property
    def picture(self) -> Image:
        """(h, w, 3)."""
        share = np.float32(0.7) * self.heatmap[..., None]
        mixed = self.crop + share * (np.array(RED, np.float32) - self.crop)
        return np.rint(mixed).astype(np.uint8)


@dataclass(frozen=True)
class Request:
    """All that determines a result, but for the photo; plain data, to and from JSON."""

    prompts: tuple[Prompt, ...]
    refine: Refine = Refine()
    fill: Fill = Fill()
    detector: str = "auto"
    inpainter: str = "auto"
    verify: bool = True
    attempts: int = 2


@dataclass(frozen=True, eq=False)
class Candidate:
    """One of the results that a request came to; the fields are those of ``Result``."""

    image: Image = field(repr=False)
    alpha: Alpha = field(repr=False)
    checks: tuple[Check, ...]
    verdict: Verdict | None
    settings: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Result:
    """What came of a request.

    ``image``, ``(H, W, 3)`` uint8 RGB, has the photo's size; ``alpha``, ``(H, W)`` float32 in
    [0, 1], says where it is new. ``changed_outside`` counts
    pixels that differ from the photo's where alpha is 0: always 0, or something is broken.
    ``seconds`` is wall time by stage, ``settings`` what ``auto`` resolved to.
    ``checks`` and ``verdict`` tell whether it worked: none and None if nothing was verified.
    ``attempts`` tells of each try, in order: of which attempt it was, what it tried, its scores,
    whether it was kept.
    ``candidates`` are as many as were asked for, or as there are; the first, the best, is the
    result itself.
    """

    image: Image = field(repr=False)
    alpha: Alpha = field(repr=False)
    detections: tuple[Detection, ...]
    changed_outside: int
    seconds: Mapping[str, float]
    settings: Mapping[str, Any] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    verdict: Verdict | None = None
    attempts: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    candidates: tuple[Candidate, ...] = field(default=(), repr=False)


def changed_pixels(one: Image, other: Image) -> BinaryMask:
    """Where two images of one size differ in any channel, (H, W) bool."""
    differ = one != other  # numpy's any() along a short last axis is slow
    somewhere: BinaryMask = differ[..., 0] | differ[..., 1] | differ[..., 2]
    return somewhere


def bounding_box(bits: BinaryMask) -> Box:
    """The tight box of the True pixels, ``Box(0, 0, 0, 0)`` if there are none."""
    rows = np.flatnonzero(bits.any(axis=1))
    if not rows.size:
        return Box(0, 0, 0, 0)
    columns = np.flatnonzero(bits[rows[0] : rows[-1] + 1].any(axis=0))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
