"""Schemas of the JSON that the server answers with."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class ErrorDetail(BaseModel):
    """The kind of an error, and a message of one line."""

    kind: str
    message: str


class ErrorOut(BaseModel):
    """An error."""

    error: ErrorDetail


class PhotoOut(BaseModel):
    """A photo on the server. ``levels`` is the level of the coarsest tiles, see the tiles.

    ``width`` and ``height`` are in px; ``bits`` per channel are 8 or 16. ``prepared`` are the
    detectors that have computed the photo's embedding: a click takes them a fraction of a second.
    """

    id: str
    name: str
    width: int
    height: int
    format: str
    bits: int
    levels: int
    prepared: list[str]


class FileOut(BaseModel):
    """An uploaded file. ``note`` says what was taken for the object in an unusual mask."""

    id: str
    name: str
    note: str = ""


class ObjectOut(BaseModel):
    """An object found. ``mask`` is the id of its mask, ``box`` is x0, y0, x1, y1.

    ``area`` is in px. ``paths`` are closed lines x0, y0, x1, y1, ... for an even-odd fill.
    """

    mask: str
    box: list[int]
    area: int
    score: float
    paths: list[list[int]]


class FindOut(BaseModel):
    """The objects found, the detector that found them, and the seconds that it took."""

    objects: list[ObjectOut]
    detector: str
    seconds: float


class HoverOut(BaseModel):
    """The contours of the objects that a click would select, as ``paths`` of ``ObjectOut``.

    There are none if no object is there, or unless ``ready``: the photo's embedding is not
    computed, or clicks are waiting.
    """

    ready: bool
    paths: list[list[int]]


class DistractionOut(BaseModel):
    """A thing that could go: a click [x, y] on it, and the contours of what the click selects.

    ``paths`` are those of ``ObjectOut``.
    """

    click: list[int]
    paths: list[list[int]]


class OutlineOut(BaseModel):
    """The contours of the pixels that will change, and the radii in photo px.

    ``paths`` enclose all pixels that will change, and ``solid`` those that will be replaced
    completely.
    """

    paths: list[list[int]]
    solid: list[list[int]]
    dilate: float
    feather: float


class CommandOut(BaseModel):
    """A shell command that gives the same result.

    ``files`` are masks of this photo to save in the folder where the command runs. ``request``
    is the same request as data; it contains its masks, but not its clean plates and pictures.
    If command-line options cannot express the request, ``saves_request`` is true, and the
    command reads the saved ``request`` instead.
    """

    command: str
    saves_request: bool
    files: list[FileOut]
    request: dict[str, Any]


class JobOut(BaseModel):
    """The status of a job.

    ``state`` is queued, running, done, failed or cancelled. ``place`` is the number of jobs
    ahead, and ``share``, from 0 to 1, tells how much of the ``stage`` is done. The ``stage`` of
    a queued job is "ending" while a cancelled job before it stops. ``sketches`` counts the
    previews of the unfinished picture; the newest is at ``/jobs/{id}/sketch``.
    """

    id: str
    photo: str
    state: str
    place: int
    stage: str
    share: float
    sketches: int
    result: str | None
    error: ErrorDetail | None


class CheckOut(BaseModel):
    """A check of the result. ``score``, from 0 to 1, says how certain the fault is.

    The check has ``failed`` from ``threshold`` on. A check that is ``doubtful`` has failed or is
    worth showing to the user. It has a ``picture`` of the fault, as the reason of a verdict has.
    """

    name: str
    score: float
    threshold: float
    failed: bool
    doubtful: bool
    sentence: str
    picture: bool


class CandidateOut(BaseModel):
    """One of the results of a job.

    ``verdict`` is clean, doubtful, failed, or null if nothing was checked; ``sentence`` says it in
    words. ``probability`` is the share of such results that a person would accept. ``reason``
    names the check that speaks most against it, and ``place`` is its box in the photo. ``box``
    encloses the ``changed`` pixels, ``paths`` are their contours as in ``ObjectOut``, and
    ``settings`` are the models and values used.
    """

    verdict: str | None = None
    probability: float | None = None
    reason: str | None = None
    place: list[int] | None = None
    sentence: str = ""
    checks: list[CheckOut]
    settings: dict[str, Any]
    box: list[int]
    paths: list[list[int]]
    changed: int


class ActionOut(BaseModel):
    """A change of the request that may mend a result; the values that it does not need are null.

    ``name`` is take-shadow, grow-mask (by ``dilate`` px), click-rest (at ``point``), other-fill
    (by ``inpainter``) or other-seed (``seed``). ``options`` do the same on the command line, and
    ``sentence`` says it as an order.
    """

    name: str
    point: list[int] | None = None
    dilate: float | None = None
    inpainter: str | None = None
    seed: int | None = None
    options: str
    sentence: str


class ResultOut(BaseModel):
    """The report on a result; ``candidates`` are ranked, the best is the first.

    ``file`` is the file name for downloads, without a suffix. ``changed_outside`` counts pixels
    that changed outside the mask, before the file is encoded, and must be 0. ``seconds`` are by
    stage. ``action`` is what may mend the first candidate, null if nothing is known to.
    """

    id: str
    photo: str
    file: str
    changed_outside: int
    seconds: dict[str, float]
    attempts: list[dict[str, Any]]
    action: ActionOut | None
    candidates: list[CandidateOut]
    request: dict[str, Any]


class ModelOut(BaseModel):
    """A model of the catalogue. ``size`` is in bytes; ``here``: it is on this machine.

    A ``gated`` model can be downloaded only after its licence was accepted on its ``page``.
    """

    name: str
    title: str
    kind: str
    licence: str
    gated: bool
    size: int
    page: str
    here: bool


class AboutOut(BaseModel):
    """The capabilities of the server.

    ``generates``: a diffusion model or another downloaded inpainter is here; ``reads``: a model
    that finds objects by text is here. ``formats`` are the photo formats that it can open.
    """

    version: str
    detectors: list[str]
    inpainters: list[str]
    generates: bool
    reads: bool
    formats: list[str]
    limits: dict[str, float]
