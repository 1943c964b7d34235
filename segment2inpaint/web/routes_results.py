"""Jobs, and what comes of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, BackgroundTasks, Query, Response

from segment2inpaint import images
from segment2inpaint.errors import BadOption
from segment2inpaint.protocols import ProgressCallback
from segment2inpaint.request import to_json
from segment2inpaint.types import Candidate, Check, Request, Result
from segment2inpaint.web import requests, tiles
from segment2inpaint.web.app_state import (
    KEEP,
    SUFFIX,
    AppState,
    file_of,
    kind_of,
    result_stem,
    stem,
)
from segment2inpaint.web.jobs import EditJob, JobQueue
from segment2inpaint.web.request_builder import build, portable
from segment2inpaint.web.responses import (
    CandidateOut,
    CheckOut,
    ErrorDetail,
    JobOut,
    PhotoOut,
    ResultOut,
)
from segment2inpaint.web.routes_photos import (
    PICTURE,
    Id,
    Level,
    Number,
    Which,
    about,
    grey_png,
    tile_of,
)
from segment2inpaint.web.session import NotFound, PhotoSession, ResultPatch, StoredResult

SHOWN = 900  # px of a check's picture
THUMBNAIL = 320  # px

Format = Literal["JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF"]
Seconds = Annotated[float, Query(ge=0, le=25, description="to wait for news, at most")]
Quality = Annotated[int, Query(ge=1, le=100)]


def routes(served: AppState) -> APIRouter:
    """Start, watch, cancel; see and take away."""
    router = APIRouter(tags=["results"])
    store, jobs = served.store, served.jobs

    @router.post("/photos/{photo}/jobs", status_code=202)
    def start(photo: Id, what: requests.RequestIn) -> JobOut:
        """Remove what the request points at, or replace it if ``fill`` says by what."""
        desk = store.get(photo)
        made = build(desk, what.plain())
        return job_out(jobs, served.edit(desk, lambda progress: _run(served, desk, made, progress)))

    @router.get("/jobs/{job}")
    async def show(job: Id, wait: Seconds = 0) -> JobOut:
        """How a job stands; with ``wait``, as soon as that changes."""
        line = _line(served, job)
        await line.wait(line.get(job), wait)
        return job_out(line, line.get(job))

    @router.get("/jobs/{job}/sketch", response_class=PICTURE)
    def sketch(job: Id) -> Response:
        """What a diffusion model has painted so far, small, as JPEG; there are ``sketches``."""
        shown = served.jobs.get(job).sketch
        if not shown:
            raise NotFound("no sketch of that job")
        return Response(shown, media_type="image/jpeg", headers={"cache-control": "no-store"})

    @router.delete("/jobs/{job}")
    def cancel(job: Id) -> JobOut:
        """End a job at once. Its work stops at its next step, for which the next job waits."""
        line = _line(served, job)
        return job_out(line, line.cancel(job))

    @router.get("/results/{result}")
    def report(result: Id) -> ResultOut:
        """All that is known of a result."""
        desk = store.owner(result)
        return _told(desk, result)

    @router.get("/results/{result}/tiles/{level}/{column}/{row}", response_class=PICTURE)
    def tile(
        result: Id, level: Level, column: Number, row: Number, candidate: Which = 0
    ) -> Response:
        """A tile of the result; see those of photos."""
        desk = store.owner(result)
        return tile_of(desk, _patch(desk, result, candidate), level, column, row)

    @router.get("/results/{result}/file", response_class=PICTURE)
    async def file(
        result: Id,
        candidate: Which = 0,
        format: Format | None = None,
        quality: Quality | None = None,
    ) -> Response:
        """The result as a file, as the command line writes it; in the photo's own format."""
        desk = store.owner(result)
        kind = format or kind_of(desk.photo)
        patch = _patch(desk, result, candidate)
        data = await served.files.run(lambda: _encoded(desk, patch, kind, quality))
        return file_of(data, kind, result_stem(desk.photo))

    @router.get("/results/{result}/mask", response_class=PICTURE)
    async def mask(result: Id, candidate: Which = 0) -> Response:
        """The alpha of what was changed, as PNG."""
        desk = store.owner(result)
        patch = _patch(desk, result, candidate)
        data = await served.files.run(lambda: grey_png(patch.over(desk.photo)[1]))
        return file_of(data, "PNG", f"{stem(desk.photo.name)}_changed")

    @router.get("/results/{result}/preview", response_class=PICTURE)
    def preview(result: Id, candidate: Which = 0) -> Response:
        """What was changed and some of what is round it, small, as JPEG."""
        desk = store.owner(result)
        data = _preview(desk, _patch(desk, result, candidate))
        return Response(data, media_type="image/jpeg", headers=KEEP)

    @router.get("/results/{result}/checks/{name}", response_class=PICTURE)
    def check(result: Id, name: str, candidate: Which = 0) -> Response:
        """Where a check saw its fault, in red."""
        shown = store.owner(result).result(result).overlays.get(f"{candidate} {name}")
        if shown is None:
            raise NotFound("no picture of that check")
        return Response(shown, media_type="image/jpeg")

    @router.post("/results/{result}/continue", status_code=201)
    async def go_on(result: Id, beside: BackgroundTasks, candidate: Which = 0) -> PhotoOut:
        """A new photo out of the result, to go on with."""
        desk = store.owner(result)
        patch = _patch(desk, result, candidate)
        photo = await served.files.run(lambda: _taken_up(served, desk, patch))
        new = store.add(photo)
        beside.add_task(served.prepare, new)
        return about(new)

    return router


