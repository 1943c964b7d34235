"""Write a result to files and standard output, and check beforehand that it can be written."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segment2inpaint.cli import console
from segment2inpaint.cli.options import EditOptions, OutputOptions

if TYPE_CHECKING:
    from segment2inpaint.images import FileChanges, Photo
    from segment2inpaint.result import Result
    from segment2inpaint.types import Image, Request


def check_edit_outputs(options: EditOptions, photo: Photo, request: Request) -> None:
    """Raise an error for outputs that could not be written, before any work is done.

    Raises ``click.UsageError`` for options that contradict each other, ``BadOption`` for a file
    that cannot hold the result or would overwrite an input.
    """
    from segment2inpaint import images

    ranks = _kept_ranks(options)
    if options.output == "-" and len(ranks) > 1:
        raise click.UsageError("-o - writes one candidate; choose it with --keep N")
    targets = [path for path in (options.save_mask, options.preview) if path]
    if options.output != "-":
        results = [Path(_candidate_path(options.output, rank, ranks)) for rank in ranks]
        images.check_format(results[0], _with_transparency(photo, request))
        targets += results
    if options.candidates > 1 and options.output != "-":
        targets.append(_contact_sheet_path(options.output))
    check_targets(options, targets, [*input_files(photo, request), options.request])


def check_targets(
    options: OutputOptions, targets: Sequence[Path], sources: Sequence[Path | None]
) -> None:
    """Raise an error unless ``targets`` are different files of known formats, and no ``sources``.

    Raises ``click.UsageError`` or ``BadOption``.
    """
    from segment2inpaint import images

    if options.as_json and options.output == "-":
        raise click.UsageError("--json and -o - would both write to standard output")
    if len({target.absolute() for target in targets}) < len(targets):
        raise click.UsageError("two of the outputs are the same file")
    for target in targets:
        images.format_of(target)
        for source in sources:
            images.check_target(target, source=source, overwrite=options.overwrite)


def input_files(photo: Photo, request: Request) -> Iterator[Path | None]:
    """Yield the file of the photo (None for standard input), of masks, plates and the picture."""
    from segment2inpaint.types import CleanPlate, UserMask

    yield photo.path
    masks = [*request.prompts, *request.refine.protect]
    prompts = [p.source for p in masks if isinstance(p, UserMask | CleanPlate)]
    pictures = [request.fill.picture.source] if request.fill.picture else []
    yield from (Path(name) for name in (*prompts, *pictures) if name)


def write_edit_outputs(
    options: EditOptions, photo: Photo, request: Request, result: Result
) -> None:
    """Write the files that the options name, then print the summary."""
    from segment2inpaint import images
    from segment2inpaint.pipeline import preview

    ranks = _kept_ranks(options)
    files = {
        rank: _candidate_path(options.output, rank, ranks)
        for rank in ranks
        if rank <= len(result.candidates)
    }
    changes = {
        rank: _write_candidate(options, photo, result, rank, file) for rank, file in files.items()
    }
    first = next(iter(changes.values()))
    result = replace(result, changed_outside=first.outside)
    not_kept = _not_kept(photo, options.output)
    if options.save_mask:
        images.write_mask(options.save_mask, result.alpha)
    if options.preview:
        write_picture(options.preview, preview(photo.image, result))
    if len(result.candidates) > 1 and options.output != "-":
        _write_contact_sheet(_contact_sheet_path(options.output), result)
    if options.as_json:
        report = console.result_to_json(photo, options.output, request, result)
        report |= {"changed_outside_levels": first.levels, "not_kept": list(not_kept)}
        print_json({**report, "candidates": console.candidates_to_json(result, files)})
    name = next(iter(files.values()), options.output)
    summary = console.summary(name, result, first)
    notes = [f"{name} does not keep: {', '.join(not_kept)}"] if not_kept else []
    for line in (
        *console.ranking(result, files), *notes, summary, *console.suggestion(result)
    ):  # fmt: skip
        click.echo(console.escape_line(line), err=True)


def write_stdout(data: bytes) -> None:
    """Write bytes to standard output."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def print_json(report: dict[str, Any]) -> None:
    """Print a report on standard output."""
    click.echo(json.dumps(report, indent=2))


def write_picture(path: Path, image: Image) -> None:
    """Write an ``(H, W, 3)`` uint8 RGB image to a new file."""
    import numpy as np

    from segment2inpaint import images

    photo = images.photo_from_array(image)
    images.write(path, photo, photo.image, np.zeros(photo.size, np.float32))


def _kept_ranks(options: EditOptions) -> list[int]:
    """Return the ranks of the candidates to write, from 1. Raises ``click.UsageError``."""
    count = options.candidates
    ranks = list(dict.fromkeys(options.keep or range(1, count + 1)))
    if not all(1 <= rank <= count for rank in ranks):
        got = ",".join(map(str, ranks))
        raise click.UsageError(f"--keep takes ranks from 1 to {count} (--candidates), got {got}")
    return ranks


def _with_transparency(photo: Photo, request: Request) -> Photo:
    """Return the photo, transparent if the result will be."""
    import numpy as np

    from segment2inpaint import images
    from segment2inpaint.backgrounds import TRANSPARENT

    transparent = request.fill.background == TRANSPARENT and not request.fill.picture
    return images.with_opacity(photo, np.zeros(photo.size, np.float32) if transparent else None)


def _candidate_path(output: str, rank: int, ranks: Sequence[int]) -> str:
    """Return OUT if only one candidate is written, else OUT with the rank, such as OUT-2."""
    if len(ranks) == 1:
        return output
    path = Path(output)
    return str(path.with_name(f"{path.stem}-{rank}{path.suffix}"))


def _write_candidate(
    options: EditOptions, photo: Photo, result: Result, rank: int, file: str
) -> FileChanges:
    """Write the candidate of a rank, and return how its file differs outside the mask."""
    from segment2inpaint import images, pipeline

    candidate = result.candidates[rank - 1]
    image, alpha, source = candidate.image, candidate.alpha, photo
    photo = images.with_opacity(photo, result.opacity)
    kind = images.format_of(file) if file != "-" else None
    data = images.encode(photo, image, alpha, format=kind, quality=options.quality)
    if file == "-":
        write_stdout(data)
    else:
        images.write_bytes(file, data, source=photo.path, overwrite=options.overwrite)
    changed = pipeline.changed_outside(photo.image, image, alpha)
    return images.file_changes(source, changed, alpha, data)


def _not_kept(photo: Photo, output: str) -> tuple[str, ...]:
    """Return, in words, what the file of the photo has and the output has not."""
    from segment2inpaint import images

    return images.not_kept(photo, images.format_of(output) if output != "-" else None)


def _contact_sheet_path(output: str) -> Path:
    path = Path(output)
    return path.with_name(f"{path.stem}-candidates.jpg")


def _write_contact_sheet(path: Path, result: Result) -> None:
    """Write all candidates side by side, numbered by rank."""
    from segment2inpaint import overlay

    candidates = result.candidates
    captions = [f"{rank} {c.verdict or ''}" for rank, c in enumerate(candidates, 1)]
    sheet = overlay.contact_sheet([(c.image, c.alpha) for c in candidates], captions)
    write_picture(path, sheet)
