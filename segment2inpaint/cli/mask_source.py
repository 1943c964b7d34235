"""``mask SOURCE OUTDIR``: find the objects of many photos, and write masks and annotations."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from segment2inpaint.cli.batch import absolute_path, run_source
from segment2inpaint.cli.batch_options import IF_NOTHING_OPTION, DatasetRunOptions
from segment2inpaint.cli.build_request import mask_request_json
from segment2inpaint.cli.options import InputOptions, PointOptions, RefineOptions

if TYPE_CHECKING:
    from segment2inpaint.dataset import MaskOutputs

ANNOTATIONS = ("coco", "coco-rle", "yolo", "yolo-boxes", "labelme", "voc")


@dataclass(frozen=True, kw_only=True)
class MaskSourceOptions(DatasetRunOptions, PointOptions, RefineOptions, InputOptions):
    """The options of ``mask`` with OUTDIR."""

    annotations: tuple[str, ...]
    mask_files: tuple[str, ...]
    label: str
    photos: str


SOURCE_OUTPUT_OPTIONS = (
    click.option("--annotations", type=click.Choice([*ANNOTATIONS, "none"]), multiple=True,
                 default=("coco",), show_default=True,
                 help="With OUTDIR: format of the annotations; each is a dataset in a folder of "
                      "this name. Repeat it for several."),
    click.option("--mask-files", type=click.Choice(["union", "objects", "numbers", "none"]),
                 multiple=True, default=("union", "objects"), show_default=True,
                 help="With OUTDIR: PNG files of each photo, of all objects together, of each, or "
                      "with the numbers of objects as values. Repeat it for several."),
    click.option("--label", default="object", show_default=True, metavar="NAME",
                 help="With OUTDIR: category of objects for which SOURCE and the prompt have "
                      "none."),
    click.option("--photos", type=click.Choice(["copy", "link", "none"]), default="copy",
                 show_default=True,
                 help="With OUTDIR: how the photos get into the folders of the annotations."),
    IF_NOTHING_OPTION,
)  # fmt: skip


def mask_source(options: MaskSourceOptions) -> None:
    """Find the objects of many photos, and exit as ``batch`` does."""
    from segment2inpaint.dataset import RunSettings

    settings = RunSettings(
        out=absolute_path(options.outdir),
        if_nothing=options.if_nothing,
        resize_mask=options.resize_mask,
        max_pixels=options.max_pixels,
        device=options.device,
        cache=options.cache,
        only_masks=_outputs(options),
    )
    run_source(options, mask_request_json(options, _exact(options)), settings)


def _outputs(options: MaskSourceOptions) -> MaskOutputs:
    from segment2inpaint.dataset import MaskOutputs

    return MaskOutputs(
        annotations=_without_none("--annotations", options.annotations),
        files=_without_none("--mask-files", options.mask_files),
        label=options.label,
        photos=options.photos,
    )


def _without_none(option: str, values: tuple[str, ...]) -> tuple[str, ...]:
    """Return the values in order; no values for ``none``. Raises ``click.UsageError``."""
    if "none" in values and len(set(values)) > 1:
        raise click.UsageError(f"{option} none and {option} {values[0]} contradict each other")
    return tuple(dict.fromkeys(value for value in values if value != "none"))


def _exact(options: MaskSourceOptions) -> RefineOptions:
    """Return the options of the mask; without them it neither grows nor gets a soft edge."""
    from segment2inpaint.types import Length

    zero = Length(0, "px")
    return dataclasses.replace(
        options, dilate=options.dilate or zero, feather=options.feather or zero
    )
