"""The command line: options to dataclasses, results to files, errors to one line.

Only click is imported before a command runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import __version__, terminal
from .options import (
    device_option,
    file,
    fill_options,
    output_options,
    prompt_options,
    refine_options,
    target_options,
    verify_options,
)

if TYPE_CHECKING:
    from .images import Photo
    from .types import Picture, Prompt, Refine, Request, Result

Options = dict[str, Any]

FAILED, NOTHING_FOUND, INTERRUPTED = 1, 4, 130
OUTPUTS = ("output", "save_mask", "preview", "overlay")

NO_LIBGL = (
    "error: OpenCV cannot load ({}); install the library (Debian: apt install libgl1 "
    "libglib2.0-0), or: pip install --force-reinstall opencv-python-headless"
)


class Group(click.Group):
    """Turns what a user can put right into one line and an exit status."""

    def invoke(self, ctx: click.Context) -> Any:
        from .types import NothingFound, Segment2InpaintError

        try:
            with terminal.warnings_in_a_line():
                return super().invoke(ctx)
        except Segment2InpaintError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(NOTHING_FOUND if isinstance(error, NothingFound) else FAILED)
        except ImportError as error:
            if ".so" not in str(error):
                raise
            click.echo(NO_LIBGL.format(error), err=True)
            ctx.exit(FAILED)
        except KeyboardInterrupt:
            click.echo("stopped; no half-written file is left", err=True)
            ctx.exit(INTERRUPTED)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="segment2inpaint")
def main() -> None:
    """Take an object out of a photo, or put another in its place, by pointing at it."""


@main.command()
@prompt_options
@refine_options
@fill_options
@verify_options
@device_option
@target_options
@output_options
def remove(**given: Any) -> None:
    """Take an object away.

    \b
    Example:
      segment2inpaint remove street.jpg -p 412,300 -o street_clean.jpg
      segment2inpaint remove street.jpg -b 350,210,480,400 -n 360,220 -o out.jpg
    """
    _edit(given, generate=False)


@main.command()
@prompt_options
@refine_options
@click.option("--prompt", metavar="TEXT", help="What should stand there (needs a model).")
@click.option("--with", "picture", type=file, metavar="PICTURE.png",
              help="A picture to put there; its transparency is its outline.")  # fmt: skip
@fill_options
@verify_options
@device_option
@target_options
@output_options
def replace(**given: Any) -> None:
    """Put something else in an object's place.

    \b
    Example:
      segment2inpaint replace table.jpg -p 412,300 --prompt "a red rose" -o out.jpg
      segment2inpaint replace table.jpg --color 412,300 --with vase.png -o out.jpg
    """
    if not (given["prompt"] or given["picture"]):
        raise click.UsageError("say what should stand there: --prompt TEXT or --with PICTURE.png")
    _edit(given, generate=not given["picture"])


@main.command()
@prompt_options
@refine_options
@device_option
@target_options
@click.option("--overlay", type=file, metavar="FILE",
              help="Also write the photo with each object in a colour, numbered.")  # fmt: skip
def mask(**given: Any) -> None:
    """The mask of an object, as a picture: white is the object.

    Neither dilated nor feathered unless asked for, so that it can be given to --mask. With
    --everything and no --pick, a pixel is the number of its object, 0 for none.

    \b
    Example:
      segment2inpaint mask street.jpg -p 412,300 -o mask.png
      segment2inpaint mask street.jpg --everything -o numbers.png --overlay numbers.jpg
    """
    import numpy as np

    from . import detect, images, masks, overlay, pipeline
    from .types import Length

    request, photo = _request(given)
    _check_outputs(given, photo)
    none = Length(0, "px")
    how = _refine({**given, "dilate": given["dilate"] or none, "feather": given["feather"] or none})
    request = dataclasses.replace(request, detector=_detector(request, given["device"]), refine=how)
    with _about(photo):
        detector = detect.load(request.detector, given["device"], cache=given["cache"])
        found = pipeline.find(detector, photo.image, request.prompts, edge_refine=how.edge_refine)
    if given["everything"] and not given["pick"]:
        alpha = (masks.labels(found) / 255).astype(np.float32)
    else:
        alpha, _, _ = pipeline.refined(found, request.prompts, how)
    if given["output"] == "-":
        picture = images.photo_of(np.rint(255 * alpha).astype(np.uint8)[..., None].repeat(3, 2))
        _stdout(images.encode(dataclasses.replace(picture, grey=True), picture.image, 0 * alpha))
    else:
        images.write_mask(given["output"], alpha, source=photo.path, overwrite=given["overwrite"])
    if given["overlay"]:
        sheet = images.photo_of(overlay.numbered(photo.image, found))
        images.write(given["overlay"], sheet, sheet.image, np.zeros(sheet.size, np.float32))
    if given["as_json"]:
        _print(terminal.mask_report(photo, given["output"], request, found))


def _edit(given: Options, *, generate: bool) -> None:
    """What ``remove`` and ``replace`` share: read, run, write, tell."""
    from . import detect, inpaint
    from .pipeline import Pipeline

    request, photo = _request(given)
    _check_outputs(given, photo)
    if given["everything"] and not given["pick"]:
        raise click.UsageError("say which: --pick N, as `mask --everything --overlay` numbers them")
    request = dataclasses.replace(request, detector=_detector(request, given["device"]))
    others = [] if generate or request.inpainter != "auto" else [inpaint.load("telea")]
    if request.inpainter == "auto":
        request = dataclasses.replace(request, inpainter=inpaint.choose(generate=generate))
    detector = detect.load(request.detector, given["device"], cache=given["cache"])
    inpainter = inpaint.load(request.inpainter, given["device"], given["dtype"])
    with terminal.Meter() as meter, _about(photo):
        pipeline = Pipeline(
            detector, inpainter, meter, request.verify, request.attempts, tuple(others)
        )
        result = pipeline(photo, request.prompts, request.refine, request.fill)
    _deliver(given, photo, request, result)
    if given["strict"] and result.verdict == "failed":
        click.get_current_context().exit(FAILED)


@contextmanager
def _about(photo: Photo) -> Iterator[None]:
    """Say of which photo an error speaks."""
    from .types import BadPrompt, NothingFound

    try:
        yield
    except (BadPrompt, NothingFound) as error:
        raise type(error)(f"{photo.name}: {error}") from error


def _check_outputs(given: Options, photo: Photo) -> None:
    """Refuse before the work what could not be written after it."""
    from . import images

    if given["as_json"] and given["output"] == "-":
        raise click.UsageError("--json and -o - would both write to standard output")
    targets = [Path(given[name]) for name in OUTPUTS if given.get(name) not in (None, "-")]
    if len({target.absolute() for target in targets}) < len(targets):
        raise click.UsageError("two of the outputs are the same file")
    for target in targets:
        images.format_of(target)
        images.check_target(target, source=photo.path, overwrite=given["overwrite"])


def _request(given: Options) -> tuple[Request, Photo]:
    """The photo, and the request that the options come to."""
    from . import images
    from .types import Fill, Request

    source = given["photo"]
    limit = {"max_pixels": given["max_pixels"]} if given["max_pixels"] else {}
    photo = images.read(sys.stdin.buffer.read() if source == "-" else Path(source), **limit)
    names = {f.name for f in dataclasses.fields(Fill)} & given.keys()
    fill = Fill(**{name: given[name] for name in names - {"picture"}})
    if given.get("picture"):
        fill = dataclasses.replace(fill, picture=_picture(given["picture"]))
    prompts = tuple(_prompts(given, photo))
    told = {name: given[name] for name in ("inpainter", "verify", "attempts") if name in given}
    return Request(prompts, _refine(given), fill, given["detector"], **told), photo


def _prompts(given: Options, photo: Photo) -> Iterator[Prompt]:
    from . import images
    from .types import Box, Color, Everything, OwnMask, Plate, Points, Text

    points, beside, size = given["points"], given["not_points"], given["granularity"]
    if given["each"]:
        yield from (Points((point,), granularity=size) for point in points)
        points = ()
    if points or beside:
        yield Points(points, beside, size)
    pick = given["pick"] or ()
    if pick and not (given["texts"] or given["everything"]):
        raise click.UsageError("--pick takes numbers of what --text or --everything finds")
    yield from (Text(words, given["threshold"], pick) for words in given["texts"])
    if given["everything"]:
        yield Everything(pick)
    yield from (Box(*box) for box in given["boxes"])
    for color in given["colors"]:
        yield Color(**color, tolerance=given["tolerance"], everywhere=given["everywhere"])
    if given["plate"]:
        yield Plate(images.read(given["plate"]).image, str(given["plate"]))
    for own in given["own_masks"]:
        yield OwnMask(images.read_mask(own, photo.size, resize=given["resize_mask"]), str(own))


def _refine(given: Options) -> Refine:
    from .types import Length, Refine

    auto = Length()
    return Refine(
        given["dilate"] or auto,
        given["feather"] or auto,
        given["fill_holes"],
        given["invert"],
        given.get("shadow"),
        given["edge_refine"],
    )


def _picture(path: Path) -> Picture:
    import numpy as np

    from . import images
    from .types import Picture

    photo = images.read(path)
    if photo.alpha is None:
        return Picture(photo.image, np.ones(photo.size, np.float32), str(path))
    top = np.iinfo(photo.alpha.dtype).max
    return Picture(photo.image, (photo.alpha / top).astype(np.float32), str(path))


def _detector(request: Request, device: str) -> str:
    """The detector's name; what ``auto`` takes is told in one line."""
    from . import detect

    if request.detector != "auto":
        return request.detector
    choice = detect.choose(request.prompts, device)
    if choice.why:
        click.echo(f"detector: {choice.name} ({choice.why})", err=True)
    return choice.name


