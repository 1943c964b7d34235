"""What travels through a run: the objects asked for, the photos they are in, what came of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePosixPath
from typing import Any

from segment2inpaint.errors import BadOption
from segment2inpaint.protocols import RuntimeOptions

Json = dict[str, Any]
IF_NOTHING = ("fail", "copy", "skip")


@dataclass(frozen=True)
class EditItem:
    """One object of one photo.

    ``photo`` is a name for ``store.read``, ``output`` relative to the output folder, both with
    ``/``. ``request`` is a ``Request`` as JSON; a prompt may also be ``{"polygons": [[x, y,
    ...], ...]}`` or ``{"rle": {"size", "counts"}}`` as in COCO. None: the photo is copied.
    ``where`` is the file and line, or the annotation, that asks for it.
    """

    photo: str
    output: str
    request: Json | None
    where: str
    id: str = ""
    label: str = ""


@dataclass(frozen=True)
class InvalidRow:
    """A row that cannot be run, and why, in one line."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True)
class PhotoJob:
    """A photo and what is to be done to it; one output file. ``key`` stands for all but pixels.

    ``thumb``: the report shows it whatever comes of it.
    """

    photo: str
    output: str
    items: tuple[EditItem, ...]
    key: str
    thumb: bool = False


@dataclass(frozen=True)
class RunSettings:
    """What holds for all photos of a run, and travels to its workers.

    ``masks`` is the folder, below the output folder, of what was repainted; empty for none.
    ``if_nothing``: a photo without the object is a failure, copied, or left out. ``strict``: a
    result whose verdict is ``failed`` is a failure, and not written.
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
    tuning: RuntimeOptions = RuntimeOptions()
    threads: int = 0

    def __post_init__(self) -> None:
        """Raises ``BadOption``."""
        if self.masks.startswith("/") or ".." in PurePosixPath(self.masks).parts:
            raise BadOption(f"masks must be a folder below the output folder, got {self.masks!r}")
        if self.if_nothing not in IF_NOTHING:
            listed = ", ".join(IF_NOTHING)
            raise BadOption(f"if_nothing must be one of {listed}, got {self.if_nothing!r}")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise BadOption(f"quality must be 1 to 100, got {self.quality!r}")


@dataclass(frozen=True)
class PhotoOutcome:
    """What came of one photo.

    ``status`` is ``done``, ``copied``, ``nothing`` (left out, there was nothing to find),
    ``partial`` (written, but some of its objects were not found), ``failed`` or ``quarantined``
    (it took its process down, twice). ``rows`` are the manifest's, one for each object.
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
        return self.status not in FAILED_STATUSES


FAILED_STATUSES = ("failed", "quarantined", "partial")


@lru_cache
def own_version() -> str:
    """The version of this package; empty where it runs without being installed."""
    try:
        return version("segment2inpaint")
    except PackageNotFoundError:
        return ""


def outcome_of(record: Mapping[str, Any]) -> PhotoOutcome:
    """The outcome that a line of the ledger tells of."""
    names = ("photo", "output", "status", "error", "verdict", "seconds")
    return PhotoOutcome(**{name: record[name] for name in names}, rows=tuple(record["rows"]))
