"""A diffusers pipeline in a folder: its index, its inpainting class and its components."""

from __future__ import annotations

import inspect
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

from safetensors import SafetensorError, safe_open

from segment2inpaint.errors import BadModel, ModelMissing
from segment2inpaint.inpaint.diffusion.components import load_networks
from segment2inpaint.inpaint.diffusion.qwen_edit_plus import PLUS_CLASS, prompt_as_plus
from segment2inpaint.models.catalogue import download_command, find, pipeline_components
from segment2inpaint.models.weights import (
    has_vocabulary,
    is_complete,
    needs_weights,
    preferred_weights,
    weight_sets,
)

# Arguments that the call of a usable pipeline must take.
REQUIRED_ARGUMENTS = {"prompt", "image", "mask_image", "generator", "output_type"}

# Inpainting classes whose name does not follow from the checkpoint's class.
INPAINT_CLASS = {
    "LatentConsistencyModelPipeline": "StableDiffusionInpaintPipeline",
    "KandinskyV22Pipeline": "KandinskyV22InpaintCombinedPipeline",
    "KandinskyV22InpaintPipeline": "KandinskyV22InpaintCombinedPipeline",
    "KandinskyV22CombinedPipeline": "KandinskyV22InpaintCombinedPipeline",
    PLUS_CLASS: "QwenImageEditInpaintPipeline",
}
# Known pipelines that are neither in diffusers nor here.
UNSUPPORTED_PIPELINES = {
    "ObjectClearPipeline": (
        "(ObjectClear, for non-commercial use only) needs its authors' program: its object encoder "
        "and attention are not in diffusers; use rorem or sdxl-inpaint+osor"
    ),
}
KANDINSKY_PRIOR_CARD = "kandinsky22-prior"

# Stable Diffusion 3 works without these, and Stable Diffusion XL without the first pair.
OPTIONAL_TEXT_COMPONENTS = {
    "StableDiffusion3InpaintPipeline": {"text_encoder_3", "tokenizer_3"},
    "StableDiffusionXLInpaintPipeline": {"text_encoder", "tokenizer"},
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
    for name, entry in index.items():
        if name in pipeline_components(index) and not all(isinstance(word, str) for word in entry):
            raise BadModel(f"{path}: damaged: expected {name} as [library, class], got {entry}")
    return index


def check_components(
    folder: Path, index: dict[str, Any], pipeline: Any, supplied: Collection[str] = ()
) -> None:
    """Raise ``BadModel`` for a component that is empty, damaged or without all of its files.

    The networks in ``supplied`` come from elsewhere; only their configurations are needed.
    """
    _check_empty_components(folder, index, pipeline)
    variant = weight_variant(folder, index)
    for component in pipeline_components(index):
        path = folder / component
        for config in path.glob("*config.json"):
            _read_object(config)
        if component.startswith("tokenizer") and path.is_dir() and not has_vocabulary(path):
            raise BadModel(f"{folder}: {component} has no vocabulary; download the model again")
        omitted = component in pipeline._optional_components and not is_complete(path)
        if component not in supplied and needs_weights(path) and not omitted:
            _check_weights(folder, component, variant)


def _check_empty_components(folder: Path, index: dict[str, Any], pipeline: Any) -> None:
    """Raise ``BadModel`` for a required component that is null in ``model_index.json``."""
    optional = OPTIONAL_TEXT_COMPONENTS.get(pipeline.__name__, set())
    for name, entry in index.items():
        reads_text = name.startswith(("tokenizer", "text_encoder"))
        if not isinstance(entry, list) or any(entry) or name not in init_parameters(pipeline):
            continue
        is_optional = name in (optional if reads_text else pipeline._optional_components)
        encoder = name.replace("tokenizer", "text_encoder")
        if not is_optional or (name != encoder and any(index.get(encoder) or ())):
            raise BadModel(
                f"{folder / 'model_index.json'}: {name} is {json.dumps(entry)}, but "
                f"{pipeline.__name__} needs one; get the model again"
            )


def _check_weights(folder: Path, component: str, variant: str) -> None:
    """Raise ``BadModel`` for a network without weights, without a shard, or with a cut file."""
    weights = preferred_weights(folder / component, variant)
    if weights is None:
        raise BadModel(
            f"{folder}: {component} has no weights, expected .safetensors or .bin in its folder; "
            "download the model again"
        )
    if weights.missing:
        raise BadModel(
            f"{folder}: {component} lacks {len(weights.missing)} of {len(weights.files)} files of "
            f"its weights, such as {weights.missing[0]}; download the model again"
        )
    for name in weights.files:
        _check_whole(folder / component / name)


def _check_whole(path: Path) -> None:
    """Raise ``BadModel`` for a file that is cut off or of another kind; weights are not read."""
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, "np"):
                return
        if path.stat().st_size and (is_zipfile(path) or not _starts_as_zip(path)):
            return  # files of old versions of torch are no zip archives
        reason = "cut off"
    except (SafetensorError, OSError) as error:
        reason = str(error)
    raise BadModel(f"{path}: damaged or incomplete ({reason}); download the model again")


