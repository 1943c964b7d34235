"""Regular checkpoints, which were trained on text and images but not to inpaint.

Their UNet takes the latents alone (4 channels). That of an inpainting checkpoint also takes the
mask and the masked image (9 channels).
"""

from __future__ import annotations

import warnings
from typing import Any

from segment2inpaint.models.catalogue import ModelCard, card, cards

REGULAR_CHANNELS = 4


def fitting_card(pipe: Any, model: ModelCard) -> ModelCard:
    """Return ``model``, or the card of its family for the kind of checkpoint that ``pipe`` is.

    Warns about a regular checkpoint.
    """
    unet = getattr(pipe, "unet", None)
    if unet is None:
        return model
    if unet.config.in_channels != REGULAR_CHANNELS:
        return next((c for c in cards() if model.name and c.regular == model.name), model)
    fitting = card(model.regular) if model.regular else model
    warnings.warn(
        "this checkpoint was not trained to inpaint, a visible outline is likely; an inpainting "
        "checkpoint blends better" + _alternative(fitting),
        stacklevel=3,
    )
    return fitting


def _alternative(model: ModelCard) -> str:
    """Return the name of the family's inpainting checkpoint, as the end of a sentence."""
    names = [c.name for c in cards() if model.name and c.regular == model.name]
    return f", such as {names[0]}" if names else ""
