"""Detectors: the table of backends, and which one ``auto`` takes.

A backend is imported when it is asked for, so that nobody pays for what he does not use.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from segment2inpaint.errors import BadModel, BadOption, BadPrompt, ModelMissing
from segment2inpaint.models import catalogue
from segment2inpaint.models.device import choose as choose_device
from segment2inpaint.protocols import Detector
from segment2inpaint.types import (
    Box,
    CleanPlate,
    Color,
    Detection,
    Everything,
    Image,
    Points,
    Prompt,
    Text,
    UserMask,
)

DETECTORS = {
    "color": "color:ColorDetector",
    "plate": "clean_plate:CleanPlateDetector",
    "mask": "user_mask:UserMaskDetector",
    "grabcut": "builtin.detector:BuiltinDetector",
    "regions": "builtin.region_merging:RegionMergingDetector",
    "sam": "sam.original:SamDetector",
    "sam-hq": "sam.transformers:TransformersSamDetector",
    "sam2": "sam.transformers:TransformersSamDetector",
    "edgetam": "sam.transformers:TransformersSamDetector",
    "sam3": "sam.transformers:Sam3Detector",
    "grounding-dino": "text.grounding_dino:GroundingDinoDetector",
}

DETECTOR_OF_PROMPT: dict[type, str] = {Color: "color", CleanPlate: "plate", UserMask: "mask"}

# Cards of networks that take clicks and boxes: the quickest first on a CPU, the best on a GPU.
FASTEST_FIRST = (
    "edgetam", "sam2.1-tiny", "sam2.1-small", "sam-vit-b", "sam2.1-base-plus", "sam-hq-vit-base",
    "sam2.1-large", "sam-vit-l", "sam-vit-h", "sam3",
)  # fmt: skip
BEST_FIRST = (
    "sam2.1-large", "sam2.1-base-plus", "sam-hq-vit-base", "sam-vit-h", "sam-vit-l", "sam3",
    "sam2.1-small", "sam2.1-tiny", "sam-vit-b", "edgetam",
)  # fmt: skip
TEXT_DETECTOR = "grounding-dino-tiny"

# What config.json calls the networks, and what they are called here.
BACKEND_OF_MODEL_TYPE = {
    "sam": "sam",
    "sam_hq": "sam-hq",
    "sam2": "sam2",
    "sam2_video": "sam2",
    "edgetam": "edgetam",
    "edgetam_video": "edgetam",
    "sam3": "sam3",
    "sam3_video": "sam3",
    "sam3_tracker": "sam2",
    "sam3_tracker_video": "sam2",
    "grounding-dino": "grounding-dino",
    "mm-grounding-dino": "grounding-dino",
}


@dataclass(frozen=True)
class DetectorChoice:
    """What ``auto`` took, and in one line why, or how to get better."""

    name: str
    reason: str = ""


def choose(prompts: Sequence[Prompt], device: str = "auto") -> DetectorChoice:
    """The best detector on this machine for these prompts.

    A colour, a plate and an own mask have their own; several of them are united ("color+mask").
    Points, boxes and everything go to a network that is here, the quickest one on a CPU, else
    to one without weights; words to Grounding DINO and such a network, or to SAM 3. Raises
    ``BadPrompt`` for no prompts, ``ModelMissing`` for words if none here can read.
    """
    own = dict.fromkeys(name for p in prompts if (name := DETECTOR_OF_PROMPT.get(type(p))))
    if own:
        return DetectorChoice("+".join(own))
    if not prompts:
        raise BadPrompt("no prompt: point at the object with -p X,Y, -b X0,Y0,X1,Y1 or --mask")
    clicks = _local_sam(device)
    if any(isinstance(p, Text) for p in prompts):
        return _text_detector(clicks)
    if clicks:
        return DetectorChoice(clicks, f"{catalogue.card(clicks).title}; it is on this machine")
    name = "regions" if any(isinstance(p, Everything) for p in prompts) else "grabcut"
    return DetectorChoice(
        name, f"no SAM here; `{catalogue.download_command('sam2.1-tiny')}` is better"
    )


def _local_sam(device: str) -> str:
    """The card of the network that clicks go to, empty if none is here."""
    here = [name for name in FASTEST_FIRST if catalogue.find(name)]
    if find_spec("timm") is None:
        here = [name for name in here if name != "edgetam"]
    if not here:
        return ""
    order = FASTEST_FIRST if choose_device(device) == "cpu" else BEST_FIRST
    return min(here, key=order.index)


def _text_detector(clicks: str) -> DetectorChoice:
    if catalogue.find(TEXT_DETECTOR):
        masks = clicks or "grabcut"
        return DetectorChoice(
            f"{TEXT_DETECTOR},{masks}", f"words by {TEXT_DETECTOR}, masks by {masks}"
        )
    if catalogue.find("sam3"):
        return DetectorChoice("sam3", "SAM 3 is on this machine")
    raise ModelMissing(
        "a text prompt needs a model that reads, none is on this machine; "
        f"get one with: {catalogue.download_command(TEXT_DETECTOR)}, and for its masks sam2.1-tiny"
    )


def load(name: str, device: str = "auto", *, cache: bool = True) -> Detector:
    """The detector of a name in the table, a catalogue card, a checkpoint, folder or hub id.

    Names joined by ``+`` are united; of two joined by a comma, the first finds boxes for words
    and the second makes masks of them. ``cache`` keeps what the networks make of a photo on
    disk, for the next run. Raises ``BadOption`` for an unknown name, ``ModelMissing`` for a
    model that is not on this machine, ``BadModel`` for one that is not a detector.
    """
    if "+" in name and not Path(name).exists():
        return CompositeDetector(tuple(load(part, device, cache=cache) for part in name.split("+")))
    finder, _, masks = (name, "", "") if Path(name).exists() else name.partition(",")
    backend, model = _locate(finder)
    if masks and backend != "grounding-dino":
        raise BadOption(f"{name}: {finder} needs no other detector beside it")
    made: Any = _backend(backend)
    if model is None:
        detector: Detector = made()
    elif backend == "grounding-dino":
        segmenter = masks or choose([Box(0, 0, 1, 1)], device).name
        detector = made(model, load(segmenter, device, cache=cache), device)
    else:
        from segment2inpaint.detect.sam.embeddings import default_folder

        detector = made(model, device, default_folder() if cache else None)
    return detector


def check_name(name: str) -> None:
    """Raise ``BadOption`` for a name that no detector has; nothing is loaded."""
    if not Path(name).exists():
        for part in name.replace("+", ",").split(","):
            _check_known(part)


def _check_known(name: str) -> None:
    cards = [c for c in catalogue.cards() if c.kind == "detector"]
    path = Path(name).expanduser()
    if name in (*DETECTORS, *(c.name for c in cards)) or path.exists() or "/" in name:
        return
    if path.suffix not in catalogue.WEIGHTS:
        listed = ", ".join(dict.fromkeys(["auto", *DETECTORS, *(c.name for c in cards)]))
        raise BadOption(f"unknown detector {name!r}; known: {listed}, or a file, folder or hub id")


def _locate(name: str) -> tuple[str, Path | None]:
    """The name in the table, and the model's file or folder, None if it has none."""
    if name in DETECTORS and not any(c.backend == name for c in catalogue.cards()):
        return name, None
    if name in DETECTORS:
        ranked = sorted(
            (c.name for c in catalogue.cards() if c.backend == name),
            key=(*FASTEST_FIRST, TEXT_DETECTOR).index,
        )
        here = next((card for card in ranked if catalogue.find(card)), ranked[0])
        return name, catalogue.resolve(here, name)
    card = next((c for c in catalogue.cards() if name in (c.name, c.repo)), None)
    if card and card.kind != "detector":
        raise BadOption(f"{name} is an {card.kind}, not a detector")
    if card:
        return card.backend, catalogue.resolve(card.name, card.backend)
    _check_known(name)
    model = catalogue.resolve(name)
    return _backend_of(model), model


