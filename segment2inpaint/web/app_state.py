"""The state that all routes share, and the names and headers of files that clients download."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import quote

from fastapi import Response

from segment2inpaint import images
from segment2inpaint.editor import Editor
from segment2inpaint.errors import Segment2InpaintError
from segment2inpaint.images import Photo
from segment2inpaint.protocols import ProgressCallback, SupportsPrepare
from segment2inpaint.types import Image, Points, Request
from segment2inpaint.web import tiles
from segment2inpaint.web.jobs import EditJob, JobQueue, LatestOnlyExecutor
from segment2inpaint.web.limits import Limits
from segment2inpaint.web.session import PhotoSession, SessionStore, file_stem

SKETCH_SIDE = 320  # px, longer side of the preview of a running diffusion job
IMMUTABLE = {"cache-control": "private, max-age=86400, immutable"}  # an id never changes content
FILE_SUFFIXES = {
    "JPEG": "jpg", "PNG": "png", "WEBP": "webp", "TIFF": "tif", "BMP": "bmp", "AVIF": "avif",
    "HEIF": "heic", "JXL": "jxl",
}  # fmt: skip


@dataclass(eq=False)
class AppState:
    """The editor, the photo sessions and the workers of one server.

    ``detect_executor`` runs the quick calls that find objects, ``hover_executor`` those that
    preview them, and ``file_executor`` reads and writes whole photos, few at a time because they
    are large. ``jobs`` runs removals and replacements, and ``downloads`` fetches models.
    """

    editor: Editor
    limits: Limits
    sessions: SessionStore = field(init=False)
    detect_executor: LatestOnlyExecutor = field(init=False)
    hover_executor: LatestOnlyExecutor = field(init=False)
    file_executor: LatestOnlyExecutor = field(init=False)
    jobs: JobQueue = field(init=False)
    downloads: JobQueue = field(init=False)

    def __post_init__(self) -> None:
        self.sessions = SessionStore(self.limits)
        self.detect_executor = LatestOnlyExecutor(self.limits.waiting)
        self.hover_executor = LatestOnlyExecutor(self.limits.waiting, threads=1)
        self.file_executor = LatestOnlyExecutor(self.limits.waiting)
        self.jobs = JobQueue(self.limits.queue)
        self.downloads = JobQueue(self.limits.queue)
        self.editor.on_preview = self._store_sketch

    def _store_sketch(self, crops: Sequence[Image]) -> None:
        """Attach the first crop of a running diffusion model to the current job."""
        if self.jobs.current and crops:
            self.jobs.current.set_sketch(tiles.encode_thumbnail(crops[0], SKETCH_SIDE))

    def read(self, data: bytes, name: str) -> Photo:
        """Return the photo of an uploaded file. Raises ``BadImage``."""
        return images.read(data, name=name, max_pixels=self.limits.pixels)

    def prepare(self, session: PhotoSession) -> None:
        """Compute the photo's embedding before the first click, if the detector uses one."""
        click = Request((Points(((0, 0),)),))
        with suppress(Segment2InpaintError):  # the first click reports the error
            name = self.editor.resolve(click, paint=False).detector
            detector = self.editor.detector(name)
            if isinstance(detector, SupportsPrepare):
                detector.prepare([session.photo.image])
                session.prepared.update(("auto", name))

    def start_edit(self, session: PhotoSession, work: Callable[[ProgressCallback], str]) -> EditJob:
        """Queue a job on a photo. The photo is not dropped while the job runs."""

        def run(progress: ProgressCallback) -> str:
            session.running_jobs += 1
            try:
                return work(progress)
            finally:
                session.running_jobs -= 1
                self.sessions.evict_idle()

        return self.jobs.start(session.id, run)

    def close(self) -> None:
        for executor in (self.detect_executor, self.hover_executor, self.file_executor):
            executor.close()
        for queue in (self.jobs, self.downloads):
            queue.close()


def file_response(data: bytes, format: str, stem: str) -> Response:
    """Return a picture as a download, named ``stem`` and the suffix of its format."""
    name = f"{stem}.{FILE_SUFFIXES[format]}"
    ascii_name = re.sub(r"[^\w.()+ -]", "_", name, flags=re.ASCII)
    disposition = f'attachment; filename="{ascii_name}"'
    if ascii_name != name:  # RFC 6266: all but the oldest clients prefer filename*
        disposition += f"; filename*=UTF-8''{quote(name, safe='')}"
    headers = {**IMMUTABLE, "content-disposition": disposition}
    return Response(data, media_type=f"image/{format.lower()}", headers=headers)


def output_format(photo: Photo) -> str:
    """Return the format of the photo's results: its own, or PNG for a GIF."""
    return "PNG" if photo.format == "GIF" else photo.format


def result_stem(photo: Photo) -> str:
    """Return a result's file name without its suffix: a_out for a.jpg, then a_out2, a_out3."""
    stem = file_stem(photo.name)
    match = re.fullmatch(r"(.+_out)(\d*)", stem)
    return f"{match[1]}{int(match[2] or 1) + 1}" if match else f"{stem}_out"
