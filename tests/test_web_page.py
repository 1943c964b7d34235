"""The page in a real browser: what a person does with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image as Pillow

pytest.importorskip("fastapi", reason="the page needs the extra [web]")
pytest.importorskip("playwright", reason="needs playwright, of the extra [dev]")
from playwright.sync_api import expect
from web_page import array, by_color, found, lacks, only_after, opened, place, run, seen, tab
from web_server import DISC, file_of, scene

from segment2inpaint.cli import main

pytestmark = pytest.mark.slow

# --- the main way ----------------------------------------------------------------------------


def test_click_remove_compare_download(server: str, browser: Any, tmp_path: Path) -> None:
    """The mask shows where the disc is and nowhere else, the disc goes, the file is the CLI's."""
    data = file_of(scene(), "JPEG", quality=92)
    (tmp_path / "disc.jpg").write_bytes(data)
    with tab(browser, server) as page:
        opened(page, data, "disc.jpg")
        inside, outside = (86, 66), (30, 30)
        before = seen(page, *inside), seen(page, *outside)
        page.mouse.click(*place(page, *DISC))
        found(page)
        page.wait_for_timeout(200)
        assert lacks(seen(page, *inside), before[0]) > 30
        assert lacks(seen(page, *outside), before[1]) < 3
        run(page)
        expect(page.locator("#facts")).to_contain_text("0 changed elsewhere")
        assert page.inner_text("#verdict") in ("clean", "doubtful", "failed")
        only_after(page)
        assert lacks(seen(page, *inside), before[0]) > 60
        page.keyboard.press("End")
        page.wait_for_timeout(150)
        assert lacks(seen(page, *inside), before[0]) < 8
        with page.expect_download() as download:
            page.click("#download")
        got = Path(download.value.path()).read_bytes()
        assert download.value.suggested_filename == "disc_out.jpg"
    out = tmp_path / "cli.jpg"
    words = ["remove", tmp_path / "disc.jpg", "-p", f"{DISC[0]},{DISC[1]}", "-o", out]
    assert CliRunner().invoke(main, [str(word) for word in words]).exit_code == 0
    assert got == out.read_bytes()


def test_a_box_an_exclusion_and_the_outline(server: str, browser: Any) -> None:
    """Drag a box, take a corner of it away again, widen: the outline follows the slider."""
    pixels = scene()
    pixels[45:75, 95:110] = (60, 90, 190)  # a blue neighbour, in the box too
    with tab(browser, server) as page:
        opened(page, file_of(pixels))
        page.mouse.move(*place(page, 60, 40))
        page.mouse.down()
        page.mouse.move(*place(page, 115, 80), steps=4)
        page.mouse.up()
        found(page)
        expect(page.locator("#objects")).to_contain_text("Box")
        with page.expect_response("**/find") as call:
            page.mouse.click(*place(page, 102, 60), button="right")
        asked = call.value.request.post_data_json["prompts"]
        assert asked[0] == {"points": {"exclude": [[102, 60]]}}
        assert set(asked[1]) == {"box"}
        (left,) = call.value.json()["objects"]
        photo = call.value.url.rpartition("/")[0]
        bits = array(page.request.get(f"{photo}/masks/{left['mask']}").body())
        assert bits[60, 102] == 0
        assert bits[60, 80] == 255
        found(page)
        with page.expect_response("**/outline") as call:
            page.focus("#dilate")
            page.keyboard.press("End")
        wide = call.value.json()
        while wide["dilate"] != 80:
            with page.expect_response("**/outline") as call:
                pass
            wide = call.value.json()
        expect(page.locator("#dilate-out")).to_contain_text("80 px")
        assert min(wide["paths"][0][::2]) < 20


def test_every_step_can_be_undone(server: str, browser: Any) -> None:
    with tab(browser, server) as page:
        opened(page)
        expect(page.locator("#undo")).to_be_disabled()
        by_color(page)
        page.check("#invert")
        page.click("#new-object")
        page.click("[data-tool=color]")
        page.mouse.click(*place(page, 5, 5))
        found(page, 2)
        page.keyboard.press("Control+z")
        found(page, 1)
        expect(page.locator("#invert")).to_be_checked()
        page.keyboard.press("Control+z")
        page.wait_for_selector("#invert:not(:checked)")
        page.keyboard.press("Control+z")
        expect(page.locator("#objects li")).to_have_count(0)
        expect(page.locator("#undo")).to_be_disabled()
        for _ in range(3):
            page.keyboard.press("Control+Shift+z")
        found(page, 2)
        expect(page.locator("#redo")).to_be_disabled()


