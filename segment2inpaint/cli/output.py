"""What becomes of a result: files, standard output, and what is told."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segment2inpaint.cli import console
from segment2inpaint.cli.build_request import Options

if TYPE_CHECKING:
    from segment2inpaint.images import Photo
    from segment2inpaint.types import Image, Request, Result

OUTPUTS = ("save_mask", "preview", "overlay")


def numbers(given: Options) -> list[int]:
    """The ranks of the candidates that are kept, from 1; all unless chosen."""
    count = given.get("candidates") or 1
    kept = list(dict.fromkeys(given.get("keep") or range(1, count + 1)))
    if not all(1 <= number <= count for number in kept):
        asked = ",".join(map(str, kept))
        raise click.UsageError(f"--keep takes ranks from 1 to {count} (--candidates), got {asked}")
    return kept


def named(output: str, number: int, kept: list[int]) -> str:
    """OUT for the only one that is kept, OUT-2 for the second of several."""
    if len(kept) == 1:
        return output
    path = Path(output)
    return str(path.with_name(f"{path.stem}-{number}{path.suffix}"))


def check_outputs(given: Options, photo: Photo, request: Request) -> None:
    """Refuse before the work what could not be written after it, and what would be an input."""
    from segment2inpaint import images

    kept = numbers(given)
    if given["output"] == "-" and len(kept) > 1:
        raise click.UsageError("-o - takes one candidate: say which with --keep N")
    if given["as_json"] and given["output"] == "-":
        raise click.UsageError("--json and -o - would both write to standard output")
    targets = [Path(given[name]) for name in OUTPUTS if given.get(name)]
    if given["output"] != "-":
        results = [Path(named(given["output"], number, kept)) for number in kept]
        targets += results
        if "candidates" in given:  # else it is a mask, which any format holds
            images.check_format(results[0], photo)
    if (given.get("candidates") or 1) > 1 and given["output"] != "-":
        targets.append(_sheet(given))
    if len({target.absolute() for target in targets}) < len(targets):
        raise click.UsageError("two of the outputs are the same file")
    for target in targets:
        images.format_of(target)
        for source in (photo.path, *_beside(given, request)):
            images.check_target(target, source=source, overwrite=given["overwrite"])


def _beside(given: Options, request: Request) -> Iterator[Path]:
    """The files that are read besides the photo."""
    from segment2inpaint.types import CleanPlate, UserMask

    files = [p.source for p in request.prompts if isinstance(p, UserMask | CleanPlate)]
    picture = request.fill.picture
    files += [picture.source] if picture else []
    yield from (Path(file) for file in [*files, given.get("request")] if file)


def write_outputs(given: Options, photo: Photo, request: Request, result: Result) -> None:
    """Write what was asked for, then tell about it."""
    from segment2inpaint import images
    from segment2inpaint.pipeline import preview

    kept = [number for number in numbers(given) if number <= len(result.candidates)]
    files = {n: named(given["output"], n, numbers(given)) for n in kept}
    for number, file in files.items():
        _write(given, photo, result, number, file)
    if given["save_mask"]:
        images.write_mask(given["save_mask"], result.alpha)
    if given["preview"]:
        _picture(given["preview"], preview(photo.image, result))
    if len(result.candidates) > 1 and given["output"] != "-":
        _contact(given, result)
    if given["as_json"]:
        report = console.report(photo, given["output"], request, result)
        print_json({**report, "candidates": console.candidates(result, files)})
    summary = console.summary(next(iter(files.values()), given["output"]), result)
    for told in (*console.ranking(result, files), summary):
        click.echo(console.escape_line(told), err=True)


def to_stdout(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def print_json(report: dict[str, Any]) -> None:
    click.echo(json.dumps(report, indent=2))


def _write(given: Options, photo: Photo, result: Result, number: int, file: str) -> None:
    from segment2inpaint import images

    one, how = result.candidates[number - 1], {"quality": given["quality"]}
    if file == "-":
        to_stdout(images.encode(photo, one.image, one.alpha, **how))
    else:
        images.write(file, photo, one.image, one.alpha, overwrite=given["overwrite"], **how)


def _sheet(given: Options) -> Path:
    path = Path(given["output"])
    return path.with_name(f"{path.stem}-candidates.jpg")


def _contact(given: Options, result: Result) -> None:
    """All candidates side by side, numbered by rank."""
    from segment2inpaint.cli import overlay

    captions = [f"{n} {one.verdict or ''}" for n, one in enumerate(result.candidates, 1)]
    shown = [(one.image, one.alpha) for one in result.candidates]
    _picture(_sheet(given), overlay.contact_sheet(shown, captions))


def _picture(path: Path, image: Image) -> None:
    import numpy as np

    from segment2inpaint import images

    sheet = images.photo_of(image)
    images.write(path, sheet, sheet.image, np.zeros(sheet.size, np.float32))
