"""What the click network is shown and asked, and where it answers.

To find an object it looks round the box; or at the whole photo, closer to the click until it is
sure, and then again at what it found, which what stands out there may back (``salient``). To tell
whether more belongs to an object that is known, it looks round that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce

import cv2
import numpy as np

from segment2inpaint.masks import components_at, deepest_point
from segment2inpaint.networks import saliency
from segment2inpaint.networks.letterbox import Letterbox, outside_mask, resample, sigmoid
from segment2inpaint.networks.onnx import FloatArray, Network
from segment2inpaint.networks.saliency import SaliencyMap
from segment2inpaint.types import BinaryMask, Box, Granularity, Image, Point, bounding_box

SIDE = 160  # px of the frame that the network looks at
PLANES = 8  # of the frame
MEAN, DEVIATION = 0.45, 0.25  # of the colours, as the network learnt them
DISC = 3  # px of the frame: radius of the disc round a click
CLOSER = (0.4, 0.16, 0.08, 0.04)  # of the photo, windows round a click, if it is not sure
SURE = 0.8  # an answer whose chances overlap so much (IoU) with what is likelier than not
EDGE = 0.02  # of a window's side, that a thing may reach it on
AROUND = 0.6  # what is shown beside it: of its longer side
AROUND_BOX = 0.25  # beside a box, and of what may stand out
SAME = 0.95  # a window that overlaps the last one so much (IoU) is not looked at
LEAST = 48  # px: long side of the closest window
WITHIN = (0.7, 0.9)  # share of what stands out that lies in the box: from no trust in it to all
AGREED = (0.3, 0.5)  # overlap of what stands out and the answer, IoU of their chances, likewise
OBJECT, PART = 0, 1  # channels of an answer


@dataclass(frozen=True)
class ObjectPrompt:
    """All that is known of one object: clicks on it, clicks beside it, its box, how much of it."""

    include: tuple[Point, ...] = ()
    exclude: tuple[Point, ...] = ()
    box: Box | None = None
    granularity: Granularity = "auto"


@dataclass(frozen=True, eq=False)
class ClickPrediction:
    """Logits (2, SIDE / 2, SIDE / 2) that each place in a frame is of the object, of the part.

    ``channel`` is the one that was asked for; ``sure``: at the clicks, see ``_sure``. ``backing``
    is what stands out there and was found to be what is meant, see ``backed``.
    """

    frame: Letterbox
    logits: FloatArray
    channel: int = OBJECT
    sure: bool = False
    backing: SaliencyMap | None = None

    def odds(self, window: Box, size: tuple[int, int]) -> FloatArray:
        """Log odds of what was asked for, as (h, w) over a window of the photo."""
        odds = self._shown(self.logits[self.channel], window, size)
        return odds if self.backing is None else odds + self.backing.odds(window, size)

    def likely(self, window: Box, size: tuple[int, int]) -> FloatArray:
        """The chance of each place, likewise; 0 where it did not look."""
        if self.backing is None:
            likely = self._shown(sigmoid(self.logits[self.channel]), window, size)
        else:
            likely = sigmoid(self.odds(window, size))
        likely[self.unseen(window, size)] = 0
        return likely

    def _shown(self, values: FloatArray, window: Box, size: tuple[int, int]) -> FloatArray:
        own, (height, width) = self.frame.window, self.frame.size
        scale = height / (2 * own.height), width / (2 * own.width)
        return resample(values, own, scale, window, size)

    def unseen(self, window: Box, size: tuple[int, int]) -> BinaryMask:
        """Which places of a window it did not look at, (h, w)."""
        return outside_mask(self.frame.window, window, size)

    def found(self, target: ObjectPrompt) -> Box | None:
        """The box in the photo round what is likely, with the clicks on it."""
        own = self.frame
        likely = self.odds(own.window, own.size) > 0
        clicks = [own.at(p) for p in target.include if own.window.contains(p)]
        held = components_at(likely, [(x, y) for x, y in clicks if likely[y, x]])
        if not held.any():
            return None
        box = own.unscaled(bounding_box(held))
        for x, y in target.include:
            box = box.union(Box(x, y, x + 1, y + 1))
        return box


@dataclass(frozen=True, eq=False)
class KnownMask:
    """An object that is known to be at ``bits`` (H, W), as if the network had said so."""

    mask: BinaryMask

    def likely(self, window: Box, size: tuple[int, int]) -> FloatArray:
        """The share of each place that is the object's, as (h, w) over a window of the photo."""
        part = self.mask[window.slices].astype(np.float32)
        return np.asarray(cv2.resize(part, size[::-1], interpolation=cv2.INTER_AREA))


