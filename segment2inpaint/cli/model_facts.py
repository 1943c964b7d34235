"""Describe a model by quality, seconds, memory and licence, as text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segment2inpaint.models.catalogue import ModelCard
    from segment2inpaint.models.machine import Machine

COMMERCIAL_USE = {
    "yes": "commercial use allowed",
    "limited": "commercial use under its conditions",
    "no": "no commercial use",
    "": "commercial use: see the licence",
}
FIT = {"yes": "fits", "offload": "fits with --offload", "no": "too large"}
TABLE_HEADER = ("model", "here", "memory", "on this machine", "seconds", "commercial", "quality")


def facts(card: ModelCard, machine: Machine) -> dict[str, str]:
    """Return the rows of ``models show`` for the facts that models are compared by."""
    return {
        "quality": f"{card.quality} ({card.quality_source})" if card.quality else "not published",
        "seconds": f"{card.seconds:g}: {card.seconds_source}" if card.seconds
                   else "not published or measured",
        "memory": _memory(card, machine),
        "licence": f"{card.licence}, {COMMERCIAL_USE[card.commercial]}"
                   + (", to be accepted on its page first" if card.gated else ""),
    }  # fmt: skip


def _memory(card: ModelCard, machine: Machine) -> str:
    from segment2inpaint.models.catalogue import format_size
    from segment2inpaint.models.machine import memory_needed, weight_bytes

    needed, weights = memory_needed(card, machine.device), weight_bytes(card, machine.device)
    free = f"{format_size(machine.memory)} free on {machine.device}"
    if not needed:
        return f"unknown; {free}"
    detail = f" ({format_size(weights)} of it weights)" if weights else ""
    return f"about {format_size(needed)}{detail}, {free}: {FIT[machine.fit(needed)]}"


def table(cards: Iterable[ModelCard], machine: Machine) -> list[str]:
    """Return the lines of a table that compares models: a header, rows, and the sources."""
    cards = list(cards)
    rows = [TABLE_HEADER, *(_table_row(card, machine) for card in cards)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(TABLE_HEADER))]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return [*lines, *_sources(cards, "seconds"), *_sources(cards, "quality")]


def _sources(cards: Iterable[ModelCard], figure: str) -> list[str]:
    """Return a line for each source of a figure, with the models that it is of."""
    models: dict[str, list[str]] = {}
    for card in cards:
        if source := getattr(card, f"{figure}_source"):
            models.setdefault(source, []).append(card.name)
    return [f"{figure} of {', '.join(names)}: {source}" for source, names in models.items()]


def _table_row(card: ModelCard, machine: Machine) -> tuple[str, ...]:
    from segment2inpaint.models import catalogue
    from segment2inpaint.models.machine import memory_needed

    needed = memory_needed(card, machine.device)
    return (
        card.name,
        "yes" if catalogue.find(card.name) else "no",
        catalogue.format_size(needed) if needed else "unknown",
        FIT[machine.fit(needed)] if needed else "unknown",
        f"{card.seconds:g}" if card.seconds else "unknown",
        card.commercial or "unknown",
        card.quality or "not published",
    )
