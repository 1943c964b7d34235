"""What a detector and an inpainter must offer, and what they are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from segment2inpaint.types import BinaryMask, Detection, Fill, Image, Prompt


@dataclass(frozen=True)
class InputSpec:
    """How an inpainter likes its crops.

    ``area``: the model's native number of pixels, None if any scale will do (then crops are
    never resampled). ``multiple``: both sides are one. ``cell``: the latent cell in model px
    to which the mask is max-pooled. ``padding``: context each side, as a share of the mean
    side of the mask's box. ``side``: the least side of a window in photo px, where the photo
    has it. ``batch``: how many crops of one size it paints faster together than one by one.
    ``seeded``: whether another seed is another result. ``edits``: whether it may be given a
    whole crop to repaint, to take an object away with its shadow and mirror image.
    """

    area: int | None = None
    multiple: int = 1
    mask_cell: int = 1
    padding: float = 0.5
    min_side: int = 64
    batch_size: int = 1
    uses_seed: bool = True
    edits_by_instruction: bool = False


@dataclass(frozen=True, eq=False)
class Crop:
    """What an inpainter sees: ``image`` and, True = repaint, ``bits`` of the same size."""

    image: Image
    mask: BinaryMask
    seed: int = 0


@dataclass(frozen=True)
class RuntimeOptions:
    """How diffusion models run; their pictures differ by rounding, with ``quantize`` by more.

    ``offload`` keeps weights off the GPU until they are needed: whole networks (``model``) or
    single layers (``group``); ``auto`` if they do not fit. ``batch_size`` None goes by the free
    memory. ``quantize`` is ``8bit`` or ``4bit``, ``attention`` a backend of diffusers, and
    ``compile`` compiles the network at its first call. ``block_cache`` lets a transformer skip
    all but its first block at steps where that changes by less than this share (first-block
    cache, with Flux.2 Klein and Qwen-Image; 0.05 to 0.2 is usual, more harms the picture).
    """

    offload: str = "auto"
    batch_size: int | None = None
    compile: bool = False
    attention: str | None = None
    quantize: str | None = None
    block_cache: float | None = None


ProgressCallback = Callable[[str, float], None]
"""Called with what is being done and how far it is, in [0, 1].

What it raises ends the work where it is: with a diffusion model, within one step.
"""


PreviewCallback = Callable[[Sequence[Image]], None]
"""Called after each step of a diffusion model with sketches of the crops in work, small ones.

In the thread that asked for the work. Families that pack their latents otherwise than Flux
give none.
"""


def no_progress(stage: str, share: float) -> None:
    """Report nothing."""


class Detector(Protocol):
    """Finds objects."""

    @property
    def name(self) -> str: ...

    @property
    def prompt_types(self) -> tuple[type, ...]:
        """The kinds of prompt it understands."""
        ...

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        """A mask of the photo's size for each object; an empty list if there is none.

        Raises ``BadPrompt`` for a prompt that it cannot use.
        """
        ...


class Inpainter(Protocol):
    """Paints holes."""

    @property
    def name(self) -> str: ...

    @property
    def input_spec(self) -> InputSpec: ...

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Image]:
        """Each crop with its ``bits`` repainted, in order and of the same size.

        What it returns outside ``bits`` is not used. A crop's result depends on its own seed
        and not on the crops beside it; of ``fill`` only what to paint is used, so that crops of
        several photos can share a call.
        """
        ...


@runtime_checkable
class ResolvesDefaults(Protocol):
    """An inpainter that has values of its own for what a ``Fill`` leaves open."""

    def resolve_fill(self, fill: Fill) -> Mapping[str, Any]:
        """What it paints with, by the names of ``Fill``, and ``prefill``."""
        ...
