"""The successors of SAM by transformers: SAM-HQ, SAM 2, EdgeTAM, SAM 3.

SAM-HQ: Ke et al. 2023. SAM 2: Ravi et al. 2024. EdgeTAM: Zhou et al. 2025. SAM 3: Carion et al.
2025. All are the library's own classes; which one is read off the folder's ``config.json``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import interpolate

from segment2inpaint.detect.embeddings import Embedding, Embeddings
from segment2inpaint.detect.promptable import PromptableDetector, Prompted, Size
from segment2inpaint.device import choose as choose_device
from segment2inpaint.device import half
from segment2inpaint.types import BadModel, Image, ModelMissing

# By the kind of model in config.json. The hub's SAM 2 and 3 name the video model, whose own class
# would be loaded by transformers' automatic choice; its image part is what these classes take.
CLASSES = {
    "sam_hq": "SamHQModel",
    "sam2": "Sam2Model",
    "sam2_video": "Sam2Model",
    "edgetam": "EdgeTamModel",
    "edgetam_video": "EdgeTamModel",
    "sam3": "Sam3TrackerModel",
    "sam3_video": "Sam3TrackerModel",
    "sam3_tracker": "Sam3TrackerModel",
    "sam3_tracker_video": "Sam3TrackerModel",
}


class TransformersSam(PromptableDetector):
    """Points, boxes, own masks and everything to masks; the model is a folder as transformers
    saves it.

    ``cache`` is as in ``SamDetector``. Raises ``BadModel``, ``ModelMissing`` for a model that
    needs a package, ``BadOption`` for a device not here.
    """

    def __init__(self, model: Path, device: str = "auto", cache: Path | None = None) -> None:
        network = TransformersNetwork(model, choose_device(device))
        super().__init__(network, Embeddings(model, network.kind, cache))


class TransformersNetwork:
    """One of ``CLASSES`` as a ``Network``.

    SAM-HQ pads the photo as SAM does, the others stretch it into the square frame. On a GPU the
    encoder runs in half precision, the decoder in float32 everywhere.
    """

    def __init__(self, model: Path, device: str) -> None:
        kind = model_type(model)
        if kind not in CLASSES:
            raise BadModel(f"{model}: a {kind} model, not one of {', '.join(CLASSES)}")
        self.name = kind.removesuffix("_video").removesuffix("_tracker").replace("_", "-")
        self.device, self.dtype = device, half(device)
        self.kind = f"{self.name} {self.dtype}"
        self._model, self._processor = load(model, CLASSES[kind], "AutoImageProcessor")
        self._model.to(device)
        size = self._processor.size
        self._pads = kind == "sam_hq"
        self.side = int(size["longest_edge"] if self._pads else size["height"])
        prompts = self._model.config.prompt_encoder_config
        self.mask_side = 4 * (prompts.image_size // prompts.patch_size)

    def frame(self, size: Size) -> Size:
        if not self._pads:
            return self.side, self.side
        scale = self.side / max(size)
        return int(size[0] * scale + 0.5), int(size[1] * scale + 0.5)

    def embed(self, images: Sequence[Image]) -> list[Embedding]:
        photos = [np.ascontiguousarray(image) for image in images]
        pixels = self._processor(photos, return_tensors="pt")["pixel_values"].to(self.device)
        kind = self.device.partition(":")[0]
        with torch.autocast(kind, dtype=self.dtype, enabled=self.dtype != torch.float32):
            made = self._model.get_image_embeddings(pixels)
        if self._pads:  # the second are of all global layers; the decoder wants the first
            made = [made[0], made[1][0]]
        return [
            {str(level): each[i : i + 1].float() for level, each in enumerate(made)}
            for i in range(len(photos))
        ]

    def decode(
        self, embedding: Embedding, prompted: Prompted, multimask: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Each object is given as a photo of its own: only so may each start from a mask."""
        given = {
            "input_points": _each(prompted.points),
            "input_labels": _each(prompted.labels),
            "input_boxes": _each(prompted.boxes),
            "input_masks": prompted.masks,
        }
        options = {k: v.to(self.device) for k, v in given.items() if v is not None}
        count = len(next(iter(options.values())))
        levels = [
            embedding[name].to(self.device).expand(count, -1, -1, -1) for name in sorted(embedding)
        ]
        if self._pads:
            options |= {"image_embeddings": levels[0], "intermediate_embeddings": levels[1:]}
        else:
            options |= {"image_embeddings": levels}
        out = self._model(**options, multimask_output=multimask)
        return out.pred_masks[:, 0].float(), out.iou_scores[:, 0].float()

    def framed(self, logits: torch.Tensor, size: Size) -> torch.Tensor:
        height, width = self.frame(size)
        return _resized(logits, (self.side, self.side))[..., :height, :width]

    def upscaled(self, logits: torch.Tensor, size: Size) -> torch.Tensor:
        return _resized(self.framed(logits, size) if self._pads else logits, size)


def model_type(model: Path) -> str:
    """What kind of model ``config.json`` says a folder holds. Raises ``BadModel``."""
    path = model / "config.json"
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadModel(f"{model}: no model of transformers here: {path.name}: {error}") from error


def load(model: Path, model_class: str, processor_class: str) -> tuple[Any, Any]:
    """A model in float32 on the CPU, and its processor. Never touches the network.

    Raises ``BadModel``, ``ModelMissing`` for a package that is not installed.
    """
    import transformers

    if not hasattr(transformers, model_class):
        version = transformers.__version__
        raise ModelMissing(f"{model}: transformers {version} has no {model_class}, get a newer one")
    here = {"local_files_only": True}
    try:
        with _quiet():
            processor = getattr(transformers, processor_class).from_pretrained(model, **here)
            network, report = getattr(transformers, model_class).from_pretrained(
                model, use_safetensors=True, output_loading_info=True, dtype=torch.float32, **here
            )
    except ImportError as error:
        package = "timm" if "timm" in str(error) else str(error).strip().split("\n")[0]
        raise ModelMissing(f"{model}: {model_class} needs {package}: pip install timm") from error
    except Exception as error:  # the library raises what it likes
        reason = (str(error).strip() or type(error).__name__).split("\n")[0]
        raise BadModel(f"{model}: cannot be loaded as {model_class}: {reason}") from error
    if report["missing_keys"]:
        count, first = len(report["missing_keys"]), sorted(report["missing_keys"])[0]
        raise BadModel(f"{model}: {count} tensors of {model_class} are not there, such as {first}")
    return network.eval().requires_grad_(False), processor


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library from telling of the tensors that it loads and of those it leaves."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _each(prompts: torch.Tensor | None) -> torch.Tensor | None:
    return None if prompts is None else prompts[:, None]


def _resized(logits: torch.Tensor, size: Size) -> torch.Tensor:
    return interpolate(logits, size, mode="bilinear", align_corners=False)
