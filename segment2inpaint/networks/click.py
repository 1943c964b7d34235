"""Find the object at a click or in a box with the click network.

For a box, the network looks at a window around the box. For clicks, it looks at the whole photo and
then at smaller windows around the clicks, until it is confident, and then once more at a window
around the object it found. ``with_saliency`` adds the saliency network's map to the prediction.
``rest_of_object`` predicts whether more belongs to an object with a known mask.

The network takes planes as in RITM (Sofiiuk et al., "Reviving Iterative Training with Mask Guidance
for Interactive Segmentation", 2021). Points are (x, y), sizes are (h, w).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce

import cv2
import numpy as np

from segment2inpaint.masks import components_at, deepest_point
from segment2inpaint.networks.letterbox import Letterbox, outside_mask, resample, sigmoid
from segment2inpaint.networks.onnx import Network
from segment2inpaint.networks.saliency import SaliencyMap, predict_saliency
from segment2inpaint.types import (
    BinaryMask,
    Box,
    FloatArray,
    Granularity,
    Image,
    Point,
    bounding_box,
)

# The input, as the network was trained.
INPUT_SIDE = 160  # px
INPUT_PLANES = 8  # see input_planes
PIXEL_MEAN, PIXEL_STD = 0.45, 0.25  # of colours in [0, 1]
CLICK_RADIUS = 3  # px of the input: radius of the disc drawn at a click
OBJECT_CHANNEL, PART_CHANNEL = 0, 1  # channels of the logits

# The windows around the clicks, as fractions of the photo's long side, until one is confident.
ZOOM_FRACTIONS = (0.4, 0.16, 0.08, 0.04)
MIN_WINDOW_SIDE = 48  # px: long side of the smallest window
CONTEXT_FRACTION = 0.6  # margin around an object that was found, of the box's long side
BOX_CONTEXT_FRACTION = 0.25  # margin around a box, and around a window for saliency
SAME_WINDOW_IOU = 0.95  # above this, the window around the object is not looked at again

# A prediction is confident if its probabilities agree with its own mask to this soft IoU ...
MIN_CONFIDENT_IOU = 0.8
MAX_CUT_FRACTION = 0.02  # ... and at most this fraction of a window side cuts through the object.

# The saliency map's weight rises from 0 to 1 over these ranges.
BOX_SHARE_RANGE = (0.7, 0.9)  # fraction of the salient probability that lies in the box
AGREEMENT_RANGE = (0.3, 0.5)  # soft IoU of the salient and the predicted probabilities


@dataclass(frozen=True)
class ObjectPrompt:
    """The prompts for one object: clicks on it, clicks not on it, its box, and the granularity.

    Points are (x, y) in photo pixels.
    """

    include: tuple[Point, ...] = ()
    exclude: tuple[Point, ...] = ()
    box: Box | None = None
    granularity: Granularity = "auto"


@dataclass(frozen=True, eq=False)
class ClickPrediction:
    """The network's output for one window of the photo.

    ``logits``, (2, INPUT_SIDE / 2, INPUT_SIDE / 2) float32, are for the whole object and for the
    part at the first click; ``channel`` is the requested one. ``confident`` is the answer of
    ``is_confident``, always False for a box. ``saliency`` is the map that ``with_saliency`` added.
    """

    letterbox: Letterbox
    logits: FloatArray
    channel: int = OBJECT_CHANNEL
    confident: bool = False
    saliency: SaliencyMap | None = None

    def log_odds(self, window: Box, size: tuple[int, int]) -> FloatArray:
        """Return the log-odds of the requested channel over a window, (h, w) = ``size``.

        Outside the prediction's own window, the values at its edge are repeated.
        """
        log_odds = self._resample(self.logits[self.channel], window, size)
        return (
            log_odds if self.saliency is None else log_odds + self.saliency.log_odds(window, size)
        )

    def probability(self, window: Box, size: tuple[int, int]) -> FloatArray:
        """Return probabilities in [0, 1] over a window, (h, w) = ``size``.

        They are 0 outside the prediction's own window.
        """
        if self.saliency is None:
            probability = self._resample(sigmoid(self.logits[self.channel]), window, size)
        else:
            probability = sigmoid(self.log_odds(window, size))
        probability[self.outside(window, size)] = 0
        return probability

    def _resample(self, values: FloatArray, window: Box, size: tuple[int, int]) -> FloatArray:
        source, (height, width) = self.letterbox.window, self.letterbox.size
        scale = height / (2 * source.height), width / (2 * source.width)
        return resample(values, source, scale, window, size)

    def outside(self, window: Box, size: tuple[int, int]) -> BinaryMask:
        """Return which pixels of a window, (h, w) = ``size`` bool, the network did not see."""
        return outside_mask(self.letterbox.window, window, size)

    def object_box(self, prompt: ObjectPrompt) -> Box | None:
        """Return the box in the photo around the object at the clicks, None if there is none.

        The object is where the probability is above one half. The box includes the clicks.
        """
        letterbox = self.letterbox
        mask = self.log_odds(letterbox.window, letterbox.size) > 0
        inside = [p for p in prompt.include if letterbox.window.contains(p)]
        clicks = [letterbox.point_to_input(p) for p in inside]
        clicked = components_at(mask, [(x, y) for x, y in clicks if mask[y, x]])
        if not clicked.any():
            return None
        box = letterbox.box_to_photo(bounding_box(clicked))
        for x, y in prompt.include:
            box = box.union(Box(x, y, x + 1, y + 1))
        return box


@dataclass(frozen=True, eq=False)
class KnownMask:
    """The mask, (H, W) bool, of an object that is known, in place of a ``ClickPrediction``."""

    mask: BinaryMask

    def probability(self, window: Box, size: tuple[int, int]) -> FloatArray:
        """Return the fraction of each pixel that the mask covers, (h, w) = ``size`` in [0, 1]."""
        part = self.mask[window.slices].astype(np.float32)
        return np.asarray(cv2.resize(part, size[::-1], interpolation=cv2.INTER_AREA))


def fit_letterbox(window: Box) -> Letterbox:
    """Return the letterbox that fits a window into the network's input, with its aspect ratio."""
    scale = INPUT_SIDE / max(window.width, window.height)
    height, width = (max(1, round(side * scale)) for side in (window.height, window.width))
    return Letterbox(window, (height, width))


