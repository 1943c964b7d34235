"""Read a picture file into a ``Photo``."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np

from segment2inpaint.errors import BadImage
from segment2inpaint.images.decoder import DecodedFile, decode, one_line
from segment2inpaint.images.photo import Photo
from segment2inpaint.images.pixels import Pixels, read_only, to_8bit, to_upright

# Allows phone photos of 200 megapixels; 250 million pixels take 0.75 GB as RGB.
MAX_PIXELS = 250_000_000


def read(
    source: str | Path | bytes | BinaryIO, *, name: str = "", max_pixels: int = MAX_PIXELS
) -> Photo:
    """Read a photo from a path, from the bytes of a file, or from an open binary file.

    ``name`` is what error messages call it; the default is the path. The first picture of an MPO
    file is read as the JPEG it is. Palettes become RGB. Raises ``BadImage`` if the file is
    missing, larger than ``max_pixels``, damaged, animated, CMYK, has several pages, or is not a
    plain photo in another way.
    """
    data, name, path = _file_contents(source, name)
    file = decode(data, name, max_pixels)
    pixels = to_upright(file.pixels, file.orientation)
    colors = pixels[..., : 1 if pixels.shape[2] < 3 else 3]
    return Photo(
        image=read_only(np.repeat(to_8bit(colors), 3 // colors.shape[2], axis=2)),
        name=name,
        path=path,
        format=file.format,
        grey=colors.shape[2] == 1,
        alpha=read_only(pixels[..., -1]) if pixels.shape[2] in (2, 4) else None,
        pixels_16bit=read_only(colors) if pixels.dtype == np.uint16 else None,
        orientation=file.orientation,
        exif=file.exif,
        icc_profile=file.icc_profile,
        dpi=file.dpi,
        png_chunks=file.png_chunks,
        jpeg_file=data if file.format == "JPEG" else b"",
        xmp=file.xmp,
        geo_tags=file.geo_tags,
        palette_indices=_upright_indices(file),
        not_kept=file.not_kept,
    )


def _upright_indices(file: DecodedFile) -> Pixels | None:
    if file.palette_indices is None:
        return None
    return read_only(to_upright(file.palette_indices, file.orientation))


def _file_contents(
    source: str | Path | bytes | BinaryIO, name: str
) -> tuple[bytes, str, Path | None]:
    """Return the bytes of the file, its name for error messages, and its path if it has one."""
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source), name or "input", None
    if not isinstance(source, str | Path) and not hasattr(source, "read"):
        raise BadImage(
            f"expected a path, the bytes of a file or an open file, got {type(source).__name__}; "
            "pass pixels as an (H, W, 3) uint8 array to remove, replace or mask"
        )
    if not isinstance(source, str | Path):
        return source.read(), name or str(getattr(source, "name", "input")), None
    path, name = Path(source), name or str(source)
    return _path_contents(path, name), name, path


def _path_contents(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BadImage(f"{name}: no such file, expected a picture; check the path") from None
    except IsADirectoryError:
        raise BadImage(f"{name}: expected a picture, got a folder; give a file in it") from None
    except (OSError, ValueError) as error:
        raise BadImage(f"{name}: cannot be read ({one_line(error)}); check the path") from error
