"""The JSON form of the requests of a run: validation without pixels, then loading per photo.

The JSON is that of ``segment2inpaint.request``, plus the annotation prompts that ``EditItem``
describes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from segment2inpaint import images, masks
from segment2inpaint import request as requests
from segment2inpaint.api import as_picture
from segment2inpaint.dataset.declared_size import PhotoFrame, fit_item
from segment2inpaint.dataset.formats import coco_masks
from segment2inpaint.dataset.inputs import read_input
from segment2inpaint.dataset.manifest_rows import EditStep
from segment2inpaint.dataset.run_types import EditItem, Json, RunSettings, package_version
from segment2inpaint.detect.prompts import check_prompts
from segment2inpaint.errors import BadDataset, BadOption, BadPrompt, Segment2InpaintError
from segment2inpaint.types import (
    Alpha,
    BinaryMask,
    Box,
    Prompt,
    Refine,
    ReplacementImage,
    Request,
    UserMask,
)

Size = tuple[int, int]
"""Height and width in pixels."""
RejectedItem = tuple[EditItem, Segment2InpaintError]
"""An item whose place does not fit the photo, and the reason."""

INVALID_VALUE_ERRORS = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError,
                        RecursionError)  # fmt: skip
_DUMMY_PICTURE = ReplacementImage(np.zeros((1, 1, 3), np.uint8), np.ones((1, 1), np.float32), "-")
_DUMMY_MASK = np.ones((1, 1), np.bool_)
_EARLIER_NAMES = {"builtin": "grabcut"}  # in the keys of the first release
_ANNOTATION_PROMPTS = ("polygons", "rle", "segment", "relative")


def check_request(data: Json) -> Request:
    """Return the request that JSON describes, with one-pixel masks and pictures in place of files.

    Raises ``BadOption`` if the request is invalid.
    """
    try:
        request = _parse(data, lambda _: _DUMMY_PICTURE, lambda _: _DUMMY_MASK, _dummy_prompt)
    except INVALID_VALUE_ERRORS as error:
        raise BadOption(f"not a request: {error}") from error
    if not request.prompts:
        raise BadOption("no prompt: a row needs points, boxes, text, find, colors, plate or mask")
    return request


def load_steps(
    items: Sequence[EditItem],
    frame: PhotoFrame,
    settings: RunSettings,
    on_message: Callable[[str], None],
) -> tuple[list[EditStep], list[RejectedItem]]:
    """Return the requests of a photo's items with their files read, and the items that do not fit.

    ``on_message`` gets a line for annotations that are turned or scaled, and for each mask that
    is not black and white. An item whose place does not fit the photo is rejected with the
    reason. Raises ``BadOption``, ``BadDataset``, ``BadImage`` or ``BadPrompt`` if no item fits.
    """
    fitting: list[EditItem] = []
    rejected: list[RejectedItem] = []
    for item in items:
        try:
            fitted = fit_item(item, frame, on_message)
            check_places(fitted.request or {}, frame)
        except (BadDataset, BadPrompt) as error:
            rejected.append((item, error))
        else:
            fitting.append(fitted)
    steps = [
        (load_request(request, frame, settings, on_message), tuple(step_items))
        for request, step_items in group_steps(fitting)
    ]
    if not steps:
        raise rejected[0][1]
    return _protect_in_all(steps), rejected


def _protect_in_all(steps: list[EditStep]) -> list[EditStep]:
    """Return the steps of a photo, each with the protected areas of all of them."""
    areas = tuple(area for request, _ in steps for area in request.refine.protect)
    if not areas:
        return steps
    return [
        (replace(request, refine=replace(request.refine, protect=areas)), items)
        for request, items in steps
    ]


def load_request(
    data: Json,
    frame: PhotoFrame,
    settings: RunSettings,
    on_message: Callable[[str], None] | None = None,
) -> Request:
    """Return the request that JSON describes, with its files read, for a photo.

    ``on_message`` gets a line for each mask that is not black and white. Raises ``BadOption``,
    ``BadDataset`` or ``BadImage``.
    """

    def read_mask(name: str) -> BinaryMask | Alpha:
        return images.read_mask(
            read_input(name), frame.size, name=name, orientation=frame.orientation,
            resize=settings.resize_mask, on_message=on_message,
        )  # fmt: skip

    return _parse(data, _read_picture, read_mask, partial(_load_annotation_prompt, frame=frame))


def group_steps(items: Sequence[EditItem]) -> list[tuple[Json, list[EditItem]]]:
    """Return the requests for a photo, each with its items, in the order of the items.

    Consecutive items whose requests differ only in their prompts share one request.
    """
    steps: list[tuple[Json, list[EditItem]]] = []
    for item in items:
        if item.request is None:
            continue
        options = {**item.request, "prompts": []}
        if steps and {**steps[-1][0], "prompts": []} == options:
            steps[-1][0]["prompts"].extend(item.request["prompts"])
            steps[-1][1].append(item)
        else:
            steps.append(({**options, "prompts": list(item.request["prompts"])}, [item]))
    return steps


def job_key(items: Sequence[EditItem], settings: RunSettings) -> str:
    """Return a SHA-256 digest of all that determines a photo's result except file content."""
    data: Json = {
        "version": package_version(),
        "requests": [_key_text(item.request) for item in items],
        "objects": [[item.id, item.label] for item in items],
        "settings": [settings.masks, settings.quality, settings.if_nothing, settings.strict,
                     settings.resize_mask, settings.dtype, settings.runtime.quantize],
    }  # fmt: skip
    if settings.pairs:  # more files are written
        data["pairs"] = True
    sizes = [item.photo_size and list(item.photo_size) for item in items]
    if any(sizes):  # absent in the keys of earlier versions
        data["photo_sizes"] = sizes
    if settings.only_masks:
        crowds = [item.is_crowd for item in items]
        data["only_masks"] = [sorted(settings.only_masks.files), crowds]
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def referenced_files(items: Sequence[EditItem]) -> list[str]:
    """Return the names of the files that the requests refer to, sorted."""
    return sorted({name for item in items for name in _file_names(item.request or {})})


