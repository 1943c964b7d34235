"""The interfaces of detectors and inpainters, and the types that they exchange."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from segment2inpaint.types import BinaryMask, Detection, Fill, FloatArray, Image, Prompt


@dataclass(frozen=True)
class InputSpec:
    """The input requirements of an inpainter.

    ``area`` is the model's native number of pixels; with None any size will do and crops are not
    resampled. Both sides of a crop are multiples of ``multiple``. The mask is max-pooled to cells
    of ``mask_cell`` model px, the size of a latent. ``padding_share`` is the context on each side
    as a share of the mean side of the mask's box. A window is at least ``min_side`` photo px long
    if the photo is. ``batch_size`` is the largest number of equally sized crops that one call
    paints faster than several calls. ``uses_seed``: another seed gives another result.
    ``edits_by_instruction``: the model can repaint a whole crop, so that an object goes with its
    shadow and mirror image. ``obscures``: the object is hidden but still there, so that the checks
    of a removal do not apply.
    """

    area: int | None = None
    multiple: int = 1
    mask_cell: int = 1
    padding_share: float = 0.5
    min_side: int = 64
    batch_size: int = 1
    uses_seed: bool = True
    edits_by_instruction: bool = False
    obscures: bool = False


# A fill that copies the surroundings, or is compared with them, sees much of them.
SURROUNDINGS = InputSpec(padding_share=1.0, min_side=256)


@dataclass(frozen=True, eq=False)
class Crop:
    """The input of an inpainter: ``image``, (h, w, 3) uint8 RGB, and its ``mask``, (h, w) bool.

    True in the mask = repaint. ``object_mask`` is the mask of the object if ``mask`` is the whole
    crop, None if it is ``mask`` itself.
    """

    image: Image
    mask: BinaryMask
    seed: int = 0
    object_mask: BinaryMask | None = None


@dataclass(frozen=True)
class RuntimeOptions:
    """Options that reduce the memory use or the run time of diffusion models.

    They change results only by rounding, ``quantize`` and ``block_cache`` by more. ``offload``
    keeps weights off the GPU until they are needed: whole networks (``model``) or single layers
    (``group``); ``auto`` does so if the model does not fit. ``batch_size`` None is chosen by the
    free memory. ``quantize`` is ``8bit`` or ``4bit``. ``attention`` names an attention backend of
    diffusers. ``compile`` compiles the network at its first call. ``block_cache`` skips all but
    the first transformer block at steps in which that block's output changes by less than this
    share (first-block cache; Flux.2 Klein and Qwen-Image; usually 0.05 to 0.2, larger values
    degrade the picture).
    """

    offload: str = "auto"
    batch_size: int | None = None
    compile: bool = False
    attention: str | None = None
    quantize: str | None = None
    block_cache: float | None = None


ProgressCallback = Callable[[str, float], None]
"""Called with the name of the stage and the share of it that is done, in [0, 1].

An exception raised by the callback cancels the work; a diffusion model stops within one step.
"""

PreviewCallback = Callable[[Sequence[Image]], None]
"""Called after each step of a diffusion model with a small sketch of each crop.

It runs in the thread that started the work. Model families that pack their latents in another
way than Flux give no sketches.
"""


def no_progress(stage: str, share: float) -> None:
    """Ignore the progress."""


class Detector(Protocol):
    """Finds objects."""

    @property
    def name(self) -> str: ...

    @property
    def prompt_types(self) -> tuple[type, ...]:
        """The classes of prompts that the detector accepts."""
        ...

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        """Return a mask of the photo's size for each object, an empty list if there is none.

        Raises ``BadPrompt`` for a prompt that the detector does not accept.
        """
        ...


@runtime_checkable
class SupportsPrepare(Protocol):
    """A detector that can compute the embedding of a photo before the first click."""

    def prepare(self, images: Sequence[Image]) -> None: ...


@dataclass(frozen=True, eq=False)
class MaskPrompt:
    """The prompt for one object in the manner of segment-anything, in photo pixels.

    ``points`` are (N, 2), x and y, with ``labels`` (N,), 1 on the object and 0 off it; ``box`` is
    (4,), x0, y0, x1, y1; ``mask_input`` (1, s, s) are logits of an earlier prediction.
    """

    points: NDArray[np.float64] | None = None
    labels: NDArray[np.int64] | None = None
    box: NDArray[np.float64] | None = None
    mask_input: FloatArray | None = None


class PredictedMasks(NamedTuple):
    """C masks for one prompt.

    ``masks`` (C, H, W) bool, of the photo's size; ``scores`` (C,) float32; ``logits`` (C, s, s)
    float32 in low resolution, None if the detector has none.
    """

    masks: BinaryMask
    scores: FloatArray
    logits: FloatArray | None


@runtime_checkable
class PredictsMasks(Protocol):
    """A detector that predicts several masks for a prompt, each with a score."""

    def predict_masks(
        self, image: Image, prompt: MaskPrompt, multimask_output: bool
    ) -> PredictedMasks: ...


class Inpainter(Protocol):
    """Paints holes."""

    @property
    def name(self) -> str: ...

    @property
    def input_spec(self) -> InputSpec: ...

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Image]:
        """Return each crop with its masked pixels repainted, in order and of the same size.

        Pixels outside the mask are ignored by the caller. The result of a crop depends on its own
        seed and not on the other crops. Of ``fill`` only the description of what to paint is
        used, so that crops of several photos can share a call.
        """
        ...


@runtime_checkable
class CompilesKernels(Protocol):
    """An inpainter whose first fill on a machine compiles its code."""

    def start_compiling(self) -> None:
        """Compile in a thread what is not compiled yet, and return at once."""
        ...


@runtime_checkable
class ResolvesDefaults(Protocol):
    """An inpainter that has its own defaults for the values that a ``Fill`` leaves open."""

    def resolve_fill(self, fill: Fill) -> Mapping[str, Any]:
        """Return the values to paint with, by the field names of ``Fill``, and ``prefill``."""
        ...
