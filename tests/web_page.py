"""A browser's page, for the tests of what a person does with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image as Pillow
from playwright.sync_api import expect
from web_server import DISC, file_of, scene

expect.set_options(timeout=30_000)
WIDE = {"viewport": {"width": 1100, "height": 700}}
PHONE = {
    "viewport": {"width": 390, "height": 800}, "has_touch": True, "is_mobile": True,
    "device_scale_factor": 2,
}  # fmt: skip
MARGIN, LITTLE = 28, 10  # px that the page leaves round a photo, on a wide stage and a narrow
LONG = 30_000  # ms


Page = Any


@contextmanager
def tab(browser: Any, address: str, **options: Any) -> Iterator[Page]:
    """A page of its own; it must fetch nothing from elsewhere, and its console stay silent."""
    context = browser.new_context(**{**WIDE, "reduced_motion": "reduce", **options})
    page = context.new_page()
    page.set_default_timeout(LONG)
    faults: list[str] = []
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda r: faults.append(r.url) if not r.url.startswith(home) else None)
    home = (address.partition("#")[0], "blob:", "data:")
    page.goto(address)
    yield page
    context.close()
    assert not faults


def opened(page: Page, data: bytes | None = None, name: str = "photo.png") -> None:
    kind = "image/jpeg" if name.endswith("jpg") else "image/png"
    data = data or file_of(scene())
    page.set_input_files("#file", {"name": name, "mimeType": kind, "buffer": data})
    page.wait_for_selector(f"#about-photo:has-text('{name}')", state="attached")
    page.wait_for_load_state("networkidle")


def place(
    page: Page, x: float, y: float, size: tuple[int, int] = (120, 160)
) -> tuple[float, float]:
    """Where a pixel of a photo that is shown whole lies in the window."""
    box = page.locator("#canvas").bounding_box()
    height, width = size
    margin = LITTLE if box["width"] < 600 else MARGIN
    scale = min((box["width"] - 2 * margin) / width, (box["height"] - 2 * margin) / height, 8)
    left, top = (box["width"] - width * scale) / 2, (box["height"] - height * scale) / 2
    return box["x"] + left + (x + 0.5) * scale, box["y"] + top + (y + 0.5) * scale


def array(data: bytes) -> np.ndarray:
    return np.asarray(Pillow.open(BytesIO(data)))


def shot(page: Page) -> np.ndarray:
    return np.asarray(Pillow.open(BytesIO(page.screenshot())).convert("RGB")).astype(int)


def seen(page: Page, x: float, y: float) -> np.ndarray:
    """The colour that a pixel of the photo has on the screen."""
    at = place(page, x, y)
    patch = shot(page)[round(at[1]) - 1 : round(at[1]) + 2, round(at[0]) - 1 : round(at[0]) + 2]
    return patch.reshape(-1, 3).mean(axis=0)


def by_color(page: Page) -> None:
    """The quickest way to the disc."""
    page.click("[data-tool=color]")
    page.mouse.click(*place(page, *DISC))
    found(page)


def found(page: Page, count: int = 1) -> None:
    expect(page.locator("#objects li")).to_have_count(count)
    expect(page.locator("#objects")).not_to_contain_text("looking")
    expect(page.locator("#run")).to_be_enabled()


def run(page: Page) -> None:
    page.click("#run")
    page.wait_for_selector("#judging:not([hidden])")
    page.wait_for_selector("#facts:has-text('repainted')")
    page.wait_for_load_state("networkidle")


def only_after(page: Page) -> None:
    page.focus("#compare")
    page.keyboard.press("Home")
    page.wait_for_timeout(150)


def lacks(a: np.ndarray, b: np.ndarray) -> float:
    return float(abs(a - b).max())
