"""``POST /v1/images/edits`` in the form of OpenAI's API: for programs that already speak it.

The mask's transparent part is repainted, in the photo's own size, and nothing else changes. An
empty prompt removes what is there; another one needs a diffusion model on this machine. The fields
``points``, ``boxes`` and ``remove`` are ours: without a mask they select the objects.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from time import time
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.datastructures import UploadFile

from segment2inpaint import images
from segment2inpaint.errors import (
    BadImage,
    BadOption,
    BadPrompt,
    ModelMissing,
    Segment2InpaintError,
)
from segment2inpaint.images import Photo
from segment2inpaint.result import Candidate, Result
from segment2inpaint.types import Box, Fill, Point, Points, Prompt, UserMask
from segment2inpaint.types import Request as EditRequest
from segment2inpaint.web.app_state import AppState, output_format
from segment2inpaint.web.jobs import LatestOnlyExecutor

DATA_URL = re.compile(r"^data:[\w/+.-]+;base64,")
MAX_RESULTS = 10
KNOWN_FIELDS = {
    "image", "mask", "prompt", "n", "size", "response_format", "model", "user", "quality",
    "background", "input_fidelity", "output_format", "output_compression", "moderation",
    "points", "boxes", "remove", "seed", "inpainter",
}  # fmt: skip
Fields = dict[str, Any]
"""The fields of a call; files are their bytes."""


def create_router(state: AppState) -> APIRouter:
    """Return the route. Removals run one at a time, and as many may wait as in the page's queue."""
    router = APIRouter(tags=["openai"])
    executor = LatestOnlyExecutor(state.limits.queue, threads=1)

    @router.post("/v1/images/edits", include_in_schema=False)
    async def edit(request: Request) -> Response:
        try:
            fields = await _read_fields(request)
            answer, headers = await executor.run(lambda: _edit(state, fields))
        except Segment2InpaintError as error:
            return _error(error)
        return JSONResponse(answer, headers=headers)

    return router


# --- reading ----------------------------------------------------------------------------------


async def _read_fields(request: Request) -> Fields:
    """Return the fields of a multipart or JSON call. Raises ``BadOption`` and ``BadImage``."""
    if request.headers.get("content-type", "").startswith("application/json"):
        try:
            fields = await request.json()
        except ValueError as error:
            raise BadOption(f"not JSON: {error}") from None
        if not isinstance(fields, dict):
            raise BadOption("expected a JSON object, got another value")
        fields |= {name: _decode(fields[name]) for name in ("image", "mask") if fields.get(name)}
    else:
        async with request.form() as form:
            fields = {}
            for name, value in form.multi_items():
                name = name.removesuffix("[]")
                if name in ("image", "mask") and name in fields:
                    raise BadOption(f"{name}: expected one file, got several; send one at a time")
                fields[name] = await value.read() if isinstance(value, UploadFile) else value
    for name in fields:
        if name not in KNOWN_FIELDS:
            raise BadOption(f"unknown field {name!r:.80}; known: {', '.join(sorted(KNOWN_FIELDS))}")
    return fields


def _decode(value: Any) -> bytes:
    """Return the bytes of a picture in JSON: base64, with or without a data URL's head."""
    if isinstance(value, dict):
        value = value.get("image_url", value.get("b64_json"))
    if isinstance(value, list) and len(value) == 1:
        return _decode(value[0])
    if not isinstance(value, str):
        raise BadImage("expected a picture as base64 or as a data URL; got another value")
    try:
        return base64.b64decode(DATA_URL.sub("", value), validate=True)
    except (ValueError, binascii.Error):
        raise BadImage("expected a picture as base64 or as a data URL; got other text") from None


def _parse(fields: Fields, name: str, parse: Callable[[Any], Any], default: Any) -> Any:
    """Return a field parsed, or its default. Raises ``BadOption``."""
    value = fields.get(name)
    if value in (None, ""):
        return default
    try:
        return parse(value)
    except (TypeError, ValueError, LookupError, ArithmeticError, RecursionError):
        raise BadOption(f"{name}: got {value!r:.60}, which is not understood") from None


# --- the edit ---------------------------------------------------------------------------------


