"""The states of a photo between the stages of a run: loaded, edited or failed."""

from __future__ import annotations

from dataclasses import dataclass

from segment2inpaint.dataset.manifest_rows import EditStep, InputVersions
from segment2inpaint.dataset.request_json import RejectedItem
from segment2inpaint.dataset.run_types import PhotoJob
from segment2inpaint.errors import Segment2InpaintError
from segment2inpaint.images import Photo
from segment2inpaint.result import Result
from segment2inpaint.types import Alpha, Image


@dataclass(frozen=True, eq=False)
class LoadedPhoto:
    """A photo whose files have been read.

    ``data`` is the photo's file, ``photo`` its pixels, or None if the photo is only copied.
    ``steps`` are its requests with the items of each, ``inputs`` the versions of all files,
    ``seconds`` the time that reading took, ``notes`` what its masks were taken for, ``rejected``
    the items that do not fit the photo.
    """

    job: PhotoJob
    data: bytes
    photo: Photo | None
    steps: tuple[EditStep, ...]
    inputs: InputVersions
    seconds: float
    notes: tuple[str, ...] = ()
    rejected: tuple[RejectedItem, ...] = ()


@dataclass(frozen=True, eq=False)
class FailedPhoto:
    """A photo that failed at any stage.

    ``error`` is one line. ``traceback`` is set for unexpected errors. ``copy_data`` is the photo's
    file if the object was not found in it, so that the photo may be copied; else it is empty.
    """

    job: PhotoJob
    error: str
    inputs: InputVersions
    traceback: str = ""
    copy_data: bytes = b""


@dataclass(frozen=True, eq=False)
class EditedPhoto:
    """An edited photo.

    ``image`` is ``(H, W, 3)`` uint8 RGB, ``alpha`` is ``(H, W)`` float32 in [0, 1], the union of
    the repainted regions. ``results`` has one result per step, and is empty if the photo is only
    copied. ``seconds`` is the time that editing took.
    """

    loaded: LoadedPhoto
    image: Image
    alpha: Alpha
    results: tuple[Result, ...] = ()
    seconds: float = 0.0


class AbortRun(Exception):
    """No photo of the run can be processed; ``error`` says why."""

    def __init__(self, error: Segment2InpaintError) -> None:
        super().__init__(error)
        self.error = error