def _line(served: AppState, job: str) -> JobQueue:
    """The queue that has the job. Raises ``Gone``."""
    try:
        served.jobs.get(job)
    except NotFound:
        served.downloads.get(job)
        return served.downloads
    return served.jobs


def job_out(line: JobQueue, job: EditJob) -> JobOut:
    error = ErrorDetail(**job.error) if job.error else None
    stage = "ending" if job.state == "queued" and line.ending else job.stage
    return JobOut(
        id=job.id, photo=job.photo, state=job.state, place=line.place(job), stage=stage,
        share=round(job.share, 3), sketches=job.sketches, result=job.result, error=error,
    )  # fmt: skip


def _run(served: AppState, desk: PhotoSession, made: Request, progress: ProgressCallback) -> str:
    result = served.editor.run(desk.photo, made, progress)
    progress("check", 1.0)  # raises if nobody wants it any more
    return desk.keep_made(_kept(result, made))


def _kept(result: Result, made: Request) -> StoredResult:
    whole = {
        "changed_outside": result.changed_outside,
        "seconds": dict(result.seconds),
        "attempts": [dict(attempt) for attempt in result.attempts],
        "request": to_json(portable(made)),
    }
    patches = tuple(ResultPatch.of(one.image, one.alpha) for one in result.candidates)
    reports = [
        _candidate(one, patch).model_dump()
        for one, patch in zip(result.candidates, patches, strict=True)
    ]
    overlays = {
        f"{number} {check.name}": tiles.picture(check.picture, SHOWN)
        for number, one in enumerate(result.candidates)
        for check in one.checks
        if check.doubtful
    }
    return StoredResult(patches, tuple(reports), whole, overlays)


def _candidate(one: Candidate, patch: ResultPatch) -> CandidateOut:
    return CandidateOut(
        verdict=one.verdict,
        checks=[_check(check) for check in one.checks],
        settings=dict(one.settings),
        box=list(patch.box),
        changed=int((patch.alpha > 0).sum()),
    )


def _check(check: Check) -> CheckOut:
    return CheckOut(
        name=check.name, score=round(check.score, 3), threshold=check.threshold,
        failed=check.failed, sentence=check.sentence,
        picture=check.doubtful,
    )  # fmt: skip


def _told(desk: PhotoSession, name: str) -> ResultOut:
    made = desk.result(name)
    candidates = [CandidateOut(**report) for report in made.reports]
    told: dict[str, Any] = dict(made.whole)
    return ResultOut(
        id=name, photo=desk.id, file=result_stem(desk.photo), candidates=candidates, **told
    )


def _patch(desk: PhotoSession, name: str, candidate: int) -> ResultPatch:
    patches = desk.result(name).patches
    if candidate >= len(patches):
        raise NotFound(f"candidate {candidate}: there are {len(patches)}, numbered from 0")
    return patches[candidate]


def _preview(desk: PhotoSession, patch: ResultPatch) -> bytes:
    side = max(patch.box.width, patch.box.height)
    around = patch.box.grown(max(32, side // 2), desk.photo.size)
    return tiles.picture(tiles.pasted(desk.photo.image[around.slices], around, patch), THUMBNAIL)


def _encoded(desk: PhotoSession, patch: ResultPatch, kind: str, quality: int | None) -> bytes:
    if kind not in images.formats():
        raise BadOption(f"cannot write {kind} here, expected {', '.join(images.formats())}")
    image, alpha = patch.over(desk.photo)
    return images.encode(desk.photo, image, alpha, format=kind, quality=quality)


def _taken_up(served: AppState, desk: PhotoSession, patch: ResultPatch) -> images.Photo:
    """What reading the result's file would give: the same as a second command would see."""
    kind = kind_of(desk.photo)
    data = _encoded(desk, patch, kind, None)
    name = f"{result_stem(desk.photo)}.{SUFFIX[kind]}"
    return replace(served.read(data, name), path=None)
