"""Recommend models for a machine: the best one that it can run, and a lighter one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from segment2inpaint.extras import install_command
from segment2inpaint.models import catalogue
from segment2inpaint.models.catalogue import ModelCard, format_size
from segment2inpaint.models.machine import Machine, memory_needed

TASKS = ("detect", "remove", "replace")

# What works without a download, for each task; nothing paints a prompt without one.
BUILT_IN = {
    "detect": ("builtin", "ships with the package; clicks and boxes"),
    "remove": ("guided", "ships with the package; patches of the photo, arranged by a network"),
}

# Cards by preference, on a GPU and on a CPU. SAM 2.1 is ordered by its published quality.
# Without a published comparison, models that paint are ordered by size: all of them were trained
# to inpaint or to edit, and their licences allow commercial use.
ON_GPU = {
    "detect": ("sam2.1-large", "sam2.1-base-plus", "sam2.1-small", "sam2.1-tiny"),
    "remove": ("lama",),
    "replace": ("qwen-image-edit-2511", "flux2-klein", "sdxl-inpaint", "sd15-inpaint"),
}
ON_CPU = {
    "detect": ("sam2.1-tiny", "edgetam"),
    "remove": ("lama",),
    "replace": ("sd15-inpaint",),
}
LIGHTER = {
    "detect": ("sam2.1-tiny", "edgetam"),
    "remove": ("lama",),
    "replace": ("sdxl-inpaint", "sd15-inpaint", "sd15-inpaint+lcm-sd15"),
}


@dataclass(frozen=True)
class Suggestion:
    """A model for a task.

    Attributes:
        name: the name to give to ``--detector`` or ``--inpainter``.
        reason: one line: what it is, whether it fits, and its licence.
        here: whether it is on this machine.
        commands: what to run first: to download it, or to install a package.
        memory: the bytes that it takes on this machine's device; 0 if next to nothing.
    """

    name: str
    reason: str
    here: bool = True
    commands: tuple[str, ...] = ()
    memory: int = 0


@dataclass(frozen=True)
class Recommendation:
    """The best model for a task on a machine, and a lighter one; None if there is none."""

    task: str
    best: Suggestion | None
    lighter: Suggestion | None


def recommend(task: str, machine: Machine) -> Recommendation:
    """Return what to use for one of ``TASKS`` on a machine. Nothing is downloaded.

    A model is suggested only if its licence allows commercial use, it fits into the memory (on
    an NVIDIA GPU also with offloading), and it is here or fits on the disk.
    """
    order = _removal_models() if task == "remove" and machine.device != "cpu" else ()
    order = (*order, *(ON_CPU if machine.device == "cpu" else ON_GPU)[task])
    usable = _usable(order, machine)
    built_in = [Suggestion(*BUILT_IN[task])] if task in BUILT_IN else []
    best = next(iter([*usable, *built_in]), None)
    lighter = [*_usable(LIGHTER[task], machine), *built_in]
    return Recommendation(task, best, _first_lighter(best, lighter))


def _first_lighter(best: Suggestion | None, suggestions: Sequence[Suggestion]) -> Suggestion | None:
    """Return the first suggestion with less memory than ``best``, or with fewer steps (a LoRA)."""
    if best is None:
        return None
    for suggestion in suggestions:
        adds_lora = suggestion.name.startswith(f"{best.name}+")
        if suggestion.memory < best.memory or adds_lora:
            return suggestion
    return None


def _removal_models() -> tuple[str, ...]:
    """Return the cards of whole models that were trained to remove objects, the largest first."""
    removal = [card for card in catalogue.cards() if card.removal and card.kind == "inpainter"]
    return tuple(card.name for card in sorted(removal, key=lambda card: -card.memory))


def _usable(names: Iterable[str], machine: Machine) -> list[Suggestion]:
    known = {card.name for card in catalogue.cards()}
    cards = {name: [catalogue.card(part) for part in name.split("+")]
             for name in names if known.issuperset(name.split("+"))}  # fmt: skip
    suggestions = [_suggest(name, parts, machine) for name, parts in cards.items()]
    return [suggestion for suggestion in suggestions if suggestion]


def _suggest(name: str, parts: list[ModelCard], machine: Machine) -> Suggestion | None:
    """Return the suggestion of a model, with its LoRA; None if this machine cannot use it."""
    needed = memory_needed(parts[0], machine.device)
    fit = machine.fit(needed)
    missing = [part for part in parts if not catalogue.find(part.name)]
    refused = any(part.commercial == "no" for part in parts)
    if refused or fit == "no" or sum(part.size for part in missing) > machine.disk:
        return None
    extra = parts[-1].extra
    install = [] if extra in machine.extras else [install_command(extra)]
    return Suggestion(
        name=name,
        reason=_reason(parts, needed, fit, machine),
        here=not missing and not install,
        commands=(*install, *(catalogue.download_command(part.name) for part in missing)),
        memory=needed,
    )


def _reason(parts: list[ModelCard], needed: int, fit: str, machine: Machine) -> str:
    how = {"yes": "takes", "offload": "offloaded to RAM it fits: takes"}[fit]
    memory, free = format_size(needed), format_size(machine.memory)
    licences = dict.fromkeys(part.licence + ", gated" * part.gated for part in parts)
    facts = [
        *(part.title for part in parts),
        f"{how} {memory} of {free} free on {machine.device}",
        *filter(None, [parts[0].quality]),
        *licences,
    ]
    return "; ".join(facts)
