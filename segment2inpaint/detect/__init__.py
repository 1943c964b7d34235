"""Detectors: the table of backends, and which one ``auto`` takes.

A backend is imported when it is asked for, so that nobody pays for what he does not use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ..types import (
    BadOption,
    BadPrompt,
    Box,
    Color,
    Detector,
    Image,
    Mask,
    OwnMask,
    Plate,
    Points,
    Prompt,
    Text,
)

DETECTORS = {
    "color": "color:ColorDetector",
    "plate": "plate:PlateDetector",
    "mask": "mask:MaskDetector",
    "grabcut": "grabcut:GrabCutDetector",
    "sam": "sam:SamDetector",
}

OWN_FINDER: dict[type, str] = {Color: "color", Plate: "plate", OwnMask: "mask"}


@dataclass(frozen=True)
class Choice:
    """What ``auto`` took, and in one line why, or how to get better."""

    name: str
    why: str = ""


def choose(prompts: Sequence[Prompt]) -> Choice:
    """The best detector on this machine for these prompts.

    A colour, a plate and an own mask have their own; several of them are united ("color+mask").
    Points and boxes go to a SAM checkpoint if one is here, else to grabcut.
    """
    from .. import catalogue

    own = dict.fromkeys(name for p in prompts if (name := OWN_FINDER.get(type(p))))
    if own:
        return Choice("+".join(own))
    if any(isinstance(p, Text) for p in prompts):
        raise BadPrompt("a text prompt needs a detector that reads; none is on this machine")
    if not prompts:
        raise BadPrompt("no prompt: point at the object with -p X,Y, -b X0,Y0,X1,Y1 or --mask")
    card = next(
        (c for c in catalogue.cards() if c.backend == "sam" and catalogue.find(c.name)), None
    )
    if card:
        return Choice(card.name, f"{card.title} is on this machine")
    return Choice("grabcut", "no SAM here; `segment2inpaint models download sam-vit-b` is better")


def load(name: str, device: str = "auto") -> Detector:
    """The detector of a name in the table, a catalogue card, a checkpoint file or a hub id.

    Names joined by ``+`` are united. Raises ``BadOption`` for an unknown name, ``ModelMissing``
    for a model that is not on this machine.
    """
    from .. import catalogue

    if "+" in name and not Path(name).exists():
        return United(tuple(load(part, device) for part in name.split("+")))
    if name in DETECTORS and name != "sam":
        found: Detector = _backend(name)()
        return found
    known = [c.name for c in catalogue.cards() if c.kind == "detector"]
    if name != "sam" and name not in known and not Path(name).exists() and "/" not in name:
        listed = ", ".join(["auto", *DETECTORS, *known])
        raise BadOption(f"unknown detector {name!r}; known: {listed}, or a checkpoint file")
    sam: Detector = _backend("sam")(
        catalogue.resolve("sam-vit-b" if name == "sam" else name), device
    )
    return sam


def _backend(name: str) -> Any:
    module, _, attribute = DETECTORS[name].partition(":")
    return getattr(import_module(f".{module}", __name__), attribute)


@dataclass(frozen=True)
class United:
    """Several detectors, each with the prompts of its own kind, and points and boxes for all."""

    detectors: tuple[Detector, ...]

    @property
    def name(self) -> str:
        return "+".join(d.name for d in self.detectors)

    @property
    def takes(self) -> tuple[type, ...]:
        return tuple(dict.fromkeys(kind for d in self.detectors for kind in d.takes))

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Mask]:
        """The masks that each detector finds."""
        return [
            mask
            for d in self.detectors
            for mask in d.detect(
                image, [p for p in prompts if isinstance(p, (*d.takes, Points, Box))]
            )
        ]