def _deliver(given: Options, photo: Photo, request: Request, result: Result) -> None:
    """Write what was asked for, then tell about it."""
    import numpy as np

    from . import images
    from .pipeline import preview

    how = {"quality": given["quality"]}
    if given["output"] == "-":
        _stdout(images.encode(photo, result.image, result.alpha, **how))
    else:
        images.write(
            given["output"], photo, result.image, result.alpha, overwrite=given["overwrite"], **how
        )
    if given["save_mask"]:
        images.write_mask(given["save_mask"], result.alpha)
    if given["preview"]:
        sheet = images.photo_of(preview(photo.image, result))
        images.write(given["preview"], sheet, sheet.image, np.zeros(sheet.size, np.float32))
    if given["as_json"]:
        _print(terminal.report(photo, given["output"], request, result))
    click.echo(terminal.summary(given["output"], result), err=True)


def _stdout(data: bytes) -> None:
    sys.stdout.buffer.write(data)


def _print(report: dict[str, Any]) -> None:
    click.echo(json.dumps(report, indent=2))


@main.group()
def models() -> None:
    """The models in the catalogue, and those on this machine."""


@models.command("list")
def list_models() -> None:
    """Every model in the catalogue, with its size, and * where it is on this machine."""
    from . import catalogue

    for card in catalogue.cards():
        here = "*" if catalogue.find(card.name) else " "
        size = catalogue.megabytes(card.size)
        click.echo(
            f"{here} {card.name:<16}{card.kind:<11}{size:>8}  {card.licence:<12} {card.title}"
        )


