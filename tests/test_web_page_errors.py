"""The page in a real browser: errors, lost connections, hints and messages."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("playwright", reason="needs playwright, of the extra [dev]")
from playwright.sync_api import expect
from web_page import (
    PHONE,
    click_photo,
    open_page,
    open_page_with_errors,
    open_photo,
    run_job,
    screen_position,
    select_disc_by_color,
    wait_for_objects,
)
from web_server import DISC_CENTER, draw_scene, encode

pytestmark = pytest.mark.slow


def test_calls_are_repeated_once_when_the_server_answers_again(server: str, browser: Any) -> None:
    """The page says that the server is away, and loses nothing."""
    with open_page_with_errors(browser, server) as page:
        open_photo(page)
        calls: list[str] = []
        page.on("request", lambda r: calls.append(r.url) if r.url.endswith("/find") else None)
        page.context.set_offline(True)
        page.click("[data-tool=color]")
        click_photo(page, *DISC_CENTER)
        expect(page.locator("#status")).to_contain_text("does not answer")
        expect(page.locator("#objects")).to_contain_text("try again")
        expect(page.locator("#run")).to_be_disabled()
        page.context.set_offline(False)
        wait_for_objects(page)
        expect(page.locator("#status")).to_be_empty()
        assert len(calls) == 2
        page.context.set_offline(True)
        page.click("#run")
        page.wait_for_selector("#toasts p:has-text('does not answer')")
        expect(page.locator("#busy")).to_be_hidden()
        page.context.set_offline(False)
        expect(page.locator("#status")).to_be_empty()
        run_job(page)


def test_another_photo_can_be_opened_after_a_restart_of_the_server(
    server: str, browser: Any
) -> None:
    with open_page_with_errors(browser, server) as page:
        open_photo(page)
        not_found = {"error": {"kind": "NotFound", "message": "no such photo"}}
        page.route("**/photos/*", lambda route: route.fulfill(status=404, json=not_found))
        page.context.set_offline(True)
        page.click("[data-tool=color]")
        click_photo(page, *DISC_CENTER)
        expect(page.locator("#status")).to_contain_text("does not answer")
        page.context.set_offline(False)
        page.wait_for_selector("#toasts p:has-text('no longer on the server')")
        page.wait_for_selector("#choose:enabled")


def test_a_job_starts_once_and_is_followed_again_after_an_undo(server: str, browser: Any) -> None:
    """A second key press starts no second job. An undo returns from another photo to the job."""
    with open_page(browser, server) as page:
        open_photo(page)
        select_disc_by_color(page)
        held_calls: list[Any] = []
        page.route("**/jobs/*", lambda route: held_calls.append(route))
        with page.expect_request("**/jobs/*"):
            page.keyboard.press("Enter")
            page.keyboard.press("r")
        expect(page.locator("#busy")).to_be_visible()
        assert count_calls(page, "/jobs") == 1
        open_photo(page, encode(draw_scene(1)), "other.png")
        expect(page.locator("#busy")).to_be_hidden()
        running = {"state": "running", "place": 0, "stage": "inpaint", "share": 0.5, "sketches": 0}
        with page.expect_response("**/jobs/*"):
            held_calls.pop().fulfill(json=running)  # the last status before the undo
        page.unroute("**/jobs/*")
        page.keyboard.press("Control+z")
        page.wait_for_selector("#summary:has-text('repainted')")
        expect(page.locator("#busy")).to_be_hidden()
        assert count_calls(page, "/jobs") == 1


def count_calls(page: Any, end: str) -> int:
    """Return the number of answered calls of the page whose address has this end."""
    entries = "performance.getEntriesByType('resource').map(entry => entry.name)"
    return sum(str(name).endswith(end) for name in page.evaluate(entries))


def test_a_double_click_on_keep_editing_opens_one_photo(server: str, browser: Any) -> None:
    with open_page(browser, server) as page:
        calls: list[str] = []
        page.on("request", lambda r: calls.append(r.url) if "/continue" in r.url else None)
        open_photo(page)
        select_disc_by_color(page)
        run_job(page)
        page.dblclick("#continue")
        expect(page.locator("#about-photo")).to_contain_text("photo_out.png")
        expect(page.locator("#continue")).to_have_attribute("aria-busy", "false")
        assert len(calls) == 1


def test_the_hint_says_what_to_do_next(server: str, browser: Any) -> None:
    """The tooltip of the disabled run button says the same."""
    with open_page(browser, server) as page:
        open_photo(page)
        hint, button = page.locator("#hint"), page.locator("#run")
        expect(hint).to_contain_text("Click the object")
        assert button.get_attribute("title") == hint.inner_text()
        select_disc_by_color(page)
        expect(hint).to_contain_text("Then press Remove")
        page.keyboard.press("n")
        page.keyboard.press("p")
        click_photo(page, 20, 20)
        wait_for_objects(page, 2)
        expect(hint).to_contain_text("with Subtract")
        page.keyboard.press("x")
        click_photo(page, 20, 20)
        page.wait_for_selector("#toasts p:has-text('Subtract')")
        page.keyboard.press("Control+z")
        wait_for_objects(page, 1)
        page.click("[data-mode=replace]")
        expect(hint).to_contain_text("what to put there")
        page.click("[data-mode=remove]")
        page.click("#show-all")
        expect(hint).to_contain_text("Click all the objects that you want")
        expect(page.locator("#show-all")).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("c")
        expect(page.locator("#show-all")).to_have_attribute("aria-pressed", "false")
        page.click("#find-by-name")
        expect(page.locator("#find-submit")).to_be_disabled()
        page.click("#get-text-model")
        page.wait_for_selector("#models[open] li")


def test_a_phone_shows_the_verdict_even_if_the_panel_was_scrolled(
    server: str, browser: Any
) -> None:
    with open_page(browser, server, **PHONE) as page:
        open_photo(page)
        page.tap("[data-tool=color]")
        page.touchscreen.tap(*screen_position(page, *DISC_CENTER))
        wait_for_objects(page)
        page.locator("#more").scroll_into_view_if_needed()
        assert page.evaluate("() => document.querySelector('#panel').scrollTop") > 0
        run_job(page)
        expect(page.locator("#verdict")).to_be_in_viewport()
        expect(page.locator("#download")).to_be_in_viewport()
