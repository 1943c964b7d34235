"""Locate the files that ship with the package."""

from __future__ import annotations

from pathlib import Path


def shipped_folder(name: str) -> Path:
    """Return the folder of the model cards (``cards``) or of the small networks (``weights``).

    A wheel holds it in this package; a checkout holds it in ``models/`` at the root.
    """
    package = Path(__file__).parent
    inside = package / name
    return inside if inside.is_dir() else package.parents[1] / "models" / name
