"""Put the page's server under load: 20 clients click for a minute, each on its own photo.

    python benchmarks/web.py [CLIENTS] [SECONDS]

It prints the time from start to the first response, latencies of a single client, then those under
load, the server's memory, and how many responses were errors or showed another client's photo.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
PHOTO_SIZE = 900, 1200  # height and width in px, about a megapixel
DISC_RADIUS = 110  # px
LARGE_SIZE = 6144, 8192  # 50 megapixels


def main() -> None:
    clients, seconds = (int(word) for word in [*sys.argv[1:], "20", "60"][:2])
    with running_server() as (address, pid):
        server = Server(address + "/api/v1")
        sleep(12)  # warm-up
        print(f"memory, idle: {resident_memory(pid):.0f} MB")
        measure_single(server)
        measure_load(server, clients, seconds, pid)


@contextmanager
def running_server(checkout: Path = ROOT) -> Iterator[tuple[str, int]]:
    """Start a server and print the time to its first response. Yield its address and process id.

    ``checkout`` is the folder of the package that serves.
    """
    command = [sys.executable, "-m", "segment2inpaint", "web", "--port", "0", "--no-open"]
    start = perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=checkout)
    try:
        assert process.stdout is not None
        address = re.search(r"http://\S+?(?=/ )", process.stdout.readline())
        assert address is not None
        Server(address.group() + "/api/v1").get("/about")
        print(f"from start to the first response: {perf_counter() - start:.2f} s")
        yield address.group(), process.pid
    finally:
        process.terminate()
        process.wait()


class Server:
    """A client of the page's HTTP API."""

    def __init__(self, root: str) -> None:
        self.root = root

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.root + path) as response:
            data: bytes = response.read()
        return data

    def get_json(self, path: str) -> Any:
        return json.loads(self.get(path))

    def post(self, path: str, data: object) -> Any:
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        content_type = "image/jpeg" if isinstance(data, bytes) else "application/json"
        request = urllib.request.Request(self.root + path, body, {"content-type": content_type})
        with urllib.request.urlopen(request) as response:
            return json.load(response)

    def click(self, photo: str, x: int, y: int, slot: str = "") -> list[Any]:
        prompts = [{"points": {"include": [[x, y]]}}]
        objects = self.post(f"/photos/{photo}/find", {"prompts": prompts, "slot": slot})["objects"]
        return list(objects)


def synthetic_photo(seed: int, size: tuple[int, int] = PHOTO_SIZE) -> tuple[bytes, int, int]:
    """Return a JPEG of a disc on a noisy ground, and the disc's center x, y."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    center_x, center_y = (
        int(rng.integers(200, size[1] - 200)),
        int(rng.integers(200, size[0] - 200)),
    )
    pixels = rng.integers(60, 140, 3) + rng.normal(0, 8, (*size, 1))
    disc = (x - center_x) ** 2 + (y - center_y) ** 2 < DISC_RADIUS**2
    pixels[disc] += rng.choice([-70, 90], 3)
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue(), center_x, center_y


def measure_single(server: Server) -> None:
    """Print the latencies of a single client."""
    data, x, y = synthetic_photo(0)
    photo = server.post("/photos?name=a.jpg", data)["id"]
    click_seconds, detection_seconds = [], []
    for i in range(7):
        prompts = [{"points": {"include": [[x + 3 * i, y]]}}]
        start = perf_counter()
        detection_seconds.append(
            server.post(f"/photos/{photo}/find", {"prompts": prompts})["seconds"]
        )
        click_seconds.append(perf_counter() - start)
    mask = server.click(photo, x, y)[0]["mask"]
    outline = {"masks": [mask], "refine": {"dilate": "20px"}}
    outline_seconds = [
        time_call(lambda: server.post(f"/photos/{photo}/outline", outline)) for _ in range(9)
    ]
    noise = np.random.default_rng(0).integers(
        0, 255, (LARGE_SIZE[0] // 16, LARGE_SIZE[1] // 16, 3), np.uint8
    )
    file = io.BytesIO()
    Image.fromarray(noise).resize(LARGE_SIZE[::-1]).save(file, "JPEG", quality=85)
    opening_seconds = time_call(lambda: server.post("/photos?name=b.jpg", file.getvalue()))
    large_photo = server.post("/photos?name=b.jpg", file.getvalue())["id"]
    print(
        f"a click, 1 megapixel, to its outlines: {median(click_seconds) * 1000:.0f} ms "
        f"(median of 7),"
    )
    print(f"  of which the detector takes {median(detection_seconds) * 1000:.0f} ms")
    print(f"an outline with another radius: {median(outline_seconds) * 1000:.0f} ms (median of 9)")
    print(f"opening 50 megapixels: {opening_seconds:.2f} s")
    for level in (0, 2, 4):
        path = f"/photos/{large_photo}/tiles/{level}/0/0"
        tiles = [time_call(partial(server.get, path)) for _ in range(6)]
        print(f"a tile of it at level {level}: {median(tiles) * 1000:.0f} ms")


def measure_load(server: Server, clients: int, seconds: int, pid: int) -> None:
    """Run all clients at once; each knows the place of its own disc."""
    latencies: list[float] = []
    errors: list[str] = []
    peak_memory = 0.0
    end = perf_counter() + seconds

    def run_client(seed: int) -> None:
        data, x, y = synthetic_photo(seed + 1)
        photo = server.post(f"/photos?name={seed}.jpg", data)["id"]
        rng = np.random.default_rng(seed)
        while perf_counter() < end:
            dx, dy = rng.integers(-40, 40, 2)
            start = perf_counter()
            try:
                objects = server.click(photo, int(x + dx), int(y + dy), "1")
            except urllib.error.HTTPError as error:
                errors.append(f"{error.code} {error.read()[:80]!r}")
                continue
            latencies.append(perf_counter() - start)
            if not is_own_disc(objects, x, y):
                errors.append(
                    f"client {seed}: {[object_['box'] for object_ in objects]} is not at {x},{y}"
                )

    start_time = perf_counter()
    threads = [threading.Thread(target=run_client, args=(i,)) for i in range(clients)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        peak_memory = max(peak_memory, resident_memory(pid))
        sleep(0.5)
    percentiles = np.percentile(latencies, [50, 90, 99, 100])
    print(f"\n{clients} clients, {seconds} s: {len(latencies)} clicks, {len(errors)} errors")
    print(
        "latency, s:   p50 {:6.2f}   p90 {:6.2f}   p99 {:6.2f}   max {:6.2f}".format(*percentiles)
    )
    rate = len(latencies) / (perf_counter() - start_time)
    print(f"clicks per second: {rate:.2f}; peak memory: {peak_memory:.0f} MB")
    for line in errors[:5]:
        print(f"  {line}")


def is_own_disc(objects: list[Any], x: int, y: int) -> bool:
    """Return whether the mask is the disc around this center, and not another client's."""
    boxes = [object_["box"] for object_ in objects]
    expected = (x - DISC_RADIUS, y - DISC_RADIUS, x + DISC_RADIUS, y + DISC_RADIUS)
    is_near = [
        max(abs(a - b) for a, b in zip(box, expected, strict=True)) < DISC_RADIUS / 2
        for box in boxes
    ]
    return any(is_near)


def time_call(function: Any) -> float:
    start = perf_counter()
    function()
    return perf_counter() - start


def resident_memory(pid: int) -> float:
    """Return the resident memory of a process in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    match = re.search(r"VmRSS:\s+(\d+)", status)
    return int(match.group(1)) / 1024 if match else 0.0


if __name__ == "__main__":
    main()
