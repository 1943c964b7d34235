"""JPEG to JPEG without a second loss: blocks that nothing touched keep their DCT coefficients.

JPEG (ITU-T T.81) codes each component in blocks of 8x8 samples; a subsampled chroma block
covers 16x16 pixels. Only blocks with a changed pixel are transformed and quantised again,
with the file's own tables, and in those only the changed samples are new: the others are the
file's own samples, before clipping and before chroma was enlarged. Huffman codes are made
anew, and a progressive file becomes a sequential one; neither changes a pixel.

Decoders that smooth enlarged chroma ("fancy upsampling" in libjpeg and libjpeg-turbo) take a
quarter of a chroma sample from its neighbour. So beside a changed chroma block, the row or
column of pixels next to it (1 px at 4:2:0 and 4:2:2) may decode differently too; a file
without subsampling has no such margin. ``touched`` is the exact region.

All arrays here are in the file's own orientation. Coefficients are read and written with
jpeglib, which works on files and keeps C globals, hence the temporary folder and the lock.
"""

from __future__ import annotations

import re
import struct
import tempfile
import threading
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import jpeglib
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.types import BinaryMask, Image, bounding_box

_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_SOS, _COM, _APP0, _APP1, _APP2, _APP14 = 0xDA, 0xFE, 0xE0, 0xE1, 0xE2, 0xEE
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15
_HUFFMAN = {0xC0, 0xC1, 0xC2}  # baseline, extended, progressive
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a segment
_MARKER = re.compile(rb"\xff+[^\x00\xff]")
_SCAN_END = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")  # a marker that is no restart
_LONGEST = 65533  # bytes in a segment
_AT_ONCE = 4096  # blocks transformed together: bounds the memory
_LOCK = threading.Lock()

