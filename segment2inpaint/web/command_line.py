"""A request as a command: what to type to get the same from a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from segment2inpaint.types import (
    Box,
    CleanPlate,
    Color,
    Everything,
    Fill,
    Length,
    Points,
    Prompt,
    Refine,
    Request,
    Text,
    UserMask,
)

Words = list[str]


def command(request: Request, photo: str, output: str, keep: int = 1) -> str | None:
    """The line of a shell that does what the request says to the file ``photo``.

    ``keep`` is the rank of the candidate that is meant, the best is 1.
    None if options cannot say it: two objects of several clicks each, two texts of different
    thresholds. Masks, plates and pictures are named by their ``source``.
    """
    prompts = _prompts(request.prompts)
    if prompts is None:
        return None
    verb = "replace" if request.fill.prompt or request.fill.picture else "remove"
    words = ["segment2inpaint", verb, _safe(photo), *prompts, *_refine(request.refine)]
    words += [*_fill(request.fill), *_named(request), *_kept(request, keep)]
    words += ["-o", _safe(output)]
    return shlex.join(words)


def replay(request: Request, photo: str, saved: str, output: str, keep: int = 1) -> str:
    """The line that does what the request in the file ``saved`` says."""
    verb = "replace" if request.fill.prompt or request.fill.picture else "remove"
    words = ["segment2inpaint", verb, _safe(photo), "--request", _safe(saved)]
    words += [*_kept(request, keep), "-o", _safe(output)]
    return shlex.join(words)


def _safe(name: str) -> str:
    """A file name that cannot be taken for an option."""
    return f"./{name}" if name.startswith("-") else name


def _prompts(prompts: tuple[Prompt, ...]) -> Words | None:
    points = _points([p for p in prompts if isinstance(p, Points)])
    colors = _colors([p for p in prompts if isinstance(p, Color)])
    texts = [p for p in prompts if isinstance(p, Text)]
    everything = [p for p in prompts if isinstance(p, Everything)]
    named = _picked(texts, everything)
    if points is None or colors is None or named is None:
        return None
    words = [*points, *named]
    for p in prompts:
        if isinstance(p, Box):
            words += ["-b", ",".join(map(str, p))]
    words += colors
    for p in prompts:
        if isinstance(p, CleanPlate | UserMask):
            words += ["--plate" if isinstance(p, CleanPlate) else "--mask", _safe(p.source)]
    return words if all(_has_file(p) for p in prompts) else None


def _has_file(prompt: Prompt) -> bool:
    return not isinstance(prompt, CleanPlate | UserMask) or bool(prompt.source)


def _points(several: list[Points]) -> Words | None:
    if len({p.granularity for p in several}) > 1:
        return None
    objects, shared = [p for p in several if p.include], [p for p in several if not p.include]
    each = len(objects) > 1
    if each and any(len(p.include) > 1 or p.exclude for p in objects):
        return None
    if len(shared) > 1 or (shared and objects and not each):
        return None
    words = [word for p in several for at in p.include for word in ("-p", _pair(at))]
    words += [word for p in several for at in p.exclude for word in ("-n", _pair(at))]
    if each:
        words.append("--each")
    if several and several[0].granularity != "auto":
        words += ["--granularity", several[0].granularity]
    return words


def _pair(at: tuple[int, int]) -> str:
    return f"{at[0]},{at[1]}"


def _colors(several: list[Color]) -> Words | None:
    if len({(c.tolerance, c.everywhere) for c in several}) > 1:
        return None
    words: Words = []
    for c in several:
        words += ["--color", _pair(c.at) if c.at else "#%02x%02x%02x" % (c.rgb or (0, 0, 0))]
    if several and several[0].tolerance is not None:
        words += ["--tolerance", _text(several[0].tolerance)]
    return words + ["--global"] * bool(several and several[0].everywhere)


def _picked(texts: list[Text], everything: list[Everything]) -> Words | None:
    if len({(t.threshold, t.pick) for t in texts}) > 1 or len(everything) > 1:
        return None
    picks = {t.pick for t in texts} | {e.pick for e in everything}
    if len(picks) > 1:
        return None
    words = [word for t in texts for word in ("--text", t.words)]
    if texts and texts[0].threshold is not None:
        words += ["--threshold", _text(texts[0].threshold)]
    words += ["--everything"] * bool(everything)
    for pick in picks - {()}:
        words += ["--pick", ",".join(map(str, pick))]
    return words


def _refine(how: Refine) -> Words:
    words: Words = []
    for name, length in ("--dilate", how.dilate), ("--feather", how.feather):
        if length != Length():
            words += [name, str(length)]
    words += ["--keep-holes"] * (not how.fill_holes) + ["--invert"] * how.invert
    words += ["--no-edge-refine"] * (not how.edge_refine)
    if how.shadow is not None:
        words.append("--shadow" if how.shadow else "--no-shadow")
    return words


def _fill(fill: Fill) -> Words:
    named: Iterator[tuple[str, object]] = iter(
        [
            ("--prompt", fill.prompt or None),
            ("--with", fill.picture and _safe(fill.picture.source)),
            ("--negative-prompt", fill.negative_prompt),
            ("--steps", fill.num_inference_steps),
            ("--guidance-scale", fill.guidance_scale),
            ("--strength", fill.strength),
            ("--seed", fill.seed or None),
            ("--padding-mask-crop", fill.padding_mask_crop),
            ("--candidates", fill.candidates if fill.candidates > 1 else None),
        ]
    )
    return [word for name, value in named if value is not None for word in (name, _text(value))]


def _kept(request: Request, rank: int) -> Words:
    return ["--keep", str(rank)] if request.fill.candidates > 1 else []


def _text(value: object) -> str:
    """A number in as few digits as bring it back."""
    short = f"{value:g}" if isinstance(value, float) else str(value)
    return short if not isinstance(value, float) or float(short) == value else repr(value)


def _named(request: Request) -> Words:
    words: Words = []
    for name in ("detector", "inpainter"):
        if getattr(request, name) != "auto":
            words += [f"--{name}", getattr(request, name)]
    words += ["--no-verify"] * (not request.verify)
    return words + (["--attempts", str(request.attempts)] if request.attempts != 2 else [])
