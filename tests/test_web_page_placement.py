"""The page in a real browser: a picture is dropped, moved, scaled, turned, and inserted there."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip("playwright", reason="needs playwright, of the extra [dev]")
from PIL import Image as Pillow
from playwright.sync_api import expect
from web_page import (
    PHONE,
    Page,
    open_page,
    open_photo,
    run_job,
    screen_position,
    screenshot,
    select_disc_by_color,
)
from web_server import draw_scene, encode

pytestmark = pytest.mark.slow

GREEN = (0, 200, 0)
VASE = np.full((40, 20, 3), GREEN, np.uint8)
DROP_PICTURE = """bytes => {
  const dropped = new DataTransfer();
  dropped.items.add(new File([new Uint8Array(bytes)], "vase.png", { type: "image/png" }));
  window.dispatchEvent(new DragEvent("drop", { dataTransfer: dropped, cancelable: true }));
}"""


def insert_vase(page: Page) -> None:
    """Select the disc and drop a green picture on the page."""
    open_photo(page)
    select_disc_by_color(page)
    page.keyboard.press("c")
    page.click("[data-mode=replace]")
    page.evaluate(DROP_PICTURE, list(encode(VASE)))
    page.wait_for_selector("#placement:not([hidden])")


def green_box(pixels: np.ndarray) -> np.ndarray:
    """Return x0, y0, x1, y1 of the green pixels."""
    rows, columns = np.nonzero(abs(pixels.astype(int) - GREEN).max(axis=2) < 60)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def shown_box(page: Page) -> np.ndarray:
    """Return the box of the green pixels on the screen, in photo px."""
    page.evaluate("document.querySelector('#placement').classList.add('passive')")  # no handles
    box = green_box(screenshot(page))
    page.evaluate("document.querySelector('#placement').classList.remove('passive')")
    (x0, y0), (x1, _) = screen_position(page, -0.5, -0.5), screen_position(page, 99.5, -0.5)
    return (box - np.array([x0, y0] * 2)) / ((x1 - x0) / 100)


def result_box(page: Page) -> np.ndarray:
    run_job(page)
    expect(page.locator("#summary")).to_contain_text("0 changed elsewhere")
    with page.expect_download() as download:
        page.click("#download")
    pixels = np.asarray(Pillow.open(download.value.path()).convert("RGB"))
    assert (pixels[0] == draw_scene()[0]).all()
    return green_box(pixels)


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=5)
    page.mouse.up()


def touch(page: Page, *steps: list[tuple[float, float]]) -> None:
    """Put down fingers one after another, move them, and lift them all after the last step."""
    session = page.context.new_cdp_session(page)
    fingers = 0
    for step in [*steps, []]:
        kind = "touchMove" if step and len(step) == fingers else "touchStart"
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(step)]
        message = {"type": kind if step else "touchEnd", "touchPoints": points}
        session.send("Input.dispatchTouchEvent", message)
        fingers = len(step)


def center_of(page: Page, selector: str) -> tuple[float, float]:
    box = page.locator(selector).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_dropped_picture_is_dragged_turned_and_inserted_where_it_was_shown(
    server: str, browser: Any
) -> None:
    with open_page(browser, server) as page:
        insert_vase(page)
        expect(page.locator("#picture-name")).to_have_text("vase.png")
        before = shown_box(page)
        drag(page, center_of(page, "#placement"), screen_position(page, 110, 55))
        moved = shown_box(page)
        assert moved[0] - before[0] > 15
        drag(page, center_of(page, "#placement i:nth-of-type(4)"), screen_position(page, 125, 85))
        assert shown_box(page)[3] - shown_box(page)[1] > moved[3] - moved[1] + 5
        x, y = center_of(page, "#placement i:nth-of-type(5)")
        drag(page, (x, y), (x + 90, y + 50))
        shown = shown_box(page)
        assert shown[2] - shown[0] > 22  # turned
        with page.expect_request(re.compile(r"/jobs$")) as started:
            found = result_box(page)
        placement = started.value.post_data_json["fill"]["picture_placement"]
        assert set(placement) == {"at", "scale", "angle"}
        assert abs(found - shown).max() < 1.5


def test_keys_move_scale_turn_and_flip_and_undo_takes_a_series_back(
    server: str, browser: Any
) -> None:
    with open_page(browser, server) as page:
        insert_vase(page)
        before = shown_box(page)
        page.focus("#placement")
        for key in ("ArrowRight", "Shift+ArrowRight", "ArrowUp"):
            page.keyboard.press(key)
        page.wait_for_timeout(100)
        assert abs(shown_box(page) - before - [11, -1, 11, -1]).max() < 0.5
        page.keyboard.press("Control+z")
        page.wait_for_timeout(100)
        assert abs(shown_box(page) - before).max() < 0.5
        for key in ("+", "]", "f"):
            page.keyboard.press(key)
        page.click("#contact-shadow")
        page.focus("#blend")
        page.keyboard.press("ArrowRight")
        with page.expect_request(re.compile(r"/jobs$")) as started:
            page.click("#run")
        placement = started.value.post_data_json["fill"]["picture_placement"]
        assert placement["scale"] == 1.02
        assert placement["angle"] == 1
        assert placement["flip"] is placement["contact_shadow"] is True
        assert placement["blend"] == 0.05
        page.wait_for_selector("#summary:has-text('0 changed elsewhere')")
        expect(page.locator("#judgement")).to_contain_text("look at it yourself")


def test_two_fingers_scale_and_turn_the_picture(server: str, browser: Any) -> None:
    with open_page(browser, server, **PHONE) as page:
        insert_vase(page)
        x, y = center_of(page, "#placement")
        across = [(x - 10, y), (x + 10, y)]
        touch(page, across[:1], across, [(x, y - 20), (x, y + 20)])
        with page.expect_request(re.compile(r"/jobs$")) as started:
            page.click("#run")
        placement = started.value.post_data_json["fill"]["picture_placement"]
        assert placement["scale"] == pytest.approx(2, abs=0.01)
        assert placement["angle"] == pytest.approx(90, abs=0.5)
        page.wait_for_selector("#summary:has-text('0 changed elsewhere')")


def test_the_photo_below_the_picture_can_be_painted_and_the_place_reset(
    server: str, browser: Any
) -> None:
    with open_page(browser, server) as page:
        insert_vase(page)
        before = shown_box(page)
        drag(page, center_of(page, "#placement"), screen_position(page, 110, 55))
        page.click("#reset-placement")
        page.wait_for_timeout(100)
        assert abs(shown_box(page) - before).max() < 0.5
        page.keyboard.press("p")
        page.mouse.move(*center_of(page, "#placement"))
        with page.expect_response("**/strokes"):
            page.mouse.down()
            page.mouse.up()
        page.keyboard.press("c")
        page.click("#clear-picture")
        page.wait_for_selector("#placement", state="hidden")


def test_a_picture_in_which_nothing_stands_out_says_so(server: str, browser: Any) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(server)
    insert_vase(page)
    page.check("#picture-cutout")
    page.wait_for_selector("#toasts p:has-text('no object stands out')")
    page.uncheck("#picture-cutout")
    page.wait_for_selector("#placement:not([hidden])")
    context.close()
