"""The page's server under load: 20 clients click at once for a minute, each on its own photo.

    python benchmarks/web.py [CLIENTS] [SECONDS]

Prints the time from start to the first answer, single latencies, then a table of the clicks under
load, the server's memory, and how many answers were errors or showed another client's photo.
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
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Any

import numpy as np
from PIL import Image

SIZE = 900, 1200  # about a megapixel
RADIUS = 110
HUGE = 6144, 8192


def main() -> None:
    clients, seconds = (int(word) for word in [*sys.argv[1:], "20", "60"][:2])
    words = [sys.executable, "-m", "segment2inpaint", "web", "--port", "0", "--no-open"]
    start = perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = re.search(r"http://\S+?(?=/ )", process.stdout.readline())
        assert address is not None
        server = Server(address.group() + "/api/v1")
        server.get("/about")
        print(f"from start to the first answer: {perf_counter() - start:.2f} s")
        sleep(12)  # it warms up
        print(f"memory, idle: {memory(process.pid):.0f} MB")
        singles(server)
        load(server, clients, seconds, process.pid)
    finally:
        process.terminate()
        process.wait()


class Server:
    """Calls by their path."""

    def __init__(self, root: str) -> None:
        self.root = root

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.root + path) as answer:
            data: bytes = answer.read()
        return data

    def post(self, path: str, data: object) -> Any:
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        kind = "image/jpeg" if isinstance(data, bytes) else "application/json"
        asked = urllib.request.Request(self.root + path, body, {"content-type": kind})
        with urllib.request.urlopen(asked) as answer:
            return json.load(answer)

    def click(self, photo: str, x: int, y: int, slot: str = "") -> list[Any]:
        prompts = [{"points": {"include": [[x, y]]}}]
        found = self.post(f"/photos/{photo}/find", {"prompts": prompts, "slot": slot})["objects"]
        return list(found)


def picture(seed: int, size: tuple[int, int] = SIZE) -> tuple[bytes, int, int]:
    """A disc on a rough ground, as JPEG, and where its centre is."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    cx, cy = int(rng.integers(200, size[1] - 200)), int(rng.integers(200, size[0] - 200))
    ground = rng.integers(60, 140, 3) + rng.normal(0, 8, (*size, 1))
    disc = (x - cx) ** 2 + (y - cy) ** 2 < RADIUS**2
    ground[disc] += rng.choice([-70, 90], 3)
    file = io.BytesIO()
    Image.fromarray(ground.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue(), cx, cy


def singles(server: Server) -> None:
    """One client, nothing else going on."""
    data, x, y = picture(0)
    photo = server.post("/photos?name=a.jpg", data)["id"]
    clicks, finding = [], []
    for i in range(7):
        prompts = [{"points": {"include": [[x + 3 * i, y]]}}]
        start = perf_counter()
        finding.append(server.post(f"/photos/{photo}/find", {"prompts": prompts})["seconds"])
        clicks.append(perf_counter() - start)
    mask = server.click(photo, x, y)[0]["mask"]
    outline = {"masks": [mask], "refine": {"dilate": "20px"}}
    outlines = [timed(lambda: server.post(f"/photos/{photo}/outline", outline)) for _ in range(9)]
    noise = np.random.default_rng(0).integers(0, 255, (HUGE[0] // 16, HUGE[1] // 16, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize(HUGE[::-1]).save(file, "JPEG", quality=85)
    opening = timed(lambda: server.post("/photos?name=b.jpg", file.getvalue()))
    huge = server.post("/photos?name=b.jpg", file.getvalue())["id"]
    print(f"a click, 1 megapixel, to its outlines: {median(clicks) * 1000:.0f} ms (median of 7),")
    print(f"  of which the detector takes {median(finding) * 1000:.0f} ms")
    print(f"an outline at another radius: {median(outlines) * 1000:.0f} ms (median of 9)")
    print(f"opening 50 megapixels: {opening:.2f} s")
    for level in (0, 2, 4):
        path = f"/photos/{huge}/tiles/{level}/0/0"
        tiles = [timed(partial(server.get, path)) for _ in range(6)]
        print(f"a tile of it at level {level}: {median(tiles) * 1000:.0f} ms")


def load(server: Server, clients: int, seconds: int, pid: int) -> None:
    """All at once; each knows where its own disc is."""
    waits: list[float] = []
    wrong: list[str] = []
    peak = [0.0]
    end = perf_counter() + seconds

    def one(seed: int) -> None:
        data, x, y = picture(seed + 1)
        photo = server.post(f"/photos?name={seed}.jpg", data)["id"]
        rng = np.random.default_rng(seed)
        while perf_counter() < end:
            dx, dy = rng.integers(-40, 40, 2)
            start = perf_counter()
            try:
                found = server.click(photo, int(x + dx), int(y + dy), "1")
            except urllib.error.HTTPError as error:
                wrong.append(f"{error.code} {error.read()[:80]!r}")
                continue
            waits.append(perf_counter() - start)
            if not mine(found, x, y):
                wrong.append(f"client {seed}: {[f['box'] for f in found]} is not at {x},{y}")

    begin = perf_counter()
    threads = [threading.Thread(target=one, args=(i,)) for i in range(clients)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        peak[0] = max(peak[0], memory(pid))
        sleep(0.5)
    quarters = np.percentile(waits, [50, 90, 99, 100])
    print(f"\n{clients} clients, {seconds} s: {len(waits)} clicks, {len(wrong)} wrong")
    print("latency, s:   p50 {:6.2f}   p90 {:6.2f}   p99 {:6.2f}   most {:6.2f}".format(*quarters))
    rate = len(waits) / (perf_counter() - begin)
    print(f"clicks a second: {rate:.2f}; memory at most: {peak[0]:.0f} MB")
    for line in wrong[:5]:
        print(f"  {line}")


def mine(found: list[Any], x: int, y: int) -> bool:
    """Whether the mask is the disc round this centre, and no other client's."""
    boxes = [f["box"] for f in found]
    expected = (x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS)
    near = [
        max(abs(a - b) for a, b in zip(box, expected, strict=True)) < RADIUS / 2 for box in boxes
    ]
    return any(near)


def timed(work: Any) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def memory(pid: int) -> float:
    """Resident memory of a process, MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    match = re.search(r"VmRSS:\s+(\d+)", status)
    return int(match.group(1)) / 1024 if match else 0.0


if __name__ == "__main__":
    main()
