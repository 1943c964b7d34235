"""What all routes share."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, runtime_checkable
from urllib.parse import quote

from fastapi import Response

from segment2inpaint import images
from segment2inpaint.editor import Editor
from segment2inpaint.errors import Segment2InpaintError
from segment2inpaint.images import Photo
from segment2inpaint.protocols import ProgressCallback
from segment2inpaint.types import Image, Points, Request
from segment2inpaint.web import tiles
from segment2inpaint.web.jobs import EditJob, JobQueue, LatestOnlyExecutor
from segment2inpaint.web.limits import Limits
from segment2inpaint.web.session import PhotoSession, SessionStore

T = TypeVar("T")

SKETCH = 320  # px
KEEP = {"cache-control": "private, max-age=86400, immutable"}  # of what an id always means
SUFFIX = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "TIFF": "tif", "BMP": "bmp", "AVIF": "avif"}
MIME = {"JPEG": "image/jpeg", "TIFF": "image/tiff", "BMP": "image/bmp", "AVIF": "image/avif"}


@runtime_checkable
class SupportsPrepare(Protocol):
    """A detector that can do before a click what does not depend on it."""

    def prepare(self, images: Sequence[Image]) -> None: ...


@dataclass(eq=False)
class AppState:
    """The editor, and the photos and the work of its clients."""

    editor: Editor
    limits: Limits
    store: SessionStore = field(init=False)
    looks: LatestOnlyExecutor = field(init=False)
    files: LatestOnlyExecutor = field(init=False)
    jobs: JobQueue = field(init=False)
    downloads: JobQueue = field(init=False)

    def __post_init__(self) -> None:
        self.store = SessionStore(self.limits)
        self.looks = LatestOnlyExecutor(self.limits.waiting)
        self.files = LatestOnlyExecutor(
            self.limits.waiting
        )  # whole pictures: few at a time, they are large
        self.jobs = JobQueue(self.limits.queue)
        self.downloads = JobQueue(self.limits.queue)
        self.editor.on_preview = self._sketched

    def _sketched(self, crops: Sequence[Image]) -> None:
        """Let the page see how far a diffusion model is, in the first of its windows."""
        if self.jobs.current and crops:
            self.jobs.current.show(tiles.picture(crops[0], SKETCH))

    def read(self, data: bytes, name: str) -> Photo:
        """A photo out of an upload. Raises ``BadImage``."""
        return images.read(data, name=name, max_pixels=self.limits.pixels)

    def prepare(self, desk: PhotoSession) -> None:
        """Let a network look at the photo before it is clicked; nothing for other detectors."""
        click = Request((Points(((0, 0),)),))
        with suppress(Segment2InpaintError):  # a click will tell
            detector = self.editor.detector(self.editor.resolve(click, paint=False).detector)
            if isinstance(detector, SupportsPrepare):
                detector.prepare([desk.photo.image])

    def edit(self, desk: PhotoSession, work: Callable[[ProgressCallback], str]) -> EditJob:
        """A job on a photo, which stays on the server as long."""

        def held(progress: ProgressCallback) -> str:
            desk.busy += 1
            try:
                return work(progress)
            finally:
                desk.busy -= 1
                self.store.evict_idle()

        return self.jobs.start(desk.id, held)

    def close(self) -> None:
        for line in (self.looks, self.files, self.jobs, self.downloads):
            line.close()


def file_of(data: bytes, kind: str, name: str) -> Response:
    """A picture to save, under this name and the suffix of its format."""
    media = MIME.get(kind, f"image/{kind.lower()}")
    whole = f"{name}.{SUFFIX[kind]}"
    plain = re.sub(r"[^\w.()+ -]", "_", whole, flags=re.ASCII)
    named = f'attachment; filename="{plain}"'
    if plain != whole:  # RFC 6266: for all but the oldest clients
        named += f"; filename*=UTF-8''{quote(whole, safe='')}"
    headers = {**KEEP, "content-disposition": named}
    return Response(data, media_type=media, headers=headers)


def kind_of(photo: Photo) -> str:
    """The format of its results: its own, or PNG for a GIF."""
    return "PNG" if photo.format == "GIF" else photo.format


def result_stem(photo: Photo) -> str:
    """What a result's file is called, without the suffix: a_out for a.jpg, then a_out2, a_out3."""
    whole = stem(photo.name)
    begun = re.fullmatch(r"(.+_out)(\d*)", whole)
    return f"{begun[1]}{int(begun[2] or 1) + 1}" if begun else f"{whole}_out"


def stem(name: str) -> str:
    """A file's name without its suffix."""
    return name.rpartition(".")[0] or name
