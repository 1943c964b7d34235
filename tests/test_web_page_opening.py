"""The page in a real browser: photos from folders, the clipboard and the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="needs playwright, of the extra [dev]")
from playwright.sync_api import expect
from web_page import click_photo, open_page, scenes, wait_for_objects, wait_for_photo
from web_server import draw_scene, encode, make_app, run_server

from segment2inpaint.web.limits import Limits

pytestmark = pytest.mark.slow

PASTE_FILE = """bytes => {
  const pasted = new DataTransfer();
  pasted.items.add(new File([new Uint8Array(bytes)], "pasted.png", { type: "image/png" }));
  window.dispatchEvent(new ClipboardEvent("paste", { clipboardData: pasted }));
}"""


def test_a_folder_and_pasted_pictures_and_the_sample_can_be_opened(
    server: str, browser: Any, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("b 2.png", "b 10.png", "sub/a.png", ".hidden.png"):
        (tmp_path / name).write_bytes(encode(draw_scene()))
    (tmp_path / "notes.txt").write_text("not a photo")
    with open_page(browser, server) as page:
        page.wait_for_selector("#formats:has-text('JPEG')")
        page.set_input_files("#folder", tmp_path)
        names = page.locator("#strip-photos li")
        expect(names).to_have_text(["b 2.png", "b 10.png", "a.png"])
        expect(page.locator("#toasts p")).to_contain_text("1 file that is not a photo")
        wait_for_photo(page, "b 2.png")
        page.evaluate(PASTE_FILE, list(encode(draw_scene())))
        wait_for_photo(page, "pasted.png")
        expect(names).to_have_count(4)
    with open_page(browser, server) as page:
        page.click("#open-sample")
        page.wait_for_selector("#about-photo:has-text('sample.jpg')")
        click_photo(page, 600, 440, (640, 960))
        wait_for_objects(page)


def test_a_dropped_folder_is_opened_with_the_folders_in_it(
    server: str, browser: Any, tmp_path: Path
) -> None:
    for name in ("scans/2.png", "scans/10.png", "scans/sub/3.png", "scans/notes.txt", "a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(encode(draw_scene()))
    dropped = {"items": [], "files": [str(tmp_path / name) for name in ("scans", "a.png")]}
    with open_page(browser, server) as page:
        page.wait_for_selector("#formats:has-text('JPEG')")
        mouse = page.context.new_cdp_session(page)
        for kind in ("dragEnter", "dragOver", "drop"):
            event = {"type": kind, "x": 300, "y": 300, "data": {**dropped, "dragOperationsMask": 1}}
            mouse.send("Input.dispatchDragEvent", event)
        names = page.locator("#strip-photos li")
        expect(names).to_have_text(["a.png", "2.png", "10.png", "3.png"])
        expect(page.locator("#toasts p")).to_contain_text("1 file that is not a photo")
        wait_for_photo(page, "a.png")


def test_more_photos_than_the_server_holds_are_not_opened(browser: Any) -> None:
    with run_server(make_app(Limits(photos=3))) as address, open_page(browser, address) as page:
        page.wait_for_selector("#formats:has-text('JPEG')")
        files = [
            {"name": name, "mimeType": "image/png", "buffer": data} for name, data in scenes(5)
        ]
        page.set_input_files("#file", files)
        expect(page.locator("#toasts p")).to_contain_text("the last 2 of 5 were not opened")
        expect(page.locator("#strip-photos li")).to_have_count(3)
        wait_for_photo(page, "scan 1.png")
