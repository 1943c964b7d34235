"""Hostile requests get an error of one line, never a 5xx, and the server keeps running."""

from __future__ import annotations

import json
import socket
import struct
import zlib
from collections.abc import Iterator
from time import monotonic
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from web_server import (
    API,
    BASE_URL,
    assert_error,
    draw_scene,
    encode,
    make_app,
    run_server,
)

from segment2inpaint.web.limits import Limits
from segment2inpaint.web.server import HeaderTimeoutProtocol

TOKEN = "a-token-of-some-length"
LIMITS = Limits(upload=300_000, body=20_000, pixels=1_000_000, stall=0.4, upload_time=1.5)
UNKNOWN_ID = "A" * 22


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(
        make_app(LIMITS), base_url=BASE_URL, raise_server_exceptions=True
    ) as test_client:
        yield test_client


@pytest.fixture(scope="module")
def photo(client: TestClient) -> str:
    response = client.post(f"{API}/photos", content=encode(draw_scene()))
    return str(response.json()["id"])


# --- Host, Origin and token ------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8808", "127.0.0.1.evil.example", "", "[::1", "localhost."],
)
def test_unknown_host_names_are_refused(client: TestClient, host: str) -> None:
    assert_error(client.get(f"{API}/about", headers={"host": host}), 421)


@pytest.mark.parametrize("host", ["127.0.0.1:9", "localhost:9", "[::1]:9", "192.168.1.7:9"])
def test_ip_addresses_and_localhost_are_answered(client: TestClient, host: str) -> None:
    assert client.get(f"{API}/about", headers={"host": host}).status_code == 200


def test_allowed_host_names_are_answered() -> None:
    with TestClient(make_app(hosts=("studio.lan",)), base_url="http://studio.lan") as client:
        assert client.get(f"{API}/about").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "http://localhost"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_calls_from_other_sites_are_refused(
    client: TestClient, photo: str, headers: dict[str, str]
) -> None:
    for answer in (
        client.post(f"{API}/photos", content=encode(draw_scene()), headers=headers),
        client.get(f"{API}/photos/{photo}", headers=headers),
        client.get(f"{API}/photos/{photo}/tiles/0/0/0", headers=headers),
    ):
        assert_error(answer, 403)
        assert "access-control-allow-origin" not in answer.headers


def test_calls_from_the_own_page_are_answered(client: TestClient) -> None:
    headers = {"origin": BASE_URL, "sec-fetch-site": "same-origin"}
    assert client.get(f"{API}/about", headers=headers).status_code == 200


def test_a_preflight_request_is_refused(client: TestClient) -> None:
    answer = client.options(
        f"{API}/photos",
        headers={"origin": "https://evil.example", "access-control-request-method": "POST"},
    )
    assert_error(answer, 403)


def test_the_api_needs_the_token_and_the_page_does_not() -> None:
    with TestClient(make_app(token=TOKEN), base_url="http://192.168.1.7") as client:
        for given in (None, "", "Bearer", "Bearer wrong", TOKEN[:-1], f"Bearer {TOKEN}x", "Bärer"):
            headers = {} if given is None else {"authorization": given.encode("latin-1")}
            assert_error(client.get(f"{API}/about", headers=headers), 401)
            assert_error(client.get(f"{API}/openapi.json", headers=headers), 401)
        right = {"authorization": f"Bearer {TOKEN}"}
        assert client.get(f"{API}/about", headers=right).status_code == 200
        assert client.get("/").status_code == 200
        assert_error(client.get(f"/static/..{API}/about"), 401, 404)
        assert_error(client.get(f"/static/%2e%2e{API}/about"), 401, 404)
        assert_error(client.get("//api/v1/about"), 401)


