"""A model on disk to an inpainting pipeline of diffusers, whatever its family."""

from __future__ import annotations

import inspect
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from shutil import copytree, ignore_patterns
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from segment2inpaint.catalogue import command, find
from segment2inpaint.inpaint.diffusion_fast import quantization
from segment2inpaint.types import BadModel, BadOption, ModelMissing, Segment2InpaintError

DTYPES = {
    "float32": torch.float32,
    "fp32": torch.float32,
    "float16": torch.float16,
    "fp16": torch.float16,
    "bfloat16": torch.bfloat16,
    "bf16": torch.bfloat16,
}
NEEDED = {"prompt", "image", "mask_image", "generator", "output_type"}

# They warn while painting: of what Diffusion says itself, and of SDXL's own change of dtype.
CHATTER = (
    "diffusers.pipelines.stable_diffusion.safety_checker",
    "diffusers.models.modeling_utils",
)

# diffusers imports torchao where it is installed, and torch does not like all that it does.
ABOUT_TORCHAO = ("torch.utils._pytree",)

# Tensors of Stable Diffusion 1.x in its original layout.
FIRST = "model.diffusion_model.input_blocks.0.0.weight"
TEXT = "cond_stage_model.transformer.text_model.embeddings.position_embedding.weight"

# Checkpoint classes whose inpainting class has a name of its own.
INPAINT_CLASS = {
    "LatentConsistencyModelPipeline": "StableDiffusionInpaintPipeline",
    "KandinskyV22Pipeline": "KandinskyV22InpaintCombinedPipeline",
    "KandinskyV22InpaintPipeline": "KandinskyV22InpaintCombinedPipeline",
    "KandinskyV22CombinedPipeline": "KandinskyV22InpaintCombinedPipeline",
}
PRIOR = "kandinsky22-prior"


def choose_dtype(name: str, device: str) -> torch.dtype:
    """The torch type for ``auto`` or a key of ``DTYPES``; ``auto`` halves where it is faster.

    Raises ``BadOption``. diffusers itself takes an unknown name for float32 without a word.
    """
    if name == "auto":
        if device.startswith("cuda") and torch.cuda.is_bf16_supported():
            return torch.bfloat16
        return torch.float32 if device == "cpu" else torch.float16
    if name not in DTYPES:
        raise BadOption(f"dtype must be auto, {', '.join(DTYPES)}, got {name!r}")
    return DTYPES[name]


def load(model: Path, dtype: torch.dtype, quantize: str | None = None) -> Any:
    """The inpainting pipeline in a folder or file, on the CPU. Never touches the network.

    A file is a Stable Diffusion 1.x in the original layout, as .safetensors. Raises
    ``BadModel``: not a pipeline, a part missing or damaged, a family that cannot inpaint from
    a prompt; ``ModelMissing`` for a file whose configuration is not on this machine, or a
    Kandinsky without its prior; ``BadOption`` for a quantization that is not to be had.
    """
    with quiet_libraries():
        pipe = _loaded(model, dtype, quantize)
    pipe.set_progress_bar_config(disable=True)
    for chatter in CHATTER:
        logging.getLogger(chatter).setLevel(logging.ERROR)
    return mended(pipe)


def _loaded(model: Path, dtype: torch.dtype, quantize: str | None) -> Any:
    """The pipeline, errors of three libraries told in a line."""
    if model.is_file():
        pipeline = _inpaint_class(model, "StableDiffusionInpaintPipeline")
        opened = partial(_open_file, model, pipeline, _configuration(model), dtype)
    else:
        index = _index(model)
        pipeline = _inpaint_class(model, str(index.get("_class_name")))
        options: dict[str, Any] = {"local_files_only": True, _dtype_keyword(): dtype}
        if quantize:
            options["quantization_config"] = quantization(quantize, dtype, index)
        opened = partial(_opened, model, index, pipeline, options)
    try:
        return opened()
    except Segment2InpaintError:
        raise
    except Exception as error:  # they raise what they like
        reason = (str(error).strip() or type(error).__name__).split("\n")[0]
        reason = reason.replace(f"{model}/", "").split(". ")[0].rstrip(".")
        raise BadModel(
            f"{model}: cannot be loaded as {pipeline.__name__}: {reason}; get the model again"
        ) from error


def _opened(model: Path, index: dict[str, Any], pipeline: Any, options: dict[str, Any]) -> Any:
    """The pipeline in a folder. Kandinsky's is put together with its prior, which has its own."""
    own = _left_out(model, index, pipeline) | {"variant": _variant(model, index)}
    if not _is_decoder(index):
        return pipeline.from_pretrained(model, **own, **options)
    import diffusers

    prior = find(PRIOR)
    if prior is None:
        raise ModelMissing(f"{model}: needs its prior, get it with: {command(PRIOR)}")
    decoder = diffusers.KandinskyV22InpaintPipeline.from_pretrained(model, **own, **options)
    first = diffusers.KandinskyV22PriorPipeline.from_pretrained(
        prior, variant=_variant(prior, _index(prior)), **options
    )
    parts = {f"prior_{name}": part for name, part in first.components.items()}
    return pipeline(**decoder.components, **parts)


