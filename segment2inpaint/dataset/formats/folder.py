"""A folder of photos with one request for all of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.names import is_photo, output_name
from segment2inpaint.dataset.results_log import STATE_FOLDER
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json
from segment2inpaint.errors import BadDataset

SIDECAR_PROMPTS = ("mask", "plate")  # prompts that may name a folder with one file per photo


@dataclass(frozen=True)
class FolderSource:
    """The photos below a folder, sorted by relative name.

    Results of earlier runs are left out: output folders below ``root``, and the masks if ``root``
    itself is an output folder.

    Attributes:
        root: the folder, a path or a URL.
        base: the request as JSON. A mask or plate in it may be a folder, which holds a file of
            the same relative name for each photo, with any image suffix.
        globs: patterns that select relative names; empty selects all. ``*`` also matches ``/``:
            ``*.jpg`` selects from all folders, ``2024/*`` everything below one.
        excluded: the name, relative to ``root``, of a folder to leave out.
    """

    root: str
    base: Json
    globs: Sequence[str] = ()
    excluded: str = ""
    kind = "folder"

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """Yield the photos as items. Raises ``BadDataset`` if there are none."""
        names = [n for n in storage.list_files(self.root) if is_photo(n) and self._is_selected(n)]
        earlier = _earlier_outputs(self.root, names)
        names = [n for n in names if n not in earlier]
        if not names:
            patterns = f" by {', '.join(self.globs)}" if self.globs else ""
            raise BadDataset(f"{self.root}: no photos found{patterns}{self._describe_files()}")
        sidecars = _SidecarMatcher(self.base)
        for name in names:
            try:
                request = sidecars.request(name)
            except BadDataset as error:
                yield InvalidRow(name, str(error))
                continue
            yield EditItem(storage.join(self.root, name), output_name(name), request, name)

    def remaining_annotations(self, removed_ids: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield nothing: a folder of photos has no annotations."""
        return iter(())

    def _is_selected(self, name: str) -> bool:
        if self.excluded and (name == self.excluded or name.startswith(self.excluded + "/")):
            return False
        return not self.globs or any(fnmatchcase(name, glob) for glob in self.globs)

    def _describe_files(self) -> str:
        names = storage.list_files(self.root)
        suffixes = Counter(PurePosixPath(name).suffix.lower() for name in names)
        counts = ", ".join(f"{count} {end or 'without suffix'}" for end, count in suffixes.items())
        return f" (there are: {counts})" if counts else "; the folder is empty"


def _earlier_outputs(root: str, names: Sequence[str]) -> set[str]:
    """Return those of the names that earlier runs have written; none on a remote store."""
    if storage.is_remote(root):
        return set()
    folders = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    outputs = {f for f in folders if storage.is_folder(storage.join(root, f"{f}/{STATE_FOLDER}"))}
    inner = outputs - {"."}
    written = {n for n in names if inner & {str(parent) for parent in PurePosixPath(n).parents}}
    return written | (_earlier_masks(root) if "." in outputs else set())


def _earlier_masks(out: str) -> set[str]:
    """Return the names of the masks in an output folder, as its manifest lists them."""
    manifest = storage.join(out, "manifest.jsonl")
    lines = storage.read_lines(manifest) if storage.size(manifest) >= 0 else ()
    return {str(json.loads(line).get("mask")) for line in lines}


class _SidecarMatcher:
    """Finds the mask or clean plate of each photo in a folder of them."""

    def __init__(self, base: Json) -> None:
        self._base = base
        self._folders: dict[str, dict[str, list[str]]] = {}
        for prompt in base["prompts"]:
            for kind in SIDECAR_PROMPTS:
                folder = prompt.get(kind)
                if isinstance(folder, str) and storage.is_folder(folder):
                    self._folders[folder] = _names_by_stem(folder)

    def request(self, photo: str) -> Json:
        """Return the request for a photo, given by its relative name. Raises ``BadDataset``."""
        if not self._folders:
            return self._base
        prompts = [self._with_sidecar(prompt, photo) for prompt in self._base["prompts"]]
        return {**self._base, "prompts": prompts}

    def _with_sidecar(self, prompt: Json, photo: str) -> Json:
        ((kind, folder),) = prompt.items()
        if not isinstance(folder, str) or folder not in self._folders:
            return prompt
        stem = str(PurePosixPath(photo).with_suffix(""))
        names = self._folders[folder].get(photo) or self._folders[folder].get(stem) or []
        if len(names) != 1:
            got = ", ".join(names) or "none"
            raise BadDataset(f"expected one {kind} {stem}.* in {folder}, got {got}")
        return {kind: storage.join(folder, names[0])}


def _names_by_stem(folder: str) -> dict[str, list[str]]:
    """Return the pictures of a folder by their names without suffix.

    ``a/b.jpg.png`` has the stem ``a/b.jpg``, so it belongs to the photo ``a/b.jpg``.
    """
    names: dict[str, list[str]] = {}
    for name in storage.list_files(folder):
        if is_photo(name):
            names.setdefault(str(PurePosixPath(name).with_suffix("")), []).append(name)
    return names
