"""Masks, clean plates and results of photos in a folder of them, paired by name.

For the photo ``x/a.jpg``, the folder may hold ``x/a.png``, ``x/a.jpg.png``, ``x/a_mask.png``
(``.mask``, ``-mask``, with any image suffix), ``x/mask_a.png``, or these in a folder ``masks`` or
``mask`` below ``x``, at the top, or in place of one of the photo's folders. The folder may be that
of the photos themselves.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.formats.photo_files import source_files
from segment2inpaint.dataset.names import is_photo
from segment2inpaint.dataset.spelling import spelling_key
from segment2inpaint.errors import BadDataset

WORDS = {
    "mask": ("mask", "masks"),
    "plate": ("plate", "plates"),
    "result": ("result", "results"),
}
SEPARATORS = "_.- "
SAME_NAME = "NAME.*"  # the form of names in a folder of its own
MAX_LISTED = 5  # names in a message


@dataclass(frozen=True)
class SidecarFolder:
    """A folder of masks or clean plates for the photos of another folder, or of the same.

    Attributes:
        kind: ``mask``, ``plate`` or ``result``, a key of ``WORDS``.
        folder: the folder, a path or a URL.
        root: the folder of the photos.
        pictures: the names of the pictures below ``root``, some of which may be masks.
    """

    kind: str
    folder: str
    root: str
    pictures: Sequence[str] = field(repr=False)

    def find(self, photo: str) -> str:
        """Return the path of the file for a photo, given by its relative name.

        Raises ``BadDataset`` if there is none or more than one.
        """
        files, _ = self._match(photo)
        if len(files) != 1:
            stem, word = _stem(photo), self.kind
            got = ", ".join(files) or f"none, also none like {stem}_{word}.* or {word}s/{stem}.*"
            raise BadDataset(f"expected one {word} {stem}.* in {self.folder}, got {got}")
        return storage.join(self.folder, files[0])

    @cached_property
    def files_below_root(self) -> frozenset[str]:
        """The names below ``root`` that are masks or plates, not photos."""
        inner = _relative(self.folder, self.root)
        if inner:
            return frozenset(n for n in self.pictures if n.startswith(inner + "/"))
        if self._prefix is None:
            return frozenset()
        return frozenset(n for n in self.pictures if self._is_file(self._prefix + n))

    def summary(self, photos: Sequence[str]) -> str:
        """Return in one line how photos and files were paired, and what has no partner."""
        matches = {photo: self._match(photo) for photo in photos}
        forms = Counter(form for files, form in matches.values() if len(files) == 1)
        alone = [photo for photo, (files, _) in matches.items() if len(files) != 1]
        others = self.without_photo(photos)
        pairs = ", ".join(f"{count} as {form}" for form, count in forms.most_common()) or "none"
        text = f"{self.kind}s in {self.folder}: {pairs}, of {len(photos)} photos"
        text += f"; {_listed(alone)} without a {self.kind}" if alone else ""
        return text + (f"; {_listed(others)} without a photo" if others else "")

    def without_photo(self, photos: Sequence[str]) -> list[str]:
        """Return the names of the files, relative to the folder, that fit none of the photos."""
        used = {file for photo in photos for file in self._match(photo)[0]}
        return [name for name in self._names if name not in used and self._is_file(name)]

    # --- matching ---------------------------------------------------------------------------

    def _match(self, photo: str) -> tuple[list[str], str]:
        """Return the files whose names fit a photo best, and the form of these names."""
        for name in self._names_of(photo):
            for key, form in _candidates(spelling_key(name), WORDS[self.kind]):
                files = [n for n in self._by_key.get(key, ()) if self._may_be_file(n, name)]
                if files and (self._prefix is None or form != SAME_NAME):
                    exact = [n for n in files if _stem(n) in (name, _stem(name))]
                    return (exact if len(exact) == 1 else files), form
        return [], ""

    def _names_of(self, photo: str) -> Iterator[str]:
        """Yield the names of a photo that its mask may have, the likeliest first."""
        yield f"{self._prefix or ''}{photo}"
        parent = _relative(
            storage.join(self.root, photo), self.folder.rstrip("/").rpartition("/")[0]
        )
        if parent:
            yield parent
        name = photo.rpartition("/")[2]
        if self._prefix is None and self._name_counts[name] == 1:
            yield name

    def _may_be_file(self, name: str, photo: str) -> bool:
        """Return whether a picture in the folder is not a photo by its name."""
        if self._prefix is None:
            return True
        return name != photo and _looks_like_sidecar(name, WORDS[self.kind])

    def _is_file(self, name: str) -> bool:
        """Return whether a picture in the folder is a mask: no photo that has a mask itself."""
        prefix = self._prefix
        if prefix is None or not self._may_be_file(name, ""):
            return prefix is None
        return not (name.startswith(prefix) and self._match(name[len(prefix) :])[0])

    @cached_property
    def _prefix(self) -> str | None:
        """The path from the folder down to the photos, with ``/``; None if they are elsewhere."""
        path = _relative(self.root, self.folder)
        return f"{path}/" if path else path

    @cached_property
    def _names(self) -> list[str]:
        list_files = source_files if self.kind == "result" else storage.list_files
        return [name for name in list_files(self.folder) if is_photo(name)]

    @cached_property
    def _by_key(self) -> dict[str, list[str]]:
        names: dict[str, list[str]] = {}
        for name in self._names:
            names.setdefault(spelling_key(_stem(name)), []).append(name)
        return names

    @cached_property
    def _name_counts(self) -> Counter[str]:
        photos = (name for name in self.pictures if name not in self.files_below_root)
        return Counter(name.rpartition("/")[2] for name in photos)


def _candidates(name: str, words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the names without suffix that the file for a photo may have, and their forms."""
    *folders, file = name.split("/")
    for places, place_form in _places(folders, words):
        for stem, form in _stems(file, words):
            yield "/".join([*places, stem]), f"{place_form}{form}.*"


