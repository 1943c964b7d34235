"""The weight files in a component's folder, by name: formats, variants and shards."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# The names that diffusers and transformers read, such as model.fp16-00001-of-00002.safetensors.
# Older files have the variant after the number of the shard.
WEIGHT_FILE = re.compile(
    r"(?P<stem>model|pytorch_model|diffusion_pytorch_model)(\.(?P<variant>\w+))?"
    r"(?P<shard>-\d{5}-of-\d{5})?(\.(?P<late_variant>\w+))?\.(?P<suffix>safetensors|bin)"
)
INDEX_FILE = re.compile(
    r"(model|pytorch_model|diffusion_pytorch_model)(\.(?P<variant>\w+))?\.(?P<suffix>safetensors|bin)"
    r"(\.(?P<late_variant>\w+))?\.index(\.(?P<last_variant>\w+))?\.json"
)
# A folder with one of these files holds a tokenizer or a processor, which has no weights.
WEIGHTLESS_CONFIGS = {"tokenizer_config.json", "preprocessor_config.json"}
# A tokenizer has one of these files; ``vocab.json`` needs ``merges.txt`` too.
VOCABULARY_FILES = {
    "tokenizer.json",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "tokenizer.model",
}


@dataclass(frozen=True)
class WeightSet:
    """The files with all weights of a network in one format: one file, or its shards.

    ``variant`` is the word in their names, such as ``fp16``; empty for the plain names.
    ``missing`` names the shards that are not there.
    """

    files: tuple[str, ...]
    variant: str
    suffix: str
    missing: tuple[str, ...] = ()


def weight_sets(folder: Path) -> list[WeightSet]:
    """Return the sets of weights in a folder, incomplete ones too, in order of preference.

    .safetensors precede .bin, and plain names precede variants.
    """
    names = {path.name for path in folder.glob("*")}
    sets = [*_single_files(names), *_sharded_files(folder, names)]
    return sorted(sets, key=lambda s: (bool(s.missing), s.suffix == "bin", bool(s.variant)))


def preferred_weights(folder: Path, variant: str = "") -> WeightSet | None:
    """Return the weights to load if ``variant`` is preferred, None if there are none."""
    sets = weight_sets(folder)
    best = sets[0] if sets else None
    return next((weights for weights in sets if weights.variant == variant), best)


def _single_files(names: set[str]) -> Iterator[WeightSet]:
    for name in sorted(names):
        found = WEIGHT_FILE.fullmatch(name)
        if found and not found["shard"]:
            yield WeightSet((name,), _variant(found), found["suffix"])


def _sharded_files(folder: Path, names: set[str]) -> Iterator[WeightSet]:
    for name in sorted(names):
        found = INDEX_FILE.fullmatch(name)
        shards = _shard_names(folder / name) if found else set()
        if found and shards:
            missing = tuple(sorted(shards - names))
            yield WeightSet(tuple(sorted(shards)), _variant(found), found["suffix"], missing)


def _variant(found: re.Match[str]) -> str:
    groups = found.groupdict()
    return next((groups[name] for name in groups if "variant" in name and groups[name]), "")


def _shard_names(index: Path) -> set[str]:
    """Return the files that the weights of a network are split into; empty if unreadable."""
    try:
        return set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, OSError, KeyError, TypeError, AttributeError):
        return set()


def needs_weights(folder: Path) -> bool:
    """Return whether the folder is that of a network; others are tokenizers, for example."""
    names = {path.name for path in folder.glob("*")}
    return "config.json" in names and not names & WEIGHTLESS_CONFIGS


def has_vocabulary(folder: Path) -> bool:
    """Return whether a tokenizer's folder has its vocabulary.

    transformers creates an empty tokenizer from a folder without one.
    """
    names = {path.name for path in folder.glob("*")} & (VOCABULARY_FILES | {"merges.txt"})
    return bool(names & VOCABULARY_FILES) and names != {"vocab.json"}


def is_complete(folder: Path) -> bool:
    """Return whether a component's folder has files and, for a network, all of its weights."""
    if needs_weights(folder):
        return any(not weights.missing for weights in weight_sets(folder))
    if (folder / "tokenizer_config.json").is_file():
        return has_vocabulary(folder)
    return any(folder.glob("*"))
