"""``POST /v1/images/edits``, by the official client of the API that it speaks, and by hand."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image as Pillow
from web_server import (
    BASE_URL,
    DISC_CENTER,
    assert_error,
    decode,
    draw_scene,
    encode,
    make_app,
    run_server,
)

from segment2inpaint.web.limits import Limits

TOKEN = "a-token-of-24-characters"
EDITS = "/v1/images/edits"


def transparent_disc() -> np.ndarray:
    """Return a mask, (120, 160, 4) uint8, that is transparent on the disc."""
    y, x = np.mgrid[:120, :160]
    mask = np.zeros((120, 160, 4), np.uint8)
    distance = (x - DISC_CENTER[0]) ** 2 + (y - DISC_CENTER[1]) ** 2
    mask[..., 3] = np.where(distance < 18**2, 0, 255)
    return mask


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(make_app(openai=True), base_url=BASE_URL) as test_client:
        yield test_client


def post(client: TestClient, **fields: Any) -> Any:
    """Send a form; bytes are files."""
    files = {k: (f"{k}.png", v) for k, v in fields.items() if isinstance(v, bytes)}
    values = {k: v for k, v in fields.items() if not isinstance(v, bytes)}
    return client.post(EDITS, files=files, data={"inpainter": "telea", **values})


def test_the_official_client_removes_what_its_mask_leaves_transparent() -> None:
    openai = pytest.importorskip("openai", reason="the package openai is not installed")
    photo = draw_scene()
    with run_server(make_app(openai=True, token=TOKEN)) as address:
        client = openai.OpenAI(base_url=f"{address}/v1", api_key=TOKEN, max_retries=0)
        answer = client.images.with_raw_response.edit(
            image=("photo.png", encode(photo)), mask=("mask.png", encode(transparent_disc())),
            prompt="", extra_body={"inpainter": "telea"},
        )  # fmt: skip
        assert answer.headers["x-changed-outside"] == "0"
        assert answer.headers["x-verdict"] in ("clean", "doubtful", "failed")
        result = decode(base64.b64decode(answer.parse().data[0].b64_json))
        stranger = openai.OpenAI(base_url=f"{address}/v1", api_key="wrong", max_retries=0)
        with pytest.raises(openai.AuthenticationError):
            stranger.images.edit(image=("photo.png", encode(photo)), prompt="")
    y, x = DISC_CENTER[1], DISC_CENTER[0]
    assert abs(result[y, x].astype(int) - photo[y, x]).max() > 30
    outside = np.hypot(*(np.mgrid[:120, :160] - np.array([y, x])[:, None, None])) > 40
    assert (result[outside] == photo[outside]).all()


def test_points_give_the_bytes_of_the_command_line(client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(encode(draw_scene()))
    x, y = DISC_CENTER
    words = ["remove", "photo.png", "-p", f"{x},{y}", "--inpainter", "telea", "-o", "out.png"]
    subprocess.run(
        [sys.executable, "-m", "segment2inpaint", *words], cwd=tmp_path, check=True,
        capture_output=True,
    )  # fmt: skip
    response = post(client, image=encode(draw_scene()), points=f"[[{x},{y}]]", prompt="")
    assert response.status_code == 200
    data = base64.b64decode(response.json()["data"][0]["b64_json"])
    assert data == (tmp_path / "out.png").read_bytes()


def test_the_form_in_json_and_several_results(client: TestClient) -> None:
    fields = {
        "image": "data:image/png;base64," + base64.b64encode(encode(draw_scene())).decode(),
        "mask": base64.b64encode(encode(transparent_disc())).decode(),
        "prompt": "ignored", "remove": True, "n": 2, "size": "160x120",
    }  # fmt: skip
    response = client.post(EDITS, json=fields)
    assert response.status_code == 200, response.text
    assert len(response.json()["data"]) == 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"image": None}, "image: expected a file"),
        ({"image": b"not a picture"}, "image"),
        ({"mask": encode(transparent_disc()[:60])}, "expected the photo's size, 160x120, got"),
        ({"mask": encode(draw_scene())}, "nothing in it is transparent"),
        ({"mask": None}, "nothing selected; send a mask"),
        ({"size": "1024x1024"}, "expected auto or 160x120"),
        ({"n": "11"}, "expected 1 to 10"),
        ({"n": "many"}, "n: got 'many'"),
        ({"remove": "yes"}, "remove: got 'yes'"),
        ({"mask": None, "points": "[[1e999, 2]]"}, "points: got"),
        ({"response_format": "url"}, "expected b64_json"),
        ({"output_format": "webp"}, "output_format: expected png"),
        ({"colour": "red"}, "unknown field 'colour'"),
        ({"mask": None, "points": "[[1]]"}, "points: got"),
        ({"prompt": "a red rose"}, "prompt"),
    ],
)
def test_a_bad_call_is_refused_in_a_line(
    client: TestClient, fields: dict[str, Any], message: str
) -> None:
    sound = {"image": encode(draw_scene()), "mask": encode(transparent_disc()), "prompt": ""}
    sent = {name: value for name, value in {**sound, **fields}.items() if value is not None}
    assert message in assert_error(post(client, **sent), 400)


def test_a_large_body_is_refused() -> None:
    app = make_app(Limits(upload=50_000), openai=True)
    with TestClient(app, base_url=BASE_URL) as client:
        response = client.post(EDITS, content=b"x" * 60_000)
        assert "too large" in assert_error(response, 413)


def test_it_is_off_by_default() -> None:
    with TestClient(make_app(), base_url=BASE_URL) as client:
        assert client.post(EDITS, json={}).status_code in (404, 405)


def test_the_result_has_the_photos_format(client: TestClient) -> None:
    photo = encode(draw_scene(), "JPEG", quality=95)
    response = post(client, image=photo, mask=encode(transparent_disc()), prompt="")
    data = base64.b64decode(response.json()["data"][0]["b64_json"])
    assert Pillow.open(BytesIO(data)).format == "JPEG"