def _is_decoder(index: dict[str, Any]) -> bool:
    """Whether it is the half of a Kandinsky 2.2 that paints, without the one that reads."""
    return str(index.get("_class_name")).startswith("KandinskyV22") and not any(
        part.startswith("prior_") for part in index
    )


def _index(model: Path) -> dict[str, Any]:
    """``model_index.json``. Raises ``BadModel``."""
    if not model.is_dir():
        raise BadModel(f"{model}: no such file or folder")
    path = model / "model_index.json"
    try:
        index: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadModel(f"{model}: not a diffusers model, it has no model_index.json") from None
    except ValueError as error:
        raise BadModel(f"{path}: damaged: {error}") from error
    return index


def _inpaint_class(model: Path, name: str) -> Any:
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


def _parts(index: dict[str, Any]) -> list[str]:
    """The folders that the index wants: [library, class] pairs, [null, null] for none."""
    return [k for k, v in index.items() if isinstance(v, list) and len(v) == 2 and v[0]]


def _left_out(model: Path, index: dict[str, Any], pipeline: Any) -> dict[str, Any]:
    """Options that leave optional parts out that are not there, such as the safety checker.

    Raises ``BadModel`` for a part that is needed.
    """
    absent = [part for part in _parts(index) if not (model / part).is_dir()]
    for part in absent:
        if part not in pipeline._optional_components:
            raise BadModel(f"{model}: part {part!r} is missing; download the model again")
    options: dict[str, Any] = dict.fromkeys(absent)
    if "safety_checker" in absent:
        options["requires_safety_checker"] = False
    return options


def _variant(model: Path, index: dict[str, Any]) -> str | None:
    """``fp16`` for a folder that has some weights in that form only, else None."""
    for part in _parts(index):
        names = [path.name for path in (model / part).glob("*.safetensors")]
        half = [name for name in names if ".fp16" in name]
        if half and len(half) == len(names):
            return "fp16"
    return None


# --- a model in one file --------------------------------------------------------------------------


def _configuration(model: Path) -> Path:
    """The folder that tells how to build the file's networks: of the same name beside it, or
    the catalogue's own Stable Diffusion 1.5. Raises ``ModelMissing`` or ``BadModel``."""
    try:
        with safe_open(model, "pt") as file:
            names = set(file.keys())
    except (SafetensorError, OSError) as error:
        what = "not a readable .safetensors file, the only kind of single file that is taken"
        raise BadModel(f"{model}: {what}") from error
    if not {FIRST, TEXT} <= names:
        raise BadModel(
            f"{model}: not a Stable Diffusion 1.x in one file; convert others to a folder with "
            "diffusers: from_single_file, save_pretrained"
        )
    beside = model.with_suffix("")
    found = beside if (beside / "model_index.json").is_file() else find("sd15-inpaint")
    if found is None:
        raise ModelMissing(
            f"{model}: a single file needs the configuration of its family; get it with: "
            f"{command('sd15-inpaint')}, or lay it beside the file as {beside.name}/"
        )
    return found


def _open_file(model: Path, pipeline: Any, configuration: Path, dtype: torch.dtype) -> Any:
    """The pipeline from one file; its network has as many input channels as the file says."""
    with safe_open(model, "pt") as file:
        channels = file.get_slice(FIRST).get_shape()[1]
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "configuration"
        weights = ignore_patterns("*.safetensors", "*.bin", "*.ckpt")
        copytree(configuration, copy, ignore=weights)
        unet = copy / "unet" / "config.json"
        settings = json.loads(unet.read_text(encoding="utf-8"))
        unet.write_text(json.dumps(settings | {"in_channels": channels}), encoding="utf-8")
        return pipeline.from_single_file(
            str(model),
            config=str(copy),
            local_files_only=True,
            safety_checker=None,
            **{_dtype_keyword(): dtype},
        )


def _dtype_keyword() -> str:
    """Renamed in diffusers 1.0; the old name is taken, with a warning, for some versions before."""
    import diffusers

    return "dtype" if int(diffusers.__version__.split(".")[0]) >= 1 else "torch_dtype"


def mended(pipe: Any) -> Any:
    """Chroma's inpainting reads a key that the configuration of its checkpoints lacks."""
    chroma = type(pipe).__name__.startswith("Chroma")
    if chroma and "guidance_embeds" not in pipe.transformer.config:
        pipe.transformer.register_to_config(guidance_embeds=False)
    return pipe


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep the libraries' bars, hints and logged copies of exceptions off the terminal."""
    import diffusers.utils.logging as of_diffusers
    import transformers.utils.logging as of_transformers

    logs = [logging.getLogger(name) for name in ("diffusers", "transformers", *ABOUT_TORCHAO)]
    levels = [log.level for log in logs]
    barred = [of for of in (of_diffusers, of_transformers) if of.is_progress_bar_enabled()]
    for log in logs:
        log.setLevel(logging.CRITICAL)
    for of in barred:
        of.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
        for of in barred:
            of.enable_progress_bar()
