"""Read the tensors in PyTorch's archives (.pt, .ckpt) without running any code from them.

``torch.save`` and TorchScript both write a zip file: a pickle of the objects, and a record for
each storage. ``torch.load(weights_only=True)`` refuses TorchScript, and checkpoints of training
runs that hold objects of other libraries. The reader here imports nothing that the pickle names:
it knows the few names that describe a tensor, and replaces every other object by a placeholder.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zipfile import BadZipFile, ZipFile, is_zipfile

from segment2inpaint.errors import BadModel

if TYPE_CHECKING:
    from torch import Tensor

# Names of dtypes in torch, by the storage classes in a pickle.
DTYPES = {
    "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "DoubleStorage": "float64", "LongStorage": "int64", "IntStorage": "int32",
    "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8", "BoolStorage": "bool",
}  # fmt: skip
READ_ERRORS = (
    BadZipFile, pickle.UnpicklingError, OSError, EOFError, KeyError, ValueError, TypeError,
    AttributeError, IndexError, RuntimeError, OverflowError, MemoryError, NotImplementedError,
)  # fmt: skip


class ArchivedTensor(NamedTuple):
    """A tensor that is not read yet: its storage's record and dtype, and its view of them."""

    record: str
    dtype: str
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class _Storage(NamedTuple):
    record: str
    dtype: str


class _Placeholder:
    """Stands for an object of any other class; it keeps the state and does nothing."""

    def __new__(cls, *args: object, **kwargs: object) -> _Placeholder:
        return super().__new__(cls)

    def __init__(self, *args: object, **kwargs: object) -> None:
        self.state: object = None

    def __call__(self, *args: object, **kwargs: object) -> _Placeholder:
        return _Placeholder()

    def __setstate__(self, state: object) -> None:
        self.state = state

    def __setitem__(self, key: object, value: object) -> None:
        """Ignore an item of a dict's subclass."""

    def append(self, value: object) -> None:
        """Ignore an item of a list's subclass."""


class _TensorUnpickler(pickle.Unpickler):
    """Reads descriptions of tensors; names of anything else become placeholders."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _describe,
            ("torch._utils", "_rebuild_parameter"): _unwrap,
        }
        return known.get((module, name)) or type(name, (_Placeholder,), {})

    def persistent_load(self, pid: Any) -> _Storage:
        _, dtype, record, *_ = pid
        return _Storage(str(record), str(dtype))


def _describe(
    storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> ArchivedTensor:
    return ArchivedTensor(*storage, offset, tuple(shape), tuple(stride))


def _unwrap(tensor: ArchivedTensor, *_: object) -> ArchivedTensor:
    return tensor


def is_archive(file: Path) -> bool:
    """Return whether a file is an archive of ``torch.save`` or TorchScript, by its content."""
    return file.is_file() and is_zipfile(file)


def list_tensors(file: Path) -> dict[str, ArchivedTensor]:
    """Return the tensors of an archive by their dotted names, without their values.

    The names are those of a ``state_dict`` behind the path to it, such as
    ``state_dict.generator.model.1.weight``. Raises ``BadModel`` for an unreadable file.
    """
    try:
        with ZipFile(file) as archive:
            content = archive.read(_root(archive) + "data.pkl")
        return dict(_walk(_TensorUnpickler(BytesIO(content)).load(), "", set()))
    except READ_ERRORS as error:
        raise BadModel(f"{file}: not a readable PyTorch archive; download it again") from error


def load_tensors(file: Path, wanted: dict[str, ArchivedTensor]) -> dict[str, Tensor]:
    """Return the values of tensors from ``list_tensors``. Raises ``BadModel`` if damaged."""
    try:
        with ZipFile(file) as archive:
            root = _root(archive)
            return {n: _load(archive, root, tensor) for n, tensor in wanted.items()}
    except READ_ERRORS as error:
        raise BadModel(f"{file}: damaged PyTorch archive; download it again") from error


def _load(archive: ZipFile, root: str, tensor: ArchivedTensor) -> Tensor:
    import torch

    data = bytearray(archive.read(f"{root}data/{tensor.record}"))
    flat = torch.frombuffer(data, dtype=getattr(torch, tensor.dtype))
    return flat.as_strided(tensor.shape, tensor.stride, tensor.offset).clone()


def _root(archive: ZipFile) -> str:
    """Return the folder in which an archive holds its records, with a slash."""
    pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    return min(pickles, key=len).removesuffix("data.pkl")


def _walk(value: object, path: str, parents: set[int]) -> Iterator[tuple[str, ArchivedTensor]]:
    """Yield the tensors in dicts and objects; an object that contains itself is read once."""
    if isinstance(value, ArchivedTensor):
        yield path, value
    if isinstance(value, _Placeholder):
        value = value.state
    if isinstance(value, dict) and id(value) not in parents:
        for key, item in value.items():
            yield from _walk(item, f"{path}.{key}" if path else str(key), parents | {id(value)})
