"""The files of a Pascal VOC dataset: annotations, and the photos and masks that belong to them.

The folders have the names of the challenge, ``Annotations``, ``JPEGImages``,
``SegmentationObject``, in any case, or those that other tools give them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.formats.photo_files import source_files
from segment2inpaint.dataset.names import check_file_name, is_photo
from segment2inpaint.dataset.text_files import decode_text
from segment2inpaint.errors import BadDataset, BadImage

ANNOTATION_FOLDERS = ("annotations", "annotation", "xmls", "xml", "labels")  # in lower case
PHOTO_FOLDERS = ("jpegimages", "images", "image", "imgs", "img", "photos", "pngimages")
OBJECT_FOLDER, CLASS_FOLDER = "segmentationobject", "segmentationclass"
LIST_FOLDER = "imagesets"
DETECTION_SAMPLE = 20  # XML files that are read to detect the format


@dataclass(frozen=True)
class VocFiles:
    """The files below the folder ``path``; their names are relative to it."""

    path: str
    names: list[str] = field(default_factory=list)

    @cached_property
    def annotations(self) -> list[str]:
        """The annotation files: those in folders for them, or else all XML files."""
        files = [name for name in self._all if name.lower().endswith(".xml")]
        return [name for name in files if _annotation_level(name) is not None] or files

    @cached_property
    def lists(self) -> list[str]:
        """The files that list photos, as those of ``ImageSets``."""
        return [name for name in self._all if LIST_FOLDER in _folders(name)]

    def photo(self, annotation: str, filename: str) -> str:
        """Return the photo of an annotation file that names it ``filename``.

        If there is none, it is where the photo is expected. Raises ``ValueError`` if several
        photos match.
        """
        filename = filename.replace("\\", "/")
        if filename:
            check_file_name(filename, "filename")
        names, folders = self._photo_names(annotation, filename), self._places(annotation)
        for name in names:
            for folder in folders:
                found = self._find(folder, name)
                if found:
                    return found
        return self._expected(annotation, names[0] if is_photo(names[0]) else f"{names[0]}.jpg")

    def mask(self, annotation: str, photo: str, kind: str) -> str:
        """Return the PNG of a photo in the folder ``kind``, empty if there is none."""
        base, inner = _split(annotation)
        stem = PurePosixPath(photo).stem
        for place in (_join(base, kind, inner), _join(base, kind)):
            found = self._by_stem.get(_key(_join(place, stem)), ())
            png = next((name for name in found if name.lower().endswith(".png")), "")
            if png:
                return png
        return ""

    @cached_property
    def _all(self) -> list[str]:
        return self.names or source_files(self.path)

    @cached_property
    def _by_key(self) -> dict[str, str]:
        return {_key(name): name for name in self._all if is_photo(name)}

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        photos: dict[str, list[str]] = {}
        for name in self._all:
            if is_photo(name):
                photos.setdefault(_key(name).rpartition(".")[0], []).append(name)
        return photos

    def _photo_names(self, annotation: str, filename: str) -> list[str]:
        """Return the names that the photo may have, the likeliest first.

        A name that belongs to another annotation file is wrong: some tools write the same one
        into all files.
        """
        own = PurePosixPath(annotation).stem
        stem = PurePosixPath(filename).stem
        other = PurePosixPath(annotation).with_name(f"{stem}.xml") if stem else None
        if not filename or (stem != own and str(other) in self._annotation_set):
            return [own]
        return list(dict.fromkeys([filename, filename.rpartition("/")[2], own]))

    @cached_property
    def _annotation_set(self) -> set[str]:
        return set(self.annotations)

    def _find(self, folder: str, name: str) -> str:
        """Return the photo of this name, with this or another suffix, in a folder."""
        path = _join(folder, name)
        if _key(path) in self._by_key:
            return self._by_key[_key(path)]
        for stem in (path, str(PurePosixPath(path).with_suffix(""))):
            found = self._by_stem.get(_key(stem), [])
            if len(found) > 1:
                raise ValueError(f"{len(found)} photos match {name}: {', '.join(found[:3])}")
            if found:
                return found[0]
        return ""

    def _places(self, annotation: str) -> list[str]:
        """Return the folders that may hold the photo of an annotation file."""
        base, inner = _split(annotation)
        beside = [_join(base, name, part) for name in PHOTO_FOLDERS for part in (inner, "")]
        home = str(PurePosixPath(annotation).parent)
        return list(dict.fromkeys([*beside, home, _join(base, inner), base or "."]))

    def _expected(self, annotation: str, filename: str) -> str:
        base, _ = _split(annotation)
        entries = {_key(str(PurePosixPath(name).parent)): name for name in self._by_key.values()}
        for folder in PHOTO_FOLDERS:
            photo = entries.get(_key(_join(base, folder)))
            if photo:
                return _join(str(PurePosixPath(photo).parent), filename)
        return _join(base, "JPEGImages", filename)


def holds_voc(path: str, names: Sequence[str]) -> bool:
    """Return whether a folder has Pascal VOC annotations among its files ``names``."""
    files = VocFiles(path, list(names)).annotations if names else []
    return any(_is_voc(storage.join(path, name)) for name in files[:DETECTION_SAMPLE])


def _is_voc(file: str) -> bool:
    try:
        text = decode_text(storage.read(file), file)
    except (BadDataset, BadImage):
        return False
    return "<annotation>" in text or "<annotation " in text


def _folders(name: str) -> list[str]:
    return [part.lower() for part in name.split("/")[:-1]]


def _annotation_level(name: str) -> int | None:
    """Return the place of the folder for annotations in the path of a file."""
    levels = [i for i, part in enumerate(_folders(name)) if part in ANNOTATION_FOLDERS]
    return levels[0] if levels else None


def _split(annotation: str) -> tuple[str, str]:
    """Return the folder that holds the folder for annotations, and the folder below the latter."""
    parts = annotation.split("/")[:-1]
    level = _annotation_level(annotation)
    if level is None:
        return "/".join(parts), ""
    inner = [part for part in parts[level + 1 :] if part.lower() not in ANNOTATION_FOLDERS]
    return "/".join(parts[:level]), "/".join(inner)


def _join(*parts: str) -> str:
    return "/".join(part for part in parts if part not in ("", "."))


def _key(name: str) -> str:
    """Return what the spellings of a path have in common."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
