"""The page in a real browser: several photos in a strip."""

from __future__ import annotations

import csv
import zipfile
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("playwright", reason="needs playwright, of the extra [dev]")
from playwright.sync_api import expect
from web_page import (
    PHONE,
    Page,
    click_photo,
    drag_on_photo,
    open_page,
    open_page_with_errors,
    open_photo,
    run_job,
    scenes,
    screen_position,
    select_disc_by_color,
    wait_for_objects,
    wait_for_photo,
)
from web_server import DISC_CENTER, decode, draw_scene, encode, make_app, run_server

from segment2inpaint.web.limits import Limits

pytestmark = pytest.mark.slow

PIXEL = (DISC_CENTER[1], DISC_CENTER[0])  # the index of the disc's center in a scene
RUN_TIMEOUT = 120_000  # ms, for the photos of a run
BROKEN = ("broken.png", b"not a picture")


def open_photos(page: Page, files: list[tuple[str, bytes]]) -> None:
    page.wait_for_selector("#formats:has-text('JPEG')", state="attached")
    chosen = [{"name": name, "mimeType": "image/png", "buffer": data} for name, data in files]
    page.set_input_files("#file", chosen)
    expect(page.locator("#strip-photos li")).to_have_count(len(files))
    wait_for_photo(page, next(name for name, data in files if data != BROKEN[1]))


def thumbnail(page: Page, index: int) -> Any:
    return page.locator("#strip-photos li").nth(index)


def use_fast_fill(page: Page) -> None:
    page.click("#more summary")
    page.select_option("#inpainter", "telea")


def run_all(page: Page) -> None:
    page.click("#run-all")
    page.wait_for_selector("#strip-progress:not([hidden])")
    page.wait_for_selector("#run-all:visible", timeout=RUN_TIMEOUT)
    page.wait_for_load_state("networkidle")


def marks(page: Page) -> list[str]:
    items = page.locator("#strip-photos li").all()
    return [item.get_attribute("data-mark") for item in items]


def download_all(page: Page) -> zipfile.ZipFile:
    with page.expect_download() as download:
        page.click("#download-all")
    assert download.value.suggested_filename == "photos.zip"
    return zipfile.ZipFile(download.value.path())


def test_ten_photos_with_one_stain_are_cleaned_in_five_actions(server: str, browser: Any) -> None:
    """Choose, pick the colour tool, click, remove in all, download all."""
    files = scenes(10)
    with open_page(browser, server) as page:
        open_photos(page, files)
        page.click("[data-tool=color]")
        click_photo(page, *DISC_CENTER)
        run_all(page)
        expect(page.locator("#strip-note")).to_contain_text("10 of 10 photos are done")
        assert set(marks(page)) <= {"clean", "doubtful"}
        archive = download_all(page)
        assert archive.namelist() == [*(name for name, _ in files), "verdicts.csv"]
        for name, data in files:
            before, after = decode(data).astype(int), decode(archive.read(name)).astype(int)
            assert abs(after[PIXEL] - before[PIXEL]).max() > 50
            assert (after[0] == before[0]).all()
        rows = list(csv.DictReader(StringIO(archive.read("verdicts.csv").decode())))
        assert [row["verdict"] for row in rows] == marks(page)
        thumbnail(page, 6).click()
        wait_for_photo(page, "scan 7.png")
        with page.expect_download() as download:
            page.click("#download")
        assert Path(download.value.path()).read_bytes() == archive.read("scan 7.png")


