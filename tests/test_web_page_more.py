"""The page in a real browser: candidates, files, large photos, phones, accessibility."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

pytest.importorskip("fastapi", reason="the page needs the extra [web]")
pytest.importorskip("playwright", reason="needs playwright, of the extra [dev]")
from playwright.sync_api import expect
from web_page import (
    PHONE,
    WIDE,
    Page,
    by_color,
    found,
    lacks,
    only_after,
    opened,
    place,
    run,
    seen,
    shot,
    tab,
)
from web_server import DISC, app, file_of, scene, served

from segment2inpaint.models import catalogue

pytestmark = pytest.mark.slow

DROP = """bytes => {
  const dropped = new DataTransfer();
  dropped.items.add(new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" }));
  window.dispatchEvent(new DragEvent("drop", { dataTransfer: dropped, cancelable: true }));
}"""


def test_candidates_history_and_going_on(server: str, browser: Any) -> None:
    with tab(browser, server) as page:
        opened(page)
        by_color(page)
        page.click("#more summary")
        page.select_option("#candidates", "3")
        run(page)
        expect(page.locator("#choices button")).to_have_count(3)
        page.click("#choices button:nth-child(2)")
        page.wait_for_selector("#choices button:nth-child(2)[aria-checked=true]")
        with page.expect_download() as download:
            page.click("#download")
        assert "candidate=1" in download.value.url or download.value.suggested_filename
        page.click("#continue")
        expect(page.locator("#about-photo")).to_contain_text("photo_out.png")
        page.wait_for_load_state("networkidle")
        assert lacks(seen(page, *DISC), np.array([200, 60, 60])) > 60
        page.click("#history button >> nth=0")
        page.wait_for_selector("#judging:not([hidden])")


def test_a_sketch_of_what_is_painted(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A diffusion model's work is seen while it goes on, and can be ended."""
    tiny.stable_diffusion().save_pretrained(tmp_path / "sd")
    here = {"sd15-inpaint": tmp_path / "sd"}
    monkeypatch.setattr(catalogue, "find", lambda name, **_: here.get(name))
    with served(app()) as address, tab(browser, address) as page:
        opened(page)
        by_color(page)
        page.click("[data-mode=replace]")
        page.fill("#steps", "200")
        page.fill("#prompt", "a rose")
        expect(page.locator("#run")).to_be_enabled()
        page.press("#prompt", "Enter")
        page.wait_for_selector("#busy-sketch:not([hidden])")
        assert page.evaluate("document.querySelector('#busy-sketch').naturalWidth") > 0
        page.click("#cancel")
        page.wait_for_selector("#busy", state="hidden")
        page.wait_for_selector("#busy-sketch", state="hidden")


def test_the_command_and_the_request(server: str, browser: Any) -> None:
    with tab(browser, server, permissions=["clipboard-read", "clipboard-write"]) as page:
        opened(page)
        by_color(page)
        page.click("#more summary")
        page.click("#copy-command")
        page.wait_for_selector("#toasts p")
        line = page.evaluate("() => navigator.clipboard.readText()")
        assert line == "segment2inpaint remove photo.png --color 80,60 -o photo_out.png"
        with page.expect_download() as download:
            page.click("#save-request")
        saved = json.loads(Path(download.value.path()).read_text())
        assert saved["prompts"][0]["color"]["at"] == [80, 60]
        assert download.value.suggested_filename == "photo.request.json"


def test_all_that_can_be_told_apart(server: str, browser: Any) -> None:
    with tab(browser, server) as page:
        opened(page)
        with page.expect_response("**/find"):
            page.click("#ask-all")
        page.wait_for_selector("#status:has-text('things found')")
        page.mouse.click(*place(page, *DISC))
        found(page)
        expect(page.locator("#objects")).to_contain_text("Picked")


def test_a_mask_and_a_picture_of_ones_own(server: str, browser: Any) -> None:
    bits = np.zeros((120, 160), np.uint8)
    bits[40:80, 60:100] = 255
    vase = np.full((40, 40, 3), (0, 200, 0), np.uint8)
    with tab(browser, server) as page:
        opened(page)
        page.click("#ask-file")
        with page.expect_file_chooser() as chooser:
            page.click("#files button[value=mask]")
        chooser.value.set_files({"name": "m.png", "mimeType": "image/png", "buffer": file_of(bits)})
        found(page)
        expect(page.locator("#objects")).to_contain_text("m.png")
        page.click("[data-mode=replace]")
        page.wait_for_selector("#run[disabled]")
        picture = {"name": "vase.png", "mimeType": "image/png", "buffer": file_of(vase)}
        page.set_input_files("#file-picture", picture)
        page.wait_for_selector("#picture-name:has-text('vase.png')")
        run(page)
        only_after(page)
        assert lacks(seen(page, 80, 60), np.array([0, 200, 0])) < 25


def test_errors_are_told_in_the_page(server: str, browser: Any) -> None:
    context = browser.new_context(**WIDE)
    page = context.new_page()
    page.goto(server)
    bad = {"name": "a.txt", "mimeType": "text/plain", "buffer": b"hello"}
    page.set_input_files("#file", bad)
    page.wait_for_selector("#toasts p:has-text('not a picture')")
    assert page.locator(".card").bounding_box()["width"] > 300
    context.close()


def test_fifty_megapixels_are_seen_pixel_by_pixel(server: str, browser: Any) -> None:
    """Whole at first, from coarse tiles; at 1:1 from sharp ones; nothing larger is ever sent."""
    y, x = np.mgrid[:6144, :8192].astype(np.uint16)
    pixels = np.stack([x // 40, y // 30, (x + y) // 80], axis=2).astype(np.uint8)
    pixels[3000:3100:2, 4000:4100] = 255  # lines of one pixel
    sizes: list[int] = []
    with tab(browser, server) as page:
        page.on("response", lambda r: sizes.append(int(r.headers.get("content-length", 0))))
        opened(page, file_of(pixels, "JPEG", quality=90), "huge.jpg")
        expect(page.locator("#about-photo")).to_contain_text("8192 \u00d7 6144")
        page.keyboard.press("z")
        page.wait_for_selector("#zoom-actual:has-text('100%')")
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(400)
        box = page.locator("#canvas").bounding_box()
        middle = shot(page)[:, round(box["x"] + box["width"] / 2)]
        row = round(box["y"] + box["height"] / 2)
        lines = middle[row - 40 : row - 10].sum(axis=1)
        assert (abs(np.diff(lines)) > 150).mean() > 0.8
        page.mouse.move(box["x"] + 300, box["y"] + 300)
        page.mouse.wheel(0, -400)
        page.keyboard.press("0")
        page.wait_for_load_state("networkidle")
    assert sizes
    assert max(sizes) < 1_500_000


def test_a_token_opens_the_page(browser: Any) -> None:
    token = "a-token-of-some-length"
    with served(app(token=token)) as address:
        with tab(browser, f"{address}/#token={token}") as page:
            opened(page)
            by_color(page)
            assert "token" not in page.url
        context = browser.new_context(**WIDE)
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("#token[open]")
        page.fill("#token-text", token)
        page.click("#token button")
        page.wait_for_selector("#kinds:has-text('JPEG')")
        context.close()


def test_on_a_phone(server: str, browser: Any) -> None:
    """By touch; nothing is wider than the screen; two fingers zoom."""
    with tab(browser, server, **PHONE) as page:
        opened(page)
        page.touchscreen.tap(*place(page, *DISC))
        found(page)
        before = page.inner_text("#zoom-actual")
        fingers = page.context.new_cdp_session(page)
        for kind, apart in (("touchStart", 20), ("touchMove", 60), ("touchMove", 100)):
            ends = [{"x": 190 - apart, "y": 200}, {"x": 190 + apart, "y": 200}]
            fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": ends})
        fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.wait_for_timeout(200)
        assert int(page.inner_text("#zoom-actual")[:-1]) > 2 * int(before[:-1])
        found(page)
        wide = page.evaluate("() => document.documentElement.scrollWidth")
        assert wide <= 390
        for name in ("#run", "#undo", "[data-tool=exclude]"):
            box = page.locator(name).bounding_box()
            assert box["height"] >= 36
            assert box["y"] + box["height"] <= 800
        assert page.locator("#canvas").bounding_box()["height"] > 250


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(server: str, browser: Any, scheme: str) -> None:
    """axe finds nothing: empty, with a mask, with a result, with a dialog; the API's page."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="extra [dev]").Axe()

    def check(page: Page) -> None:
        found = axe.run(page).response["violations"]
        assert not [(v["id"], [n["target"] for n in v["nodes"]][:3]) for v in found]

    with tab(browser, server, color_scheme=scheme) as page:
        page.wait_for_selector("#kinds:has-text('JPEG')")
        check(page)
        opened(page)
        by_color(page)
        page.click("[data-mode=replace]")
        page.click("#more summary")
        check(page)
        page.click("[data-mode=remove]")
        run(page)
        check(page)
        page.click("#show-models")
        page.wait_for_selector("#models[open] li")
        check(page)
        page.goto(f"{server}/docs")
        page.wait_for_selector("article")
        check(page)


def test_a_photo_is_dropped_into_the_page(server: str, browser: Any) -> None:
    with tab(browser, server) as page:
        page.wait_for_selector("#kinds:has-text('JPEG')")
        page.evaluate(DROP, list(file_of(scene())))
        page.wait_for_selector("#about-photo:has-text('dropped.png')")
