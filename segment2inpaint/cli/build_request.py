"""Turn options into the photo, the ``Request`` and the ``Editor`` that a command works with."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from segment2inpaint.cli import console
from segment2inpaint.cli.machine_options import MachineOptions
from segment2inpaint.cli.options import (
    CheckOptions,
    EditRequestOptions,
    FillOptions,
    PhotoOptions,
    PointOptions,
    RefineOptions,
)

if TYPE_CHECKING:
    from segment2inpaint.editor import Editor
    from segment2inpaint.images import Photo
    from segment2inpaint.protocols import RuntimeOptions
    from segment2inpaint.types import Alpha, BinaryMask, Refine, ReplacementImage, Request


def load_photo(options: PhotoOptions) -> Photo:
    """Read the photo from its file or, for ``-``, from standard input. Raises ``BadImage``."""
    from segment2inpaint import images

    limit = options.max_pixels or images.MAX_PIXELS
    source = read_stdin() if options.photo == "-" else Path(options.photo)
    return images.read(source, max_pixels=limit)


def read_stdin() -> bytes:
    """Return all of standard input; nothing if it is closed."""
    return sys.stdin.buffer.read() if sys.stdin else b""


def load_edit_request(options: EditRequestOptions, photo: Photo) -> Request:
    """Return the request of ``remove`` or ``replace``, with its masks and pictures read.

    Raises ``click.UsageError`` for options that contradict each other, ``BadOption`` for a file
    that is not a request, and ``BadImage`` for a mask or picture that cannot be read.
    """
    from segment2inpaint.errors import BadOption

    data = edit_request_json(options)
    try:
        return load_request(data, photo, resize_mask=options.resize_mask)
    except BadOption as error:
        if options.request is None:
            raise
        raise BadOption(f"{options.request}: {error}") from error


def load_mask_request(options: PhotoOptions, photo: Photo) -> Request:
    """Return the request of ``mask``. Raises as ``load_edit_request``."""
    return load_request(mask_request_json(options, options), photo, resize_mask=options.resize_mask)


def load_request(data: dict[str, Any], photo: Photo, *, resize_mask: bool) -> Request:
    """Return the request that JSON data describe, with its files read. Raises ``BadOption``."""
    from segment2inpaint import images, request
    from segment2inpaint.api import as_picture

    def read_mask(name: str) -> BinaryMask | Alpha:
        return images.read_mask(
            name, photo.size, orientation=photo.orientation, resize=resize_mask,
            on_message=partial(click.echo, err=True),
        )  # fmt: skip

    def read_picture(name: str) -> ReplacementImage:
        return as_picture(images.read(name))

    return request.from_json(data, read_picture, read_mask)


# --- the request as JSON ----------------------------------------------------------------------


def edit_request_json(options: EditRequestOptions) -> dict[str, Any]:
    """Return the request in the options, or in the file of ``--request``, as JSON data.

    Masks and pictures stay names of files. Raises as ``load_edit_request``.
    """
    if options.request:
        _refuse_request_options()
        return _read_request_file(options.request)
    _check_background(options)
    return {
        **mask_request_json(options, options),
        "fill": _fill_json(options),
        "inpainter": _inpainter_name(options),
        "verify": options.verify,
        "attempts": options.attempts,
    }


def mask_request_json(point: PointOptions, refine: RefineOptions) -> dict[str, Any]:
    """Return a request that paints nothing as JSON data."""
    return {
        "prompts": list(_prompts_json(point)),
        "refine": _refine_json(refine),
        "fill": {},
        "detector": point.detector,
    }


def object_request_json(point: PointOptions, refine: dict[str, Any]) -> dict[str, Any]:
    """Return a request to find objects as JSON data, with some options of ``Refine``."""
    prompts = list(_prompts_json(point))
    return {"prompts": prompts, "refine": refine, "fill": {}, "detector": point.detector}


def _refine_json(options: RefineOptions) -> dict[str, Any]:
    return {
        "dilate": str(options.dilate or "auto"),
        "feather": str(options.feather or "auto"),
        "fill_holes": options.fill_holes,
        "invert": options.invert,
        "shadow": options.shadow,
        "edge_refine": options.edge_refine,
        **({"protect": list(options.protect)} if options.protect else {}),
    }


def _fill_json(options: FillOptions) -> dict[str, Any]:
    return {
        "prompt": options.prompt,
        "negative_prompt": options.negative_prompt,
        "num_inference_steps": options.num_inference_steps,
        "guidance_scale": options.guidance_scale,
        "strength": options.strength,
        "seed": options.seed,
        "padding_mask_crop": options.padding_mask_crop,
        "candidates": options.candidates,
        **({"picture": str(options.picture)} if options.picture else {}),
        **({"picture_fit": options.picture_fit} if options.picture_fit else {}),
        **({"background": options.background} if options.background else {}),
        **({"fill_color": options.fill_color} if options.fill_color is not None else {}),
        **({"picture_placement": placement} if (placement := _placement_json(options)) else {}),
        **({"picture_cutout": True} if options.with_cutout else {}),
    }


def _placement_json(options: FillOptions) -> dict[str, Any]:
    """Return the options that place a picture, as far as they are set."""
    values = {
        "at": options.with_at and list(options.with_at),
        "scale": options.with_scale,
        "angle": options.with_angle,
        "flip": options.with_flip or None,
        "blend": options.with_blend,
        "contact_shadow": options.with_shadow or None,
    }
    return {name: value for name, value in values.items() if value is not None}


def _check_background(options: EditRequestOptions) -> None:
    """Raise ``click.UsageError`` for a background that is not laid behind an object."""
    if options.picture_fit and not (options.picture and options.invert):
        raise click.UsageError("--with-fit needs --with and --invert")
    if options.background and not options.invert:
        raise click.UsageError("--background needs --invert: it is laid behind the object")


def _inpainter_name(options: FillOptions) -> str:
    if options.obscure and options.inpainter not in ("auto", options.obscure):
        raise click.UsageError(
            f"--fill {options.obscure} and --inpainter {options.inpainter} contradict each other"
        )
    return options.obscure or options.inpainter


def _prompts_json(options: PointOptions) -> Iterator[dict[str, Any]]:
    _check_dependent_options(options)
    yield from _points_json(options)
    pick = options.pick or ()
    for words in options.texts:
        yield {"text": {"words": words, "threshold": options.threshold, "pick": pick}}
    if options.everything:
        yield {"everything": pick}
    yield from ({"find": _find_json(kind, options)} for kind in options.kinds)
    yield from ({"box": box} for box in options.boxes)
    match = {"tolerance": options.tolerance, "everywhere": options.everywhere}
    yield from ({"color": {**color, **match}} for color in options.colors)
    if options.plate:
        yield {"plate": str(options.plate)}
    yield from ({"mask": str(path)} for path in options.user_masks)


def _find_json(kind: str, options: PointOptions) -> dict[str, Any]:
    """Return a ``Find`` with those of its options that are set."""
    values = {
        "threshold": options.threshold,
        "pick": options.pick,
        "within": options.within,
        "min_size": options.min_size or None,
        "exclude": options.exclude or None,
    }
    return {"kind": kind, **{k: value for k, value in values.items() if value is not None}}


def _points_json(options: PointOptions) -> Iterator[dict[str, Any]]:
    """Yield one prompt for all points, or with ``--each`` one for each point."""
    include, exclude, granularity = options.points, options.not_points, options.granularity
    if options.each:
        for point in include:
            yield {"points": {"include": [point], "granularity": granularity}}
        include = ()
    if include or exclude:
        yield {"points": {"include": include, "exclude": exclude, "granularity": granularity}}


def _check_dependent_options(options: PointOptions) -> None:
    """Raise ``click.UsageError`` for an option that has no effect without another one."""
    rules = (
        ("--tolerance", options.tolerance, "--color", options.colors),
        ("--global", options.everywhere, "--color", options.colors),
        ("--threshold", options.threshold, "--text or --find", options.texts or options.kinds),
        ("--within", options.within, "--find", options.kinds),
        ("--min-size", options.min_size, "--find", options.kinds),
        ("--exclude", options.exclude, "--find", options.kinds),
        ("--granularity", options.granularity != "auto", "--point", options.points),
        ("--each", options.each, "--point", options.points),
        ("--pick", options.pick, "--text, --find or --everything",
         options.texts or options.kinds or options.everything),
    )  # fmt: skip
    for option, value, needed, prompts in rules:
        if value and not prompts:
            raise click.UsageError(f"{option} needs {needed}")


# --- a request in a file ----------------------------------------------------------------------


def _refuse_request_options() -> None:
    """Raise ``click.UsageError`` for an option on the command line that ``--request`` sets."""
    sections = (PointOptions, RefineOptions, FillOptions, CheckOptions)
    names = {field.name for section in sections for field in fields(section)} - {"strict"}
    context = click.get_current_context()
    for option in context.command.params:
        name = str(option.name)
        if name in names and context.get_parameter_source(name) == ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--request already sets this; leave out {option.opts[-1]}")


def _read_request_file(path: Path) -> dict[str, Any]:
    """Return the request in a file that ``--json`` or the page saved. Raises ``BadOption``."""
    from segment2inpaint.errors import BadOption

    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadOption(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BadOption(f"{path}: expected a request as JSON: {error}") from error
    request = data.get("request", data) if isinstance(data, dict) else data
    if not _looks_like_request(request):
        raise BadOption(f"{path}: expected a request as a JSON object, got {request!r:.60}")
    return dict(request)


def _looks_like_request(data: object) -> bool:
    """Return whether the parts have the right types; ``request.from_json`` checks the rest."""
    if not isinstance(data, dict) or not isinstance(data.get("prompts", []), list):
        return False
    parts = [*data.get("prompts", []), data.get("refine", {}), data.get("fill", {})]
    return all(isinstance(part, dict) for part in parts)


# --- the editor -------------------------------------------------------------------------------


def build_refine(options: RefineOptions) -> Refine:
    """Return how to change the mask; a length that is not set is ``auto``."""
    from segment2inpaint.types import Length, Refine

    return Refine(
        dilate=options.dilate or Length(),
        feather=options.feather or Length(),
        fill_holes=options.fill_holes,
        invert=options.invert,
        shadow=options.shadow,
        edge_refine=options.edge_refine,
    )


def build_editor(options: MachineOptions) -> Editor:
    """Return an editor that prints its messages, such as what ``auto`` chose, on stderr."""
    from segment2inpaint.editor import Editor

    return Editor(
        device=options.device,
        dtype=options.dtype,
        cache=options.cache,
        on_message=console.print_message_once(),
        runtime=runtime_options(options),
    )


def runtime_options(options: MachineOptions) -> RuntimeOptions:
    """Return how diffusion models run."""
    from segment2inpaint.protocols import RuntimeOptions

    return RuntimeOptions(
        offload=options.offload,
        batch_size=options.batch_size,
        compile=options.compile,
        attention=options.attention,
        quantize=options.quantize,
        block_cache=options.block_cache,
    )