def test_a_broken_file_stops_no_other_and_own_clicks_are_kept(server: str, browser: Any) -> None:
    """A run again edits only what has changed since."""
    first, second, third = scenes(3)
    with open_page_with_errors(browser, server) as page:
        open_photos(page, [BROKEN, first, BROKEN, second, third])
        expect(page.locator("#strip-note")).to_contain_text("broken.png: not a picture")
        thumbnail(page, 4).click()
        wait_for_photo(page, "scan 3.png")
        use_fast_fill(page)
        page.click("[data-tool=box]")
        drag_on_photo(page, (10, 10), (40, 40))
        page.mouse.up()
        wait_for_objects(page)
        thumbnail(page, 1).click()
        wait_for_photo(page, "scan 1.png")
        expect(page.locator("#objects li")).to_have_count(0)
        select_disc_by_color(page)
        jobs: list[str] = []
        page.on("request", lambda r: jobs.append(r.post_data) if r.url.endswith("/jobs") else None)
        run_all(page)
        assert [marks(page)[i] for i in (0, 2)] == ["error", "error"]
        assert not {marks(page)[i] for i in (1, 3, 4)} & {"error", ""}
        expect(page.locator("#strip-note")).to_contain_text("3 of 5 photos are done")
        assert page.inner_text("#strip-note").count("broken.png: not a picture") == 2
        assert ["box" in (body or "") for body in jobs] == [False, False, True]
        run_all(page)
        assert len(jobs) == 3
        page.click("#back")
        page.fill("#seed", "5")
        page.press("#seed", "Enter")
        run_all(page)
        assert len(jobs) == 5
        expect(thumbnail(page, 2)).to_have_attribute("title", "broken.png, " + error_of(page, 2))


def error_of(page: Page, index: int) -> str:
    title = thumbnail(page, index).get_attribute("title")
    assert "not a picture" in title
    return str(title).partition(", ")[2]


def test_a_photo_in_which_the_click_selects_far_more_is_left_to_the_user(
    server: str, browser: Any
) -> None:
    """The ground has the disc's colour in the second photo."""
    first, third = scenes(2)
    plain = np.full((120, 160, 3), decode(first[1])[PIXEL], np.uint8)
    with open_page(browser, server) as page:
        open_photos(page, [first, ("plain.png", encode(plain)), third])
        use_fast_fill(page)
        select_disc_by_color(page)
        run_all(page)
        assert marks(page)[1] == "error"
        assert not {marks(page)[i] for i in (0, 2)} & {"error", ""}
        expect(page.locator("#strip-note")).to_contain_text("plain.png: the same click selects")


def test_the_reason_of_a_failure_stays_when_the_photo_is_shown(server: str, browser: Any) -> None:
    """Here a prompt needs a model that is not installed."""
    with open_page(browser, server) as page:
        open_photos(page, scenes(2))
        select_disc_by_color(page)
        page.click("[data-mode=replace]")
        page.fill("#prompt", "a rose")
        run_all(page)
        assert marks(page) == ["error", "error"]
        thumbnail(page, 1).click()
        wait_for_photo(page, "scan 2.png")
        assert marks(page) == ["error", "error"]
        expect(page.locator("#strip-note")).to_contain_text("scan 2.png: ")
        expect(page.locator("#download-all")).to_be_hidden()
        select_disc_by_color(page)
        run_job(page)
        assert marks(page)[0] == "error"
        assert marks(page)[1] in ("clean", "doubtful")
        expect(page.locator("#strip-note")).not_to_contain_text("scan 2.png: ")


def test_each_photo_has_its_own_history(server: str, browser: Any) -> None:
    """An undo never goes to another photo. A photo opened alone becomes the first of a strip."""
    with open_page(browser, server) as page:
        open_photo(page, encode(draw_scene()), "alone.png")
        select_disc_by_color(page)
        files = [
            {"name": name, "mimeType": "image/png", "buffer": data} for name, data in scenes(2)
        ]
        page.set_input_files("#file", files)
        wait_for_photo(page, "scan 1.png")
        expect(page.locator("#strip-photos li")).to_have_count(3)
        expect(page.locator("#undo")).to_be_disabled()
        use_fast_fill(page)
        select_disc_by_color(page)
        run_job(page)
        thumbnail(page, 0).click()
        wait_for_photo(page, "alone.png")
        wait_for_objects(page, 1)
        expect(page.locator("#result-section")).to_be_hidden()
        page.keyboard.press("Control+z")
        expect(page.locator("#objects li")).to_have_count(0)
        expect(page.locator("#undo")).to_be_disabled()
        thumbnail(page, 1).click()
        wait_for_photo(page, "scan 1.png")
        expect(page.locator("#result-section")).to_be_visible()
        page.click("#remove-photo")
        page.click("#remove-photo")
        expect(page.locator("#strip")).to_be_hidden()
        page.wait_for_selector("#about-photo:has-text('alone.png')", state="attached")
        page.reload()
        page.wait_for_selector("#about-photo:has-text('alone.png')", state="attached")