def input_planes(
    image: Image,
    letterbox: Letterbox,
    prompt: ObjectPrompt,
    previous: ClickPrediction | KnownMask | None = None,
) -> FloatArray:
    """Return the network's input for a window, (INPUT_PLANES, INPUT_SIDE, INPUT_SIDE) float32.

    The planes are: red, green, blue (normalised); 1 where the photo is; discs at the clicks on the
    object; discs at the clicks not on it; 1 in the box; and the probabilities of ``previous``.
    Clicks outside the window are left out.
    """
    height, width = letterbox.size
    planes = np.zeros((INPUT_PLANES, INPUT_SIDE, INPUT_SIDE), np.float32)
    planes[:3, :height, :width] = _color_planes(image, letterbox)
    planes[3, :height, :width] = 1
    for plane, points in (4, prompt.include), (5, prompt.exclude):
        for point in filter(letterbox.window.contains, points):
            _draw_disc(planes[plane], letterbox.point_to_input(point))
    if prompt.box is not None:
        planes[6][letterbox.box_to_input(prompt.box).slices] = 1
    if previous is not None:
        planes[7, :height, :width] = previous.probability(letterbox.window, letterbox.size)
    return planes


def _color_planes(image: Image, letterbox: Letterbox) -> FloatArray:
    part = image[letterbox.window.slices]
    shrinks = max(part.shape[:2]) > INPUT_SIDE
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    scaled = cv2.resize(part, letterbox.size[::-1], interpolation=interpolation)
    normalised: FloatArray = (scaled.astype(np.float32) / 255 - PIXEL_MEAN) / PIXEL_STD
    return normalised.transpose(2, 0, 1)


