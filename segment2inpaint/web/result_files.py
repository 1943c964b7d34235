"""The files of results, as the command line writes them: one at a time, or many in a zip."""

from __future__ import annotations

import csv
import re
import time
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import RawIOBase, StringIO
from typing import Any

from segment2inpaint import images
from segment2inpaint.errors import BadImage, BadOption
from segment2inpaint.web.app_state import FILE_SUFFIXES, output_format
from segment2inpaint.web.session import NotFound, PhotoSession, ResultPatch, SessionStore, file_stem

VERDICTS = "verdicts.csv"
# Windows refuses these characters; a spreadsheet computes a cell that starts with one of the others
UNSAFE_CHARACTERS = re.compile(r'[<>:"|?*\\/]|^[=+@-]')


def find_patch(session: PhotoSession, result_id: str, candidate: int) -> ResultPatch:
    """Return the changed part of a candidate. Raises ``NotFound``."""
    patches = session.get_result(result_id).patches
    if candidate >= len(patches):
        raise NotFound(f"no candidate {candidate}: there are {len(patches)}, numbered from 0")
    return patches[candidate]


def encode_result(
    session: PhotoSession, patch: ResultPatch, format: str, quality: int | None = None
) -> bytes:
    """Return the file of a result. Raises ``BadOption`` for a format that cannot be written."""
    if format not in images.formats():
        raise BadOption(
            f"cannot write {format} on this machine, expected {', '.join(images.formats())}"
        )
    image, alpha = patch.apply(session.photo)
    return images.encode(session.photo, image, alpha, format=format, quality=quality)


def zip_results(sessions: SessionStore, chosen: Iterable[tuple[str, int]]) -> Iterator[bytes]:
    """Yield a zip in pieces: the file of each result, and ``verdicts.csv``.

    ``chosen`` are the ids of results and the indices of candidates. A file has the name of its
    photo and the bytes of a single download; its piece is encoded when it is asked for. The
    columns of ``verdicts.csv`` are file, verdict and sentence. Raises ``NotFound``.
    """
    stream, rows, used = _Pieces(), [("file", "verdict", "sentence")], {VERDICTS}
    now = time.localtime()[:6]
    with zipfile.ZipFile(stream, "w") as archive:
        for result_id, candidate in chosen:
            session = sessions.find_by_result(result_id)
            patch = find_patch(session, result_id, candidate)
            report = session.get_result(result_id).reports[candidate]
            format = output_format(session.photo)
            name = _unique(_archive_name(session.photo.name, format), used)
            archive.writestr(zipfile.ZipInfo(name, now), encode_result(session, patch, format))
            rows.append((name, report["verdict"] or "not checked", report["sentence"]))
            yield stream.take()
        archive.writestr(zipfile.ZipInfo(VERDICTS, now), _csv(rows))
    yield stream.take()


class _Pieces(RawIOBase):
    """A file to write to, without seeking, from which the bytes are taken piece by piece."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._bytes += data
        return len(data)

    def take(self) -> bytes:
        """Return the bytes written since the last call."""
        data, self._bytes = bytes(self._bytes), bytearray()
        return data


def _archive_name(photo_name: str, format: str) -> str:
    """Return the photo's name, with another suffix if it is not one of the format."""
    name = UNSAFE_CHARACTERS.sub("_", photo_name)
    with suppress(BadImage):  # raised for a suffix of no format
        if images.format_of(name) == format:
            return name
    return f"{file_stem(name)}.{FILE_SUFFIXES[format]}"


def _unique(name: str, used: set[str]) -> str:
    """Return the name, with a number if it is in ``used``, and add it. Case does not count."""
    stem, dot, suffix = name.rpartition(".")
    count = 1
    while name.casefold() in used:
        count += 1
        name = f"{stem} ({count}){dot}{suffix}"
    used.add(name.casefold())
    return name


def _csv(rows: list[tuple[str, str, str]]) -> bytes:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
