"""Find objects at clicks and in boxes with the click network, without any download.

The network looks at the whole photo first. If its answer agrees with an object that the object
network found there, that object is meant (``found_objects``). A small object is looked at again in
a window round it, and an answer that is not sure in smaller and smaller windows round the click.
Each further click adds the piece that it lies in, or takes away the thing that it lies on. The
mask's edge is brought to full resolution (``mask_upsampling``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from segment2inpaint.detect.builtin.corrections import add_piece, take_away
from segment2inpaint.detect.builtin.distractions import (
    Distraction,
    Thing,
    is_selected,
    read_scene,
    search_edge,
)
from segment2inpaint.detect.builtin.everything import find_everything
from segment2inpaint.detect.builtin.final_mask import at_full_resolution, holds, obey_prompt
from segment2inpaint.detect.builtin.found_objects import (
    AGREEMENT,
    MIN_AGREEMENT,
    SAME,
    ObjectAtClick,
    agreeing_object,
    in_frame,
    near_things,
    sure_object,
    with_held,
)
from segment2inpaint.detect.builtin.last_ones import LastOnes
from segment2inpaint.detect.builtin.mask_choice import SURE_SCORE, guess, rate
from segment2inpaint.detect.builtin.person import PersonPart, find_rest_of_person
from segment2inpaint.detect.builtin.prompt_steps import (
    first_click,
    with_click_on,
    without_last_click,
)
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
from segment2inpaint.networks.click import (
    SINGLE,
    Answer,
    ClickNetwork,
    Embedding,
    ObjectPrompt,
    shipped_click_network,
)
from segment2inpaint.networks.objects import FoundObject, find_objects
from segment2inpaint.networks.onnx import Network, shipped_network
from segment2inpaint.types import (
    Box,
    Detection,
    Everything,
    FloatArray,
    Image,
    Points,
    Prompt,
)

WINDOW_MARGIN = 0.6  # of an object's long side, on each side of its window
BOX_MARGIN = 0.25  # of a box's long side, on each side of its window
MAX_WINDOW = 0.5  # of the photo's long side; a larger window shows no more than the whole photo
SURE_BOX_SCORE = 0.9  # expected IoU of a mask in a box, from which on it is taken as it is
MAX_ASKED = 6  # found objects at a click, in whose boxes the click network is asked
UNSURE_SCORE = 0.75  # expected IoU, below which a sure object at a click is preferred
MIN_ZOOM_SCORE = 0.7  # expected IoU in a closer window
SURE_RATING, ZOOM_LEAD = 1.0, 0.03  # rating that needs no closer window, and lead of one


Scored = tuple[FloatArray, float]  # logits (h, w) of a frame, and the expected IoU


class BuiltinDetector:
    """Turn points, boxes and ``Everything`` into masks; several objects at once are supported."""

    name = "builtin"
    prompt_types: tuple[type, ...] = (Points, Box, Everything)

    def __init__(
        self,
        network: ClickNetwork | None = None,
        saliency: Network | None = None,
        object_finder: Callable[[Image], list[FoundObject]] | None = None,
    ) -> None:
        self._network = network or shipped_click_network()
        self._saliency = saliency if network else shipped_network("saliency")
        self._windows, self._answers = LastOnes[Embedding](), LastOnes[Answer]()
        self._salient, self._corrected = LastOnes[SalientObject](), LastOnes[Scored]()
        self._rests = LastOnes[list[PersonPart]]()
        self._find_objects = object_finder if network else find_objects
        self._found, self._chosen = LastOnes[list[FoundObject]](), LastOnes[list[ObjectAtClick]]()

    def prepare(self, images: Sequence[Image]) -> None:
        """Encode each photo and find its objects, so that a first click is answered soon."""
        for image in images:
            self._objects(image, self._network.look(image, whole_photo(image)))

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
        asked = with_click_on(rest, prompt) if rest else prompt
        embedding = self._look(image, asked, rest)
        logits, score = self._correct(image, embedding, asked)
        mask = at_full_resolution(image, embedding, logits)
        is_object = bool(self._object_at_click(image, first_click(prompt)))
        return Detection(
            obey_prompt(mask, prompt, keep_largest=is_object),
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
            Detection(at_full_resolution(image, embedding, candidate.logits), candidate.score)
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
        first = first_click(prompt)
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
        first = first_click(prompt)
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
        is_selected = partial(holds, embedding, logits)
        return find_rest_of_person(image, box, is_selected) if box else []

    def _look_at_click(self, image: Image, whole: Embedding, prompt: ObjectPrompt) -> Embedding:
        """Return the embedding of the window in which the object at one click is best seen."""
        size = image.shape[0], image.shape[1]
        for found in self._object_at_click(image, prompt):
            window = around(functools.reduce(Box.union, found.held, found.box), BOX_MARGIN, size)
            is_closer = max(window.width, window.height) < MAX_WINDOW * max(size)
            is_unclear = is_small(found.box, size) or found.agreement < SAME
            return self._network.look(image, window) if is_closer and is_unclear else whole
        return self._search_window(image, whole, prompt)

    def _search_window(self, image: Image, whole: Embedding, prompt: ObjectPrompt) -> Embedding:
        """Return the embedding of the window in which the click network answers best."""
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

    # --- found objects --------------------------------------------------------------------------

    def _object_at_click(self, image: Image, prompt: ObjectPrompt) -> list[ObjectAtClick]:
        """Return the found object that one click means, if there is one.

        There is none for a part or a whole, and none in a box.
        """
        if prompt.box or prompt.granularity in ("part", "whole"):
            return []
        whole = self._network.look(image, whole_photo(image))
        choose = partial(self._choose_object, image, whole, prompt)
        return self._chosen.get((whole.key, prompt), choose)

    def _choose_object(
        self, image: Image, whole: Embedding, prompt: ObjectPrompt
    ) -> list[ObjectAtClick]:
        """Return the found object that agrees with the click network's first or last answer."""
        in_photo = self._objects(image, whole)
        found = [o for o in in_photo if o.box.contains(prompt.include[0])][:MAX_ASKED]
        if not found:
            return []
        in_boxes = [replace(prompt, box=o.box) for o in found]
        masks = [answer.logits[SINGLE] for answer in self._network.answers(whole, in_boxes)]
        alone = self._answer(whole, prompt).logits[SINGLE]
        embedding, chosen = whole, agreeing_object(found, masks, alone, AGREEMENT)
        if chosen is None:
            # The last answer is the one in the best window, with what stands out there.
            embedding = self._search_window(image, whole, prompt)
            alone, score = self._ask_click_network(image, embedding, prompt)
            in_whole = in_frame(whole.letterbox, embedding.letterbox, alone, masks[0].shape)
            chosen = agreeing_object(found, masks, in_whole, MIN_AGREEMENT)
            chosen = chosen or (sure_object(found) if score < UNSURE_SCORE else None)
        if chosen is None:
            return []
        meant, agreement = chosen
        held = near_things(meant, in_photo)
        return [ObjectAtClick(meant.box, embedding.letterbox, alone, agreement, held)]

    def _objects(self, image: Image, whole: Embedding) -> list[FoundObject]:
        """Return the objects found in the photo, the surest first."""
        if self._find_objects is None:
            return []
        return self._found.get((whole.key, ObjectPrompt()), partial(self._find_objects, image))

    # --- clicks in turn -------------------------------------------------------------------------

    def _correct(self, image: Image, embedding: Embedding, prompt: ObjectPrompt) -> Scored:
        """Return the logits (h, w) after all clicks, and the expected IoU."""
        ask = partial(self._ask, image, embedding, prompt)
        return self._corrected.get((embedding.key, prompt), ask)

    def _ask(self, image: Image, embedding: Embedding, prompt: ObjectPrompt) -> Scored:
        earlier = without_last_click(prompt)
        if earlier is None:
            return self._ask_first(image, embedding, prompt)
        logits, _ = self._correct(image, embedding, earlier)
        answer = self._network.answer(embedding, prompt, logits)
        new, click = answer.logits[SINGLE], (prompt.exclude or prompt.include)[-1]
        place = mask_place(embedding, click)
        if prompt.exclude:
            thing = self._network.answer(embedding, ObjectPrompt((click,), prompt.include))
            merged = take_away(logits, new, thing.logits[SINGLE], place)
        else:
            merged = add_piece(logits, new, place)
        return merged, float(answer.scores[SINGLE])

    def _ask_first(self, image: Image, embedding: Embedding, prompt: ObjectPrompt) -> Scored:
        """Return the answer to one click or a box, or to a click and one on the person's rest."""
        if prompt.together == 1:
            return self._ask_object(image, embedding, prompt)
        logits, score = self._ask_object(image, embedding, first_click(prompt))
        person = self._answer(embedding, prompt).logits[SINGLE]
        return np.maximum(logits, person), score

    def _ask_object(self, image: Image, embedding: Embedding, prompt: ObjectPrompt) -> Scored:
        """Return the answer to one click or a box, with the found object that a click means."""
        for found in self._object_at_click(image, prompt):
            logits, score = self._ask_found(image, embedding, prompt, found)
            things = [self._answer(embedding, ObjectPrompt(box=box)) for box in found.held]
            return with_held(logits, [thing.logits[SINGLE] for thing in things]), score
        return self._ask_click_network(image, embedding, prompt)

    def _ask_found(
        self, image: Image, embedding: Embedding, prompt: ObjectPrompt, found: ObjectAtClick
    ) -> Scored:
        """Return the answer to one click in the box of the object that it means."""
        if found.is_same_in(embedding.letterbox):
            return found.logits, float(self._answer(embedding, prompt).scores[SINGLE])
        in_box = replace(prompt, box=found.box)
        logits, score = self._ask_click_network(image, embedding, in_box)
        return found.blend_with(logits, embedding.letterbox), score

    def _ask_click_network(
        self, image: Image, embedding: Embedding, prompt: ObjectPrompt
    ) -> Scored:
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


def _pick(answer: Answer, index: int) -> Scored:
    return answer.logits[index], float(answer.scores[index])
