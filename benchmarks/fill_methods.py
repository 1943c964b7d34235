"""Fill holes with one method, in a process of its own, so that time and memory are the method's.

``python fill_methods.py METHOD FOLDER [THREADS]`` reads FOLDER/*.npz (``image`` (H, W, 3) uint8
RGB, ``mask`` (H, W) bool), writes FOLDER/METHOD/*.png, and prints a JSON line of figures for each.
Any Python with the method's library works.
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


def shipped(name: str) -> Fill:
    """Return a fill of the package."""
    from segment2inpaint import inpaint
    from segment2inpaint.protocols import Crop
    from segment2inpaint.types import Fill as Request

    inpainter = inpaint.load(name)
    return lambda image, mask: inpainter.inpaint([Crop(image, mask)], Request())[0]


def guided() -> Fill:
    return shipped("guided")


def exemplar() -> Fill:
    return shipped("exemplar")


def migan() -> Fill:
    return shipped("migan")


def telea() -> Fill:
    return lambda image, mask: cv2.inpaint(image, mask.astype(np.uint8), 3, cv2.INPAINT_TELEA)


def ns() -> Fill:
    return lambda image, mask: cv2.inpaint(image, mask.astype(np.uint8), 3, cv2.INPAINT_NS)


def biharmonic() -> Fill:
    from skimage.restoration import inpaint_biharmonic

    def fill(image: Any, mask: Any) -> Any:
        return np.rint(inpaint_biharmonic(image, mask, channel_axis=-1) * 255).astype(np.uint8)

    return fill


def shiftmap() -> Fill:
    xphoto: Any = cv2.xphoto  # type: ignore[attr-defined]

    def fill(image: Any, mask: Any) -> Any:
        lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
        filled = np.zeros_like(lab)
        xphoto.inpaint(
            lab, np.where(mask, 0, 255).astype(np.uint8), filled, xphoto.INPAINT_SHIFTMAP
        )
        return cv2.cvtColor(filled, cv2.COLOR_LAB2RGB)

    return fill


def fsr() -> Fill:
    xphoto: Any = cv2.xphoto  # type: ignore[attr-defined]

    def fill(image: Any, mask: Any) -> Any:
        filled = np.zeros_like(image)
        valid = np.where(mask, 0, 255).astype(np.uint8)
        xphoto.inpaint(image, valid, filled, xphoto.INPAINT_FSR_FAST)
        return filled

    return fill


def pypatchmatch() -> Fill:
    """Return the fill of InvokeAI, with the patch size that it uses."""
    from patchmatch import patch_match

    def fill(image: Any, mask: Any) -> Any:
        return patch_match.inpaint(image, mask.astype(np.uint8) * 255, patch_size=3)

    return fill


METHODS = {
    f.__name__: f
    for f in (guided, exemplar, migan, telea, ns, biharmonic, shiftmap, fsr, pypatchmatch)
}
CONTRIB = ("shiftmap", "fsr")  # need the contrib build of OpenCV


def memory_bytes(field: str) -> int:
    """Return this process's resident bytes, now (``VmRSS``) or peak (``VmHWM``); 0 if unknown."""
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else ():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    return 0


def reset_peak() -> None:
    """Reset the peak of resident memory (Linux)."""
    refs = Path("/proc/self/clear_refs")
    if refs.exists():
        refs.write_text("5")


def cpu_seconds() -> float:
    spent = os.times()
    return spent.user + spent.system


def run_job(fill: Fill, job: Path, out: Path) -> dict[str, Any]:
    arrays = np.load(job)
    image, mask = arrays["image"], arrays["mask"]
    reset_peak()
    memory_before, cpu_start, clock_start = (
        memory_bytes("VmRSS"),
        cpu_seconds(),
        time.perf_counter(),
    )
    filled = fill(image, mask)
    wall, cpu = time.perf_counter() - clock_start, cpu_seconds() - cpu_start
    peak = memory_bytes("VmHWM") - memory_before
    filled = np.where(mask[..., None], filled, image)
    cv2.imwrite(str(out / f"{job.stem}.png"), filled[..., ::-1])
    return {"item": job.stem, "cpu": cpu, "wall": wall, "memory": peak}


def main(method: str, folder: str, threads: str = "2") -> None:
    cv2.setNumThreads(int(threads))
    jobs = sorted(Path(folder).glob("*.npz"))
    out = Path(folder) / method
    out.mkdir(exist_ok=True)
    fill = METHODS[method]()
    mask = np.zeros((64, 64), bool)
    mask[24:40, 24:40] = True
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    fill(noise, mask)  # imports and compiles
    for job in jobs:
        print(json.dumps(run_job(fill, job, out)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