def _backend_of(model: Path) -> str:
    """The name in the table for a file or folder. Raises ``BadModel``."""
    config = model / "config.json"
    if not config.is_file():
        return "sam"
    try:
        kind = json.loads(config.read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError) as error:
        raise BadModel(f"{config}: damaged: {error}") from error
    if kind not in BACKEND_OF_MODEL_TYPE:
        raise BadModel(f"{model}: a {kind} model, not one of {', '.join(BACKEND_OF_MODEL_TYPE)}")
    return BACKEND_OF_MODEL_TYPE[kind]


def _backend(name: str) -> Any:
    module, _, attribute = DETECTORS[name].partition(":")
    return getattr(import_module(f".{module}", __name__), attribute)


@dataclass(frozen=True)
class CompositeDetector:
    """Several detectors, each with the prompts of its own kind, and points and boxes for all."""

    detectors: tuple[Detector, ...]

    @property
    def name(self) -> str:
        return "+".join(d.name for d in self.detectors)

    @property
    def prompt_types(self) -> tuple[type, ...]:
        return tuple(dict.fromkeys(kind for d in self.detectors for kind in d.prompt_types))

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        """The masks that each detector finds."""
        return [
            mask
            for d in self.detectors
            for mask in d.detect(
                image, [p for p in prompts if isinstance(p, (*d.prompt_types, Points, Box))]
            )
        ]
