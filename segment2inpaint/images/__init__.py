"""Read picture files into a ``Photo`` and write them back.

Everything that knows about picture formats is in this package. Pixels are used as stored: no
colour profile is applied, the profile is only copied. Writing keeps what the photo was: format,
size, orientation, greyscale, alpha, 16 bits (PNG, TIFF), colour profile, dpi, EXIF and comments,
and every pixel where the edit's alpha is 0. Three exceptions to the last point:

* JPEG: blocks without a changed pixel keep their coefficients, see ``images.jpeg``.
* AVIF where OpenCV cannot write it: at quality 100, other pixels move by 0 to 3 levels.
* ``quality`` asks for a lossy file, and then the whole picture is encoded again.

Some metadata is never written, because it may show what was removed: EXIF thumbnails and other
JPEGs inside EXIF, XMP except the projection of a panorama, IPTC, Photoshop resources, further
pictures in the file (MPO, motion photos, gain maps, TIFF sub-images) and C2PA. ``not_kept`` names
what a file loses.
"""

from __future__ import annotations

from segment2inpaint.images.atomic_write import check_target, write_bytes
from segment2inpaint.images.decoder import formats
from segment2inpaint.images.header import PictureHeader, read_header
from segment2inpaint.images.mask_files import (
    encode_mask,
    mask_of_picture,
    read_mask,
    write_mask,
)
from segment2inpaint.images.photo import Photo, photo_from_array, with_opacity
from segment2inpaint.images.plugins import plugin_format
from segment2inpaint.images.read_back import FileChanges, changes_outside, file_changes
from segment2inpaint.images.reading import MAX_PIXELS, read
from segment2inpaint.images.writing import (
    check_format,
    edited_pixels,
    encode,
    format_of,
    has_photo_suffix,
    not_kept,
    touched_blocks,
    write,
)

__all__ = [
    "MAX_PIXELS",
    "FileChanges",
    "Photo",
    "PictureHeader",
    "changes_outside",
    "check_format",
    "check_target",
    "edited_pixels",
    "encode",
    "encode_mask",
    "file_changes",
    "format_of",
    "formats",
    "has_photo_suffix",
    "mask_of_picture",
    "not_kept",
    "photo_from_array",
    "plugin_format",
    "read",
    "read_header",
    "read_mask",
    "touched_blocks",
    "with_opacity",
    "write",
    "write_bytes",
    "write_mask",
]
