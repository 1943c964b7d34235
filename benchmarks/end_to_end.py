"""Measure what one removal costs as a whole process: CPU seconds and peak memory.

    python benchmarks/end_to_end.py [--photo FILE --mask FILE] [--iopaint PYTHON]

It runs `segment2inpaint remove` on a photo with each inpainter and detector that needs no
download. With --iopaint, it also runs `iopaint run --model cv2` on the same photo and mask. The
commands run in turn, three times after a first time that does not count, and the median counts.
CPU seconds are user and system time of the process and its children. Byte code is cached, as in
an installed package.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
RUNS = 3  # per command, of which the median counts


def run_cost(command: list[str], byte_code: Path) -> tuple[float, float]:
    """Return CPU seconds and peak resident MB of a command, which must succeed."""
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(byte_code)}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env)
    assert process.stderr
    messages = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed:\n{messages}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def median_costs(commands: dict[str, list[str]], byte_code: Path) -> dict[str, tuple[float, float]]:
    """Return the cost of each command. They take turns, so that a busy machine slows all alike."""
    rounds = [
        {name: run_cost(command, byte_code) for name, command in commands.items()}
        for _ in range(RUNS + 1)
    ]
    costs = {name: [costs[name] for costs in rounds[1:]] for name in commands}
    return {
        name: (median(seconds for seconds, _ in runs), median(memory for _, memory in runs))
        for name, runs in costs.items()
    }


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
    parser.add_argument("--photo", type=Path, default=ROOT / "samples/ball.jpg")
    parser.add_argument("--mask", type=Path, default=ROOT / "samples/ball_mask.png")
    parser.add_argument("--iopaint", metavar="PYTHON", help="Python of an environment with IOPaint")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report(args.photo, args.mask, args.iopaint, Path(folder))


def report(photo: Path, mask: Path, iopaint_python: str | None, out: Path) -> None:
    by_mask = ["--mask", str(mask)]
    click = ["-p", "{},{}".format(*innermost_point(mask))]
    commands = {
        "--help": [sys.executable, "-m", "segment2inpaint", "--help"],
        "mask + telea": remove_command(photo, by_mask, "telea", out),
        "mask + telea, no verify": [*remove_command(photo, by_mask, "telea", out), "--no-verify"],
        "mask + guided": remove_command(photo, by_mask, "guided", out),
        "mask + exemplar": remove_command(photo, by_mask, "exemplar", out),
        "mask + exemplar, no verify": [
            *remove_command(photo, by_mask, "exemplar", out),
            "--no-verify",
        ],
        "click + guided": remove_command(photo, click, "guided", out),
        "click + exemplar": remove_command(photo, click, "exemplar", out),
        "mask only, from mask": mask_command(photo, by_mask, out),
        "mask only, click": mask_command(photo, click, out),
    }
    if iopaint_python:
        commands["iopaint cv2"] = iopaint_command(iopaint_python, photo, mask, out)
    rows = median_costs(commands, out / "byte_code")
    print(f"{photo.name}\n{'':<28}{'CPU s':>8}{'peak MB':>9}")
    for name, (seconds, memory) in rows.items():
        ratio = f"  {seconds / rows['iopaint cv2'][0]:.2f} x IOPaint" if iopaint_python else ""
        print(f"{name:<28}{seconds:>8.2f}{memory:>9.0f}{ratio}")


def innermost_point(mask: Path) -> tuple[int, int]:
    """Return the innermost point of a mask file."""
    import cv2

    _, _, _, location = cv2.minMaxLoc(
        cv2.distanceTransform(cv2.imread(str(mask), 0), cv2.DIST_L2, 5)
    )
    return location[0], location[1]


if __name__ == "__main__":
    main()
