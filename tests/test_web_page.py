"""The page in a real browser: select, remove, compare, download, undo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image as Pillow

pytest.importorskip("playwright", reason="needs playwright, of the extra [dev]")
from playwright.sync_api import expect
from web_page import (
    click_photo,
    drag_on_photo,
    max_difference,
    move_divider,
    open_page,
    open_photo,
    run_job,
    screen_color,
    select_disc_by_color,
    wait_for_objects,
)
from web_server import DISC_CENTER, decode, draw_scene, encode

from segment2inpaint.cli import main

pytestmark = pytest.mark.slow


def test_a_clicked_object_is_removed_and_the_download_equals_the_command_line(
    server: str, browser: Any, tmp_path: Path
) -> None:
    """The mask is drawn over the disc only, and the divider shows the photo and the result."""
    data = encode(draw_scene(), "JPEG", quality=92)
    (tmp_path / "disc.jpg").write_bytes(data)
    with open_page(browser, server) as page:
        open_photo(page, data, "disc.jpg")
        inside, outside = (86, 66), (30, 30)
        before = screen_color(page, *inside), screen_color(page, *outside)
        click_photo(page, *DISC_CENTER)
        wait_for_objects(page)
        page.wait_for_timeout(200)
        assert max_difference(screen_color(page, *inside), before[0]) > 30
        assert max_difference(screen_color(page, *outside), before[1]) < 3
        run_job(page)
        expect(page.locator("#summary")).to_contain_text("0 changed elsewhere")
        assert page.inner_text("#verdict") in ("clean", "doubtful", "failed")
        move_divider(page, "Home")
        assert max_difference(screen_color(page, *inside), before[0]) > 60
        move_divider(page, "End")
        assert max_difference(screen_color(page, *inside), before[0]) < 8
        with page.expect_download() as download:
            page.click("#download")
        downloaded = Path(download.value.path()).read_bytes()
        assert download.value.suggested_filename == "disc_out.jpg"
    out = tmp_path / "cli.jpg"
    args = ["remove", tmp_path / "disc.jpg", "-p", f"{DISC_CENTER[0]},{DISC_CENTER[1]}", "-o", out]
    assert CliRunner().invoke(main, [str(arg) for arg in args]).exit_code == 0
    assert downloaded == out.read_bytes()


def test_an_excluded_point_limits_a_box_and_the_outline_follows_the_slider(
    server: str, browser: Any
) -> None:
    pixels = draw_scene()
    pixels[45:75, 95:110] = (60, 90, 190)  # a blue object in the same box
    with open_page(browser, server) as page:
        open_photo(page, encode(pixels))
        drag_on_photo(page, (60, 40), (115, 80))
        page.mouse.up()
        wait_for_objects(page)
        expect(page.locator("#objects")).to_contain_text("Box")
        with page.expect_response("**/find") as call:
            click_photo(page, 102, 60, button="right")
        points, box = call.value.request.post_data_json["prompts"]
        assert points == {"points": {"exclude": [[102, 60]]}}
        assert set(box) == {"box"}
        (found,) = call.value.json()["objects"]
        photo = call.value.url.rpartition("/")[0]
        mask = decode(page.request.get(f"{photo}/masks/{found['mask']}").body())
        assert mask[60, 102] == 0
        assert mask[60, 80] == 255
        wait_for_objects(page)
        with page.expect_response(is_outline_dilated_by_80) as call:
            page.focus("#dilate")
            page.keyboard.press("End")
        outline = call.value.json()
        assert outline["dilate"] == 80
        expect(page.locator("#dilate-out")).to_contain_text("80 px")
        assert min(outline["paths"][0][::2]) < 20


def is_outline_dilated_by_80(response: Any) -> bool:
    if not response.url.endswith("/outline"):
        return False
    return bool(response.request.post_data_json["refine"]["dilate"] == "80px")


def test_every_step_can_be_undone_and_redone(server: str, browser: Any) -> None:
    with open_page(browser, server) as page:
        open_photo(page)
        expect(page.locator("#undo")).to_be_disabled()
        select_disc_by_color(page)
        page.check("#invert")
        page.click("#new-object")
        page.click("[data-tool=color]")
        click_photo(page, 5, 5)
        wait_for_objects(page, 2)
        page.keyboard.press("Control+z")
        wait_for_objects(page, 1)
        expect(page.locator("#invert")).to_be_checked()
        page.keyboard.press("Control+z")
        page.wait_for_selector("#invert:not(:checked)")
        page.keyboard.press("Control+z")
        expect(page.locator("#objects li")).to_have_count(0)
        expect(page.locator("#undo")).to_be_disabled()
        for _ in range(3):
            page.keyboard.press("Control+Shift+z")
        wait_for_objects(page, 2)
        expect(page.locator("#redo")).to_be_disabled()


def test_brush_and_eraser_correct_the_mask(server: str, browser: Any) -> None:
    with open_page(browser, server) as page:
        open_photo(page)
        select_disc_by_color(page)
        unmasked = screen_color(page, 20, 100)
        page.keyboard.press("p")
        drag_on_photo(page, (15, 100), (45, 100))
        with page.expect_response("**/strokes") as call:
            page.mouse.up()
        assert call.value.json()["box"][0] < 16
        wait_for_objects(page)
        page.mouse.move(5, 5)
        page.wait_for_timeout(200)
        assert max_difference(screen_color(page, 20, 100), unmasked) > 30
        page.keyboard.press("s")
        with page.expect_response("**/strokes"):
            click_photo(page, 20, 100)
        wait_for_objects(page)
        page.mouse.move(5, 5)
        page.wait_for_timeout(200)
        assert max_difference(screen_color(page, 20, 100), unmasked) < 25
        run_job(page)


def test_two_tabs_get_their_own_results(server: str, browser: Any) -> None:
    with open_page(browser, server) as first, open_page(browser, server) as second:
        open_photo(first, encode(draw_scene()), "one.png")
        blue = draw_scene()[..., ::-1].copy()
        open_photo(second, encode(blue), "two.png")
        before = [screen_color(page, 10, 100) for page in (first, second)]
        select_disc_by_color(first)
        select_disc_by_color(second)
        first.click("#run")
        second.click("#run")
        for page, color in ((first, before[0]), (second, before[1])):
            page.wait_for_selector("#summary:has-text('repainted')")
            page.wait_for_load_state("networkidle")
            move_divider(page, "Home")
            assert max_difference(screen_color(page, 10, 100), color) < 8
            with page.expect_download() as download:
                page.click("#download")
            name = "one_out.png" if page is first else "two_out.png"
            assert download.value.suggested_filename == name
            pixels = np.asarray(Pillow.open(download.value.path())).astype(int)
            photo = (draw_scene() if page is first else blue).astype(int)
            assert (pixels[0] == photo[0]).all()
            disc = (DISC_CENTER[1], DISC_CENTER[0])
            assert max_difference(pixels[disc], photo[disc]) > 50


def test_masks_survive_a_cancelled_job_and_jobs_survive_a_reload(server: str, browser: Any) -> None:
    large = np.kron(draw_scene(), np.ones((5, 5, 1), np.uint8))
    with open_page(browser, server) as page:
        open_photo(page, encode(large))
        page.click("[data-tool=color]")
        click_photo(page, 400, 300, (600, 800))
        wait_for_objects(page)
        with page.expect_response("**/rough") as call:
            page.click("#run")
        assert call.value.headers["content-type"] == "image/webp"
        page.wait_for_selector("#busy-preview-note:not([hidden])")
        page.click("#cancel")
        page.wait_for_selector("#busy", state="hidden")
        page.wait_for_selector("#status:has-text('Cancelled')")
        wait_for_objects(page)
        page.reload()
        wait_for_objects(page)
        with page.expect_request("**/jobs/*"):  # the page follows its job
            page.click("#run")
        page.wait_for_selector("#busy:not([hidden])")
        page.reload()
        page.wait_for_selector("#summary:has-text('repainted')")


def test_the_page_can_be_used_by_keyboard_alone(server: str, browser: Any) -> None:
    """Arrow keys move the crosshair, Enter uses the tool, two Enters draw a box, R removes."""
    with open_page(browser, server) as page:
        open_photo(page)
        page.focus("#canvas")
        page.keyboard.press("k")
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("Shift+ArrowLeft")
        page.keyboard.press("Enter")
        wait_for_objects(page)
        page.keyboard.press("b")
        page.keyboard.press("Enter")
        for _ in range(8):
            page.keyboard.press("ArrowDown")
            page.keyboard.press("ArrowRight")
        with page.expect_response("**/find") as call:
            page.keyboard.press("Enter")
        assert call.value.request.post_data_json["prompts"][0]["box"][:2] == [80, 60]
        page.keyboard.press("Control+z")
        wait_for_objects(page, 1)
        page.keyboard.press("r")
        page.wait_for_selector("#result-section:not([hidden])")
        page.keyboard.press("Escape")
        page.wait_for_selector("#objects-section:not([hidden])")


def test_prompts_that_would_limit_each_other_are_sent_as_masks(server: str, browser: Any) -> None:
    """A colour and a box together would mean the colour inside the box."""
    with open_page(browser, server) as page:
        open_photo(page)
        select_disc_by_color(page)
        page.keyboard.press("b")
        drag_on_photo(page, (5, 5), (30, 30))
        page.mouse.up()
        wait_for_objects(page, 2)
        with page.expect_request("**/jobs") as call:
            page.click("#run")
        assert [set(p) for p in call.value.post_data_json["prompts"]] == [{"mask"}, {"mask"}]
        page.wait_for_selector("#summary:has-text('0 changed elsewhere')")
        page.reload()
        page.wait_for_selector("#summary:has-text('0 changed elsewhere')")