def test_pages_answers_and_errors_have_security_headers(client: TestClient) -> None:
    for answer in (client.get("/"), client.get(f"{API}/about"), client.get("/none")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "server" not in answer.headers


# --- size and time ---------------------------------------------------------------------------


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 1000)
    parts = b"".join(
        struct.pack(">I", len(p) - 4) + p + struct.pack(">I", zlib.crc32(p))
        for p in (body, data, b"IEND")
    )
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize(
    ("case", "data"),
    [
        ("a decompression bomb", png_header(60_000, 60_000)),
        ("too many pixels", encode(np.zeros((1001, 1000, 3), np.uint8))),
        ("an empty file", b""),
        ("a web page", b"<html><script>alert(1)</script>"),
        ("an SVG", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("half a file", encode(draw_scene())[:2000]),
        ("noise", np.random.default_rng(0).bytes(5000)),
    ],
)
def test_files_that_are_no_photos_are_refused(client: TestClient, case: str, data: bytes) -> None:
    assert_error(client.post(f"{API}/photos", content=data), 422)


def test_bodies_that_are_too_large_are_refused(client: TestClient, photo: str) -> None:
    """The server checks Content-Length, and counts the bytes where there is none."""
    assert_error(client.post(f"{API}/photos", content=b"x" * 300_001), 413)
    assert_error(client.post(f"{API}/photos", content=iter([b"x" * 200_000] * 2)), 413)
    assert_error(client.post(f"{API}/photos/{photo}/find", content=b"[" * 20_001), 413)
    headers = {"content-length": "-5"}
    assert_error(client.post(f"{API}/photos", content=b"", headers=headers), 413)


def test_all_uploads_together_are_bounded() -> None:
    """Uploads in progress count, and no longer when they have ended."""
    app = make_app(Limits(memory=400_000))
    with TestClient(app, base_url=BASE_URL) as client:
        app.upload_budget.pending_bytes = 399_000
        assert_error(client.post(f"{API}/photos", content=b"x" * 5000), 503)
        assert app.upload_budget.pending_bytes == 399_000
        app.upload_budget.pending_bytes = 0
        assert_error(client.post(f"{API}/photos", content=b"x" * 5000), 422)
        assert app.upload_budget.pending_bytes == 0


def test_slow_uploads_are_ended() -> None:
    """Both a body that stalls and one that trickles are refused."""
    with run_server(make_app(LIMITS)) as address:
        host, port = address.removeprefix("http://").split(":")
        for pause in (3.0, 0.2):
            start = monotonic()
            with socket.create_connection((host, int(port)), timeout=60) as connection:
                head = f"POST {API}/photos HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9999\r\n\r\n"
                connection.sendall(head.encode())
                connection.settimeout(pause)
                answer = b""
                while not answer and monotonic() - start < 60:
                    connection.sendall(b"x")
                    try:
                        answer = connection.recv(4000)
                    except TimeoutError:
                        continue
            assert answer.startswith(b"HTTP/1.1 408"), answer


def test_connections_with_slow_headers_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No headers, partial headers, and partial headers after a complete request."""
    monkeypatch.setattr(HeaderTimeoutProtocol, "header_timeout", 0.4)
    with run_server(make_app(LIMITS)) as address:
        host, port = address.removeprefix("http://").split(":")
        request = f"GET {API}/about HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        for first, rest in ((b"", b""), (b"", b"GET /api"), (request, b"GET /ap")):
            with socket.create_connection((host, int(port)), timeout=60) as connection:
                connection.sendall(first)
                if first:
                    assert connection.recv(9000).startswith(b"HTTP/1.1 200")
                connection.sendall(rest)
                start = monotonic()
                while connection.recv(9000):
                    pass
            assert monotonic() - start > 0.2


# --- content of requests ---------------------------------------------------------------------

FULL_MASK = {"size": [120, 160], "counts": [0, 19200]}


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"prompts": []},
        {"prompts": [{}]},
        {"prompts": [{"points": {"include": [[1, 2]]}, "box": [1, 2, 3, 4]}]},
        {"prompts": [{"mask": "/etc/passwd"}]},
        {"prompts": [{"mask": "../../secret.png"}]},
        {"prompts": [{"plate": "/etc/passwd"}]},
        {"prompts": [{"mask": UNKNOWN_ID}]},
        {"prompts": [{"mask": {"size": [9**9, 9**9], "counts": [0, 9**9]}}]},
        {"prompts": [{"mask": {"size": [120, 160], "counts": [0, 9**9]}}]},
        {"prompts": [{"mask": {"size": [120, 160], "counts": [0, -5]}}]},
        {"prompts": [{"mask": FULL_MASK}], "fill": {"picture": "/etc/passwd"}},
        {"prompts": [{"mask": FULL_MASK}], "fill": {"picture": UNKNOWN_ID}},
        {"prompts": [{"mask": FULL_MASK}], "detector": "/tmp/evil.safetensors"},
        {"prompts": [{"mask": FULL_MASK}], "detector": "someone/evil"},
        {"prompts": [{"mask": FULL_MASK}], "inpainter": "../evil"},
        {"prompts": [{"mask": FULL_MASK}], "inpainter": "unknown-sdxl-inpaint"},
        {"prompts": [{"mask": FULL_MASK}], "refine": {"dilate": "1e309px"}},
        {"prompts": [{"mask": FULL_MASK}], "refine": {"dilate": "nan"}},
        {"prompts": [{"mask": FULL_MASK}], "refine": {"dilate": {"$gt": 0}}},
        {"prompts": [{"mask": FULL_MASK}], "fill": {"num_inference_steps": 10**9}},
        {"prompts": [{"mask": FULL_MASK}], "attempts": 10**6},
        {"prompts": [{"mask": FULL_MASK}], "extra": 1},
        {"prompts": [{"mask": FULL_MASK}], "__proto__": {"a": 1}},
        {"prompts": [{"points": {"include": [[2**70, 1]]}}]},
        {"prompts": [{"points": {"include": [[1.5, True]]}}]},
        {"prompts": [{"points": {"include": [[1, 2, 3]]}}]},
        {"prompts": [{"points": {"exclude": [[1, 2]]}}]},
        {"prompts": [{"box": [5, 5, 5, 5]}]},
        {"prompts": [{"box": [900, 900, 950, 950]}]},
        {"prompts": [{"color": {}}]},
        {"prompts": [{"color": {"rgb": [300, 0, 0]}}]},
        {"prompts": [{"everything": [255]}]},
        {"prompts": [{"box": [0, 0, 9, 9]}] * 201},
        [],
        None,
        "x",
    ],
    ids=lambda value: json.dumps(value)[:70],
)
def test_invalid_requests_are_refused(client: TestClient, photo: str, request_: Any) -> None:
    """The call itself or its job fails, and the server opens no file."""
    for call in ("jobs", "mask"):
        answer = client.post(f"{API}/photos/{photo}/{call}", json=request_)
        if answer.status_code == 202:
            job = answer.json()
            while job["state"] in ("queued", "running"):
                job = client.get(f"{API}/jobs/{job['id']}", params={"wait": 5}).json()
            assert job["state"] == "failed"
            assert job["error"]["kind"] != "Broken", job
        else:
            assert_error(answer, 404, 422)


@pytest.mark.parametrize(
    "body", [b"{", b"\xff\xfe", b"[" * 9000, b'{"prompts": [' + b'{"a":' * 2000, b"NaN"]
)
def test_bodies_that_are_no_json_are_refused(client: TestClient, photo: str, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    assert_error(client.post(f"{API}/photos/{photo}/jobs", content=body, headers=headers), 400, 422)


@pytest.mark.parametrize(
    "path",
    [
        f"{API}/photos/{UNKNOWN_ID}",
        f"{API}/photos/../../etc/passwd",
        f"{API}/photos/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        f"{API}/photos/{UNKNOWN_ID}/tiles/0/0/0",
        f"{API}/photos/{UNKNOWN_ID}/masks/{UNKNOWN_ID}",
        f"{API}/jobs/{UNKNOWN_ID}",
        f"{API}/jobs/1",
        f"{API}/results/{UNKNOWN_ID}",
        f"{API}/results/{UNKNOWN_ID}/file",
        f"{API}/results/{UNKNOWN_ID}/checks/seam",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2f..%2f..%2fpyproject.toml",
        "/static//etc/passwd",
        "/.git/config",
    ],
)
def test_unknown_ids_and_paths_are_not_found(client: TestClient, path: str) -> None:
    assert_error(client.get(path), 404, 422)


@pytest.mark.parametrize("tile", ["-1/0/0", "99/0/0", "0/99999999/0", "0/0/x", "0/1e3/0"])
def test_invalid_tiles_are_refused(client: TestClient, photo: str, tile: str) -> None:
    assert_error(client.get(f"{API}/photos/{photo}/tiles/{tile}"), 404, 422)


def test_masks_of_another_size_empty_masks_and_unknown_kinds_are_refused(
    client: TestClient, photo: str
) -> None:
    small = encode(np.full((10, 10), 255, np.uint8))
    params = {"kind": "mask", "name": "m.png"}
    message = assert_error(
        client.post(f"{API}/photos/{photo}/files", params=params, content=small), 422
    )
    assert message.startswith("m.png: the mask must have the photo's size 160x120")
    black = encode(np.zeros((120, 160), np.uint8))
    assert_error(client.post(f"{API}/photos/{photo}/files", params=params, content=black), 422)
    other = {"kind": "script", "name": "m.png"}
    assert_error(client.post(f"{API}/photos/{photo}/files", params=other, content=small), 422)


def test_a_mask_id_is_valid_for_its_own_photo_only(client: TestClient, photo: str) -> None:
    uploaded = client.post(
        f"{API}/photos/{photo}/files",
        params={"kind": "mask"},
        content=encode(np.full((120, 160), 255, np.uint8)),
    ).json()
    other = client.post(f"{API}/photos", content=encode(draw_scene(1))).json()["id"]
    assert_error(client.get(f"{API}/photos/{other}/masks/{uploaded['id']}"), 404)
    body = {"prompts": [{"mask": uploaded["id"]}]}
    assert_error(client.post(f"{API}/photos/{other}/jobs", json=body), 404)


def test_a_deleted_photo_is_not_found(client: TestClient) -> None:
    photo = client.post(f"{API}/photos", content=encode(draw_scene())).json()["id"]
    assert client.delete(f"{API}/photos/{photo}").status_code == 204
    assert_error(client.get(f"{API}/photos/{photo}"), 404)
    assert_error(client.delete(f"{API}/photos/{photo}"), 404)
