"""The options of ``batch``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from cloup import option_group

from segment2inpaint.cli.machine_options import MachineOptions
from segment2inpaint.cli.options import QUALITY_OPTION, EditRequestOptions
from segment2inpaint.cli.param_types import FILE, FiniteFloat, parse_area, parse_shard

if TYPE_CHECKING:
    from segment2inpaint.dataset.formats.annotations import AreaThreshold, Use
    from segment2inpaint.dataset.options import Shard

FORMATS = ("auto", "folder", "rows", "coco", "yolo", "voc", "labelme", "cvat", "label-studio",
           "via", "hf", "webdataset")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """Options that choose photos and annotated objects; ``source`` may be a URL."""

    source: str
    format: str
    globs: tuple[str, ...]
    root: Path | None
    categories: tuple[str, ...]
    ids: tuple[str, ...]
    min_area: AreaThreshold | None
    max_area: AreaThreshold | None
    use: Use


source_section = option_group(
    "Source and annotations",
    click.option("--format", type=click.Choice(FORMATS), default="auto", show_default=True,
                 help="Format of SOURCE; auto detects it from names and contents."),
    click.option("--glob", "globs", multiple=True, metavar="PATTERN",
                 help="Photos to take from a folder, such as *.jpg or 2024/*. Repeat it for "
                      "several patterns."),
    click.option("--root", type=FILE, metavar="FOLDER",
                 help="Folder that the names of photos in SOURCE are relative to."),
    click.option("--category", "categories", multiple=True, metavar="NAME",
                 help="Category of the annotated objects to edit. Repeat it for several."),
    click.option("--id", "ids", multiple=True, metavar="ID",
                 help="Id of an annotation to edit. Repeat it for several."),
    click.option("--min-area", type=parse_area, metavar="PX|%",
                 help="Minimum area of an annotated object, in square pixels or per cent of the "
                      "photo."),
    click.option("--max-area", type=parse_area, metavar="PX|%",
                 help="Maximum area of an annotated object."),
    click.option("--use", type=click.Choice(["auto", "box", "mask"]), default="auto",
                 show_default=True,
                 help="Find the object from the annotation's box, or use the annotation's mask."),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class OutdirOptions:
    """The output options of every run; ``outdir`` may be a URL."""

    outdir: str
    if_nothing: str
    as_json: bool


@dataclass(frozen=True, kw_only=True)
class FolderOutputOptions(OutdirOptions):
    """The output options of ``batch``."""

    masks: str
    no_masks: bool
    quality: int | None
    pairs: str | None


IF_NOTHING_OPTION = click.option(
    "--if-nothing", type=click.Choice(["fail", "copy", "skip"]), default="fail",
    show_default=True, help="What to do with a photo in which no object was found.",
)  # fmt: skip

folder_output_section = option_group(
    "Output",
    click.option("--masks", default="masks", show_default=True, metavar="NAME",
                 help="Folder in OUTDIR for the masks of the changed pixels."),
    click.option("--no-masks", is_flag=True, help="Write no masks."),
    click.option("--pairs", type=click.Choice(["hf", "webdataset"]),
                 help="Also write photos, masks and results as a dataset for training, into "
                      "OUTDIR/pairs: for Hugging Face datasets, or as WebDataset shards."),
    QUALITY_OPTION,
    IF_NOTHING_OPTION,
    click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each photo."),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options of a run. ``workers`` and ``max_failures`` None: the default, no limit."""

    dry_run: bool
    estimate: bool
    retry_failed: bool
    skip_invalid: bool
    max_failures: int | None
    workers: int | None
    timeout: float
    engine: str
    address: str | None
    gpus: float
    block: int
    shard: Shard | None
    join: bool


_RUN_OPTIONS = (
    click.option("--dry-run", is_flag=True, help="Check everything and print the plan; edit "
                 "nothing."),
    click.option("--estimate", is_flag=True,
                 help="With --dry-run: edit a sample as a trial and forecast the time of the run."),
    click.option("--retry-failed", is_flag=True, help="Try photos again that failed earlier."),
    click.option("--skip-invalid", is_flag=True,
                 help="Skip invalid rows. Without it, one invalid row stops the run before it "
                      "starts."),
    click.option("--max-failures", type=click.IntRange(0), metavar="N",
                 help="Stop when more than N photos have failed."),
    click.option("--workers", type=click.IntRange(0), metavar="N",
                 help="Number of worker processes; 0 uses this process alone.  [default: one per "
                      "core, or one for a GPU]"),
    click.option("--timeout", type=FiniteFloat(0), default=0.0, metavar="SECONDS",
                 help="Maximum time for one photo.  [default: no limit]"),
    click.option("--shard", type=parse_shard, metavar="I/N",
                 help="Process part I of N. All parts may run at once, on this machine or others, "
                      "with the same OUTDIR."),
    click.option("--join", is_flag=True,
                 help="Process nothing; write manifest, report and annotations of what the parts "
                      "have finished. Give it in place of --shard."),
    click.option("--engine", type=click.Choice(["local", "ray"]), default="local",
                 show_default=True, help="Run on this machine or on a Ray cluster."),
    click.option("--address", metavar="HOST:PORT|auto", help="Address of the Ray cluster."),
    click.option("--gpus", type=FiniteFloat(0), default=0.0, show_default=True,
                 metavar="FRACTION", help="Fraction of a GPU for each Ray worker, such as 0.5."),
    click.option("--block", type=click.IntRange(1, 64), default=16, show_default=True,
                 metavar="N", help="Number of photos in one Ray task."),
)  # fmt: skip
run_section = option_group("Run", *_RUN_OPTIONS)
edit_run_section = option_group(
    "Run",
    *_RUN_OPTIONS,
    click.option("--retry-doubtful", is_flag=True,
                 help="Try photos again whose result was not clean, each in the way that may mend "
                      "it; the better result stays."),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DatasetRunOptions(SourceOptions, OutdirOptions, RunOptions, MachineOptions):
    """The options of every run over a source."""


@dataclass(frozen=True, kw_only=True)
class BatchOptions(DatasetRunOptions, EditRequestOptions, FolderOutputOptions):
    """The options of ``batch``."""

    retry_doubtful: bool
