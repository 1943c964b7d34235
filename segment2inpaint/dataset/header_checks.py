"""Check the items of a source against the headers of their photos, without decoding pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from segment2inpaint import images
from segment2inpaint.dataset import request_json, spelling, storage
from segment2inpaint.dataset.declared_size import PhotoFrame, fit_item
from segment2inpaint.dataset.formats.registry import Source
from segment2inpaint.dataset.inputs import read_input
from segment2inpaint.dataset.run_types import EditItem, InvalidRow
from segment2inpaint.editor import ignore_message
from segment2inpaint.errors import BadDataset, Segment2InpaintError


@dataclass(frozen=True)
class HeaderCheckedSource:
    """A source whose items that do not fit the sizes of their files are invalid rows.

    ``resize_mask`` allows masks of another size than the photo.
    """

    source: Source
    resize_mask: bool = False

    @property
    def kind(self) -> str:
        return self.source.kind

    @property
    def path(self) -> str:
        return self.source.path

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """Yield the items of the source, or why they do not fit their photo."""
        for item in self.source.items():
            fault = self._find_fault(item) if isinstance(item, EditItem) else ""
            yield InvalidRow(item.where, fault) if fault else item

    def remaining_annotations(self, removed_ids: set[str]) -> Iterator[tuple[str, bytes]]:
        return self.source.remaining_annotations(removed_ids)

    def _find_fault(self, item: EditItem) -> str:
        """Return why an item does not fit its photo; the plan reports missing files itself."""
        if item.request is None or not _is_there(item.photo):
            return ""
        try:
            frame = PhotoFrame(*picture_header(item.photo))
            fitted = fit_item(item, frame, ignore_message)
            request_json.check_places(fitted.request or {}, frame)
            if not self.resize_mask:
                _check_files(item, frame)
        except Segment2InpaintError as error:
            return str(error)
        except request_json.INVALID_VALUE_ERRORS:
            return ""
        return ""


def _check_files(item: EditItem, frame: PhotoFrame) -> None:
    """Raise ``BadDataset`` for a mask or clean plate of another size than the photo."""
    for prompt in (item.request or {}).get("prompts", ()):
        for kind in ("mask", "plate"):
            name = prompt.get(kind)
            if not isinstance(name, str) or not _is_there(name):
                continue
            size = picture_header(name).size
            if size != frame.size and not (kind == "mask" and size == frame.stored_size):
                raise BadDataset(
                    f"{name}: expected the size of the photo, {frame}, got {size[1]}x{size[0]}; "
                    "scale it, or use --resize-mask"
                )


def _is_there(name: str) -> bool:
    return not storage.find_missing([name]) or bool(spelling.find(name))


@lru_cache(8)
def picture_header(name: str) -> images.PictureHeader:
    """Return the header of a photo or mask. Raises ``BadImage``."""
    if storage.containing_file(name) != name:
        return images.read_header(read_input(name), name=name)
    with storage.errors_as_bad_image(name):
        if storage.is_remote(name):
            with storage.open_stream(name) as stream:
                return images.read_header(stream, name=name)
        missing = storage.find_missing([name])
        return images.read_header(spelling.find(name) if missing else name, name=name)
