"""The detectors by name, and how a name becomes a loaded detector.

A name is that of a detector here, a catalogue card, a checkpoint, a model folder or a hub id.
``a+b`` joins several detectors; in ``a,b`` the first finds boxes for words and the second turns
the boxes into masks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from segment2inpaint import extras
from segment2inpaint.detect.choice import FASTEST_FIRST, TEXT_DETECTOR, choose
from segment2inpaint.detect.composite import CompositeDetector
from segment2inpaint.errors import BadModel, BadOption
from segment2inpaint.models import catalogue
from segment2inpaint.protocols import Detector
from segment2inpaint.types import Box

# Name -> module and class, the module relative to ``segment2inpaint.detect``.
DETECTORS = {
    "color": "color:ColorDetector",
    "plate": "clean_plate:CleanPlateDetector",
    "mask": "user_mask:UserMaskDetector",
    "find": "find.detector:FindDetector",
    "builtin": "builtin.detector:BuiltinDetector",
    "sam": "sam.original:SamDetector",
    "sam-hq": "sam.transformers:TransformersSamDetector",
    "sam2": "sam.transformers:TransformersSamDetector",
    "edgetam": "sam.transformers:TransformersSamDetector",
    "sam3": "sam.sam3:Sam3Detector",
    "grounding-dino": "text.grounding_dino:GroundingDinoDetector",
}

# Those that ship with the package, with all that they need.
SHIPPED = ("color", "plate", "mask", "find", "builtin")

# Earlier names, which old requests and scripts still use.
ALIASES = {"grabcut": "builtin", "regions": "builtin"}

# ``model_type`` in a model's config.json -> name in ``DETECTORS``.
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


def load(name: str, device: str = "auto", *, cache: bool = True) -> Detector:
    """Return the detector of a name.

    ``name`` is described in this module's docstring. ``cache`` stores the image embeddings of
    SAM models on disk for later runs. Raises ``BadOption`` for an unknown name, ``ModelMissing``
    for a model that is not on this machine, ``PackageMissing`` for one whose packages are not
    installed, ``BadModel`` for a model that is not a detector.
    """
    name = canonical_name(name)
    if "+" in name and not Path(name).exists():
        return CompositeDetector(tuple(load(part, device, cache=cache) for part in name.split("+")))
    first, _, segmenter = (name, "", "") if Path(name).exists() else name.partition(",")
    backend, model = _locate(first)
    if segmenter and backend != "grounding-dino":
        raise BadOption(
            f"{name}: {first} makes its own masks and takes no second detector; use {first} alone"
        )
    detector_class = _import_backend(backend)
    if model is None:
        return detector_class()
    if backend == "grounding-dino":
        segmenter = segmenter or choose([Box(0, 0, 1, 1)], device).name
        return detector_class(model, load(segmenter, device, cache=cache), device)
    from segment2inpaint.detect.sam.embeddings import default_folder

    return detector_class(model, device, default_folder() if cache else None)


def canonical_name(name: str) -> str:
    """Return ``name`` with earlier names of detectors replaced by today's, also in ``a+b``."""
    return re.sub(r"[^+,]+", lambda part: ALIASES.get(part[0], part[0]), name)


def is_shipped(name: str) -> bool:
    """Return whether the detector ships with the package; then it needs neither torch nor a GPU."""
    return all(part in SHIPPED for part in re.split("[+,]", canonical_name(name)))


def check_name(name: str) -> None:
    """Raise ``BadOption`` for an unknown detector name; load nothing."""
    name = canonical_name(name)
    if not Path(name).exists():
        for part in name.replace("+", ",").split(","):
            _check_known(part)


def _check_known(name: str) -> None:
    cards = [card.name for card in catalogue.cards() if card.kind == "detector"]
    path = Path(name).expanduser()
    if name in (*DETECTORS, *cards) or path.exists() or "/" in name:
        return
    if path.suffix not in catalogue.WEIGHT_SUFFIXES:
        known = ", ".join(dict.fromkeys(["auto", *DETECTORS, *cards]))
        raise BadOption(f"unknown detector {name!r}; known: {known}, or a file, folder or hub id")


def _locate(name: str) -> tuple[str, Path | None]:
    """Return the name in ``DETECTORS`` and the model's file or folder, None if it needs none.

    Raises as ``load``.
    """
    if name in SHIPPED:
        return name, None
    card = next((c for c in catalogue.cards() if name in (c.name, c.repo)), None)
    if card and card.kind != "detector":
        raise BadOption(f"{name}: expected a detector, got a model of kind {card.kind!r}")
    _check_known(name)
    extras.require(card.extra if card else "models", f"the detector {name}")
    if name in DETECTORS:
        return name, _preferred_model(name)
    if card:
        return card.backend, catalogue.resolve(card.name, card.backend)
    model = catalogue.resolve(name)
    return _backend_of_file(model), model


def _preferred_model(backend: str) -> Path:
    """Return the fastest of the backend's models on this machine. Raises ``ModelMissing``."""
    cards = [card.name for card in catalogue.cards() if card.backend == backend]
    cards.sort(key=(*FASTEST_FIRST, TEXT_DETECTOR).index)
    available = next((card for card in cards if catalogue.find(card)), cards[0])
    return catalogue.resolve(available, backend)


def _backend_of_file(model: Path) -> str:
    """Return the name in ``DETECTORS`` for a model file or folder. Raises ``BadModel``."""
    config = model / "config.json"
    if not config.is_file():
        return "sam"
    try:
        model_type = json.loads(config.read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError) as error:
        raise BadModel(f"{config}: damaged: {error}") from error
    if model_type not in BACKEND_OF_MODEL_TYPE:
        known = ", ".join(BACKEND_OF_MODEL_TYPE)
        raise BadModel(f"{model}: holds a {model_type} model, expected one of {known}")
    return BACKEND_OF_MODEL_TYPE[model_type]


def _import_backend(name: str) -> Callable[..., Detector]:
    module, _, attribute = DETECTORS[name].partition(":")
    detector_class: Callable[..., Detector] = getattr(
        import_module(f"segment2inpaint.detect.{module}"), attribute
    )
    return detector_class
