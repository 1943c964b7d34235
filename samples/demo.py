"""See it work: one click, one box and one colour on the sample pictures, nothing downloaded.

    python samples/demo.py [OUT]

Runs the commands that it prints, writes before | mask | after pictures into OUT (out/demo), and
says where they are and how long each took.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from time import perf_counter

from PIL import Image

HERE = Path(__file__).parent
PROMPTS = ("ball", "click"), ("chair", "box")


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "out" / "demo"
    scenes = json.loads((HERE / "samples.json").read_text())
    click, box = (",".join(map(str, scenes[name][kind])) for name, kind in PROMPTS)
    print("Nothing is downloaded. The first fill on a machine compiles itself, some 10 s, once.\n")
    orange = cutout("oranges", out / "orange.png")
    color = ["--color", click, "--tolerance", "60", "--with", str(orange)]
    pictures = [
        run("remove", "ball", ["-p", click], out, "by a click"),
        run("remove", "chair", ["-b", box], out, "by a box"),
        run("replace", "ball", color, out, "by its colour"),
    ]
    print("\nbefore | mask | after:")
    for picture in pictures:
        print(f"  {picture}")


def cutout(scene: str, target: Path) -> Path:
    """The object of a sample, on nothing, as a PNG to put elsewhere."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(HERE / f"{scene}.jpg") as photo, Image.open(HERE / f"{scene}_mask.png") as mask:
        photo.putalpha(mask.convert("L"))
        photo.save(target)
    return target


def run(command: str, scene: str, prompt: list[str], out: Path, how: str) -> Path:
    """One command on one sample, shown, run and timed; returns its preview."""
    photo, name = HERE / f"{scene}.jpg", f"{scene}_{command}d"
    preview = out / f"{name}_preview.jpg"
    words = [
        command,
        str(photo),
        *prompt,
        "-o",
        str(out / f"{name}.jpg"),
        "--preview",
        str(preview),
    ]
    print(f"# {how}\n$ segment2inpaint " + " ".join(words), flush=True)
    start = perf_counter()
    subprocess.run([sys.executable, "-m", "segment2inpaint", *words], check=True)
    print(f"  {perf_counter() - start:.1f} s, start and files included")
    return preview


if __name__ == "__main__":
    main()