def _draw_disc(plane: FloatArray, center: Point) -> None:
    """Draw a filled disc of ones, clipped to the plane."""
    dx, dy = np.arange(INPUT_SIDE) - center[0], np.arange(INPUT_SIDE) - center[1]
    plane[dx**2 + dy[:, None] ** 2 <= CLICK_RADIUS**2] = 1


def predict(image: Image, prompt: ObjectPrompt, network: Network) -> ClickPrediction:
    """Return the network's prediction for one object; ``image`` is (H, W, 3) uint8 RGB.

    For a box, it is the prediction in the window around the box. For clicks, it is the prediction
    in a window around the object found in the first confident window, or in the whole photo if
    no window is confident.
    """
    size = image.shape[0], image.shape[1]
    if prompt.box:
        window = context_window(prompt.box, BOX_CONTEXT_FRACTION, size)
        return predict_in_window(image, fit_letterbox(window), prompt, network)
    first = _first_confident(image, prompt, network)
    box, window = first.object_box(prompt), first.letterbox.window
    closer = context_window(box, CONTEXT_FRACTION, size) if box else window
    if _box_iou(closer, window) > SAME_WINDOW_IOU:
        return first
    second = predict_in_window(image, fit_letterbox(closer), prompt, network, first)
    return replace(second, confident=first.confident)


def _first_confident(image: Image, prompt: ObjectPrompt, network: Network) -> ClickPrediction:
    """Return the prediction of the first confident window, else that of the whole photo."""
    predictions = (
        predict_in_window(image, fit_letterbox(window), prompt, network)
        for window in _zoom_windows(prompt, image.shape)
    )
    whole = prediction = next(predictions)
    while not is_confident(prediction, prompt, image.shape):
        if (closer := next(predictions, None)) is None:
            return whole
        prediction = closer
    return replace(prediction, confident=True)


def _zoom_windows(prompt: ObjectPrompt, size: tuple[int, ...]) -> Iterator[Box]:
    """Yield the whole photo, then smaller and smaller windows around the clicks."""
    clicks = reduce(Box.union, (Box(x, y, x + 1, y + 1) for x, y in prompt.include))
    yield Box(0, 0, size[1], size[0])
    for fraction in ZOOM_FRACTIONS:
        margin = round(fraction * max(size[:2]) / 2)
        if margin < MIN_WINDOW_SIDE // 2:
            return
        yield clicks.expand(margin, (size[0], size[1]))


def is_confident(prediction: ClickPrediction, prompt: ObjectPrompt, size: tuple[int, ...]) -> bool:
    """Return whether a prediction can be trusted, for a photo of ``size`` (h, w, ...).

    It can if there is an object at the clicks, if the probabilities are near 0 or 1, and if the
    window does not cut through the object.
    """
    if prediction.object_box(prompt) is None:
        return False
    window, input_size = prediction.letterbox.window, prediction.letterbox.size
    probability = prediction.probability(window, input_size)
    mask = probability > 0.5
    iou = probability[mask].sum() / max(mask.sum() + probability[~mask].sum(), 1e-6)
    borders = (  # a border of the mask, and whether the photo goes on beyond it
        (mask[0], window.y0 > 0), (mask[-1], window.y1 < size[0]),
        (mask[:, 0], window.x0 > 0), (mask[:, -1], window.x1 < size[1]),
    )  # fmt: skip
    cuts = any(inner and border.mean() > MAX_CUT_FRACTION for border, inner in borders)
    return bool(iou >= MIN_CONFIDENT_IOU and not cuts)


def with_saliency(
    image: Image, prediction: ClickPrediction, prompt: ObjectPrompt, network: Network
) -> ClickPrediction:
    """Return the prediction with the saliency map of a window around the object.

    The map's weight tells how likely the salient object is the prompted one: for a box, by how
    little of it lies outside the box; for clicks, by how well it agrees with the prediction.
    ``network`` is the saliency network. The prediction is returned unchanged if it found no
    object, or if the prompt asks for a part.
    """
    size = image.shape[0], image.shape[1]
    box = prompt.box or prediction.object_box(prompt)
    if box is None or _asks_for_part(prompt):
        return prediction
    window = context_window(box, BOX_CONTEXT_FRACTION, size)
    saliency = predict_saliency(image, window, network)
    weight = _saliency_weight(saliency, prediction, prompt)
    return replace(prediction, saliency=replace(saliency, weight=weight))