def test_a_second_click_on_remove_takes_out_the_photo_that_is_being_opened(
    server: str, browser: Any
) -> None:
    with open_page(browser, server) as page:
        open_photos(page, scenes(3))
        thumbnail(page, 1).click()
        wait_for_photo(page, "scan 2.png")
        uploads: list[Any] = []
        page.route("**/photos?*", lambda route: uploads.append(route))
        with page.expect_request("**/photos?*"):
            page.click("#remove-photo")
        page.click("#remove-photo")
        page.wait_for_timeout(100)  # the handler runs after the request is seen
        assert uploads
        for upload in uploads:
            upload.continue_()
        expect(page.locator("#strip")).to_be_hidden()
        page.wait_for_selector("#about-photo:has-text('scan 1.png')", state="attached")


def test_a_reload_keeps_the_uploaded_photos_and_names_the_lost_ones(
    server: str, browser: Any
) -> None:
    with open_page(browser, server) as page:
        open_photos(page, scenes(4))
        use_fast_fill(page)
        thumbnail(page, 1).click()
        wait_for_photo(page, "scan 2.png")
        select_disc_by_color(page)
        page.reload()
        lost = page.locator("#toasts p")
        expect(lost).to_contain_text("Open again: scan 3.png, scan 4.png")
        expect(page.locator("#strip-photos li")).to_have_count(2)
        wait_for_photo(page, "scan 2.png")
        wait_for_objects(page, 1)
        run_all(page)
        page.reload()
        wait_for_photo(page, "scan 2.png")
        expect(page.locator("#strip-note")).to_contain_text("2 of 2 photos are done")
        assert set(marks(page)) <= {"clean", "doubtful", "failed"}


def test_a_run_can_be_cancelled_and_continued(server: str, browser: Any) -> None:
    large = [(name, encode(np.kron(draw_scene(i), np.ones((4, 4, 1), np.uint8))))
             for i, (name, _) in enumerate(scenes(4))]  # fmt: skip
    with open_page(browser, server) as page:
        open_photos(page, large)
        page.click("[data-tool=color]")
        click_photo(page, 4 * DISC_CENTER[0], 4 * DISC_CENTER[1], (480, 640))
        wait_for_objects(page)
        page.click("#run-all")
        page.wait_for_selector("#strip-count:has-text('2 of 4')")
        page.click("#cancel-all")
        page.wait_for_selector("#run-all:visible")
        expect(page.locator("#strip-note")).to_contain_text("Cancelled.")
        assert [bool(mark) for mark in marks(page)][::3] == [True, False]
        run_all(page)
        expect(page.locator("#strip-note")).to_contain_text("4 of 4 photos are done")


def test_the_strip_can_be_used_by_keyboard_alone(server: str, browser: Any) -> None:
    with open_page(browser, server) as page:
        open_photos(page, scenes(4))
        thumbnail(page, 0).focus()
        page.keyboard.press("ArrowRight")
        wait_for_photo(page, "scan 2.png")
        expect(thumbnail(page, 1)).to_be_focused()
        page.keyboard.press("End")
        wait_for_photo(page, "scan 4.png")
        page.keyboard.press("Home")
        wait_for_photo(page, "scan 1.png")
        page.focus("#canvas")
        page.keyboard.press("PageDown")
        wait_for_photo(page, "scan 2.png")
        page.keyboard.press("PageUp")
        wait_for_photo(page, "scan 1.png")
        thumbnail(page, 0).focus()
        page.keyboard.press("Delete")
        wait_for_photo(page, "scan 2.png")
        expect(page.locator("#strip-photos li")).to_have_count(3)
        expect(page.locator("#strip-photos [tabindex='0']")).to_have_count(1)


