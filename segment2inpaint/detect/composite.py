"""Several detectors used as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from segment2inpaint.protocols import Detector
from segment2inpaint.types import Box, Detection, Image, Points, Prompt


@dataclass(frozen=True)
class CompositeDetector:
    """Run several detectors: each gets the prompts of its types, and all points and boxes."""

    detectors: tuple[Detector, ...]

    @property
    def name(self) -> str:
        return "+".join(detector.name for detector in self.detectors)

    @property
    def prompt_types(self) -> tuple[type, ...]:
        types = (kind for detector in self.detectors for kind in detector.prompt_types)
        return tuple(dict.fromkeys(types))

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        """Return the detections of all detectors, in their order. Raises ``BadPrompt``."""
        detections: list[Detection] = []
        for detector in self.detectors:
            supported = (*detector.prompt_types, Points, Box)
            detections += detector.detect(image, [p for p in prompts if isinstance(p, supported)])
        return detections
