"""A pipeline of diffusers in a folder: what it has, and what it lacks."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

from segment2inpaint.errors import BadModel, ModelMissing
from segment2inpaint.models.catalogue import download_command, find, parts

NEEDED = {"prompt", "image", "mask_image", "generator", "output_type"}

# Checkpoint classes whose inpainting class has a name of its own.
INPAINT_CLASS = {
    "LatentConsistencyModelPipeline": "StableDiffusionInpaintPipeline",
    "KandinskyV22Pipeline": "KandinskyV22InpaintCombinedPipeline",
    "KandinskyV22InpaintPipeline": "KandinskyV22InpaintCombinedPipeline",
    "KandinskyV22CombinedPipeline": "KandinskyV22InpaintCombinedPipeline",
}
PRIOR = "kandinsky22-prior"

VOCABULARIES = {"tokenizer.json", "vocab.json", "vocab.txt", "spiece.model", "tokenizer.model"}


def read_index(model: Path) -> dict[str, Any]:
    """``model_index.json``. Raises ``BadModel``."""
    if not model.is_dir():
        raise BadModel(f"{model}: no such file or folder")
    path = model / "model_index.json"
    if not path.is_file():
        raise BadModel(f"{model}: not a diffusers model, it has no model_index.json")
    index = _table(path)
    if not isinstance(index.get("_class_name"), str):
        raise BadModel(f"{path}: damaged: expected a pipeline's _class_name")
    return index


def check_texts(model: Path, index: dict[str, Any]) -> None:
    """Raises ``BadModel`` for a configuration that is damaged, and for a tokenizer without words:
    transformers makes one of nothing without a word."""
    for part in parts(index):
        for path in (model / part).glob("*config.json"):
            _table(path)
        if part.startswith("tokenizer") and (model / part).is_dir():
            names = {path.name for path in (model / part).iterdir()}
            if not names & VOCABULARIES:
                raise BadModel(f"{model}: {part} has no vocabulary; download the model again")


def _table(path: Path) -> dict[str, Any]:
    """A JSON object. Raises ``BadModel``."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadModel(f"{path}: damaged: {error}; download the model again") from error
    if not isinstance(table, dict):
        raise BadModel(f"{path}: damaged: expected a JSON object; download the model again")
    return table


def opened(model: Path, index: dict[str, Any], pipeline: Any, options: dict[str, Any]) -> Any:
    """The pipeline in a folder. Kandinsky's is put together with its prior, which has its own."""
    own = left_out(model, index, pipeline) | {"variant": variant(model, index)}
    if not _is_decoder(index):
        return pipeline.from_pretrained(model, **own, **options)
    import diffusers

    prior = find(PRIOR)
    if prior is None:
        raise ModelMissing(f"{model}: needs its prior, get it with: {download_command(PRIOR)}")
    decoder = diffusers.KandinskyV22InpaintPipeline.from_pretrained(model, **own, **options)
    first = diffusers.KandinskyV22PriorPipeline.from_pretrained(
        prior, variant=variant(prior, read_index(prior)), **options
    )
    parts = {f"prior_{name}": part for name, part in first.components.items()}
    return pipeline(**decoder.components, **parts)


def _is_decoder(index: dict[str, Any]) -> bool:
    """Whether it is the half of a Kandinsky 2.2 that paints, without the one that reads."""
    return str(index.get("_class_name")).startswith("KandinskyV22") and not any(
        part.startswith("prior_") for part in index
    )


def inpaint_class(model: Path, name: str) -> Any:
    """The inpainting sister of a checkpoint's pipeline class. Raises ``BadModel``.

    Found by name and by what its call takes: diffusers' own table lacks several families.
    """
    import diffusers

    stem = name.removesuffix("Pipeline").removesuffix("Img2Img")
    for candidate in (INPAINT_CLASS.get(name, ""), name, f"{stem}InpaintPipeline"):
        found = getattr(diffusers, candidate, None)
        if found is not None and "mask_image" in parameters(found):
            break
    else:
        raise BadModel(f"{model}: {name} has no inpainting in diffusers {diffusers.__version__}")
    takes = parameters(found)
    if not takes >= NEEDED or "control_image" in takes:
        raise BadModel(f"{model}: {found.__name__} needs more than a photo, a mask and a prompt")
    return found


def parameters(pipeline: Any) -> set[str]:
    """What the call of a pipeline, or of its class, takes."""
    kind = pipeline if isinstance(pipeline, type) else type(pipeline)
    return set(inspect.signature(kind.__call__).parameters)


def left_out(model: Path, index: dict[str, Any], pipeline: Any) -> dict[str, Any]:
    """Options that leave optional parts out that are not there, such as the safety checker.

    Raises ``BadModel`` for a part that is needed.
    """
    absent = [part for part in parts(index) if not (model / part).is_dir()]
    for part in absent:
        if part not in pipeline._optional_components:
            raise BadModel(f"{model}: part {part!r} is missing; download the model again")
    options: dict[str, Any] = dict.fromkeys(absent)
    if "safety_checker" in absent:
        options["requires_safety_checker"] = False
    return options


def variant(model: Path, index: dict[str, Any]) -> str | None:
    """``fp16`` for a folder that has some weights in that form only, else None."""
    for part in parts(index):
        names = [path.name for path in (model / part).glob("*.safetensors")]
        half = [name for name in names if ".fp16" in name]
        if half and len(half) == len(names):
            return "fp16"
    return None
