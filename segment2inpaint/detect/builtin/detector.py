"""Find objects at clicks and in boxes with the click network, without any download.

The network looks at the whole photo first. A small object is looked at again in a window round it,
and an answer that is not sure in smaller and smaller windows round the click. Each further click
adds the piece that it lies in, or takes away the thing that it lies on. The mask's edge is brought
to full resolution (``mask_upsampling``).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Generic, TypeVar

import numpy as np

from segment2inpaint.detect.builtin.distractions import (
    Distraction,
    Thing,
    is_selected,
    read_scene,
    search_edge,
)
from segment2inpaint.detect.builtin.everything import find_everything
from segment2inpaint.detect.builtin.mask_choice import SURE_SCORE, guess, rate
from segment2inpaint.detect.builtin.mask_upsampling import upsample_mask
from segment2inpaint.detect.builtin.person import PersonPart, find_rest_of_person
from segment2inpaint.detect.builtin.salient_object import SalientObject, find_salient_object
from segment2inpaint.detect.builtin.windows import (
    around,
    click_windows,
    is_cut,
    is_small,
    mask_place,
    object_box,
    whole_photo,
)
from segment2inpaint.detect.prompts import (
    ONLY_NEGATIVE_POINTS,
    check_for_detector,
    object_prompts,
    pick_by_number,
)
from segment2inpaint.errors import BadPrompt
from segment2inpaint.masks import components_at
from segment2inpaint.networks.click import (
    MASK_CELL,
    SINGLE,
    Answer,
    ClickNetwork,
    Embedding,
    ObjectPrompt,
    resample_logits,
    shipped_click_network,
)
from segment2inpaint.networks.letterbox import sigmoid
from segment2inpaint.networks.onnx import Network, shipped_network
from segment2inpaint.types import (
    BinaryMask,
    Box,
    Detection,
    Everything,
    FloatArray,
    Image,
    Point,
    Points,
    Prompt,
)

WINDOW_MARGIN = 0.6  # of an object's long side, on each side of its window
BOX_MARGIN = 0.25  # of a box's long side, on each side of its window
SURE_BOX_SCORE = 0.9  # expected IoU of a mask in a box, from which on it is taken as it is
MIN_ZOOM_SCORE = 0.7  # expected IoU in a closer window
SURE_RATING, ZOOM_LEAD = 1.0, 0.03  # rating that needs no closer window, and lead of one
MIN_CLICK_LOGIT = 1.0  # at a click
MIN_CHANGE_LOGIT = 0.5  # towards the click, where the mask changes
MIN_THING_LOGIT = 1.0  # of a thing that a click beside the object takes away
MAX_CACHED = 64  # results of each kind


Found = TypeVar("Found")
Scored = tuple[FloatArray, float]  # logits (h, w) of a frame, and the expected IoU


class BuiltinDetector:
    """Turn points, boxes and ``Everything`` into masks; several objects at once are supported."""

    name = "builtin"
    prompt_types: tuple[type, ...] = (Points, Box, Everything)

    def __init__(
        self, network: ClickNetwork | None = None, saliency: Network | None = None
    ) -> None:
        self._network = network or shipped_click_network()
        self._saliency = saliency if network else shipped_network("saliency")
        self._windows, self._answers = _LastOnes[Embedding](), _LastOnes[Answer]()
        self._salient, self._corrected = _LastOnes[SalientObject](), _LastOnes[Scored]()
        self._rests = _LastOnes[list[PersonPart]]()

    def prepare(self, images: Sequence[Image]) -> None:
        """Encode each photo, so that the first click on it runs the decoder alone."""
        for image in images:
            self._network.look(image, whole_photo(image))

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        """Return a detection for each object. Raises ``BadPrompt``."""
        prompts = check_for_detector(self.name, self.prompt_types, prompts, image.shape[:2])
        numbers = [p.pick for p in prompts if isinstance(p, Everything)]
        if numbers:
            return self._find_everything(image, prompts, sum(numbers, ()))
        objects = object_prompts(prompts)
        if not objects:
            raise BadPrompt(f"{self.name}: {ONLY_NEGATIVE_POINTS}")
        found = [self._find(image, prompt) for prompt in objects]
        return [detection for detection in found if detection.mask.any()]

    def _find(self, image: Image, prompt: ObjectPrompt) -> Detection:
        rest = self._rest_of_person(image, prompt)
        asked = _with_click_on(rest, prompt) if rest else prompt
        embedding = self._look(image, asked, rest)
        logits, score = self._correct(image, embedding, asked)
        mask = _at_full_resolution(image, embedding, logits)
        return Detection(
            _obey_prompt(mask, prompt),
            float(np.clip(score, 0, 1)),
            seen_in=embedding.letterbox.window,
        )

    def _find_everything(
        self, image: Image, prompts: Sequence[Prompt], numbers: tuple[int, ...]
    ) -> list[Detection]:
        if not all(isinstance(p, Everything) for p in prompts):
            raise BadPrompt(f"{self.name}: everything cannot be combined with other prompts")
        embedding = self._network.look(image, whole_photo(image))
        found = find_everything(self._network, embedding)
        return [
            Detection(_at_full_resolution(image, embedding, candidate.logits), candidate.score)
            for candidate in pick_by_number(found, numbers)
        ]

    def search_distractions(self, image: Image) -> Iterator[list[Distraction]]:
        """Yield the things at the photo's edge that could go, those found so far after each step.

        A step takes some tenths of a second. There are none without a saliency network.
        """
        if self._saliency is None:
            return
        scene = read_scene(image, self._network.look(image, whole_photo(image)), self._saliency)
        found, things = list[Distraction](), list[Thing]()
        for thing in search_edge(scene, self._network):
            things += [thing] if thing else []
            yield found
        for thing in things:
            selected = self.detect(image, [Points((thing.click,))])
            found += [Distraction(thing.click, d) for d in selected if is_selected(thing, d.mask)]
            yield found

    # --- where to look --------------------------------------------------------------------------

    def _look(
        self, image: Image, prompt: ObjectPrompt, rest: PersonPart | None = None
    ) -> Embedding:
        """Return the embedding of the window in which the object is best seen, with its rest."""
        size = image.shape[0], image.shape[1]
        if prompt.box:
            return self._network.look(image, around(prompt.box, BOX_MARGIN, size))
        whole = self._network.look(image, whole_photo(image))
        first = replace(prompt, include=prompt.include[:1], exclude=(), together=1)
        look = partial(self._look_at_click, image, whole, first)
        found = self._windows.get((whole.key, first), look)
        seen = rest.seen if rest else None
        corners = [(seen.x0, seen.y0), (seen.x1 - 1, seen.y1 - 1)] if seen else []
        places = [*prompt.include, *prompt.exclude, *corners]
        return found if all(map(found.letterbox.window.contains, places)) else whole

    def _rest_of_person(self, image: Image, prompt: ObjectPrompt) -> PersonPart | None:
        """Return the rest of the person of whom the first click selects clothes or the head.

        There is none for a part, in a box, or if an exclude click is on the rest.
        """
        if prompt.box or prompt.granularity == "part":
            return None
        first = replace(prompt, include=prompt.include[:1], exclude=())
        embedding = self._look(image, first)
        find = partial(self._find_rest, image, embedding, first)
        rest = self._rests.get((embedding.key, first), find)
        is_excluded = rest and any(map(rest[0].contains, prompt.exclude))
        return rest[0] if rest and not is_excluded else None

    def _find_rest(
        self, image: Image, embedding: Embedding, prompt: ObjectPrompt
    ) -> list[PersonPart]:
        logits, _ = self._correct(image, embedding, prompt)
        box = object_box(embedding, logits, prompt.include[0])
        is_selected = partial(_is_selected, embedding, logits)
        return find_rest_of_person(image, box, is_selected) if box else []

    def _look_at_click(self, image: Image, whole: Embedding, prompt: ObjectPrompt) -> Embedding:
        """Return the embedding of the window in which the object at one click is best seen."""
        size = image.shape[0], image.shape[1]
        found = self._search(image, whole, prompt)
        logits, _ = self._guess(found, prompt)
        box = object_box(found, logits, prompt.include[0])
        if box and is_small(box, size):
            found = self._network.look(image, around(box, WINDOW_MARGIN, size))
        return found

    def _search(self, image: Image, whole: Embedding, prompt: ObjectPrompt) -> Embedding:
        """Return the window with the best answer to one click."""
        size, click = (image.shape[0], image.shape[1]), prompt.include[0]
        best, best_rating = whole, self._rating(image, whole, prompt)
        for window in click_windows(click, size):
            is_sure = self._answer(best, prompt).scores.max() >= SURE_SCORE
            if is_sure and best_rating >= SURE_RATING:
                break
            embedding = self._network.look(image, window)
            logits, score = self._guess(embedding, prompt)
            box = object_box(embedding, logits, click)
            if score < MIN_ZOOM_SCORE or box is None or is_cut(box, window, size):
                continue
            rating = self._rating(image, embedding, prompt)
            if rating > best_rating + ZOOM_LEAD:
                best, best_rating = embedding, rating
        return best

    def _rating(self, image: Image, embedding: Embedding, prompt: ObjectPrompt) -> float:
        """Return the rating of the best answer to one click in a window.

        Without a saliency network the score alone counts.
        """
        if self._saliency is None:
            return SURE_RATING + self._guess(embedding, prompt)[1]
        salient = self._find_salient(image, embedding, prompt)
        return float(rate(self._answer(embedding, prompt), salient).max()) if salient else 0.0

    # --- clicks in turn -------------------------------------------------------------------------

    def _correct(self, image: Image, embedding: Embedding, prompt: ObjectPrompt) -> Scored:
        """Return the logits (h, w) after all clicks, and the expected IoU."""
        ask = partial(self._ask, image, embedding, prompt)
        return self._corrected.get((embedding.key, prompt), ask)

    def _ask(self, image: Image, embedding: Embedding, prompt: ObjectPrompt) -> Scored:
        earlier = _without_last_click(prompt)
        if earlier is None:
            return self._ask_first(image, embedding, prompt)
        logits, _ = self._correct(image, embedding, earlier)
        answer = self._network.answer(embedding, prompt, logits)
        new, click = answer.logits[SINGLE], (prompt.exclude or prompt.include)[-1]
        place = mask_place(embedding, click)
        if prompt.exclude:
            thing = self._network.answer(embedding, ObjectPrompt((click,), prompt.include))
            merged = _take_away(logits, new, thing.logits[SINGLE], place)
        else:
            merged = _add(logits, new, place)
        return merged, float(answer.scores[SINGLE])

    def _ask_first(self, image: Image, embedding: Embedding, prompt: ObjectPrompt) -> Scored:
        """Return the answer to one click or a box, or to a click and one on the person's rest."""
        if prompt.together == 1:
            return self._ask_object(image, embedding, prompt)
        click = replace(prompt, include=prompt.include[:1], together=1)
        logits, score = self._ask_object(image, embedding, click)
        person = self._answer(embedding, prompt).logits[SINGLE]
        return np.maximum(logits, person), score

    def _ask_object(self, image: Image, embedding: Embedding, prompt: ObjectPrompt) -> Scored:
        """Return the answer to one click or a box, together with what stands out there."""
        logits, score = self._guess(embedding, prompt)
        is_sure = score >= (SURE_BOX_SCORE if prompt.box else SURE_SCORE)
        if is_sure or prompt.granularity == "part":
            return logits, score
        salient = self._find_salient(image, embedding, prompt)
        if salient is None:
            return logits, score
        if prompt.granularity == "auto" and not prompt.box:
            answer = self._answer(embedding, prompt)
            logits, score = _pick(answer, int(rate(answer, salient).argmax()))
        return salient.add_to(logits, prompt), score

    def _find_salient(
        self, image: Image, embedding: Embedding, prompt: ObjectPrompt
    ) -> SalientObject | None:
        """Return what stands out round the object at a click or in a box, if there is one."""
        logits, _ = self._guess(embedding, prompt)
        box = prompt.box or object_box(embedding, logits, prompt.include[0])
        if box is None or self._saliency is None:
            return None
        find = partial(find_salient_object, image, embedding, box, self._saliency)
        return self._salient.get((embedding.key, prompt), find)

    def _guess(self, embedding: Embedding, prompt: ObjectPrompt) -> Scored:
        """Return the mask that one click or a box asks for, by the scores alone."""
        answer = self._answer(embedding, prompt)
        return _pick(answer, guess(answer, prompt))

    def _answer(self, embedding: Embedding, prompt: ObjectPrompt) -> Answer:
        """Return the click network's answer to one click or a box."""
        ask = partial(self._network.answer, embedding, prompt)
        return self._answers.get((embedding.key, prompt), ask)


