"""Data that travels through a run: requested edits, jobs, settings, outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePosixPath
from typing import Any

from segment2inpaint import extras
from segment2inpaint.errors import BadOption
from segment2inpaint.protocols import RuntimeOptions

Json = dict[str, Any]
PAIR_FORMATS = ("hf", "webdataset")
IF_NOTHING_CHOICES = ("fail", "copy", "skip")
FAILED_STATUSES = ("failed", "quarantined", "partial")
ANNOTATION_FORMATS = ("coco", "coco-rle", "yolo", "yolo-boxes", "labelme", "voc")
MASK_FILES = ("union", "objects", "numbers")
PHOTO_PLACEMENTS = ("copy", "link", "none")


@dataclass(frozen=True)
class EditItem:
    """One object to edit in one photo.

    Attributes:
        photo: the path or URL of the photo, as ``inputs.read_input`` takes it.
        output: the name of the result, relative to the output folder, with ``/``.
        request: a ``Request`` as JSON, or None to copy the photo. A prompt may also be an
            annotation: ``{"polygons": [[x, y, ...], ...]}`` or ``{"rle": {"size", "counts"}}`` as
            in COCO, ``{"segment": {"file", "id"}}`` for a panoptic PNG, or ``{"relative": ...}``
            for a box or polygons in fractions of the photo's width and height.
        where: the file and line, or the annotation, that the item comes from.
        id: the identifier of the object in its source.
        label: the class name of the object.
        photo_size: (height, width) that the annotation declares for the photo, or None. Where the
            photo has another size, the prompts are fitted to it, see ``declared_size``.
        is_crowd: the annotation is of a group of objects (``iscrowd`` in COCO).
    """

    photo: str
    output: str
    request: Json | None
    where: str
    id: str = ""
    label: str = ""
    photo_size: tuple[int, int] | None = None
    is_crowd: bool = False


@dataclass(frozen=True)
class InvalidRow:
    """A row or annotation that cannot be used: where it is, and the reason in one line."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


@dataclass(frozen=True)
class UnmatchedRow(InvalidRow):
    """A record that matches nothing, such as an annotation without a photo.

    It does not stop a run as an invalid row does, but the run is then not a full success.
    """


@dataclass(frozen=True)
class PhotoJob:
    """A photo and all its edits, which make one output file.

    ``key`` is a digest of all that determines the result except the content of files.
    ``save_thumbnail``: the report shows this photo whatever its verdict. ``earlier`` is the record
    of a doubtful result, if that is to be mended; see ``retries``.
    """

    photo: str
    output: str
    items: tuple[EditItem, ...]
    key: str
    save_thumbnail: bool = False
    earlier: Json | None = None


@dataclass(frozen=True)
class MaskOutputs:
    """The files of a run that only finds objects.

    Attributes:
        annotations: formats of ``ANNOTATION_FORMATS``; each gets a folder of that name below the
            output folder, which is a dataset.
        files: the PNGs of each photo: ``union`` of all objects, ``objects`` one by one, ``numbers``
            of the objects as the values of pixels.
        label: the category of objects for which neither the source nor a text prompt has one.
        photos: whether the datasets have the photos as a ``copy``, as a hard ``link``, or not
            (``none``). Where no link is possible, such as on another disk, it is a copy.
    """

    annotations: tuple[str, ...] = ("coco",)
    files: tuple[str, ...] = ("union", "objects")
    label: str = "object"
    photos: str = "copy"

    def __post_init__(self) -> None:
        for name, values, known in (
            ("annotations", self.annotations, ANNOTATION_FORMATS),
            ("files", self.files, MASK_FILES),
            ("photos", (self.photos,), PHOTO_PLACEMENTS),
        ):
            for value in values:
                if value not in known:
                    raise BadOption(f"{name} must be of {', '.join(known)}, got {value!r}")
        if not self.label.strip():
            raise BadOption("label must be the name of a category, got an empty one")
        if not (self.annotations or self.files):
            raise BadOption("neither masks nor annotations would be written; choose one of them")


