"""The page in a real browser says what it does: uploads, stages, errors, touch, the hint."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("playwright", reason="needs playwright, of the extra [dev]")
from playwright.sync_api import expect
from web_page import (
    PHONE,
    Page,
    open_page,
    open_page_with_errors,
    open_photo,
    run_job,
    select_disc_by_color,
)
from web_server import draw_scene, encode

pytestmark = pytest.mark.slow

PHOTO = {"name": "photo.png", "mimeType": "image/png", "buffer": encode(draw_scene())}
SLOW_UPLOAD = {
    "offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 40_000,
}  # fmt: skip
WATCH_STAGES = """() => {
  window.stages = [];
  const stage = document.querySelector("#busy-stage");
  new MutationObserver(() => window.stages.push(stage.textContent))
    .observe(stage, { childList: true, characterData: true, subtree: true });
}"""
WRONG_WORDS = r"() => /\bclick/i.test(document.body.innerText)"


def test_an_upload_shows_its_share_and_can_be_cancelled(server: str, browser: Any) -> None:
    noise = encode(draw_scene(size=(400, 400)))
    with open_page(browser, server) as page:
        page.wait_for_selector("#formats:has-text('JPEG')")
        network = page.context.new_cdp_session(page)
        network.send("Network.enable")
        network.send("Network.emulateNetworkConditions", SLOW_UPLOAD)
        page.set_input_files("#file", {**PHOTO, "buffer": noise})
        expect(page.locator("#busy-stage")).to_have_text("Uploading")
        expect(page.locator("#busy-place")).to_contain_text("%")
        page.keyboard.press("Escape")
        expect(page.locator("#busy")).to_be_hidden()
        expect(page.locator("#choose")).to_be_enabled()
        expect(page.locator("#toasts p")).to_have_count(0)


def test_a_job_shows_no_stage_for_the_object_that_was_already_found(
    server: str, browser: Any
) -> None:
    """The object is looked for when it is clicked; then it is only painted over."""
    with open_page(browser, server) as page:
        open_photo(page)
        select_disc_by_color(page)
        page.evaluate(WATCH_STAGES)
        run_job(page)
        stages = page.evaluate("window.stages")
        assert stages
        assert not [stage for stage in stages if "Looking" in stage or "mask" in stage]


def test_errors_are_words(server: str, browser: Any) -> None:
    """No bytes of the file, and nothing of JavaScript."""
    with open_page_with_errors(browser, server) as page:
        page.set_input_files("#file", {**PHOTO, "name": "a.svg", "buffer": b"<svg/>"})
        message = page.locator("#toasts p").last
        expect(message).to_contain_text("a.svg: not a picture")
        assert "b'" not in message.inner_text()
        odd = {"error": {"kind": "Odd", "message": {"a": 1}}}
        page.route("**/photos?name=*", lambda route: route.fulfill(status=500, json=odd))
        page.set_input_files("#file", PHOTO)
        expect(page.locator("#toasts p").last).to_contain_text("answered with status 500")
        page.unroute("**/photos?name=*")
        page.route("**/photos?name=*", lambda route: route.fulfill(status=201, body="{"))
        page.set_input_files("#file", PHOTO)
        expect(page.locator("#toasts p").last).to_contain_text("The server does not answer")


def test_a_touch_screen_is_tapped_not_clicked(server: str, browser: Any) -> None:
    with open_page(browser, server, **PHONE) as page:
        page.wait_for_selector("#formats:has-text('JPEG')")
        assert not page.evaluate(WRONG_WORDS)
        open_photo(page)
        expect(page.locator("#hint")).to_contain_text("Tap the object")
        expect(page.locator("[data-tool=click]")).to_have_text("Tap")
        select_disc_by_color(page)
        assert not page.evaluate(WRONG_WORDS)
        page.click("#show-help")
        assert not page.evaluate(WRONG_WORDS)
        page.keyboard.press("Escape")
        page.click("#new-object")
        expect(page.locator("#status")).to_have_text("Tap another object.")


def test_the_hint_about_models_comes_once_in_a_browser(server: str, browser: Any) -> None:
    with open_page(browser, server) as page:
        remove_disc(page)
        expect(page.locator("#model-hint")).to_be_visible()
        page.click("#see-models")
        page.wait_for_selector("#models[open] li")
        page.keyboard.press("Escape")
        page.click("#back")
        run_job(page)
        expect(page.locator("#model-hint")).to_be_hidden()
        page.reload()
        remove_disc(page)
        expect(page.locator("#model-hint")).to_be_hidden()


def remove_disc(page: Page) -> None:
    open_photo(page)
    select_disc_by_color(page)
    run_job(page)
