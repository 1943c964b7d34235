"""Tasks as a new user does them in the page, with the number of actions that each takes.

An action is a choice of files, a click or a key. A fifth task, ten photos with one stain, is in
``test_web_page_strip.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("playwright", reason="needs playwright, of the extra [dev]")
from playwright.sync_api import expect
from web_page import Page, click_photo, open_page, wait_for_objects
from web_server import decode

from segment2inpaint import images

pytestmark = pytest.mark.slow

SAMPLES = Path(__file__).parents[1] / "samples"
BALL, SIZE = (742, 491), (864, 1152)  # (x, y) in ball.jpg, and its height and width
RESULT_TIMEOUT = 120_000  # ms


class User:
    """A user of the page, whose actions are counted."""

    def __init__(self, page: Page) -> None:
        self.page, self.actions = page, 0

    def open(self, name: str) -> None:
        self.choose("#file", name)
        self.page.wait_for_selector(f"#about-photo:has-text('{name}')", state="attached")
        self.page.wait_for_load_state("networkidle")

    def select_ball(self) -> None:
        self.open("ball.jpg")
        self.click_photo(*BALL, SIZE)
        wait_for_objects(self.page)

    def choose(self, field: str, name: str) -> None:
        self.page.set_input_files(field, SAMPLES / name)
        self.actions += 1

    def click(self, selector: str) -> None:
        self.page.click(selector)
        self.actions += 1

    def click_photo(self, x: float, y: float, size: tuple[int, int], **options: Any) -> None:
        click_photo(self.page, x, y, size, **options)
        self.actions += 1

    def save(self, selector: str) -> np.ndarray:
        with self.page.expect_download() as download:
            self.click(selector)
        return decode(Path(download.value.path()).read_bytes()).astype(int)

    def wait_for_result(self, words: str = "repainted") -> None:
        self.page.wait_for_selector(f"#summary:has-text('{words}')", timeout=RESULT_TIMEOUT)


def load(name: str) -> np.ndarray:
    return images.read(SAMPLES / name).image.astype(int)


def test_a_thing_with_its_shadow_is_removed_in_four_actions(server: str, browser: Any) -> None:
    with open_page(browser, server) as page:
        user = User(page)
        user.select_ball()
        user.click("#run")
        user.wait_for_result("with its shadow")
        result = user.save("#download")
        assert user.actions == 4
        photo, shadow = load("ball.jpg"), (slice(550, 580), slice(860, 900))
        assert result[shadow].mean() > photo[shadow].mean() + 8
        assert abs(result[BALL[::-1]] - photo[BALL[::-1]]).max() > 50


def test_three_things_are_erased_in_six_actions(server: str, browser: Any) -> None:
    oranges = [(578, 426), (835, 360), (980, 405)]
    with open_page(browser, server) as page:
        user = User(page)
        user.open("oranges.jpg")
        user.click("[data-tool=erase]")
        for count, place in enumerate(oranges, 1):
            user.click_photo(*place, (768, 1024))
            expect(page.locator("#history li")).to_have_count(count, timeout=RESULT_TIMEOUT)
            page.wait_for_selector("#download:visible")
        result = user.save("#download")
        assert user.actions == 6
        change = abs(result - load("oranges.jpg")).max(axis=2)
        assert min(change[y, x] for x, y in oranges) > 25
        assert change[:, :300].max() == 0


def test_a_ball_is_replaced_by_a_picture_in_six_actions(server: str, browser: Any) -> None:
    with open_page(browser, server) as page:
        user = User(page)
        user.select_ball()
        user.click("[data-mode=replace]")
        user.choose("#file-picture", "ball_effect.png")
        expect(page.locator("#picture-name")).to_have_text("ball_effect.png")
        user.click("#run")
        user.wait_for_result()
        result = user.save("#download")
        assert user.actions == 6
        assert abs(result - load("ball.jpg"))[BALL[::-1]].max() > 50


def test_a_mask_for_another_program_is_saved_in_three_actions(server: str, browser: Any) -> None:
    with open_page(browser, server) as page:
        user = User(page)
        user.select_ball()
        mask = user.save("#save-mask") > 127
        assert user.actions == 3
        truth = images.read_mask(SAMPLES / "ball_mask.png", SIZE) > 0.5
        assert (mask & truth).sum() > 0.85 * (mask | truth).sum()
