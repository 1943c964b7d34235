"""What the server answers, for the API's description."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class ErrorDetail(BaseModel):
    kind: str
    message: str


class ErrorOut(BaseModel):
    """One line that says what is wrong."""

    error: ErrorDetail


class PhotoOut(BaseModel):
    """``levels`` is how often a tile of 512 px can be halved; see the tiles."""

    id: str
    name: str
    width: int
    height: int
    format: str
    bits: int
    levels: int


class FileOut(BaseModel):
    id: str
    name: str


class ObjectOut(BaseModel):
    """A mask found. ``paths`` are closed lines x0, y0, x1, y1, ... to be filled even-odd."""

    mask: str
    box: list[int]
    area: int
    score: float
    paths: list[list[int]]


class FoundOut(BaseModel):
    objects: list[ObjectOut]
    detector: str
    seconds: float


class OutlineOut(BaseModel):
    """``paths`` go round all that will change, ``solid`` round what will be wholly new."""

    paths: list[list[int]]
    solid: list[list[int]]
    dilate: float
    feather: float


class CommandOut(BaseModel):
    """``command`` and, for what it names, ``files``: masks of this photo to save beside it.

    ``request`` is the same as data, complete in itself but for plates and pictures; where
    options cannot say it, the command names it and it ``saves_request``.
    """

    command: str
    saves_request: bool
    files: list[FileOut]
    request: dict[str, Any]


class JobOut(BaseModel):
    """``place`` is how many jobs are before it, ``share`` how much of its ``stage`` is done.

    A job that waits has the ``stage`` "ending" until one that was cancelled has let go.

    ``sketches`` counts pictures of the work in progress; the latest is at ``/jobs/{id}/sketch``.
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
    name: str
    score: float
    threshold: float
    failed: bool
    sentence: str
    picture: bool


class CandidateOut(BaseModel):
    """``box`` is where the photo was changed, ``changed_outside`` must be 0."""

    verdict: str | None
    checks: list[CheckOut]
    settings: dict[str, Any]
    box: list[int]
    changed: int


class ResultOut(BaseModel):
    id: str
    photo: str
    file: str
    changed_outside: int
    seconds: dict[str, float]
    attempts: list[dict[str, Any]]
    candidates: list[CandidateOut]
    request: dict[str, Any]


class ModelOut(BaseModel):
    name: str
    title: str
    kind: str
    licence: str
    gated: bool
    size: int
    page: str
    here: bool


class AboutOut(BaseModel):
    version: str
    detectors: list[str]
    inpainters: list[str]
    generates: bool
    reads: bool
    formats: list[str]
    limits: dict[str, float]
