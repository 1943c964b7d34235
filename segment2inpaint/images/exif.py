"""EXIF in place: the orientation, and the old pictures that EXIF may hold.

Works on the bytes and moves nothing, since maker notes hold offsets that break when moved.
The layout is that of TIFF 6.0 and of CIPA DC-008 (EXIF 2.3). Damaged EXIF never raises.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

PREFIX = b"Exif\0\0"
ORIENTATION = 0x0112
_JPEG = b"\xff\xd8\xff"  # what every embedded JPEG begins with
_SUB_IFDS = (0x8769, 0x8825, 0xA005)  # Exif, GPS, Interoperability
_THUMBNAILS = ((0x0201, 0x0202), (0x0111, 0x0117))  # offset and length: JPEG, strips
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_MOST_ENTRIES = 1000  # of one directory; more is damage


class _Entry(NamedTuple):
    tag: int
    kind: int  # the TIFF field type
    at: int  # where the value is
    size: int  # its bytes


class _Tiff:
    """A TIFF structure in a buffer; whatever lies outside of the buffer is left out."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self.order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4], "")
        self.first = self.number(4, 4) if self.order else 0

    def number(self, at: int, size: int) -> int:
        """The unsigned number of 2 or 4 bytes at ``at``, 0 if it is not all there."""
        piece = bytes(self.data[at : at + size])
        if len(piece) < size:
            return 0
        return int(struct.unpack(self.order + ("H" if size == 2 else "I"), piece)[0])

    def entries(self, ifd: int) -> Iterator[_Entry]:
        count = self.number(ifd, 2) if ifd else 0
        for at in range(ifd + 2, ifd + 2 + 12 * min(count, _MOST_ENTRIES), 12):
            kind = self.number(at + 2, 2)
            size = self.number(at + 4, 4) * _SIZES.get(kind, 0)
            where = at + 8 if size <= 4 else self.number(at + 8, 4)
            if size and where + size <= len(self.data):
                yield _Entry(self.number(at, 2), kind, where, size)

    def numbers(self, entry: _Entry) -> list[int]:
        width = 2 if entry.kind == 3 else 4
        return [self.number(entry.at + i, width) for i in range(0, entry.size, width)]

    def next_pointer(self, ifd: int) -> int:
        """Where the offset of the directory after ``ifd`` is written."""
        return ifd + 2 + 12 * self.number(ifd, 2)

    def every_entry(self) -> Iterator[_Entry]:
        """The entries of the first directory and of those below it."""
        waiting = [self.first]
        for ifd in waiting:
            for entry in self.entries(ifd):
                yield entry
                if entry.tag in _SUB_IFDS and len(waiting) <= len(_SUB_IFDS):
                    waiting.append(self.number(entry.at, 4))

    def blank(self, at: int, size: int) -> None:
        stop = min(at + size, len(self.data))
        self.data[at:stop] = bytes(max(0, stop - at))


def orientation(exif: bytes) -> int:
    """The orientation that EXIF (or a whole TIFF file) asks for, 1 to 8; 1 if it says none."""
    tiff = _Tiff(exif.removeprefix(PREFIX))
    for entry in tiff.entries(tiff.first):
        if entry.tag == ORIENTATION and entry.kind == 3:
            value = tiff.number(entry.at, 2)
            return value if 1 <= value <= 8 else 1
    return 1


def with_orientation(exif: bytes, value: int) -> bytes:
    """The same bytes, of EXIF or of a whole TIFF file, with ``value`` for the orientation.

    Where no orientation was, none is added.
    """
    prefix = PREFIX if exif.startswith(PREFIX) else b""
    tiff = _Tiff(exif.removeprefix(PREFIX))
    for entry in tiff.entries(tiff.first):
        if entry.tag == ORIENTATION and entry.kind == 3:
            tiff.data[entry.at : entry.at + 2] = struct.pack(tiff.order + "H", value)
    return prefix + bytes(tiff.data)


def without_pictures(exif: bytes) -> bytes:
    """EXIF, beginning with ``Exif\\0\\0``, in which no picture is left.

    The thumbnail is blanked and its directory unlinked; so is every value, maker notes too,
    that holds a JPEG. EXIF that holds one elsewhere, or that cannot be parsed, comes back as
    nothing but its orientation.
    """
    tiff = _Tiff(exif.removeprefix(PREFIX))
    if not tiff.first:
        return b""
    _blank_thumbnail(tiff)
    for entry in list(tiff.every_entry()):
        if _JPEG in tiff.data[entry.at : entry.at + entry.size]:
            tiff.blank(entry.at, entry.size)
    if _JPEG in tiff.data:
        return only_orientation(orientation(exif))
    return PREFIX + bytes(tiff.data)


def only_orientation(value: int) -> bytes:
    """The shortest EXIF that says ``value``, nothing at all for 1."""
    if value == 1:
        return b""
    entry = struct.pack("<HHIHH", ORIENTATION, 3, 1, value, 0)
    return PREFIX + b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)


def _blank_thumbnail(tiff: _Tiff) -> None:
    """Blank the directory after the first one and its picture; cut both off at the end."""
    pointer = tiff.next_pointer(tiff.first)
    second = tiff.number(pointer, 4)
    if not second:
        return
    found = {entry.tag: tiff.numbers(entry) for entry in tiff.entries(second)}
    pieces = [(second, 6 + 12 * tiff.number(second, 2))]
    for offset, length in _THUMBNAILS:
        pieces += zip(found.get(offset, []), found.get(length, []), strict=False)
    tiff.blank(pointer, 4)
    for at, size in pieces:
        tiff.blank(at, size)
    for at, size in sorted(pieces, reverse=True):
        if at > tiff.first and at + size + 1 >= len(tiff.data):
            del tiff.data[at:]