def test_brush_and_eraser_correct_the_mask(server: str, browser: Any) -> None:
    """Strokes widen and narrow what is changed; the result is that of the corrected mask."""
    with tab(browser, server) as page:
        opened(page)
        by_color(page)
        plain = seen(page, 20, 100)
        page.keyboard.press("p")
        page.mouse.move(*place(page, 15, 100))
        page.mouse.down()
        page.mouse.move(*place(page, 45, 100), steps=5)
        with page.expect_response("**/strokes") as call:
            page.mouse.up()
        assert call.value.json()["box"][0] < 16
        found(page)
        page.mouse.move(5, 5)
        page.wait_for_timeout(200)
        assert lacks(seen(page, 20, 100), plain) > 30
        page.keyboard.press("e")
        with page.expect_response("**/strokes"):
            page.mouse.click(*place(page, 20, 100))
        found(page)
        page.mouse.move(5, 5)
        page.wait_for_timeout(200)
        assert lacks(seen(page, 20, 100), plain) < 25
        run(page)


def test_two_tabs_do_not_mix(server: str, browser: Any) -> None:
    """At the same time, other photos: each gets its own back."""
    with tab(browser, server) as one, tab(browser, server) as two:
        opened(one, file_of(scene()), "one.png")
        blue = scene()[..., ::-1].copy()
        opened(two, file_of(blue), "two.png")
        before = [seen(page, 10, 100) for page in (one, two)]
        by_color(one)
        by_color(two)
        one.click("#run")
        two.click("#run")
        for page, was in ((one, before[0]), (two, before[1])):
            page.wait_for_selector("#facts:has-text('repainted')")
            page.wait_for_load_state("networkidle")
            only_after(page)
            assert lacks(seen(page, 10, 100), was) < 8
            with page.expect_download() as download:
                page.click("#download")
            name = {one: "one_out.png", two: "two_out.png"}[page]
            assert download.value.suggested_filename == name
            pixels = np.asarray(Pillow.open(download.value.path())).astype(int)
            own = (scene() if page is one else blue).astype(int)
            assert (pixels[0] == own[0]).all()
            assert lacks(pixels[DISC[1], DISC[0]], own[DISC[1], DISC[0]]) > 50


def test_cancel_and_reload(server: str, browser: Any) -> None:
    """A job is ended, the mask is still there; a reload keeps it, and a job that runs."""
    large = np.kron(scene(), np.ones((5, 5, 1), np.uint8))
    with tab(browser, server) as page:
        opened(page, file_of(large))
        page.click("[data-tool=color]")
        page.mouse.click(*place(page, 400, 300, (600, 800)))
        found(page)
        with page.expect_response("**/rough") as call:
            page.click("#run")
        assert call.value.headers["content-type"] == "image/webp"
        page.wait_for_selector("#busy-rough:not([hidden])")
        page.click("#cancel")
        page.wait_for_selector("#busy", state="hidden")
        page.wait_for_selector("#status:has-text('Cancelled')")
        found(page)
        page.reload()
        found(page)
        with page.expect_request("**/jobs/*"):  # the page knows of its job
            page.click("#run")
        page.wait_for_selector("#busy:not([hidden])")
        page.reload()
        page.wait_for_selector("#facts:has-text('repainted')")


def test_by_keyboard_alone(server: str, browser: Any) -> None:
    """Crosshair, Enter, R; a box by two Enters."""
    with tab(browser, server) as page:
        opened(page)
        page.focus("#canvas")
        page.keyboard.press("k")
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("Shift+ArrowLeft")
        page.keyboard.press("Enter")
        found(page)
        page.keyboard.press("b")
        page.keyboard.press("Enter")
        for _ in range(8):
            page.keyboard.press("ArrowDown")
            page.keyboard.press("ArrowRight")
        with page.expect_response("**/find") as call:
            page.keyboard.press("Enter")
        assert call.value.request.post_data_json["prompts"][0]["box"][:2] == [80, 60]
        page.keyboard.press("Control+z")
        found(page, 1)
        page.keyboard.press("r")
        page.wait_for_selector("#judging:not([hidden])")
        page.keyboard.press("Escape")
        page.wait_for_selector("#picking:not([hidden])")


def test_what_cannot_be_said_together_is_sent_as_masks(server: str, browser: Any) -> None:
    """A colour and a box: detectors would take one for a limit of the other."""
    with tab(browser, server) as page:
        opened(page)
        by_color(page)
        page.keyboard.press("b")
        page.mouse.move(*place(page, 5, 5))
        page.mouse.down()
        page.mouse.move(*place(page, 30, 30), steps=3)
        page.mouse.up()
        found(page, 2)
        with page.expect_request("**/jobs") as call:
            page.click("#run")
        assert [set(p) for p in call.value.post_data_json["prompts"]] == [{"mask"}, {"mask"}]
        page.wait_for_selector("#facts:has-text('0 changed elsewhere')")
        page.reload()
        page.wait_for_selector("#facts:has-text('0 changed elsewhere')")