def framed(window: Box) -> Letterbox:
    scale = SIDE / max(window.width, window.height)
    height, width = (max(1, round(side * scale)) for side in (window.height, window.width))
    return Letterbox(window, (height, width))


def input_planes(
    image: Image,
    frame: Letterbox,
    target: ObjectPrompt,
    before: ClickPrediction | KnownMask | None = None,
) -> FloatArray:
    """What the network sees of a window, (PLANES, SIDE, SIDE).

    Red, green, blue; the photo (0 beyond it); discs round clicks on the object, and beside it;
    the box; how likely the answer ``before`` held each pixel. Clicks elsewhere are left out.
    """
    height, width = frame.size
    seen = np.zeros((PLANES, SIDE, SIDE), np.float32)
    part = image[frame.window.slices]
    way = cv2.INTER_AREA if max(part.shape[:2]) > SIDE else cv2.INTER_LINEAR
    small = cv2.resize(part, (width, height), interpolation=way).astype(np.float32)
    seen[:3, :height, :width] = ((small / 255 - MEAN) / DEVIATION).transpose(2, 0, 1)
    seen[3, :height, :width] = 1
    for plane, points in (4, target.include), (5, target.exclude):
        for point in filter(frame.window.contains, points):
            _disc(seen[plane], frame.at(point))
    if target.box is not None:
        seen[6][frame.box(target.box).slices] = 1
    if before is not None:
        seen[7, :height, :width] = before.likely(frame.window, frame.size)
    return seen


def _disc(plane: FloatArray, at: Point) -> None:
    """A filled disc, cut off at the frame."""
    x, y = at
    across, down = np.arange(SIDE) - x, np.arange(SIDE) - y
    plane[across**2 + down[:, None] ** 2 <= DISC**2] = 1


def predict(image: Image, target: ObjectPrompt, network: Network) -> ClickPrediction:
    """The answer in the last window that was looked at: round the box; or where it is sure of
    what is at the clicks, else in the whole photo, and then round that.
    """
    size = image.shape[0], image.shape[1]
    if target.box:
        return _looked(image, framed(around(target.box, AROUND_BOX, size)), target, network)
    answer = _surest(image, target, network)
    found, window = answer.found(target), answer.frame.window
    closer = around(found, AROUND, size) if found else window
    if _alike(closer, window) > SAME:
        return answer
    looked = _looked(image, framed(closer), target, network, answer)
    return replace(looked, sure=answer.sure)


def _surest(image: Image, target: ObjectPrompt, network: Network) -> ClickPrediction:
    """The first answer that is sure, from the whole photo on in closer and closer windows; if
    none is, that of the whole photo.
    """
    looks = (_looked(image, framed(w), target, network) for w in _closer(target, image.shape))
    whole = answer = next(looks)
    while not _sure(answer, target, image.shape):
        if (closer := next(looks, None)) is None:
            return whole
        answer = closer
    return replace(answer, sure=True)


def _closer(target: ObjectPrompt, size: tuple[int, ...]) -> Iterator[Box]:
    """The whole photo, and smaller and smaller windows round the clicks."""
    clicks = reduce(Box.union, (Box(x, y, x + 1, y + 1) for x, y in target.include))
    yield Box(0, 0, size[1], size[0])
    for share in CLOSER:
        room = round(share * max(size[:2]) / 2)
        if room < LEAST // 2:
            return
        yield clicks.grown(room, (size[0], size[1]))