def test_a_run_works_for_photos_of_other_sizes_and_for_what_was_painted(
    server: str, browser: Any
) -> None:
    """Places scale with the photo, and masks are copied."""
    small, large = draw_scene(), np.kron(draw_scene(1), np.ones((2, 2, 1), np.uint8))
    mask = np.zeros((120, 160), np.uint8)
    mask[10:30, 10:40] = 255
    with open_page(browser, server) as page:
        open_photos(page, [("small.png", encode(small)), ("large.png", encode(large))])
        use_fast_fill(page)
        page.uncheck("#verify")
        page.keyboard.press("p")
        drag_on_photo(page, (120, 100), (140, 100))
        page.mouse.up()
        wait_for_objects(page)
        page.click("#use-file")
        with page.expect_file_chooser() as chooser:
            page.click("#file-dialog [value=mask]")
        chooser.value.set_files({"name": "m.png", "mimeType": "image/png", "buffer": encode(mask)})
        wait_for_objects(page, 2)
        run_all(page)
        assert marks(page) == ["done", "done"]
        archive = download_all(page)
        for name, before, scale in (("small.png", small, 1), ("large.png", large, 2)):
            changed = (decode(archive.read(name)) != before).any(axis=2)
            assert changed[100 * scale, 125 * scale : 135 * scale].mean() > 0.5
            assert changed[12 * scale : 28 * scale, 12 * scale : 38 * scale].mean() > 0.5
            assert not changed[60 * scale, 60 * scale : 100 * scale].any()


def test_thirty_photos_are_edited_on_a_server_that_holds_half_of_them(browser: Any) -> None:
    """The run stops when the server is full, and no result is lost."""
    files = scenes(30)
    memory = 15 * 57_600  # bytes; a photo has 120 x 160 px
    names: list[str] = []
    app = make_app(Limits(memory=memory))
    with run_server(app) as address, open_page_with_errors(browser, address) as page:
        open_photos(page, files)
        use_fast_fill(page)
        page.uncheck("#verify")
        select_disc_by_color(page)
        run_all(page)
        expect(page.locator("#strip-note")).to_contain_text("Stopped: the server has no space")
        while (left := page.locator("#strip-photos li").count()) > 0:
            done = marks(page).count("done")
            assert marks(page) == ["done"] * done + [""] * (left - done)
            names += download_all(page).namelist()[:-1]
            thumbnail(page, 0).focus()
            for number in range(1, done + 1):
                page.keyboard.press("Delete")
                expect(page.locator("#strip-photos li")).to_have_count(left - number)
            if left > done:
                run_all(page)
    assert names == [name for name, _ in files]


def test_a_photo_that_the_server_dropped_is_uploaded_again_when_it_is_shown(
    server: str, browser: Any
) -> None:
    with open_page_with_errors(browser, server) as page:
        open_photos(page, scenes(2))
        select_disc_by_color(page)
        use_fast_fill(page)
        run_job(page)
        photo = page.evaluate("() => JSON.parse(sessionStorage['segment2inpaint-strip']).shown")
        docs = page.evaluate("key => JSON.parse(sessionStorage[key]).docs", photo)
        thumbnail(page, 1).click()
        wait_for_photo(page, "scan 2.png")
        page.request.delete(f"{server}/api/v1/photos/{docs[-1]['photo']['id']}")
        thumbnail(page, 0).click()
        page.wait_for_selector("#toasts p:has-text('results are lost')")
        wait_for_photo(page, "scan 1.png")
        wait_for_objects(page, 1)
        run_job(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_strip_fits_a_phone_and_axe_finds_no_problem(
    server: str, browser: Any, scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="extra [dev]").Axe()
    with open_page_with_errors(browser, server, **PHONE, color_scheme=scheme) as page:
        open_photos(page, [*scenes(7), BROKEN])
        page.tap("[data-tool=color]")
        page.touchscreen.tap(*screen_position(page, *DISC_CENTER))
        wait_for_objects(page)
        page.tap("#run-all")
        page.wait_for_selector("#strip-progress:not([hidden])")
        page.wait_for_selector("#run-all:visible")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
        assert page.locator("#canvas").bounding_box()["height"] > 200
        for name in ("#run-all", "#download-all", "#remove-photo"):
            assert page.locator(name).bounding_box()["height"] >= 36
        violations = axe.run(page).response["violations"]
        assert not [(v["id"], [n["target"] for n in v["nodes"]][:3]) for v in violations]
