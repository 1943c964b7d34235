"""The tool Erase in a real browser: one gesture removes, and the result is gone on from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("playwright", reason="needs playwright, of the extra [dev]")
from playwright.sync_api import expect
from web_page import (
    PHONE,
    WIDE,
    Page,
    drag_on_photo,
    max_difference,
    open_page,
    open_page_with_errors,
    open_photo,
    screen_color,
    screen_position,
)
from web_server import DISC_CENTER, draw_scene, encode

pytestmark = pytest.mark.slow

DEVICES = pytest.mark.parametrize("device", [WIDE, PHONE], ids=["wide", "phone"])
SPOT = (30, 95)  # the centre of a blue square
RED, BLUE = np.array([200, 60, 60]), np.array([40, 60, 220])


def draw_two_objects() -> bytes:
    pixels = draw_scene()
    x, y = SPOT
    pixels[y - 6 : y + 6, x - 6 : x + 6] = BLUE
    return encode(pixels)


def stroke_over_spot(page: Page, device: dict[str, Any]) -> None:
    """Draw a stroke over the blue square, with the mouse or a finger."""
    x, y = SPOT
    points = [screen_position(page, column, y) for column in (x - 6, x, x + 6)]
    if device is WIDE:
        drag_on_photo(page, (x - 6, y), (x + 6, y))
        return page.mouse.up()
    touch = page.context.new_cdp_session(page)
    for kind, (left, top) in zip(("touchStart", "touchMove", "touchMove"), points, strict=True):
        position = [{"x": left, "y": top}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": position})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def tap(page: Page, device: dict[str, Any], x: float, y: float) -> None:
    press = page.mouse.click if device is WIDE else page.touchscreen.tap
    press(*screen_position(page, x, y))


def wait_for_removals(page: Page, count: int) -> None:
    expect(page.locator("#history button")).to_have_count(count)
    expect(page.locator("#busy")).to_be_hidden()
    page.wait_for_selector("#summary:has-text('repainted')")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(150)


def objects_shown(page: Page) -> tuple[bool, bool]:
    """Return whether the red disc and the blue square are on the screen."""
    page.wait_for_timeout(150)
    page.wait_for_load_state("networkidle")
    disc = max_difference(screen_color(page, *DISC_CENTER), RED) < 60
    return disc, max_difference(screen_color(page, *SPOT), BLUE) < 60


@DEVICES
def test_strokes_and_clicks_remove_one_thing_after_the_other_each_in_one_step(
    server: str, browser: Any, device: dict[str, Any]
) -> None:
    with open_page(browser, server, **device) as page:
        open_photo(page, draw_two_objects())
        page.click("[data-tool=erase]")
        assert objects_shown(page) == (True, True)
        stroke_over_spot(page, device)
        wait_for_removals(page, 1)
        assert objects_shown(page) == (True, False)
        tap(page, device, *DISC_CENTER)
        wait_for_removals(page, 2)
        assert objects_shown(page) == (False, False)
        page.click("#undo")
        assert objects_shown(page) == (True, False)
        page.click("#undo")
        assert objects_shown(page) == (True, True)
        expect(page.locator("#undo")).to_be_disabled()
        page.click("#redo")
        page.click("#redo")
        assert objects_shown(page) == (False, False)
        expect(page.locator("#redo")).to_be_disabled()


def test_erase_works_by_keyboard(server: str, browser: Any) -> None:
    """E chooses it, the arrow keys move the crosshair, Enter removes what is there."""
    with open_page(browser, server) as page:
        open_photo(page, draw_two_objects())
        page.focus("#canvas")
        page.keyboard.press("e")
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("Enter")
        wait_for_removals(page, 1)
        assert objects_shown(page) == (False, True)
        page.keyboard.press("Control+z")
        assert objects_shown(page) == (True, True)


def test_escape_cancels_a_removal_and_leaves_no_step(server: str, browser: Any) -> None:
    """While its mask is looked for, and while it is painted."""
    large = np.kron(draw_scene(), np.ones((5, 5, 1), np.uint8))
    with open_page(browser, server) as page:
        open_photo(page, encode(large))
        page.keyboard.press("e")
        held: list[Any] = []
        page.route("**/find", lambda route: held.append(route))
        with page.expect_request("**/find"):
            page.mouse.click(*screen_position(page, 400, 300, (600, 800)))
        expect(page.locator("#busy-stage")).to_have_text("Looking for the object")
        page.keyboard.press("Escape")
        expect(page.locator("#busy")).to_be_hidden()
        page.unroute("**/find")
        expect(page.locator("#undo")).to_be_disabled()
        expect(page.locator("#objects li")).to_have_count(0)
        waiting: list[Any] = []
        page.route("**/jobs/*?*", lambda route: waiting.append(route))  # not the cancellation
        page.mouse.click(*screen_position(page, 400, 300, (600, 800)))
        expect(page.locator("#busy-stage")).to_have_text("Starting…")
        expect(page.locator("#objects li")).to_have_count(1)
        with page.expect_response(lambda r: r.request.method == "DELETE"):
            page.keyboard.press("Escape")
        for route in waiting:
            route.continue_()
        expect(page.locator("#busy")).to_be_hidden()
        expect(page.locator("#undo")).to_be_disabled()
        expect(page.locator("#history button")).to_have_count(0)


def test_a_click_on_nothing_removes_nothing(server: str, browser: Any) -> None:
    with open_page_with_errors(browser, server) as page:
        open_photo(page)
        page.keyboard.press("e")
        nothing = {"error": {"kind": "NothingFound", "message": "photo.png: nothing at (9, 9)"}}
        page.route("**/find", lambda route: route.fulfill(status=422, json=nothing))
        page.mouse.click(*screen_position(page, 9, 9))
        page.wait_for_selector("#toasts p:has-text('Paint over it instead')")
        expect(page.locator("#busy")).to_be_hidden()
        expect(page.locator("#undo")).to_be_disabled()
