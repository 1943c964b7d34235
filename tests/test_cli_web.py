"""``segment2inpaint web`` before it serves."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from command_line import run

from segment2inpaint.cli import web
from segment2inpaint.web.security import is_loopback


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--host", "0.0.0.0"], "--token auto"),
        (["--host", "::"], "--token auto"),
        (["--token", "short"], "16 characters"),
        (["--host", "203.0.113.9", "--token", "auto", "--no-open"], "cannot serve at"),
    ],
)
def test_an_address_that_others_can_reach_needs_a_token(words: list[str], part: str) -> None:
    result = run("web", *words)
    assert result.exit_code == 1
    assert part in result.stderr


def test_only_loopback_addresses_are_out_of_reach() -> None:
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert not is_loopback("0.0.0.0")


def test_a_port_in_use_is_reported() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        result = run("web", "--port", listening.getsockname()[1], "--no-open")
    assert result.exit_code == 1
    assert "choose another --port" in result.stderr


@pytest.mark.parametrize(("screen", "launches"), [("", 0), (":0", 1)])
def test_a_browser_is_opened_only_on_a_machine_with_a_screen(
    screen: str, launches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[str] = []
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    if screen:
        monkeypatch.setenv("DISPLAY", screen)
    web.announce("http://127.0.0.1:8808/", open_browser=True, launch=launched.append)
    assert len(launched) == launches


def test_the_token_is_in_the_fragment_of_the_address() -> None:
    assert web.page_address("::1", 8808, None) == "http://[::1]:8808/"
    assert web.page_address("localhost", 80, "secret") == "http://localhost:80/#token=secret"


SLOW_SERVER = """
import asyncio
from segment2inpaint.web.server import bind_socket, serve

async def app(scope, receive, send):
    if scope["type"] == "http":
        print("asked", flush=True)
        await asyncio.sleep(60)

listening = bind_socket("127.0.0.1", 0)
try:
    serve(app, listening, lambda: print(listening.getsockname()[1], flush=True))
except KeyboardInterrupt:
    pass
"""


def test_a_stop_answers_the_calls_that_it_cancels_and_prints_no_traceback() -> None:
    words = [sys.executable, "-c", SLOW_SERVER]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True) as server:
        assert server.stdout
        assert server.stderr
        address = f"http://127.0.0.1:{server.stdout.readline().strip()}/"
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(httpx2.get, address, timeout=60)
            assert server.stdout.readline() == "asked\n"
            server.send_signal(signal.SIGINT)
            response = answer.result()
        errors = server.stderr.read()
    assert response.status_code == 503
    assert "the server was stopped" in response.json()["error"]["message"]
    assert not errors
