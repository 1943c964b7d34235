"""From the JSON of an item to a ``Request``: checked early, completed with pixels late."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from segment2inpaint import images, request
from segment2inpaint.api import as_picture
from segment2inpaint.dataset.formats import coco
from segment2inpaint.dataset.formats.shards import read_input
from segment2inpaint.dataset.run_types import EditItem, Json, RunSettings, own_version
from segment2inpaint.errors import BadOption
from segment2inpaint.types import BinaryMask, Box, Prompt, ReplacementImage, Request, UserMask

Size = tuple[int, int]

_PIXEL = ReplacementImage(np.zeros((1, 1, 3), np.uint8), np.ones((1, 1), np.float32), "-")
_DOT = np.ones((1, 1), np.bool_)
_SHAPES = ("polygons", "rle", "segment", "relative")


def checked(data: Json) -> Request:
    """The request as far as it can be known without pixels: masks and pictures are of one pixel.

    Raises ``BadOption`` for what makes no sense.
    """
    try:
        found = _loaded(data, lambda _: _PIXEL, lambda _: _DOT, _kind_of)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise BadOption(f"not a request: {error}") from error
    if not found.prompts:
        raise BadOption("no prompt: a row needs points, boxes, text, colors, plate or mask")
    return found


def _kind_of(prompt: Json) -> Prompt:
    """A prompt of the kind that an annotation will be."""
    return Box(0, 0, 1, 1) if "box" in prompt.get("relative", {}) else UserMask(_DOT)


def ready(data: Json, size: Size, settings: RunSettings) -> Request:
    """The request with its files read, for a photo of ``size`` (h, w)."""

    def read_mask(name: str) -> BinaryMask:
        return images.read_mask(read_input(name), size, resize=settings.resize_mask)

    return _loaded(data, _picture, read_mask, partial(_shaped, size=size))


def steps(items: Sequence[EditItem]) -> list[tuple[Json, list[EditItem]]]:
    """The requests for a photo, in order; objects that differ in their prompts only are one."""
    done: list[tuple[Json, list[EditItem]]] = []
    for item in items:
        if item.request is None:
            continue
        rest = {**item.request, "prompts": []}
        if done and {**done[-1][0], "prompts": []} == rest:
            done[-1][0]["prompts"].extend(item.request["prompts"])
            done[-1][1].append(item)
        else:
            done.append(({**rest, "prompts": list(item.request["prompts"])}, [item]))
    return done


def key(items: Sequence[EditItem], settings: RunSettings) -> str:
    """A digest of all that determines a photo's result, but for the content of files."""
    data = {
        "version": own_version(),
        "requests": [_nameless(item.request) for item in items],
        "objects": [[item.id, item.label] for item in items],
        "settings": [settings.masks, settings.quality, settings.if_nothing, settings.strict,
                     settings.resize_mask, settings.dtype, settings.tuning.quantize],
    }  # fmt: skip
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def files(items: Sequence[EditItem]) -> list[str]:
    """The files that the requests name, sorted."""
    return sorted({name for item in items for name in _files(item.request or {})})


def _files(data: Json) -> Iterator[str]:
    for prompt in data.get("prompts", ()):
        ((kind, value),) = prompt.items()
        if kind in ("mask", "plate") and isinstance(value, str):
            yield value
        if kind == "segment":
            yield value["file"]
    if data.get("fill", {}).get("picture"):
        yield data["fill"]["picture"]


def _nameless(data: Json | None) -> Any:
    """The request without the names of files: where they lie does not matter."""
    if data is None:
        return None
    names = dict.fromkeys(_files(data))
    text = json.dumps(data, sort_keys=True)
    for name in names:
        text = text.replace(json.dumps(name), '"file"')
    return text


def _loaded(
    data: Json,
    read_picture: Callable[[str], ReplacementImage],
    read_mask: Callable[[str], BinaryMask],
    shaped: Callable[[Json], Prompt],
) -> Request:
    """As ``request.load``, for the prompts of annotations too."""
    plain = [prompt for prompt in data.get("prompts", ()) if not _is_shape(prompt)]
    found = request.from_json({**data, "prompts": plain}, read_picture, read_mask)
    rest = iter(found.prompts)
    prompts = [shaped(p) if _is_shape(p) else next(rest) for p in data["prompts"]]
    return replace(found, prompts=tuple(prompts))


def _is_shape(prompt: Json) -> bool:
    return any(kind in prompt for kind in _SHAPES)


def _shaped(prompt: Json, size: Size) -> Prompt:
    if "relative" in prompt:
        return _absolute(prompt["relative"], size)
    if "segment" in prompt:
        return UserMask(coco.segment(prompt["segment"]["file"], prompt["segment"]["id"], size))
    return UserMask(coco.bits_of(prompt, size))


def _absolute(prompt: Json, size: Size) -> Prompt:
    """A box or polygons in shares of width and height, in pixels."""
    scale = np.array([size[1], size[0]] * 2, np.float64)
    if "box" in prompt:
        x0, y0, x1, y1 = np.array(prompt["box"]) * scale
        return Box(*(int(v) for v in (np.floor(x0), np.floor(y0), np.ceil(x1), np.ceil(y1))))
    scaled = [(np.array(p).reshape(-1, 2) * scale[:2]).ravel().tolist() for p in prompt["polygons"]]
    return UserMask(coco.bits_of({"polygons": scaled}, size))


def _picture(name: str) -> ReplacementImage:
    return as_picture(images.read(read_input(name), name=name))