@dataclass(frozen=True)
class RunSettings:
    """Settings that apply to all photos of a run. Raises ``BadOption`` for an invalid value.

    Attributes:
        out: the output folder, an absolute path or a URL.
        masks: the folder for masks, relative to ``out``; empty writes no masks.
        quality: of JPEG, WebP, AVIF, HEIC and JPEG XL files, 1 to 100; None keeps that of each
            photo.
        if_nothing: the treatment of a photo without the object: ``fail``, ``copy`` or ``skip``.
        strict: a result with the verdict ``failed`` is a failure and is not written.
        resize_mask: resize a mask file that has another size than its photo.
        max_pixels: refuse photos with more pixels; None is the limit of ``images.read``.
        device: ``auto``, ``cpu``, ``cuda`` or another torch device.
        dtype: ``auto`` or the name of a torch dtype.
        cache: keep image embeddings on disk.
        runtime: options that reduce memory use or run time.
        threads: CPU threads of each worker; 0 is no limit.
        pairs: also write what can train others, as ``hf`` or ``webdataset``; see ``pairs``.
        command: the command line of the run, for the report.
        only_masks: find the objects and write masks and annotations, and edit nothing; None edits
            the photos.
    """

    out: str
    masks: str = "masks"
    quality: int | None = None
    if_nothing: str = "fail"
    strict: bool = False
    resize_mask: bool = False
    max_pixels: int | None = None
    device: str = "auto"
    dtype: str = "auto"
    cache: bool = True
    runtime: RuntimeOptions = RuntimeOptions()
    threads: int = 0
    pairs: str = ""
    command: str = ""
    only_masks: MaskOutputs | None = None

    def __post_init__(self) -> None:
        if self.masks.startswith("/") or ".." in PurePosixPath(self.masks).parts:
            raise BadOption(f"masks must be a folder below the output folder, got {self.masks!r}")
        if self.if_nothing not in IF_NOTHING_CHOICES:
            choices = ", ".join(IF_NOTHING_CHOICES)
            raise BadOption(f"if_nothing must be one of {choices}, got {self.if_nothing!r}")
        if self.pairs not in ("", *PAIR_FORMATS):
            choices = ", ".join(PAIR_FORMATS)
            raise BadOption(f"pairs must be one of {choices}, got {self.pairs!r}")
        if self.pairs == "hf":
            extras.require("parquet", "pairs=hf", "write tar files: webdataset")
        if self.pairs and not self.masks:
            raise BadOption("pairs need the masks; do not leave the masks out")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise BadOption(f"quality must be 1 to 100, got {self.quality!r}")


@dataclass(frozen=True)
class PhotoOutcome:
    """The outcome of one photo.

    Attributes:
        photo: the path or URL of the photo.
        output: the name of the result, relative to the output folder.
        status: ``done``; ``copied`` (nothing to edit); ``nothing`` (the object was not found and
            the photo was skipped); ``partial`` (written, but some objects were not found);
            ``failed``; ``quarantined`` (the photo crashed its worker process repeatedly).
        error: the reason of a failure in one line, else empty.
        verdict: ``clean``, ``doubtful`` or ``failed``; None if the result was not verified.
        seconds: processing time.
        rows: the manifest rows of the photo, one per object.
    """

    photo: str
    output: str
    status: str
    error: str = ""
    verdict: str | None = None
    seconds: float = 0.0
    rows: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    @property
    def ok(self) -> bool:
        """Return whether the photo was processed without a failure."""
        return self.status not in FAILED_STATUSES


@lru_cache
def package_version() -> str:
    """Return the version of this package, or an empty string if it is not installed."""
    try:
        return version("segment2inpaint")
    except PackageNotFoundError:
        return ""


def outcome_from_record(record: Mapping[str, Any]) -> PhotoOutcome:
    """Return the outcome that a record of the results log describes."""
    names = ("photo", "output", "status", "error", "verdict", "seconds")
    return PhotoOutcome(**{name: record[name] for name in names}, rows=tuple(record["rows"]))
