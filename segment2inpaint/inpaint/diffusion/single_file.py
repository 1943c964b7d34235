"""A diffusion model in one .safetensors file, under the names that its authors gave its tensors.

What it lacks (how to build the networks, tokenizers, often text encoders and the VAE) is lent by
the folder of a model of its family: the one named with it, one of the file's name beside it, or
that of the family's card. diffusers itself turns the tensors into its own.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from segment2inpaint.errors import BadModel, ModelMissing
from segment2inpaint.inpaint.diffusion.folder import read_index, variant
from segment2inpaint.inpaint.diffusion.inspection import (
    CODER,
    PREFIX,
    UNET,
    CheckpointInfo,
    folder_of,
)
from segment2inpaint.inpaint.diffusion.optimization import quantize
from segment2inpaint.models.catalogue import (
    OPTIONAL,
    ModelCard,
    download_command,
    missing_parts,
    parts,
    places,
)
from segment2inpaint.models.catalogue import card as card_named

THIRD = "text_encoder_3"  # Stable Diffusion 3 paints without it, and many files leave it out


def lender(contents: CheckpointInfo, base: str = "") -> Path:
    """The folder that lends what the file lacks: of ``base`` (a card, a hub id or a folder), of
    the file's name beside it, or of the family's card.

    Raises ``ModelMissing`` if there is none, or it lacks the same; ``BadModel`` for one of
    another family.
    """
    wanting = ""
    for folder in _lenders(contents, base):
        index = read_index(folder)
        _check_family(contents, folder, index)
        absent = _absent(contents, folder, index)
        if not absent:
            return folder
        wanting = wanting or f" ({folder} has no {absent[0]})"
    named = shlex.quote(f"{contents.file}@{base}" if base else str(contents.file))
    what = "the configuration and what else it lacks"
    raise ModelMissing(
        f"{contents.file}: {what} of {base or contents.card} is not on this machine{wanting}; "
        f"get it with: {download_command(named)}"
    )


def _lenders(contents: CheckpointInfo, base: str) -> list[Path]:
    if base and Path(base).is_dir():
        return [Path(base)]
    beside = [] if base else [contents.file.with_suffix("")]
    there = [*beside, *places(card_named(base or contents.card))]
    return [folder for folder in there if (folder / "model_index.json").is_file()]


def _check_family(contents: CheckpointInfo, folder: Path, index: dict[str, Any]) -> None:
    pipeline = str(index.get("_class_name"))
    network = (index.get(folder_of(contents.network)) or ["", ""])[1]
    other_unet = network == UNET and ("XL" in pipeline) != (contents.card == "sdxl-inpaint")
    if network != contents.network or other_unet:
        raise BadModel(
            f"{contents.file}: goes with {contents.card}, but {folder} is a {pipeline}; "
            "name a model of its family after @"
        )


def _absent(contents: CheckpointInfo, folder: Path, index: dict[str, Any]) -> list[str]:
    """What neither the file nor the folder has and the pipeline needs."""
    built = [part for part in contents.parts if not (folder / part / "config.json").is_file()]
    whole = contents.parts | {THIRD}
    return built + [part for part in missing_parts(folder) if part not in whole]


def to_fetch(contents: CheckpointInfo, base: str = "") -> tuple[ModelCard, frozenset[str]]:
    """The card that lends what the file lacks, and the parts whose weights are not needed."""
    third = {THIRD} if "text_encoder" in contents.parts else set()
    return card_named(base or contents.card), contents.parts | OPTIONAL | third


# --- opening it -----------------------------------------------------------------------------------


def opened(
    contents: CheckpointInfo,
    folder: Path,
    index: dict[str, Any],
    pipeline: Any,
    options: dict[str, Any],
) -> Any:
    """The file's parts and the folder's others in one pipeline, without a safety checker.

    ``options`` are those of ``pipeline.from_pretrained``. Raises ``BadModel`` for a network that
    is not whole, and whatever diffusers raises.
    """
    try:
        own = _networks(contents, folder, index, options)
    except NotImplementedError as error:  # so torch says that there is nothing to copy
        why = "tensors of its network are missing"
        raise BadModel(f"{contents.file}: {why}; get the model again") from error
    own |= _texts(contents, folder, index, pipeline, own, options)
    unused = [
        p for p in parts(index) if p in OPTIONAL or (p == THIRD and p in missing_parts(folder))
    ]
    left_out: dict[str, Any] = dict.fromkeys(p for p in unused if p not in own)
    if "safety_checker" in left_out:
        left_out["requires_safety_checker"] = False
    pipe = pipeline.from_pretrained(
        folder, variant=variant(folder, index), **left_out, **own, **options
    )
    if "v_pred" in contents.trained:
        pipe.scheduler = type(pipe.scheduler).from_config(
            pipe.scheduler.config,
            prediction_type="v_prediction",
            rescale_betas_zero_snr="ztsnr" in contents.trained,
        )
    return pipe


def _networks(
    contents: CheckpointInfo, folder: Path, index: dict[str, Any], options: dict[str, Any]
) -> dict[str, Any]:
    """The network and, where the file has it, the VAE."""
    import diffusers

    tensors = load_file(contents.file)
    network = folder_of(contents.network)
    bits = options.get("quantization_config")
    more: dict[str, Any] = {k: v for k, v in options.items() if k != "quantization_config"}
    made = {}
    for part in contents.parts & {network, "vae"}:
        extra = {"in_channels": contents.channels} if part == "unet" else {}
        made[part] = getattr(diffusers, index[part][1]).from_single_file(
            _own(tensors, part), config=str(folder), subfolder=part, **extra, **more
        )
        if bits and part == network:  # which diffusers leaves out when it opens a file
            quantize(made[part], bits.quant_mapping[part])
    return made


def _own(tensors: Mapping[str, Any], part: str) -> dict[str, Any]:
    """A part's tensors: a UNet's with the prefix, without which diffusers does not know them, the
    others' without, as it takes it for a part of the names of some."""
    if part == "vae":
        return {k: v for k, v in tensors.items() if k.startswith(CODER)}
    whole = any(name.startswith(PREFIX) for name in tensors)
    bare = {k.removeprefix(PREFIX): v for k, v in tensors.items() if k.startswith(PREFIX * whole)}
    return {PREFIX + k: v for k, v in bare.items()} if part == "unet" else bare


def _texts(
    contents: CheckpointInfo,
    folder: Path,
    index: dict[str, Any],
    pipeline: Any,
    own: dict[str, Any],
    options: dict[str, Any],
) -> dict[str, Any]:
    """The text encoders in the file. diffusers opens those by way of a whole pipeline only."""
    import diffusers

    held = contents.parts - own.keys()
    if not held:
        return {}
    plain = getattr(diffusers, pipeline.__name__.replace("Inpaint", ""))
    opener = pipeline if hasattr(pipeline, "from_single_file") else plain
    others = dict.fromkeys(part for part in parts(index) if part not in contents.parts)
    more = {k: v for k, v in options.items() if k != "quantization_config"}
    pipe = opener.from_single_file(str(contents.file), config=str(folder), **own, **others, **more)
    made = {part: getattr(pipe, part) for part in held}
    for text in made.values():
        text.tie_weights()  # T5 has one matrix under two names, and files have one of them
        text.eval()  # diffusers leaves T5 as if it were to be trained
    return made
