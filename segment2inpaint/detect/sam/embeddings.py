"""What a network made of a photo, kept: the last ones in memory, more of them on disk.

A file is the sha256 of what follows, then safetensors. Entries are named by the content of photo
and checkpoint, written whole or not at all, and dropped oldest first.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
import platformdirs
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from segment2inpaint.types import Image

Embedding = dict[str, torch.Tensor]

IN_MEMORY = 8  # photos; 4 to 17 MB each
ON_DISK = 2_000_000_000  # bytes
DIGEST = hashlib.sha256().digest_size


def default_folder() -> Path:
    """Where embeddings are kept between runs."""
    return platformdirs.user_cache_path("segment2inpaint") / "embeddings"


class EmbeddingCache:
    """A photo's embedding by one network, computed once.

    ``checkpoint`` is the network's file or folder, ``kind`` what else its output depends on.
    ``folder`` None keeps them in memory only; ``size`` bounds the folder, in bytes. A folder
    that cannot be written, and entries that are damaged, cost time only.
    """

    def __init__(
        self, checkpoint: Path, kind: str, folder: Path | None = None, size: int = ON_DISK
    ) -> None:
        self._checkpoint, self._kind = checkpoint, kind
        self._folder, self._size = folder, size
        self._memory: OrderedDict[str, Embedding] = OrderedDict()
        self._network = ""

    def get(
        self, images: Sequence[Image], embed: Callable[[Sequence[Image]], list[Embedding]]
    ) -> list[Embedding]:
        """The embeddings of the photos; those that are not kept come from one ``embed``."""
        keys = [self._key(image) for image in images]
        found = {key: kept for key in keys if (kept := self._kept(key)) is not None}
        missing = {key: image for key, image in zip(keys, images, strict=True) if key not in found}
        if missing:
            made = embed(list(missing.values()))
            found |= dict(zip(missing, made, strict=True))
            for key in missing:
                self._write(key, found[key])
        for key in keys:
            self._memory[key] = found[key]
            self._memory.move_to_end(key)
        while len(self._memory) > IN_MEMORY:
            self._memory.popitem(last=False)
        return [found[key] for key in keys]

    def _key(self, image: Image) -> str:
        if self._folder is not None and not self._network:
            self._network = digest(self._checkpoint)
        about = f"{image.shape} {self._kind} {self._network}".encode()
        return hashlib.sha256(about + b"\0" + np.ascontiguousarray(image).tobytes()).hexdigest()

    def _kept(self, key: str) -> Embedding | None:
        return self._memory.get(key) or self._read(key)

    def _read(self, key: str) -> Embedding | None:
        if self._folder is None:
            return None
        path = self._folder / key
        try:
            data = path.read_bytes()
            if hashlib.sha256(data[DIGEST:]).digest() != data[:DIGEST]:
                return None
            embedding: Embedding = load(data[DIGEST:])
            os.utime(path)
        except (OSError, SafetensorError):
            return None
        return embedding

    def _write(self, key: str, embedding: Embedding) -> None:
        """Into a file of another name, then moved: a reader never meets half an entry."""
        if self._folder is None:
            return
        body = save({name: value.cpu().contiguous() for name, value in embedding.items()})
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=self._folder, suffix=".part", delete=False) as file:
                try:
                    file.write(hashlib.sha256(body).digest() + body)
                    file.close()
                    Path(file.name).replace(self._folder / key)
                except OSError:
                    Path(file.name).unlink(missing_ok=True)
                    raise
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        """Another process may drop the same files at the same time."""
        assert self._folder is not None
        files = []
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):
                files.append((path.stat().st_mtime, path.stat().st_size, path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= self._size:
                return
            path.unlink(missing_ok=True)
            total -= size


def digest(checkpoint: Path) -> str:
    """A name for the content of a checkpoint: a file, or the weights and settings of a folder."""
    total = hashlib.sha256()
    files = [checkpoint]
    if checkpoint.is_dir():
        files = sorted(p for p in checkpoint.iterdir() if p.suffix in {".json", ".safetensors"})
    for path in files:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                total.update(block)
        total.update(path.name.encode() if checkpoint.is_dir() else b"")
    return total.hexdigest()
