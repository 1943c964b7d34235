"""The MCP server, by the SDK's own client over a real process."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from dataset_photos import save_photo
from PIL import Image

pytest.importorskip("mcp", reason="the extra mcp is not installed")
import httpx2
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from segment2inpaint.errors import BadImage
from segment2inpaint.mcp import files as mcp_files

RED_SQUARE = {"color_at": [26, 22]}
FAST = {"inpainter": "telea"}
COMMAND = [sys.executable, "-m", "segment2inpaint"]


@asynccontextmanager
async def conversation(root: Path) -> AsyncIterator[Client]:
    arguments = [*COMMAND[1:], "mcp", "--root", str(root)]
    server = StdioServerParameters(command=COMMAND[0], args=arguments, env=dict(os.environ))
    async with Client(stdio_client(server)) as client:
        yield client


def talk(root: Path, say: Callable[[Client], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with conversation(root) as client:
            return await say(client)

    return asyncio.run(run())


def data_of(result: Any) -> dict[str, Any]:
    assert not result.is_error, result.content
    return dict(json.loads(result.content[0].text))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    save_photo(folder / "a.png")
    save_photo(folder / "taken.png")
    return folder


def test_an_assistant_finds_and_removes_an_object(root: Path) -> None:
    """The file is the one that the command line writes; progress grows."""
    shares: list[float] = []

    async def say(client: Client) -> dict[str, Any]:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert names == {"find", "mask", "cutout", "score", "remove", "replace", "batch"}
        found = await client.call_tool("find", {"photo": "a.png", "selection": RED_SQUARE})
        assert data_of(found)["objects"][0]["number"] == 1
        assert base64.b64decode(found.content[1].data)[:2] == b"\xff\xd8"

        async def progress(value: float, total: float | None, message: str | None) -> None:
            shares.append(value)

        arguments = {"photo": "a.png", "selection": RED_SQUARE, "options": FAST}
        removed = await client.call_tool("remove", arguments, progress_callback=progress)
        return data_of(removed)

    report = talk(root, say)
    assert report["changed_outside"] == 0
    assert report["verdict"] in ("clean", "doubtful", "failed")
    assert shares == sorted(set(shares))
    assert len(shares) > 2
    expected = root / "expected.png"
    words = ["remove", root / "a.png", "--color", "26,22", "--inpainter", "telea", "-o", expected]
    subprocess.run([*COMMAND, *map(str, words)], check=True, capture_output=True)
    assert Path(report["output"]).read_bytes() == expected.read_bytes()


def test_masks_cutouts_and_scores_are_written_and_told(root: Path) -> None:
    async def say(client: Client) -> list[dict[str, Any]]:
        selected = {"photo": "a.png", "selection": RED_SQUARE}
        mask = data_of(await client.call_tool("mask", {**selected, "output": "m.png"}))
        cut = data_of(await client.call_tool("cutout", {**selected, "output": "c.png"}))
        edit = {**selected, "options": FAST, "output": "after.png"}
        await client.call_tool("remove", edit)
        score = await client.call_tool(
            "score", {"before": "a.png", "after": "after.png", "mask": "m.png"}
        )
        return [mask, cut, data_of(score)]

    mask, cut, score = talk(root, say)
    assert Path(mask["output"]).is_file()
    assert Path(cut["output"]).is_file()
    assert score["area"] > 0
    assert score["sentence"]


def test_a_picture_stands_where_the_assistant_puts_it(root: Path) -> None:
    """The file is the one that the command line writes."""
    Image.new("RGBA", (8, 8), (0, 90, 0, 255)).save(root / "leaf.png")

    async def say(client: Client) -> list[Any]:
        edit = {
            "photo": "a.png", "selection": RED_SQUARE, "options": FAST, "picture": "leaf.png",
            "output": "leaf_there.png", "placement": {"at": [26, 20], "scale": 0.5, "angle": 45},
        }  # fmt: skip
        placed = data_of(await client.call_tool("replace", edit))
        without = {**edit, "picture": None, "prompt": "a leaf", "overwrite": True}
        return [placed, await client.call_tool("replace", without)]

    placed, refused = talk(root, say)
    assert refused.is_error
    assert "needs a picture" in refused.content[0].text
    expected = root / "expected_leaf.png"
    words = [
        "replace", root / "a.png", "--color", "26,22", "--inpainter", "telea", "-o", expected,
        "--with", root / "leaf.png", "--with-at", "26,20", "--with-scale", "0.5",
        "--with-angle", "45",
    ]  # fmt: skip
    subprocess.run([*COMMAND, *map(str, words)], check=True, capture_output=True)
    assert Path(placed["output"]).read_bytes() == expected.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"photo": "../a.png", "selection": RED_SQUARE}, "outside the folders"),
        ({"photo": "/etc/hostname", "selection": RED_SQUARE}, "outside the folders"),
        ({"photo": "a.png", "selection": {}}, "nothing selected; give points"),
        ({"photo": "a.png", "selection": {"points": [[999, 1]]}}, "outside the photo"),
        (
            {"photo": "a.png", "selection": RED_SQUARE, "output": "taken.png"},
            "exists; give another",
        ),
        ({"photo": "a.png", "selection": RED_SQUARE, "output": "../b.png"}, "outside the folders"),
        (
            {"photo": "a.png", "selection": RED_SQUARE, "output": "a.png", "overwrite": True},
            "is the photo itself",
        ),
        ({"photo": "~nobody-at-all/a.png", "selection": RED_SQUARE}, "not a path"),
        ({"photo": "a\0.png", "selection": RED_SQUARE}, "not a path"),
        ({"photo": "none.png", "selection": RED_SQUARE}, "none.png"),
        ({"photo": "data:image/png;base64,?", "selection": RED_SQUARE}, "give a path instead"),
        ({"photo": "a.png", "selection": {**RED_SQUARE, "circle": 1}}, "circle"),
    ],
)
def test_a_bad_call_is_refused_in_a_line(
    root: Path, arguments: dict[str, Any], message: str
) -> None:
    result = talk(root, lambda client: client.call_tool("remove", arguments))
    assert result.is_error
    assert message in result.content[0].text


def test_a_link_that_leads_out_of_the_root_is_refused(root: Path, tmp_path: Path) -> None:
    save_photo(tmp_path / "secret.png")
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    arguments = {"photo": "link.png", "selection": RED_SQUARE}
    result = talk(root, lambda client: client.call_tool("remove", arguments))
    assert result.is_error
    assert "outside the folders" in result.content[0].text


def test_a_photo_may_come_as_data(root: Path) -> None:
    data = base64.b64encode((root / "a.png").read_bytes()).decode()
    arguments = {"photo": f"data:image/png;base64,{data}", "selection": RED_SQUARE, "options": FAST}
    report = data_of(talk(root, lambda client: client.call_tool("remove", arguments)))
    assert Path(report["output"]).parent == root


def test_a_batch_is_told_and_resumes(root: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        save_photo(tmp_path / "in" / name)
    (tmp_path / "in" / "bad.png").write_bytes(b"not a picture")

    async def say(client: Client) -> list[dict[str, Any]]:
        arguments = {"source": "in", "outdir": "out", "selection": RED_SQUARE, "options": FAST}
        return [data_of(await client.call_tool("batch", arguments)) for _ in range(2)]

    first, second = talk(tmp_path, say)
    assert first["photos"] == 3
    assert first["failures"] == 1
    assert "bad.png" in first["failed"][0]
    assert second["finished_before"] == 3


def test_a_batch_stays_below_the_root(tmp_path: Path) -> None:
    """Neither a link in a folder nor a table that names files leads out."""
    root = tmp_path / "root"
    save_photo(tmp_path / "secret.png")
    save_photo(root / "in" / "a.png")
    save_photo(root / "linked" / "a.png")
    (root / "linked" / "b.png").symlink_to(tmp_path / "secret.png")
    (root / "out").mkdir()
    (root / "out" / "a.png").symlink_to(tmp_path / "secret.png")
    (root / "rows.csv").write_text(f"photo,output\n{tmp_path / 'secret.png'},x.png\n")
    secret = (tmp_path / "secret.png").read_bytes()

    async def say(client: Client) -> list[Any]:
        calls = [("linked", "o1"), ("in", "out"), ("rows.csv", "o2"), ("in", "../o3")]
        return [
            await client.call_tool(
                "batch",
                {"source": s, "outdir": o, "selection": RED_SQUARE, "options": FAST},
            )
            for s, o in calls
        ]

    messages = [result.content[0].text for result in talk(root, say)]
    assert all("outside the folders" in messages[i] for i in (0, 1, 3)), messages
    assert "expected a folder of photos" in messages[2]
    assert (tmp_path / "secret.png").read_bytes() == secret


def test_a_cancelled_removal_writes_nothing(tmp_path: Path) -> None:
    save_photo(tmp_path / "a.png")

    async def say(client: Client) -> None:
        arguments = {"photo": "a.png", "selection": RED_SQUARE}
        call = asyncio.create_task(client.call_tool("remove", arguments))
        await asyncio.sleep(0.05)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        found = await client.call_tool("find", {"photo": "a.png", "selection": RED_SQUARE})
        assert not found.is_error

    talk(tmp_path, say)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


# --- streamable HTTP --------------------------------------------------------------------------

TOKEN = "a-token-of-24-characters"


@contextmanager
def http_server(root: Path) -> Iterator[str]:
    """Start the server behind a token. Yield its address."""
    words = [*COMMAND, "mcp", "--root", str(root), "--http", "--port", "0", "--token", TOKEN]
    server = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert server.stderr
    try:
        address = next(line for line in server.stderr if line.startswith("http://")).strip()
        yield address
    finally:
        server.terminate()
        server.wait(20)


def test_http_answers_to_the_token_alone(root: Path) -> None:
    async def ask(address: str, token: str) -> list[str]:
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            httpx2.AsyncClient(headers=headers) as http_client,
            Client(streamable_http_client(address, http_client=http_client)) as client,
        ):
            found = await client.call_tool("find", {"photo": "a.png", "selection": RED_SQUARE})
            return [str(data_of(found)["objects"])]

    with http_server(root) as address:
        assert "'number': 1" in asyncio.run(ask(address, TOKEN))[0]
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            assert httpx2.post(address, json={}, headers=headers).status_code == 401
        evil = {"Authorization": f"Bearer {TOKEN}", "Origin": "http://evil.example"}
        assert httpx2.post(address, json={}, headers=evil).status_code == 403


def test_too_much_data_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_files, "MAX_DATA", 100)
    with pytest.raises(BadImage, match="at most 100 characters of base64, got 200; give a path"):
        mcp_files.decode_data("x" * 200)