@models.command()
@click.argument("name")
def show(name: str) -> None:
    """All that the catalogue knows of a model."""
    from . import catalogue

    card = catalogue.card(name)
    rows = {
        "name": card.name,
        "what": card.title,
        "kind": card.kind,
        "licence": card.licence + (", to be accepted on its page first" if card.gated else ""),
        "page": card.page,
        "download": f"{catalogue.megabytes(card.size)}, checked by {card.verified}",
        "revision": card.revision,
        "here": catalogue.find(name) or f"no; {catalogue.command(name)}",
        **{k: v for k, v in dataclasses.asdict(card.fill).items() if v not in (None, 0)},
    }
    for key, value in rows.items():
        click.echo(f"{key:<20}{value}")


@models.command()
@click.argument("name")
def download(name: str) -> None:
    """Fetch a model, tell its licence, and check what came."""
    from . import catalogue
    from .download import download as fetch

    card = catalogue.card(name)
    size = catalogue.megabytes(card.size) if card.size else "of unknown size"
    click.echo(f"{card.title}: {size}, licence {card.licence}", err=True)
    with terminal.Meter() as meter:
        path = fetch(card, meter)
    click.echo(path)


@main.command()
def doctor() -> None:
    """What this machine can do, and what auto takes here."""
    from . import catalogue, detect, device, images, inpaint
    from .types import ModelMissing, Points

    try:
        generates = inpaint.choose(generate=True)
    except ModelMissing as error:
        generates = f"nothing ({error})"
    click_takes = detect.choose([Points(((0, 0),))])
    here = [c.name for c in catalogue.cards() if catalogue.find(c.name)]
    rows = {
        "segment2inpaint": __version__,
        "python": sys.version.split()[0],
        **{name: version(name) for name in ("opencv-python", "pillow", "torch", "diffusers")},
        "devices": ", ".join(device.devices()),
        "reads": ", ".join(images.formats()),
        "models here": ", ".join(here) or "none",
        "models folder": catalogue.folder(),
        "a click takes": f"{click_takes.name} ({click_takes.why})",
        "remove takes": inpaint.choose(generate=False),
        "replace takes": generates,
    }
    for key, value in rows.items():
        click.echo(f"{key:<16}{value}")
