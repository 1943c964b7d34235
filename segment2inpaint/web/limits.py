"""How much a server takes on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of a server. Sizes are bytes unless they say pixels; times are seconds.

    ``photos``, ``masks`` and ``results`` are counts: photos on the server, masks and results of
    a photo. ``memory`` bounds what all photos hold together, ``idle`` is how long one may lie
    unused, ``upload_time`` how long an upload may take. ``waiting`` looks and ``queue``
    removals may stand in line.
    """

    upload: int = 200_000_000
    body: int = 8_000_000
    pixels: int = 120_000_000
    memory: int = 4_000_000_000
    photos: int = 64
    masks: int = 300
    results: int = 24
    idle: float = 3600.0
    upload_time: float = 300.0
    stall: float = 20.0
    waiting: int = 64
    queue: int = 16
