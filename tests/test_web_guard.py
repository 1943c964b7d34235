"""Hostile requests: each is refused in a line, none is a 5xx, and the server goes on."""

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

pytest.importorskip("fastapi", reason="the page needs the extra [web]")
from fastapi.testclient import TestClient
from web_server import API, app, file_of, scene, served

from segment2inpaint.web import server
from segment2inpaint.web.limits import Limits

HERE = "http://127.0.0.1"
LOCAL = {"host": "localhost"}
TOKEN = "a-token-of-some-length"
LIMITS = Limits(upload=300_000, body=20_000, pixels=1_000_000, stall=0.4, upload_time=1.5)
NO_ID = "A" * 22


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(app(LIMITS), base_url=HERE, raise_server_exceptions=True) as made:
        yield made


@pytest.fixture(scope="module")
def photo(client: TestClient) -> str:
    answer = client.post(f"{API}/photos", content=file_of(scene()))
    return str(answer.json()["id"])


def refused(answer: Any, *statuses: int) -> str:
    assert answer.status_code in statuses, (answer.status_code, answer.text)
    message: str = answer.json()["error"]["message"]
    assert message
    assert "\n" not in message
    assert "Traceback" not in message
    return message


# --- who asks --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8808", "127.0.0.1.evil.example", "", "[::1", "localhost."],
)
def test_a_name_that_was_rebound_is_refused(client: TestClient, host: str) -> None:
    refused(client.get(f"{API}/about", headers={"host": host}), 421)


@pytest.mark.parametrize("host", ["127.0.0.1:9", "localhost:9", "[::1]:9", "192.168.1.7:9"])
def test_addresses_and_localhost_are_answered(client: TestClient, host: str) -> None:
    assert client.get(f"{API}/about", headers={"host": host}).status_code == 200


def test_further_names_are_answered_when_allowed() -> None:
    with TestClient(app(hosts=("studio.lan",)), base_url="http://studio.lan") as named:
        assert named.get(f"{API}/about").status_code == 200


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
def test_other_sites_are_refused(client: TestClient, photo: str, headers: dict[str, str]) -> None:
    for answer in (
        client.post(f"{API}/photos", content=file_of(scene()), headers=headers),
        client.get(f"{API}/photos/{photo}", headers=headers),
        client.get(f"{API}/photos/{photo}/tiles/0/0/0", headers=headers),
    ):
        refused(answer, 403)
        assert "access-control-allow-origin" not in answer.headers


def test_its_own_page_is_answered(client: TestClient) -> None:
    own = {"origin": HERE, "sec-fetch-site": "same-origin"}
    assert client.get(f"{API}/about", headers=own).status_code == 200


def test_a_preflight_gets_no_permission(client: TestClient) -> None:
    answer = client.options(
        f"{API}/photos",
        headers={"origin": "https://evil.example", "access-control-request-method": "POST"},
    )
    refused(answer, 403)


def test_the_token_is_asked_for() -> None:
    with TestClient(app(token=TOKEN), base_url="http://192.168.1.7") as client:
        for given in (None, "", "Bearer", "Bearer wrong", TOKEN[:-1], f"Bearer {TOKEN}x", "Bärer"):
            headers = {} if given is None else {"authorization": given.encode("latin-1")}
            refused(client.get(f"{API}/about", headers=headers), 401)
            refused(client.get(f"{API}/openapi.json", headers=headers), 401)
        right = {"authorization": f"Bearer {TOKEN}"}
        assert client.get(f"{API}/about", headers=right).status_code == 200
        assert client.get("/").status_code == 200
        refused(client.get(f"/static/..{API}/about"), 401, 404)
        refused(client.get(f"/static/%2e%2e{API}/about"), 401, 404)
        refused(client.get("//api/v1/about"), 401)


