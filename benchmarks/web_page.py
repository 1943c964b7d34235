"""Measure the page in Chromium, from an act of the user to its effect on the screen.

    python benchmarks/web_page.py [--checkout FOLDER] [--trials 20]

The photo is samples/ball.jpg, at 1 and at 14 megapixels. Each trial opens it anew, rests on the
ball, clicks it twice at other pixels than the trials before, and removes it. A time ends with the
last frame in which a pixel of the ball changes: at the sharp photo, the outline, the mask, the
result. Clicks are measured without the preview under the pointer, which would show their mask
before. --checkout measures the page of another checkout of this repository too, in turns with
this one.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright
from web import ROOT, running_server

PHOTO = ROOT / "samples" / "ball.jpg"
SAMPLE_SIZE = 1152, 864  # px, width and height; pixels below are in px of the sample
SIZES = SAMPLE_SIZE, (4376, 3282)  # 1.0 and 14.4 megapixels
BALL = 742, 491  # (x, y) of its middle
SEEN = 742, 550  # the pixel of the ball that shows the effect
GRASS = 300, 600
MARGIN = 28  # px around a fitted photo, as in view_geometry.js
TRIALS = 20
REST = 250  # ms between two acts
POLL_INTERVAL = 1000  # ms, after which the page asks again whether the server has the embedding
ACTS = "open", "hover to outline", "click to mask", "further click", "Remove to result"
# Resolves with the ms from the next event of a type to the last frame in which a pixel of the
# photo changes its colour: it stays for a second, and an element of the page says that all is done.
WAIT_FOR_PIXEL = """([[x, y], [width, height], margin, selector, type, done]) => {
  const canvas = document.querySelector("#canvas"), context = canvas.getContext("2d");
  const color = () => {
    const [w, h] = [canvas.clientWidth, canvas.clientHeight];
    const scale = Math.min((w - 2 * margin) / width, (h - 2 * margin) / height);
    const at = [(w - width * scale) / 2 + (x + 0.5) * scale, (h - height * scale) / 2 + (y + 0.5) * scale];
    return context.getImageData(...at.map((v) => Math.round(v * devicePixelRatio)), 1, 1).data;
  };
  window.measured = new Promise((resolve, reject) => document.querySelector(selector).addEventListener(type, () => {
    const start = performance.now();
    let last = color(), changed = null, pending = 0;
    const look = () => {
      const now = performance.now() - start, current = color();
      if (current.some((value, i) => Math.abs(value - last[i]) > 5)) [last, changed] = [current, now];
      if (!document.querySelector(done)) pending = now;
      if (changed !== null && now - Math.max(changed, pending) > 1000) resolve(changed);
      else if (now > 120000) reject(new Error(`no effect of ${type} in two minutes`));
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  }, { once: true, capture: true }));
}"""  # noqa: E501

Times = list[float]  # ms, one for each act


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--checkout", type=Path, metavar="FOLDER")
    parser.add_argument("--trials", type=int, default=TRIALS)
    args = parser.parse_args()
    checkouts = [args.checkout, ROOT] if args.checkout else [ROOT]
    with TemporaryDirectory() as folder, chromium() as browser, ExitStack() as servers:
        addresses = [servers.enter_context(running_server(path))[0] for path in checkouts]
        for size in SIZES:
            photo = resized_photo(Path(folder), size)
            for address in addresses:
                measure_trial(browser, address, photo, 0)  # compiles the fill, loads the networks
            trials = [
                measure_in_turns(browser, addresses, photo, trial) for trial in range(args.trials)
            ]
            report(size, checkouts, trials)


@contextmanager
def chromium() -> Iterator[Any]:
    """Start Chromium. Yield the browser."""
    with sync_playwright() as playwright:
        executable = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


def resized_photo(folder: Path, size: tuple[int, int]) -> Path:
    """Write the sample in another size."""
    path = folder / f"{size[0]}.jpg"
    with Image.open(PHOTO) as photo:
        photo.resize(size, Image.Resampling.LANCZOS).save(path, quality=92)
    return path


def measure_in_turns(
    browser: Any, addresses: Sequence[str], photo: Path, trial: int
) -> list[Times]:
    """Return the ms of all acts for each address. Every other trial begins with the last one."""
    order = addresses[:: -1 if trial % 2 else 1]
    times = {address: measure_trial(browser, address, photo, trial) for address in order}
    return [times[address] for address in addresses]


def measure_trial(browser: Any, address: str, photo: Path, trial: int) -> Times:
    """Return the ms of all acts, on a new page."""
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(address)
    page.wait_for_selector("#detector option", state="attached")
    times = [measure_open(page, photo)]
    embed(page)
    times += [measure_hover(page, trial), *measure_clicks(page, trial), measure_removal(page)]
    context.close()
    return times


def measure_open(page: Any, photo: Path) -> float:
    """Return the ms from the choice of a photo to the sharp photo."""
    done = "#about-photo:not(:empty)"
    return measure(page, "#file", "change", done, lambda: page.set_input_files("#file", photo))


def embed(page: Any) -> None:
    """Wait until the server has computed the photo's embedding, with a click beside the ball."""
    page.mouse.click(*on_screen(page, *GRASS))
    page.wait_for_selector("#run:enabled")
    page.click("#undo")
    page.wait_for_load_state("networkidle")


def measure_hover(page: Any, trial: int) -> float:
    """Return the ms from a movement of the mouse to the outline under it."""
    page.wait_for_timeout(POLL_INTERVAL)
    with page.expect_response("**/hover"):
        page.mouse.move(*on_screen(page, *GRASS))
    page.wait_for_timeout(REST)
    place = on_screen(page, *ball_pixel(trial))
    return measure(page, "#canvas", "pointermove", "body", lambda: page.mouse.move(*place))


def measure_clicks(page: Any, trial: int) -> tuple[float, float]:
    """Return the ms from a first click to its mask, and from a further click to its mask."""
    page.click("#more summary")
    page.uncheck("#hover")
    x, y = ball_pixel(trial)
    places = on_screen(page, x + 3, y + 3), on_screen(page, x + 43, y + 3)  # no cached answer
    times = []
    for place in places:
        page.wait_for_timeout(REST)
        act = lambda place=place: page.mouse.click(*place)  # noqa: E731
        times.append(measure(page, "#canvas", "pointerup", "#run:enabled", act))
    return times[0], times[1]


def measure_removal(page: Any) -> float:
    """Return the ms from a press of Remove to the result."""
    page.wait_for_timeout(REST)
    done = "#result-section:not([hidden]) #summary:not(:empty)"
    return measure(page, "#run", "click", done, lambda: page.click("#run"))


def measure(page: Any, selector: str, event: str, done: str, act: Callable[[], object]) -> float:
    """Return the ms from the event that ``act`` causes to the last change of the ball."""
    page.evaluate(WAIT_FOR_PIXEL, [SEEN, SAMPLE_SIZE, MARGIN, selector, event, done])
    act()
    return float(page.evaluate("measured"))


def ball_pixel(trial: int) -> tuple[int, int]:
    return BALL[0] + 8 * (trial % 5), BALL[1] - 10 + 10 * (trial // 5 % 4)


def on_screen(page: Any, x: float, y: float) -> tuple[float, float]:
    """Return where a pixel of the fitted photo lies in the window."""
    box = page.locator("#canvas").bounding_box()
    width, height = SAMPLE_SIZE
    scale = min((box["width"] - 2 * MARGIN) / width, (box["height"] - 2 * MARGIN) / height)
    left, top = (box["width"] - width * scale) / 2, (box["height"] - height * scale) / 2
    return box["x"] + left + (x + 0.5) * scale, box["y"] + top + (y + 0.5) * scale


def report(
    size: tuple[int, int], checkouts: Sequence[Path], trials: Sequence[Sequence[Times]]
) -> None:
    """Print the medians of each act, one column for each checkout."""
    print(f"{size[0] * size[1] / 1e6:.1f} megapixels, ms, median of {len(trials)}")
    print(f"{'':20}" + "".join(f"{path.name:>16}" for path in checkouts))
    for act, name in enumerate(ACTS):
        medians = [median(trial[i][act] for trial in trials) for i in range(len(checkouts))]
        print(f"{name:20}" + "".join(f"{value:>16.0f}" for value in medians), flush=True)


if __name__ == "__main__":
    main()
