"""The page in a real browser: outlines of things at the edge that could go."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("playwright", reason="needs playwright, of the extra [dev]")
from playwright.sync_api import expect
from web_page import (
    Page,
    click_photo,
    max_difference,
    open_page,
    open_photo,
    run_job,
    screen_color,
    screen_position,
    wait_for_objects,
)
from web_server import DISC_CENTER

pytestmark = pytest.mark.slow

CORNER, CORNER_SIDE = (20, 30), 30  # (x, y) of a square that the server says could go
SQUARE = [20, 30, 50, 30, 50, 60, 20, 60]
INSIDE = 30, 50  # a pixel of it
THING = {"click": [CORNER[0] + 5, CORNER[1] + 5], "paths": [SQUARE]}


def offer_square(page: Page) -> list[str]:
    """Let the server find one thing. Return the list of the searches that the page asks for."""
    calls: list[str] = []

    def answer(route: Any) -> None:
        calls.append(route.request.url)
        route.fulfill(json=[THING])

    page.route("**/distractions", answer)
    return calls


def switch_on(page: Page) -> None:
    page.click("#more summary")
    page.check("#distractions")
    page.wait_for_selector("#status:has-text('1 thing at the edge could go')")


def test_nothing_is_looked_for_unless_asked(server: str, browser: Any) -> None:
    with open_page(browser, server) as page:
        calls = offer_square(page)
        open_photo(page)
        page.click("#more summary")
        expect(page.locator("#distractions")).not_to_be_checked()
        assert not calls


def test_a_click_in_an_outline_selects_what_it_encloses(server: str, browser: Any) -> None:
    """A second outline is not a further click on the first object."""
    with open_page(browser, server) as page:
        offer_square(page)
        open_photo(page)
        edge = SQUARE[0], 45
        before = screen_color(page, *edge)
        switch_on(page)
        assert max_difference(before, screen_color(page, *edge)) > 12
        click_photo(page, *DISC_CENTER)
        wait_for_objects(page)
        with page.expect_request("**/find") as call:
            click_photo(page, *INSIDE)
        (prompt,) = call.value.post_data_json["prompts"]
        assert prompt["points"]["include"] == [THING["click"]]
        expect(page.locator("#objects li")).to_have_count(2)
        page.mouse.move(*screen_position(page, *DISC_CENTER))
        page.wait_for_timeout(200)
        page.keyboard.press("Control+z")
        page.uncheck("#distractions")
        page.wait_for_timeout(200)
        assert max_difference(before, screen_color(page, *edge)) < 6


def test_the_choice_stays_and_another_photo_is_searched_once(server: str, browser: Any) -> None:
    with open_page(browser, server) as page:
        calls = offer_square(page)
        open_photo(page)
        switch_on(page)
        page.reload()
        page.wait_for_selector("#status:has-text('1 thing at the edge could go')")
        open_photo(page, name="other.png")
        page.wait_for_selector("#status:has-text('1 thing at the edge could go')")
        click_photo(page, *DISC_CENTER)
        wait_for_objects(page)
        run_job(page)
        page.click("#back")
        assert len(calls) == 3
        assert len(set(calls)) == 2


def test_the_preview_under_the_pointer_is_the_outline(server: str, browser: Any) -> None:
    with open_page(browser, server) as page:
        offer_square(page)
        open_photo(page)
        switch_on(page)
        before = screen_color(page, *INSIDE)
        page.mouse.move(*screen_position(page, 40, 40))
        page.wait_for_timeout(300)
        assert max_difference(before, screen_color(page, *INSIDE)) > 10


def test_erase_removes_the_whole_thing(server: str, browser: Any) -> None:
    with open_page(browser, server) as page:
        offer_square(page)
        open_photo(page)
        switch_on(page)
        page.click("[data-tool=erase]")
        with page.expect_request("**/find") as call:
            click_photo(page, *INSIDE)
        assert call.value.post_data_json["prompts"][0]["points"]["include"] == [THING["click"]]
