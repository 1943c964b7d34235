"""Fill the holes of a job with one method, as a program of its own: time and memory are its own.

``python fill_methods.py METHOD FOLDER [THREADS]`` reads FOLDER/*.npz (``image`` (H, W, 3) uint8
RGB, ``bits`` (H, W) bool) and writes FOLDER/METHOD/*.png beside a JSON line of figures for each
on stdout. Any Python with the method's library will do.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

Fill = Callable[[Any, Any], Any]


def exemplar() -> Fill:
    from segment2inpaint.inpaint.exemplar.inpainter import ExemplarInpainter
    from segment2inpaint.protocols import Crop
    from segment2inpaint.types import Fill as Request

    return lambda image, bits: ExemplarInpainter().inpaint([Crop(image, bits)], Request())[0]


def telea() -> Fill:
    return lambda image, bits: cv2.inpaint(image, bits.astype(np.uint8), 3, cv2.INPAINT_TELEA)


def ns() -> Fill:
    return lambda image, bits: cv2.inpaint(image, bits.astype(np.uint8), 3, cv2.INPAINT_NS)


def biharmonic() -> Fill:
    from skimage.restoration import inpaint_biharmonic

    def fill(image: Any, bits: Any) -> Any:
        return np.rint(inpaint_biharmonic(image, bits, channel_axis=-1) * 255).astype(np.uint8)

    return fill


def shiftmap() -> Fill:
    def fill(image: Any, bits: Any) -> Any:
        lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
        made = np.zeros_like(lab)
        cv2.xphoto.inpaint(
            lab, np.where(bits, 0, 255).astype(np.uint8), made, cv2.xphoto.INPAINT_SHIFTMAP
        )
        return cv2.cvtColor(made, cv2.COLOR_LAB2RGB)

    return fill


def fsr() -> Fill:
    def fill(image: Any, bits: Any) -> Any:
        made = np.zeros_like(image)
        mask = np.where(bits, 0, 255).astype(np.uint8)
        cv2.xphoto.inpaint(image, mask, made, cv2.xphoto.INPAINT_FSR_FAST)
        return made

    return fill


METHODS = {f.__name__: f for f in (exemplar, telea, ns, biharmonic, shiftmap, fsr)}
CONTRIB = ("shiftmap", "fsr")  # need the contrib build of OpenCV


def memory(field: str) -> int:
    """Resident bytes of this process: ``VmRSS`` now, ``VmHWM`` at most. 0 where unknown."""
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else ():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    return 0


def forget_peak() -> None:
    """Let the peak start again from what is resident now (Linux)."""
    refs = Path("/proc/self/clear_refs")
    if refs.exists():
        refs.write_text("5")


def cpu() -> float:
    spent = os.times()
    return spent.user + spent.system


def run(fill: Fill, job: Path, out: Path) -> dict[str, Any]:
    data = np.load(job)
    image, bits = data["image"], data["bits"]
    forget_peak()
    before, start, clock = memory("VmRSS"), cpu(), time.perf_counter()
    made = fill(image, bits)
    wall, spent = time.perf_counter() - clock, cpu() - start
    peak = memory("VmHWM") - before
    made = np.where(bits[..., None], made, image)
    cv2.imwrite(str(out / f"{job.stem}.png"), made[..., ::-1])
    return {"item": job.stem, "cpu": spent, "wall": wall, "memory": peak}


def main(method: str, folder: str, threads: str = "2") -> None:
    cv2.setNumThreads(int(threads))
    jobs = sorted(Path(folder).glob("*.npz"))
    out = Path(folder) / method
    out.mkdir(exist_ok=True)
    fill = METHODS[method]()
    square = np.zeros((64, 64), bool)
    square[24:40, 24:40] = True
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    fill(noise, square)  # imports and compiles
    for job in jobs:
        print(json.dumps(run(fill, job, out)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