def test_browsers_are_told_to_be_strict(client: TestClient) -> None:
    """Also with errors."""
    for answer in (client.get("/"), client.get(f"{API}/about"), client.get("/none")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "server" not in answer.headers


# --- how much --------------------------------------------------------------------------------


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 1000)
    parts = b"".join(
        struct.pack(">I", len(p) - 4) + p + struct.pack(">I", zlib.crc32(p))
        for p in (body, data, b"IEND")
    )
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("a bomb", png_header(60_000, 60_000)),
        ("beyond the pixels", file_of(np.zeros((1001, 1000, 3), np.uint8))),
        ("nothing", b""),
        ("a web page", b"<html><script>alert(1)</script>"),
        ("a drawing", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("half a file", file_of(scene())[:2000]),
        ("noise", np.random.default_rng(0).bytes(5000)),
    ],
)
def test_what_is_no_photo_is_refused(client: TestClient, what: str, data: bytes) -> None:
    refused(client.post(f"{API}/photos", content=data), 422)


def test_too_many_bytes_are_refused(client: TestClient, photo: str) -> None:
    """By what the header says, and where it says nothing, by counting."""
    refused(client.post(f"{API}/photos", content=b"x" * 300_001), 413)
    refused(client.post(f"{API}/photos", content=iter([b"x" * 200_000] * 2)), 413)
    refused(client.post(f"{API}/photos/{photo}/find", content=b"[" * 20_001), 413)
    headers = {"content-length": "-5"}
    refused(client.post(f"{API}/photos", content=b"", headers=headers), 413)


def test_uploads_together_are_bounded() -> None:
    """What others are sending counts; once they are done there is room again."""
    made = app(Limits(memory=400_000))
    with TestClient(made, base_url=HERE) as client:
        made.coming.bytes = 399_000
        refused(client.post(f"{API}/photos", content=b"x" * 5000), 503)
        assert made.coming.bytes == 399_000
        made.coming.bytes = 0
        refused(client.post(f"{API}/photos", content=b"x" * 5000), 422)
        assert made.coming.bytes == 0


def test_slow_uploads_are_ended() -> None:
    """A body that stops coming, and one that comes drop by drop."""
    with served(app(LIMITS)) as address:
        host, port = address.removeprefix("http://").split(":")
        for pause in (3.0, 0.2):
            start = monotonic()
            with socket.create_connection((host, int(port)), timeout=60) as line:
                head = f"POST {API}/photos HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9999\r\n\r\n"
                line.sendall(head.encode())
                line.settimeout(pause)
                answer = b""
                while not answer and monotonic() - start < 60:
                    line.sendall(b"x")
                    try:
                        answer = line.recv(4000)
                    except TimeoutError:
                        continue
            assert answer.startswith(b"HTTP/1.1 408"), answer


