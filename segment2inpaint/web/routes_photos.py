"""Routes for photos: open them, show their tiles, find objects and refine masks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from time import perf_counter
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, BackgroundTasks, Path, Query, Request, Response

from segment2inpaint import images, inpaint, masks, regions, types
from segment2inpaint.effects.shadow import AUTOMATIC_CERTAINTY, REQUESTED_CERTAINTY, Shadow
from segment2inpaint.errors import NothingFound, Segment2InpaintError
from segment2inpaint.protocols import SupportsPrepare
from segment2inpaint.request import to_json
from segment2inpaint.types import (
    BinaryMask,
    Detection,
    Length,
    Points,
    Refine,
    UserMask,
    bounding_box,
)
from segment2inpaint.web import contours, quick_preview, requests, sample_photo, tiles
from segment2inpaint.web.app_state import (
    FILE_SUFFIXES,
    IMMUTABLE,
    AppState,
    file_response,
    output_format,
    result_stem,
)
from segment2inpaint.web.command_line import format_command, format_replay_command
from segment2inpaint.web.distractions import find_distractions
from segment2inpaint.web.request_builder import build_request, safe_file_name, self_contained
from segment2inpaint.web.responses import (
    CommandOut,
    DistractionOut,
    FileOut,
    FindOut,
    HoverOut,
    ObjectOut,
    OutlineOut,
    PhotoOut,
)
from segment2inpaint.web.session import (
    NotFound,
    PackedMask,
    PhotoSession,
    ResultPatch,
    file_stem,
)

Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{22}$")]
FileName = Annotated[str, Query(max_length=300, description="the name of the file")]
KeepSeconds = Annotated[float, Query(ge=0, le=1e9)]
TileLevel = Annotated[int, Path(ge=0, le=tiles.MAX_LEVEL)]
TileIndex = Annotated[int, Path(ge=0, le=10_000)]
CandidateIndex = Annotated[
    int, Query(ge=0, le=31, description="index of the candidate; the best is 0")
]

BINARY = Response  # the response class of routes that return a picture
BINARY_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


def create_router(state: AppState) -> APIRouter:
    """Return the routes for photos."""
    router = APIRouter(tags=["photos"])
    sessions = state.sessions

    @router.post("/photos", status_code=201, openapi_extra=BINARY_BODY)
    async def open_photo(
        request: Request,
        background: BackgroundTasks,
        name: FileName = "photo",
        prepare: bool = True,
        keep: KeepSeconds = 0.0,
    ) -> PhotoOut:
        """Upload a photo. The body holds the bytes of its file.

        ``prepare`` computes its embedding, so that the first click is quick. If the server is
        full, it drops the photos that were not used for the longest time, but none that were used
        in the last ``keep`` seconds.
        """
        data = await request.body()
        photo = await state.file_executor.run(lambda: state.read(data, safe_file_name(name)))
        session = sessions.add(photo, keep)
        if prepare:
            background.add_task(state.prepare, session)
        return describe_photo(session)

    @router.post("/photos/sample", status_code=201)
    async def open_sample(background: BackgroundTasks) -> PhotoOut:
        """Open a drawn scene of a ball on a lawn, to try the page without a photo."""
        photo = await state.file_executor.run(
            lambda: state.read(sample_photo.draw_sample(), sample_photo.NAME)
        )
        session = sessions.add(photo)
        background.add_task(state.prepare, session)
        return describe_photo(session)

    @router.get("/photos/{photo}")
    def show_photo(photo: Id) -> PhotoOut:
        """Describe a photo."""
        return describe_photo(sessions.get(photo))

    @router.delete("/photos/{photo}", status_code=204)
    def delete_photo(photo: Id) -> None:
        """Delete a photo with its masks and results."""
        sessions.remove(photo)

    @router.get("/photos/{photo}/tiles/{level}/{column}/{row}", response_class=BINARY)
    def photo_tile(photo: Id, level: TileLevel, column: TileIndex, row: TileIndex) -> Response:
        """Download a tile of at most 512 x 512 px. A tile pixel is 2^level px of the photo."""
        return tile_response(sessions.get(photo), None, level, column, row)

    @router.post("/photos/{photo}/files", status_code=201, openapi_extra=BINARY_BODY)
    async def upload_file(
        photo: Id,
        request: Request,
        kind: Literal["mask", "plate", "picture"],
        name: FileName = "file",
        resize: bool = False,
    ) -> FileOut:
        """Upload a mask, a clean plate or a picture to insert into this photo.

        ``resize`` scales a mask to the photo's size.
        """
        session, data = sessions.get(photo), await request.body()
        return await state.file_executor.run(
            lambda: _store_file(state, session, kind, data, safe_file_name(name), resize)
        )

    @router.post("/photos/{photo}/find")
    async def find_objects(photo: Id, query: requests.FindIn) -> FindOut:
        """Find the objects at some prompts and store their masks."""
        session = sessions.get(photo)
        slot = f"{photo} {query.slot}" if query.slot else ""
        return await state.detect_executor.run(lambda: _find(state, session, query), slot)

    @router.post("/photos/{photo}/hover")
    async def preview_objects(photo: Id, query: requests.FindIn) -> HoverOut:
        """Show the objects that ``find`` would find, if that is quick. Nothing is stored."""
        session = sessions.get(photo)
        slot = f"{photo} {query.slot}" if query.slot else ""
        return await state.hover_executor.run(lambda: _hover(state, session, query), slot)

    @router.get("/photos/{photo}/distractions")
    async def list_distractions(photo: Id, request: Request) -> list[DistractionOut]:
        """Find things at the photo's edge that could go. Clicks of all pages come first."""
        session = sessions.get(photo)
        return await find_distractions(state, session, request.is_disconnected)

    @router.post("/photos/{photo}/outline")
    def outline_masks(photo: Id, query: requests.OutlineIn) -> OutlineOut:
        """Show which pixels would change for some masks and refine options."""
        return _outline(sessions.get(photo), query)

    @router.post("/photos/{photo}/rough", response_class=BINARY)
    def preview_fill(photo: Id, query: requests.OutlineIn) -> Response:
        """Download a quick, rough fill. The header x-box is the window that it covers."""
        return _preview_fill(state, sessions.get(photo), query)

    @router.post("/photos/{photo}/strokes")
    def draw_strokes(photo: Id, query: requests.StrokesIn) -> ObjectOut:
        """Draw strokes into a copy of a mask, or into an empty mask, and store the new mask."""
        return _draw_strokes(sessions.get(photo), query)

    @router.get("/photos/{photo}/masks/{mask}", response_class=BINARY)
    def download_mask(photo: Id, mask: Id) -> Response:
        """Download a stored mask as PNG; the object is white."""
        session = sessions.get(photo)
        detection = session.get_mask(mask).to_detection()
        soft = detection.alpha
        data = images.encode_mask(detection.mask if soft is None else soft)
        return file_response(data, "PNG", file_stem(session.mask_file_name(mask)))

    @router.post("/photos/{photo}/mask", response_class=BINARY)
    async def find_mask(photo: Id, query: requests.RequestIn) -> Response:
        """Download the mask of a request as PNG, not dilated or feathered unless it says so."""
        session = sessions.get(photo)
        data = await state.detect_executor.run(lambda: _find_mask(state, session, query.to_dict()))
        return file_response(data, "PNG", f"{file_stem(session.photo.name)}_mask")

    @router.post("/photos/{photo}/command")
    def format_as_command(
        photo: Id, query: requests.RequestIn, candidate: CandidateIndex = 0
    ) -> CommandOut:
        """Return the request as a shell command, and as data to save."""
        return _format_command(sessions.get(photo), query, candidate + 1)

    return router


