"""Measure how long the page blocks the browser's main thread, with a photo of 50 megapixels.

    python benchmarks/web_page_large.py [--checkout FOLDER]

It traces Chromium during each act of a user and prints, in ms: the CPU time of the main thread's
longest task; how much of that is script, the code of the page; the longest script of any task; and
the wall time of the slowest task, which grows with whatever else the machine does. What of a task
is not script is the browser's: layout, and drawing the canvas, which headless Chromium does on the
main thread and a browser with a GPU does in another process. --checkout measures the page of
another checkout of this repository.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from PIL import Image
from web import ROOT, running_server
from web_page import BALL, PHOTO, chromium, on_screen

SIZE = 8192, 6144  # px, width and height: 50 megapixels
GRASS = 300, 600  # (x, y) in px of the sample: a colour whose area is intricate
CATEGORIES = ["devtools.timeline", "disabled-by-default-devtools.timeline"]
SCRIPTS = {"FunctionCall", "EvaluateScript", "RunMicrotasks", "v8.evaluateModule", "TimerFire"}
COLUMNS = "longest task", "its script", "longest script", "slowest task"
SETTLE = 500  # ms after an act, in which its last frames are drawn
LONG_STROKES, LONG_STROKE = 40, 600  # their number, and the points of each
DRAW_STROKE = """([x, y, points]) => {
  const send = (type, dx = 0, dy = 0) => document.querySelector("#canvas").dispatchEvent(new PointerEvent(
    type, { bubbles: true, pointerId: 1, pointerType: "mouse", button: 0, clientX: x + dx, clientY: y + dy }));
  setTimeout(() => {
    send("pointerdown");
    for (let i = 0; i < points; i++) send("pointermove", 100 * Math.cos(i / 20) + i / 9, 60 * Math.sin(i / 20));
  });
  return new Promise((resolve) => setTimeout(() => resolve(send("pointerup"))));
}"""  # noqa: E501
MOVES = 120  # of the mouse in a drag
MOVE_INTERVAL = 16  # ms
TIMEOUT = 120_000  # ms


class Task(NamedTuple):
    """Milliseconds of a task of the main thread: CPU time, that of the script in it, wall time."""

    cpu: float
    script: float
    wall: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--checkout", type=Path, metavar="FOLDER", default=ROOT)
    args = parser.parse_args()
    print(" " * 30 + "".join(f"{name:>16}" for name in COLUMNS))
    with (
        TemporaryDirectory() as folder,
        running_server(args.checkout) as (address, _),
        chromium() as browser,
    ):
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(TIMEOUT)
        page.goto(address)
        for name, act in acts(page, large_photos(Path(folder))).items():
            report(name, traced_tasks(browser, page, act))


def large_photos(folder: Path) -> list[Path]:
    """Write two photos of 50 megapixels."""
    paths = [folder / "first.jpg", folder / "second.jpg"]
    with Image.open(PHOTO) as photo:
        large = photo.resize(SIZE, Image.Resampling.LANCZOS)
    for path in paths:
        large.save(path, quality=92)
    return paths


def acts(page: Any, photos: Sequence[Path]) -> dict[str, Callable[[], object]]:
    """Return the acts of a user by name, in the order in which they are to be done."""
    return {
        "open": lambda: open_photo(page, photos[0]),
        "zoom with the wheel": lambda: zoom(page),
        "pan": lambda: pan(page),
        "hover": lambda: hover(page),
        "click to mask": lambda: click(page, "click", BALL),
        "zoom with a mask": lambda: zoom(page),
        "brush stroke": lambda: press_and_draw(page, "brush"),
        "brush end to mask": lambda: release(page),
        "undo": lambda: undo(page),
        "Remove to result": lambda: remove(page),
        "compare": lambda: compare(page),
        "undo of the result": lambda: undo(page),
        "Erase stroke": lambda: press_and_draw(page, "erase"),
        "Erase end to result": lambda: erase(page),
        "undo of Erase": lambda: undo(page),
        "forty long strokes": lambda: draw_many(page),
        "colour to an intricate mask": lambda: pick_color(page),
        "zoom with an intricate mask": lambda: zoom(page),
        "brush on an intricate mask": lambda: press_and_draw(page, "subtract"),
        "brush end to intricate mask": lambda: release(page),
        "all objects": lambda: show_all(page),
        "zoom with all objects": lambda: zoom(page),
        "a strip of two photos": lambda: open_photo(page, photos[1]),
    }


def open_photo(page: Any, path: Path) -> None:
    page.set_input_files("#file", path)
    page.wait_for_selector(f"#about-photo:has-text('{path.name}')", state="attached")
    page.wait_for_load_state("networkidle")


def zoom(page: Any) -> None:
    """Zoom in to the pixels of the ball and out again."""
    page.mouse.move(*on_screen(page, *BALL))
    for delta in [-120] * 16 + [120] * 16:
        page.mouse.wheel(0, delta)
        page.wait_for_timeout(2 * MOVE_INTERVAL)
    page.click("#zoom-fit")


def pan(page: Any) -> None:
    page.click("[data-tool=hand]")
    page.click("#zoom-actual")
    drag(page)
    page.mouse.up()
    page.click("#zoom-fit")


def drag(page: Any) -> None:
    """Press on the ball and move around it for about two seconds, without a release."""
    x, y = on_screen(page, *BALL)
    page.mouse.move(x, y)
    page.mouse.down()
    for move in range(MOVES):
        turn = 4 * math.pi * move / MOVES
        page.mouse.move(x + move * math.cos(turn), y + move * math.sin(turn) / 2)
        page.wait_for_timeout(MOVE_INTERVAL)


def draw_many(page: Any) -> None:
    """Draw strokes of ten seconds each, at once; the history of the page grows with them."""
    page.click("[data-tool=brush]")
    for _ in range(LONG_STROKES):
        page.evaluate(DRAW_STROKE, [*on_screen(page, *BALL), LONG_STROKE])
        wait_for_mask(page)


def hover(page: Any) -> None:
    page.click("[data-tool=click]")
    for i in range(20):
        page.mouse.move(*on_screen(page, 60 + 50 * i, 100 + 30 * i))
        page.wait_for_timeout(200)


def click(page: Any, tool: str, pixel: tuple[int, int]) -> None:
    page.click(f"[data-tool={tool}]")
    page.mouse.click(*on_screen(page, *pixel))
    wait_for_mask(page)


def wait_for_mask(page: Any) -> None:
    page.wait_for_selector("#objects li")
    page.wait_for_selector("#objects:not(:has-text('looking'))")
    page.wait_for_selector("#run:enabled")
    page.wait_for_load_state("networkidle")


def press_and_draw(page: Any, tool: str) -> None:
    page.click(f"[data-tool={tool}]")
    drag(page)


def release(page: Any) -> None:
    page.mouse.up()
    wait_for_mask(page)


def undo(page: Any) -> None:
    page.click("#undo")
    page.wait_for_load_state("networkidle")


def remove(page: Any) -> None:
    page.click("#run")
    wait_for_result(page)


def erase(page: Any) -> None:
    page.mouse.up()
    wait_for_result(page)


def wait_for_result(page: Any) -> None:
    page.wait_for_selector("#result-section:not([inert]) #summary:has-text('repainted')")
    page.wait_for_load_state("networkidle")


def compare(page: Any) -> None:
    page.click("#compare")
    box = page.wait_for_selector("#divider:not([hidden])").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for move in range(MOVES):
        page.mouse.move(x + 200 * math.sin(math.pi * move / MOVES), y)
        page.wait_for_timeout(MOVE_INTERVAL)
    page.mouse.up()


def pick_color(page: Any) -> None:
    click(page, "color", GRASS)
    page.check("#everywhere")
    wait_for_mask(page)


def show_all(page: Any) -> None:
    page.click("#show-all")
    page.wait_for_selector("#show-all[aria-pressed=true]")


# --- the trace -----------------------------------------------------------------------------------


def traced_tasks(browser: Any, page: Any, act: Callable[[], object]) -> list[Task]:
    """Return the tasks of the main thread during an act."""
    browser.start_tracing(page=page, categories=CATEGORIES)
    act()
    page.wait_for_timeout(SETTLE)
    return main_thread_tasks(json.loads(browser.stop_tracing())["traceEvents"])


def main_thread_tasks(events: list[dict[str, Any]]) -> list[Task]:
    """Return the tasks in a trace of Chromium's."""
    threads = {thread(e) for e in events if is_main_thread(e)}
    complete = [e for e in events if e["ph"] == "X" and thread(e) in threads]
    scripts = outermost([e for e in complete if e["name"] in SCRIPTS])
    return [
        Task(
            cpu_time(task),
            sum(cpu_time(script) for script in scripts if contains(task, script)),
            task["dur"] / 1000,
        )
        for task in complete
        if task["name"] == "RunTask"
    ]


def thread(event: dict[str, Any]) -> tuple[int, int]:
    return event["pid"], event["tid"]


def is_main_thread(event: dict[str, Any]) -> bool:
    return event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"


def cpu_time(event: dict[str, Any]) -> float:
    """Return the CPU milliseconds of an event."""
    return float(event.get("tdur", 0)) / 1000


def contains(outer: dict[str, Any], inner: dict[str, Any]) -> bool:
    start, end = outer["ts"], outer["ts"] + outer["dur"]
    return thread(outer) == thread(inner) and start <= inner["ts"] < end


def outermost(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the events that lie in no other of them."""
    found: list[dict[str, Any]] = []
    for event in sorted(events, key=lambda e: (thread(e), e["ts"], -e["dur"])):
        if not found or not contains(found[-1], event):
            found.append(event)
    return found


def report(name: str, tasks: Sequence[Task]) -> None:
    longest = max(tasks)
    script, wall = max(task.script for task in tasks), max(task.wall for task in tasks)
    times = longest.cpu, longest.script, script, wall
    print(f"{name:30}" + "".join(f"{time:>16.0f}" for time in times), flush=True)


if __name__ == "__main__":
    main()
