"""Build a ``Request`` from the JSON of a client, in which ids stand for masks and pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from segment2inpaint.api import as_picture
from segment2inpaint.detect import SHIPPED as SHIPPED_DETECTORS
from segment2inpaint.detect import canonical_name
from segment2inpaint.errors import BadOption
from segment2inpaint.images import Photo
from segment2inpaint.inpaint import SHIPPED as SHIPPED_INPAINTERS
from segment2inpaint.models import catalogue
from segment2inpaint.request import from_json
from segment2inpaint.types import (
    Alpha,
    BinaryMask,
    CleanPlate,
    Prompt,
    ReplacementImage,
    Request,
    UserMask,
)
from segment2inpaint.web.session import PhotoSession


def safe_file_name(text: str) -> str:
    """Return a client's file name without folders or invisible characters, at most 200 long."""
    name = PureWindowsPath(PurePosixPath(text).name).name
    return "".join(c if c.isprintable() else "_" for c in name).strip(". ")[-200:] or "photo"


def available_detectors() -> list[str]:
    """Return the names of the detectors that can run on this machine."""
    return ["auto", *SHIPPED_DETECTORS, *_usable("detector")]


def available_inpainters() -> list[str]:
    """Return the names of the inpainters that can run on this machine."""
    return ["auto", *SHIPPED_INPAINTERS, *_usable("inpainter")]


def _usable(kind: str) -> list[str]:
    return [c.name for c in catalogue.cards() if c.kind == kind and catalogue.is_usable(c.name)]


def build_request(session: PhotoSession, data: Mapping[str, Any]) -> Request:
    """Return the request of validated JSON data. It cannot name a file of the server.

    Raises ``BadOption`` for a model that is not on this machine, ``NotFound`` for an unknown
    id, ``BadPrompt`` and ``BadImage``.
    """
    detector = canonical_name(data.get("detector", "auto"))
    _check_known(detector, available_detectors(), "detector")
    _check_known(data.get("inpainter", "auto"), available_inpainters(), "inpainter")
    for prompt in [*data["prompts"], *data.get("refine", {}).get("protect", ())]:
        _check_run_lengths(prompt.get("mask"), session.photo)

    def read_picture(file_id: str) -> ReplacementImage:
        return as_picture(session.get_file(file_id))

    def read_mask(mask_id: str) -> BinaryMask | Alpha:
        mask = session.get_mask(mask_id)
        alpha = mask.unpack_alpha()
        return mask.unpack() if alpha is None else alpha

    request = from_json(data, read_picture, read_mask)
    return _map_masks(request, lambda prompt: _with_source(prompt, session))


def self_contained(request: Request) -> Request:
    """Return the request with its masks inline instead of by file, so that it can be saved.

    A soft mask stays the name of its file.
    """
    return _map_masks(
        request,
        lambda p: UserMask(p.mask) if isinstance(p, UserMask) and p.alpha is None else p,
    )


def _map_masks(request: Request, change: Callable[[Any], Any]) -> Request:
    """Return the request with its prompts and protected areas changed."""
    refine = replace(request.refine, protect=tuple(map(change, request.refine.protect)))
    return replace(request, prompts=tuple(map(change, request.prompts)), refine=refine)


def _with_source(prompt: Prompt, session: PhotoSession) -> Prompt:
    """Name a clean plate or a mask by the client's file, or by the file to save the mask as."""
    if isinstance(prompt, CleanPlate):
        return CleanPlate(prompt.image, session.get_file(prompt.source).name)
    if isinstance(prompt, UserMask) and prompt.source:
        return replace(prompt, source=session.mask_file_name(prompt.source))
    return prompt


def _check_known(name: str, known: list[str], kind: str) -> None:
    for part in name.replace("+", ",").split(","):
        if part not in known:
            raise BadOption(
                f"{kind} {name!r} is not on this machine, expected one of {', '.join(known)}"
            )


def _check_run_lengths(mask: Any, photo: Photo) -> None:
    """Raise ``BadOption`` for run lengths that would not fill exactly the photo's size."""
    if not isinstance(mask, Mapping):
        return
    height, width = photo.size
    if mask["size"] != [height, width] or sum(mask["counts"]) != height * width:
        raise BadOption(f"a mask's run lengths must have the photo's size {width}x{height}")
