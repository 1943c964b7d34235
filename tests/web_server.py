"""A server that runs in this process, a client of its API, and small pictures to send."""

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
from segment2inpaint.web.app import create_app
from segment2inpaint.web.limits import Limits
from segment2inpaint.web.security import SecurityMiddleware
from segment2inpaint.web.server import bind_socket, server_config

API = "/api/v1"
BASE_URL = "http://127.0.0.1"
DISC_CENTER = (80, 60)  # (x, y) in a scene
DISC_RADIUS = 15  # px
CLICK = {"points": {"include": [list(DISC_CENTER)]}}
DISC_COLOR = {"color": {"at": list(DISC_CENTER), "tolerance": 40}}  # the fastest way to the disc


def draw_scene(seed: int = 0, size: tuple[int, int] = (120, 160)) -> np.ndarray:
    """Return a picture of a red disc on a grey gradient with a little grain."""
    y, x = np.mgrid[: size[0], : size[1]]
    grain = np.random.default_rng(seed).normal(0, 1.5, (*size, 3))
    photo = (90 + x / 3)[..., None] + grain
    disc = (x - DISC_CENTER[0]) ** 2 + (y - DISC_CENTER[1]) ** 2 < DISC_RADIUS**2
    photo[disc] += (90, -60, -60)
    return photo.clip(0, 255).astype(np.uint8)


def encode(pixels: np.ndarray, format: str = "PNG", **options: Any) -> bytes:
    file = BytesIO()
    Pillow.fromarray(pixels).save(file, format, **options)
    return file.getvalue()


def decode(data: bytes) -> np.ndarray:
    return np.asarray(Pillow.open(BytesIO(data)))


def make_app(
    limits: Limits = Limits(), token: str | None = None, **options: Any
) -> SecurityMiddleware:
    return create_app(Editor("cpu", cache=False), "0", limits, token, **options)


@contextmanager
def run_server(app: SecurityMiddleware) -> Iterator[str]:
    """Run the server in a thread. Yield its address."""
    listening = bind_socket("127.0.0.1", 0)
    server = uvicorn.Server(server_config(app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


def open_photo(client: Any, data: bytes | None = None, name: str = "photo.png") -> str:
    """Upload a photo. Return its id."""
    content = data or encode(draw_scene())
    response = client.post(f"{API}/photos", params={"name": name}, content=content)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


def run_job(client: Any, photo: str, **request: Any) -> dict[str, Any]:
    """Start a job and wait for its end. Return its status."""
    response = client.post(f"{API}/photos/{photo}/jobs", json=request)
    assert response.status_code == 202, response.text
    return wait_for_job(client, response.json())


def wait_for_job(client: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Poll until the job ends. Return its status."""
    while job["state"] in ("queued", "running"):
        job = client.get(f"{API}/jobs/{job['id']}", params={"wait": 5}).json()
    return job


def assert_error(response: Any, *statuses: int) -> str:
    """Assert that the response is an error of one line. Return its message."""
    assert response.status_code in statuses, (response.status_code, response.text)
    message: str = response.json()["error"]["message"]
    assert message
    assert "\n" not in message
    assert "Traceback" not in message
    return message
