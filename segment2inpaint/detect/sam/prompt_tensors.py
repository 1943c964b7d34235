"""Turn prompts in photo pixels into the tensors that promptable models take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from segment2inpaint.detect.prompts import object_prompts
from segment2inpaint.detect.sam.model import PromptableModel, PromptTensors, Size
from segment2inpaint.errors import BadPrompt
from segment2inpaint.masks import deepest_point
from segment2inpaint.networks.click import ObjectPrompt
from segment2inpaint.protocols import MaskPrompt
from segment2inpaint.types import BinaryMask, Box, Prompt, UserMask, bounding_box

BATCH_SIZE = 16  # objects decoded at once
LOGITS_PER_PIXEL = 2.0  # of a user mask, by the distance from its edge in px of the model's masks
MAX_LOGIT = 10.0  # of a user mask


class PromptedObject(NamedTuple):
    """The points and the box of one object, and the user mask to start from, if any."""

    prompt: ObjectPrompt
    user_mask: BinaryMask | None = None

    @property
    def kinds(self) -> tuple[int, bool, bool]:
        """The number of points, whether there is a box, whether there is a user mask."""
        points = len(self.prompt.include) + len(self.prompt.exclude)
        return points, self.prompt.box is not None, self.user_mask is not None

    @property
    def ambiguous(self) -> bool:
        """Return whether the prompt may mean a part as well as the whole."""
        return self.kinds == (1, False, False) or self.prompt.granularity != "auto"


def prompted_objects(prompts: Sequence[Prompt]) -> list[PromptedObject]:
    """Return the objects that points, boxes and user masks mean.

    A mask alone tells these models little, so a user mask also prompts with its bounding box,
    which points inside it refine, and with its deepest point.
    """
    boxes = [bounding_box(p.mask) if isinstance(p, UserMask) else p for p in prompts]
    areas = [p for p in prompts if isinstance(p, Box | UserMask)]
    objects = []
    for i, prompt in enumerate(object_prompts(boxes)):  # those with a box first, in their order
        area = areas[i] if i < len(areas) else None
        if isinstance(area, UserMask):
            objects.append(PromptedObject(_with_deepest_point(prompt, area.mask), area.mask))
        else:
            objects.append(PromptedObject(prompt))
    return objects


def batches(objects: Sequence[PromptedObject]) -> Iterator[list[int]]:
    """Yield the indices of the objects in batches that can be decoded together.

    The prompts of a batch are of the same kinds: padding a prompt would change its mask.
    """
    groups: dict[tuple[object, ...], list[int]] = {}
    for i, prompted in enumerate(objects):
        groups.setdefault((*prompted.kinds, prompted.ambiguous), []).append(i)
    for group in groups.values():
        for start in range(0, len(group), BATCH_SIZE):
            yield group[start : start + BATCH_SIZE]


def prompt_tensors(
    model: PromptableModel,
    objects: Sequence[PromptedObject],
    size: Size,
    masks: torch.Tensor | None = None,
) -> PromptTensors:
    """Return the points and boxes of one batch for a photo of ``size``, with ``masks`` as given.

    ``masks`` (n, 1, s, s) are the logits to start from.
    """
    first = objects[0].prompt
    points = labels = boxes = None
    if first.include or first.exclude:
        coordinates = [[*o.prompt.include, *o.prompt.exclude] for o in objects]
        points = points_in_frame(model, np.array(coordinates, np.float64), size)
        positive = [[1] * len(o.prompt.include) + [0] * len(o.prompt.exclude) for o in objects]
        labels = torch.tensor(positive, dtype=torch.int32)
    if first.box is not None:
        corners = np.array([o.prompt.box for o in objects], np.float64).reshape(-1, 2, 2)
        boxes = points_in_frame(model, corners, size).flatten(1)
    return PromptTensors(points, labels, boxes, masks)


def tensors_of_arrays(model: PromptableModel, prompt: MaskPrompt, size: Size) -> PromptTensors:
    """Return the prompt for one object of a photo of ``size``. Raises ``BadPrompt``."""
    points = labels = boxes = masks = None
    if prompt.points is not None and prompt.labels is not None:
        points = points_in_frame(model, prompt.points[None], size)
        labels = torch.as_tensor(prompt.labels[None], dtype=torch.int32)
    if prompt.box is not None:
        boxes = points_in_frame(model, prompt.box.reshape(1, 2, 2), size).flatten(1)
    if prompt.mask_input is not None:
        expected = 1, model.mask_side, model.mask_side
        if prompt.mask_input.shape != expected:
            raise BadPrompt(
                f"mask_input: {model.name} expects logits of shape {expected}, got "
                f"{prompt.mask_input.shape}; give logits[i : i + 1] of an earlier prediction"
            )
        masks = torch.as_tensor(prompt.mask_input, dtype=torch.float32)[None]
    return PromptTensors(points, labels, boxes, masks)


def points_in_frame(
    model: PromptableModel, points: NDArray[np.float64], size: Size
) -> torch.Tensor:
    """Return points (..., 2), x and y in a photo of ``size``, in pixels of the model's frame."""
    height, width = model.size_in_frame(size)
    scale = np.array([width / size[1], height / size[0]])
    return torch.as_tensor(points * scale, dtype=torch.float32)


def mask_logits(model: PromptableModel, mask: BinaryMask) -> torch.Tensor:
    """Return a mask (H, W) as low-resolution logits (1, s, s), as the model would predict it.

    The logits are signed distances from the mask's edge.
    """
    side, frame = model.mask_side, model.size_in_frame((mask.shape[0], mask.shape[1]))
    height, width = (max(1, round(length * side / model.frame_side)) for length in frame)
    small = cv2.resize(255 * mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_AREA)
    inside = np.pad(small > 127, [(0, side - height), (0, side - width)]).astype(np.uint8)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5) - cv2.distanceTransform(
        1 - inside, cv2.DIST_L2, 5
    )
    return torch.as_tensor(np.clip(LOGITS_PER_PIXEL * distance, -MAX_LOGIT, MAX_LOGIT))[None]


def _with_deepest_point(prompt: ObjectPrompt, mask: BinaryMask) -> ObjectPrompt:
    """Return the prompt with the mask's deepest point and automatic granularity."""
    point = deepest_point(mask)
    known = point in prompt.include or point in prompt.exclude
    include = prompt.include if known else (*prompt.include, point)
    return ObjectPrompt(include, prompt.exclude, prompt.box)
