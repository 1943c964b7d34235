"""Routes for jobs and results: start, follow and cancel jobs, show and download results."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, BackgroundTasks, Query, Response
from fastapi.responses import StreamingResponse

from segment2inpaint import images
from segment2inpaint.judgement import Check
from segment2inpaint.protocols import ProgressCallback
from segment2inpaint.request import to_json
from segment2inpaint.result import Candidate, Result
from segment2inpaint.types import Request
from segment2inpaint.web import contours, requests, tiles
from segment2inpaint.web.app_state import (
    FILE_SUFFIXES,
    IMMUTABLE,
    AppState,
    file_response,
    output_format,
    result_stem,
)
from segment2inpaint.web.jobs import EditJob, JobQueue
from segment2inpaint.web.request_builder import build_request, self_contained
from segment2inpaint.web.responses import (
    CandidateOut,
    CheckOut,
    ErrorDetail,
    JobOut,
    PhotoOut,
    ResultOut,
)
from segment2inpaint.web.result_files import encode_result, find_patch, zip_results
from segment2inpaint.web.routes_photos import (
    BINARY,
    CandidateIndex,
    Id,
    TileIndex,
    TileLevel,
    describe_photo,
    tile_response,
)
from segment2inpaint.web.session import (
    NotFound,
    PhotoSession,
    ResultPatch,
    StoredResult,
    file_stem,
)

CHECK_PICTURE_SIDE = 900  # px
THUMBNAIL_SIDE = 320  # px
ZIP_NAME = "photos.zip"
MIN_THUMBNAIL_MARGIN = 32  # px of the photo around the changed part

Format = Literal["JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF", "HEIF", "JXL"]
Seconds = Annotated[float, Query(ge=0, le=25, description="maximum wait for a change")]
Quality = Annotated[int, Query(ge=1, le=100)]


def create_router(state: AppState) -> APIRouter:
    """Return the routes for jobs and results."""
    router = APIRouter(tags=["results"])
    sessions, jobs = state.sessions, state.jobs

    @router.post("/photos/{photo}/jobs", status_code=202)
    def start_job(photo: Id, query: requests.RequestIn) -> JobOut:
        """Start to remove the objects of a request, or to replace them if ``fill`` says so."""
        session = sessions.get(photo)
        request = build_request(session, query.to_dict())
        job = state.start_edit(session, lambda progress: _run(state, session, request, progress))
        return describe_job(jobs, job)

    @router.get("/jobs/{job}")
    async def show_job(job: Id, wait: Seconds = 0) -> JobOut:
        """Describe the status of a job. With ``wait``, answer as soon as it changes."""
        queue = _queue_of(state, job)
        await queue.wait(queue.get(job), wait)
        return describe_job(queue, queue.get(job))

    @router.get("/jobs/{job}/sketch", response_class=BINARY)
    def show_sketch(job: Id) -> Response:
        """Download the newest preview of an unfinished picture, as a small JPEG.

        Only diffusion models give previews; ``sketches`` of the job counts them.
        """
        sketch = jobs.get(job).sketch
        if not sketch:
            raise NotFound("no sketch of that job")
        return Response(sketch, media_type="image/jpeg", headers={"cache-control": "no-store"})

    @router.delete("/jobs/{job}")
    def cancel_job(job: Id) -> JobOut:
        """Cancel a job. The next job starts when the work of this one stops at its next step."""
        queue = _queue_of(state, job)
        return describe_job(queue, queue.cancel(job))

    @router.get("/results/{result}")
    def show_result(result: Id) -> ResultOut:
        """Return the report on a result."""
        return _describe_result(sessions.find_by_result(result), result)

    @router.get("/results/{result}/tiles/{level}/{column}/{row}", response_class=BINARY)
    def result_tile(
        result: Id,
        level: TileLevel,
        column: TileIndex,
        row: TileIndex,
        candidate: CandidateIndex = 0,
    ) -> Response:
        """Download a tile of the result, like a tile of a photo."""
        session = sessions.find_by_result(result)
        return tile_response(session, find_patch(session, result, candidate), level, column, row)

    @router.get("/results/{result}/file", response_class=BINARY)
    async def download_result(
        result: Id,
        candidate: CandidateIndex = 0,
        format: Format | None = None,
        quality: Quality | None = None,
    ) -> Response:
        """Download the result, the same file that the command line writes.

        The default ``format`` is that of the photo.
        """
        session = sessions.find_by_result(result)
        written = format or output_format(session.photo)
        patch = find_patch(session, result, candidate)
        data = await state.file_executor.run(
            lambda: encode_result(session, patch, written, quality)
        )
        return file_response(data, written, result_stem(session.photo))

    @router.post("/results/zip", response_class=BINARY)
    async def download_zip(query: requests.ZipIn) -> Response:
        """Download many results as a zip: their files, named as the photos, and ``verdicts.csv``.

        The columns of ``verdicts.csv`` are file, verdict and sentence.
        """
        chosen = [(item.result, item.candidate) for item in query.results]
        for result_id, candidate in chosen:
            find_patch(sessions.find_by_result(result_id), result_id, candidate)
        pieces = zip_results(sessions, chosen)

        async def stream() -> AsyncIterator[bytes]:
            while piece := await state.file_executor.run(lambda: next(pieces, b"")):
                yield piece

        headers = {"content-disposition": f'attachment; filename="{ZIP_NAME}"'}
        return StreamingResponse(stream(), media_type="application/zip", headers=headers)

    @router.get("/results/{result}/mask", response_class=BINARY)
    async def download_changed_mask(result: Id, candidate: CandidateIndex = 0) -> Response:
        """Download the alpha of the changed pixels as PNG."""
        session = sessions.find_by_result(result)
        patch = find_patch(session, result, candidate)
        data = await state.file_executor.run(
            lambda: images.encode_mask(patch.apply(session.photo)[1])
        )
        return file_response(data, "PNG", f"{file_stem(session.photo.name)}_changed")

    @router.get("/results/{result}/preview", response_class=BINARY)
    def show_preview(result: Id, candidate: CandidateIndex = 0) -> Response:
        """Download the changed part and some of its surroundings, as a small JPEG."""
        session = sessions.find_by_result(result)
        data = _thumbnail(session, find_patch(session, result, candidate))
        return Response(data, media_type="image/jpeg", headers=IMMUTABLE)

    @router.get("/results/{result}/checks/{name}", response_class=BINARY)
    def show_check(result: Id, name: str, candidate: CandidateIndex = 0) -> Response:
        """Download the picture of a check that is in doubt or the reason, the fault in red."""
        stored = sessions.find_by_result(result).get_result(result)
        picture = stored.check_pictures.get(f"{candidate} {name}")
        if picture is None:
            raise NotFound("no picture of that check")
        return Response(picture, media_type="image/jpeg")

    @router.post("/results/{result}/continue", status_code=201)
    async def continue_from_result(
        result: Id, background: BackgroundTasks, candidate: CandidateIndex = 0
    ) -> PhotoOut:
        """Open the result as a new photo, to keep editing it."""
        session = sessions.find_by_result(result)
        patch = find_patch(session, result, candidate)
        photo = await state.file_executor.run(lambda: _result_photo(state, session, patch))
        new_session = sessions.add(photo)
        background.add_task(state.prepare, new_session)
        return describe_photo(new_session)

    return router


def _queue_of(state: AppState, job_id: str) -> JobQueue:
    """Return the queue that has the job. Raises ``NotFound``."""
    try:
        state.jobs.get(job_id)
    except NotFound:
        state.downloads.get(job_id)
        return state.downloads
    return state.jobs


def describe_job(queue: JobQueue, job: EditJob) -> JobOut:
    error = ErrorDetail(**job.error) if job.error else None
    stage = "ending" if job.state == "queued" and queue.is_cancelling else job.stage
    return JobOut(
        id=job.id, photo=job.photo, state=job.state, place=queue.count_ahead(job), stage=stage,
        share=round(job.stage_progress, 3), sketches=job.sketches, result=job.result, error=error,
    )  # fmt: skip


def _run(
    state: AppState, session: PhotoSession, request: Request, progress: ProgressCallback
) -> str:
    result = state.editor.run(session.photo, request, progress)
    progress("check", 1.0)  # raises Cancelled if the job was cancelled meanwhile
    return session.add_result(_stored_result(result, request))


def _stored_result(result: Result, request: Request) -> StoredResult:
    candidates = result.candidates
    patches = tuple(ResultPatch.crop(c.image, c.alpha) for c in candidates)
    reports = tuple(
        _describe_candidate(candidate, patch).model_dump()
        for candidate, patch in zip(candidates, patches, strict=True)
    )
    check_pictures = {
        f"{index} {check.name}": tiles.encode_thumbnail(check.picture, CHECK_PICTURE_SIDE)
        for index, candidate in enumerate(candidates)
        for check in candidate.checks
        if _is_shown(check, candidate)
    }
    summary = {
        "changed_outside": result.changed_outside,
        "seconds": dict(result.seconds),
        "attempts": [dict(attempt) for attempt in result.attempts],
        "action": result.action.to_json() if result.action else None,
        "request": to_json(self_contained(request)),
    }
    return StoredResult(patches, reports, summary, check_pictures)


def _describe_candidate(candidate: Candidate, patch: ResultPatch) -> CandidateOut:
    return CandidateOut(
        **(candidate.judgement.to_json() if candidate.judgement else {}),
        checks=[describe_check(c, picture=_is_shown(c, candidate)) for c in candidate.checks],
        settings=dict(candidate.settings),
        box=list(patch.box),
        paths=contours.find_contours(patch.alpha > 0, patch.box[:2]),
        changed=int((patch.alpha > 0).sum()),
    )


def _is_shown(check: Check, candidate: Candidate) -> bool:
    """Return whether the page may show the place of a check."""
    return check.doubtful or (
        candidate.judgement is not None and check is candidate.judgement.reason
    )


def describe_check(check: Check, *, picture: bool) -> CheckOut:
    """Return a check for the API; ``picture`` says whether it has one."""
    return CheckOut(
        name=check.name, score=round(check.score, 3), threshold=check.threshold,
        failed=check.failed, doubtful=check.doubtful, sentence=check.sentence,
        picture=picture,
    )  # fmt: skip


def _describe_result(session: PhotoSession, result_id: str) -> ResultOut:
    stored = session.get_result(result_id)
    return ResultOut(
        id=result_id, photo=session.id, file=result_stem(session.photo),
        candidates=[CandidateOut(**report) for report in stored.reports], **stored.summary,
    )  # fmt: skip


def _thumbnail(session: PhotoSession, patch: ResultPatch) -> bytes:
    margin = max(MIN_THUMBNAIL_MARGIN, max(patch.box.width, patch.box.height) // 2)
    window = patch.box.expand(margin, session.photo.size)
    pixels = tiles.paste_patch(session.photo.image[window.slices], window, patch)
    return tiles.encode_thumbnail(pixels, THUMBNAIL_SIDE)


def _result_photo(state: AppState, session: PhotoSession, patch: ResultPatch) -> images.Photo:
    """Return the photo that a second command would read from the result's file."""
    format = output_format(session.photo)
    data = encode_result(session, patch, format)
    name = f"{result_stem(session.photo)}.{FILE_SUFFIXES[format]}"
    return replace(state.read(data, name), path=None)
