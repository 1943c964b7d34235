"""Run the program on the samples: with a click, a box and a colour. Nothing is downloaded.

    python samples/demo.py [OUT]

It prints each command, runs it, and writes a before | mask | after picture into OUT (out/demo). At
the end it prints where these are.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from time import perf_counter

from PIL import Image

SAMPLES_FOLDER = Path(__file__).parent
PROMPTS = ("ball", "click"), ("chair", "box")


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES_FOLDER.parent / "out" / "demo"
    scenes = json.loads((SAMPLES_FOLDER / "samples.json").read_text())
    click, box = (",".join(map(str, scenes[name][kind])) for name, kind in PROMPTS)
    print("Nothing is downloaded. The first fill on a machine compiles code, for about 10 s.\n")
    orange = write_cutout("oranges", out / "orange.png")
    color = ["--color", click, "--tolerance", "60", "--with", str(orange)]
    previews = [
        run_command("remove", "ball", ["-p", click], out, "with a click"),
        run_command("remove", "chair", ["-b", box], out, "with a box"),
        run_command("replace", "ball", color, out, "with a colour"),
    ]
    print("\nbefore | mask | after:")
    for preview in previews:
        print(f"  {preview}")


def write_cutout(scene: str, target: Path) -> Path:
    """Write the object of a sample as a PNG with a transparent background; return the path."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        Image.open(SAMPLES_FOLDER / f"{scene}.jpg") as photo,
        Image.open(SAMPLES_FOLDER / f"{scene}_mask.png") as mask,
    ):
        photo.putalpha(mask.convert("L"))
        photo.save(target)
    return target


def run_command(command: str, scene: str, prompt: list[str], out: Path, title: str) -> Path:
    """Print a command on a sample, run it and print its time; return the path of its preview."""
    photo, name = SAMPLES_FOLDER / f"{scene}.jpg", f"{scene}_{command}d"
    preview = out / f"{name}_preview.jpg"
    arguments = [
        command,
        str(photo),
        *prompt,
        "-o",
        str(out / f"{name}.jpg"),
        "--preview",
        str(preview),
    ]
    print(f"# {title}\n$ segment2inpaint " + " ".join(arguments), flush=True)
    start = perf_counter()
    subprocess.run([sys.executable, "-m", "segment2inpaint", *arguments], check=True)
    print(f"  {perf_counter() - start:.1f} s, including start-up and files")
    return preview


if __name__ == "__main__":
    main()
