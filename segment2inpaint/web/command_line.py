"""Express a request as a shell command that repeats it from a terminal."""

from __future__ import annotations

import shlex
from typing import Any

from segment2inpaint.types import (
    Box,
    CleanPlate,
    Color,
    Everything,
    Fill,
    Find,
    Length,
    PicturePlacement,
    Point,
    Points,
    Prompt,
    Refine,
    Request,
    Text,
    UserMask,
)

Args = list[str]


def format_command(request: Request, photo: str, output: str, rank: int = 1) -> str | None:
    """Return the shell command that applies ``request`` to the file ``photo``.

    ``output`` is the file to write, and ``rank`` selects the candidate; 1 is the best. Masks,
    clean plates and pictures are named by their ``source``. Return None for a request that
    command-line options cannot express, for example two objects of several clicks each, two
    texts with different thresholds or a painted protected area.
    """
    prompts = _prompt_args(request.prompts)
    if prompts is None or any(isinstance(area, UserMask) for area in request.refine.protect):
        return None
    args = [*_subcommand(request, photo), *prompts, *_refine_args(request.refine)]
    args += [*_fill_args(request.fill), *_model_args(request), *_rank_args(request, rank)]
    return shlex.join([*args, "-o", _file_arg(output)])


def format_replay_command(
    request: Request, photo: str, request_file: str, output: str, rank: int = 1
) -> str:
    """Return the shell command that applies the request saved in ``request_file``."""
    args = [*_subcommand(request, photo), "--request", _file_arg(request_file)]
    return shlex.join([*args, *_rank_args(request, rank), "-o", _file_arg(output)])


def _subcommand(request: Request, photo: str) -> Args:
    replaces = request.fill.prompt or request.fill.picture
    return ["segment2inpaint", "replace" if replaces else "remove", _file_arg(photo)]


def _file_arg(name: str) -> str:
    """Return the file name in a form that cannot be mistaken for an option."""
    return f"./{name}" if name.startswith("-") else name


def _prompt_args(prompts: tuple[Prompt, ...]) -> Args | None:
    points = _points_args([p for p in prompts if isinstance(p, Points)])
    colors = _color_args([p for p in prompts if isinstance(p, Color)])
    texts = [p for p in prompts if isinstance(p, Text)]
    everything = [p for p in prompts if isinstance(p, Everything)]
    named = _text_args(texts, everything, [p for p in prompts if isinstance(p, Find)])
    if points is None or colors is None or named is None:
        return None
    args = [*points, *named]
    for p in prompts:
        if isinstance(p, Box):
            args += ["-b", ",".join(map(str, p))]
    args += colors
    for p in prompts:
        if isinstance(p, CleanPlate | UserMask):
            args += ["--plate" if isinstance(p, CleanPlate) else "--mask", _file_arg(p.source)]
    return args if all(_has_file(p) for p in prompts) else None


def _has_file(prompt: Prompt) -> bool:
    return not isinstance(prompt, CleanPlate | UserMask) or bool(prompt.source)


def _points_args(prompts: list[Points]) -> Args | None:
    if len({p.granularity for p in prompts}) > 1:
        return None
    objects = [p for p in prompts if p.include]
    exclude_only = [p for p in prompts if not p.include]
    each = len(objects) > 1
    if each and any(len(p.include) > 1 or p.exclude for p in objects):
        return None
    if len(exclude_only) > 1 or (exclude_only and objects and not each):
        return None
    args = [arg for p in prompts for at in p.include for arg in ("-p", _pair(at))]
    args += [arg for p in prompts for at in p.exclude for arg in ("-n", _pair(at))]
    if each:
        args.append("--each")
    if prompts and prompts[0].granularity != "auto":
        args += ["--granularity", prompts[0].granularity]
    return args


def _pair(point: Point) -> str:
    return f"{point[0]},{point[1]}"


def _color_args(prompts: list[Color]) -> Args | None:
    if len({(c.tolerance, c.everywhere) for c in prompts}) > 1:
        return None
    args: Args = []
    for c in prompts:
        args += ["--color", _pair(c.at) if c.at else "#%02x%02x%02x" % (c.rgb or (0, 0, 0))]
    if prompts and prompts[0].tolerance is not None:
        args += ["--tolerance", _format_value(prompts[0].tolerance)]
    return args + ["--global"] * bool(prompts and prompts[0].everywhere)