def _places(folders: list[str], words: Sequence[str]) -> Iterator[tuple[list[str], str]]:
    yield folders, ""
    for word in words:
        yield [*folders, word], f"{word}/"
        yield [word, *folders], f"{word}/"
        for i in range(len(folders)):
            yield [*folders[:i], word, *folders[i + 1 :]], f"{word}/"


def _stems(file: str, words: Sequence[str]) -> Iterator[tuple[str, str]]:
    stem = _stem(file)
    yield file, "NAME"
    yield stem, "NAME"
    for word in words:
        for separator in SEPARATORS:
            yield f"{stem}{separator}{word}", f"NAME{separator}{word}"
            yield f"{file}{separator}{word}", f"NAME{separator}{word}"
            yield f"{word}{separator}{stem}", f"{word}{separator}NAME"


def _looks_like_sidecar(name: str, words: Sequence[str]) -> bool:
    *folders, file = spelling_key(name).split("/")
    stem = _stem(file)
    ends = tuple(separator + word for separator in SEPARATORS for word in words)
    starts = tuple(word + separator for separator in SEPARATORS for word in words)
    return bool(set(words) & set(folders)) or stem.endswith(ends) or stem.startswith(starts)


def _stem(name: str) -> str:
    """Return a name without its last suffix."""
    return os.path.splitext(name)[0]


def _relative(path: str, folder: str) -> str | None:
    """Return ``path`` relative to ``folder``; empty if they are equal, None if it is elsewhere."""
    if storage.is_remote(path) or storage.is_remote(folder):
        path, folder = path.rstrip("/"), folder.rstrip("/")
    else:
        path, folder = os.path.realpath(path), os.path.realpath(folder)
    if path == folder:
        return ""
    return path[len(folder) + 1 :] if path.startswith(folder.rstrip("/") + "/") else None


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return f"{', '.join(names[:MAX_LISTED])}{more}"
