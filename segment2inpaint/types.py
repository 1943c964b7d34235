"""The nouns of the package: pixels, prompts, options and requests.

One pixel convention holds between ``images.read`` and ``images.write``:

* ``Image``: ``(H, W, 3)`` uint8, RGB, upright (the EXIF orientation is applied).
* ``BinaryMask``: ``(H, W)`` bool, True = repaint.
* ``Alpha``: ``(H, W)`` float32 in [0, 1], the share of the new pixel in the result.
* Points are ``(x, y)``, sizes are ``(height, width)`` and boxes are half-open
  ``(x0, y0, x1, y1)``, all in photo pixels with the origin at the top left.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segment2inpaint.errors import BadOption

Image = NDArray[np.uint8]
BinaryMask = NDArray[np.bool_]
Alpha = NDArray[np.float32]
FloatArray = NDArray[np.float32]
Point = tuple[int, int]
Granularity = Literal["auto", "part", "object", "whole"]
FindKind = Literal["text", "face"]
PictureFit = Literal["cover", "contain", "stretch"]


# --- prompts ---------------------------------------------------------------------------


class Box(NamedTuple):
    """A half-open rectangle in photo pixels: x0 <= x < x1 and y0 <= y < y1."""

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
        """Return the box as an index into an ``(H, W, ...)`` array."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def contains(self, point: Point) -> bool:
        """Return whether the pixel (x, y) lies in the box."""
        return self.x0 <= point[0] < self.x1 and self.y0 <= point[1] < self.y1

    def overlaps(self, other: Box) -> bool:
        """Return whether the two boxes share a pixel."""
        return (
            self.x0 < other.x1 and other.x0 < self.x1 and self.y0 < other.y1 and other.y0 < self.y1
        )

    def union(self, other: Box) -> Box:
        """Return the smallest box that holds both."""
        return Box(
            min(self.x0, other.x0),
            min(self.y0, other.y0),
            max(self.x1, other.x1),
            max(self.y1, other.y1),
        )

    def expand(self, margin: int, size: tuple[int, int]) -> Box:
        """Return the box with ``margin`` px more on each side, clipped to ``size`` (h, w)."""
        return Box(
            max(0, self.x0 - margin),
            max(0, self.y0 - margin),
            min(size[1], self.x1 + margin),
            min(size[0], self.y1 + margin),
        )


@dataclass(frozen=True)
class Points:
    """Clicks that select one object: on it (``include``) and off it (``exclude``), each (x, y).

    Give two ``Points`` for two objects. A ``Points`` that has only ``exclude`` applies to every
    object. ``granularity`` chooses between the masks of a detector that offers several for a
    click (a wheel, a car, a car with its trailer); ``auto`` chooses by their quality.
    """

    include: tuple[Point, ...] = ()
    exclude: tuple[Point, ...] = ()
    granularity: Granularity = "auto"


@dataclass(frozen=True)
class Color:
    """All pixels of one colour.

    The colour is that of the neighbourhood of the pixel ``at`` (x, y), or ``rgb``, 0 to 255 each.
    ``tolerance`` is a CIE76 colour difference (0 to about 100); None chooses it from the photo.
    Only pixels connected to ``at`` are selected unless ``everywhere`` is set. A colour given by
    ``rgb`` is always selected everywhere.
    """

    at: Point | None = None
    rgb: tuple[int, int, int] | None = None
    tolerance: float | None = None
    everywhere: bool = False


@dataclass(frozen=True, eq=False)
class CleanPlate:
    """A photo of the same scene without the object, ``(H, W, 3)`` uint8 RGB, of the photo's size.

    ``source`` names its file in a saved request.
    """

    image: Image = field(repr=False)
    source: str = ""


@dataclass(frozen=True)
class Text:
    """The object's name in words; selects every match with a score above ``threshold``.

    ``threshold`` is in [0, 1]; None uses the detector's default. ``pick`` selects some of the
    matches by their rank, from 1; an empty ``pick`` selects all.
    """

    words: str
    threshold: float | None = None
    pick: tuple[int, ...] = ()


