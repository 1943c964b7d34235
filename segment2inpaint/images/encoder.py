"""Encode stored pixels and their metadata as the bytes of a picture file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import JpegImagePlugin, PngImagePlugin, features

from segment2inpaint.images import avif, jpeg, plugins, sixteen_bit
from segment2inpaint.images.pixels import Pixels

_PNG_COMPRESS_LEVEL = 3  # zlib level: a third of the time of Pillow's default 6, 5 % more bytes
_JPEG_QUALITY = 95  # for a photo that was not a JPEG


@dataclass(frozen=True)
class FileMetadata:
    """The metadata of a file; ``images.Photo`` explains the fields."""

    exif: bytes = b""
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    png_chunks: tuple[tuple[bytes, bytes], ...] = ()
    jpeg_file: bytes = b""
    xmp: bytes = b""
    geo_tags: tuple[tuple[int, int, Any], ...] = ()

    def save_options(self, *, grey: bool) -> dict[str, Any]:
        """Return the options for Pillow's ``save``; a grey profile is left out for RGB pixels."""
        profile = self.icc_profile
        if profile and not grey and profile[16:20] == b"GRAY":
            profile = None
        options = {
            "exif": self.exif, "icc_profile": profile, "dpi": self.dpi, "xmp": self.xmp
        }  # fmt: skip
        return {name: value for name, value in options.items() if value}


Encoder = Callable[[Pixels, FileMetadata, int | None], bytes]


def encoders() -> dict[str, Encoder]:
    """Return the encoder of each format.

    An encoder takes pixels, (H, W, 1 to 4), the metadata and a quality, and returns the bytes of
    the file. Only PNG and TIFF accept uint16 pixels. Encoders raise Pillow's errors and
    ``ValueError``.
    """
    known: dict[str, Encoder] = {
        "JPEG": _encode_jpeg, "PNG": _encode_png, "WEBP": _encode_webp,
        "TIFF": _encode_tiff, "BMP": _encode_bmp,
    }  # fmt: skip
    if features.check("avif"):
        known["AVIF"] = _encode_avif
    with_plugin: dict[str, Encoder] = {"HEIF": _encode_heif, "JXL": _encode_jxl}
    return known | {k: encode for k, encode in with_plugin.items() if plugins.is_installed(k)}


def _save(pixels: Pixels, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    flat = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    mode = ["L", "LA", "RGB", "RGBA"][pixels.shape[2] - 1]
    height, width = pixels.shape[:2]
    picture = Pillow.frombuffer(mode, (width, height), np.ascontiguousarray(flat).tobytes())
    picture.save(file, kind, **options)
    return file.getvalue()


def _encode_png(pixels: Pixels, metadata: FileMetadata, quality: int | None) -> bytes:
    options = metadata.save_options(grey=pixels.shape[2] < 3)
    options["pnginfo"] = PngImagePlugin.PngInfo()
    if packet := options.pop("xmp", b""):
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", packet.decode())
    for name, body in metadata.png_chunks:
        options["pnginfo"].add(name, body)
    if pixels.dtype == np.uint16:
        return sixteen_bit.encode_png(pixels, **options)
    return _save(pixels, "PNG", compress_level=_PNG_COMPRESS_LEVEL, **options)


def _encode_tiff(pixels: Pixels, metadata: FileMetadata, quality: int | None) -> bytes:
    options = metadata.save_options(grey=pixels.shape[2] < 3)
    return sixteen_bit.encode_tiff(pixels, geo_tags=metadata.geo_tags, **options)


def _encode_webp(pixels: Pixels, metadata: FileMetadata, quality: int | None) -> bytes:
    options = metadata.save_options(grey=False)  # WebP has no grey
    if quality is None:  # Pillow's quality is effort if lossless; exact keeps colours at alpha 0
        return _save(pixels, "WEBP", lossless=True, exact=True, method=0, quality=50, **options)
    return _save(pixels, "WEBP", exact=True, quality=quality, **options)


def _encode_avif(pixels: Pixels, metadata: FileMetadata, quality: int | None) -> bytes:
    grey = pixels.shape[2] == 1
    if quality is None and pixels.shape[2] >= 3 and avif.can_write_lossless():
        return avif.encode_lossless(
            pixels, metadata.exif, metadata.icc_profile or b"", metadata.xmp
        )
    sampling = "4:0:0" if grey else "4:4:4" if quality is None else "4:2:0"
    options = metadata.save_options(grey=grey)
    return _save(pixels, "AVIF", quality=quality or 100, subsampling=sampling, speed=8, **options)


def _encode_bmp(pixels: Pixels, metadata: FileMetadata, quality: int | None) -> bytes:
    options = metadata.save_options(grey=True)
    return _save(_without_alpha(pixels), "BMP", **{k: v for k, v in options.items() if k == "dpi"})


def _encode_jpeg(pixels: Pixels, metadata: FileMetadata, quality: int | None) -> bytes:
    pixels = _without_alpha(pixels)
    if metadata.jpeg_file:
        options = _options_of_jpeg(metadata.jpeg_file, quality)
        encoded = _save(pixels, "JPEG", **options)
        return jpeg.with_header(metadata.jpeg_file, encoded, metadata.exif, metadata.xmp)
    quality = quality or _JPEG_QUALITY
    options = {"quality": quality, "subsampling": "4:4:4" if quality >= 90 else "4:2:0"}
    return _save(pixels, "JPEG", **options, **metadata.save_options(grey=pixels.shape[2] == 1))


def _encode_heif(pixels: Pixels, metadata: FileMetadata, quality: int | None) -> bytes:
    """Encode as HEIC: lossless without ``quality``, and then not as RGB converted to luma."""
    plugins.register("HEIF")
    options = metadata.save_options(grey=pixels.shape[2] < 3)
    options.pop("dpi", None)
    if quality is not None:
        return _save(pixels, "HEIF", quality=quality, **options)
    rgb = {"matrix_coefficients": 0} if pixels.shape[2] >= 3 else {}
    return _save(pixels, "HEIF", quality=-1, chroma=444, **rgb, **options)


def _encode_jxl(pixels: Pixels, metadata: FileMetadata, quality: int | None) -> bytes:
    """Encode as JPEG XL. The plugin writes no colour profile."""
    plugins.register("JXL")
    options = {k: v for k, v in metadata.save_options(grey=True).items() if k in ("exif", "xmp")}
    if quality is None:
        return _save(pixels, "JXL", lossless=True, effort=3, **options)
    return _save(pixels, "JXL", quality=quality, **options)


def _options_of_jpeg(data: bytes, quality: int | None) -> dict[str, Any]:
    """Return Pillow's options that repeat the tables, subsampling and scans of a JPEG file."""
    with Pillow.open(BytesIO(data), formats=["JPEG"]) as original:
        assert isinstance(original, JpegImagePlugin.JpegImageFile)
        tables = {"quality": quality} if quality else {"qtables": original.quantization}
        sampling = JpegImagePlugin.get_sampling(original)
        scans = {"progressive": True} if original.info.get("progressive") else {}
    return {**tables, **scans, "subsampling": sampling}


def _without_alpha(pixels: Pixels) -> Pixels:
    """Drop the alpha channel. Raises ``ValueError`` if a pixel is transparent."""
    if pixels.shape[2] in (1, 3):
        return pixels
    if pixels[..., -1].min() < np.iinfo(pixels.dtype).max:
        raise ValueError("it cannot hold the photo's transparency; write .png, .webp or .tif")
    return pixels[..., :-1]
