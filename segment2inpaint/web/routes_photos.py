"""Photos, their tiles, and what is found in them."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, BackgroundTasks, Path, Query, Request, Response

from segment2inpaint import images, masks, pipeline
from segment2inpaint.errors import NothingFound
from segment2inpaint.images.encode import FileMetadata, encoders
from segment2inpaint.request import to_json
from segment2inpaint.types import Alpha, BinaryMask, Detection, Length, Points, Refine, bounding_box
from segment2inpaint.web import contours, quick_preview, requests, tiles
from segment2inpaint.web.app_state import (
    KEEP,
    SUFFIX,
    AppState,
    file_of,
    kind_of,
    result_stem,
    stem,
)
from segment2inpaint.web.command_line import command, replay
from segment2inpaint.web.request_builder import build, plain_name, portable
from segment2inpaint.web.responses import (
    CommandOut,
    FileOut,
    FoundOut,
    ObjectOut,
    OutlineOut,
    PhotoOut,
)
from segment2inpaint.web.session import NotFound, PackedMask, PhotoSession, ResultPatch

Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{22}$")]
Name = Annotated[str, Query(max_length=300, description="what the file is called")]
Level = Annotated[int, Path(ge=0, le=tiles.DEEPEST)]
Number = Annotated[int, Path(ge=0, le=10_000)]
Which = Annotated[int, Query(ge=0, le=31, description="number of the candidate, the best is 0")]


def routes(served: AppState) -> APIRouter:
    """Open, see, find, refine."""
    router = APIRouter(tags=["photos"])
    store, looks = served.store, served.looks

    @router.post("/photos", status_code=201, openapi_extra=BYTES)
    async def open_photo(
        request: Request, beside: BackgroundTasks, name: Name = "photo"
    ) -> PhotoOut:
        """Send a photo: the bytes of its file are the body."""
        data = await request.body()
        photo = await served.files.run(lambda: served.read(data, plain_name(name)))
        desk = store.add(photo)
        beside.add_task(served.prepare, desk)
        return about(desk)

    @router.get("/photos/{photo}")
    def show_photo(photo: Id) -> PhotoOut:
        return about(store.get(photo))

    @router.delete("/photos/{photo}", status_code=204)
    def drop_photo(photo: Id) -> None:
        """Forget a photo, its masks and its results."""
        store.drop(photo)

    @router.get("/photos/{photo}/tiles/{level}/{column}/{row}", response_class=PICTURE)
    def tile(photo: Id, level: Level, column: Number, row: Number) -> Response:
        """A tile of 512 px; a pixel is 2^level px of the photo."""
        return tile_of(store.get(photo), None, level, column, row)

    @router.post("/photos/{photo}/files", status_code=201, openapi_extra=BYTES)
    async def send_file(
        photo: Id,
        request: Request,
        kind: Literal["mask", "plate", "picture"],
        name: Name = "file",
        resize: bool = False,
    ) -> FileOut:
        """Send a mask, a clean plate or a picture to put into this photo."""
        desk, data = store.get(photo), await request.body()
        return await served.files.run(
            lambda: _filed(served, desk, kind, data, plain_name(name), resize)
        )

    @router.post("/photos/{photo}/find")
    async def find(photo: Id, what: requests.FindIn) -> FoundOut:
        """Find the objects at some prompts, and keep their masks."""
        desk = store.get(photo)
        slot = f"{photo} {what.slot}" if what.slot else ""
        return await looks.run(lambda: _found(served, desk, what), slot)

    @router.post("/photos/{photo}/outline")
    def outline(photo: Id, what: requests.OutlineIn) -> OutlineOut:
        """What a refinement of some masks will change."""
        return _outlined(store.get(photo), what)

    @router.post("/photos/{photo}/rough", response_class=PICTURE)
    def roughly(photo: Id, what: requests.OutlineIn) -> Response:
        """A rough filling at once, for the window that the header x-box names."""
        return _roughly(served, store.get(photo), what)

    @router.post("/photos/{photo}/strokes")
    def strokes(photo: Id, what: requests.StrokesIn) -> ObjectOut:
        """Draw into a mask, or a new one; the mask given stays as it is."""
        return _drawn(store.get(photo), what)

    @router.get("/photos/{photo}/masks/{mask}", response_class=PICTURE)
    def mask_file(photo: Id, mask: Id) -> Response:
        """A mask that was found, as PNG: white is the object."""
        desk = store.get(photo)
        alpha = desk.mask(mask).bits().astype(np.float32)
        return file_of(grey_png(alpha), "PNG", stem(desk.mask_name(mask)))

    @router.post("/photos/{photo}/mask", response_class=PICTURE)
    async def mask(photo: Id, what: requests.RequestIn) -> Response:
        """The mask of a request as PNG; neither dilated nor feathered unless asked for."""
        desk = store.get(photo)
        data = await looks.run(lambda: _masked(served, desk, what.plain()))
        return file_of(data, "PNG", f"{stem(desk.photo.name)}_mask")

    @router.post("/photos/{photo}/command")
    def as_command(photo: Id, what: requests.RequestIn, candidate: Which = 0) -> CommandOut:
        """The request as a line for a terminal, and as data to save."""
        return _commanded(store.get(photo), what, candidate + 1)

    return router


PICTURE = Response
BYTES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


def about(desk: PhotoSession) -> PhotoOut:
    photo = desk.photo
    bits = 16 if photo.pixels_16bit is not None else 8
    return PhotoOut(
        id=desk.id, name=photo.name, width=photo.size[1], height=photo.size[0],
        format=photo.format, bits=bits, levels=tiles.levels(photo.size),
    )  # fmt: skip


def tile_of(
    desk: PhotoSession, patch: ResultPatch | None, level: int, column: int, row: int
) -> Response:
    """Raises ``Gone`` beyond the photo."""
    data = tiles.tile(desk.photo, patch, level, column, row)
    if data is None:
        raise NotFound("no such tile: it is beyond the photo")
    kind = "image/jpeg" if desk.photo.alpha is None else "image/webp"
    return Response(data, media_type=kind, headers=KEEP)


def _filed(
    served: AppState, desk: PhotoSession, kind: str, data: bytes, name: str, resize: bool
) -> FileOut:
    if kind == "mask":
        served.read(data, name)  # within the limits
        mask = Detection(
            images.read_mask(data, desk.photo.size, name=name, resize=resize), from_user=True
        )
        if not mask.mask.any():
            raise NothingFound(f"{name}: the mask is empty, nothing is above half")
        given = desk.keep_mask(mask)
        desk.names[given] = name
    else:
        given = desk.keep_file(replace(served.read(data, name), path=None))
        served.store.evict_idle()
    return FileOut(id=given, name=name)


def _found(served: AppState, desk: PhotoSession, what: requests.FindIn) -> FoundOut:
    start = perf_counter()
    data = {**what.model_dump(exclude_unset=True, exclude={"slot", "edge_refine"})}
    made = replace(build(desk, data), refine=Refine(edge_refine=what.edge_refine))
    made = served.editor.resolve(made, paint=False)
    found = served.editor.find(desk.photo, made)
    objects = [_object(desk, mask) for mask in found]
    return FoundOut(
        objects=objects, detector=made.detector, seconds=round(perf_counter() - start, 3)
    )


def _object(desk: PhotoSession, mask: Detection) -> ObjectOut:
    box = bounding_box(mask.mask)
    part = mask.mask[box.slices]
    return ObjectOut(
        mask=desk.keep_mask(mask), box=list(box), area=int(part.sum()),
        score=round(mask.score, 4), paths=contours.paths(part, (box.x0, box.y0)),
    )  # fmt: skip


def _soft(desk: PhotoSession, what: requests.OutlineIn) -> contours.FeatheredMask:
    found = [desk.mask(name).mask() for name in what.masks]
    beside = Points((), tuple((x, y) for x, y in what.exclude))
    factor = 2.0 if what.replace else 1.0
    return contours.changed(desk.photo.image, found, [beside], refinement(what.refine), factor)


def _outlined(desk: PhotoSession, what: requests.OutlineIn) -> OutlineOut:
    soft = _soft(desk, what)
    return OutlineOut(
        paths=soft.outer, solid=soft.solid, dilate=round(soft.dilate, 1),
        feather=round(soft.feather, 1),
    )  # fmt: skip


def _roughly(served: AppState, desk: PhotoSession, what: requests.OutlineIn) -> Response:
    soft = _soft(desk, what)
    data = quick_preview.filled(
        desk.photo.image, soft, served.editor.inpainter(quick_preview.QUICK)
    )
    box = ",".join(map(str, quick_preview.around(soft, desk.photo.size)))
    return Response(data, media_type="image/webp", headers={"x-box": box})


def refinement(how: requests.RefineIn) -> Refine:
    given = how.model_dump()
    lengths = {name: Length.parse(given[name]) for name in ("dilate", "feather")}
    return Refine(**{**given, **lengths})


def _drawn(desk: PhotoSession, what: requests.StrokesIn) -> ObjectOut:
    bits = _solid(desk.mask(what.mask)) if what.mask else np.zeros(desk.photo.size, np.bool_)
    strokes = [([(x, y) for x, y in s.points], s.radius, s.erase) for s in what.strokes]
    drawn = contours.stroked(bits, strokes)
    if not drawn.any():
        raise NothingFound("nothing is left of the mask")
    return _object(desk, Detection(drawn, from_user=True))


def _solid(kept: PackedMask) -> BinaryMask:
    """The bits to draw on: holes that nobody made are filled."""
    return kept.bits() if kept.own else masks.fill_holes(kept.bits())


def _masked(served: AppState, desk: PhotoSession, data: dict[str, Any]) -> bytes:
    none = {"dilate": "0px", "feather": "0px"}
    made = build(desk, {**data, "refine": {**none, **data.get("refine", {})}})
    found = served.editor.find(desk.photo, made)
    alpha, _, _ = pipeline.refined_alpha(found, made.prompts, made.refine)
    return grey_png(alpha)


def grey_png(alpha: Alpha) -> bytes:
    values = np.rint(255 * alpha).astype(np.uint8)
    return encoders()["PNG"](values[..., None], FileMetadata(), None)


def _commanded(desk: PhotoSession, what: requests.RequestIn, keep: int) -> CommandOut:
    made = build(desk, what.plain())
    output = f"{result_stem(desk.photo)}.{SUFFIX[kind_of(desk.photo)]}"
    line = command(made, desk.photo.name, output, keep)
    whole = to_json(portable(made))
    if line is None:
        saved = f"{stem(desk.photo.name)}.request.json"
        line = replay(made, desk.photo.name, saved, output, keep)
        return CommandOut(command=line, saves_request=True, files=[], request=whole)
    sent = set(desk.names.values())
    asked = [p["mask"] for p in what.plain()["prompts"] if isinstance(p.get("mask"), str)]
    files = [FileOut(id=m, name=desk.mask_name(m)) for m in asked if desk.mask_name(m) not in sent]
    return CommandOut(command=line, saves_request=False, files=files, request=whole)
