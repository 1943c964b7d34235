"""A diffusers pipeline in a folder: its index, its inpainting class and its components."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

from segment2inpaint.errors import BadModel, ModelMissing
from segment2inpaint.models.catalogue import download_command, find, pipeline_components

# Arguments that the call of a usable pipeline must take.
REQUIRED_ARGUMENTS = {"prompt", "image", "mask_image", "generator", "output_type"}

# Inpainting classes whose name does not follow from the checkpoint's class.
INPAINT_CLASS = {
    "LatentConsistencyModelPipeline": "StableDiffusionInpaintPipeline",
    "KandinskyV22Pipeline": "KandinskyV22InpaintCombinedPipeline",
    "KandinskyV22InpaintPipeline": "KandinskyV22InpaintCombinedPipeline",
    "KandinskyV22CombinedPipeline": "KandinskyV22InpaintCombinedPipeline",
}
KANDINSKY_PRIOR_CARD = "kandinsky22-prior"

# A tokenizer has one of these files.
VOCABULARY_FILES = {
    "tokenizer.json",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "tokenizer.model",
}


def read_index(folder: Path) -> dict[str, Any]:
    """Return the content of ``model_index.json``. Raises ``BadModel``."""
    if not folder.is_dir():
        raise BadModel(f"{folder}: no such file or folder")
    path = folder / "model_index.json"
    if not path.is_file():
        raise BadModel(f"{folder}: not a diffusers model, it has no model_index.json")
    index = _read_object(path)
    if not isinstance(index.get("_class_name"), str):
        raise BadModel(f"{path}: damaged: expected a pipeline's _class_name")
    return index


def check_configs(folder: Path, index: dict[str, Any]) -> None:
    """Raise ``BadModel`` for a damaged configuration or a tokenizer without a vocabulary.

    transformers creates an empty tokenizer from such a folder without an error.
    """
    for component in pipeline_components(index):
        for path in (folder / component).glob("*config.json"):
            _read_object(path)
        if component.startswith("tokenizer") and (folder / component).is_dir():
            names = {path.name for path in (folder / component).iterdir()}
            if not names & VOCABULARY_FILES:
                raise BadModel(f"{folder}: {component} has no vocabulary; download the model again")


def _read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file. Raises ``BadModel``."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadModel(f"{path}: damaged: {error}; download the model again") from error
    if not isinstance(content, dict):
        raise BadModel(f"{path}: damaged: expected a JSON object; download the model again")
    return content


def open_folder(folder: Path, index: dict[str, Any], pipeline: Any, options: dict[str, Any]) -> Any:
    """Return the pipeline in a folder, on the CPU.

    ``pipeline`` is its inpainting class, ``options`` are those of ``from_pretrained``. A
    Kandinsky decoder is combined with its prior, which is a separate model. Raises ``BadModel``,
    ``ModelMissing`` for a missing prior, and the errors of diffusers.
    """
    extra = _absent_options(folder, index, pipeline) | {"variant": weight_variant(folder, index)}
    if not _is_kandinsky_decoder(index):
        return pipeline.from_pretrained(folder, **extra, **options)
    import diffusers

    prior_folder = find(KANDINSKY_PRIOR_CARD)
    if prior_folder is None:
        command = download_command(KANDINSKY_PRIOR_CARD)
        raise ModelMissing(f"{folder}: needs its prior, get it with: {command}")
    decoder = diffusers.KandinskyV22InpaintPipeline.from_pretrained(folder, **extra, **options)
    prior = diffusers.KandinskyV22PriorPipeline.from_pretrained(
        prior_folder, variant=weight_variant(prior_folder, read_index(prior_folder)), **options
    )
    prior_components = {f"prior_{name}": c for name, c in prior.components.items()}
    return pipeline(**decoder.components, **prior_components)


def _is_kandinsky_decoder(index: dict[str, Any]) -> bool:
    """Return whether the folder is the decoder of a Kandinsky 2.2 without the prior."""
    return str(index.get("_class_name")).startswith("KandinskyV22") and not any(
        component.startswith("prior_") for component in index
    )


def find_inpaint_class(folder: Path, name: str) -> Any:
    """Return the inpainting class of diffusers for a checkpoint's class. Raises ``BadModel``.

    It is found by name and by the arguments of its call, because the table in diffusers lacks
    several families.
    """
    import diffusers

    stem = name.removesuffix("Pipeline").removesuffix("Img2Img")
    for candidate in (INPAINT_CLASS.get(name, ""), name, f"{stem}InpaintPipeline"):
        pipeline = getattr(diffusers, candidate, None)
        if pipeline is not None and "mask_image" in call_parameters(pipeline):
            break
    else:
        raise BadModel(f"{folder}: {name} has no inpainting in diffusers {diffusers.__version__}")
    arguments = call_parameters(pipeline)
    if not arguments >= REQUIRED_ARGUMENTS or "control_image" in arguments:
        raise BadModel(
            f"{folder}: {pipeline.__name__} needs more than a photo, a mask and a prompt"
        )
    return pipeline


def call_parameters(pipeline: Any) -> set[str]:
    """Return the names of the arguments that a pipeline, or its class, takes when called."""
    kind = pipeline if isinstance(pipeline, type) else type(pipeline)
    return set(inspect.signature(kind.__call__).parameters)


def _absent_options(folder: Path, index: dict[str, Any], pipeline: Any) -> dict[str, Any]:
    """Return options that omit absent optional components, such as the safety checker.

    Raises ``BadModel`` for a required component.
    """
    absent = [name for name in pipeline_components(index) if not (folder / name).is_dir()]
    for name in absent:
        if name not in pipeline._optional_components:
            raise BadModel(f"{folder}: component {name!r} is missing; download the model again")
    options: dict[str, Any] = dict.fromkeys(absent)
    if "safety_checker" in absent:
        options["requires_safety_checker"] = False
    return options


def weight_variant(folder: Path, index: dict[str, Any]) -> str | None:
    """Return ``fp16`` for a folder that has some weights in that form only, else None."""
    for component in pipeline_components(index):
        names = [path.name for path in (folder / component).glob("*.safetensors")]
        half = [name for name in names if ".fp16" in name]
        if half and len(half) == len(names):
            return "fp16"
    return None
