"""The prompts of an object, click by click."""

from __future__ import annotations

from dataclasses import replace

from segment2inpaint.detect.builtin.person import PersonPart
from segment2inpaint.networks.click import ObjectPrompt


def with_click_on(rest: PersonPart, prompt: ObjectPrompt) -> ObjectPrompt:
    """Return the prompt with a click on the rest of a person together with the first click."""
    first, *others = prompt.include
    return replace(prompt, include=(first, rest.point, *others), together=2)


def first_click(prompt: ObjectPrompt) -> ObjectPrompt:
    """Return the prompt with its first click alone, and its box."""
    return replace(prompt, include=prompt.include[:1], exclude=(), together=1)


def without_last_click(prompt: ObjectPrompt) -> ObjectPrompt | None:
    """Return the prompt before the last click, None if that left nothing to ask."""
    if prompt.exclude:
        return replace(prompt, exclude=prompt.exclude[:-1])
    if len(prompt.include) > (0 if prompt.box else prompt.together):
        return replace(prompt, include=prompt.include[:-1])
    return None
