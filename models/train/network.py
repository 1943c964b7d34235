"""The network: Segment Anything's decoder (Kirillov et al. 2023) round a small encoder.

Made here, trained by ``train.py``, saved as any checkpoint that the detector ``sam`` loads.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

from segment2inpaint.detect.sam_weights import MEAN, STD
from segment2inpaint.detect.small_encoder import STRIDE, SmallEncoder

LARGEST = 16_000_000  # bytes of the file


@dataclass(frozen=True)
class Size:
    """Of a network: ``side`` of the frame in px, the encoder's ``widths`` and ``depths``."""

    side: int
    widths: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]
    dim: int  # channels of the embedding
    hidden: int  # of the decoder's inner layers


SIZES = {
    "full": Size(512, (48, 96, 192, 320), (2, 3, 6, 3), 128, 1024),
    "small": Size(128, (16, 32, 64, 96), (1, 2, 2, 2), 64, 256),
    "toy": Size(64, (8, 16, 32, 32), (1, 1, 1, 1), 32, 64),
}


def make(size: Size, seed: int = 0) -> Sam:
    """An untrained network on the CPU; the same seed makes the same one."""
    torch.manual_seed(seed)
    grid = size.side // STRIDE
    prompts = PromptEncoder(size.dim, (grid, grid), (size.side, size.side), 16)
    decoder = MaskDecoder(
        transformer_dim=size.dim,
        transformer=TwoWayTransformer(2, size.dim, 8, size.hidden),
        iou_head_hidden_dim=size.dim,
    )
    encoder = SmallEncoder(size.side, size.widths, size.depths, size.dim)
    return Sam(encoder, prompts, decoder, MEAN, STD)


def decode(
    sam: Sam, embeddings: torch.Tensor, sparse: torch.Tensor, dense: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """``MaskDecoder.predict_masks`` for prompts of several photos at once.

    Each of the n rows has an embedding of its own. Gives the logits (n, 4, s, s) of the single
    mask and the three, and their predicted IoU (n, 4).
    """
    decoder = sam.mask_decoder
    n, c, h, w = embeddings.shape
    own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    tokens = torch.cat([own.expand(n, -1, -1), sparse], dim=1)
    where = sam.prompt_encoder.get_dense_pe().expand(n, -1, -1, -1)
    said, seen = decoder.transformer(embeddings + dense, where, tokens)
    fine = decoder.output_upscaling(seen.transpose(1, 2).reshape(n, c, h, w))
    heads = decoder.output_hypernetworks_mlps
    weights = torch.stack([head(said[:, 1 + i]) for i, head in enumerate(heads)], dim=1)
    return torch.einsum("nkc,nchw->nkhw", weights, fine), decoder.iou_prediction_head(said[:, 0])


def export(sam: Sam, folder: Path, steps: int) -> Path:
    """``model.safetensors`` in 16 bits and the card that goes with it, ``s2i-small.toml``.

    Raises ``ValueError`` for a network larger than the file may be.
    """
    weights = {name: t.detach().half().cpu().contiguous() for name, t in sam.state_dict().items()}
    about = {"format": "pt", "architecture": "segment2inpaint small", "steps": str(steps)}
    content = save(weights, about)
    if len(content) > LARGEST:
        raise ValueError(f"{len(content)} bytes of weights, expected at most {LARGEST}")
    write(folder / "model.safetensors", content)
    digest = hashlib.sha256(content).hexdigest()
    write(folder / "s2i-small.toml", CARD.format(size=len(content), sha=digest).encode())
    return folder / "model.safetensors"


def write(path: Path, content: bytes) -> None:
    """Whole or not at all, even if the power fails."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


CARD = """\
# Our own, trained on made scenes alone (models/train).
title = "A small Segment Anything, trained on made scenes"
kind = "detector"
backend = "sam"
licence = "Apache-2.0"
repo = ""
files = ["model.safetensors"]
size = {size}

[sha256]
"model.safetensors" = "{sha}"
"""
