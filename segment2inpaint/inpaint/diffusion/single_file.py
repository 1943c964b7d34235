"""A diffusion model in one .safetensors file, with the tensor names of its authors.

Such a file lacks the configuration of its networks, the tokenizers, and often the text encoders
and the VAE. A base model's folder of the same family supplies them: the one that was named, or a
folder next to the file with the file's name, or the folder of the family's card. diffusers itself
converts the tensors.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from segment2inpaint.errors import BadModel, ModelMissing, Segment2InpaintError
from segment2inpaint.inpaint.diffusion.components import (
    check_missing,
    empty_tensors,
    first_sentence,
)
from segment2inpaint.inpaint.diffusion.folder import open_pipeline, read_index
from segment2inpaint.inpaint.diffusion.inspection import (
    NETWORK_PREFIX,
    UNET_CLASS,
    VAE_PREFIXES,
    CheckpointInfo,
    network_component,
)
from segment2inpaint.inpaint.diffusion.optimization import quantize_network
from segment2inpaint.models.catalogue import (
    OPTIONAL_COMPONENTS,
    ModelCard,
    candidate_folders,
    download_command,
    missing_components,
    pipeline_components,
)
from segment2inpaint.models.catalogue import card as card_named

# Stable Diffusion 3 works without its third text encoder, and many files omit it.
THIRD_TEXT_ENCODER = "text_encoder_3"


# --- the base model -----------------------------------------------------------------------------


def find_base(checkpoint: CheckpointInfo, base: str = "") -> Path:
    """Return the folder that supplies what the file lacks.

    ``base`` is a card, a hub id or a folder; if empty, the folder with the file's name next to it
    is tried, then the family's card. Raises ``ModelMissing`` if there is none or it lacks the
    same, ``BadModel`` for a base of another family.
    """
    shortage = ""
    for folder in _base_folders(checkpoint, base):
        index = read_index(folder)
        _check_family(checkpoint, folder, index)
        missing = _missing_components(checkpoint, folder)
        if not missing:
            return folder
        shortage = shortage or f" ({folder} has no {missing[0]})"
    name = shlex.quote(f"{checkpoint.file}@{base}" if base else str(checkpoint.file))
    raise ModelMissing(
        f"{checkpoint.file}: needs the configuration and other components of "
        f"{base or checkpoint.card}, which is not on this machine{shortage}; "
        f"get it with: {download_command(name)}"
    )


def _base_folders(checkpoint: CheckpointInfo, base: str) -> list[Path]:
    if base and Path(base).is_dir():
        return [Path(base)]
    if base:
        folders = candidate_folders(card_named(base))
    else:
        family = card_named(checkpoint.card)
        regular = [card_named(family.regular)] if family.regular else []
        adjacent = checkpoint.file.with_suffix("")
        folders = [adjacent, *(f for c in (family, *regular) for f in candidate_folders(c))]
    return [folder for folder in folders if (folder / "model_index.json").is_file()]


def _check_family(checkpoint: CheckpointInfo, folder: Path, index: dict[str, Any]) -> None:
    pipeline = str(index.get("_class_name"))
    network = (index.get(network_component(checkpoint.network_class)) or ["", ""])[1]
    file_is_xl = checkpoint.card == "sdxl-inpaint"
    other_unet = network == UNET_CLASS and ("XL" in pipeline) != file_is_xl
    if network != checkpoint.network_class or other_unet:
        raise BadModel(
            f"{checkpoint.file}: belongs to the family of {checkpoint.card}, "
            f"but {folder} is a {pipeline}; name a model of its family after @"
        )


def _missing_components(checkpoint: CheckpointInfo, folder: Path) -> list[str]:
    """Return the components that the pipeline needs and neither file nor folder has."""
    unconfigured = [
        name for name in checkpoint.components if not (folder / name / "config.json").is_file()
    ]
    unneeded = checkpoint.components | {THIRD_TEXT_ENCODER}
    return unconfigured + [name for name in missing_components(folder) if name not in unneeded]


def base_to_download(
    checkpoint: CheckpointInfo, base: str = ""
) -> tuple[ModelCard, frozenset[str]]:
    """Return the base model's card, and its components whose weights are not needed."""
    third = {THIRD_TEXT_ENCODER} if "text_encoder" in checkpoint.components else set()
    return card_named(base or checkpoint.card), checkpoint.components | OPTIONAL_COMPONENTS | third


# --- opening the file ---------------------------------------------------------------------------


def open_file(
    checkpoint: CheckpointInfo,
    folder: Path,
    index: dict[str, Any],
    pipeline: Any,
    options: dict[str, Any],
) -> Any:
    """Return a pipeline of the file's components and the base folder's, without a safety checker.

    ``pipeline`` is the inpainting class, ``options`` are those of its ``from_pretrained``. Raises
    ``BadModel`` for an incomplete network, and the errors of diffusers.
    """
    components = _load_components(checkpoint, folder, index, pipeline, options)
    supplied = dict.fromkeys(supplied_components(checkpoint, folder, index)) | components
    pipe = open_pipeline(folder, index, pipeline, options, supplied)
    if "v_pred" in checkpoint.velocity_marks:
        pipe.scheduler = type(pipe.scheduler).from_config(
            pipe.scheduler.config,
            prediction_type="v_prediction",
            rescale_betas_zero_snr="ztsnr" in checkpoint.velocity_marks,
        )
    return pipe


