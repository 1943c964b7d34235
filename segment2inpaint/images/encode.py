"""Pixels as they are stored to the bytes of a file, with what goes beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import JpegImagePlugin, PngImagePlugin, features

from segment2inpaint.images import jpeg, sixteen_bit

Pixels = NDArray[Any]

_EFFORT = 3  # of zlib: a third of the time of Pillow's 6, 5 % more bytes
_QUALITY = 95  # of a JPEG that was none


@dataclass(frozen=True)
class FileMetadata:
    """What goes beside the pixels; see ``images.Photo`` for the names."""

    exif: bytes = b""
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    jpeg: bytes = b""  # the photo's file, if it was a JPEG

    def options(self, *, grey: bool) -> dict[str, Any]:
        """As Pillow wants them. A profile for grey pixels does not fit RGB ones."""
        fits = self.icc and (grey or self.icc[16:20] != b"GRAY")
        every = {"exif": self.exif, "icc_profile": self.icc if fits else None, "dpi": self.dpi}
        return {name: value for name, value in every.items() if value}


Encoder = Callable[[Pixels, FileMetadata, int | None], bytes]


def encoders() -> dict[str, Encoder]:
    """By format: (H, W, 1 to 4) pixels, what goes beside them, and a quality, to bytes.

    Only PNG and TIFF take 16 bits. They raise what Pillow raises, and ``ValueError``.
    """
    known: dict[str, Encoder] = {
        "JPEG": _jpeg, "PNG": _png, "WEBP": _webp, "TIFF": _tiff, "BMP": _bmp,
    }  # fmt: skip
    return {**known, "AVIF": _avif} if features.check("avif") else known


def _saved(pixels: Pixels, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    flat = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    mode = ["L", "LA", "RGB", "RGBA"][pixels.shape[2] - 1]
    height, width = pixels.shape[:2]
    picture = Pillow.frombuffer(mode, (width, height), np.ascontiguousarray(flat).tobytes())
    picture.save(file, kind, **options)
    return file.getvalue()


def _png(pixels: Pixels, notes: FileMetadata, quality: int | None) -> bytes:
    options = notes.options(grey=pixels.shape[2] < 3)
    options["pnginfo"] = PngImagePlugin.PngInfo()
    for name, body in notes.chunks:
        options["pnginfo"].add(name, body)
    if pixels.dtype == np.uint16:
        return sixteen_bit.png(pixels, **options)
    return _saved(pixels, "PNG", compress_level=_EFFORT, **options)


def _tiff(pixels: Pixels, notes: FileMetadata, quality: int | None) -> bytes:
    return sixteen_bit.tiff(pixels, **notes.options(grey=pixels.shape[2] < 3))


def _webp(pixels: Pixels, notes: FileMetadata, quality: int | None) -> bytes:
    options = notes.options(grey=False)  # WebP has no grey
    if quality is None:  # "quality" is then effort; exact: colours under alpha 0 stay
        return _saved(pixels, "WEBP", lossless=True, exact=True, method=0, quality=50, **options)
    return _saved(pixels, "WEBP", exact=True, quality=quality, **options)


def _avif(pixels: Pixels, notes: FileMetadata, quality: int | None) -> bytes:
    grey = pixels.shape[2] == 1
    sampling = "4:0:0" if grey else "4:4:4" if quality is None else "4:2:0"
    options = notes.options(grey=grey)
    return _saved(pixels, "AVIF", quality=quality or 100, subsampling=sampling, speed=8, **options)


def _bmp(pixels: Pixels, notes: FileMetadata, quality: int | None) -> bytes:
    options = notes.options(grey=True)
    return _saved(_opaque(pixels), "BMP", **{k: v for k, v in options.items() if k == "dpi"})


def _jpeg(pixels: Pixels, notes: FileMetadata, quality: int | None) -> bytes:
    pixels = _opaque(pixels)
    if notes.jpeg:
        options = _as_before(notes.jpeg, quality)
        return jpeg.with_header(notes.jpeg, _saved(pixels, "JPEG", **options), notes.exif)
    quality = quality or _QUALITY
    options = {"quality": quality, "subsampling": "4:4:4" if quality >= 90 else "4:2:0"}
    return _saved(pixels, "JPEG", **options, **notes.options(grey=pixels.shape[2] == 1))


def _as_before(data: bytes, quality: int | None) -> dict[str, Any]:
    """The tables, the subsampling and the scans of a JPEG, in Pillow's words."""
    with Pillow.open(BytesIO(data), formats=["JPEG"]) as before:
        assert isinstance(before, JpegImagePlugin.JpegImageFile)
        tables = {"quality": quality} if quality else {"qtables": before.quantization}
        sampling = JpegImagePlugin.get_sampling(before)
        scans = {"progressive": True} if before.info.get("progressive") else {}
    return {**tables, **scans, "subsampling": sampling}


def _opaque(pixels: Pixels) -> Pixels:
    """The colours alone. Raises ``ValueError`` if some of them are see-through."""
    if pixels.shape[2] in (1, 3):
        return pixels
    if pixels[..., -1].min() < np.iinfo(pixels.dtype).max:
        raise ValueError("it cannot hold the photo's transparency; write .png, .webp or .tif")
    return pixels[..., :-1]
