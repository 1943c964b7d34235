"""Small random detectors of transformers' own classes, saved in the folders that the hub has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from segment2inpaint.types import Image

SIDE = 128  # px, of the model's frame

torch.set_num_threads(1)  # layers this small are slower on several threads

PROMPTS = {"image_size": SIDE, "patch_size": 16, "hidden_size": 32, "mask_input_channels": 16}
DECODER = {
    "hidden_size": 32,
    "mlp_dim": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "iou_head_hidden_dim": 32,
}
LEVELS = [[32, 32], [16, 16], [8, 8]]


def random_photo(height: int = 90, width: int = 140, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(model: Any, processor: Any, folder: Path) -> Path:
    """Save a model and its processor; random weights make each part matter for the result."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "timm" not in name:  # these have many layers, which would overflow
                weight.add_(torch.randn_like(weight) * 0.2)
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def sam_hq(folder: Path) -> Path:
    from transformers import SamHQConfig, SamHQModel, SamHQProcessor, SamImageProcessor

    torch.manual_seed(0)
    vision = {
        "hidden_size": 32,
        "output_channels": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "global_attn_indexes": [1],
        "num_pos_feats": 16,
        "mlp_dim": 64,
        "image_size": SIDE,
        "patch_size": 16,
    }
    config = SamHQConfig(
        vision_config=vision,
        prompt_encoder_config=PROMPTS,
        mask_decoder_config={**DECODER, "vit_dim": 32},
    )
    images = SamImageProcessor(
        size={"longest_edge": SIDE}, pad_size={"height": SIDE, "width": SIDE}
    )
    return save(SamHQModel(config), SamHQProcessor(images), folder)


def _square_frame() -> dict[str, Any]:
    return {"size": {"height": SIDE, "width": SIDE}, "mask_size": {"height": 32, "width": 32}}


def sam2(folder: Path) -> Path:
    from transformers import Sam2Config, Sam2ImageProcessor, Sam2Model, Sam2Processor

    torch.manual_seed(0)
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 8,
        "num_attention_heads": 1,
        "image_size": [SIDE, SIDE],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 2, 2],
        "window_size_per_stage": [8, 4, 4, 4],
        "window_positional_embedding_background_size": [4, 4],
        "global_attention_blocks": [3],
    }
    vision = {
        "backbone_config": backbone,
        "backbone_channel_list": [64, 32, 16, 8],
        "backbone_feature_sizes": LEVELS,
        "fpn_hidden_size": 32,
    }
    config = Sam2Config(
        vision_config=vision, prompt_encoder_config=PROMPTS, mask_decoder_config=DECODER
    )
    return save(Sam2Model(config), Sam2Processor(Sam2ImageProcessor(**_square_frame())), folder)


def edgetam(folder: Path) -> Path:
    """Save EdgeTAM, whose backbone comes from timm."""
    from transformers import (
        EdgeTamConfig,
        EdgeTamModel,
        Sam2ImageProcessor,
        Sam2Processor,
        TimmWrapperConfig,
    )

    torch.manual_seed(0)
    backbone = TimmWrapperConfig(
        architecture="repvit_m0_9",
        model_args={"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]},
        num_labels=2,
    )
    vision = {
        "backbone_config": backbone,
        "backbone_channel_list": [384, 192, 96, 48],
        "backbone_feature_sizes": LEVELS,
        "fpn_hidden_size": 32,
    }
    config = EdgeTamConfig(
        vision_config=vision, prompt_encoder_config=PROMPTS, mask_decoder_config=DECODER
    )
    return save(EdgeTamModel(config), Sam2Processor(Sam2ImageProcessor(**_square_frame())), folder)


SAM3_VISION: dict[str, Any] = {
    "model_type": "sam3_vision_model",
    "backbone_config": {
        "model_type": "sam3_vit_model",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": SIDE,
        "patch_size": 16,
        "window_size": 4,
        "global_attn_indexes": [1],
        "pretrain_image_size": 64,
    },
    "fpn_hidden_size": 32,
    "backbone_feature_sizes": LEVELS,
}


def sam3_tracker(folder: Path) -> Path:
    from transformers import (
        Sam3ImageProcessor,
        Sam3TrackerConfig,
        Sam3TrackerModel,
        Sam3TrackerProcessor,
    )

    torch.manual_seed(0)
    config = Sam3TrackerConfig(
        vision_config=SAM3_VISION, prompt_encoder_config=PROMPTS, mask_decoder_config=DECODER
    )
    images = Sam3ImageProcessor(**_square_frame())
    return save(Sam3TrackerModel(config), Sam3TrackerProcessor(images), folder)


# Name of the detector -> how its folder is saved.
PROMPTABLE = {"sam-hq": sam_hq, "sam2": sam2, "edgetam": edgetam, "sam3": sam3_tracker}


def grounding_dino(folder: Path) -> Path:
    """Save a Grounding DINO that knows a few words, and the special tokens by their numbers."""
    from transformers import (
        BertTokenizer,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessor,
        GroundingDinoProcessor,
    )

    torch.manual_seed(0)
    words = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}
    words |= {1012: ".", 1029: "?", 5: "a", 6: "dog", 7: "cat", 8: "red"}
    vocabulary = [words.get(i, f"[unused{i}]") for i in range(1030)]
    config = GroundingDinoConfig(
        backbone_config={
            "model_type": "swin",
            "image_size": 64,
            "patch_size": 4,
            "embed_dim": 8,
            "depths": [1, 1, 1, 1],
            "num_heads": [1, 1, 2, 2],
            "window_size": 2,
            "out_indices": [2, 3, 4],
        },
        text_config={
            "model_type": "bert",
            "vocab_size": 1030,
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 16,
            "max_position_embeddings": 64,
        },
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        num_queries=12,
        max_text_len=40,
        disable_custom_kernels=True,
    )
    tokenizer = BertTokenizer(vocab={word: i for i, word in enumerate(vocabulary)})
    images = GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 96})
    model = GroundingDinoForObjectDetection(config)
    return save(model, GroundingDinoProcessor(images, tokenizer), folder)


def sam3(folder: Path, tokenizer: Any) -> Path:
    """Save the half of SAM 3 that reads text; ``tokenizer`` is CLIP's."""
    from transformers import Sam3Config, Sam3ImageProcessor, Sam3Model, Sam3Processor

    torch.manual_seed(0)
    part = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 32, "num_layers": 1}
    config = Sam3Config(
        vision_config=SAM3_VISION,
        text_config={
            "model_type": "clip_text_model",
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 32,
            "projection_dim": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "max_position_embeddings": 32,
        },
        geometry_encoder_config=part,
        detr_encoder_config=part,
        detr_decoder_config={**part, "num_queries": 8},
        mask_decoder_config={"hidden_size": 32, "num_attention_heads": 2},
    )
    processor = Sam3Processor(Sam3ImageProcessor(**_square_frame()), tokenizer)
    return save(Sam3Model(config), processor, folder)
