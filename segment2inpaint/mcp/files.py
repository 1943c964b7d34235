"""The files that the server may read and write: those below its roots, and data in the call."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image as Pillow

from segment2inpaint import images
from segment2inpaint.errors import BadImage, BadOption
from segment2inpaint.images import Photo
from segment2inpaint.types import Alpha, BinaryMask, Image

DATA_PREFIX = "data:"
MAX_DATA = 100_000_000  # characters of base64 in a call
PREVIEW_SIDE = 768  # px, long side of the pictures in an answer


@dataclass(frozen=True)
class Files:
    """The folders below which the server reads and writes; the first is the default for results."""

    roots: tuple[Path, ...]

    def resolve(self, name: str) -> Path:
        """Return the path of a name, relative to the first root; links are followed.

        Raises ``BadOption`` for a path outside the roots.
        """
        try:
            path = (self.roots[0] / Path(name).expanduser()).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise BadOption(f"{name[:80]!r}: not a path: {error}") from None
        if not any(path.is_relative_to(root) for root in self.roots):
            roots = ", ".join(map(str, self.roots))
            raise BadOption(f"{name}: outside the folders that this server may use ({roots})")
        return path

    def read_photo(self, source: str) -> Photo:
        """Return the photo in a file or in a data URL. Raises ``BadImage`` and ``BadOption``."""
        if source.startswith(DATA_PREFIX):
            return images.read(decode_data(source), name="photo")
        return images.read(self.resolve(source))

    def read_mask(self, source: str, photo: Photo) -> BinaryMask | Alpha:
        """Return the mask in a file or in a data URL, of the photo's size."""
        is_data = source.startswith(DATA_PREFIX)
        return images.read_mask(
            decode_data(source, "mask") if is_data else self.resolve(source),
            photo.size,
            name="mask" if is_data else source,
            orientation=photo.orientation,
        )

    def resolve_folder(self, name: str) -> Path:
        """Return the path of a folder of which nothing leads out of the roots.

        Raises ``BadOption`` for another path, and for a link to a place outside.
        """
        folder = self.resolve(name)
        for path in folder.rglob("*") if folder.is_dir() else ():
            if path.is_symlink():
                self.resolve(str(path))
        return folder

    def output(
        self, name: str | None, photo: Photo, end: str, *, overwrite: bool, suffix: str = ""
    ) -> Path:
        """Return the path of a result: ``name``, or a new one beside the photo.

        A new name is the photo's with ``end`` and, if ``suffix`` is given, another suffix.
        Raises ``BadOption`` for a path outside the roots, for the photo itself, and for a file
        that exists already unless ``overwrite``.
        """
        path = self.resolve(name) if name else self._free_name(photo, end, suffix)
        if photo.path and path == Path(photo.path).resolve():
            raise BadOption(f"{path}: is the photo itself; give another output")
        if path.exists() and not overwrite:
            raise BadOption(f"{path}: exists; give another output, or overwrite=true")
        return path

    def _free_name(self, photo: Photo, end: str, suffix: str) -> Path:
        """Return the photo's name with an end, and a number if that is taken."""
        source = Path(photo.name)
        folder = source.parent if source.is_absolute() else self.roots[0]
        for number in range(1, 1000):
            count = "" if number == 1 else str(number)
            path = folder / f"{source.stem}_{end}{count}{suffix or source.suffix or '.png'}"
            if not path.exists():
                return path
        raise BadOption(f"{folder}: too many results of {source.stem}; give an output")


def decode_data(source: str, name: str = "photo") -> bytes:
    """Return the bytes of a base64 data URL. Raises ``BadImage``."""
    if len(source) > MAX_DATA:
        raise BadImage(
            f"{name}: expected at most {MAX_DATA} characters of base64, got {len(source)}; "
            "give a path instead"
        )
    head, comma, body = source.partition(",")
    try:
        if not comma or not head.endswith(";base64"):
            raise ValueError("not base64")
        return base64.b64decode(body, validate=True)
    except (ValueError, binascii.Error):
        raise BadImage(
            f"{name}: expected data:image/TYPE;base64,DATA, got other text; give a path instead"
        ) from None


def preview(image: Image) -> bytes:
    """Return a JPEG of an ``(H, W, 3)`` uint8 RGB image, at most ``PREVIEW_SIDE`` px long."""
    picture = Pillow.fromarray(image)
    picture.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
