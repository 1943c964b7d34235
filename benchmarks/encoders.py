"""CPU seconds to embed a photo with the SAM models, at full size with random weights.

    python benchmarks/encoders.py [NAME ...]

The time does not depend on the weights, so nothing is downloaded.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import torch

PHOTO = (1, 3, 1024, 1024)
REPEATS = 2  # the first run also sets up the libraries


def sam_2_1(embed: int, heads: int, blocks: list[int], full: list[int], side: int = 7) -> Any:
    """Return SAM 2.1 with a Hiera encoder: width, heads and blocks of its stages."""
    from transformers import Sam2Config, Sam2HieraDetConfig, Sam2Model, Sam2VisionConfig

    widths = [embed * 2**stage for stage in range(4)]
    backbone = Sam2HieraDetConfig(
        hidden_size=embed,
        num_attention_heads=heads,
        blocks_per_stage=blocks,
        embed_dim_per_stage=widths,
        num_attention_heads_per_stage=[heads * 2**stage for stage in range(4)],
        global_attention_blocks=full,
        window_positional_embedding_background_size=[side, side],
    )
    vision = Sam2VisionConfig(backbone_config=backbone, backbone_channel_list=widths[::-1])
    return Sam2Model(Sam2Config(vision_config=vision))


def edgetam() -> Any:
    from transformers import EdgeTamConfig, EdgeTamModel, EdgeTamVisionConfig, TimmWrapperConfig

    backbone = TimmWrapperConfig(
        architecture="repvit_m1",
        model_args={"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]},
    )
    return EdgeTamModel(EdgeTamConfig(vision_config=EdgeTamVisionConfig(backbone_config=backbone)))


def sam_vit_b() -> Any:
    from segment_anything import sam_model_registry

    return sam_model_registry["vit_b"]()


MODELS: dict[str, Callable[[], Any]] = {
    "edgetam": edgetam,
    "sam2.1-tiny": lambda: sam_2_1(96, 1, [1, 2, 7, 2], [5, 7, 9]),
    "sam2.1-small": lambda: sam_2_1(96, 1, [1, 2, 11, 2], [7, 10, 13]),
    "sam2.1-base-plus": lambda: sam_2_1(112, 2, [2, 3, 16, 3], [12, 16, 20], 14),
    "sam2.1-large": lambda: sam_2_1(144, 2, [2, 6, 36, 4], [23, 33, 43]),
    "sam-vit-b": sam_vit_b,
}


def main() -> None:
    print(f"{'model':<18}{'million weights':>16}{'CPU s':>8}")
    for name in sys.argv[1:] or MODELS:
        model = MODELS[name]().eval()
        weights = sum(weight.numel() for weight in model.parameters()) / 1e6
        embed = getattr(model, "get_image_embeddings", None) or model.image_encoder
        seconds = min(cpu_seconds(embed) for _ in range(REPEATS))
        print(f"{name:<18}{weights:>16.1f}{seconds:>8.1f}", flush=True)


@torch.inference_mode()
def cpu_seconds(embed: Callable[[torch.Tensor], Any]) -> float:
    start = time.process_time()
    embed(torch.zeros(PHOTO))
    return time.process_time() - start


if __name__ == "__main__":
    main()
