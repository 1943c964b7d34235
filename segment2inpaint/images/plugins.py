"""Formats that need an optional package: HEIC and HEIF, and JPEG XL.

A package is imported when a file of its format is read or written, and not before.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from importlib.util import find_spec
from typing import NamedTuple

from segment2inpaint.errors import BadImage
from segment2inpaint.extras import install_command


class Plugin(NamedTuple):
    """The package that reads and writes a format, and the extra of this project that has it."""

    module: str
    extra: str
    title: str


PLUGINS = {
    "HEIF": Plugin("pillow_heif", "heif", "HEIC"),
    "JXL": Plugin("pillow_jxl", "jxl", "JPEG XL"),
}
_HEIF_BRANDS = {
    b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"
}  # fmt: skip
_AVIF_BRANDS = {b"avif", b"avis"}
_JXL_STARTS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")


def plugin_format(data: bytes) -> str:
    """Return the format of a file that needs a plugin, ``HEIF`` or ``JXL``; else empty."""
    if data.startswith(_JXL_STARTS):
        return "JXL"
    if data[4:8] != b"ftyp":
        return ""
    box = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
    brands = {box[:4], *(box[i : i + 4] for i in range(8, len(box), 4))}
    return "HEIF" if brands & _HEIF_BRANDS and not brands & _AVIF_BRANDS else ""


@lru_cache
def is_installed(kind: str) -> bool:
    """Return whether the package for this format is installed; it is not imported."""
    return find_spec(PLUGINS[kind].module) is not None


def missing(kind: str) -> str:
    """Return what to do without the package for this format."""
    plugin = PLUGINS[kind]
    return (
        f"{plugin.title} needs one more package; run: "
        f"{install_command(plugin.extra)}, or convert it to JPEG or PNG"
    )


@lru_cache
def register(kind: str) -> None:
    """Let Pillow read and write this format. Raises ``BadImage`` without the package."""
    try:
        module = importlib.import_module(PLUGINS[kind].module)
    except ImportError as error:
        raise BadImage(missing(kind)) from error
    if kind == "HEIF":
        module.register_heif_opener(thumbnails=False, depth_images=False)
    else:
        importlib.import_module("pillow_jxl.JpegXLImagePlugin")
