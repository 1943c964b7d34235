"""Read the size of a picture from its header, without decoding its pixels."""

from __future__ import annotations

from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

from PIL import Image as Pillow
from PIL.TiffImagePlugin import IMAGELENGTH, IMAGEWIDTH, TiffImageFile

from segment2inpaint.errors import BadImage
from segment2inpaint.images import exif
from segment2inpaint.images.decoder import DECODE_ERRORS, is_upright, one_line, open_header

_ORIENTATION = 0x0112  # the EXIF tag


class PictureHeader(NamedTuple):
    """The upright size, (height, width), and the EXIF orientation, 1 to 8, of a picture file."""

    size: tuple[int, int]
    orientation: int


def read_header(source: str | Path | bytes | BinaryIO, *, name: str = "") -> PictureHeader:
    """Return the upright size of a picture and its orientation.

    Raises ``BadImage`` if the file is missing, or not a picture that can be read.
    """
    name = name or (str(source) if isinstance(source, str | Path) else "input")
    with ExitStack() as stack:
        file: BinaryIO
        if isinstance(source, bytes):
            file = BytesIO(source)
        elif isinstance(source, str | Path):
            file = stack.enter_context(_open(Path(source), name))
        else:
            file = source
        picture = stack.enter_context(open_header(file, name))
        try:
            return _header(picture)
        except DECODE_ERRORS as error:
            raise BadImage(
                f"{name}: its header is damaged ({one_line(error)}); fetch the file again"
            ) from error


def _open(path: Path, name: str) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise BadImage(
            f"{name}: cannot be read ({error.strerror}), expected a picture; check the path"
        ) from error


def _header(picture: Pillow.Image) -> PictureHeader:
    width, height = picture.size
    orientation = 1
    if isinstance(picture, TiffImageFile):  # whose size Pillow may have turned already
        tags = picture.tag_v2
        width, height = int(tags[IMAGEWIDTH]), int(tags[IMAGELENGTH])
        orientation = int(tags.get(_ORIENTATION, 1))
    elif not is_upright(picture):
        orientation = exif.orientation(picture.info.get("exif") or b"")
    orientation = orientation if 1 <= orientation <= 8 else 1
    size = (width, height) if orientation >= 5 else (height, width)
    return PictureHeader(size, orientation)
