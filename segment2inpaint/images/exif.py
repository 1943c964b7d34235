"""Edit EXIF in place: the orientation, and the pictures that EXIF may contain.

The bytes are changed but never moved, because maker notes contain offsets that would break.
The layout is that of TIFF 6.0 and CIPA DC-008 (EXIF 2.3). Damaged EXIF never raises.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

PREFIX = b"Exif\0\0"
ORIENTATION = 0x0112
_SHORT = 3  # TIFF field type of 16-bit numbers
_INTEGERS = (1, 3, 4, 6, 8, 9)  # the field types of integers; some programs write a LONG
_JPEG_START = b"\xff\xd8\xff"
_SUB_DIRECTORIES = (0x8769, 0x8825, 0xA005)  # Exif, GPS, Interoperability
# The tags with the offset and the length of a thumbnail: as JPEG, as strips.
_THUMBNAIL_TAGS = ((0x0201, 0x0202), (0x0111, 0x0117))
# TIFF field type -> bytes per value.
_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_NUMBER_CODES = {1: "B", 2: "H", 4: "I"}  # bytes -> code of struct
_MAX_ENTRIES = 1000  # in one directory; more are taken for damage


class _Entry(NamedTuple):
    """An entry of a directory: its tag, TIFF field type, and the offset and bytes of its value."""

    tag: int
    field_type: int
    offset: int
    size: int


class _Tiff:
    """A TIFF structure in a buffer. Values that lie outside the buffer are ignored."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self.byte_order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4], "")
        self.first_directory = self.number(4, 4) if self.byte_order else 0

    def number(self, offset: int, size: int) -> int:
        """Return the unsigned number of 1, 2 or 4 bytes at ``offset``; 0 beyond the buffer."""
        piece = bytes(self.data[offset : offset + size])
        if len(piece) < size:
            return 0
        return int(struct.unpack(self.byte_order + _NUMBER_CODES[size], piece)[0])

    def set_number(self, offset: int, size: int, value: int) -> None:
        """Overwrite the number of 1, 2 or 4 bytes at ``offset``."""
        piece = struct.pack(self.byte_order + _NUMBER_CODES[size], value)
        self.data[offset : offset + size] = piece

    def entries(self, directory: int) -> Iterator[_Entry]:
        """Yield the entries of the directory at this offset; none for offset 0."""
        count = self.number(directory, 2) if directory else 0
        for start in range(directory + 2, directory + 2 + 12 * min(count, _MAX_ENTRIES), 12):
            field_type = self.number(start + 2, 2)
            size = self.number(start + 4, 4) * _TYPE_SIZES.get(field_type, 0)
            offset = start + 8 if size <= 4 else self.number(start + 8, 4)
            if size and offset + size <= len(self.data):
                yield _Entry(self.number(start, 2), field_type, offset, size)

    def orientation_entries(self) -> Iterator[_Entry]:
        """Yield the entries of the first directory that hold the orientation."""
        for entry in self.entries(self.first_directory):
            if entry.tag == ORIENTATION and entry.field_type in _INTEGERS:
                yield entry

    def numbers(self, entry: _Entry) -> list[int]:
        width = 2 if entry.field_type == _SHORT else 4
        return [self.number(entry.offset + i, width) for i in range(0, entry.size, width)]

    def next_pointer(self, directory: int) -> int:
        """Return the offset of the pointer to the directory that follows ``directory``."""
        return directory + 2 + 12 * self.number(directory, 2)

    def all_entries(self) -> Iterator[_Entry]:
        """Yield the entries of the first directory and of its sub-directories."""
        directories = [self.first_directory]
        for directory in directories:
            for entry in self.entries(directory):
                yield entry
                if entry.tag in _SUB_DIRECTORIES and len(directories) <= len(_SUB_DIRECTORIES):
                    directories.append(self.number(entry.offset, 4))

    def blank(self, offset: int, size: int) -> None:
        """Overwrite bytes with 0."""
        stop = min(offset + size, len(self.data))
        self.data[offset:stop] = bytes(max(0, stop - offset))


def orientation(exif: bytes) -> int:
    """Return the orientation, 1 to 8, of EXIF or of a whole TIFF file; 1 if there is none."""
    tiff = _Tiff(exif.removeprefix(PREFIX))
    for entry in tiff.orientation_entries():
        value = tiff.number(entry.offset, _TYPE_SIZES[entry.field_type])
        return value if 1 <= value <= 8 else 1
    return 1


def with_orientation(exif: bytes, value: int) -> bytes:
    """Set the orientation to ``value`` in EXIF or in a whole TIFF file, and return the bytes.

    Nothing changes if there is no orientation.
    """
    prefix = PREFIX if exif.startswith(PREFIX) else b""
    tiff = _Tiff(exif.removeprefix(PREFIX))
    for entry in tiff.orientation_entries():
        tiff.set_number(entry.offset, _TYPE_SIZES[entry.field_type], value)
    return prefix + bytes(tiff.data)


def without_pictures(exif: bytes) -> bytes:
    """Return EXIF, beginning with ``Exif\\0\\0``, without any picture in it.

    The thumbnail is blanked and its directory unlinked. Every value that contains a JPEG is
    blanked, maker notes included. If a JPEG remains elsewhere, only the orientation is returned.
    Empty if the EXIF cannot be parsed.
    """
    tiff = _Tiff(exif.removeprefix(PREFIX))
    if not tiff.first_directory:
        return b""
    _blank_thumbnail(tiff)
    for entry in list(tiff.all_entries()):
        if _JPEG_START in tiff.data[entry.offset : entry.offset + entry.size]:
            tiff.blank(entry.offset, entry.size)
    if _JPEG_START in tiff.data:
        return only_orientation(orientation(exif))
    return PREFIX + bytes(tiff.data)


def only_orientation(value: int) -> bytes:
    """Return the shortest EXIF with this orientation; empty for 1."""
    if value == 1:
        return b""
    entry = struct.pack("<HHIHH", ORIENTATION, _SHORT, 1, value, 0)
    return PREFIX + b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)


def _blank_thumbnail(tiff: _Tiff) -> None:
    """Blank the thumbnail and its directory, the second; drop them at the end of the data."""
    pointer = tiff.next_pointer(tiff.first_directory)
    second = tiff.number(pointer, 4)
    if not second:
        return
    values = {entry.tag: tiff.numbers(entry) for entry in tiff.entries(second)}
    pieces = [(second, 6 + 12 * tiff.number(second, 2))]  # offset, size
    for offset_tag, length_tag in _THUMBNAIL_TAGS:
        pieces += zip(values.get(offset_tag, []), values.get(length_tag, []), strict=False)
    tiff.blank(pointer, 4)
    for offset, size in pieces:
        tiff.blank(offset, size)
    for offset, size in sorted(pieces, reverse=True):
        if offset > tiff.first_directory and offset + size + 1 >= len(tiff.data):
            del tiff.data[offset:]
