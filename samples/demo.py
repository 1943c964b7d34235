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

HERE = Path(__file__).parent


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "out" / "demo"
    scenes = json.loads((HERE / "samples.json").read_text())
    click = ",".join(map(str, scenes["boat"]["click"]))
    box = ",".join(map(str, scenes["chair"]["box"]))
    color = ",".join(map(str, scenes["ball"]["click"]))
    print("Nothing is downloaded. The first removal compiles the exemplar fill, once.\n")
    pictures = [
        run("remove", "boat", ["-p", click], out),
        run("remove", "chair", ["-b", box], out),
        run("replace", "ball", ["--color", color, "--with", str(HERE / "pumpkin.png")], out),
    ]
    print("\nbefore | mask | after:")
    for picture in pictures:
        print(f"  {picture}")


def run(command: str, scene: str, prompt: list[str], out: Path) -> Path:
    """One command on one sample, shown, run and timed; returns its preview."""
    photo, preview = HERE / f"{scene}.jpg", out / f"{scene}_preview.jpg"
    options = [*prompt, "-o", str(out / photo.name), "--preview", str(preview)]
    words = [command, str(photo), *options]
    print("$ segment2inpaint " + " ".join(words))
    start = perf_counter()
    subprocess.run([sys.executable, "-m", "segment2inpaint", *words], check=True)
    print(f"  {perf_counter() - start:.1f} s, start and files included")
    return preview


if __name__ == "__main__":
    main()
