"""The result in a real browser: after, before, the divider, blink, copy, and what was widened."""

from __future__ import annotations

import re
from io import BytesIO
from time import sleep
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

pytest.importorskip("playwright", reason="needs playwright, of the extra [dev]")
from playwright.sync_api import expect
from web_page import (
    PHONE,
    WIDE,
    Page,
    max_difference,
    open_page,
    open_photo,
    run_job,
    screen_color,
    screen_position,
    select_disc_by_color,
)
from web_server import DISC_CENTER

pytestmark = pytest.mark.slow

DEVICES = pytest.mark.parametrize("device", [WIDE, PHONE], ids=["wide", "phone"])
INSIDE = (84, 66)  # of the disc, off its centre
CLIPBOARD = ["clipboard-read", "clipboard-write"]
READ_PICTURE = """async () => {
  const [item] = await navigator.clipboard.read();
  return [...new Uint8Array(await (await item.getType("image/png")).arrayBuffer())];
}"""


def open_result(page: Page) -> np.ndarray:
    """Remove the disc. Return the colour that it had."""
    open_photo(page)
    disc = screen_color(page, *INSIDE)
    select_disc_by_color(page)
    run_job(page)
    page.wait_for_timeout(200)
    return disc


def shows_disc(page: Page, disc: np.ndarray) -> bool:
    page.wait_for_timeout(150)
    return max_difference(screen_color(page, *INSIDE), disc) < 8


@DEVICES
def test_a_result_opens_as_after_and_the_divider_comes_when_asked_for(
    server: str, browser: Any, device: dict[str, Any]
) -> None:
    """Its line and its handle lie beside the changed part, and the wheel zooms over both."""
    with open_page(browser, server, **device) as page:
        disc = open_result(page)
        assert not shows_disc(page, disc)
        expect(page.locator("#divider")).to_be_hidden()
        page.click("#compare")
        assert not shows_disc(page, disc)
        left = screen_position(page, DISC_CENTER[0] - 15, 0)[0]
        line = page.locator("#divider").bounding_box()
        assert line["x"] + line["width"] / 2 < left
        handle = page.locator("#divider i").bounding_box()
        assert handle["x"] + handle["width"] < left
        zoom = page.inner_text("#zoom-actual")
        if device is WIDE:
            page.mouse.move(handle["x"] + 18, handle["y"] + 18)
            page.mouse.wheel(0, -300)
            expect(page.locator("#zoom-actual")).not_to_have_text(zoom)
        page.keyboard.press("y")
        expect(page.locator("#divider")).to_be_hidden()


def test_press_and_hold_shows_the_photo_before(server: str, browser: Any) -> None:
    """With the mouse, with the space bar, and not while the photo is dragged."""
    with open_page(browser, server, **WIDE) as page:
        disc = open_result(page)
        page.mouse.move(*screen_position(page, 20, 100))
        page.mouse.down()
        page.wait_for_selector("#shown-before:not([hidden])")
        assert shows_disc(page, disc)
        page.mouse.up()
        assert not shows_disc(page, disc)
        page.keyboard.down(" ")
        assert shows_disc(page, disc)
        page.keyboard.up(" ")
        assert not shows_disc(page, disc)
        x, y = screen_position(page, 20, 100)
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 30, y, steps=3)
        page.wait_for_timeout(400)
        expect(page.locator("#shown-before")).to_be_hidden()
        page.mouse.up()


def test_a_finger_that_rests_on_the_result_shows_the_photo_before(
    server: str, browser: Any
) -> None:
    with open_page(browser, server, **PHONE) as page:
        disc = open_result(page)
        touch = page.context.new_cdp_session(page)
        x, y = screen_position(page, 20, 100)
        points = [{"x": x, "y": y}]
        touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": points})
        page.wait_for_selector("#shown-before:not([hidden])")
        assert shows_disc(page, disc)
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        expect(page.locator("#shown-before")).to_be_hidden()
        assert not shows_disc(page, disc)


@DEVICES
def test_blink_switches_until_it_is_pressed_again(
    server: str, browser: Any, device: dict[str, Any]
) -> None:
    with open_page(browser, server, **device, reduced_motion="no-preference") as page:
        open_result(page)
        before = page.locator("#shown-before")
        page.click("#blink")
        for _ in range(2):
            expect(before).to_be_visible()
            expect(before).to_be_hidden()
        expect(page.locator("#blink")).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("b")
        expect(page.locator("#blink")).to_have_attribute("aria-pressed", "false")
        page.wait_for_timeout(700)
        expect(before).to_be_hidden()


def test_blink_switches_once_where_motion_is_reduced(server: str, browser: Any) -> None:
    with open_page(browser, server) as page:
        disc = open_result(page)
        page.keyboard.press("b")
        page.wait_for_timeout(1200)
        assert shows_disc(page, disc)
        page.keyboard.press("b")
        assert not shows_disc(page, disc)


def test_the_result_is_copied_as_a_picture(server: str, browser: Any) -> None:
    with open_page(browser, server, permissions=CLIPBOARD) as page:
        disc = open_result(page)
        page.click("#copy-picture")
        page.wait_for_selector("#toasts p:has-text('Copied')")
        copied = np.asarray(Pillow.open(BytesIO(bytes(page.evaluate(READ_PICTURE)))).convert("RGB"))
        assert copied.shape == (120, 160, 3)
        assert max_difference(copied[INSIDE[1], INSIDE[0]].astype(int), disc) > 60


def test_the_page_says_so_if_the_browser_refuses_to_copy(server: str, browser: Any) -> None:
    with open_page(browser, server) as page:
        page.evaluate("() => { navigator.clipboard.write = () => Promise.reject(new Error()); }")
        open_result(page)
        page.click("#copy-picture")
        page.wait_for_selector("#toasts p:has-text('did not allow the page to copy')")


def test_a_result_that_is_wider_than_the_dashed_line_says_so_and_shows_its_line(
    server: str, browser: Any
) -> None:
    corners = [40, 20, 120, 20, 120, 100, 40, 100]

    def widen(route: Any) -> None:
        response = route.fetch()
        report = response.json()
        report["candidates"][0] |= {"box": [40, 20, 121, 101], "paths": [corners]}
        sleep(1)  # the report arrives after the outline
        route.fulfill(response=response, json=report)

    with open_page(browser, server) as page:
        disc = open_result(page)
        expect(page.locator("#widened")).to_be_hidden()
        page.route(re.compile(r"/results/[^/]+$"), widen)
        page.reload()
        expect(page.locator("#widened")).to_contain_text("more than the dashed line showed")
        page.wait_for_load_state("networkidle")
        assert max_difference(screen_color(page, 100, 20), disc) < 150
        plain = screen_color(page, 100, 20)
        page.click("#compare")
        page.wait_for_timeout(200)
        assert max_difference(screen_color(page, 100, 20), plain) > 40


def test_the_word_at_the_end_of_a_job_goes_with_an_undo(server: str, browser: Any) -> None:
    with open_page(browser, server) as page:
        open_photo(page)
        select_disc_by_color(page)
        page.click("#run")
        page.wait_for_selector("#status:has-text('Done.')")
        page.keyboard.press("Control+z")
        page.wait_for_selector("#status:not(:has-text('Done.'))", state="attached", timeout=2000)
