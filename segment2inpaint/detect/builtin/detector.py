"""Find objects at points and in boxes, without any download.

At a point, many region candidates on superpixels are ranked by their boundary, by how the point
lies in them and by what two small networks predict (``region_selection``). In a box, the first
guess is the box's ellipse. A random walker then cuts the guess out pixel by pixel in a reduced
window round it (``random_walker``), and the cut's edge is brought to full resolution
(``mask_upsampling``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from segment2inpaint.detect.builtin.cache import candidates_at, click_seed, superpixels_of
from segment2inpaint.detect.builtin.mask_upsampling import upsample_mask
from segment2inpaint.detect.builtin.random_walker import box_odds, random_walk_cut, shape_odds
from segment2inpaint.detect.builtin.reduced_crop import ReducedCrop
from segment2inpaint.detect.builtin.region_selection import (
    apply_correction,
    best_region,
    candidates_from_prior,
)
from segment2inpaint.detect.builtin.superpixels import SuperpixelGraph
from segment2inpaint.detect.prompts import (
    ONLY_NEGATIVE_POINTS,
    check_for_detector,
    object_prompts,
)
from segment2inpaint.errors import BadPrompt
from segment2inpaint.masks import components_at
from segment2inpaint.networks import click
from segment2inpaint.networks.click import ClickPrediction, ObjectPrompt
from segment2inpaint.networks.onnx import Network, shipped_network
from segment2inpaint.types import BinaryMask, Box, Detection, FloatArray, Image, Points, Prompt

SEARCH_SIDE = 400  # px, long side of the picture in which the object is searched
CUT_SIDE = 200  # px, long side of the picture in which it is cut out
SEARCHES = 3  # at most; each is closer to the object than the last

# Context on each side of a window, as a share of the longer side of ...
GUESS_MARGIN = 0.4  # ... a guess
BOX_MARGIN = 0.25  # ... the user's box
MIN_MARGIN = 8  # px, added to it

SMALL_OBJECT = 0.2  # of the window's longer side; a smaller guess is searched again, closer

# Log-odds that a pixel belongs to the object.
MIN_SHAPE_ODDS = -4.0  # by place; a pixel at or below it is outside the object
MAX_NETWORK_ODDS = 2.0  # of each network; clipped to +- this
NETWORK_WEIGHT = 0.5  # of the networks, relative to the odds by place
NETWORK_WEIGHT_IN_BOX = 1.0

# Preference for large regions, see ``best_region``.
SIZE_BIAS = {"auto": 0.0, "object": 0.0, "part": -0.3, "whole": 0.3}


class BuiltinDetector:
    """Turn points and boxes into masks; several objects at once are supported.

    ``load_network`` returns the network "click" or "saliency", None to go without it.
    """

    name = "builtin"
    prompt_types: tuple[type, ...] = (Points, Box)

    def __init__(self, load_network: Callable[[str], Network | None] = shipped_network) -> None:
        self._load_network = load_network

    def prepare(self, images: Sequence[Image]) -> None:
        """Compute the superpixels that the first click on each photo needs, and cache them."""
        for image in images:
            superpixels_of(ReducedCrop(image, _whole(image), SEARCH_SIDE).pixels)

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        """Return a detection for each object. Raises ``BadPrompt``."""
        prompts = check_for_detector(self.name, self.prompt_types, prompts, image.shape[:2])
        objects = object_prompts(prompts)
        if not objects:
            raise BadPrompt(f"{self.name}: {ONLY_NEGATIVE_POINTS}")
        masks = [_find(image, prompt, self._predict(image, prompt)) for prompt in objects]
        return [Detection(mask) for mask in masks if mask.any()]

    def _predict(self, image: Image, prompt: ObjectPrompt) -> ClickPrediction | None:
        network, saliency = self._load_network("click"), self._load_network("saliency")
        if network is None:
            return None
        prediction = click.predict(image, prompt, network)
        if saliency is None:
            return prediction
        return click.with_saliency(image, prediction, prompt, saliency)


def _find(image: Image, prompt: ObjectPrompt, prediction: ClickPrediction | None) -> BinaryMask:
    """Return the object's mask (H, W): guessed in a large window, then cut out in a close one."""
    size = image.shape[0], image.shape[1]
    if prompt.box:
        crop = ReducedCrop(image, _window(prompt.box, BOX_MARGIN, size), CUT_SIDE)
        cut = _cut_in_box(crop, prompt, prediction)
    else:
        start = _search_window(prompt, prediction, size)
        searched, guess = _search(image, prompt, prediction, start)
        window = _window(searched.box_in_photo(guess), GUESS_MARGIN, size)
        crop = ReducedCrop(image, window, CUT_SIDE)
        cut = _cut_shape(crop, crop.resample_mask(searched, guess), prompt, prediction)
    mask = np.zeros(size, np.bool_)
    mask[crop.window.slices] = upsample_mask(image[crop.window.slices], cut)
    return _obey_points(mask, prompt)


def _whole(image: Image) -> Box:
    return Box(0, 0, image.shape[1], image.shape[0])


def _window(box: Box, margin: float, size: tuple[int, ...]) -> Box:
    """Return the box with a margin on each side, as a share of its longer side."""
    longer = max(box.width, box.height)
    return box.expand(MIN_MARGIN + round(margin * longer), (size[0], size[1]))


# --- search ---------------------------------------------------------------------------------


