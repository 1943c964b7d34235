"""What a client asked for, as a ``Request``: its ids become the pictures that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from segment2inpaint import request
from segment2inpaint.api import as_picture
from segment2inpaint.detect import DETECTORS
from segment2inpaint.errors import BadOption
from segment2inpaint.images import Photo
from segment2inpaint.inpaint import INPAINTERS
from segment2inpaint.models import catalogue
from segment2inpaint.types import (
    BinaryMask,
    CleanPlate,
    Prompt,
    ReplacementImage,
    Request,
    UserMask,
)
from segment2inpaint.web.session import PhotoSession


def plain_name(text: str) -> str:
    """The last part of whatever a client calls its file: no folder, nothing invisible."""
    last = PureWindowsPath(PurePosixPath(text).name).name
    return "".join(c if c.isprintable() else "_" for c in last).strip(". ")[-200:] or "photo"


def detectors() -> list[str]:
    """The names of detectors that can be used on this machine."""
    plain = [name for name in DETECTORS if not any(c.backend == name for c in catalogue.cards())]
    return ["auto", *plain, *_here("detector")]


def inpainters() -> list[str]:
    """The names of inpainters that can be used on this machine."""
    return ["auto", *(name for name in INPAINTERS if name != "diffusion"), *_here("inpainter")]


def _here(kind: str) -> list[str]:
    return [c.name for c in catalogue.cards() if c.kind == kind and catalogue.find(c.name)]


def build(desk: PhotoSession, data: Mapping[str, Any]) -> Request:
    """The request of checked JSON data. It names no file of the server.

    Raises ``BadOption`` for a model that is not among those of this machine, ``Gone`` for an
    id that is not known, ``BadPrompt`` and ``BadImage``.
    """
    _check_known(data.get("detector", "auto"), detectors(), "detector")
    _check_known(data.get("inpainter", "auto"), inpainters(), "inpainter")
    for prompt in data["prompts"]:
        _check_runs(prompt.get("mask"), desk.photo)

    def read_picture(name: str) -> ReplacementImage:
        return as_picture(desk.file(name))

    def read_mask(name: str) -> BinaryMask:
        return desk.mask(name).bits()

    made = request.from_json(data, read_picture, read_mask)
    return replace(made, prompts=tuple(_with_source(p, desk) for p in made.prompts))


def portable(made: Request) -> Request:
    """The request with its masks inside, so that it can be saved by itself."""
    prompts = (UserMask(p.mask) if isinstance(p, UserMask) else p for p in made.prompts)
    return replace(made, prompts=tuple(prompts))


def _with_source(prompt: Prompt, desk: PhotoSession) -> Prompt:
    """Plates by the name of the client's file; masks by theirs, or by one to save them under."""
    if isinstance(prompt, CleanPlate):
        return CleanPlate(prompt.image, desk.file(prompt.source).name)
    if isinstance(prompt, UserMask) and prompt.source:
        return UserMask(prompt.mask, desk.mask_name(prompt.source))
    return prompt


def _check_known(name: str, known: list[str], kind: str) -> None:
    for part in name.replace("+", ",").split(","):
        if part not in known:
            raise BadOption(
                f"{kind} {name!r} is not on this machine, expected one of {', '.join(known)}"
            )


def _check_runs(mask: Any, photo: Photo) -> None:
    """Run lengths are as large as they say, and not larger than the photo."""
    if not isinstance(mask, Mapping):
        return
    height, width = photo.size
    if mask["size"] != [height, width] or sum(mask["counts"]) != height * width:
        raise BadOption(f"a mask's run lengths must have the photo's size {width}x{height}")