# To the components' samples, with the level shift, as in JFIF 1.02 (ITU-R BT.601, full range).
_LUMA = np.array([0.299, 0.587, 0.114])
_YCC = np.array([_LUMA, [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
_YCC_SHIFT = (128.0, 0.0, 0.0)


def _cosines() -> NDArray[np.float64]:
    """The orthonormal 8-point DCT-II, (frequency, sample)."""
    k, n = np.mgrid[:8, :8]
    matrix: NDArray[np.float64] = np.cos((2 * n + 1) * k * np.pi / 16) / 2
    matrix[0] /= np.sqrt(2)
    return matrix


_DCT = _cosines()


class JpegSegment(NamedTuple):
    """A marker, what its length covers, and the coded data after a scan's header."""

    marker: int
    body: bytes
    scan: bytes = b""

    @property
    def coded(self) -> bytes:
        """As in the file."""
        return struct.pack(">BBH", 0xFF, self.marker, len(self.body) + 2) + self.body + self.scan


class JpegLayout(NamedTuple):
    """What the frame header says. ``factors``: pixels per sample of each component, (y, x)."""

    factors: tuple[tuple[int, int], ...]
    ycc: bool  # luma and chroma, else RGB as it is
    plain: bool  # of a kind whose coefficients can be edited here


def segments(data: bytes) -> Iterator[JpegSegment]:
    """The segments of the first picture in ``data``; whatever follows it is left out.

    As libjpeg does, passes over stray bytes between segments.
    """
    at = len(_SOI)
    while found := _MARKER.search(data, at):
        marker, at = data[found.end() - 1], found.end()
        if marker == 0xD9 or at + 2 > len(data):
            return
        if marker in _ALONE:
            continue
        stop = end = at + struct.unpack_from(">H", data, at)[0]
        if marker == _SOS:
            after = _SCAN_END.search(data, stop)
            end = after.start() if after else len(data)
        yield JpegSegment(marker, data[at + 2 : stop], data[stop:end])
        at = end


def layout(data: bytes) -> JpegLayout:
    """Read the frame header. Raises ``ValueError`` if there is none that makes sense."""
    adobe, jfif = None, False
    for marker, body, _ in segments(data):
        jfif = jfif or (marker == _APP0 and body.startswith(b"JFIF\0"))
        if marker == _APP14 and body.startswith(b"Adobe") and len(body) >= 12:
            adobe = body[11]
        if marker in _FRAMES:
            return _layout(marker, body, jfif, adobe)
    raise ValueError("no JPEG frame header")


def _layout(marker: int, body: bytes, jfif: bool, adobe: int | None) -> JpegLayout:
    count = body[5] if len(body) > 5 else 0
    parts = [body[6 + 3 * i : 9 + 3 * i] for i in range(count)]
    if not parts or len(parts[-1]) < 3:
        raise ValueError("broken JPEG frame header")
    shares = [(part[1] & 15, part[1] >> 4) for part in parts]  # vertical, horizontal
    if count == 1:
        shares = [(1, 1)]  # one component is never subsampled, whatever it says
    most = max(v for v, _ in shares), max(h for _, h in shares)
    even = all(v and h and most[0] % v == 0 and most[1] % h == 0 for v, h in shares)
    # The rules by which libjpeg tells RGB from YCbCr.
    ids = bytes(part[0] for part in parts)
    ycc = jfif or (ids != b"RGB" if adobe is None else adobe != 0)
    plain = marker in _HUFFMAN and body[0] == 8 and count in (1, 3) and even
    factors = tuple((most[0] // v, most[1] // h) for v, h in shares) if even else ()
    return JpegLayout(factors, ycc, plain)


def splice(data: bytes, image: Image, changed: BinaryMask, exif: bytes) -> bytes | None:
    """The file ``data`` with the pixels of ``image`` where ``changed``; see the module.

    ``image`` is ``(H, W, 3)`` uint8 RGB, ``changed`` ``(H, W)`` bool. ``exif`` replaces the
    file's own. None if the file is of a kind that cannot be edited so: arithmetic coding,
    four components, uneven subsampling.
    """
    plan = layout(data)
    if not plan.plain:
        return None
    with _LOCK, tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "before.jpg"), Path(folder, "after.jpg")
        before.write_bytes(_bare(data))
        try:
            file = jpeglib.read_dct(str(before))
            planes = [file.Y, file.Cb, file.Cr][: len(plan.factors)]
            tables = [file.get_component_qt(i) for i in range(len(planes))]
            _edit(planes, tables, plan, image, changed)
            file.qt = 0  # an int: leave the tables and the component ids as they are
            file.write_dct(str(after), flags=["OPTIMIZE_CODING"])
        except OSError:  # jpeglib's word for any trouble of libjpeg's
            return None
        return with_header(data, after.read_bytes(), exif, adobe=True)


def _edit(
    planes: Sequence[NDArray[np.int16]],
    tables: Sequence[NDArray[np.uint16]],
    plan: JpegLayout,
    image: Image,
    changed: BinaryMask,
) -> None:
    """Transform and quantise anew, in place, the blocks that ``changed`` touches."""
    box = bounding_box(changed)
    sy, sx = (8 * max(f[axis] for f in plan.factors) for axis in (0, 1))
    y0, x0 = box.y0 // sy * sy, box.x0 // sx * sx
    for i, (fy, fx) in enumerate(plan.factors):
        y, x = 8 * fy, 8 * fx
        part = planes[i][y0 // y : -(-box.y1 // y), x0 // x : -(-box.x1 // x)]
        where = slice(y0, y0 + part.shape[0] * y), slice(x0, x0 + part.shape[1] * x)
        weights, shift = _component(i, plan)
        _requantise(part, tables[i], (fy, fx), image[where], changed[where], weights, shift)


def _component(i: int, plan: JpegLayout) -> tuple[NDArray[np.float64], float]:
    """How RGB becomes component ``i``: weights, and what to take off."""
    if len(plan.factors) == 1:
        return _LUMA, 128.0
    return (_YCC[i], _YCC_SHIFT[i]) if plan.ycc else (np.eye(3)[i], 128.0)


def _requantise(
    plane: NDArray[np.int16],
    table: NDArray[np.uint16],
    factors: tuple[int, int],
    image: Image,
    changed: BinaryMask,
    weights: NDArray[np.float64],
    shift: float,
) -> None:
    """One component of ``_edit``: ``plane`` is (rows, columns, 8, 8), the others its pixels."""
    (fy, fx), (rows, columns) = factors, plane.shape[:2]
    # At the right and bottom edges blocks reach beyond the photo: its last pixels go on.
    gap = (0, rows * 8 * fy - image.shape[0]), (0, columns * 8 * fx - image.shape[1])
    shape = rows, 8, fy, columns, 8, fx
    new = np.pad(changed, gap, "edge").reshape(shape)
    pixels = np.pad(image, (*gap, (0, 0)), "edge").reshape(*shape, 3)
    strips = new.reshape(rows, 8 * fy, columns * 8 * fx).any(
        axis=1
    )  # along whole rows first: it is quicker
    ys, xs = np.nonzero(strips.reshape(rows, columns, 8 * fx).any(axis=2))
    for start in range(0, len(ys), _AT_ONCE):
        y, x = ys[start : start + _AT_ONCE], xs[start : start + _AT_ONCE]
        kept = _DCT.T @ (plane[y, x] * table.astype(np.float64)) @ _DCT
        fresh = (pixels[y, :, :, x] @ weights).mean(axis=(2, 4)) - shift
        samples = np.where(new[y, :, :, x].any(axis=(2, 4)), fresh, kept)
        steps = np.maximum(table, 1)  # a 0 is against the standard, and met
        plane[y, x] = np.rint(_DCT @ samples @ _DCT.T / steps).clip(-1023, 1023)


def touched_blocks(data: bytes, changed: BinaryMask) -> BinaryMask:
    """Where the file that ``spliced`` makes may decode differently from ``data``, (H, W) bool.

    Everywhere, if it cannot make one.
    """
    plan = layout(data)
    if not plan.plain:
        return np.ones_like(changed)
    region = np.zeros_like(changed)
    for fy, fx in set(plan.factors):
        blocks = _covered(_covered(changed, 8 * fy, 0), 8 * fx, 1)
        region |= _grown(_grown(blocks, fy // 2, 0), fx // 2, 1)
    return region


def _covered(bits: BinaryMask, side: int, axis: int) -> BinaryMask:
    """Every run of ``side`` along ``axis`` that holds a True, True all along."""
    starts = np.arange(0, bits.shape[axis], side)
    runs = np.logical_or.reduceat(bits, starts, axis=axis)
    return runs.repeat(side, axis=axis).take(np.arange(bits.shape[axis]), axis=axis)


def _grown(bits: BinaryMask, by: int, axis: int) -> BinaryMask:
    grown = bits.copy()
    line, out = np.moveaxis(bits, axis, 0), np.moveaxis(grown, axis, 0)
    for step in range(1, by + 1):
        out[step:] |= line[:-step]
        out[:-step] |= line[step:]
    return grown


def with_header(source: bytes, coded: bytes, exif: bytes, *, adobe: bool = False) -> bytes:
    """The picture of ``coded`` under the header of ``source``, with ``exif`` for its EXIF.

    Of the header, density (JFIF), colour profile and comments stay, and with ``adobe`` the
    word on the colour space. Whatever may hold the old picture goes: the JFIF thumbnail, XMP,
    Photoshop's resources with IPTC, the list of further pictures (MPF), C2PA.
    """
    before_scans = takewhile(lambda s: s.marker != _SOS, segments(source))
    header = [s for s in map(_kept, before_scans) if s and (adobe or s.marker != _APP14)]
    first = [s for s in header if s.marker == _APP0]
    rest = [s for s in header if s.marker != _APP0]
    pieces = exif_segments(exif)
    return b"".join([_SOI, *(s.coded for s in (*first, *pieces, *rest)), _bare(coded)[2:]])


def exif_segments(exif: bytes) -> list[JpegSegment]:
    """EXIF, beginning with ``Exif\\0\\0``, cut as writers cut what one segment cannot hold."""
    prefix, body = exif[:6], exif[6:]
    step = _LONGEST - 6
    return [JpegSegment(_APP1, prefix + body[i : i + step]) for i in range(0, len(body), step)]


def _kept(segment: JpegSegment) -> JpegSegment | None:
    """The header segment to write for one that was read, None if it is dropped."""
    marker, body, _ = segment
    if marker == _APP0 and body.startswith(b"JFIF\0"):
        return JpegSegment(marker, body[:12] + bytes(2))
    profile = marker == _APP2 and body.startswith(b"ICC_PROFILE\0")
    adobe = marker == _APP14 and body.startswith(b"Adobe")
    return segment if profile or adobe or marker == _COM else None


def _bare(data: bytes) -> bytes:
    """The file without APPn segments and comments, and without anything after the picture."""
    kept = (s.coded for s in segments(data) if not 0xE0 <= s.marker <= 0xEF and s.marker != _COM)
    return b"".join([_SOI, *kept, _EOI])