def describe_photo(session: PhotoSession) -> PhotoOut:
    photo = session.photo
    bits = 16 if photo.pixels_16bit is not None else 8
    return PhotoOut(
        id=session.id, name=photo.name, width=photo.size[1], height=photo.size[0],
        format=photo.format, bits=bits, levels=tiles.top_level(photo.size),
        prepared=sorted(session.prepared),
    )  # fmt: skip


def tile_response(
    session: PhotoSession, patch: ResultPatch | None, level: int, column: int, row: int
) -> Response:
    """Return a tile of the photo with the patch pasted in. Raises ``NotFound`` outside it."""
    data = tiles.render_tile(session.photo, patch, level, column, row)
    if data is None:
        raise NotFound("no such tile: it is outside the photo")
    media_type = "image/jpeg" if session.photo.alpha is None else "image/webp"
    return Response(data, media_type=media_type, headers=IMMUTABLE)


def _store_file(
    state: AppState, session: PhotoSession, kind: str, data: bytes, name: str, resize: bool
) -> FileOut:
    notes: list[str] = []
    if kind == "mask":
        file_id = _store_mask(state, session, data, name, resize, notes.append)
    else:
        file_id = session.add_file(replace(state.read(data, name), path=None))
        state.sessions.evict_idle()
    return FileOut(id=file_id, name=name, note="; ".join(notes))


