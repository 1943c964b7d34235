"""The part of a prompt that a pipeline's text encoders do not read, because it is too long."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Tokenizers of pipelines, and the text encoders that read their tokens.
TEXT_ENCODERS = {
    "tokenizer": "text_encoder",
    "tokenizer_2": "text_encoder_2",
    "tokenizer_3": "text_encoder_3",
    "prior_tokenizer": "prior_text_encoder",
}
# Families whose language model reads the prompt as a message of a chat, from the left.
CHAT_FAMILIES = ("ZImage", "Flux2")
# A family whose pipeline cuts nothing.
UNLIMITED_FAMILY = "QwenImageEdit"
# Characters to go back from the cut to the beginning of the word that it divides; in Chinese or
# Japanese text, words have no spaces between them.
MAX_WORD = 30


@dataclass(frozen=True)
class Reader:
    """A tokenizer, and how many of its tokens are read.

    ``before`` is text that goes first; ``dropped`` of its tokens do not count.
    """

    tokenizer: Any
    limit: int
    before: str = ""
    dropped: int = 0

    def reads(self, text: str) -> bool:
        """Return whether the whole text is read."""
        tokens = self.tokenizer(self.before + text, truncation=False, verbose=False)
        return len(tokens["input_ids"]) - self.dropped <= self.limit


def unread_part(pipe: Any, text: str) -> tuple[str, int]:
    """Return the end of a prompt that no text encoder reads, "" if there is none.

    The number is that of tokens that the encoder which reads most of it takes.
    """
    best, limit = -1, 0
    for reader in _readers(pipe):
        length = _read_length(reader, text)
        if length > best:
            best, limit = length, reader.limit
    if best < 0:
        return "", 0
    word_start = text.rfind(" ", 0, best) + 1
    divides_word = best < len(text) and word_start > 0 and best - word_start <= MAX_WORD
    start = word_start if divides_word else best
    return text[start:].strip(), limit


def _read_length(reader: Reader, text: str) -> int:
    """Return how many characters of a text are read, by bisection."""
    if reader.reads(text):
        return len(text)
    low, high = 0, len(text)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if reader.reads(text[:middle]) else (low, middle)
    return low


def _readers(pipe: Any) -> Iterator[Reader]:
    """Yield the readers of a pipeline's prompt."""
    family = type(pipe).__name__
    if family.startswith(UNLIMITED_FAMILY):
        return
    for name, encoder in TEXT_ENCODERS.items():
        tokenizer = getattr(pipe, name, None)
        if tokenizer is None or getattr(pipe, encoder, None) is None:
            continue
        if "CLIP" in type(tokenizer).__name__:
            yield Reader(tokenizer, int(tokenizer.model_max_length))
        elif limit := _sequence_length(pipe):
            template = getattr(pipe, "prompt_template_encode", "")
            before = template.partition("{}")[0]
            if family.startswith(CHAT_FAMILIES):
                before = _chat_beginning(tokenizer)
            dropped = getattr(pipe, "prompt_template_encode_start_idx", 0)
            yield Reader(tokenizer, limit, before, dropped)


def _sequence_length(pipe: Any) -> int:
    """Return how many tokens a pipeline's call lets a language model read, 0 if unlimited."""
    parameter = inspect.signature(type(pipe).__call__).parameters.get("max_sequence_length")
    return parameter.default if parameter and isinstance(parameter.default, int) else 0


def _chat_beginning(tokenizer: Any) -> str:
    """Return the text that a chat has before the user's message."""
    message = [{"role": "user", "content": "\0"}]
    chat = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
    return str(chat).partition("\0")[0]
