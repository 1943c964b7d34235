"""Photos that an annotation file names: where they are, and where their results go.

Annotation tools write names that are relative to the annotation file, to the folder of the photos
or to the machine on which the photos were annotated.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from segment2inpaint.dataset import spelling, storage
from segment2inpaint.dataset.names import check_file_name, is_photo
from segment2inpaint.dataset.results_log import STATE_FOLDER

PHOTO_FOLDERS = ("images", "image", "imgs", "img", "photos", "JPEGImages")
MASK_FOLDER = "masks"  # of an output folder
MAX_LEVELS_UP = 3  # folders above the source whose layout the output folder mirrors
_UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-(?=.)")  # Label Studio puts it before uploaded names


def source_files(folder: str) -> list[str]:
    """Return the names of the files below a folder without those that earlier runs have written."""
    names = storage.list_files(folder)
    if storage.is_remote(folder):
        return names
    folders = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    outputs = {f for f in folders if storage.is_folder(storage.join(folder, f"{f}/{STATE_FOLDER}"))}
    if "." in outputs:
        outputs = {*outputs - {"."}, MASK_FOLDER}
    return [n for n in names if not outputs.intersection(map(str, PurePosixPath(n).parents))]


def output_place(path: str, folder: str) -> tuple[str, str]:
    """Return the name of a photo below the output folder, and the folder of its annotations there.

    The output folder mirrors the source ``folder``, or a folder above it if the photo is not
    below the source: ``images/a.png`` and ``json`` for ``../images/a.png`` in ``set/json``.
    """
    if storage.is_remote(folder) or storage.is_remote(path):
        prefix = folder.rstrip("/") + "/"
        return (path[len(prefix) :] if path.startswith(prefix) else path.rpartition("/")[2]), ""
    parts = PurePosixPath(os.path.relpath(path, folder)).parts
    levels = parts.count("..")
    if levels > MAX_LEVELS_UP:
        return parts[-1], ""
    home = PurePosixPath(os.path.abspath(folder)).parts[1:]
    return "/".join(parts[levels:]), "/".join(home[len(home) - levels :]) if levels else ""


@dataclass
class PhotoFinder:
    """Finds the photos that annotation files below ``folder`` name.

    ``root`` is a folder to search first, or None. Names are matched exactly, then by as much of
    the end of their path as possible.
    """

    folder: str
    root: str | None = None
    _by_name: dict[str, dict[str, list[str]]] = field(default_factory=dict, repr=False)

    def find(self, name: str, home: str = "") -> str:
        """Return the path of a photo that an annotation file in the folder ``home`` names.

        ``home`` is relative to the source. If there is no such photo, the path is where it is
        expected. Raises ``ValueError`` if several photos match, or for what is no file name.
        """
        check_file_name(name, "the name of the photo")
        if name.startswith("data:"):
            raise ValueError("the photo is inside of the annotation file; expected a file name")
        names = list(_spellings(name))
        return (
            self._first(self._stated(names, home))
            or self._search(names, home)
            or _normal(storage.join(self.root or self._path(home), _relative(names[0])))
        )

    def _first(self, candidates: Iterator[str]) -> str:
        """Return the first file that exists, perhaps spelled in another way; empty if none."""
        paths = list(dict.fromkeys(candidates))
        exact = (path for path in paths if storage.size(path) >= 0)
        return next(exact, "") or next(filter(None, map(spelling.find, paths)), "")

    def _stated(self, names: list[str], home: str) -> Iterator[str]:
        """Yield the paths that the names stand for in the usual folders."""
        for name in names:
            if os.path.isabs(name) and not storage.is_remote(self.folder):
                yield os.path.normpath(name)
            for folder in self._folders(home):
                yield _normal(storage.join(folder, _relative(name)))

    def _folders(self, home: str) -> list[str]:
        """Return the folders that a name may be relative to, the likeliest first."""
        near = [self.root] if self.root else []
        near += [self._path(home), self.folder]
        parents = [_normal(storage.join(folder, "..")) for folder in near]
        beside = [storage.join(f, name) for f in [*near, *parents] for name in PHOTO_FOLDERS]
        return list(dict.fromkeys([*near, *beside]))

    def _search(self, names: list[str], home: str) -> str:
        """Return the photo whose path ends most like a name.

        It is below ``root``, the source, or a folder of photos next to the source. Of several
        such photos, it is the one in the folder of the annotation file, or below it.
        """
        for base in self._bases():
            for name in names:
                parts = spelling.spelling_key(name).split("/")
                found = self._photos_below(base).get(parts[-1], [])
                best = max((_common_end(parts, path) for path in found), default=0)
                found = [path for path in found if _common_end(parts, path) == best]
                found = [path for path in found if path.rpartition("/")[0] == home] or found
                found = [path for path in found if path.startswith(f"{home}/")] or found
                if len(found) > 1:
                    listed = ", ".join(found[:3])
                    raise ValueError(f"{len(found)} photos match {name}: {listed}; keep one")
                if found:
                    return storage.join(base, found[0])
        return ""

    def _bases(self) -> list[str]:
        beside = [_normal(storage.join(self.folder, f"../{name}")) for name in PHOTO_FOLDERS]
        near = [self.root] if self.root else []
        return [*near, self.folder, *filter(storage.is_folder, beside)]

    def _photos_below(self, base: str) -> dict[str, list[str]]:
        """Return the relative paths of the photos below a folder by their names."""
        if base not in self._by_name:
            by_name: dict[str, list[str]] = {}
            for path in filter(is_photo, source_files(base)):
                by_name.setdefault(spelling.spelling_key(path).rpartition("/")[2], []).append(path)
            self._by_name[base] = by_name
        return self._by_name[base]

    def _path(self, home: str) -> str:
        return storage.join(self.folder, home) if home not in ("", ".") else self.folder


def _spellings(name: str) -> Iterator[str]:
    """Yield the paths that a name may stand for: that of a URL, and without the upload prefix."""
    path = name.replace("\\", "/")
    if "://" in path or path.startswith("/data/"):
        parts = urlsplit(path)
        path = parse_qs(parts.query).get("d", [unquote(parts.path)])[0]
    yield path
    folder, slash, last = path.rpartition("/")
    if _UPLOAD_PREFIX.match(last):
        yield folder + slash + _UPLOAD_PREFIX.sub("", last)


def _relative(name: str) -> str:
    """Return a name as relative; of an absolute path, which may be of Windows, the last part."""
    is_absolute = re.match(r"([A-Za-z]:)?/", name)
    return name.rpartition("/")[2] if is_absolute else name


def _normal(path: str) -> str:
    return path if storage.is_remote(path) else os.path.normpath(path)


def _common_end(parts: list[str], path: str) -> int:
    """Return the number of equal components at the ends of two paths."""
    others = spelling.spelling_key(path).split("/")
    count = 0
    while count < min(len(parts), len(others)) and parts[-1 - count] == others[-1 - count]:
        count += 1
    return count
