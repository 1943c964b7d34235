"""Helpers for tests that use the page in a real browser, as a person would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image as Pillow
from playwright.sync_api import expect
from web_server import DISC_CENTER, draw_scene, encode

DESKTOP = {"viewport": {"width": 1100, "height": 700}}
WIDE = {"viewport": {"width": 1280, "height": 800}}
PHONE = {
    "viewport": {"width": 390, "height": 800}, "has_touch": True, "is_mobile": True,
    "device_scale_factor": 2,
}  # fmt: skip
MARGIN, NARROW_MARGIN = 28, 10  # px around a fitted photo, as in view_geometry.js
NARROW_WIDTH = 600  # px of a canvas
MAX_FIT_SCALE = 8
TIMEOUT = 30_000  # ms
expect.set_options(timeout=TIMEOUT)

Page = Any


@contextmanager
def open_page(browser: Any, address: str, **options: Any) -> Iterator[Page]:
    """Open the page in a new browser context.

    Assert that it makes no requests to other servers and logs no errors.
    """
    context = browser.new_context(**{**DESKTOP, "reduced_motion": "reduce", **options})
    page = context.new_page()
    page.set_default_timeout(TIMEOUT)
    faults: list[str] = []
    own = (address.partition("#")[0], "blob:", "data:")
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda r: faults.append(r.url) if not r.url.startswith(own) else None)
    page.goto(address)
    yield page
    context.close()
    assert not faults, faults


@contextmanager
def open_page_with_errors(browser: Any, address: str, **options: Any) -> Iterator[Page]:
    """Open the page without the check for errors in the console, where failed calls appear."""
    context = browser.new_context(**{**DESKTOP, "reduced_motion": "reduce", **options})
    page = context.new_page()
    page.set_default_timeout(TIMEOUT)
    page.goto(address)
    yield page
    context.close()


def open_photo(page: Page, data: bytes | None = None, name: str = "photo.png") -> None:
    mime_type = "image/jpeg" if name.endswith("jpg") else "image/png"
    data = data or encode(draw_scene())
    page.set_input_files("#file", {"name": name, "mimeType": mime_type, "buffer": data})
    page.wait_for_selector(f"#about-photo:has-text('{name}')", state="attached")
    page.wait_for_load_state("networkidle")


def scenes(count: int) -> list[tuple[str, bytes]]:
    """Return photos of the same disc on backgrounds of different grain, by name."""
    return [(f"scan {i + 1}.png", encode(draw_scene(i))) for i in range(count)]


def wait_for_photo(page: Page, name: str) -> None:
    page.wait_for_selector(f"#about-photo:has-text('{name}')", state="attached")
    expect(page.locator("#strip-photos [aria-selected=true]")).to_contain_text(name)
    page.wait_for_load_state("networkidle")


def screen_position(
    page: Page, x: float, y: float, size: tuple[int, int] = (120, 160)
) -> tuple[float, float]:
    """Return where a pixel of a fitted photo of ``size`` (h, w) lies in the window."""
    box = page.locator("#canvas").bounding_box()
    height, width = size
    margin = NARROW_MARGIN if box["width"] < NARROW_WIDTH else MARGIN
    scale = min((box["width"] - 2 * margin) / width, (box["height"] - 2 * margin) / height)
    scale = min(scale, MAX_FIT_SCALE)
    left, top = (box["width"] - width * scale) / 2, (box["height"] - height * scale) / 2
    return box["x"] + left + (x + 0.5) * scale, box["y"] + top + (y + 0.5) * scale


def click_photo(
    page: Page, x: float, y: float, size: tuple[int, int] = (120, 160), **options: Any
) -> None:
    page.mouse.click(*screen_position(page, x, y, size), **options)


def drag_on_photo(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Press the mouse at a pixel of the photo and move it to another, without a release."""
    page.mouse.move(*screen_position(page, *start))
    page.mouse.down()
    page.mouse.move(*screen_position(page, *end), steps=4)


def screenshot(page: Page) -> np.ndarray:
    return np.asarray(Pillow.open(BytesIO(page.screenshot(scale="css"))).convert("RGB")).astype(int)


def screen_color(page: Page, x: float, y: float) -> np.ndarray:
    """Return the colour that a pixel of the photo has on the screen."""
    column, row = (round(v) for v in screen_position(page, x, y))
    patch = screenshot(page)[row - 1 : row + 2, column - 1 : column + 2]
    return patch.reshape(-1, 3).mean(axis=0)


def select_disc_by_color(page: Page) -> None:
    """Select the disc of the scene in the fastest way."""
    page.click("[data-tool=color]")
    click_photo(page, *DISC_CENTER)
    wait_for_objects(page)


def wait_for_objects(page: Page, count: int = 1) -> None:
    expect(page.locator("#objects li")).to_have_count(count)
    expect(page.locator("#objects")).not_to_contain_text("looking")
    expect(page.locator("#run")).to_be_enabled()


def run_job(page: Page) -> None:
    page.click("#run")
    page.wait_for_selector("#result-section:not([hidden])")
    page.wait_for_selector("#summary:has-text('repainted')")
    page.wait_for_load_state("networkidle")


def move_divider(page: Page, key: str) -> None:
    """Compare, and show only the result with the key Home, only the photo with the key End."""
    if page.get_attribute("#compare", "aria-pressed") == "false":
        page.click("#compare")
    page.focus("#divider")
    page.keyboard.press(key)
    page.wait_for_timeout(150)


def max_difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(abs(a - b).max())
