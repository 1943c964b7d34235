"""A folder of photos, one request for all of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.names import is_photo, output_name
from segment2inpaint.dataset.results_log import STATE
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json
from segment2inpaint.errors import BadDataset

PER_PHOTO = ("mask", "plate")  # prompts whose file may be a folder: one file for each photo


@dataclass(frozen=True)
class FolderSource:
    """The photos below ``root`` whose relative name matches one of ``globs``, sorted.

    In a glob ``*`` takes in ``/`` too: ``*.jpg`` is of all folders, ``2024/*`` all below one.
    What earlier runs have made below ``root`` is left out: their output folders, and of one that
    is ``root`` itself its masks. A mask or plate in ``base`` that is a folder holds one for each
    photo: of the same relative name, with any suffix.
    """

    root: str
    base: Json
    globs: Sequence[str] = ()
    leave: str = ""
    kind = "folder"

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """The photos as items. Raises ``BadDataset`` if there are none."""
        names = [n for n in storage.walk(self.root) if is_photo(n) and self._wanted(n)]
        made = _made(self.root, names)
        names = [n for n in names if n not in made]
        if not names:
            asked = f" by {', '.join(self.globs)}" if self.globs else ""
            raise BadDataset(f"{self.root}: no photos found{asked}{self._others()}")
        beside = _SidecarMatcher(self.base)
        for name in names:
            try:
                request = beside.request(name)
            except BadDataset as error:
                yield InvalidRow(name, str(error))
                continue
            photo = storage.join(self.root, name)
            yield EditItem(photo, output_name(name), request, name)

    def updated(self, gone: set[str]) -> Iterator[tuple[str, bytes]]:
        """A folder has no annotations."""
        return iter(())

    def _wanted(self, name: str) -> bool:
        inside = self.leave and (name == self.leave or name.startswith(self.leave + "/"))
        return not inside and (
            not self.globs or any(fnmatchcase(name, glob) for glob in self.globs)
        )

    def _others(self) -> str:
        ends = Counter(PurePosixPath(name).suffix.lower() for name in storage.walk(self.root))
        listed = ", ".join(f"{count} {end or 'without suffix'}" for end, count in ends.items())
        return f" (there are: {listed})" if listed else "; the folder is empty"


def _made(root: str, names: Sequence[str]) -> set[str]:
    """Those of the names that earlier runs have made; not looked for on a remote store."""
    if storage.is_remote(root):
        return set()
    folders = {str(above) for name in names for above in PurePosixPath(name).parents}
    outputs = {f for f in folders if storage.is_folder(storage.join(root, f"{f}/{STATE}"))}
    inner = outputs - {"."}
    made = {n for n in names if inner & {str(above) for above in PurePosixPath(n).parents}}
    return made | (_masks(root) if "." in outputs else set())


def _masks(out: str) -> set[str]:
    """The masks of the run that has made an output folder."""
    file = storage.join(out, "manifest.jsonl")
    lines = storage.lines(file) if storage.size(file) >= 0 else ()
    return {str(json.loads(line).get("mask")) for line in lines}


class _SidecarMatcher:
    """Finds the mask or plate that belongs to a photo in a folder of them."""

    def __init__(self, base: Json) -> None:
        self.base = base
        self.folders: dict[str, dict[str, list[str]]] = {}
        for prompt in base["prompts"]:
            for kind in PER_PHOTO:
                name = prompt.get(kind)
                if isinstance(name, str) and storage.is_folder(name):
                    self.folders[name] = _by_stem(name)

    def request(self, photo: str) -> Json:
        if not self.folders:
            return self.base
        return {**self.base, "prompts": [self._own(p, photo) for p in self.base["prompts"]]}

    def _own(self, prompt: Json, photo: str) -> Json:
        ((kind, value),) = prompt.items()
        if not isinstance(value, str) or value not in self.folders:
            return prompt
        stem = str(PurePosixPath(photo).with_suffix(""))
        names = self.folders[value].get(photo) or self.folders[value].get(stem) or []
        if len(names) != 1:
            got = ", ".join(names) or "none"
            raise BadDataset(f"expected one {kind} {stem}.* in {value}, got {got}")
        return {kind: storage.join(value, names[0])}


def _by_stem(folder: str) -> dict[str, list[str]]:
    """Names below a folder, by name without the suffix: ``a/b.jpg.png`` is for ``a/b.jpg`` too."""
    found: dict[str, list[str]] = {}
    for name in storage.walk(folder):
        if is_photo(name):
            found.setdefault(str(PurePosixPath(name).with_suffix("")), []).append(name)
    return found
