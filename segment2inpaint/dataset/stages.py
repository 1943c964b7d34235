"""The three stages of one photo for every kind of run: load, edit or find masks, write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from segment2inpaint.dataset import mask_photo, process_photo
from segment2inpaint.dataset.mask_photo import MaskedPhoto
from segment2inpaint.dataset.photo_states import EditedPhoto, FailedPhoto, LoadedPhoto
from segment2inpaint.dataset.run_types import Json, RunSettings
from segment2inpaint.editor import Editor

FinishedPhoto = EditedPhoto | MaskedPhoto | FailedPhoto


def process(
    photos: Iterable[LoadedPhoto | FailedPhoto], editor: Editor, settings: RunSettings
) -> Iterator[FinishedPhoto]:
    """Yield each photo edited, or with its masks if the run only finds them, in order.

    Raises ``AbortRun`` if a model is missing or damaged.
    """
    if settings.only_masks:
        return mask_photo.find_masks(photos, editor)
    return process_photo.edit_photos(photos, editor)


def write_results(photo: FinishedPhoto, settings: RunSettings) -> Json:
    """Write the results of a photo, and return its record.

    Raises ``AbortRun`` if the disk is full.
    """
    if settings.only_masks and not isinstance(photo, EditedPhoto):
        return mask_photo.write_results(photo, settings, settings.only_masks)
    assert not isinstance(photo, MaskedPhoto)
    return process_photo.write_results(photo, settings)
