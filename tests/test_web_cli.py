"""``segment2inpaint web`` before it serves."""

from __future__ import annotations

import socket
from importlib import import_module

import pytest
from click.testing import CliRunner

pytest.importorskip("fastapi", reason="the page needs the extra [web]")
from segment2inpaint.cli import main
from segment2inpaint.web.security import is_loopback


def test_the_command_line_asks_for_a_token_beyond_this_machine() -> None:
    run = CliRunner().invoke
    for words, part in (
        (["--host", "0.0.0.0"], "--token auto"),
        (["--host", "::"], "--token auto"),
        (["--token", "short"], "16 characters"),
        (["--host", "203.0.113.9", "--token", "auto", "--no-open"], "cannot serve at"),
    ):
        result = run(main, ["web", *words])
        assert result.exit_code == 1
        assert part in result.stderr
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert not is_loopback("0.0.0.0")


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(main, ["web", "--port", port, "--no-open"])
    assert result.exit_code == 1
    assert "choose another --port" in result.stderr


def test_without_the_extra_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    web = import_module("segment2inpaint.cli.web")
    monkeypatch.setattr(web, "find_spec", lambda name: None)
    result = CliRunner().invoke(main, ["web"])
    assert result.exit_code == 1
    assert "pip install 'segment2inpaint[web]'" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(("screen", "opened"), [("", 0), (":0", 1)])
def test_a_browser_is_opened_only_where_there_is_a_screen(
    screen: str, opened: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = import_module("segment2inpaint.cli.web")
    launched: list[str] = []
    monkeypatch.setattr(web.sys, "platform", "linux")
    monkeypatch.setattr(web.click, "launch", launched.append)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    if screen:
        monkeypatch.setenv("DISPLAY", screen)
    web._say("127.0.0.1", 8808, None, True)
    assert len(launched) == opened