def _store_mask(
    state: AppState,
    session: PhotoSession,
    data: bytes,
    name: str,
    resize: bool,
    on_message: Callable[[str], None],
) -> str:
    state.read(data, name)  # raises BadImage for more pixels than the limit
    photo = session.photo
    values = images.read_mask(
        data, photo.size, name=name, orientation=photo.orientation, resize=resize,
        on_message=on_message,
    )  # fmt: skip
    mask = UserMask.from_values(values)
    if not mask.mask.any():
        raise NothingFound(f"{name}: the mask is empty, no pixel is above half")
    mask_id = session.add_mask(Detection(mask.mask, from_user=True, alpha=mask.alpha))
    session.mask_names[mask_id] = name
    return mask_id


def _find(state: AppState, session: PhotoSession, query: requests.FindIn) -> FindOut:
    start = perf_counter()
    request = _find_request(state, session, query)
    detections = state.editor.find_objects(session.photo, request)
    objects = [_store_object(session, detection) for detection in detections]
    only_clicks = all(isinstance(prompt, Points) for prompt in request.prompts)
    if only_clicks and isinstance(state.editor.detector(request.detector), SupportsPrepare):
        session.prepared.add(request.detector)  # it has computed the embedding
    return FindOut(
        objects=objects, detector=request.detector, seconds=round(perf_counter() - start, 3)
    )


def _find_request(state: AppState, session: PhotoSession, query: requests.FindIn) -> types.Request:
    data = query.model_dump(exclude_unset=True, exclude={"slot", "edge_refine"})
    request = build_request(session, data)
    request = replace(request, refine=Refine(edge_refine=query.edge_refine))
    return state.editor.resolve(request, paint=False)


def _hover(state: AppState, session: PhotoSession, query: requests.FindIn) -> HoverOut:
    """Return what a click would select. It yields to clicks and starts no encoder for a photo."""
    request = _find_request(state, session, query)
    if request.detector not in session.prepared or state.detect_executor.is_busy:
        return HoverOut(ready=False, paths=[])
    detections: list[Detection] = []
    with suppress(Segment2InpaintError):  # the click reports the error
        detections = state.editor.find_objects(session.photo, request)
    paths = [path for detection in detections for path in contours.mask_contours(detection.mask)]
    return HoverOut(ready=True, paths=paths)


def _store_object(session: PhotoSession, detection: Detection) -> ObjectOut:
    box = bounding_box(detection.mask)
    cropped = detection.mask[box.slices]
    return ObjectOut(
        mask=session.add_mask(detection), box=list(box), area=int(cropped.sum()),
        score=round(detection.score, 4), paths=contours.find_contours(cropped, (box.x0, box.y0)),
    )  # fmt: skip


def _feathered_mask(session: PhotoSession, query: requests.OutlineIn) -> contours.FeatheredMask:
    detections = [session.get_mask(mask_id).to_detection() for mask_id in query.masks]
    excluded = Points((), tuple((x, y) for x, y in query.exclude))
    dilate_factor = regions.REPLACE_DILATE_FACTOR if query.replace else 1.0
    refine = _refine(query.refine)
    return contours.feathered_mask(
        detections, [excluded], refine, dilate_factor, _shadows(session, query, refine)
    )