@dataclass(frozen=True)
class Everything:
    """All objects of the photo; ``pick`` selects some of them by number, from 1."""

    pick: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class UserMask:
    """A mask made by the user, ``(H, W)`` bool, of the photo's size, True = the object.

    ``source`` names its file in a saved request. Its holes stay even with ``Refine.fill_holes``.
    ``alpha``, ``(H, W)`` float32 in [0, 1], is that of a soft mask, whose greys blend the old and
    the new pixels; ``mask`` is then where it is above one half.
    """

    mask: BinaryMask = field(repr=False)
    source: str = ""
    alpha: Alpha | None = field(default=None, repr=False)

    @classmethod
    def from_values(cls, values: BinaryMask | Alpha, source: str = "") -> UserMask:
        """Return a mask from bool values, or a soft mask from float values in [0, 1]."""
        if values.dtype == np.bool_:
            return cls(np.asarray(values, np.bool_), source)
        alpha: Alpha = np.asarray(values, np.float32)
        return cls(alpha > 0.5, source, alpha)


@dataclass(frozen=True)
class Find:
    """All objects of a kind: lines of ``text`` (captions, date stamps, signs) or ``face``.

    ``threshold`` is the minimum score in [0, 1]; None uses the default. ``within`` is the only part
    of the photo to search. Objects whose shorter side is below ``min_size`` px are left out. The
    others are numbered from 1, from top to bottom and from left to right. ``pick`` selects some of
    them by number; ``exclude`` leaves out numbers, and objects that lie mostly in a box.
    """

    kind: FindKind
    threshold: float | None = None
    pick: tuple[int, ...] = ()
    within: Box | None = None
    min_size: int = 0
    exclude: tuple[Box | int, ...] = ()


Prompt = Points | Box | Color | CleanPlate | Text | Everything | Find | UserMask


@dataclass(frozen=True, eq=False)
class Detection:
    """An object found: its ``mask``, ``(H, W)`` bool, of the photo's size.

    ``score`` is the detector's confidence in [0, 1]. ``edge_uncertainty`` is the largest expected
    distance between the mask's edge and the true edge, in photo px: 0 if the edge was found at
    full resolution, about long side / 256 for a SAM mask before edge refinement. ``from_user``
    marks a mask that the user made, whose holes are intended. ``alpha`` is that of a soft mask, see
    ``UserMask``. ``seen_in`` is the part of the photo in which the click network saw the object,
    None if another method found it.
    """

    mask: BinaryMask = field(repr=False)
    score: float = 1.0
    edge_uncertainty: float = 0.0
    from_user: bool = False
    alpha: Alpha | None = field(default=None, repr=False)
    seen_in: Box | None = None

    def __post_init__(self) -> None:
        if self.mask.ndim != 2 or self.mask.dtype != np.bool_:
            raise TypeError(f"mask must be (H, W) bool, got {self.mask.shape} {self.mask.dtype}")


# --- options ------------------------------------------------


class Length(NamedTuple):
    """A radius: automatic, in photo pixels, or in per cent of the diagonal of the mask's box.

    ``Length()`` is automatic; ``Length(12, "px")`` equals ``Length.parse("12px")``.
    """

    value: float = 0.0
    unit: Literal["auto", "px", "%"] = "auto"

    @classmethod
    def parse(cls, text: str) -> Length:
        """Parse ``auto``, ``12px``, ``12`` (px) or ``3%``. Raises ``BadOption``."""
        word = text.strip().lower()
        if word == "auto":
            return cls()
        unit: Literal["px", "%"] = "%" if word.endswith("%") else "px"
        try:
            value = float(word.removesuffix("%").removesuffix("px"))
        except ValueError:
            raise BadOption(f"length must be of the form auto, 12px or 3%, got {text!r}") from None
        if not 0 <= value < float("inf"):
            raise BadOption(f"length must be a number of 0 or more, got {text!r}")
        return cls(value, unit)

    def __str__(self) -> str:
        return "auto" if self.unit == "auto" else f"{self.value:g}{self.unit}"


@dataclass(frozen=True)
class Refine:
    """Options that refine a detected mask before the fill.

    ``dilate`` grows the mask by a radius; ``feather`` softens its edge over a width inside that
    radius (see ``Length``). ``fill_holes`` adds small holes to a detected mask. ``invert`` repaints
    everything but the objects. ``shadow`` repaints the object's shadow and mirror image too, if one
    is found; None does so if it is likely and nothing replaces the object. ``edge_refine`` moves a
    coarse mask's edge to the edge in the photo. ``protect`` are areas, a ``Box`` or a ``UserMask``
    each, in which no pixel changes, whatever is found there.
    """

    dilate: Length = Length()
    feather: Length = Length()
    fill_holes: bool = True
    invert: bool = False
    shadow: bool | None = None
    edge_refine: bool = True
    protect: tuple[Box | UserMask, ...] = ()


