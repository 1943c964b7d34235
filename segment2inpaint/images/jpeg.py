"""Edit a JPEG without a second loss: blocks without a changed pixel keep their DCT coefficients.

JPEG (ITU-T T.81) encodes each component in blocks of 8x8 samples. A subsampled chroma block
covers 16x16 pixels. Only blocks with a changed pixel are transformed and quantised again, with
the file's own tables. Even there, unchanged samples are the file's own, before clipping and
before chroma upsampling. Huffman codes are computed again, and a progressive file becomes
sequential; neither changes a pixel.

Decoders that smooth upsampled chroma ("fancy upsampling" in libjpeg and libjpeg-turbo) take a
quarter of a chroma sample from its neighbour. Therefore the row or column of pixels next to a
changed chroma block (1 px at 4:2:0 and 4:2:2) may decode differently too. A file without
subsampling has no such margin. ``touched_blocks`` returns the exact region.

All arrays are in the file's orientation. jpeglib reads and writes the coefficients. It works on
files and has global state in C, hence the temporary folder and the lock.
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
_FRAME_HEADERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15
_HUFFMAN_FRAMES = {0xC0, 0xC1, 0xC2}  # baseline, extended, progressive
_STANDALONE_MARKERS = {0x01, *range(0xD0, 0xD9)}  # without a segment
_MARKER = re.compile(rb"\xff+[^\x00\xff]")
_SCAN_END = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")  # any marker but a restart
_XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
_MAX_SEGMENT_BODY = 65533  # bytes
_BLOCKS_PER_BATCH = 4096  # blocks transformed together; limits the memory
_JPEGLIB_LOCK = threading.Lock()

# From RGB to the samples of Y, Cb and Cr, and what to subtract from them: JFIF 1.02 (ITU-R
# BT.601, full range) and the level shift of JPEG.
_LUMA = np.array([0.299, 0.587, 0.114])
_YCC = np.array([_LUMA, [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
_YCC_SHIFT = (128.0, 0.0, 0.0)


def _dct_matrix() -> NDArray[np.float64]:
    """Return the orthonormal 8-point DCT-II, (frequency, sample)."""
    k, n = np.mgrid[:8, :8]
    matrix: NDArray[np.float64] = np.cos((2 * n + 1) * k * np.pi / 16) / 2
    matrix[0] /= np.sqrt(2)
    return matrix


_DCT = _dct_matrix()


class JpegSegment(NamedTuple):
    """A segment: its marker, its body, and after the header of a scan, the entropy-coded data."""

    marker: int
    body: bytes
    scan: bytes = b""

    @property
    def encoded(self) -> bytes:
        """The bytes of the segment in a file."""
        return struct.pack(">BBH", 0xFF, self.marker, len(self.body) + 2) + self.body + self.scan


class JpegLayout(NamedTuple):
    """The properties of a JPEG that its headers state.

    ``factors`` are the pixels per sample of each component, (y, x), at least 1. ``is_ycc`` is True
    for luma and chroma, False for RGB. ``editable`` tells whether ``splice`` supports the file.
    """

    factors: tuple[tuple[int, int], ...]
    is_ycc: bool
    editable: bool


def segments(data: bytes) -> Iterator[JpegSegment]:
    """Yield the segments of the first picture in ``data``.

    Stray bytes between segments are skipped, as libjpeg does.
    """
    position = len(_SOI)
    while match := _MARKER.search(data, position):
        marker, start = data[match.end() - 1], match.end()
        position = start
        if marker == _EOI[1] or start + 2 > len(data):
            return
        if marker in _STANDALONE_MARKERS:
            continue
        stop = position = start + struct.unpack_from(">H", data, start)[0]
        if marker == _SOS:
            next_marker = _SCAN_END.search(data, stop)
            position = next_marker.start() if next_marker else len(data)
        yield JpegSegment(marker, data[start + 2 : stop], data[stop:position])


def read_layout(data: bytes) -> JpegLayout:
    """Read the headers of a JPEG file. Raises ``ValueError`` without a valid frame header."""
    adobe_transform, has_jfif = None, False
    for marker, body, _ in segments(data):
        has_jfif = has_jfif or (marker == _APP0 and body.startswith(b"JFIF\0"))
        if marker == _APP14 and body.startswith(b"Adobe") and len(body) >= 12:
            adobe_transform = body[11]
        if marker in _FRAME_HEADERS:
            return _frame_layout(marker, body, has_jfif, adobe_transform)
    raise ValueError("no JPEG frame header")


def _frame_layout(
    marker: int, body: bytes, has_jfif: bool, adobe_transform: int | None
) -> JpegLayout:
    count = body[5] if len(body) > 5 else 0
    components = [body[6 + 3 * i : 9 + 3 * i] for i in range(count)]
    if not components or len(components[-1]) < 3:
        raise ValueError("broken JPEG frame header")
    sampling = [(part[1] & 15, part[1] >> 4) for part in components]  # vertical, horizontal
    if count == 1:
        sampling = [(1, 1)]  # a single component is never subsampled, whatever its header says
    top_v, top_h = max(v for v, _ in sampling), max(h for _, h in sampling)
    even = all(v and h and top_v % v == 0 and top_h % h == 0 for v, h in sampling)
    # libjpeg's rules to tell RGB from YCbCr.
    ids = bytes(part[0] for part in components)
    is_ycc = has_jfif or (ids != b"RGB" if adobe_transform is None else adobe_transform != 0)
    editable = marker in _HUFFMAN_FRAMES and body[0] == 8 and count in (1, 3) and even
    factors = tuple((top_v // v, top_h // h) for v, h in sampling) if even else ()
    return JpegLayout(factors, is_ycc, editable)


def splice(
    data: bytes, image: Image, changed: BinaryMask, exif: bytes, xmp: bytes = b""
) -> bytes | None:
    """Return the file ``data`` with the pixels of ``image`` where ``changed`` is True.

    ``image`` is ``(H, W, 3)`` uint8 RGB, ``changed`` is ``(H, W)`` bool. ``exif`` and
    ``xmp`` replace the file's own. Returns None if the coefficients cannot be edited: with
    arithmetic coding, four components or uneven subsampling. Raises ``ValueError`` without a
    valid frame header.
    """
    layout = read_layout(data)
    if not layout.editable:
        return None
    with _JPEGLIB_LOCK, tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "before.jpg"), Path(folder, "after.jpg")
        before.write_bytes(_without_metadata(data))
        try:
            file = jpeglib.read_dct(str(before))
            planes = [file.Y, file.Cb, file.Cr][: len(layout.factors)]
            tables = [file.get_component_qt(i) for i in range(len(planes))]
            _edit_coefficients(planes, tables, layout, image, changed)
            file.qt = 0  # an int keeps the tables and the component ids of the file
            file.write_dct(str(after), flags=["OPTIMIZE_CODING"])
        except OSError:  # jpeglib raises it for every error of libjpeg
            return None
        return with_header(data, after.read_bytes(), exif, xmp, adobe=True)


def _edit_coefficients(
    planes: Sequence[NDArray[np.int16]],
    tables: Sequence[NDArray[np.uint16]],
    layout: JpegLayout,
    image: Image,
    changed: BinaryMask,
) -> None:
    """Transform and quantise, in place, the blocks with a changed pixel."""
    box = bounding_box(changed)
    step_y, step_x = (8 * max(f[axis] for f in layout.factors) for axis in (0, 1))
    y0, x0 = box.y0 // step_y * step_y, box.x0 // step_x * step_x
    for i, (fy, fx) in enumerate(layout.factors):
        height, width = 8 * fy, 8 * fx  # of a block, in pixels
        blocks = planes[i][y0 // height : -(-box.y1 // height), x0 // width : -(-box.x1 // width)]
        rows, columns = blocks.shape[:2]
        part = slice(y0, y0 + rows * height), slice(x0, x0 + columns * width)
        weights, shift = _component_weights(i, layout)
        _requantise(blocks, tables[i], (fy, fx), image[part], changed[part], weights, shift)


def _component_weights(i: int, layout: JpegLayout) -> tuple[NDArray[np.float64], float]:
    """Return the weights of R, G and B in component ``i``, and what to subtract from the sum."""
    if len(layout.factors) == 1:
        return _LUMA, 128.0
    return (_YCC[i], _YCC_SHIFT[i]) if layout.is_ycc else (np.eye(3)[i], 128.0)


def _requantise(
    blocks: NDArray[np.int16],
    table: NDArray[np.uint16],
    factors: tuple[int, int],
    image: Image,
    changed: BinaryMask,
    weights: NDArray[np.float64],
    shift: float,
) -> None:
    """Edit the blocks of one component, (rows, columns, 8, 8), in place.

    ``image`` and ``changed`` are the pixels that the blocks cover.
    """
    (fy, fx), (rows, columns) = factors, blocks.shape[:2]
    # Blocks at the right and bottom edges reach beyond the photo, whose last pixels are repeated.
    gap = (0, rows * 8 * fy - image.shape[0]), (0, columns * 8 * fx - image.shape[1])
    shape = rows, 8, fy, columns, 8, fx
    new = np.pad(changed, gap, "edge").reshape(shape)
    pixels = np.pad(image, (*gap, (0, 0)), "edge").reshape(*shape, 3)
    strips = new.reshape(rows, 8 * fy, columns * 8 * fx).any(axis=1)  # faster than both axes
    ys, xs = np.nonzero(strips.reshape(rows, columns, 8 * fx).any(axis=2))
    for start in range(0, len(ys), _BLOCKS_PER_BATCH):
        y, x = ys[start : start + _BLOCKS_PER_BATCH], xs[start : start + _BLOCKS_PER_BATCH]
        old = _DCT.T @ (blocks[y, x] * table.astype(np.float64)) @ _DCT
        fresh = (pixels[y, :, :, x] @ weights).mean(axis=(2, 4)) - shift
        samples = np.where(new[y, :, :, x].any(axis=(2, 4)), fresh, old)
        steps = np.maximum(table, 1)  # some files have a 0, against the standard
        blocks[y, x] = np.rint(_DCT @ samples @ _DCT.T / steps).clip(-1023, 1023)


def touched_blocks(data: bytes, changed: BinaryMask) -> BinaryMask:
    """Return the pixels where the file from ``splice`` may decode differently, (H, W) bool.

    All pixels, if ``splice`` does not support the file.
    """
    layout = read_layout(data)
    if not layout.editable:
        return np.ones_like(changed)
    region = np.zeros_like(changed)
    for fy, fx in set(layout.factors):
        blocks = _fill_blocks(_fill_blocks(changed, 8 * fy, 0), 8 * fx, 1)
        region |= _dilate(_dilate(blocks, fy // 2, 0), fx // 2, 1)
    return region


def _fill_blocks(mask: BinaryMask, side: int, axis: int) -> BinaryMask:
    """Set each run of ``side`` pixels along ``axis`` to True if one of them is True."""
    starts = np.arange(0, mask.shape[axis], side)
    runs = np.logical_or.reduceat(mask, starts, axis=axis)
    return runs.repeat(side, axis=axis).take(np.arange(mask.shape[axis]), axis=axis)


def _dilate(mask: BinaryMask, by: int, axis: int) -> BinaryMask:
    """Grow the mask by ``by`` pixels along one axis."""
    dilated = mask.copy()
    source, target = np.moveaxis(mask, axis, 0), np.moveaxis(dilated, axis, 0)
    for step in range(1, by + 1):
        target[step:] |= source[:-step]
        target[:-step] |= source[step:]
    return dilated


def with_header(
    source: bytes, encoded: bytes, exif: bytes, xmp: bytes = b"", *, adobe: bool = False
) -> bytes:
    """Return the picture of the file ``encoded`` with the header of ``source``, EXIF and XMP.

    The header keeps the density (JFIF), the colour profile and comments, and with ``adobe`` the
    segment that states the colour space. Segments that may contain the old picture are dropped:
    the JFIF thumbnail, other XMP, Photoshop resources with IPTC, further pictures (MPF), C2PA.
    """
    before_scans = takewhile(lambda s: s.marker != _SOS, segments(source))
    header = [s for s in map(_header_segment, before_scans) if s and (adobe or s.marker != _APP14)]
    jfif = [s for s in header if s.marker == _APP0]  # must come first
    others = [s for s in header if s.marker != _APP0]
    packet = [JpegSegment(_APP1, _XMP_PREFIX + xmp)] if xmp else []
    header = [*jfif, *exif_segments(exif), *packet, *others]
    return b"".join([_SOI, *(s.encoded for s in header), _without_metadata(encoded)[2:]])


def exif_segments(exif: bytes) -> list[JpegSegment]:
    """Split EXIF, beginning with ``Exif\\0\\0``, into as many segments as it needs."""
    prefix, body = exif[:6], exif[6:]
    step = _MAX_SEGMENT_BODY - 6
    return [JpegSegment(_APP1, prefix + body[i : i + step]) for i in range(0, len(body), step)]


def _header_segment(segment: JpegSegment) -> JpegSegment | None:
    """Return the header segment to write for one that was read; None if it is dropped."""
    marker, body, _ = segment
    if marker == _APP0 and body.startswith(b"JFIF\0"):
        return JpegSegment(marker, body[:12] + bytes(2))
    is_profile = marker == _APP2 and body.startswith(b"ICC_PROFILE\0")
    is_adobe = marker == _APP14 and body.startswith(b"Adobe")
    return segment if is_profile or is_adobe or marker == _COM else None


def _without_metadata(data: bytes) -> bytes:
    """Drop APPn segments and comments, and everything after the first picture."""
    kept = (s.encoded for s in segments(data) if not 0xE0 <= s.marker <= 0xEF and s.marker != _COM)
    return b"".join([_SOI, *kept, _EOI])
