"""``cutout``: the objects alone, with soft edges, or on another ground."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import cloup
from cloup import option_group

from segment2inpaint.cli import console
from segment2inpaint.cli.build_request import (
    build_editor,
    load_request,
    object_request_json,
    read_stdin,
)
from segment2inpaint.cli.machine_options import MachineOptions, detector_section
from segment2inpaint.cli.options import (
    FILL_HOLES_OPTION,
    QUALITY_OPTION,
    InputOptions,
    PointOptions,
    examples,
    pass_options,
    point_section,
)
from segment2inpaint.cli.output import write_stdout
from segment2inpaint.cli.param_types import NAME_OF_FILE

if TYPE_CHECKING:
    from segment2inpaint.dataset.cutout_run import CutoutOptions, CutoutOutcome, WrittenPicture
    from segment2inpaint.dataset.run_types import EditItem, InvalidRow

FORMATS = ("png", "webp", "tiff", "jpeg")
OPAQUE_FORMATS = ("JPEG", "BMP")


@dataclass(frozen=True, kw_only=True)
class Options(PointOptions, InputOptions, MachineOptions):
    """The options of ``cutout``. ``crop`` None: in place on a ground, else cropped."""

    photos: tuple[str, ...]
    fill_holes: bool
    soft: bool
    output: str
    overwrite: bool
    crop: bool | None
    format: str | None
    quality: int | None
    as_json: bool
    on: str | None
    picture_fit: str | None
    shadow: bool
    copies: int
    seed: int
    label: str | None

    @property
    def file_per_object(self) -> bool:
        """Return whether each object gets a file of its own."""
        return self.everything

    @property
    def is_cropped(self) -> bool:
        return self.on is None if self.crop is None else self.crop

    @property
    def category(self) -> str:
        """The category of the objects in the annotations."""
        return self.label or (self.texts[0] if len(self.texts) == 1 else "object")


@cloup.command(
    epilog=examples(
        "cutout dog.jpg -p 412,300 -o dog.png",
        "cutout dog.jpg -p 412,300 --on '#00b140' --cast-shadow -o dog_on_green.jpg",
        "cutout photos --mask masks -o objects",
        "cutout photos --text dog --on rooms --copies 5 --label dog -o training",
    )
)
@click.argument("photos", nargs=-1, required=True, type=NAME_OF_FILE, metavar="PHOTO|FOLDER...")
@point_section
@option_group(
    "Edges",
    click.option(
        "--soft-edge/--hard-edge",
        "soft",
        default=True,
        show_default=True,
        help="Find how much of each pixel along the edge is the object (hair, fur), "
        "or cut along the mask.",
    ),
    FILL_HOLES_OPTION,
)
@option_group(
    "Output",
    click.option(
        "-o",
        "--output",
        type=NAME_OF_FILE,
        required=True,
        metavar="OUT",
        help="Output file (.png, .webp, .tif); - is standard output. A folder for a "
        "folder, for several photos, and with --everything or --copies.",
    ),
    click.option(
        "--crop/--in-place",
        default=None,
        help="Only the object's box, or the whole area of the photo.  "
        "[default: --crop, with --on --in-place]",
    ),
    click.option(
        "--format",
        type=click.Choice(FORMATS),
        help="Format of the files in a folder; jpeg only with --on.  [default: png]",
    ),
    QUALITY_OPTION,
    click.option("--overwrite", is_flag=True, help="Allow OUT to be the photo itself."),
    click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each photo."),
)
@option_group(
    "Another ground",
    click.option(
        "--on",
        metavar="COLOR|PICTURE|FOLDER",
        type=NAME_OF_FILE,
        help="Put the object on a colour, on a picture, or at a random place and scale "
        "on a random picture of a folder. A folder OUT gets annotations.json "
        "(COCO).",
    ),
    click.option(
        "--with-fit",
        "picture_fit",
        type=click.Choice(["cover", "contain", "stretch"]),
        help="How a PICTURE is scaled to the photo.  [default: cover]",
    ),
    click.option(
        "--cast-shadow", "shadow", is_flag=True, help="Add a shadow of the object on the ground."
    ),
    click.option(
        "--copies",
        type=click.IntRange(1, 10_000),
        default=1,
        show_default=True,
        metavar="N",
        help="Number of pictures of each object on a FOLDER.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        metavar="N",
        help="Seed of places and scales; the same seed gives the same pictures.",
    ),
    click.option(
        "--label",
        metavar="NAME",
        help="Category in the annotations.  [default: the --text, or object]",
    ),
)
@detector_section
@pass_options(Options)
def cutout(options: Options) -> None:
    """Write an object alone, with transparency around it.

    PHOTO is a file, or - for standard input; a FOLDER stands for all photos in it. Along the edge
    the object's own colours are found, without those of the background. Several prompts give one
    file with all the objects; --everything gives a file for each object. Exit status 3: some
    photos failed. Exit status 4: no object was found.
    """
    _check_options(options)
    if _writes_folder(options):
        _write_folder(options)
    else:
        _write_single(options)


def _writes_folder(options: Options) -> bool:
    """Return whether OUT is a folder."""
    photos = options.photos
    return (
        len(photos) > 1 or Path(photos[0]).is_dir() or options.file_per_object or options.copies > 1
    )


def _check_options(options: Options) -> None:
    """Raise ``click.UsageError`` for options that contradict each other."""
    needs_ground = {
        "--with-fit": options.picture_fit, "--cast-shadow": options.shadow,
        "--copies": options.copies > 1, "--label": options.label,
    }  # fmt: skip
    for name, value in needs_ground.items():
        if value and options.on is None:
            raise click.UsageError(f"{name} needs --on")
    if _writes_folder(options):
        if options.output == "-" or "-" in options.photos:
            raise click.UsageError("- is for one photo and one picture; give files and a folder")
        if Path(options.output).is_file():
            raise click.UsageError(f"-o {options.output}: several pictures need a folder")
        if options.format == "jpeg" and options.on is None:
            raise click.UsageError("--format jpeg cannot hold transparency; use png, webp or tiff")
        return
    if options.format:
        raise click.UsageError("--format is for a folder; the suffix of -o selects the format")
    if options.as_json and options.output == "-":
        raise click.UsageError("--json and -o - would both write to standard output")


# --- one picture ------------------------------------------------------------------------------


def _write_single(options: Options) -> None:
    from segment2inpaint import images
    from segment2inpaint.dataset import cutout_run

    name, target = options.photos[0], options.output
    format = _single_format(options)
    limit = options.max_pixels or images.MAX_PIXELS
    photo = images.read(read_stdin() if name == "-" else Path(name), max_pixels=limit)
    if target != "-":
        images.check_target(target, source=photo.path, overwrite=options.overwrite)
    request = load_request(_request_json(options), photo, resize_mask=options.resize_mask)
    made = _made_options(options)
    editor = build_editor(options)
    request = editor.resolve(request, paint=False)
    with console.ProgressReporter() as reporter:
        reporter("cutout", 0.0)
        (picture,) = cutout_run.make_pictures(photo, request, editor, made, format, name)
    if target == "-":
        write_stdout(picture.data)
    else:
        images.write_bytes(target, picture.data, source=photo.path, overwrite=options.overwrite)
    written = cutout_run.describe(target, picture)
    outcome = cutout_run.CutoutOutcome(photo.name, (written,))
    _print_outcome(options, outcome)


def _single_format(options: Options) -> str:
    """Return the format of OUT. Raises ``BadImage`` for one that cannot hold the picture."""
    from segment2inpaint import images
    from segment2inpaint.errors import BadImage

    format = "PNG" if options.output == "-" else images.format_of(options.output)
    if format in OPAQUE_FORMATS and options.on is None:
        raise BadImage(
            f"{options.output}: {format} cannot hold transparency; write .png, .webp or .tif, "
            "or choose a ground: --on"
        )
    return format


# --- a folder ---------------------------------------------------------------------------------


def _write_folder(options: Options) -> None:
    from segment2inpaint import images
    from segment2inpaint.dataset import cutout_run, storage

    made = _made_options(options)
    outcomes = cutout_run.run(
        _items(options),
        options.output,
        lambda data, photo: load_request(data, photo, resize_mask=options.resize_mask),
        build_editor(options),
        made,
        options.format or "png",
        options.max_pixels or images.MAX_PIXELS,
    )
    pictures: list[WrittenPicture] = []
    photos = failed = 0
    for outcome in outcomes:
        photos, failed = photos + 1, failed + bool(outcome.error)
        pictures += outcome.pictures
        _print_outcome(options, outcome)
    if made.ground and pictures:
        annotations = cutout_run.coco(pictures, made.label)
        storage.write(storage.join(options.output, "annotations.json"), annotations)
    failures = f", {failed} failed" if failed else ""
    made_count = f"{len(pictures)} picture{'s' * (len(pictures) != 1)}"
    photo_count = f"{photos} photo{'s' * (photos != 1)}"
    click.echo(f"{options.output}: {photo_count}, {made_count}{failures}", err=True)
    if failed:
        status = console.SOME_FAILED if failed < photos else console.FAILED
        click.get_current_context().exit(status)


def _items(options: Options) -> Iterator[EditItem | InvalidRow]:
    """Yield the photos, each with its request. Raises as ``cutout_run.folder_items``."""
    from segment2inpaint.dataset import cutout_run
    from segment2inpaint.dataset.run_types import EditItem

    request = _request_json(options)
    for name in options.photos:
        if Path(name).is_dir():
            yield from cutout_run.folder_items(name, request, options.output)
        else:
            yield EditItem(name, Path(name).name, request, name)


# --- both -------------------------------------------------------------------------------------


def _request_json(options: Options) -> dict[str, Any]:
    refine = {"fill_holes": options.fill_holes, "edge_refine": options.soft}
    return object_request_json(options, refine)


def _made_options(options: Options) -> CutoutOptions:
    from segment2inpaint.dataset import cutout_run, grounds

    ground = None
    if options.on is not None:
        fit: Any = options.picture_fit or "cover"
        ground = grounds.open_ground(
            options.on, fit, shadow=options.shadow, crop=options.is_cropped, seed=options.seed
        )
        if options.copies > 1 and not ground.files:
            raise click.UsageError("--copies needs --on FOLDER: on one ground all are the same")
    return cutout_run.CutoutOptions(
        each=options.file_per_object,
        crop=options.is_cropped,
        ground=ground,
        copies=options.copies,
        label=options.category,
        quality=options.quality,
    )


def _print_outcome(options: Options, outcome: CutoutOutcome) -> None:
    """Print a line for each picture on stderr, and with ``--json`` one for the photo on stdout."""
    if options.as_json:
        click.echo(json.dumps(_to_json(outcome)))
    if outcome.error:
        click.echo(console.escape_line(f"failed: {outcome.photo}: {outcome.error}"), err=True)
    for picture in outcome.pictures:
        height, width = picture.size
        click.echo(console.escape_line(f"{picture.file}: {width}x{height}"), err=True)


def _to_json(outcome: CutoutOutcome) -> dict[str, Any]:
    pictures = [
        {
            "output": p.file, "width": p.size[1], "height": p.size[0], "box": list(p.box),
            "photo_box": list(p.source_box), "area": p.area, "score": round(p.score, 4),
        }
        for p in outcome.pictures
    ]  # fmt: skip
    return {"photo": outcome.photo, "pictures": pictures, "error": outcome.error}
