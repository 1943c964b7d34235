"""The decoder: the prompt encoder and the mask decoder of Segment Anything (Kirillov et al. 2023).

The classes are those of the segment_anything library, but a frame may have any height and width
that are multiples of 16.
"""

from __future__ import annotations

import torch
from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer
from torch import Tensor, nn

from models.training.click.tiny_vit import EMBEDDING_CHANNELS
from segment2inpaint.networks.click import CELL, NO_POINT

MASK_CHANNELS = 16  # of an earlier answer while it is encoded
TRANSFORMER_DEPTH, HEADS, MLP_WIDTH = 2, 8, 2048
OUTPUTS = 4  # masks: the single answer, and three that may be parts and wholes


class Decoder(nn.Module):
    """Embeddings and prompts to ``OUTPUTS`` masks for each question, and their expected IoU."""

    def __init__(self) -> None:
        super().__init__()
        channels, any_size = EMBEDDING_CHANNELS, (1, 1)
        self.prompt_encoder = PromptEncoder(channels, any_size, any_size, MASK_CHANNELS)
        transformer = TwoWayTransformer(TRANSFORMER_DEPTH, channels, HEADS, MLP_WIDTH)
        self.mask_decoder = MaskDecoder(
            transformer_dim=channels, transformer=transformer, num_multimask_outputs=OUTPUTS - 1
        )

    def forward(
        self, embedding: Tensor, points: Tensor, labels: Tensor, mask: Tensor, has_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return logits (n, OUTPUTS, 4 h, 4 w) and scores (n, OUTPUTS) for n questions.

        ``embedding`` (1, 256, h, w) is of one frame; ``points`` (n, t, 2) are x and y in px of
        the frame, and ``labels`` (n, t) their kinds, numbered as in
        ``segment2inpaint.networks.click``. ``mask`` (n, 1, 4 h, 4 w) are the logits of an earlier
        answer, which count where ``has_mask`` (n,) is 1.
        """
        height, width = embedding.shape[2:]
        has = has_mask[:, None, None, None]
        no_mask = self.prompt_encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
        dense = has * self.prompt_encoder.mask_downscaling(mask) + (1 - has) * no_mask
        side = CELL * max(height, width)
        logits, scores = self.mask_decoder.predict_masks(
            image_embeddings=embedding,
            image_pe=self._places(height, width),
            sparse_prompt_embeddings=self._tokens(points, labels, side),
            dense_prompt_embeddings=dense,
        )
        return logits, scores

    def _places(self, height: int, width: int) -> Tensor:
        """Return the code (1, 256, h, w) of the place of each value of an embedding."""
        device = self.prompt_encoder.no_mask_embed.weight.device
        y = (torch.arange(height, device=device) + 0.5) / max(height, width)
        x = (torch.arange(width, device=device) + 0.5) / max(height, width)
        grid = torch.stack([x[None].expand(height, -1), y[:, None].expand(-1, width)], -1)
        return self._encode(grid).permute(2, 0, 1)[None]

    def _tokens(self, points: Tensor, labels: Tensor, side: int) -> Tensor:
        """Return the codes (n, t, 256) of points in a frame whose long side is ``side`` px."""
        encoder = self.prompt_encoder
        kinds = torch.cat([e.weight for e in encoder.point_embeddings])
        places = self._encode((points + 0.5) / side) + kinds[labels.clamp(min=0)]
        return torch.where(labels[..., None] == NO_POINT, encoder.not_a_point_embed.weight, places)

    def _encode(self, places: Tensor) -> Tensor:
        """Return the Fourier code (..., 256) of places (..., 2) in [0, 1]."""
        code: Tensor = self.prompt_encoder.pe_layer._pe_encoding(places)
        return code
