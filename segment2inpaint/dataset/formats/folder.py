"""A folder of photos with one request for all of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import PurePosixPath

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.formats.sidecars import SidecarFolder
from segment2inpaint.dataset.names import is_photo, output_name
from segment2inpaint.dataset.results_log import STATE_FOLDER
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json, UnmatchedRow
from segment2inpaint.errors import BadDataset

SIDECAR_PROMPTS = ("mask", "plate")  # prompts that may name a folder with one file per photo


@dataclass(frozen=True)
class FolderSource:
    """The photos below a folder, sorted by relative name.

    Results of earlier runs are left out: output folders below ``root``, and the masks if ``root``
    itself is an output folder.

    Attributes:
        root: the folder, a path or a URL.
        base: the request as JSON. A mask or plate in it may be a folder, which holds a file for
            each photo, named as ``sidecars`` says.
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
        names = [name for name in self._photos if self._is_selected(name)]
        if not names:
            patterns = f" by {', '.join(self.globs)}" if self.globs else ""
            raise BadDataset(f"{self.root}: no photos found{patterns}{self._describe_files()}")
        for name in names:
            try:
                request = self._request(name)
            except BadDataset as error:
                yield InvalidRow(name, str(error))
                continue
            yield EditItem(storage.join(self.root, name), output_name(name), request, name)
        for folder in self._sidecar_folders.values():
            for name in folder.without_photo(self._photos):
                file = storage.join(folder.folder, name)
                yield UnmatchedRow(file, f"no photo in {self.root} has this {folder.kind}")

    @property
    def path(self) -> str:
        """The folder."""
        return self.root

    @property
    def pairing(self) -> str:
        """Return in one line how photos and masks or plates were paired; empty without a folder."""
        return "; ".join(folder.summary(self._photos) for folder in self._sidecar_folders.values())

    def remaining_annotations(self, removed_ids: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield nothing: a folder of photos has no annotations."""
        return iter(())

    @cached_property
    def _pictures(self) -> list[str]:
        """The pictures below ``root`` that no earlier run has written."""
        names = [name for name in storage.list_files(self.root) if is_photo(name)]
        if self.excluded:
            names = [name for name in names if not name.startswith(self.excluded + "/")]
        earlier = _earlier_outputs(self.root, names)
        return [name for name in names if name not in earlier]

    @cached_property
    def _sidecar_folders(self) -> dict[str, SidecarFolder]:
        """The folders of masks or plates that the prompts name, by path."""
        values = [
            (kind, prompt.get(kind)) for prompt in self.base["prompts"] for kind in SIDECAR_PROMPTS
        ]
        return {
            folder: SidecarFolder(kind, folder, self.root, self._pictures)
            for kind, folder in values
            if isinstance(folder, str) and storage.is_folder(folder)
        }

    @cached_property
    def _photos(self) -> list[str]:
        masks = [folder.files_below_root for folder in self._sidecar_folders.values()]
        return [name for name in self._pictures if not any(name in names for names in masks)]

    def _request(self, photo: str) -> Json:
        """Return the request for a photo, with the files of its own. Raises ``BadDataset``."""
        if not self._sidecar_folders:
            return self.base
        return {**self.base, "prompts": [self._prompt(p, photo) for p in self.base["prompts"]]}

    def _prompt(self, prompt: Json, photo: str) -> Json:
        ((kind, value),) = prompt.items()
        folder = self._sidecar_folders.get(value) if isinstance(value, str) else None
        return {kind: folder.find(photo)} if folder else prompt

    def _is_selected(self, name: str) -> bool:
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
