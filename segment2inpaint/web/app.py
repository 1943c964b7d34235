"""The ASGI application: routes, error responses and the security middleware around them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from segment2inpaint.editor import Editor
from segment2inpaint.errors import BadImage, ModelMissing, Segment2InpaintError
from segment2inpaint.web import (
    openai_edits,
    routes_models,
    routes_photos,
    routes_pictures,
    routes_results,
)
from segment2inpaint.web.app_state import AppState
from segment2inpaint.web.jobs import Superseded, error_payload
from segment2inpaint.web.limits import Limits
from segment2inpaint.web.page import STATIC_FOLDER, render_file
from segment2inpaint.web.responses import ErrorOut
from segment2inpaint.web.security import SecurityMiddleware
from segment2inpaint.web.session import NotFound, ServerBusy

EVICTION_INTERVAL = 30.0  # seconds between two searches for idle photos
STATUS_CODES: list[tuple[type[Segment2InpaintError], int]] = [  # any other error: 422
    (NotFound, 404), (Superseded, 409), (ServerBusy, 503), (ModelMissing, 409), (BadImage, 422),
]  # fmt: skip
ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorOut} for code in (400, 401, 403, 404, 408, 409, 413, 421, 422, 503)
}
API_DESCRIPTION = """Remove or replace objects in photos by pointing at them.

Send the bytes of a photo with `POST /photos`, start a job with `POST /photos/{photo}/jobs`, poll
`GET /jobs/{job}` until the job is done, and download `GET /results/{result}/file`.
An error has a one-line message: `{"error": {"kind", "message"}}`."""


def create_app(
    editor: Editor,
    version: str,
    limits: Limits = Limits(),
    token: str | None = None,
    hosts: tuple[str, ...] = (),
    on_start: Callable[[], None] = lambda: None,
    *,
    openai: bool = False,
) -> SecurityMiddleware:
    """Return the server as an ASGI application.

    ``token`` and ``hosts`` are those of ``SecurityMiddleware``. ``on_start`` is called in a
    thread when the server starts. ``openai`` adds ``POST /v1/images/edits``.
    """
    state = AppState(editor, limits)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        evicting = asyncio.create_task(_evict_regularly(state))
        starting = asyncio.get_running_loop().run_in_executor(None, on_start)
        yield
        evicting.cancel()
        state.close()
        await asyncio.wait([starting], timeout=0)

    app = FastAPI(
        title="segment2inpaint", version=version, description=API_DESCRIPTION, lifespan=lifespan,
        openapi_url="/api/v1/openapi.json", docs_url=None, redoc_url=None,
    )  # fmt: skip
    api = APIRouter(prefix="/api/v1", responses=ERROR_RESPONSES)
    api.include_router(routes_photos.create_router(state))
    api.include_router(routes_pictures.create_router(state))
    api.include_router(routes_results.create_router(state))
    api.include_router(routes_models.create_router(state, version))
    app.include_router(api)
    if openai:
        app.include_router(openai_edits.create_router(state))
    _add_pages(app)
    _add_error_handlers(app)
    return SecurityMiddleware(app, limits, token, hosts)


async def _evict_regularly(state: AppState) -> None:
    while True:
        await asyncio.sleep(EVICTION_INTERVAL)
        state.sessions.evict_idle()


def _add_pages(app: FastAPI) -> None:
    headers = {"cache-control": "no-cache"}
    index, api_docs = render_file("index.html"), render_file("api_docs.html")

    @app.get("/", include_in_schema=False)
    def page() -> HTMLResponse:
        return HTMLResponse(index, headers=headers)

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(api_docs, headers=headers)

    app.mount("/static", _RevalidatedFiles(directory=STATIC_FOLDER))


class _RevalidatedFiles(StaticFiles):
    """Static files that a browser may cache, but must revalidate before each use."""

    def file_response(self, *args: Any, **kwargs: Any) -> Any:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "no-cache"
        return response


def _add_error_handlers(app: FastAPI) -> None:
    @app.exception_handler(Segment2InpaintError)
    async def user_error(request: Request, error: Segment2InpaintError) -> JSONResponse:
        status = next((code for kind, code in STATUS_CODES if isinstance(error, kind)), 422)
        return JSONResponse({"error": error_payload(error)}, status)

    @app.exception_handler(RequestValidationError)
    async def invalid_request(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        location = ".".join(_without_tags(first["loc"]))[:200]
        return _error_response("BadRequest", f"{location}: {first['msg']}", 422)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        response = _error_response("Refused", str(error.detail), error.status_code)
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(MemoryError)
    async def out_of_memory(request: Request, error: MemoryError) -> JSONResponse:
        message = "not enough memory for this photo; try a smaller one"
        return _error_response(ServerBusy.__name__, message, 503)


def _without_tags(location: Sequence[str | int]) -> list[str]:
    """Return the parts of a place in a call's JSON; the key of a prompt comes twice in it."""
    pairs = zip(location, (None, *location), strict=False)
    return [str(part) for part, before in pairs if isinstance(part, int) or part != before]


def _error_response(kind: str, message: str, status: int) -> JSONResponse:
    return JSONResponse({"error": {"kind": kind, "message": message}}, status)
