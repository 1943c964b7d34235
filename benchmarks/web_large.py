"""Measure the page's server on a photo of 14 megapixels: a click, Remove, and a brush stroke.

    python benchmarks/web_large.py [--checkout FOLDER]

It prints the median seconds of five trials each, from the request to the answer. --checkout runs
the server of another checkout of this repository.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Any

from PIL import Image
from web import Server, running_server

PHOTO = Path(__file__).parents[1] / "samples" / "ball.jpg"
SIZE = 4376, 3282  # px, width and height: 14.4 megapixels
BALL = 742, 491  # (x, y) of its middle, in px of the sample
STROKE = [[1200, 2400], [2200, 2450], [3000, 2400]], 80  # points and radius, in px of the photo
TRIALS = 5
POLL = 0.02  # s between two questions whether a job has ended


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--checkout", type=Path, metavar="FOLDER", default=Path(__file__).parents[1]
    )
    args = parser.parse_args()
    with running_server(args.checkout) as (address, _):
        server = Server(address + "/api/v1")
        photo = server.post("/photos?name=ball.jpg", large_photo())["id"]
        sleep(5)  # the server computes the photo's embedding
        scale = SIZE[0] / 1152
        x, y = (round(scale * value) for value in BALL)
        points, radius = STROKE
        strokes = {"strokes": [{"points": points, "radius": radius}]}
        stroke = server.post(f"/photos/{photo}/strokes", strokes)["mask"]
        click = {"points": {"include": [[x, y]]}}
        remove(server, photo, click)  # compiles the fill and loads the networks
        report("click", lambda i: server.click(photo, x + 7 * i, y))
        report("Remove, a click", lambda i: remove(server, photo, click, seed=2 * i))
        report(
            "Remove, a brush stroke", lambda i: remove(server, photo, {"mask": stroke}, seed=2 * i)
        )


def large_photo() -> bytes:
    file = io.BytesIO()
    with Image.open(PHOTO) as photo:
        photo.resize(SIZE, Image.Resampling.LANCZOS).save(file, "JPEG", quality=92)
    return file.getvalue()


def remove(server: Server, photo: str, prompt: dict[str, Any], seed: int = 0) -> None:
    """Remove an object, and return when the job has ended. Raises ``RuntimeError``."""
    request = {"prompts": [prompt], "fill": {"seed": seed}, "inpainter": "exemplar"}
    job = server.post(f"/photos/{photo}/jobs", request)
    while job["state"] in ("queued", "running"):
        sleep(POLL)
        job = server.get_json(f"/jobs/{job['id']}")
    if job["state"] != "done":
        raise RuntimeError(f"the job ended with {job}")


def report(name: str, act: Callable[[int], object]) -> None:
    """Print the median seconds of an act, which gets the number of its trial."""
    times = []
    for trial in range(TRIALS):
        start = perf_counter()
        act(trial)
        times.append(perf_counter() - start)
    print(f"{name}: {median(times):.2f} s (median of {TRIALS})")


if __name__ == "__main__":
    main()