def _edit(state: AppState, fields: Fields) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the answer and its headers. Raises the errors of the package."""
    if not isinstance(fields.get("image"), bytes):
        raise BadImage("image: expected a file, got none")
    photo = state.read(fields["image"], "image")
    _check_size(str(fields.get("size") or "auto"), photo)
    own = output_format(photo).lower()
    if fields.get("output_format") not in (None, "", own):
        raise BadOption(f"output_format: expected {own}, the photo's own, or none")
    if fields.get("response_format") not in (None, "", "b64_json"):
        raise BadOption("response_format: expected b64_json; results are not kept for a URL")
    request = _request(fields, photo)
    result = state.editor.run(photo, request)
    files = [_encode(photo, candidate) for candidate in result.candidates]
    changes = images.file_changes(photo, result.changed_outside, result.alpha, files[0])
    data = [{"b64_json": base64.b64encode(file).decode()} for file in files]
    return {"created": int(time()), "data": data}, _headers(result, changes.outside)


def _request(fields: Fields, photo: Photo) -> EditRequest:
    prompt = str(fields.get("prompt") or "").strip()
    is_removal = _parse(fields, "remove", _flag, False) or not prompt
    count = _parse(fields, "n", int, 1)
    if not 1 <= count <= MAX_RESULTS:
        raise BadOption(f"n: expected 1 to {MAX_RESULTS}, got {count}")
    fill = Fill(
        prompt=None if is_removal else prompt, candidates=count,
        seed=_parse(fields, "seed", int, 0),
    )  # fmt: skip
    inpainter = str(fields.get("inpainter") or "auto")
    return EditRequest(tuple(_prompts(fields, photo)), fill=fill, inpainter=inpainter)


def _prompts(fields: Fields, photo: Photo) -> list[Prompt]:
    """Return the mask, or else the objects at the points and in the boxes."""
    if isinstance(fields.get("mask"), bytes):
        return [UserMask.from_values(_transparent_part(fields["mask"], photo), "mask")]
    points: list[Point] = _parse(fields, "points", _pairs, [])
    boxes: list[Box] = _parse(fields, "boxes", _boxes, [])
    prompts: list[Prompt] = [Points(tuple(points))] if points else []
    if not (prompts or boxes):
        raise BadPrompt("nothing selected; send a mask with a transparent part, points or boxes")
    return prompts + list(boxes)


def _transparent_part(data: bytes, photo: Photo) -> np.ndarray:
    """Return where a mask is transparent, (H, W) float32. Raises ``BadImage`` and ``BadPrompt``."""
    mask = images.read(data, name="mask")
    if mask.size != photo.size:
        (height, width), (own_height, own_width) = photo.size, mask.size
        raise BadImage(
            f"mask: expected the photo's size, {width}x{height}, got {own_width}x{own_height}"
        )
    if mask.alpha is None or bool((mask.alpha == 255).all()):
        raise BadPrompt("mask: nothing in it is transparent; make what is to change transparent")
    opacity = np.asarray(mask.alpha, np.float32)
    return np.asarray(1 - opacity / np.iinfo(mask.alpha.dtype).max, np.float32)


def _check_size(size: str, photo: Photo) -> None:
    """Raise ``BadOption`` for a size that is not the photo's: it keeps its own."""
    height, width = photo.size
    if size not in ("auto", f"{width}x{height}"):
        raise BadOption(f"size: expected auto or {width}x{height}, the photo's own, got {size:.40}")


def _flag(value: Any) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[str(value).lower()]


def _pairs(value: Any) -> list[Point]:
    rows = json.loads(value) if isinstance(value, str) else value
    return [(int(x), int(y)) for x, y in rows]


def _boxes(value: Any) -> list[Box]:
    rows = json.loads(value) if isinstance(value, str) else value
    return [Box(*(int(n) for n in (x0, y0, x1, y1))) for x0, y0, x1, y1 in rows]


# --- the answer -------------------------------------------------------------------------------


def _encode(photo: Photo, candidate: Candidate) -> bytes:
    return images.encode(photo, candidate.image, candidate.alpha, format=output_format(photo))


def _headers(result: Result, changed_outside: int) -> dict[str, str]:
    headers = {"x-changed-outside": str(changed_outside)}
    if result.judgement:
        headers |= {"x-verdict": result.judgement.verdict, "x-sentence": result.judgement.sentence}
    return headers


def _error(error: Segment2InpaintError) -> Response:
    """Return an error in OpenAI's form."""
    kind = "invalid_request_error"
    status = 503 if type(error).__name__ == "ServerBusy" else 400
    code = "model_missing" if isinstance(error, ModelMissing) else type(error).__name__
    body = {"message": str(error), "type": kind, "param": None, "code": code}
    return JSONResponse({"error": body}, status)
