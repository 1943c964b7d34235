"""The nodes. Images are (n, h, w, 3) float32 in [0, 1], masks (n, h, w), as ComfyUI has them.

Wherever a node changes a photo, the pixels outside the mask keep their values to the last bit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from segment2inpaint import masks, window
from segment2inpaint.editor import Editor
from segment2inpaint.images import photo_from_array
from segment2inpaint.protocols import InputSpec
from segment2inpaint.types import (
    Alpha,
    Box,
    Detection,
    Everything,
    Fill,
    Find,
    FindKind,
    Image,
    Length,
    Point,
    Points,
    Prompt,
    Refine,
    Request,
    Text,
    UserMask,
)
from segment2inpaint.verify.scoring import score_removal

CATEGORY = "segment2inpaint"
AUTO, TAKE, KEEP = "if likely", "take", "keep"
FIND_KINDS: dict[str, FindKind] = {"text": "text", "face": "face"}
SHADOW = {AUTO: None, TAKE: True, KEEP: False}


@cache
def editor() -> Editor:
    """Return the editor that all nodes share; it keeps the models that it has loaded."""
    return Editor()


# --- tensors ----------------------------------------------------------------------------------


def to_image(tensor: Tensor) -> Image:
    """Return one image of a batch as ``(H, W, 3)`` uint8."""
    return np.asarray((tensor[..., :3].clamp(0, 1) * 255).round().byte().cpu().numpy())


def to_alpha(tensor: Tensor) -> Alpha:
    """Return one mask of a batch as ``(H, W)`` float32 in [0, 1]."""
    return np.asarray(tensor.clamp(0, 1).float().cpu().numpy())


def to_prompt(tensor: Tensor) -> UserMask:
    """Return one mask of a batch as a prompt: hard if each value is 0 or 1, else soft."""
    alpha = to_alpha(tensor)
    is_soft = bool(((alpha > 0) & (alpha < 1)).any())
    return UserMask.from_values(alpha if is_soft else alpha > 0, "mask")


def with_result(before: Tensor, result: Image, alpha: Alpha) -> Tensor:
    """Return ``before`` with the result where alpha is above 0; all else keeps its bits."""
    after = before.clone()
    changed = torch.from_numpy(alpha > 0).to(before.device)
    painted = torch.from_numpy(np.asarray(result, np.float32) / 255).to(before)
    after[..., :3] = torch.where(changed[..., None], painted, before[..., :3])
    return after


def mask_of(batch: Tensor, index: int) -> Tensor:
    """Return the mask of an image; one mask serves a whole batch. Raises ``ValueError``."""
    if len(batch) > 1 and index >= len(batch):
        raise ValueError(f"expected one mask, or one for each image, got {len(batch)}")
    return batch[index if len(batch) > 1 else 0]


def numbers_in(text: str, count: int, name: str) -> list[tuple[int, ...]]:
    """Return the groups of ``count`` numbers in a text such as ``412,300; 420,310``."""
    values = [int(float(value)) for value in re.findall(r"-?\d+(?:\.\d+)?", text)]
    if len(values) % count:
        raise ValueError(f"{name}: expected groups of {count} numbers, got {text!r}")
    return [tuple(values[i : i + count]) for i in range(0, len(values), count)]


# --- nodes ------------------------------------------------------------------------------------


class Detect:
    """Finds an object at clicks or in a box, by words, or everything; returns its mask."""

    CATEGORY, FUNCTION = CATEGORY, "detect"
    RETURN_TYPES: ClassVar = ("MASK",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        return {
            "required": {"image": ("IMAGE",)},
            "optional": {
                "points": ("STRING", {"default": "", "tooltip": "clicks: x,y; x,y"}),
                "not_points": ("STRING", {"default": "", "tooltip": "clicks beside it: x,y; x,y"}),
                "boxes": ("STRING", {"default": "", "tooltip": "x0,y0,x1,y1; ..."}),
                "words": ("STRING", {"default": "", "tooltip": "needs a downloaded model"}),
                "find": (["", "text", "face", "everything"],),
            },
        }

    def detect(
        self, image: Tensor, points: str = "", not_points: str = "", boxes: str = "",
        words: str = "", find: str = "",
    ) -> tuple[Tensor]:  # fmt: skip
        request = Request(tuple(prompts_of(points, not_points, boxes, words, find)))
        found = []
        for picture in image:
            detections = editor().find_objects(photo_from_array(to_image(picture)), request)
            found.append(torch.from_numpy(masks.union(detections)).float())
        return (torch.stack(found),)


def prompts_of(points: str, not_points: str, boxes: str, words: str, find: str) -> list[Prompt]:
    """Return the prompts of the node's texts. Raises ``ValueError`` for none."""
    include: list[Point] = [(x, y) for x, y in numbers_in(points, 2, "points")]
    exclude: list[Point] = [(x, y) for x, y in numbers_in(not_points, 2, "not_points")]
    prompts: list[Prompt] = [Box(*values) for values in numbers_in(boxes, 4, "boxes")]
    if include:
        prompts.append(Points(tuple(include), tuple(exclude)))
    if words.strip():
        prompts.append(Text(words))
    if find == "everything":
        prompts.append(Everything())
    elif find in FIND_KINDS:
        prompts.append(Find(FIND_KINDS[find]))
    if not prompts:
        raise ValueError("Detect: nothing to look for; give points, boxes, words or find")
    return prompts