def _starts_as_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"


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
    if not _is_kandinsky_decoder(index):
        return open_pipeline(folder, index, pipeline, options)
    import diffusers

    prior_folder = find(KANDINSKY_PRIOR_CARD)
    if prior_folder is None:
        command = download_command(KANDINSKY_PRIOR_CARD)
        raise ModelMissing(f"{folder}: needs its prior, get it with: {command}")
    decoder = open_pipeline(folder, index, diffusers.KandinskyV22InpaintPipeline, options)
    prior_index, prior_class = read_index(prior_folder), diffusers.KandinskyV22PriorPipeline
    check_components(prior_folder, prior_index, prior_class)
    prior = open_pipeline(prior_folder, prior_index, prior_class, options)
    prior_components = {f"prior_{name}": c for name, c in prior.components.items()}
    return pipeline(**decoder.components, **prior_components)


def open_pipeline(
    folder: Path,
    index: dict[str, Any],
    pipeline: Any,
    options: dict[str, Any],
    components: Mapping[str, Any] = {},
) -> Any:
    """Return a pipeline of class ``pipeline`` with the given components and those in a folder.

    Raises ``BadModel`` for an incomplete network, and the errors of diffusers.
    """
    given = _absent_options(folder, index, pipeline, components) | dict(components)
    variant = weight_variant(folder, index)
    networks = load_networks(folder, index, pipeline, options, variant, given)
    pipe = pipeline.from_pretrained(folder, **given, **networks, **options)
    if index["_class_name"] == PLUS_CLASS:
        prompt_as_plus(pipe)
    return pipe


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

    if name in UNSUPPORTED_PIPELINES:
        raise BadModel(f"{folder}: {name} {UNSUPPORTED_PIPELINES[name]}")
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


def init_parameters(pipeline: Any) -> set[str]:
    """Return the names of the components and settings that a pipeline's class is made of."""
    return set(inspect.signature(pipeline.__init__).parameters)


def call_parameters(pipeline: Any) -> set[str]:
    """Return the names of the arguments that a pipeline, or its class, takes when called."""
    kind = pipeline if isinstance(pipeline, type) else type(pipeline)
    return set(inspect.signature(kind.__call__).parameters)


def _absent_options(
    folder: Path, index: dict[str, Any], pipeline: Any, components: Mapping[str, Any]
) -> dict[str, Any]:
    """Return options that omit absent optional components, such as the safety checker.

    Raises ``BadModel`` for a required component that is not among ``components``.
    """
    absent = [
        name
        for name in pipeline_components(index)
        if name not in components and not _is_present(folder / name)
    ]
    for name in absent:
        if name not in pipeline._optional_components:
            raise BadModel(f"{folder}: component {name!r} is missing; download the model again")
    options: dict[str, Any] = dict.fromkeys(absent)
    if "safety_checker" in {*absent, *(n for n, c in components.items() if c is None)}:
        options["requires_safety_checker"] = False
    return options


def _is_present(folder: Path) -> bool:
    """Return whether a component's folder has files, and weights if it needs them."""
    return folder.is_dir() and (not needs_weights(folder) or is_complete(folder))


def weight_variant(folder: Path, index: dict[str, Any]) -> str:
    """Return the variant, such as ``fp16``, if a component has weights in it only, else ""."""
    for component in pipeline_components(index):
        sets = [weights for weights in weight_sets(folder / component) if not weights.missing]
        if sets and all(weights.variant for weights in sets if weights.suffix == sets[0].suffix):
            return sets[0].variant
    return ""
