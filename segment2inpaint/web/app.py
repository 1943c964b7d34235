"""The server: its routes, its errors, and the guard before them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from segment2inpaint.editor import Editor
from segment2inpaint.errors import BadImage, ModelMissing, Segment2InpaintError
from segment2inpaint.web import routes_models, routes_photos, routes_results
from segment2inpaint.web.app_state import AppState
from segment2inpaint.web.jobs import Superseded, error_payload
from segment2inpaint.web.limits import Limits
from segment2inpaint.web.responses import ErrorOut
from segment2inpaint.web.security import SecurityMiddleware
from segment2inpaint.web.session import NotFound, ServerBusy

STATIC = Path(__file__).parent / "static"
SWEEP = 30.0  # s between two looks for idle photos
STATUS: list[tuple[type[Segment2InpaintError], int]] = [
    (NotFound, 404), (Superseded, 409), (ServerBusy, 503), (ModelMissing, 409), (BadImage, 422),
]  # fmt: skip
FAULTS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorOut} for code in (400, 401, 403, 404, 408, 409, 413, 421, 422, 503)
}
ABOUT = """Remove or replace objects in photos by pointing at them.

`POST /photos` with a file as the body; `POST /photos/{photo}/jobs` with a request;
`GET /jobs/{job}` until it is done; `GET /results/{result}/file`.
Errors are one line: `{"error": {"kind", "message"}}`."""


def make(
    editor: Editor,
    version: str,
    limits: Limits = Limits(),
    token: str | None = None,
    hosts: tuple[str, ...] = (),
    ready: Callable[[], None] = lambda: None,
) -> SecurityMiddleware:
    """The server as an ASGI application. ``ready`` is called, in a thread, once it runs."""
    served = AppState(editor, limits)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        sweeper = asyncio.create_task(_sweep(served))
        warm = asyncio.get_running_loop().run_in_executor(None, ready)
        yield
        sweeper.cancel()
        served.close()
        await asyncio.wait([warm], timeout=0)

    app = FastAPI(
        title="segment2inpaint", version=version, description=ABOUT, lifespan=life,
        openapi_url="/api/v1/openapi.json", docs_url=None, redoc_url=None,
    )  # fmt: skip
    api = APIRouter(prefix="/api/v1", responses=FAULTS)
    for part in (
        routes_photos.routes(served),
        routes_results.routes(served),
        routes_models.routes(served, version),
    ):
        api.include_router(part)
    app.include_router(api)
    _add_pages(app)
    _add_errors(app)
    return SecurityMiddleware(app, limits, token, hosts)


async def _sweep(served: AppState) -> None:
    while True:
        await asyncio.sleep(SWEEP)
        served.store.evict_idle()


def _add_pages(app: FastAPI) -> None:
    fresh = {"cache-control": "no-cache"}

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers=fresh)

    @app.get("/docs", include_in_schema=False)
    def docs() -> FileResponse:
        return FileResponse(STATIC / "api_docs.html", headers=fresh)

    app.mount("/static", _Static(directory=STATIC))


class _Static(StaticFiles):
    """Files that a browser may keep, but asks about each time."""

    def file_response(self, *args: Any, **kwargs: Any) -> Any:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "no-cache"
        return response


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(Segment2InpaintError)
    async def refused(request: Request, error: Segment2InpaintError) -> JSONResponse:
        status = next((code for kind, code in STATUS if isinstance(error, kind)), 422)
        return JSONResponse({"error": error_payload(error)}, status)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])[:200]
        message = f"{where}: {first['msg']}"
        return JSONResponse({"error": {"kind": "BadRequest", "message": message}}, 422)

    @app.exception_handler(HTTPException)
    async def other(request: Request, error: HTTPException) -> JSONResponse:
        told = {"kind": "Refused", "message": str(error.detail)}
        return JSONResponse({"error": told}, error.status_code, error.headers)

    @app.exception_handler(MemoryError)
    async def too_much(request: Request, error: MemoryError) -> JSONResponse:
        text = "not enough memory for this; try a smaller photo"
        return JSONResponse({"error": {"kind": "Full", "message": text}}, 503)
