"""Read LaMa's weights from the files in which people have them.

These are .safetensors, ``torch.save`` and TorchScript. The weights may stand among others, such as
those of a discriminator, behind a prefix such as ``generator.``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from segment2inpaint.errors import BadModel
from segment2inpaint.inpaint.torch_archive import is_archive, list_tensors, load_tensors

if TYPE_CHECKING:
    from torch import Tensor, nn

SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt")
FIRST_WEIGHT = "model.1.ffc.convl2l.weight"  # which only LaMa has
BATCH_COUNTER = "num_batches_tracked"  # suffix of tensors that are used in training only


def tensor_names(file: Path) -> list[str]:
    """Return the names of a file's tensors; no value is read. Raises ``BadModel``."""
    from safetensors import SafetensorError, safe_open

    if is_archive(file):
        return list(list_tensors(file))
    try:
        with safe_open(file, "pt") as header:
            return list(header.keys())
    except (SafetensorError, OSError) as error:
        raise BadModel(unreadable(file)) from error


def holds_lama(file: Path) -> bool:
    """Return whether a file holds a LaMa. Raises ``BadModel``."""
    return any(has_suffix(name, FIRST_WEIGHT) for name in tensor_names(file))


def has_suffix(name: str, suffix: str) -> bool:
    """Return whether a dotted name ends with the parts of another one."""
    return f".{name}".endswith(f".{suffix}")


def unreadable(file: Path) -> str:
    """Return the message for a file that is in no known format."""
    formats = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
    return f"{file}: not a readable {formats} file; download it again"


def read_weights(file: Path) -> dict[str, Tensor]:
    """Return LaMa's weights in float32, by their names without prefix.

    Raises ``BadModel`` for an unreadable file, or one with another network.
    """
    archived = list_tensors(file) if is_archive(file) else {}
    tensors = {} if archived else _read_all(file)
    names = [*archived, *tensors]
    first = next((name for name in names if has_suffix(name, FIRST_WEIGHT)), None)
    if first is None:
        raise BadModel(f"{file}: not a LaMa, it has no {FIRST_WEIGHT}")
    prefix = first.removesuffix(FIRST_WEIGHT)
    own = {name: tensor for name, tensor in archived.items() if name.startswith(prefix)}
    tensors = load_tensors(file, own) if archived else tensors
    return {n.removeprefix(prefix): t.float() for n, t in tensors.items() if n.startswith(prefix)}


def _read_all(file: Path) -> dict[str, Tensor]:
    """Return all tensors of a .safetensors file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise BadModel(unreadable(file)) from error


def fill_network(network: nn.Module, weights: dict[str, Tensor], file: Path) -> None:
    """Copy weights into a network. Raises ``BadModel`` if one is missing, unknown or misshapen."""
    try:
        missing, unknown = network.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise BadModel(f"{file}: this LaMa has an unknown architecture") from error
    missing = [one for one in missing if not one.endswith(BATCH_COUNTER)]
    if missing or unknown:
        difference = f"lacks {missing[0]}" if missing else f"has {unknown[0]}"
        raise BadModel(f"{file}: this LaMa has an unknown architecture, it {difference}")


def weights_file(model: Path, names: Sequence[str]) -> Path:
    """Return the file of weights that is meant by a file, or by a folder.

    In a folder it is the first of ``names`` that exists, else the first file with one of
    ``SUFFIXES``. Raises ``BadModel`` for a folder without any.
    """
    if model.is_file():
        return model
    named = [model / name for name in names if (model / name).is_file()]
    others = [path for suffix in SUFFIXES for path in sorted(model.rglob(f"*{suffix}"))]
    if not (named or others):
        expected = " or ".join(SUFFIXES)
        raise BadModel(f"{model}: no {expected} in this folder; download the model again")
    return (named or others)[0]
