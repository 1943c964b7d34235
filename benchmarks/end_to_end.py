"""What one removal costs, the whole process: CPU seconds and peak memory.

    python benchmarks/end_to_end.py [--photo FILE --mask FILE] [--iopaint PYTHON]

Runs `segment2inpaint remove` on a photo with each inpainter and detector that needs no download,
and, where an environment with IOPaint is given, `iopaint run --model cv2` on the same photo and
mask. Each command runs three times; the median counts. CPU seconds are user + system of the
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
RUNS = 3


def cost(command: list[str]) -> tuple[float, float]:
    """CPU seconds and peak resident MB of a command, which must succeed."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr
    messages = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed:\n{messages}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def typical(command: list[str]) -> tuple[float, float]:
    runs = [cost(command) for _ in range(RUNS)]
    return median(run[0] for run in runs), median(run[1] for run in runs)


def ours(photo: Path, prompt: list[str], inpainter: str, out: Path) -> list[str]:
    target = ["--inpainter", inpainter, "-o", str(out / f"{inpainter}{photo.suffix}")]
    return [sys.executable, "-m", "segment2inpaint", "remove", str(photo), *prompt, *target]


def found(photo: Path, prompt: list[str], out: Path) -> list[str]:
    """The mask alone: two of them apart tell what a click costs."""
    program = [sys.executable, "-m", "segment2inpaint", "mask"]
    return [*program, str(photo), *prompt, "-o", str(out / "mask.png")]


def iopaint(python: str, photo: Path, mask: Path, out: Path) -> list[str]:
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
    parser.add_argument("--iopaint", metavar="PYTHON", help="of an environment that has IOPaint")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report(given.photo, given.mask, given.iopaint, Path(folder))


def report(photo: Path, mask: Path, rival: str | None, out: Path) -> None:
    by_mask = ["--mask", str(mask)]
    click = ["-p", "{},{}".format(*middle(mask))]
    rows = {
        "--help": typical([sys.executable, "-m", "segment2inpaint", "--help"]),
        "mask + telea": typical(ours(photo, by_mask, "telea", out)),
        "mask + exemplar": typical(ours(photo, by_mask, "exemplar", out)),
        "… not verified": typical([*ours(photo, by_mask, "exemplar", out), "--no-verify"]),
        "click + exemplar": typical(ours(photo, click, "exemplar", out)),
        "mask, found again": typical(found(photo, by_mask, out)),
        "click, found": typical(found(photo, click, out)),
    }
    if rival:
        rows["iopaint cv2"] = typical(iopaint(rival, photo, mask, out))
    print(f"{photo.name}\n{'':<18}{'CPU s':>8}{'peak MB':>9}")
    for name, (seconds, memory) in rows.items():
        ratio = f"  {seconds / rows['iopaint cv2'][0]:.2f} x IOPaint" if rival else ""
        print(f"{name:<18}{seconds:>8.2f}{memory:>9.0f}{ratio}")


def middle(mask: Path) -> tuple[int, int]:
    """The innermost point of a mask file."""
    import cv2

    _, _, _, place = cv2.minMaxLoc(cv2.distanceTransform(cv2.imread(str(mask), 0), cv2.DIST_L2, 5))
    return place[0], place[1]


if __name__ == "__main__":
    main()
