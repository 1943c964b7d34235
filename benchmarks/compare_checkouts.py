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
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import click

Job = tuple[str, list[str], str]  # a name, the words of the command line, the result's file name


def compile_kernels(checkout: Path, jobs: Sequence[Job], out: Path) -> None:
    """Run one removal: the process that compiles the fill may round differently than later ones."""
    digest(checkout, next(job for job in jobs if job[1][0] == "remove"), out)


def sample_jobs(folder: Path) -> Iterator[Job]:
    """Yield the commands for the samples of a checkout."""
    for name, item in json.loads((folder / "samples.json").read_text()).items():
        photo, clean = folder / f"{name}.jpg", folder / f"{name}_clean.jpg"
        point, box = item["click"], item["box"]
        yield from photo_jobs(name, photo, point, box, folder / f"{name}_mask.png")
        yield from mask_and_removal(f"{name}-plate", photo, ["--plate", str(clean)])


def eval_jobs(folder: Path, count: int) -> Iterator[Job]:
    """Yield the commands for the first photos of the evaluation set."""
    for item in sorted((folder / "berkeley100").iterdir())[:count]:
        meta = json.loads((item / "meta.json").read_text())
        yield from photo_jobs(
            item.name, item / "image.jpg", meta["click_xy"], meta["box_xyxy"], item / "mask.png"
        )


def photo_jobs(
    name: str, photo: Path, point: list[int], box: list[int], mask: Path
) -> Iterator[Job]:
    """Yield the commands for one photo, one for each way to point."""
    pixel = ",".join(map(str, point))
    yield from mask_and_removal(f"{name}-click", photo, ["-p", pixel])
    yield from mask_and_removal(f"{name}-box", photo, ["-b", ",".join(map(str, box))])
    yield from mask_and_removal(f"{name}-color", photo, ["--color", pixel])
    yield from mask_and_removal(f"{name}-mask", photo, ["--mask", str(mask)])


def mask_and_removal(name: str, photo: Path, words: list[str]) -> Iterator[Job]:
    """Yield the commands for the mask alone and for the removal."""
    yield name + "-m", ["mask", str(photo), *words], f"{name}-m.png"
    yield name + "-r", ["remove", str(photo), *words], f"{name}-r.jpg"


def digest(checkout: Path, job: Job, out: Path) -> str:
    """Run a command in a checkout; return the SHA-256 of its result, or its exit status."""
    _, words, file = job
    target = out / file
    process = subprocess.run(
        [sys.executable, "-m", "segment2inpaint", *words, "-o", str(target)],
        env={**os.environ, "PYTHONPATH": str(checkout)}, cwd=checkout,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if not target.exists():
        return f"exit {process.returncode}"
    return hashlib.sha256(target.read_bytes()).hexdigest()


@click.command(help=__doc__)
@click.argument("old", type=click.Path(exists=True, path_type=Path))
@click.argument("new", type=click.Path(exists=True, path_type=Path))
@click.option("--eval", "folder", type=click.Path(path_type=Path), envvar="S2I_EVAL")
@click.option("--photos", default=10, show_default=True, help="Photos of the evaluation set.")
def main(old: Path, new: Path, folder: Path | None, photos: int) -> None:
    checkouts = old.absolute(), new.absolute()
    jobs = list(sample_jobs(new.absolute() / "samples"))
    jobs += list(eval_jobs(folder, photos)) if folder else []
    different, files = 0, 0
    with TemporaryDirectory() as scratch:
        places = [Path(scratch, side) for side in ("old", "new")]
        for checkout, place in zip(checkouts, places, strict=True):
            place.mkdir()
            compile_kernels(checkout, jobs, place)
        for job in jobs:
            before, after = (
                digest(checkout, job, place)
                for checkout, place in zip(checkouts, places, strict=True)
            )
            files += not before.startswith("exit")
            if before != after:
                different += 1
                print(f"{job[0]}: {before:.16} -> {after:.16}", flush=True)
    print(f"{len(jobs)} commands, {files} files, {different} different")
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
