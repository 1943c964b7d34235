"""The files of training pairs: Parquet as Hugging Face ``datasets`` reads it, and tar shards."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from itertools import chain, islice
from typing import Any, BinaryIO, NamedTuple

from segment2inpaint.dataset import storage

PICTURES = ("photo", "mask", "effect_mask", "result")
NUMBERS = ("objects", "changed_outside")
TEXTS = ("name", "task", "prompt", "label", "verdict", "checks", "detector", "inpainter", "request",
         "photo_sha256", "version")  # fmt: skip
MAX_FILE_BYTES = 500_000_000  # of pictures in one file, unless a sample is larger
ROWS_PER_GROUP = 16  # samples in memory at a time


class Picture(NamedTuple):
    """The bytes of a picture file, and its suffix without a dot."""

    data: bytes
    suffix: str


@dataclass(frozen=True)
class PairSample:
    """A photo with its masks and its result, by the names in ``PICTURES``, and other columns."""

    pictures: Mapping[str, Picture]
    values: Mapping[str, Any]

    @property
    def size(self) -> int:
        return sum(len(picture.data) for picture in self.pictures.values())


def write_parquet(folder: str, samples: Iterable[PairSample]) -> list[str]:
    """Write Parquet files below ``folder``, and return their names relative to it."""
    return _write_files(folder, "data/train-{:05d}.parquet", samples, _write_parquet_file)


def write_tars(folder: str, samples: Iterable[PairSample]) -> list[str]:
    """Write WebDataset shards into ``folder``, and return their names."""
    return _write_files(folder, "train-{:06d}.tar", samples, _write_tar)


def _write_files(
    folder: str,
    pattern: str,
    samples: Iterable[PairSample],
    write: Callable[[BinaryIO, Iterator[PairSample], int], int],
) -> list[str]:
    """Write files until there are no samples left; at least one, which may be empty."""
    rest, names, count = iter(samples), list[str](), 0
    while True:
        first = next(rest, None)
        if first is None and names:
            return names
        names.append(pattern.format(len(names)))
        part = _limited(chain([first] if first else [], rest))
        with storage.open_atomic(storage.join(folder, names[-1])) as file:
            count = write(file, part, count)
        if first is None:
            return names


def _limited(samples: Iterator[PairSample]) -> Iterator[PairSample]:
    """Yield samples until they have ``MAX_FILE_BYTES``."""
    size = 0
    while size < MAX_FILE_BYTES and (sample := next(samples, None)):
        size += sample.size
        yield sample


# --- Parquet ----------------------------------------------------------------------------------


def _write_parquet_file(file: BinaryIO, samples: Iterator[PairSample], count: int) -> int:
    from pyarrow import parquet

    with parquet.ParquetWriter(file, _schema(), compression="zstd") as writer:
        while group := list(islice(samples, ROWS_PER_GROUP)):
            writer.write_table(_table(group))
            count += len(group)
    return count


def _table(samples: list[PairSample]) -> Any:
    import pyarrow

    columns: dict[str, list[Any]] = {
        name: [
            {"bytes": s.pictures[name].data, "path": f"{name}.{s.pictures[name].suffix}"}
            for s in samples
        ]
        for name in PICTURES
    }
    for name in (*TEXTS, *NUMBERS):
        columns[name] = [sample.values[name] for sample in samples]
    return pyarrow.table(columns, schema=_schema())


def _schema() -> Any:
    """Return the schema, with what Hugging Face ``datasets`` needs to decode the pictures."""
    import pyarrow

    picture = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    fields = [(name, picture) for name in PICTURES]
    fields += [(name, pyarrow.string()) for name in TEXTS]
    fields += [(name, pyarrow.int64()) for name in NUMBERS]
    features: dict[str, Any] = {name: {"_type": "Image"} for name in PICTURES}
    features |= {name: {"dtype": "string", "_type": "Value"} for name in TEXTS}
    features |= {name: {"dtype": "int64", "_type": "Value"} for name in NUMBERS}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pyarrow.schema(fields, metadata=metadata)


# --- tar --------------------------------------------------------------------------------------


def _write_tar(file: BinaryIO, samples: Iterator[PairSample], count: int) -> int:
    """Write a shard whose keys are the numbers of the samples, beginning after ``count``."""
    with tarfile.open(fileobj=file, mode="w") as tar:
        for sample in samples:
            key = f"{count:09d}"
            for name in PICTURES:
                picture = sample.pictures[name]
                _add_member(tar, f"{key}.{name}.{picture.suffix}", picture.data)
            _add_member(tar, f"{key}.json", json.dumps(dict(sample.values)).encode())
            count += 1
    return count


def _add_member(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, BytesIO(data))
