"""Loading of a pipeline's networks one by one, each completely or not at all.

diffusers leaves missing tensors empty, and transformers fills them at random; both only log it.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Collection, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from segment2inpaint.errors import BadModel
from segment2inpaint.models.catalogue import pipeline_components
from segment2inpaint.models.weights import preferred_weights

# The error of diffusers for a tensor of another shape: name, expected and found shape.
SHAPE_ERROR = re.compile(r"(\S+) expected shape torch\.Size\((.+?)\), but got torch\.Size\((.+?)\)")
# diffusers raises these, which name no tensor, if it does not recognise a text encoder in a file.
UNRECOGNISED_ENCODER = ("Failed to load ", "The provided checkpoint does not seem to contain")
# Integer tensors that transformers computes; old checkpoints have them, new ones do not.
COMPUTED_TENSOR = "position_ids"


def load_networks(
    folder: Path,
    index: dict[str, Any],
    pipeline: Any,
    options: dict[str, Any],
    variant: str,
    skip: Collection[str] = (),
) -> dict[str, Any]:
    """Return the networks of a pipeline's folder by component, without those in ``skip``.

    ``pipeline`` is the class that takes them, ``options`` are those of its ``from_pretrained``,
    ``variant`` is preferred where a component has it. Tokenizers and schedulers are left to
    diffusers. Raises ``BadModel`` for a network whose weights are damaged, or are not exactly
    those that its configuration requires.
    """
    accepted = inspect.signature(pipeline.__init__).parameters
    networks = {}
    for name in pipeline_components(index):
        kind = network_class(*index[name])
        if kind is None or name in skip or name not in accepted or not (folder / name).is_dir():
            continue
        networks[name] = _load_network(folder, name, kind, options, variant)
    return networks


def network_class(library: str, name: str) -> Any:
    """Return the class of a network in ``model_index.json``, None for anything else."""
    import diffusers

    known = library in ("diffusers", "transformers")
    module = import_module(library) if known else getattr(diffusers.pipelines, library, None)
    kind = getattr(module, name, None)
    is_network = isinstance(kind, type) and issubclass(kind, torch.nn.Module)
    return kind if is_network and hasattr(kind, "from_pretrained") else None


def _load_network(folder: Path, name: str, kind: Any, options: dict[str, Any], variant: str) -> Any:
    """Return one network, evaluated for its missing and unexpected tensors."""
    try:
        network, report = kind.from_pretrained(
            folder / name,
            output_loading_info=True,
            **_network_options(folder / name, name, kind, options, variant),
        )
    except Exception as error:  # the libraries raise errors of any class
        raise BadModel(
            f"{folder}: its {name} cannot be loaded as {kind.__name__}: "
            f"{first_sentence(error, folder)}; get the model again"
        ) from error
    check_shapes(folder, name, report["mismatched_keys"])
    check_missing(folder, name, _lost_tensors(network, report["missing_keys"]))
    _warn_unexpected(folder, name, kind, report["unexpected_keys"])
    return network


def _network_options(
    folder: Path, name: str, kind: Any, options: dict[str, Any], variant: str
) -> dict[str, Any]:
    """Return the options of a network's ``from_pretrained`` for those of a pipeline's."""
    from transformers import PreTrainedModel

    loading: dict[str, Any] = {"local_files_only": True}
    dtype = next(options[key] for key in ("torch_dtype", "dtype") if key in options)
    if issubclass(kind, PreTrainedModel):
        # The report names the tensors with other shapes only if they are no error.
        loading |= {"dtype": dtype, "ignore_mismatched_sizes": True}
    else:
        loading |= {key: options[key] for key in ("torch_dtype", "dtype") if key in options}
    weights = preferred_weights(folder, variant)
    if weights and weights.variant:
        loading["variant"] = weights.variant
    quantization = options.get("quantization_config")
    if quantization and name in quantization.quant_mapping:
        loading["quantization_config"] = quantization.quant_mapping[name]
    return loading


def first_sentence(error: Exception, folder: Path) -> str:
    """Return the first sentence of an error's text, with paths relative to ``folder``."""
    if shapes := SHAPE_ERROR.search(str(error)):
        return "{} does not fit its config.json: expected {}, got {}".format(*shapes.groups())
    if str(error).startswith(UNRECOGNISED_ENCODER):
        return "tensors are missing or have other names"
    text = f"it lacks {error}" if isinstance(error, KeyError) else str(error).strip()
    first_line = (text or type(error).__name__).split("\n")[0]
    return first_line.replace(f"{folder}/", "").split(". ")[0].rstrip(".")


# --- checks ---------------------------------------------------------------------------------------


def check_missing(model: Path, component: str, missing: Collection[str]) -> None:
    """Raise ``BadModel`` if tensors of a component are missing."""
    if missing:
        raise BadModel(
            f"{model}: {len(missing)} tensors of its {component} are missing, "
            f"such as {min(missing)}; get the model again"
        )


def check_shapes(model: Path, component: str, mismatched: Collection[tuple[Any, ...]]) -> None:
    """Raise ``BadModel`` if tensors of a component have other shapes than its configuration."""
    if not mismatched:
        return
    name, got, expected = min(mismatched)
    raise BadModel(
        f"{model}: {len(mismatched)} tensors of its {component} do not fit its config.json, such "
        f"as {name}: expected {tuple(expected)}, got {tuple(got)}; get the model again"
    )


def empty_tensors(network: torch.nn.Module) -> list[str]:
    """Return the names of the tensors that diffusers left without data."""
    tensors = [*network.named_parameters(), *network.named_buffers()]
    return [name for name, tensor in tensors if tensor.is_meta]


def _lost_tensors(network: torch.nn.Module, missing: Iterable[str]) -> list[str]:
    """Return the missing tensors without those that need not be in a file.

    transformers has already left out tied weights and what its classes may lack. Integer buffers
    are positions, which are computed.
    """
    buffers = {name for name, tensor in network.named_buffers() if not tensor.is_floating_point()}
    return sorted(set(missing) - buffers)


def _warn_unexpected(folder: Path, name: str, kind: Any, unexpected: Iterable[str]) -> None:
    """Warn about tensors that the network has no place for; its own are all there."""
    names = sorted(key for key in unexpected if not key.endswith(COMPUTED_TENSOR))
    if names:
        warnings.warn(
            f"{folder}: {len(names)} tensors of its {name} are no part of {kind.__name__} and are "
            f"ignored, such as {names[0]}",
            stacklevel=2,
        )
