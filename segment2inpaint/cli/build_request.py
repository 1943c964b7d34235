"""What the options ask for: a ``Request``, as JSON for many photos or complete for one."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from segment2inpaint.cli.options import fill_options, find_options, refine_options, verify_options

if TYPE_CHECKING:
    from segment2inpaint.images import Photo
    from segment2inpaint.protocols import RuntimeOptions
    from segment2inpaint.types import BinaryMask, Refine, ReplacementImage, Request

Options = dict[str, Any]

# What would else be passed over in silence: an option's name in ``Options``, its own, its prompt's
ASIDE = (
    ("tolerance", "tolerance", "colors"), ("everywhere", "global", "colors"),
    ("threshold", "threshold", "texts"), ("granularity", "granularity", "points"),
    ("each", "each", "points"),
)  # fmt: skip


def load_inputs(given: Options) -> tuple[Request, Photo]:
    """The photo, and the request that the options come to."""
    from segment2inpaint import images, request
    from segment2inpaint.api import as_picture
    from segment2inpaint.errors import BadOption

    source = given["photo"]
    limit = {"max_pixels": given["max_pixels"]} if given["max_pixels"] else {}
    photo = images.read(_stdin() if source == "-" else Path(source), **limit)

    def read_mask(name: str) -> BinaryMask:
        return images.read_mask(name, photo.size, resize=given["resize_mask"])

    def read_picture(name: str) -> ReplacementImage:
        return as_picture(images.read(name))

    if not given.get("request"):
        return request.from_json(wanted(given), read_picture, read_mask), photo
    data = saved(given["request"])
    try:
        return request.from_json(data, read_picture, read_mask), photo
    except BadOption as error:
        raise BadOption(f"{given['request']}: {error}") from error


def _stdin() -> bytes:
    """All of standard input; nothing where it is closed."""
    return sys.stdin.buffer.read() if sys.stdin else b""


def saved(path: Path) -> dict[str, Any]:
    """The request in a file, as ``--json`` or the page has saved it.

    Raises ``click.UsageError`` if options ask for some of it too, ``BadOption`` for a file that
    holds none.
    """
    from segment2inpaint.errors import BadOption

    context = click.get_current_context()
    for option in context.command.params:
        name = str(option.name)
        if name in _asks() and context.get_parameter_source(name) == ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--request says all of it; leave out {option.opts[-1]}")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadOption(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BadOption(f"{path}: expected a request as JSON: {error}") from error
    inside = data.get("request", data) if isinstance(data, dict) else data
    if not _is_request(inside):
        raise BadOption(f"{path}: expected a request as a JSON object, got {inside!r:.60}")
    return dict(inside)


def _is_request(data: Any) -> bool:
    """Whether JSON has the shape of one; ``request.load`` looks at the rest."""
    if not isinstance(data, dict) or not isinstance(data.get("prompts", []), list):
        return False
    parts = [*data.get("prompts", []), data.get("refine", {}), data.get("fill", {})]
    return all(isinstance(part, dict) for part in parts)


def _asks() -> set[str]:
    """The names of the options that ask for what a request says."""

    @find_options
    @refine_options
    @fill_options
    @verify_options
    @click.option("--prompt")
    @click.option("--with", "picture")
    @click.command()
    def one(**_: Any) -> None: ...

    elsewhere = {"cache", "max_pixels", "resize_mask", "dtype", "strict", "help"}
    return {str(parameter.name) for parameter in one.params} - elsewhere


def wanted(given: Options) -> dict[str, Any]:
    """The request that the options come to, as JSON: files are named, none is read."""
    from segment2inpaint.types import Fill

    names = [f.name for f in dataclasses.fields(Fill) if f.name in given and f.name != "picture"]
    fill = {name: given[name] for name in names}
    if given.get("picture"):
        fill["picture"] = str(given["picture"])
    refine = dataclasses.asdict(refinement(given))
    for name in ("dilate", "feather"):
        refine[name] = str(given[name] or "auto")
    rest = ("inpainter", "verify", "attempts")
    told: dict[str, Any] = {name: given[name] for name in rest if name in given}
    return {
        "prompts": list(_prompts(given)),
        "refine": refine,
        "fill": fill,
        "detector": given["detector"],
        **told,
    }


def _prompts(given: Options) -> Iterator[dict[str, Any]]:
    for name, option, prompt in ASIDE:
        if given[name] not in (None, False, "auto") and not given[prompt]:
            raise click.UsageError(f"--{option} goes with --{prompt.removesuffix('s')}")
    points, beside, size = given["points"], given["not_points"], given["granularity"]
    if given["each"]:
        for point in points:
            yield {"points": {"include": [point], "granularity": size}}
        points = ()
    if points or beside:
        yield {"points": {"include": points, "exclude": beside, "granularity": size}}
    pick = given["pick"] or ()
    if pick and not (given["texts"] or given["everything"]):
        raise click.UsageError("--pick takes numbers of what --text or --everything finds")
    for words in given["texts"]:
        yield {"text": {"words": words, "threshold": given["threshold"], "pick": pick}}
    if given["everything"]:
        yield {"everything": pick}
    yield from ({"box": box} for box in given["boxes"])
    for color in given["colors"]:
        how = {"tolerance": given["tolerance"], "everywhere": given["everywhere"]}
        yield {"color": {**color, **how}}
    if given["plate"]:
        yield {"plate": str(given["plate"])}
    yield from ({"mask": str(own)} for own in given["own_masks"])


def refinement(given: Options) -> Refine:
    from segment2inpaint.types import Length, Refine

    auto = Length()
    return Refine(
        given["dilate"] or auto,
        given["feather"] or auto,
        given["fill_holes"],
        given["invert"],
        given.get("shadow"),
        given["edge_refine"],
    )


def tuning(given: Options) -> RuntimeOptions:
    """How diffusion models shall run; a command without these options leaves all as it is."""
    from segment2inpaint.protocols import RuntimeOptions

    names = {f.name for f in dataclasses.fields(RuntimeOptions)} & given.keys()
    return RuntimeOptions(**{name: given[name] for name in names})
