"""The page in a real browser: candidates, files, large photos, phones, accessibility."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tiny
from PIL import Image as Pillow

pytest.importorskip("playwright", reason="needs playwright, of the extra [dev]")
from playwright.sync_api import expect
from web_page import (
    DESKTOP,
    PHONE,
    Page,
    click_photo,
    drag_on_photo,
    max_difference,
    move_divider,
    open_page,
    open_photo,
    run_job,
    screen_color,
    screen_position,
    screenshot,
    select_disc_by_color,
    wait_for_objects,
)
from web_server import DISC_CENTER, draw_scene, encode, make_app, run_server

from segment2inpaint.models import catalogue

pytestmark = pytest.mark.slow

DROP_FILE = """bytes => {
  const dropped = new DataTransfer();
  dropped.items.add(new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" }));
  window.dispatchEvent(new DragEvent("drop", { dataTransfer: dropped, cancelable: true }));
}"""


def test_candidates_can_be_compared_downloaded_and_edited_further(
    server: str, browser: Any
) -> None:
    with open_page(browser, server) as page:
        open_photo(page)
        select_disc_by_color(page)
        page.click("#more summary")
        page.select_option("#candidates", "3")
        run_job(page)
        expect(page.locator("#candidate-list button")).to_have_count(3)
        page.click("#candidate-list button:nth-child(2)")
        page.wait_for_selector("#candidate-list button:nth-child(2)[aria-checked=true]")
        with page.expect_download() as download:
            page.click("#download")
        assert "candidate=1" in download.value.url or download.value.suggested_filename
        page.click("#continue")
        expect(page.locator("#about-photo")).to_contain_text("photo_out.png")
        page.wait_for_load_state("networkidle")
        assert max_difference(screen_color(page, *DISC_CENTER), np.array([200, 60, 60])) > 60
        page.click("#history button >> nth=0")
        page.wait_for_selector("#result-section:not([hidden])")


def test_text_is_found_by_kind_and_hidden(server: str, browser: Any) -> None:
    photo = np.full((480, 640, 3), 150, np.uint8)
    for line, y in ("Summer at the lake", 80), ("21 08 2004", 430):
        cv2.putText(
            photo, line, (60, y), cv2.FONT_HERSHEY_DUPLEX, 1.2, (250, 240, 90), 2, cv2.LINE_AA
        )
    with open_page(browser, server) as page:
        open_photo(page, encode(photo))
        page.keyboard.press("f")
        page.click("#find-text")
        wait_for_objects(page)
        expect(page.locator("#objects")).to_contain_text("lines of text, 2")
        page.click("#more summary")
        page.select_option("#inpainter", "blur")
        run_job(page)
        expect(page.locator("#verdict")).to_have_text("not checked")
        expect(page.locator("#judgement")).to_contain_text("No check fits")
        with page.expect_download() as download:
            page.click("#download")
        hidden = np.asarray(Pillow.open(download.value.path()).convert("RGB")).astype(int)
        assert abs(hidden[40:440] - 150).max() < 90
        assert (hidden[200:300] == 150).all()


def test_a_running_diffusion_job_shows_a_sketch_and_can_be_cancelled(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.stable_diffusion().save_pretrained(tmp_path / "sd")
    installed = {"sd15-inpaint": tmp_path / "sd"}
    monkeypatch.setattr(catalogue, "find", lambda name, **_: installed.get(name))
    with run_server(make_app()) as address, open_page(browser, address) as page:
        open_photo(page)
        select_disc_by_color(page)
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


def test_the_reason_is_shown_and_a_button_mends_it(server: str, browser: Any) -> None:
    """The server says what is wrong and what may mend it; the page has no threshold of its own."""
    action = {"name": "take-shadow", "point": None, "dilate": None, "inpainter": None, "seed": None,
              "options": "--shadow", "sentence": "take its shadow too"}  # fmt: skip

    def with_reason(route: Any) -> None:
        response = route.fetch()
        report = response.json()
        judged = {"verdict": "doubtful", "reason": "seam", "sentence": "look at it"}
        report["candidates"][0] |= judged
        for check in report["candidates"][0]["checks"]:
            check["picture"] = check["name"] == "seam"
        route.fulfill(response=response, json={**report, "action": action})

    with open_page(browser, server) as page:
        page.route(re.compile(r"/results/[^/]+$"), with_reason)
        page.route(
            re.compile(r"/checks/seam"),
            lambda route: route.fulfill(body=encode(draw_scene()), content_type="image/png"),
        )
        open_photo(page)
        select_disc_by_color(page)
        run_job(page)
        expect(page.locator("#judgement")).to_have_text("Look at it.")
        expect(page.locator("#checks li")).to_have_count(1)
        expect(page.locator("#mend")).to_have_text("Take its shadow too")
        with page.expect_request(re.compile(r"/jobs$")) as started:
            page.click("#mend")
        assert json.loads(started.value.post_data)["refine"]["shadow"] is True
        expect(page.locator("#history button")).to_have_count(2)


def test_the_command_is_copied_and_the_request_saved(server: str, browser: Any) -> None:
    with open_page(browser, server, permissions=["clipboard-read", "clipboard-write"]) as page:
        open_photo(page)
        select_disc_by_color(page)
        page.click("#more summary")
        page.click("#copy-command")
        page.wait_for_selector("#toasts p")
        command = page.evaluate("() => navigator.clipboard.readText()")
        assert command == "segment2inpaint remove photo.png --color 80,60 -o photo_out.png"
        with page.expect_download() as download:
            page.click("#save-request")
        saved = json.loads(Path(download.value.path()).read_text())
        assert saved["prompts"][0]["color"]["at"] == [80, 60]
        assert download.value.suggested_filename == "photo.request.json"


def test_an_object_can_be_chosen_from_all_objects(server: str, browser: Any) -> None:
    with open_page(browser, server) as page:
        open_photo(page)
        with page.expect_response("**/find"):
            page.click("#show-all")
        page.wait_for_selector("#status:has-text('found: click')")
        click_photo(page, *DISC_CENTER)
        wait_for_objects(page)
        expect(page.locator("#objects")).to_contain_text("From all")


def test_a_mask_file_and_a_picture_can_be_used(server: str, browser: Any) -> None:
    mask = np.zeros((120, 160), np.uint8)
    mask[40:80, 60:100] = 255
    vase = np.full((40, 40, 3), (0, 200, 0), np.uint8)
    with open_page(browser, server) as page:
        open_photo(page)
        page.click("#use-file")
        with page.expect_file_chooser() as chooser:
            page.click("#file-dialog button[value=mask]")
        chooser.value.set_files({"name": "m.png", "mimeType": "image/png", "buffer": encode(mask)})
        wait_for_objects(page)
        expect(page.locator("#objects")).to_contain_text("m.png")
        page.click("[data-mode=replace]")
        page.wait_for_selector("#run[disabled]")
        picture = {"name": "vase.png", "mimeType": "image/png", "buffer": encode(vase)}
        page.set_input_files("#file-picture", picture)
        page.wait_for_selector("#picture-name:has-text('vase.png')")
        run_job(page)
        move_divider(page, "Home")
        assert max_difference(screen_color(page, 80, 60), np.array([0, 200, 0])) < 25


def test_a_file_that_is_no_picture_gives_a_message(server: str, browser: Any) -> None:
    context = browser.new_context(**DESKTOP)
    page = context.new_page()
    page.goto(server)
    text_file = {"name": "a.txt", "mimeType": "text/plain", "buffer": b"hello"}
    page.set_input_files("#file", text_file)
    page.wait_for_selector("#toasts p:has-text('not a picture')")
    assert page.locator(".card").bounding_box()["width"] > 300
    context.close()


def test_a_photo_of_fifty_megapixels_is_shown_in_small_tiles(server: str, browser: Any) -> None:
    """Coarse tiles show the whole photo, and sharp tiles show single pixels at 1:1."""
    y, x = np.mgrid[:6144, :8192].astype(np.uint16)
    pixels = np.stack([x // 40, y // 30, (x + y) // 80], axis=2).astype(np.uint8)
    pixels[3000:3100:2, 4000:4100] = 255  # lines of one pixel
    sizes: list[int] = []
    with open_page(browser, server) as page:
        page.on("response", lambda r: sizes.append(int(r.headers.get("content-length", 0))))
        open_photo(page, encode(pixels, "JPEG", quality=90), "huge.jpg")
        expect(page.locator("#about-photo")).to_contain_text("8192 \u00d7 6144")
        page.keyboard.press("z")
        page.wait_for_selector("#zoom-actual:has-text('100%')")
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(400)
        box = page.locator("#canvas").bounding_box()
        middle = screenshot(page)[:, round(box["x"] + box["width"] / 2)]
        row = round(box["y"] + box["height"] / 2)
        lines = middle[row - 40 : row - 10].sum(axis=1)
        assert (abs(np.diff(lines)) > 150).mean() > 0.8
        page.mouse.move(box["x"] + 300, box["y"] + 300)
        page.mouse.wheel(0, -400)
        page.keyboard.press("0")
        page.wait_for_load_state("networkidle")
    assert sizes
    assert max(sizes) < 1_500_000


def test_a_token_comes_with_the_link_or_is_typed(browser: Any) -> None:
    token = "a-token-of-some-length"
    with run_server(make_app(token=token)) as address:
        with open_page(browser, f"{address}/#token={token}") as page:
            open_photo(page)
            select_disc_by_color(page)
            assert "token" not in page.url
        context = browser.new_context(**DESKTOP)
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("#token[open]")
        page.fill("#token-text", token)
        page.click("#token button")
        page.wait_for_selector("#formats:has-text('JPEG')")
        context.close()


def test_the_page_fits_on_a_phone_and_two_fingers_zoom(server: str, browser: Any) -> None:
    with open_page(browser, server, **PHONE) as page:
        open_photo(page)
        page.touchscreen.tap(*screen_position(page, *DISC_CENTER))
        wait_for_objects(page)
        before = page.inner_text("#zoom-actual")
        touch = page.context.new_cdp_session(page)
        for kind, offset in (("touchStart", 20), ("touchMove", 60), ("touchMove", 100)):
            points = [{"x": 190 - offset, "y": 200}, {"x": 190 + offset, "y": 200}]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.wait_for_timeout(200)
        assert int(page.inner_text("#zoom-actual")[:-1]) > 2 * int(before[:-1])
        wait_for_objects(page)
        width = page.evaluate("() => document.documentElement.scrollWidth")
        assert width <= 390
        for name in ("#run", "#undo", "[data-tool=exclude]"):
            box = page.locator(name).bounding_box()
            assert box["height"] >= 36
            assert box["y"] + box["height"] <= 800
        assert page.locator("#canvas").bounding_box()["height"] > 250


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_accessibility_problems(server: str, browser: Any, scheme: str) -> None:
    """In the empty page, with a mask, with a result, in a dialog, and in the API's page."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="extra [dev]").Axe()

    def check(page: Page) -> None:
        violations = axe.run(page).response["violations"]
        assert not [(v["id"], [n["target"] for n in v["nodes"]][:3]) for v in violations]

    with open_page(browser, server, color_scheme=scheme) as page:
        page.wait_for_selector("#formats:has-text('JPEG')")
        check(page)
        open_photo(page)
        select_disc_by_color(page)
        page.click("[data-mode=replace]")
        page.click("#more summary")
        check(page)
        page.click("[data-mode=remove]")
        run_job(page)
        check(page)
        page.click("#show-models")
        page.wait_for_selector("#models[open] li")
        check(page)
        page.goto(f"{server}/docs")
        page.wait_for_selector("article")
        check(page)


def test_a_photo_can_be_dropped_into_the_page(server: str, browser: Any) -> None:
    with open_page(browser, server) as page:
        page.wait_for_selector("#formats:has-text('JPEG')")
        page.evaluate(DROP_FILE, list(encode(draw_scene())))
        page.wait_for_selector("#about-photo:has-text('dropped.png')")


def test_a_selection_can_be_protected(server: str, browser: Any, tmp_path: Path) -> None:
    """A box in the list becomes an area in which nothing changes."""
    with open_page(browser, server) as page:
        open_photo(page)
        select_disc_by_color(page)
        page.click("[data-tool=box]")
        x, y = DISC_CENTER
        drag_on_photo(page, (x - 25, y - 25), (x, y + 25))
        page.mouse.up()
        wait_for_objects(page, 2)
        page.locator("#objects li").nth(1).get_by_role("button", name="Protect").click()
        wait_for_objects(page, 2)
        pressed = page.locator("#objects .protect").nth(1)
        expect(pressed).to_have_attribute("aria-pressed", "true")
        run_job(page)
        with page.expect_download() as download:
            page.click("#download")
        download.value.save_as(tmp_path / "result.png")
        result = np.asarray(Pillow.open(tmp_path / "result.png").convert("RGB"))
        scene = draw_scene()
        assert (result[:, x - 24 : x - 1] == scene[:, x - 24 : x - 1]).all()
        assert (result[y - 5 : y + 5, x + 3 : x + 8] != scene[y - 5 : y + 5, x + 3 : x + 8]).any()
