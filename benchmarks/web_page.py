"""Measure the page in Chromium, from a movement or click of the mouse to the mask on the screen.

    python benchmarks/web_page.py

It prints the median of 20 trials, each at another pixel of the ball of samples/ball.jpg, a photo of
1 megapixel. Clicks are measured without the preview under the pointer, which would show their mask
before.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import sync_playwright
from web import running_server

PHOTO = Path(__file__).parents[1] / "samples" / "ball.jpg"
BALL = 742, 491  # (x, y) of its middle, in px of the photo
SEEN = 742, 550  # the pixel of the ball that shows whether the mask is there
TRIALS = 20
REST = 250  # ms between two trials
WARM_UP = 3000  # ms, in which the server computes the photo's embedding
# Resolves with the ms from the next event of a type to the frame in which a pixel of the canvas
# has changed, and, if it must, has its first colour again.
WAIT_FOR_PIXEL = """([x, y, type, mustReturn]) => {
  const canvas = document.querySelector("#canvas"), context = canvas.getContext("2d");
  const color = () => context.getImageData(x * devicePixelRatio, y * devicePixelRatio, 1, 1).data;
  const first = color();
  const isFirst = () => color().every((value, i) => Math.abs(value - first[i]) < 6);
  window.measured = new Promise((resolve, reject) => canvas.addEventListener(type, () => {
    const start = performance.now();
    let changed = false;
    const look = () => {
      changed ||= !isFirst();
      if (performance.now() - start > 10000) reject(new Error("no mask in 10 s"));
      if (changed && (!mustReturn || isFirst())) resolve(performance.now() - start);
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  }, { once: true }));
}"""


def main() -> None:
    with running_server() as (address, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(reduced_motion="reduce")
        page.goto(address)
        page.set_input_files("#file", PHOTO)
        page.wait_for_selector("#about-photo:has-text('ball.jpg')", state="attached")
        page.wait_for_timeout(WARM_UP)
        page.click("#more summary")
        hovers = [measure_hover(page, trial) for trial in range(TRIALS)]
        page.uncheck("#hover")
        clicks = [measure_clicks(page, trial) for trial in range(TRIALS)]
        browser.close()
    first, further = zip(*clicks, strict=True)
    names = "hover to outline", "click to mask", "further click to mask"
    for name, times in zip(names, (hovers, first, further), strict=True):
        print(f"{name}: {median(times):.0f} ms (median of {TRIALS})")


def measure_hover(page: Any, trial: int) -> float:
    """Return the ms from a movement of the mouse to the outline under it."""
    page.uncheck("#hover")
    page.check("#hover")  # forgets slow answers, which would switch the preview off
    page.wait_for_timeout(REST)
    place = on_screen(page, *ball_pixel(trial))
    return measure(page, "pointermove", lambda: page.mouse.move(*place))


def measure_clicks(page: Any, trial: int) -> tuple[float, float]:
    """Return the ms from a first click to its mask, and from a further click to its mask."""
    x, y = ball_pixel(trial)
    x, y = x + 3, y + 3  # no pixel whose answer is cached
    places = on_screen(page, x, y), on_screen(page, x + 40, y)
    first = measure(page, "pointerup", lambda: page.mouse.click(*places[0]))
    page.wait_for_timeout(REST)
    further = measure(page, "pointerup", lambda: page.mouse.click(*places[1]), must_return=True)
    page.wait_for_timeout(REST)
    for _ in range(2):
        page.click("#undo")
    page.wait_for_timeout(REST)
    return first, further


def measure(page: Any, event: str, act: Any, *, must_return: bool = False) -> float:
    """Return the ms from the event that ``act`` causes to the change of a pixel of the ball."""
    box = page.locator("#canvas").bounding_box()
    x, y = on_screen(page, *SEEN)
    page.evaluate(WAIT_FOR_PIXEL, [round(x - box["x"]), round(y - box["y"]), event, must_return])
    act()
    return float(page.evaluate("measured"))


def ball_pixel(trial: int) -> tuple[int, int]:
    return BALL[0] + 8 * (trial % 5), BALL[1] - 10 + 10 * (trial // 5)


def on_screen(page: Any, x: float, y: float) -> tuple[float, float]:
    """Return where a pixel of the fitted photo lies in the window."""
    box = page.locator("#canvas").bounding_box()
    width, height, margin = 1152, 864, 28  # as in view.js
    scale = min((box["width"] - 2 * margin) / width, (box["height"] - 2 * margin) / height)
    left, top = (box["width"] - width * scale) / 2, (box["height"] - height * scale) / 2
    return box["x"] + left + (x + 0.5) * scale, box["y"] + top + (y + 0.5) * scale


if __name__ == "__main__":
    main()