@dataclass(frozen=True, eq=False)
class ReplacementImage:
    """A picture to put in the object's place, of any size.

    ``image`` is ``(h, w, 3)`` uint8 RGB; ``alpha``, ``(h, w)`` float32 in [0, 1], is its outline.
    ``source`` names its file in a saved request.
    """

    image: Image = field(repr=False)
    alpha: Alpha = field(repr=False)
    source: str = ""


@dataclass(frozen=True)
class PicturePlacement:
    """The place, size and light of a ``ReplacementImage`` that is put in an object's place.

    ``at`` is the centre (x, y) of the picture without its transparent margin, in photo px from the
    photo's top left corner, fractions included. None puts the picture on the lower edge of the
    old object's box. ``scale``, 0.01 to 100, is 1 for the largest size that fits that box.
    ``flip`` mirrors the picture left to right. ``angle``, -360 to 360 degrees, then turns it
    clockwise around its centre. ``blend``, 0 to 1, adapts its colours to the surroundings.
    ``contact_shadow`` darkens the ground below it.
    """

    at: tuple[float, float] | None = None
    scale: float = 1.0
    angle: float = 0.0
    flip: bool = False
    blend: float = 0.0
    contact_shadow: bool = False

    @property
    def is_moved(self) -> bool:
        """Return whether the picture stands elsewhere than by default, or larger, or turned."""
        return self.at is not None or self.scale != 1 or self.angle % 360 != 0


@dataclass(frozen=True)
class Fill:
    """Options of the inpainter. None leaves a value to the model's card.

    ``prompt``, ``negative_prompt``, ``num_inference_steps``, ``guidance_scale`` and ``strength``
    (0 < strength <= 1) mean what they mean in diffusers. An inpainter without a text encoder
    refuses ``prompt`` and ignores the others. ``seed`` is 0 or more. ``padding_mask_crop`` is the
    context around the mask in photo px; None chooses it. ``picture`` is placed over the filled hole
    as ``picture_placement`` says: by default as large as the old object's box allows, on the box's
    lower edge. ``picture_cutout`` has an ``Editor`` cut the object out of an opaque picture. With
    ``Refine.invert`` the picture is laid behind the object and nothing is painted: ``picture_fit``
    scales it to ``cover`` the photo (also if None), to be contained in it, or to be stretched to
    its size. ``background`` does the same without a picture: ``white``, ``blur``, ``transparent``
    or ``#rrggbb``. ``candidates``, 1 to 64, is the number of results to generate; they are ranked
    by their checks. ``fill_color``, 0 to 255 each, is what ``solid`` paints; None is the object's
    mean colour.
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
    picture_fit: PictureFit | None = None
    background: str | None = None
    fill_color: tuple[int, int, int] | None = None
    picture_placement: PicturePlacement = PicturePlacement()
    picture_cutout: bool = False

    @property
    def generates(self) -> bool:
        """Return whether the fill needs a model that reads prompts."""
        return bool(self.prompt) and not self.picture


# --- the request and the candidates -----------------------------------------------------------


@dataclass(frozen=True)
class Request:
    """Everything that determines a result except the photo: plain data, to and from JSON."""

    prompts: tuple[Prompt, ...]
    refine: Refine = Refine()
    fill: Fill = Fill()
    detector: str = "auto"
    inpainter: str = "auto"
    verify: bool = True
    attempts: int = 2

    @property
    def keeps_object(self) -> bool:
        """Return whether another background is laid behind the object, and nothing is painted."""
        return self.refine.invert and bool(self.fill.picture or self.fill.background)


def changed_pixels(before: Image, after: Image) -> BinaryMask:
    """Return where two ``(H, W, 3)`` images differ in any channel, ``(H, W)`` bool."""
    channels = before != after  # numpy's any() along a short last axis is slow
    changed: BinaryMask = channels[..., 0] | channels[..., 1] | channels[..., 2]
    return changed


def bounding_box(mask: BinaryMask) -> Box:
    """Return the smallest box that holds all True pixels, ``Box(0, 0, 0, 0)`` if there are none."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return Box(0, 0, 0, 0)
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
