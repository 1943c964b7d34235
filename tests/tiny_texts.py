"""Small random text encoders and tokenizers of the real classes of the newer families."""

from __future__ import annotations

from typing import Any

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
)
SPECIAL_TOKENS = ["<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"]
SPECIAL_TOKENS += ["<|image_pad|>", "<|video_pad|>"]


def byte_letters() -> list[str]:
    """Return the characters that byte-level tokenizers use for the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(b) for b in printable] + [chr(256 + n) for n in range(len(others))]


def t5_tokenizer() -> Any:
    from transformers import T5Tokenizer

    words = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -1.0)]
    words += [(chr(c), -2.0) for c in range(33, 127)]
    return T5Tokenizer(vocab=words, extra_ids=0)


def t5(hidden: int = 32) -> Any:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        vocab_size=98, d_model=hidden, d_kv=8, d_ff=37, num_layers=2, num_heads=4,
        decoder_start_token_id=0,
    )  # fmt: skip
    return T5EncoderModel(config).eval()


def qwen_tokenizer() -> Any:
    from transformers import Qwen2Tokenizer

    tokenizer = Qwen2Tokenizer(vocab={word: i for i, word in enumerate(byte_letters())}, merges=[])
    tokenizer.add_special_tokens({"additional_special_tokens": SPECIAL_TOKENS})
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def qwen_3(hidden: int = 16, layers: int = 2) -> Any:
    """Return a Qwen 3, whose hidden states two families take."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        vocab_size=300, hidden_size=hidden, intermediate_size=16, num_hidden_layers=layers,
        num_attention_heads=2, num_key_value_heads=2, head_dim=8,
    )  # fmt: skip
    return Qwen3ForCausalLM(config).eval()


def qwen_2_5_vl(hidden: int = 16) -> Any:
    """Return a Qwen 2.5 with a vision encoder."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    tokens = {f"{name}_token_id": 256 + n for n, name in enumerate(
        ["start", "end", "vision_start", "vision_end", "image", "video"], 1)}  # fmt: skip
    words = {
        "vocab_size": 300, "hidden_size": hidden, "intermediate_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 1024,
        "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2],
                            "rope_theta": 1000000.0},
    }  # fmt: skip
    eye = {
        "depth": 2, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "patch_size": 14,
        "out_hidden_size": hidden, "fullatt_block_indexes": [1], "window_size": 56,
    }  # fmt: skip
    config = Qwen2_5_VLConfig(text_config=words, vision_config=eye, **tokens)
    return Qwen2_5_VLForConditionalGeneration(config).eval()


def qwen_processor(tokens: Any) -> Any:
    """Return the processor that prepares an image and a text for it."""
    from transformers import Qwen2VLImageProcessor, Qwen2VLProcessor

    eye = Qwen2VLImageProcessor(
        size={"shortest_edge": 28 * 28, "longest_edge": 56 * 56}, patch_size=14, merge_size=2
    )
    return Qwen2VLProcessor(
        image_processor=eye, tokenizer=tokens, video_processor=_video_processor()
    )


def _video_processor() -> Any:
    from transformers import Qwen2VLVideoProcessor

    return Qwen2VLVideoProcessor()


def clip_vision() -> Any:
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    config = CLIPVisionConfig(
        hidden_size=32, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4,
        projection_dim=32, image_size=32, patch_size=8,
    )  # fmt: skip
    return CLIPVisionModelWithProjection(config).eval()