def test_heads_that_do_not_come_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing sent, half a head, and half a head after an answer; a whole one is served."""
    monkeypatch.setattr(server, "HEAD", 0.4)
    with served(app(LIMITS)) as address:
        host, port = address.removeprefix("http://").split(":")
        whole = f"GET {API}/about HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        for first, rest in ((b"", b""), (b"", b"GET /api"), (whole, b"GET /ap")):
            with socket.create_connection((host, int(port)), timeout=60) as line:
                line.sendall(first)
                if first:
                    assert line.recv(9000).startswith(b"HTTP/1.1 200")
                line.sendall(rest)
                start = monotonic()
                while line.recv(9000):
                    pass
            assert monotonic() - start > 0.2


# --- what is said ----------------------------------------------------------------------------

RUNS = {"size": [120, 160], "counts": [0, 19200]}


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
        {"prompts": [{"mask": NO_ID}]},
        {"prompts": [{"mask": {"size": [9**9, 9**9], "counts": [0, 9**9]}}]},
        {"prompts": [{"mask": {"size": [120, 160], "counts": [0, 9**9]}}]},
        {"prompts": [{"mask": {"size": [120, 160], "counts": [0, -5]}}]},
        {"prompts": [{"mask": RUNS}], "fill": {"picture": "/etc/passwd"}},
        {"prompts": [{"mask": RUNS}], "fill": {"picture": NO_ID}},
        {"prompts": [{"mask": RUNS}], "detector": "/tmp/evil.safetensors"},
        {"prompts": [{"mask": RUNS}], "detector": "someone/evil"},
        {"prompts": [{"mask": RUNS}], "inpainter": "../evil"},
        {"prompts": [{"mask": RUNS}], "inpainter": "sdxl-inpaint-of-mine"},
        {"prompts": [{"mask": RUNS}], "refine": {"dilate": "1e309px"}},
        {"prompts": [{"mask": RUNS}], "refine": {"dilate": "nan"}},
        {"prompts": [{"mask": RUNS}], "refine": {"dilate": {"$gt": 0}}},
        {"prompts": [{"mask": RUNS}], "fill": {"num_inference_steps": 10**9}},
        {"prompts": [{"mask": RUNS}], "attempts": 10**6},
        {"prompts": [{"mask": RUNS}], "extra": 1},
        {"prompts": [{"mask": RUNS}], "__proto__": {"a": 1}},
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
def test_senseless_requests_are_refused(client: TestClient, photo: str, request_: Any) -> None:
    """At once, or by the job; nothing of it is run or opened."""
    for call in ("jobs", "mask"):
        answer = client.post(f"{API}/photos/{photo}/{call}", json=request_)
        if answer.status_code == 202:
            job = answer.json()
            while job["state"] in ("queued", "running"):
                job = client.get(f"{API}/jobs/{job['id']}", params={"wait": 5}).json()
            assert job["state"] == "failed"
            assert job["error"]["kind"] != "Broken", job
        else:
            refused(answer, 404, 422)


@pytest.mark.parametrize(
    "body", [b"{", b"\xff\xfe", b"[" * 9000, b'{"prompts": [' + b'{"a":' * 2000, b"NaN"]
)
def test_senseless_bytes_are_refused(client: TestClient, photo: str, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    refused(client.post(f"{API}/photos/{photo}/jobs", content=body, headers=headers), 400, 422)


@pytest.mark.parametrize(
    "path",
    [
        f"{API}/photos/{NO_ID}",
        f"{API}/photos/../../etc/passwd",
        f"{API}/photos/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        f"{API}/photos/{NO_ID}/tiles/0/0/0",
        f"{API}/photos/{NO_ID}/masks/{NO_ID}",
        f"{API}/jobs/{NO_ID}",
        f"{API}/jobs/1",
        f"{API}/results/{NO_ID}",
        f"{API}/results/{NO_ID}/file",
        f"{API}/results/{NO_ID}/checks/seam",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2f..%2f..%2fpyproject.toml",
        "/static//etc/passwd",
        "/.git/config",
    ],
)
def test_forged_ids_and_paths_find_nothing(client: TestClient, path: str) -> None:
    refused(client.get(path), 404, 422)


@pytest.mark.parametrize("tile", ["-1/0/0", "99/0/0", "0/99999999/0", "0/0/x", "0/1e3/0"])
def test_tiles_that_are_none(client: TestClient, photo: str, tile: str) -> None:
    refused(client.get(f"{API}/photos/{photo}/tiles/{tile}"), 404, 422)


def test_files_of_another_size_are_refused(client: TestClient, photo: str) -> None:
    small = file_of(np.full((10, 10), 255, np.uint8))
    params = {"kind": "mask", "name": "m.png"}
    message = refused(client.post(f"{API}/photos/{photo}/files", params=params, content=small), 422)
    assert message.startswith("m.png: the mask must have the photo's size 160x120")
    black = file_of(np.zeros((120, 160), np.uint8))
    refused(client.post(f"{API}/photos/{photo}/files", params=params, content=black), 422)
    other = {"kind": "script", "name": "m.png"}
    refused(client.post(f"{API}/photos/{photo}/files", params=other, content=small), 422)


def test_another_photos_masks_are_not_to_be_had(client: TestClient, photo: str) -> None:
    """An id is good on its own photo only."""
    sent = client.post(
        f"{API}/photos/{photo}/files",
        params={"kind": "mask"},
        content=file_of(np.full((120, 160), 255, np.uint8)),
    ).json()
    other = client.post(f"{API}/photos", content=file_of(scene(1))).json()["id"]
    refused(client.get(f"{API}/photos/{other}/masks/{sent['id']}"), 404)
    body = {"prompts": [{"mask": sent["id"]}]}
    refused(client.post(f"{API}/photos/{other}/jobs", json=body), 404)


def test_a_dropped_photo_is_gone(client: TestClient) -> None:
    photo = client.post(f"{API}/photos", content=file_of(scene())).json()["id"]
    assert client.delete(f"{API}/photos/{photo}").status_code == 204
    refused(client.get(f"{API}/photos/{photo}"), 404)
    refused(client.delete(f"{API}/photos/{photo}"), 404)