def _file_names(data: Json) -> Iterator[str]:
    """Yield the names of files in a request, which need not be valid."""
    prompts, fill = data.get("prompts"), data.get("fill")
    for prompt in [*_as_list(prompts), *_as_list(_protected(data))]:
        for kind, value in prompt.items() if isinstance(prompt, dict) else ():
            if kind in ("mask", "plate") and isinstance(value, str):
                yield value
            if kind == "segment":
                yield value["file"]
    if isinstance(fill, dict) and isinstance(fill.get("picture"), str) and fill["picture"]:
        yield fill["picture"]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _protected(data: Json) -> Any:
    refine = data.get("refine")
    return refine.get("protect") if isinstance(refine, dict) else None


def _key_text(data: Json | None) -> Any:
    """Return a request as text for a key, which must stay the same from version to version.

    It has no file names, since moving a file does not change a result. Renamed detectors have
    their earlier names, so that old output folders resume.
    """
    if data is None:
        return None
    if "detector" in data:
        data = {**data, "detector": _earlier_name(data["detector"])}
    text = json.dumps(data, sort_keys=True)
    for name in dict.fromkeys(_file_names(data)):
        text = text.replace(json.dumps(name), '"file"')
    return text


def _earlier_name(detector: str) -> str:
    return re.sub(r"[^+,]+", lambda part: _EARLIER_NAMES.get(part[0], part[0]), detector)


def _parse(
    data: Json,
    read_picture: Callable[[str], ReplacementImage],
    read_mask: Callable[[str], BinaryMask | Alpha],
    load_annotation: Callable[[Json], Prompt],
) -> Request:
    """Return the request that ``request.from_json`` reads, with annotation prompts in place."""
    prompts = data.get("prompts", ())
    plain = [prompt for prompt in prompts if not _is_annotation_prompt(prompt)]
    request = requests.from_json({**data, "prompts": plain}, read_picture, read_mask)
    rest = iter(request.prompts)
    loaded = [
        load_annotation(prompt) if _is_annotation_prompt(prompt) else next(rest)
        for prompt in data["prompts"]
    ]
    return replace(request, prompts=tuple(loaded))


def _is_annotation_prompt(prompt: Json) -> bool:
    return any(kind in prompt for kind in _ANNOTATION_PROMPTS)


def _dummy_prompt(prompt: Json) -> Prompt:
    """Return a prompt of the type that an annotation prompt will have."""
    return Box(0, 0, 1, 1) if "box" in prompt.get("relative", {}) else UserMask(_DUMMY_MASK)


def check_places(data: Json, frame: PhotoFrame) -> None:
    """Raise ``BadPrompt`` or ``BadDataset`` for a prompt that does not fit the photo.

    Masks and clean plates in files are not read.
    """
    for prompt in data.get("prompts", ()):
        ((kind, value),) = prompt.items()
        if kind in ("box", "points", "color"):
            check_prompts(_parse_alone(prompt).prompts, frame.size)
        elif kind == "rle":
            frame.placement(coco_masks.check_run_lengths(value))
    for area in _as_list(_protected(data)):
        if "box" in area:
            masks.protected_area(Refine(protect=_parse_alone(area).prompts), frame.size)


def _parse_alone(prompt: Json) -> Any:
    return requests.from_json({"prompts": [prompt]}, _read_picture, lambda _: _DUMMY_MASK)


def _load_annotation_prompt(prompt: Json, frame: PhotoFrame) -> Prompt:
    if "relative" in prompt:
        return _load_relative_prompt(prompt["relative"], frame.size)
    if "polygons" in prompt:
        return UserMask(coco_masks.decode_polygons(prompt["polygons"], frame.size))
    if "rle" in prompt:
        return UserMask(frame.fit_mask(coco_masks.decode_run_lengths(prompt["rle"])))
    segment = prompt["segment"]
    return UserMask(frame.fit_mask(coco_masks.panoptic_segment(segment["file"], segment["id"])))


def _load_relative_prompt(prompt: Json, size: Size) -> Prompt:
    """Return a box or polygons, given in fractions of width and height, in pixels."""
    scale = np.array([size[1], size[0]] * 2, np.float64)
    if "box" in prompt:
        x0, y0, x1, y1 = np.array(prompt["box"]) * scale
        return Box(*(int(v) for v in (np.floor(x0), np.floor(y0), np.ceil(x1), np.ceil(y1))))
    scaled = [(np.array(p).reshape(-1, 2) * scale[:2]).ravel().tolist() for p in prompt["polygons"]]
    return UserMask(coco_masks.decode_polygons(scaled, size))


def _read_picture(name: str) -> ReplacementImage:
    return as_picture(images.read(read_input(name), name=name))