def _sure(answer: ClickPrediction, target: ObjectPrompt, size: tuple[int, ...]) -> bool:
    """Whether it found something at the clicks, its own chances agree with its mask, and that ends
    within the window.
    """
    if answer.found(target) is None:
        return False
    window, frame = answer.frame.window, answer.frame.size
    likely = answer.likely(window, frame)
    on = likely > 0.5
    agreed = likely[on].sum() / max(on.sum() + likely[~on].sum(), 1e-6)
    cut = (
        (on[0], window.y0 > 0), (on[-1], window.y1 < size[0]),
        (on[:, 0], window.x0 > 0), (on[:, -1], window.x1 < size[1]),
    )  # fmt: skip
    return bool(agreed >= SURE and not any(end and line.mean() > EDGE for line, end in cut))


def with_saliency(
    image: Image, answer: ClickPrediction, target: ObjectPrompt, network: Network
) -> ClickPrediction:
    """The answer, together with what stands out in a window round the object, as far as that is
    the object: in a box, as little of it lies outside; else, as it is where the answer is.

    ``network`` is that of ``salient``.
    """
    size = image.shape[0], image.shape[1]
    found = target.box or answer.found(target)
    if found is None or _means_part(target):
        return answer
    seen = saliency.predict_saliency(image, around(found, AROUND_BOX, size), network)
    return replace(answer, backing=replace(seen, weight=_trust(seen, answer, target)))


def _trust(seen: SaliencyMap, answer: ClickPrediction, target: ObjectPrompt) -> float:
    """From 0 to 1."""
    window, size = seen.window, (saliency.SIDE, saliency.SIDE)
    stands_out = seen.likely()
    if target.box:
        inside = stands_out[Letterbox(window, size).box(target.box).slices].sum()
        return _ramp(float(inside / max(stands_out.sum(), 1e-6)), *WITHIN)
    likely = answer.likely(window, size)
    both = np.minimum(likely, stands_out).sum() / max(np.maximum(likely, stands_out).sum(), 1e-6)
    return _ramp(float(both), *AGREED)


def _ramp(value: float, low: float, high: float) -> float:
    """From 0 at ``low`` to 1 at ``high``."""
    return min(max((value - low) / (high - low), 0.0), 1.0)


def rest_of_object(image: Image, bits: BinaryMask, network: Network) -> ClickPrediction:
    """What belongs to the object that is known to be at ``bits`` (H, W), there and round it."""
    own = bounding_box(bits)
    x, y = deepest_point(bits[own.slices])
    frame = framed(around(own, AROUND, (bits.shape[0], bits.shape[1])))
    return _looked(
        image, frame, ObjectPrompt(((own.x0 + x, own.y0 + y),)), network, KnownMask(bits)
    )


def _looked(
    image: Image,
    frame: Letterbox,
    target: ObjectPrompt,
    network: Network,
    before: ClickPrediction | KnownMask | None = None,
) -> ClickPrediction:
    """The answer in one window: the mean of what the network says of it and of its mirror image."""
    seen = input_planes(image, frame, target, before)
    width = frame.size[1]
    turned = np.zeros_like(seen)
    turned[:, :, :width] = seen[:, :, :width][:, :, ::-1]
    back = np.array([[-1, 0, width / 2 - 1], [0, 1, 0]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    mirrored = [
        cv2.warpAffine(p, back, p.shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
        for p in network(turned)
    ]
    mean: FloatArray = (network(seen) + np.stack(mirrored)) / 2
    return ClickPrediction(frame, mean, PART if _means_part(target) else OBJECT)


def _means_part(target: ObjectPrompt) -> bool:
    alone = len(target.include) == 1 and not target.exclude and target.box is None
    return alone and target.granularity == "part"


def around(box: Box, share: float, size: tuple[int, int]) -> Box:
    """A window round a box, with a share of its longer side on each side."""
    longer = max(box.width, box.height)
    room = max(8 + round(share * longer), (LEAST - longer + 1) // 2)
    return box.grown(room, size)


def _alike(one: Box, other: Box) -> float:
    """Intersection over union."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    both = max(width, 0) * max(height, 0)
    return both / (one.width * one.height + other.width * other.height - both)
