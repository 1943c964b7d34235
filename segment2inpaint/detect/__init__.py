"""Detectors: they turn prompts (clicks, boxes, colours, words, ...) into masks.

``load`` returns the detector of a name; ``choose`` names the best one for some prompts. Each
backend is a module or folder here, imported only when its detector is loaded.
"""

from __future__ import annotations

from segment2inpaint.detect.choice import (
    BEST_FIRST,
    FASTEST_FIRST,
    TEXT_DETECTOR,
    DetectorChoice,
    choose,
)
from segment2inpaint.detect.composite import CompositeDetector
from segment2inpaint.detect.registry import (
    ALIASES,
    BACKEND_OF_MODEL_TYPE,
    DETECTORS,
    SHIPPED,
    canonical_name,
    check_name,
    is_shipped,
    load,
)

__all__ = [
    "ALIASES",
    "BACKEND_OF_MODEL_TYPE",
    "BEST_FIRST",
    "DETECTORS",
    "FASTEST_FIRST",
    "SHIPPED",
    "TEXT_DETECTOR",
    "CompositeDetector",
    "DetectorChoice",
    "canonical_name",
    "check_name",
    "choose",
    "is_shipped",
    "load",
]