class RefineMask:
    """Fills holes, dilates and feathers a mask, as for a removal."""

    CATEGORY, FUNCTION = CATEGORY, "refine"
    RETURN_TYPES: ClassVar = ("MASK",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        text = {"default": "auto", "tooltip": "auto, or such as 12px or 2%"}
        return {"required": {"mask": ("MASK",), "dilate": ("STRING", text),
                             "feather": ("STRING", text)}}  # fmt: skip

    def refine(self, mask: Tensor, dilate: str, feather: str) -> tuple[Tensor]:
        options = Refine(Length.parse(dilate), Length.parse(feather))
        refined = [
            torch.from_numpy(masks.refine([Detection(to_alpha(one) > 0.5)], options)[0])
            for one in mask
        ]
        return (torch.stack(refined),)


@dataclass(frozen=True, eq=False)
class Cut:
    """What ``Stitch`` needs of a crop: the photo (1, h, w, 3), its alpha, and the window."""

    photo: Tensor
    alpha: Alpha
    place: window.Window


class Crop:
    """Cuts the object's surroundings out of a photo at the size that a model paints best."""

    CATEGORY, FUNCTION = CATEGORY, "crop"
    RETURN_TYPES: ClassVar = ("IMAGE", "MASK", "S2I_CUT")
    RETURN_NAMES: ClassVar = ("image", "mask", "cut")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        side = {"default": 1024, "min": 256, "max": 4096, "step": 64}
        padding = {"default": -1, "min": -1, "max": 4096, "tooltip": "-1: chosen by the object"}
        return {"required": {"image": ("IMAGE",), "mask": ("MASK",), "model_side": ("INT", side),
                             "padding": ("INT", padding)}}  # fmt: skip

    def crop(
        self, image: Tensor, mask: Tensor, model_side: int, padding: int
    ) -> tuple[Tensor, Tensor, Cut]:
        if len(image) > 1:
            raise ValueError(f"Crop: expected one image, got {len(image)}; split the batch")
        picture, alpha = to_image(image[0]), to_alpha(mask[0])
        size = (alpha.shape[0], alpha.shape[1])
        if picture.shape[:2] != size:
            raise ValueError(f"Crop: expected a mask of the image's size, got {size}")
        boxes = [box for box, _ in masks.connected_components(alpha > 0)]
        if not boxes:
            raise ValueError("Crop: the mask is empty; nothing to crop round")
        spec = InputSpec(area=model_side**2, multiple=8)
        whole = boxes[0]
        for box in boxes[1:]:
            whole = whole.union(box)
        (place,) = window.plan([whole], size, spec, None if padding < 0 else padding)
        crop = window.crop_window(picture, alpha, place, spec)
        pixels = torch.from_numpy(crop.image.astype(np.float32) / 255)[None]
        hole = torch.from_numpy(crop.mask.astype(np.float32))[None]
        return pixels, hole, Cut(image[:1], alpha, place)


class Stitch:
    """Puts a painted crop back; nothing outside the mask changes."""

    CATEGORY, FUNCTION = CATEGORY, "stitch"
    RETURN_TYPES: ClassVar = ("IMAGE",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        return {"required": {"cut": ("S2I_CUT",), "painted": ("IMAGE",)}}

    def stitch(self, cut: Cut, painted: Tensor) -> tuple[Tensor]:
        results = []
        for picture in painted:
            result = to_image(cut.photo[0])
            window.stitch(result, cut.alpha, cut.place, to_image(picture))
            results.append(with_result(cut.photo[0], result, cut.alpha))
        return (torch.stack(results),)


class Remove:
    """Removes what a mask covers, with its shadow if that is likely, and judges the result."""

    CATEGORY, FUNCTION = CATEGORY, "remove"
    RETURN_TYPES: ClassVar = ("IMAGE", "MASK", "STRING", "STRING")
    RETURN_NAMES: ClassVar = ("image", "changed", "verdict", "message")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        seed = {"default": 0, "min": 0, "max": 2**53 - 1}
        return {
            "required": {
                "image": ("IMAGE",), "mask": ("MASK",), "shadow": (list(SHADOW),),
                "inpainter": ("STRING", {"default": "auto"}), "seed": ("INT", seed),
            }
        }  # fmt: skip

    def remove(
        self, image: Tensor, mask: Tensor, shadow: str, inpainter: str, seed: int
    ) -> tuple[Tensor, Tensor, str, str]:
        images, changed, verdicts, messages = [], [], [], []
        for index, picture in enumerate(image):
            prompt = to_prompt(mask_of(mask, index))
            request = Request(
                (prompt,), Refine(shadow=SHADOW[shadow]), Fill(seed=seed), inpainter=inpainter
            )
            result = editor().run(photo_from_array(to_image(picture)), request)
            images.append(with_result(picture, result.image, result.alpha))
            changed.append(torch.from_numpy(result.alpha))
            verdicts.append(result.verdict or "")
            messages.append(result.judgement.sentence if result.judgement else "")
        return torch.stack(images), torch.stack(changed), "\n".join(verdicts), "\n".join(messages)


class Verify:
    """Judges a removal by any node: verdict, probability of acceptance, and a message."""

    CATEGORY, FUNCTION = CATEGORY, "verify"
    RETURN_TYPES: ClassVar = ("STRING", "FLOAT", "STRING", "BOOLEAN")
    RETURN_NAMES: ClassVar = ("verdict", "probability", "message", "try_again")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        return {"required": {"before": ("IMAGE",), "after": ("IMAGE",), "mask": ("MASK",)}}

    def verify(self, before: Tensor, after: Tensor, mask: Tensor) -> tuple[str, float, str, bool]:
        """Judge the first image of each batch."""
        if before.shape[1:3] != after.shape[1:3] or before.shape[1:3] != mask.shape[1:3]:
            raise ValueError("Verify: expected before, after and mask of one size")
        photos = [photo_from_array(to_image(batch[0])) for batch in (before, after)]
        judgement = score_removal(photos[0], photos[1], to_alpha(mask[0])).judgement
        probability = 0.0 if judgement.probability is None else judgement.probability
        return judgement.verdict, probability, judgement.sentence, judgement.verdict != "clean"


NODES = {
    "Detect": (Detect, "Find an object"),
    "RefineMask": (RefineMask, "Refine a mask"),
    "Crop": (Crop, "Crop round an object"),
    "Stitch": (Stitch, "Stitch a crop back"),
    "Remove": (Remove, "Remove an object"),
    "Verify": (Verify, "Verify a removal"),
}
NODE_CLASS_MAPPINGS = {f"S2I{name}": node for name, (node, _) in NODES.items()}
NODE_DISPLAY_NAME_MAPPINGS = {
    f"S2I{name}": f"{title} (segment2inpaint)" for name, (_, title) in NODES.items()
}
