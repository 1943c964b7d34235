"""Measure what one removal costs as a whole process: CPU seconds and peak memory.

    python benchmarks/end_to_end.py [--photo FILE --mask FILE] [--iopaint PYTHON]

It runs `segment2inpaint remove` on a photo with each inpainter and detector that needs no
download. With --iopaint, it also runs `iopaint run --model cv2` on the same photo and mask. Each
command runs three times, and the median counts. CPU seconds are user and system time of the
process and its children.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
RUNS = 3  # per command, of which the median counts


def run_cost(command: list[str]) -> tuple[float, float]:
    """Return CPU seconds and peak resident MB of a command, which must succeed."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr
    messages = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed:\n{messages}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def median_cost(command: list[str]) -> tuple[float, float]:
    runs = [run_cost(command) for _ in range(RUNS)]
    return median(cost[0] for cost in runs), median(cost[1] for cost in runs)


def remove_command(photo: Path, prompt: list[str], inpainter: str, out: Path) -> list[str]:
    target = ["--inpainter", inpainter, "-o", str(out / f"{inpainter}{photo.suffix}")]
    return [sys.executable, "-m", "segment2inpaint", "remove", str(photo), *prompt, *target]


def mask_command(photo: Path, prompt: list[str], out: Path) -> list[str]:
    """Return the command for the mask alone; two of them differ by the cost of a click."""
    program = [sys.executable, "-m", "segment2inpaint", "mask"]
    return [*program, str(photo), *prompt, "-o", str(out / "mask.png")]


def iopaint_command(python: str, photo: Path, mask: Path, out: Path) -> list[str]:
    program = str(Path(python).with_name("iopaint"))
    files = ["--image", str(photo), "--mask", str(mask), "--output", str(out)]
    return [program, "run", "--model", "cv2", "--device", "cpu", *files]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    scene = next(iter(json.loads((ROOT / "samples/samples.json").read_text())))
    parser.add_argument("--photo", type=Path, default=ROOT / f"samples/{scene}.jpg")
    parser.add_argument("--mask", type=Path, default=ROOT / f"samples/{scene}_mask.png")
    parser.add_argument("--iopaint", metavar="PYTHON", help="Python of an environment with IOPaint")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report(args.photo, args.mask, args.iopaint, Path(folder))


def report(photo: Path, mask: Path, iopaint_python: str | None, out: Path) -> None:
    by_mask = ["--mask", str(mask)]
    click = ["-p", "{},{}".format(*innermost_point(mask))]
    rows = {
        "--help": median_cost([sys.executable, "-m", "segment2inpaint", "--help"]),
        "mask + telea": median_cost(remove_command(photo, by_mask, "telea", out)),
        "mask + exemplar": median_cost(remove_command(photo, by_mask, "exemplar", out)),
        "… without verification": median_cost(
            [*remove_command(photo, by_mask, "exemplar", out), "--no-verify"]
        ),
        "click + exemplar": median_cost(remove_command(photo, click, "exemplar", out)),
        "mask only, from mask": median_cost(mask_command(photo, by_mask, out)),
        "mask only, click": median_cost(mask_command(photo, click, out)),
    }
    if iopaint_python:
        rows["iopaint cv2"] = median_cost(iopaint_command(iopaint_python, photo, mask, out))
    print(f"{photo.name}\n{'':<24}{'CPU s':>8}{'peak MB':>9}")
    for name, (seconds, memory) in rows.items():
        ratio = f"  {seconds / rows['iopaint cv2'][0]:.2f} x IOPaint" if iopaint_python else ""
        print(f"{name:<24}{seconds:>8.2f}{memory:>9.0f}{ratio}")


def innermost_point(mask: Path) -> tuple[int, int]:
    """Return the innermost point of a mask file."""
    import cv2

    _, _, _, location = cv2.minMaxLoc(
        cv2.distanceTransform(cv2.imread(str(mask), 0), cv2.DIST_L2, 5)
    )
    return location[0], location[1]


if __name__ == "__main__":
    main()
