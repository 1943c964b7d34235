"""The page in a real browser when things go wrong, and what it says of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the page needs the extra [web]")
pytest.importorskip("playwright", reason="needs playwright, of the extra [dev]")
from playwright.sync_api import expect
from web_page import LONG, PHONE, WIDE, Page, by_color, found, opened, place, run, tab
from web_server import DISC, file_of, scene

pytestmark = pytest.mark.slow


@contextmanager
def faulty(browser: Any, address: str) -> Iterator[Page]:
    """A page whose calls may fail, which browsers tell in the console."""
    context = browser.new_context(**WIDE, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(LONG)
    page.goto(address)
    yield page
    context.close()


def test_what_the_server_was_away_for_is_asked_again(server: str, browser: Any) -> None:
    """It is told, nothing is lost, and the page goes on by itself; it does not hammer."""
    with faulty(browser, server) as page:
        opened(page)
        asked: list[str] = []
        page.on("request", lambda r: asked.append(r.url) if r.url.endswith("/find") else None)
        page.context.set_offline(True)
        page.click("[data-tool=color]")
        page.mouse.click(*place(page, *DISC))
        expect(page.locator("#status")).to_contain_text("does not answer")
        expect(page.locator("#objects")).to_contain_text("try again")
        expect(page.locator("#run")).to_be_disabled()
        page.context.set_offline(False)
        found(page)
        expect(page.locator("#status")).to_be_empty()
        assert len(asked) == 2
        page.context.set_offline(True)
        page.click("#run")
        page.wait_for_selector("#toasts p:has-text('does not answer')")
        expect(page.locator("#busy")).to_be_hidden()
        page.context.set_offline(False)
        expect(page.locator("#status")).to_be_empty()
        run(page)


def test_a_photo_that_the_server_has_lost(server: str, browser: Any) -> None:
    """As after its restart: the page says so and can be used."""
    with faulty(browser, server) as page:
        opened(page)
        gone = {"error": {"kind": "Gone", "message": "no such photo"}}
        page.route("**/photos/*", lambda route: route.fulfill(status=404, json=gone))
        page.context.set_offline(True)
        page.click("[data-tool=color]")
        page.mouse.click(*place(page, *DISC))
        expect(page.locator("#status")).to_contain_text("does not answer")
        page.context.set_offline(False)
        page.wait_for_selector("#toasts p:has-text('no longer on the server')")
        page.wait_for_selector("#choose:enabled")


def test_a_job_is_started_once_and_followed_again(server: str, browser: Any) -> None:
    """However often its key is pressed; and after a look at another photo."""
    with tab(browser, server) as page:
        opened(page)
        by_color(page)
        held: list[Any] = []
        page.route("**/jobs/*", lambda route: held.append(route))
        with page.expect_request("**/jobs/*"):
            page.keyboard.press("Enter")
            page.keyboard.press("r")
        expect(page.locator("#busy")).to_be_visible()
        assert sent(page, "/jobs") == 1
        opened(page, file_of(scene(1)), "other.png")
        expect(page.locator("#busy")).to_be_hidden()
        runs = {"state": "running", "place": 0, "stage": "inpaint", "share": 0.5, "sketches": 0}
        with page.expect_response("**/jobs/*"):
            held.pop().fulfill(json=runs)  # the last that is heard of it
        page.unroute("**/jobs/*")
        page.keyboard.press("Control+z")
        page.wait_for_selector("#facts:has-text('repainted')")
        expect(page.locator("#busy")).to_be_hidden()
        assert sent(page, "/jobs") == 1


def sent(page: Any, end: str) -> int:
    """How many requests with such an address the page itself has sent and had answered."""
    entries = "performance.getEntriesByType('resource').map(entry => entry.name)"
    return sum(str(name).endswith(end) for name in page.evaluate(entries))


def test_what_takes_a_while_is_not_done_twice(server: str, browser: Any) -> None:
    with tab(browser, server) as page:
        went_on: list[str] = []
        page.on("request", lambda r: went_on.append(r.url) if "/continue" in r.url else None)
        opened(page)
        by_color(page)
        run(page)
        page.dblclick("#continue")
        expect(page.locator("#about-photo")).to_contain_text("photo_out.png")
        expect(page.locator("#continue")).to_have_attribute("aria-busy", "false")
        assert len(went_on) == 1


def test_what_to_do_next_is_said(server: str, browser: Any) -> None:
    """And why the button is not to be pressed yet."""
    with tab(browser, server) as page:
        opened(page)
        hint, button = page.locator("#hint"), page.locator("#run")
        expect(hint).to_contain_text("Click the object")
        assert button.get_attribute("title") == hint.inner_text()
        by_color(page)
        expect(hint).to_contain_text("Then press Remove")
        page.keyboard.press("n")
        page.keyboard.press("p")
        page.mouse.click(*place(page, 20, 20))
        found(page, 2)
        expect(hint).to_contain_text("with the Eraser")
        page.keyboard.press("x")
        page.mouse.click(*place(page, 20, 20))
        page.wait_for_selector("#toasts p:has-text('Eraser')")
        page.keyboard.press("Control+z")
        found(page, 1)
        page.click("[data-mode=replace]")
        expect(hint).to_contain_text("what should stand there")
        page.click("[data-mode=remove]")
        page.click("#ask-all")
        expect(hint).to_contain_text("Click all that you mean")
        expect(page.locator("#ask-all")).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("c")
        expect(page.locator("#ask-all")).to_have_attribute("aria-pressed", "false")
        page.click("#ask-text")
        expect(page.locator("#find-words")).to_be_disabled()
        page.click("#get-reader")
        page.wait_for_selector("#models[open] li")


def test_a_phone_shows_the_verdict_first(server: str, browser: Any) -> None:
    """Wherever the settings had been scrolled to."""
    with tab(browser, server, **PHONE) as page:
        opened(page)
        page.tap("[data-tool=color]")
        page.touchscreen.tap(*place(page, *DISC))
        found(page)
        page.locator("#more").scroll_into_view_if_needed()
        assert page.evaluate("() => document.querySelector('#panel').scrollTop") > 0
        run(page)
        expect(page.locator("#verdict")).to_be_in_viewport()
        expect(page.locator("#download")).to_be_in_viewport()
