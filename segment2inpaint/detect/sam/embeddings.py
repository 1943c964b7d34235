"""A cache for the image embeddings of a model: the last ones in memory, more of them on disk.

A cache file holds the sha256 of its body, then the body in safetensors format. Its name is a
hash of the photo's pixels, the checkpoint's content and the model's variant. Files are written
atomically, and the oldest are deleted first.
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

MAX_IN_MEMORY = 8  # photos; 4 to 17 MB each
MAX_ON_DISK = 2_000_000_000  # bytes
DIGEST_SIZE = hashlib.sha256().digest_size


def default_folder() -> Path:
    """Return the folder where embeddings are stored between runs."""
    return platformdirs.user_cache_path("segment2inpaint") / "embeddings"


class EmbeddingCache:
    """Compute the embedding of each photo by one model only once.

    ``checkpoint`` is the model's file or folder; ``variant`` names whatever else an embedding
    depends on. ``folder`` None keeps embeddings in memory only. ``max_bytes`` limits the size of
    the folder. A folder that cannot be written and damaged files only cost time.
    """

    def __init__(
        self,
        checkpoint: Path,
        variant: str,
        folder: Path | None = None,
        max_bytes: int = MAX_ON_DISK,
    ) -> None:
        self._checkpoint, self._variant = checkpoint, variant
        self._folder, self._max_bytes = folder, max_bytes
        self._memory: OrderedDict[str, Embedding] = OrderedDict()
        self._checkpoint_digest = ""

    def get(
        self, images: Sequence[Image], embed: Callable[[Sequence[Image]], list[Embedding]]
    ) -> list[Embedding]:
        """Return the photos' embeddings, computing those not cached in one call of ``embed``."""
        keys = [self._key(image) for image in images]
        found = {key: cached for key in keys if (cached := self._look_up(key)) is not None}
        missing = {key: image for key, image in zip(keys, images, strict=True) if key not in found}
        if missing:
            computed = embed(list(missing.values()))
            found |= dict(zip(missing, computed, strict=True))
            for key in missing:
                self._write(key, found[key])
        for key in keys:
            self._memory[key] = found[key]
            self._memory.move_to_end(key)
        while len(self._memory) > MAX_IN_MEMORY:
            self._memory.popitem(last=False)
        return [found[key] for key in keys]

    def _key(self, image: Image) -> str:
        if self._folder is not None and not self._checkpoint_digest:
            self._checkpoint_digest = digest(self._checkpoint)
        header = f"{image.shape} {self._variant} {self._checkpoint_digest}".encode()
        return hashlib.sha256(header + b"\0" + np.ascontiguousarray(image).tobytes()).hexdigest()

    def _look_up(self, key: str) -> Embedding | None:
        return self._memory.get(key) or self._read(key)

    def _read(self, key: str) -> Embedding | None:
        """Return the embedding on disk, None if it is missing or damaged."""
        if self._folder is None:
            return None
        path = self._folder / key
        try:
            data = path.read_bytes()
            if hashlib.sha256(data[DIGEST_SIZE:]).digest() != data[:DIGEST_SIZE]:
                return None
            embedding: Embedding = load(data[DIGEST_SIZE:])
            os.utime(path)  # marks it as used, so that it is not among the next to be deleted
        except (OSError, SafetensorError):
            return None
        return embedding

    def _write(self, key: str, embedding: Embedding) -> None:
        """Write to a temporary file, then rename it, so that no reader meets half a file."""
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
            _delete_oldest(self._folder, self._max_bytes)


def _delete_oldest(folder: Path, max_bytes: int) -> None:
    """Delete the oldest files until the folder is small enough.

    Another process may delete the same files at the same time.
    """
    files = []
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            files.append((path.stat().st_mtime, path.stat().st_size, path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= max_bytes:
            return
        path.unlink(missing_ok=True)
        total -= size


def digest(checkpoint: Path) -> str:
    """Return the sha256 of a checkpoint: of the file, or of a folder's weights and settings."""
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