def _saliency_weight(
    saliency: SaliencyMap, prediction: ClickPrediction, prompt: ObjectPrompt
) -> float:
    """Return the weight of a saliency map, in [0, 1]."""
    salient = saliency.probability()
    window, size = saliency.window, (salient.shape[0], salient.shape[1])
    if prompt.box:
        inside = salient[Letterbox(window, size).box_to_input(prompt.box).slices].sum()
        return _ramp(float(inside / max(salient.sum(), 1e-6)), *BOX_SHARE_RANGE)
    predicted = prediction.probability(window, size)
    union = max(np.maximum(predicted, salient).sum(), 1e-6)
    return _ramp(float(np.minimum(predicted, salient).sum() / union), *AGREEMENT_RANGE)


def _ramp(value: float, low: float, high: float) -> float:
    """Map ``low`` to 0 and ``high`` to 1, linearly, clipped to [0, 1]."""
    return min(max((value - low) / (high - low), 0.0), 1.0)


def rest_of_object(image: Image, mask: BinaryMask, network: Network) -> ClickPrediction:
    """Predict the whole object that a known mask, (H, W) bool, is part of.

    The window is the mask's box with a margin. The prompt is a click at the deepest point of the
    mask.
    """
    box = bounding_box(mask)
    x, y = deepest_point(mask[box.slices])
    window = context_window(box, CONTEXT_FRACTION, (mask.shape[0], mask.shape[1]))
    prompt = ObjectPrompt(((box.x0 + x, box.y0 + y),))
    return predict_in_window(image, fit_letterbox(window), prompt, network, KnownMask(mask))


def predict_in_window(
    image: Image,
    letterbox: Letterbox,
    prompt: ObjectPrompt,
    network: Network,
    previous: ClickPrediction | KnownMask | None = None,
) -> ClickPrediction:
    """Return the prediction in one window: the mean over the window and its mirror image."""
    planes = input_planes(image, letterbox, prompt, previous)
    width = letterbox.size[1]
    mirrored = np.zeros_like(planes)
    mirrored[:, :, :width] = planes[:, :, :width][:, :, ::-1]
    logits = _mirror_logits(network(mirrored), width)
    mean: FloatArray = (network(planes) + logits) / np.float32(2)
    channel = PART_CHANNEL if _asks_for_part(prompt) else OBJECT_CHANNEL
    return ClickPrediction(letterbox, mean, channel)


def _mirror_logits(logits: FloatArray, width: int) -> FloatArray:
    """Mirror logits, which have half the input's resolution, in a letterbox ``width`` px wide.

    The width may be odd, hence the interpolation.
    """
    matrix = np.array([[-1, 0, width / 2 - 1], [0, 1, 0]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.stack([
        cv2.warpAffine(c, matrix, c.shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
        for c in logits
    ])  # fmt: skip


def _asks_for_part(prompt: ObjectPrompt) -> bool:
    single = len(prompt.include) == 1 and not prompt.exclude and prompt.box is None
    return single and prompt.granularity == "part"


def context_window(box: Box, fraction: float, size: tuple[int, int]) -> Box:
    """Return a window with a margin of ``fraction`` of the box's long side, in a photo of ``size``.

    The margin is at least 8 px, and the window's long side at least ``MIN_WINDOW_SIDE``, but it
    is clipped to the photo.
    """
    long_side = max(box.width, box.height)
    margin = max(8 + round(fraction * long_side), (MIN_WINDOW_SIDE - long_side + 1) // 2)
    return box.expand(margin, size)


def _box_iou(first: Box, second: Box) -> float:
    width = min(first.x1, second.x1) - max(first.x0, second.x0)
    height = min(first.y1, second.y1) - max(first.y0, second.y0)
    intersection = max(width, 0) * max(height, 0)
    union = first.width * first.height + second.width * second.height - intersection
    return intersection / union