def _shadows(session: PhotoSession, query: requests.OutlineIn, refine: Refine) -> list[Shadow]:
    """Return the shadows of the masks' objects that may go with them."""
    if regions.keeps_shadows(
        refine, is_flat=query.flat, obscures=query.inpainter in inpaint.OBSCURERS,
        replaces=query.replace or query.picture,
    ):  # fmt: skip
        return []
    least = REQUESTED_CERTAINTY if refine.shadow else AUTOMATIC_CERTAINTY
    kept = [(x, y) for x, y in query.exclude]
    shadows = [session.find_shadow(mask_id).without(kept) for mask_id in query.masks]
    return [cast for cast in shadows if cast.certainty >= least]


def _refine(options: requests.RefineIn) -> Refine:
    values = options.model_dump(exclude={"protect"})  # outlines show the objects' masks
    lengths = {name: Length.parse(values[name]) for name in ("dilate", "feather")}
    return Refine(**{**values, **lengths})


def _outline(session: PhotoSession, query: requests.OutlineIn) -> OutlineOut:
    mask = _feathered_mask(session, query)
    return OutlineOut(
        paths=mask.outer_contours, solid=mask.solid_contours, dilate=round(mask.dilate, 1),
        feather=round(mask.feather, 1),
    )  # fmt: skip


def _preview_fill(state: AppState, session: PhotoSession, query: requests.OutlineIn) -> Response:
    mask = _feathered_mask(session, query)
    inpainter = state.editor.inpainter(quick_preview.QUICK_INPAINTER)
    data = quick_preview.render_preview(session.photo.image, mask, inpainter)
    box = ",".join(map(str, quick_preview.preview_window(mask, session.photo.size)))
    return Response(data, media_type="image/webp", headers={"x-box": box})


def _draw_strokes(session: PhotoSession, query: requests.StrokesIn) -> ObjectOut:
    size = session.photo.size
    mask = _without_holes(session.get_mask(query.mask)) if query.mask else np.zeros(size, np.bool_)
    strokes = [
        contours.Stroke([(x, y) for x, y in s.points], s.radius, s.erase) for s in query.strokes
    ]
    mask = contours.draw_strokes(mask, strokes)
    if not mask.any():
        raise NothingFound("nothing is left of the mask")
    return _store_object(session, Detection(mask, from_user=True))


def _without_holes(mask: PackedMask) -> BinaryMask:
    """Return the mask to draw on: holes are filled, unless the user made them."""
    return mask.unpack() if mask.from_user else masks.fill_holes(mask.unpack())


def _find_mask(state: AppState, session: PhotoSession, data: dict[str, Any]) -> bytes:
    no_margin = {"dilate": "0px", "feather": "0px"}
    refine = {**no_margin, **data.get("refine", {})}
    request = build_request(session, {**data, "refine": refine})
    detections = state.editor.find_objects(session.photo, request)
    alpha, _, _ = regions.refined_alpha(detections, request.prompts, request.refine)
    return images.encode_mask(alpha)


def _format_command(session: PhotoSession, query: requests.RequestIn, rank: int) -> CommandOut:
    data, photo = query.to_dict(), session.photo
    request = build_request(session, data)
    output = f"{result_stem(photo)}.{FILE_SUFFIXES[output_format(photo)]}"
    command = format_command(request, photo.name, output, rank)
    request_data = to_json(self_contained(request))
    if command is None:
        request_file = f"{file_stem(photo.name)}.request.json"
        command = format_replay_command(request, photo.name, request_file, output, rank)
        return CommandOut(command=command, saves_request=True, files=[], request=request_data)
    files = _masks_to_save(session, data)
    return CommandOut(command=command, saves_request=False, files=files, request=request_data)


def _masks_to_save(session: PhotoSession, data: dict[str, Any]) -> list[FileOut]:
    """Return the masks of the request that the client has not uploaded as files itself."""
    uploaded = set(session.mask_names.values())
    mask_ids = [p["mask"] for p in data["prompts"] if isinstance(p.get("mask"), str)]
    files = [FileOut(id=mask_id, name=session.mask_file_name(mask_id)) for mask_id in mask_ids]
    return [file for file in files if file.name not in uploaded]
