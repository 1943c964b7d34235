"""The route that shows a picture as it will be inserted."""

from __future__ import annotations

from io import BytesIO
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from PIL import Image as Pillow

from segment2inpaint.api import as_picture
from segment2inpaint.compositing.insertion import visible_part
from segment2inpaint.types import ReplacementImage
from segment2inpaint.web.app_state import IMMUTABLE, AppState

MAX_SIDE = 1024  # px of a picture that the page shows over the photo

Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{22}$")]
CutoutFlag = Annotated[bool, Query(description="cut out what stands out in an opaque picture")]


def create_router(state: AppState) -> APIRouter:
    """Return the routes for pictures to insert."""
    router = APIRouter(tags=["photos"])

    @router.get("/photos/{photo}/files/{file}/picture", response_class=Response)
    async def show_picture(photo: Id, file: Id, cutout: CutoutFlag = False) -> Response:
        """Download an uploaded picture without its transparent margin, reduced for the screen.

        The header x-size has its width and height before it was reduced.
        """
        source = state.sessions.get(photo).get_file(file)
        slot = f"{photo} picture"
        return await state.detect_executor.run(
            lambda: _picture_response(state, as_picture(source), cutout), slot
        )

    return router


def _picture_response(state: AppState, picture: ReplacementImage, cutout: bool) -> Response:
    shown = state.editor.cut_out_picture(picture) if cutout else picture
    pixels = Pillow.fromarray(visible_part(shown))
    headers = {**IMMUTABLE, "x-size": f"{pixels.width},{pixels.height}"}
    pixels.thumbnail((MAX_SIDE, MAX_SIDE))
    file = BytesIO()
    pixels.save(file, "WEBP", quality=90)
    return Response(file.getvalue(), media_type="image/webp", headers=headers)