def _search_window(
    prompt: ObjectPrompt, prediction: ClickPrediction | None, size: tuple[int, int]
) -> Box:
    """Return where to search first: round a small object of a confident prediction, or all over."""
    box = prediction.object_box(prompt) if prediction and prediction.confident else None
    if box and max(box.width, box.height) < SMALL_OBJECT * max(size):
        return _window(box, 2 * GUESS_MARGIN, size)
    return Box(0, 0, size[1], size[0])


def _search(
    image: Image,
    prompt: ObjectPrompt,
    prediction: ClickPrediction | None,
    window: Box,
    searches: int = SEARCHES,
) -> tuple[ReducedCrop, BinaryMask]:
    """Return the crop of the last search and the guess in it, (h, w).

    A small guess is searched again in a closer window.
    """
    crop = ReducedCrop(image, window, SEARCH_SIDE)
    guess = _guess(crop, prompt, prediction)
    box = crop.box_in_photo(guess)
    closer = _window(box, 2 * GUESS_MARGIN, image.shape[:2])
    small = max(box.width, box.height) < SMALL_OBJECT * max(window.width, window.height)
    if searches > 1 and small and all(map(closer.contains, prompt.include)):
        return _search(image, prompt, prediction, closer, searches - 1)
    return crop, guess


def _guess(
    crop: ReducedCrop, prompt: ObjectPrompt, prediction: ClickPrediction | None
) -> BinaryMask:
    """Return the most likely object at the first point, corrected by the other points in turn."""
    local = crop.local_prompt(prompt)
    graph = superpixels_of(crop.pixels)
    found = candidates_at(crop.pixels, local.include[0])
    prior = _predicted_area(graph, crop, prediction)
    if prior is not None:
        seed = click_seed(graph, local.include[0])
        found = found.concatenate(candidates_from_prior(graph, seed, prior))
    region = best_region(graph, found, SIZE_BIAS[prompt.granularity], prior)
    return _apply_points(graph, region, local)


def _predicted_area(
    graph: SuperpixelGraph, crop: ReducedCrop, prediction: ClickPrediction | None
) -> FloatArray | None:
    """Return how many pixels of each superpixel the networks assign to the object, (K,)."""
    if prediction is None:
        return None
    probability = prediction.probability(crop.window, crop.shape)
    area = np.bincount(graph.labels.ravel(), probability.ravel(), len(graph.area))
    return area.astype(np.float32)


def _apply_points(graph: SuperpixelGraph, region: BinaryMask, local: ObjectPrompt) -> BinaryMask:
    """Return a region of superpixels, (K,), corrected by all points, as a mask (h, w)."""
    points = [(p, True) for p in local.include] + [(p, False) for p in local.exclude]
    clicked = np.unique([graph.labels[y, x] for (x, y), _ in points]).astype(np.intp)
    for point, positive in points:
        region = apply_correction(graph, region, point, positive, clicked)
    mask: BinaryMask = region[graph.labels]
    return mask


# --- cut ------------------------------------------------------------------------------------


def _cut_in_box(
    crop: ReducedCrop, prompt: ObjectPrompt, prediction: ClickPrediction | None
) -> BinaryMask:
    """Return the object that fills the box, (h, w), corrected by the points in it."""
    local = crop.local_prompt(prompt)
    box = local.box or Box(0, 0, *crop.size)
    outside = np.ones(crop.shape, np.bool_)
    outside[box.slices] = False
    odds = box_odds(crop.shape, box) + NETWORK_WEIGHT_IN_BOX * _network_odds(crop, prediction)
    cut = random_walk_cut(crop.pixels, odds, outside, local.include, local.exclude)
    if not (local.include or local.exclude):
        return cut
    graph = superpixels_of(crop.pixels)
    share = np.bincount(graph.labels.ravel(), cut.ravel(), len(graph.area)) / graph.area
    corrected = _apply_points(graph, share > 0.5, local) & ~outside
    return _cut_shape(crop, corrected, prompt, prediction)


def _cut_shape(
    crop: ReducedCrop,
    guess: BinaryMask,
    prompt: ObjectPrompt,
    prediction: ClickPrediction | None,
) -> BinaryMask:
    """Return the object, (h, w), that lies about where a guess is."""
    local, odds = crop.local_prompt(prompt), shape_odds(guess)
    outside = odds <= MIN_SHAPE_ODDS
    if local.box:
        inside = np.zeros_like(outside)
        inside[local.box.slices] = True
        outside |= ~inside
    odds = odds + NETWORK_WEIGHT * _network_odds(crop, prediction)
    return random_walk_cut(crop.pixels, odds, outside, local.include, local.exclude)


def _network_odds(crop: ReducedCrop, prediction: ClickPrediction | None) -> FloatArray | float:
    """Return the clipped log-odds by the networks, (h, w); 0 where they made no prediction."""
    if prediction is None:
        return 0.0
    networks = 1 + (prediction.saliency.weight if prediction.saliency else 0)
    limit = MAX_NETWORK_ODDS * networks
    odds = np.clip(prediction.log_odds(crop.window, crop.shape), -limit, limit)
    odds[prediction.outside(crop.window, crop.shape)] = 0
    return odds


def _obey_points(mask: BinaryMask, prompt: ObjectPrompt) -> BinaryMask:
    """Set the pixels of all points; if there are include points, keep only their components."""
    for x, y in prompt.include:
        mask[y, x] = True
    for x, y in prompt.exclude:
        mask[y, x] = False
    return components_at(mask, prompt.include) if prompt.include else mask
