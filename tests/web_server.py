"""A server in this process, and small pictures for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np
import uvicorn
from PIL import Image as Pillow

from segment2inpaint.editor import Editor
from segment2inpaint.web.app import make
from segment2inpaint.web.limits import Limits
from segment2inpaint.web.security import SecurityMiddleware
from segment2inpaint.web.server import bound, config

DISC = (80, 60)  # centre of the disc in a scene
API = "/api/v1"


def scene(seed: int = 0, size: tuple[int, int] = (120, 160)) -> np.ndarray:
    """A red disc on a grey gradient, with a little grain."""
    y, x = np.mgrid[: size[0], : size[1]]
    grain = np.random.default_rng(seed).normal(0, 1.5, (*size, 3))
    photo = (90 + x / 3)[..., None] + grain
    photo[(x - DISC[0]) ** 2 + (y - DISC[1]) ** 2 < 15**2] += (90, -60, -60)
    return photo.clip(0, 255).astype(np.uint8)


def file_of(pixels: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    file = BytesIO()
    Pillow.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def app(limits: Limits = Limits(), token: str | None = None, **options: Any) -> SecurityMiddleware:
    return make(Editor("cpu", cache=False), "0", limits, token, **options)


@contextmanager
def served(given: SecurityMiddleware) -> Iterator[str]:
    """Its address, as long as it is served."""
    at = bound("127.0.0.1", 0)
    server = uvicorn.Server(config(given))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [at]}, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
    try:
        yield f"http://127.0.0.1:{at.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
