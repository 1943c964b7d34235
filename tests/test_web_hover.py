"""The hover preview of the page in a real browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fake_networks import MAX_WAIT, HeldNetwork

pytest.importorskip("playwright", reason="needs playwright, of the extra [dev]")
from playwright.sync_api import expect
from web_page import (
    PHONE,
    Page,
    click_photo,
    drag_on_photo,
    max_difference,
    open_page,
    open_photo,
    screen_color,
    screen_position,
    wait_for_objects,
)
from web_server import DISC_CENTER, draw_scene, encode, make_app, run_server

from segment2inpaint import detect
from segment2inpaint.web.app_state import AppState

INSIDE = 86, 66  # a pixel of the disc that no marker of a click at its center covers
OTHER_TOOLS = "exclude", "box", "brush", "erase", "color", "hand"


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[HeldNetwork]:
    fake = HeldNetwork()
    monkeypatch.setattr(detect, "load", lambda *_, **__: fake.detector)
    yield fake
    fake.decoder.released.set()


@pytest.fixture
def address(network: HeldNetwork) -> Iterator[str]:
    with run_server(make_app()) as server:
        yield server


def move(page: Page, x: float, y: float) -> None:
    page.mouse.move(*screen_position(page, x, y))


def hover(page: Page, x: float, y: float) -> Any:
    """Rest the pointer at a pixel of the photo. Return the answer of the server."""
    with page.expect_response("**/hover") as call:
        move(page, x, y)
    answer = call.value.json()
    page.wait_for_timeout(100)
    return answer


def record_hovers(page: Page) -> list[str]:
    calls: list[str] = []
    page.on("request", lambda r: calls.append(r.url) if r.url.endswith("/hover") else None)
    return calls


def shows_preview(page: Page) -> bool:
    """Return whether the disc is tinted."""
    page.wait_for_timeout(100)
    return max_difference(screen_color(page, *INSIDE), draw_scene()[66, 86].astype(float)) > 15


@pytest.mark.slow
def test_the_object_under_the_pointer_is_shown_until_the_pointer_leaves_it(
    address: str, browser: Any
) -> None:
    with open_page(browser, address) as page:
        open_photo(page)
        assert not shows_preview(page)
        assert hover(page, *DISC_CENTER)["paths"]
        assert shows_preview(page)
        expect(page.locator("#status")).to_be_empty()  # not announced
        move(page, 20, 20)
        assert not shows_preview(page)
        hover(page, *DISC_CENTER)
        assert shows_preview(page)
        page.hover("#open")
        assert not shows_preview(page)
        expect(page.locator("#undo")).to_be_disabled()


@pytest.mark.slow
def test_a_click_shows_the_previewed_mask_before_the_server_answers_and_finds_the_same(
    address: str, browser: Any
) -> None:
    with open_page(browser, address) as page:
        open_photo(page)
        preview = hover(page, *DISC_CENTER)
        held: list[Any] = []
        page.route("**/find", lambda route: held.append(route))
        click_photo(page, *DISC_CENTER)
        expect(page.locator("#objects")).to_contain_text("looking")
        assert shows_preview(page)
        with page.expect_response("**/find") as call:
            held[0].continue_()
        assert [found["paths"] for found in call.value.json()["objects"]] == [preview["paths"]]
        wait_for_objects(page)
        page.click("#undo")
        expect(page.locator("#objects li")).to_have_count(0)
        expect(page.locator("#undo")).to_be_disabled()


@pytest.mark.slow
def test_a_click_after_an_undo_does_not_show_the_mask_that_was_undone(
    address: str, browser: Any
) -> None:
    with open_page(browser, address) as page:
        open_photo(page)
        click_photo(page, *DISC_CENTER)
        wait_for_objects(page)
        page.click("#undo")
        held: list[Any] = []
        page.route("**/find", lambda route: held.append(route))
        click_photo(page, 20, 20)
        expect(page.locator("#objects")).to_contain_text("looking")
        assert not shows_preview(page)
        held[0].continue_()


@pytest.mark.slow
def test_a_further_click_is_previewed_outside_the_selected_object_only(
    address: str, browser: Any
) -> None:
    pixels = draw_scene()
    pixels[95:110, 20:40] = (220, 40, 30)  # another red object
    with open_page(browser, address) as page:
        open_photo(page, encode(pixels))
        click_photo(page, *DISC_CENTER)
        wait_for_objects(page)
        calls = record_hovers(page)
        move(page, *INSIDE)
        page.wait_for_timeout(200)
        assert not calls
        with page.expect_request("**/hover") as call:
            move(page, 30, 100)
        (prompt,) = call.value.post_data_json["prompts"]
        assert prompt == {"points": {"include": [[*DISC_CENTER], [30, 100]]}}


@pytest.mark.slow
@pytest.mark.parametrize("tool", OTHER_TOOLS)
def test_no_other_tool_previews_a_click(address: str, browser: Any, tool: str) -> None:
    with open_page(browser, address) as page:
        open_photo(page)
        calls = record_hovers(page)
        page.click(f"[data-tool={tool}]")
        move(page, *DISC_CENTER)
        page.wait_for_timeout(200)
        assert not calls
        page.click("[data-tool=click]")
        hover(page, *DISC_CENTER)
        assert shows_preview(page)


@pytest.mark.slow
def test_a_key_the_wheel_and_a_drag_end_the_preview(address: str, browser: Any) -> None:
    with open_page(browser, address) as page:
        open_photo(page)
        hover(page, *DISC_CENTER)
        page.keyboard.press("Shift")
        assert not shows_preview(page)
        hover(page, 78, 60)
        page.mouse.wheel(0, 1)
        assert not shows_preview(page)
        page.keyboard.press("0")
        hover(page, *DISC_CENTER)
        calls = record_hovers(page)
        drag_on_photo(page, DISC_CENTER, (100, 80))
        page.wait_for_timeout(200)
        assert not shows_preview(page)
        assert not calls


@pytest.mark.slow
def test_a_touch_previews_nothing(address: str, browser: Any) -> None:
    with open_page(browser, address, **PHONE) as page:
        open_photo(page)
        calls = record_hovers(page)
        page.touchscreen.tap(*screen_position(page, *DISC_CENTER))
        wait_for_objects(page)
        assert not calls


@pytest.mark.slow
def test_a_running_job_previews_nothing(address: str, browser: Any) -> None:
    with open_page(browser, address) as page:
        open_photo(page)
        click_photo(page, *DISC_CENTER)
        wait_for_objects(page)
        page.route("**/jobs/*", lambda route: None)  # the page waits for it
        page.click("#run")
        page.wait_for_selector("#busy:not([hidden])")
        calls = record_hovers(page)
        move(page, 20, 20)
        page.wait_for_timeout(200)
        assert not calls
        page.unroute("**/jobs/*")


@pytest.mark.slow
def test_the_preview_can_be_switched_off_for_good(address: str, browser: Any) -> None:
    with open_page(browser, address) as page:
        open_photo(page)
        page.click("#more summary")
        page.uncheck("#hover")
        expect(page.locator("#undo")).to_be_disabled()  # a setting of the page, not of the document
        page.reload()
        page.wait_for_selector("#about-photo:has-text('photo.png')", state="attached")
        calls = record_hovers(page)
        move(page, *DISC_CENTER)
        page.wait_for_timeout(200)
        assert not calls
        page.click("#more summary")
        page.check("#hover")
        hover(page, *DISC_CENTER)


@pytest.mark.slow
def test_no_preview_is_asked_for_before_the_embedding_is_computed(
    address: str, browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare, embedding_wanted = AppState.prepare, threading.Event()

    def wait_and_prepare(state: AppState, session: Any) -> None:
        embedding_wanted.wait(MAX_WAIT)
        prepare(state, session)

    monkeypatch.setattr(AppState, "prepare", wait_and_prepare)
    with open_page(browser, address) as page:
        open_photo(page)
        calls = record_hovers(page)
        move(page, *DISC_CENTER)
        page.wait_for_timeout(200)
        assert not calls
        embedding_wanted.set()
        page.wait_for_timeout(1100)  # the page asks once a second
        hover(page, 78, 60)
        assert shows_preview(page)


@pytest.mark.slow
def test_slow_answers_switch_the_preview_off_until_another_photo_is_opened(
    address: str, browser: Any, network: HeldNetwork
) -> None:
    with open_page(browser, address) as page:
        open_photo(page)
        network.decoder.delay = 0.35
        for x in (76, 80, 84):
            hover(page, x, 60)
        assert not shows_preview(page)
        calls = record_hovers(page)
        move(page, 80, 66)
        page.wait_for_timeout(200)
        assert not calls
        network.decoder.delay = 0
        open_photo(page, encode(draw_scene(seed=1)), "other.png")
        hover(page, *DISC_CENTER)
        assert shows_preview(page)


@pytest.mark.slow
def test_a_move_cancels_the_question_in_flight_and_the_server_drops_stale_ones(
    address: str, browser: Any, network: HeldNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_page(browser, address) as page:
        open_photo(page)
        hover(page, 20, 20)  # the page knows that the embedding is computed
        in_flight, most = 0, 0

        def count(change: int) -> Any:
            def on_request(request: Any) -> None:
                nonlocal in_flight, most
                in_flight += change if request.url.endswith("/hover") else 0
                most = max(most, in_flight)

            return on_request

        for event, change in (("request", 1), ("requestfinished", -1), ("requestfailed", -1)):
            page.on(event, count(change))
        asked: list[int] = []
        find = network.detector.detect

        def detect_and_record(image: Any, prompts: Any) -> Any:
            asked.extend(x for prompt in prompts for x, _ in prompt.include)
            return find(image, prompts)

        monkeypatch.setattr(network.detector, "detect", detect_and_record)
        network.decoder.released.clear()
        for x in (70, 74, 78, 82, 86):
            with page.expect_request("**/hover"):
                move(page, x, 60)
        with page.expect_response("**/hover"):
            network.decoder.released.set()
        assert most == 1
        assert asked == [70, 86]  # the one that had started, and the newest
        assert shows_preview(page)
