"""Choose the detector that ``auto`` stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from segment2inpaint import extras
from segment2inpaint.errors import BadPrompt, ModelMissing
from segment2inpaint.models import catalogue
from segment2inpaint.models.device import choose_device
from segment2inpaint.types import CleanPlate, Color, Find, Prompt, Text, UserMask

DETECTOR_OF_PROMPT: dict[type, str] = {
    Color: "color", CleanPlate: "plate", Find: "find", UserMask: "mask",
}  # fmt: skip

# Cards of the models that take clicks and boxes, in order of preference: by speed on a CPU, by
# quality on a GPU.
FASTEST_FIRST = (
    "edgetam", "sam2.1-tiny", "sam2.1-small", "sam-vit-b", "sam2.1-base-plus", "sam-hq-vit-base",
    "sam2.1-large", "sam-vit-l", "sam-vit-h", "sam3",
)  # fmt: skip
BEST_FIRST = (
    "sam2.1-large", "sam2.1-base-plus", "sam-hq-vit-base", "sam-vit-h", "sam-vit-l", "sam3",
    "sam2.1-small", "sam2.1-tiny", "sam-vit-b", "edgetam",
)  # fmt: skip
TEXT_DETECTOR = "grounding-dino-tiny"


@dataclass(frozen=True)
class DetectorChoice:
    """The detector that ``auto`` chose, with one line on the reason or on a better one."""

    name: str
    reason: str = ""


def choose(prompts: Sequence[Prompt], device: str = "auto") -> DetectorChoice:
    """Return the best detector on this machine for these prompts.

    Colours, clean plates, ``Find`` and user masks have detectors of their own; several of them are
    joined ("color+mask"). Points, boxes and ``Everything`` go to a SAM on this machine, the fastest
    on a CPU and the best on a GPU, or else to a detector without weights. Texts go to Grounding
    DINO with one of these for the masks, or to SAM 3.

    Raises ``BadPrompt`` if there are no prompts. Raises ``ModelMissing`` if there are texts and no
    model on this machine reads text, and ``PackageMissing`` without the packages for it.
    """
    special = [DETECTOR_OF_PROMPT[type(p)] for p in prompts if type(p) in DETECTOR_OF_PROMPT]
    if special:
        return DetectorChoice("+".join(dict.fromkeys(special)))
    if not prompts:
        raise BadPrompt("no prompt: point at the object with -p X,Y, -b X0,Y0,X1,Y1 or --mask")
    sam = _local_sam(device)
    if any(isinstance(p, Text) for p in prompts):
        return _text_detector(sam)
    if sam:
        return DetectorChoice(sam, f"{catalogue.card(sam).title}; it is on this machine")
    command = catalogue.setup_command("sam2.1-tiny")
    return DetectorChoice("builtin", f"no SAM on this machine; `{command}` gets a better detector")


def _local_sam(device: str) -> str:
    """Return the card of the preferred SAM on this machine, "" if there is none."""
    available = [name for name in FASTEST_FIRST if catalogue.is_usable(name)]
    if not available:
        return ""
    order = FASTEST_FIRST if choose_device(device) == "cpu" else BEST_FIRST
    return min(available, key=order.index)


def _text_detector(sam: str) -> DetectorChoice:
    extras.require("models", "a text prompt")
    if catalogue.find(TEXT_DETECTOR):
        segmenter = sam or "builtin"
        reason = f"{TEXT_DETECTOR} finds the words, {segmenter} makes the masks"
        return DetectorChoice(f"{TEXT_DETECTOR},{segmenter}", reason)
    if catalogue.find("sam3"):
        return DetectorChoice("sam3", "SAM 3 is on this machine")
    command = catalogue.download_command(TEXT_DETECTOR)
    raise ModelMissing(
        "a text prompt needs a model that reads text, and none is on this machine; "
        f"get one with: {command}, and sam2.1-tiny for better masks"
    )