def _text_args(texts: list[Text], everything: list[Everything], finds: list[Find]) -> Args | None:
    thresholds = {t.threshold for t in texts} | {f.threshold for f in finds}
    picks = {t.pick for t in texts} | {e.pick for e in everything} | {f.pick for f in finds}
    places = {(f.within, f.min_size, f.exclude) for f in finds}
    if max(len(thresholds), len(picks), len(everything), len(places)) > 1:
        return None
    args = [arg for t in texts for arg in ("--text", t.words)]
    args += [arg for f in finds for arg in ("--find", f.kind)]
    for threshold in thresholds - {None}:
        args += ["--threshold", _format_value(threshold)]
    args += ["--everything"] * bool(everything)
    args += _find_args(finds[0]) if finds else []
    for pick in picks - {()}:
        args += ["--pick", ",".join(map(str, pick))]
    return args


def _find_args(find: Find) -> Args:
    args = ["--within", ",".join(map(str, find.within))] if find.within else []
    args += ["--min-size", str(find.min_size)] if find.min_size else []
    for place in find.exclude:
        text = ",".join(map(str, place)) if isinstance(place, Box) else str(place)
        args += ["--exclude", text]
    return args


def _refine_args(refine: Refine) -> Args:
    args: Args = []
    for name, length in ("--dilate", refine.dilate), ("--feather", refine.feather):
        if length != Length():
            args += [name, str(length)]
    args += ["--keep-holes"] * (not refine.fill_holes) + ["--invert"] * refine.invert
    args += ["--no-edge-refine"] * (not refine.edge_refine)
    if refine.shadow is not None:
        args.append("--shadow" if refine.shadow else "--no-shadow")
    for area in refine.protect:
        if isinstance(area, Box):
            args += ["--protect", ",".join(map(str, area))]
    return args


def _fill_args(fill: Fill) -> Args:
    options: dict[str, Any] = {  # None: the option is not needed
        "--prompt": fill.prompt or None,
        "--with": fill.picture and _file_arg(fill.picture.source),
        "--with-fit": fill.picture_fit,
        "--fill-color": fill.fill_color and "#{:02x}{:02x}{:02x}".format(*fill.fill_color),
        "--background": fill.background,
        "--negative-prompt": fill.negative_prompt,
        "--steps": fill.num_inference_steps,
        "--guidance-scale": fill.guidance_scale,
        "--strength": fill.strength,
        "--seed": fill.seed or None,
        "--padding-mask-crop": fill.padding_mask_crop,
        "--candidates": fill.candidates if fill.candidates > 1 else None,
    }
    args = [
        arg
        for name, value in options.items()
        if value is not None
        for arg in (name, _format_value(value))
    ]
    return args + _placement_args(fill)


def _placement_args(fill: Fill) -> Args:
    place = fill.picture_placement
    args = ["--with-at", ",".join(map(_format_value, place.at))] if place.at else []
    for name in ("scale", "angle", "blend"):
        value = getattr(place, name)
        if value != getattr(PicturePlacement(), name):
            args += [f"--with-{name}", _format_value(float(value))]
    args += ["--with-flip"] * place.flip + ["--with-shadow"] * place.contact_shadow
    return args + ["--with-cutout"] * fill.picture_cutout


def _rank_args(request: Request, rank: int) -> Args:
    return ["--keep", str(rank)] if request.fill.candidates > 1 else []


def _model_args(request: Request) -> Args:
    args: Args = []
    for name in ("detector", "inpainter"):
        if getattr(request, name) != "auto":
            args += [f"--{name}", getattr(request, name)]
    args += ["--no-verify"] * (not request.verify)
    return args + (["--attempts", str(request.attempts)] if request.attempts != 2 else [])


def _format_value(value: object) -> str:
    """Return a float in the fewest digits that give the same float again, other values as text."""
    if not isinstance(value, float):
        return str(value)
    short = f"{value:g}"
    return short if float(short) == value else repr(value)
