"""Check that two checkouts give the same files: masks and results, bit for bit.

    python benchmarks/compare_checkouts.py OLD NEW [--eval FOLDER] [--photos 10]

Each checkout runs its own command line on the samples (click, box, colour, clean plate, mask). If
``--eval`` or ``$S2I_EVAL`` names a folder, it also runs on photos of ``FOLDER/berkeley100`` (click,
box, colour, mask). The results are compared by their SHA-256. Exit status 1 if a file differs.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import click

Job = tuple[str, list[str], str]  # a name, the words of the command line, the result's file name


def sample_jobs(folder: Path) -> Iterator[Job]:
    """Yield the commands for the samples of a checkout."""
    for name, item in json.loads((folder / "samples.json").read_text()).items():
        photo, clean = folder / f"{name}.jpg", folder / f"{name}_clean.jpg"
        point, box = item["click"], item["box"]
        yield from jobs(name, photo, point, box, folder / f"{name}_mask.png")
        yield from both(f"{name}-plate", photo, ["--plate", str(clean)], "jpg")


def eval_jobs(folder: Path, count: int) -> Iterator[Job]:
    """Yield the commands for the first photos of the evaluation set."""
    for item in sorted((folder / "berkeley100").iterdir())[:count]:
        meta = json.loads((item / "meta.json").read_text())
        yield from jobs(
            item.name, item / "image.jpg", meta["click_xy"], meta["box_xyxy"], item / "mask.png"
        )


def jobs(name: str, photo: Path, point: list[int], box: list[int], mask: Path) -> Iterator[Job]:
    """Yield the commands for one photo, one for each way to point."""
    pixel = ",".join(map(str, point))
    yield from both(f"{name}-click", photo, ["-p", pixel], "jpg")
    yield from both(f"{name}-box", photo, ["-b", ",".join(map(str, box))], "jpg")
    yield from both(f"{name}-color", photo, ["--color", pixel], "jpg")
    yield from both(f"{name}-mask", photo, ["--mask", str(mask)], "jpg")


def both(name: str, photo: Path, words: list[str], suffix: str) -> Iterator[Job]:
    """Yield the commands for the mask alone and for the removal."""
    yield name + "-m", ["mask", str(photo), *words], f"{name}-m.png"
    yield name + "-r", ["remove", str(photo), *words], f"{name}-r.{suffix}"


def digest(checkout: Path, job: Job, out: Path) -> str:
    """Run a command in a checkout; return the SHA-256 of its result, or the line that it printed.

    The last line names the file and seconds, so of a success only the file counts.
    """
    _, words, file = job
    target = out / file
    done = subprocess.run(
        [sys.executable, "-m", "segment2inpaint", *words, "-o", str(target)],
        env={**os.environ, "PYTHONPATH": str(checkout)}, cwd=checkout,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if not target.exists():
        return f"exit {done.returncode}"
    return hashlib.sha256(target.read_bytes()).hexdigest()


@click.command(help=__doc__)
@click.argument("old", type=click.Path(exists=True, path_type=Path))
@click.argument("new", type=click.Path(exists=True, path_type=Path))
@click.option("--eval", "folder", type=click.Path(path_type=Path), envvar="S2I_EVAL")
@click.option("--photos", default=10, show_default=True, help="Photos of the evaluation set.")
def main(old: Path, new: Path, folder: Path | None, photos: int) -> None:
    todo = list(sample_jobs(new.absolute() / "samples"))
    todo += list(eval_jobs(folder, photos)) if folder else []
    different, files = 0, 0
    with TemporaryDirectory() as scratch:
        for job in todo:
            results = []
            for side, checkout in (("old", old), ("new", new)):
                place = Path(scratch, side)
                place.mkdir(exist_ok=True)
                results.append(digest(checkout.absolute(), job, place))
            files += not results[0].startswith("exit")
            if results[0] != results[1]:
                different += 1
                print(f"{job[0]}: {results[0]:.16} -> {results[1]:.16}", flush=True)
    print(f"{len(todo)} commands, {files} files, {different} different")
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