class _LastOnes(Generic[Found]):
    """A cache of the last results, by embedding and prompt."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[bytes, ObjectPrompt], Found] = OrderedDict()

    def get(self, key: tuple[bytes, ObjectPrompt], compute: Callable[[], Found]) -> Found:
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = compute()
        if len(self._found) > MAX_CACHED:
            self._found.popitem(last=False)
        return found


def _pick(answer: Answer, index: int) -> Scored:
    return answer.logits[index], float(answer.scores[index])


def _with_click_on(rest: PersonPart, prompt: ObjectPrompt) -> ObjectPrompt:
    """Return the prompt with a click on the rest of a person together with the first click."""
    first, *others = prompt.include
    return replace(prompt, include=(first, rest.point, *others), together=2)


def _without_last_click(prompt: ObjectPrompt) -> ObjectPrompt | None:
    """Return the prompt before the last click, None if that left nothing to ask."""
    if prompt.exclude:
        return replace(prompt, exclude=prompt.exclude[:-1])
    if len(prompt.include) > (0 if prompt.box else prompt.together):
        return replace(prompt, include=prompt.include[:-1])
    return None


def _add(old: FloatArray, new: FloatArray, place: Point) -> FloatArray:
    """Return the logits after a click on the object: it adds the piece that it lies in."""
    merged = _change_piece(old, new, (old <= 0) & (new > MIN_CHANGE_LOGIT), place)
    merged[place[::-1]] = max(float(merged[place[::-1]]), MIN_CLICK_LOGIT)
    return merged


def _take_away(old: FloatArray, new: FloatArray, thing: FloatArray, place: Point) -> FloatArray:
    """Return the logits after a click beside the object: it takes the thing there away.

    ``thing`` are the logits of what the click lies on, asked for by itself.
    """
    changed = (old > 0) & (new < -MIN_CHANGE_LOGIT) & (thing > MIN_THING_LOGIT)
    merged = _change_piece(old, new, changed, place)
    merged[place[::-1]] = min(float(merged[place[::-1]]), -MIN_CLICK_LOGIT)
    return merged


def _change_piece(
    old: FloatArray, new: FloatArray, changed: BinaryMask, place: Point
) -> FloatArray:
    """Return the new logits in one piece of what changed and where the mask stays as it was."""
    changed[place[::-1]] = True
    piece = components_at(changed, [place])
    same = (old > 0) == (new > 0)
    return np.where(piece | same, new, old)


# --- masks ----------------------------------------------------------------------------------------


def _is_selected(embedding: Embedding, logits: FloatArray, point: Point) -> bool:
    """Return whether a point of the photo is in the window, and in the mask of logits (h, w)."""
    x, y = mask_place(embedding, point)
    return embedding.letterbox.window.contains(point) and bool(logits[y, x] > 0)


def _at_full_resolution(image: Image, embedding: Embedding, logits: FloatArray) -> BinaryMask:
    """Return the mask (H, W) of logits (h, w) over a window."""
    letterbox = embedding.letterbox
    size = max(1, letterbox.size[0] // MASK_CELL), max(1, letterbox.size[1] // MASK_CELL)
    coverage = sigmoid(resample_logits(letterbox, logits, letterbox.window, size))
    window = letterbox.window
    mask = np.zeros(image.shape[:2], np.bool_)
    mask[window.slices] = upsample_mask(image[window.slices], coverage)
    return mask


def _obey_prompt(mask: BinaryMask, prompt: ObjectPrompt) -> BinaryMask:
    """Set the pixels of all points, and clear those outside the box.

    If there are include points, only their components stay.
    """
    if prompt.box:
        inside = np.zeros_like(mask)
        inside[prompt.box.slices] = mask[prompt.box.slices]
        mask = inside
    for x, y in prompt.include:
        mask[y, x] = True
    for x, y in prompt.exclude:
        mask[y, x] = False
    return components_at(mask, prompt.include) if prompt.include else mask