def supplied_components(
    checkpoint: CheckpointInfo, folder: Path, index: dict[str, Any]
) -> frozenset[str]:
    """Return the components that are not read from the base folder.

    They are in the file, or the pipeline does without them.
    """
    missing = missing_components(folder)
    omitted = {
        name
        for name in pipeline_components(index)
        if name in OPTIONAL_COMPONENTS or (name == THIRD_TEXT_ENCODER and name in missing)
    }
    return checkpoint.components | omitted


def _load_components(
    checkpoint: CheckpointInfo,
    folder: Path,
    index: dict[str, Any],
    pipeline: Any,
    options: dict[str, Any],
) -> dict[str, Any]:
    """Return the components in the file by name. Raises ``BadModel``."""
    networks = _load_networks(checkpoint, folder, index, options)
    return networks | _load_text_encoders(checkpoint, folder, index, pipeline, networks, options)


def _load_networks(
    checkpoint: CheckpointInfo, folder: Path, index: dict[str, Any], options: dict[str, Any]
) -> dict[str, Any]:
    """Return the main network and, if the file has it, the VAE."""
    import diffusers

    tensors = load_file(checkpoint.file)
    main = network_component(checkpoint.network_class)
    quantization = options.get("quantization_config")
    loaded = {}
    for name in sorted(checkpoint.components & {main, "vae"}):
        unet_options = {"in_channels": checkpoint.unet_channels} if name == "unet" else {}
        loaded[name] = _read_network(
            checkpoint.file,
            name,
            getattr(diffusers, index[name][1]),
            _component_tensors(tensors, name),
            {"config": str(folder), "subfolder": name, **unet_options, **_unquantized(options)},
        )
        if quantization and name == main:  # from_single_file does not quantize
            quantize_network(loaded[name], quantization.quant_mapping[name])
    return loaded


def _read_network(
    file: Path, name: str, kind: Any, tensors: dict[str, Any], options: dict[str, Any]
) -> Any:
    """Return a network of class ``kind`` with a file's tensors. Raises ``BadModel``."""
    try:
        try:
            return kind.from_single_file(dict(tensors), **options)
        except NotImplementedError:  # torch raises it for tensors without data
            return _reporting_class(file, name, kind).from_single_file(tensors, **options)
    except Segment2InpaintError:
        raise
    except Exception as error:  # diffusers raises errors of any class
        raise _component_error(file, name, options["config"], error) from error


def _reporting_class(file: Path, name: str, kind: Any) -> Any:
    """Return a sub-class of ``kind`` that names its missing tensors, for a second attempt."""

    class Reporting(kind):  # type: ignore[misc]
        def to(self, *args: Any, **kwargs: Any) -> Any:
            check_missing(file, name, empty_tensors(self))
            return super().to(*args, **kwargs)

    return Reporting


def _component_error(file: Path, name: str, folder: str, error: Exception) -> BadModel:
    reason = first_sentence(error, Path(folder))
    return BadModel(
        f"{file}: its {name} cannot be loaded with the rest of {folder}: {reason}; "
        "get the model again"
    )


def _unquantized(options: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in options.items() if k != "quantization_config"}


def _component_tensors(tensors: Mapping[str, Any], component: str) -> dict[str, Any]:
    """Return a component's tensors under the names that diffusers recognises.

    A UNet needs the network prefix. Transformers must not have it, because diffusers takes it
    for a part of some names.
    """
    if component == "vae":
        return {k: v for k, v in tensors.items() if k.startswith(VAE_PREFIXES)}
    has_prefix = any(name.startswith(NETWORK_PREFIX) for name in tensors)
    prefix = NETWORK_PREFIX if has_prefix else ""
    bare = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    return {NETWORK_PREFIX + k: v for k, v in bare.items()} if component == "unet" else bare


def _load_text_encoders(
    checkpoint: CheckpointInfo,
    folder: Path,
    index: dict[str, Any],
    pipeline: Any,
    networks: dict[str, Any],
    options: dict[str, Any],
) -> dict[str, Any]:
    """Return the text encoders in the file. diffusers opens them only with a whole pipeline."""
    import diffusers

    names = checkpoint.components - networks.keys()
    if not names:
        return {}
    text_to_image = getattr(diffusers, pipeline.__name__.replace("Inpaint", ""))
    opener = pipeline if hasattr(pipeline, "from_single_file") else text_to_image
    others = dict.fromkeys(
        name for name in pipeline_components(index) if name not in checkpoint.components
    )
    try:
        pipe = opener.from_single_file(
            str(checkpoint.file), config=str(folder), **networks, **others, **_unquantized(options)
        )
    except Exception as error:  # diffusers raises errors of any class
        raise _component_error(
            checkpoint.file, " or ".join(sorted(names)), str(folder), error
        ) from error
    encoders = {name: getattr(pipe, name) for name in names}
    for encoder in encoders.values():
        encoder.tie_weights()  # T5 has one matrix under two names, and files have one of them
        encoder.eval()  # diffusers leaves T5 in training mode
    return encoders
