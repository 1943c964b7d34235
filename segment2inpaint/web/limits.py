"""Bounds on the resources that the server uses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Resource bounds of a server. Sizes are in bytes, ``pixels`` is in pixels, times in seconds.

    ``upload`` and ``body`` bound the body of an upload and of any other call, ``pixels`` the
    size of a photo, and ``memory`` the bytes that all photos and their results hold together.
    ``photos`` is the number of photos on the server; ``masks`` and ``results`` are the numbers
    kept for each photo. A photo unused for ``idle`` seconds is dropped. ``upload_time`` bounds
    a whole upload, and ``stall`` the wait for its next bytes. ``waiting`` is the number of
    quick calls, and ``queue`` the number of removals, that may wait for a worker.
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
