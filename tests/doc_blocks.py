"""Fenced code blocks of the documentation, and how their commands and names are checked."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from segment2inpaint.cli import main

ROOT = Path(__file__).parent.parent
PAGES = {page.name: page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}

# The words that may follow a block's language, see tests/test_docs.py.
WORDS = {
    "sh": {"", "slow", "server", "no-run"},
    "console": {"", "slow"},
    "python": {"", "slow", "server", "no-run"},
    "jsonl": {"file"},
    "csv": {"file"},
    "toml": {"model-card"},
    "yaml": {""},
    "text": {""},
}
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OUTPUT_PARAMETERS = ("output", "save_mask", "preview", "overlay", "outdir")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, how it is marked, its file's name if it is a file, its text."""

    page: str
    language: str
    word: str
    file: str
    text: str

    @property
    def is_file(self) -> bool:
        return self.word == "file"


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page, in order. Raises ``ValueError`` for an unclassified block."""
    return [_block(page, *match.groups()) for match in FENCE.finditer(text_of(page))]


def text_of(page: str) -> str:
    return PAGES[page].read_text(encoding="utf-8")


def prose_of(page: str) -> str:
    """Return the text of a page without its blocks."""
    return FENCE.sub("", text_of(page))


def _block(page: str, info: str, text: str) -> Block:
    language, _, rest = info.strip().partition(" ")
    word, _, file = rest.partition("=")
    if word not in WORDS.get(language, ()):
        raise ValueError(f"{page}: unclassified block ```{info}; known: {WORDS}")
    return Block(page, language, word, file, text)


# --- shell ------------------------------------------------------------------------------------


def command_lines(block: Block) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the words of each command of a shell block, and the output lines shown after it."""
    text = block.text.replace("\\\n", " ")
    if block.language == "sh":
        yield from ((words, []) for line in text.splitlines() if (words := split(line)))
        return
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *shown = part.splitlines()
        yield split(command), shown


def split(line: str) -> list[str]:
    """Return the words of a command line, without a comment and without a redirection."""
    words = shlex.split(line, comments=True)
    return words[: next((i for i, word in enumerate(words) if word in (">", ">>")), len(words))]


def parse(words: list[str]) -> dict[str, Any]:
    """Return the parameters of a ``segment2inpaint`` command line, which is not run.

    Raises ``click.ClickException`` for a wrong option and ``KeyError`` for an unknown command.
    """
    command: click.Command = main
    rest = words[1:]
    while isinstance(command, click.Group) and not rest[0].startswith("-"):
        command, rest = command.commands[rest[0]], rest[1:]
    try:
        return command.make_context(str(command.name), list(rest)).params
    except click.exceptions.Exit:  # --help and --version
        return {}


def outputs(parameters: Mapping[str, Any]) -> list[Path]:
    """Return the files and folders that a command says it writes."""
    if parameters.get("dry_run"):
        return []
    named = (parameters.get(name) for name in OUTPUT_PARAMETERS)
    return [Path(str(name)) for name in named if name]


def commands(group: click.Group = main, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield every command of the command line with its name, such as ``models list``."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


def options() -> set[str]:
    """Return every option of every command, long and short."""
    named = (p for _, command in commands() for p in command.params if isinstance(p, click.Option))
    return {name for option in named for name in (*option.opts, *option.secondary_opts)}


# --- Python -----------------------------------------------------------------------------------


def imported_names(tree: ast.AST) -> dict[str, Any]:
    """Import what a block imports of the package; returns each name with its object."""
    names: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("segment2inpaint"):
            module = importlib.import_module(str(node.module))
            for name in node.names:
                names[name.asname or name.name] = _member(module, name.name)
        elif isinstance(node, ast.Import):
            importable = (n for n in node.names if n.name.startswith("segment2inpaint"))
            names |= {n.asname or n.name: importlib.import_module(n.name) for n in importable}
    return names


def _member(module: ModuleType, name: str) -> Any:
    if not hasattr(module, name):
        return importlib.import_module(f"{module.__name__}.{name}")
    return getattr(module, name)


def unknown_names(tree: ast.AST, known: Mapping[str, Any]) -> Iterator[str]:
    """Yield attributes and keywords that the imported objects of a block do not have."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = known.get(node.value.id)
            if owner is not None and not hasattr(owner, node.attr):
                yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Call):
            yield from _unknown_keywords(node, known)


def _unknown_keywords(call: ast.Call, known: Mapping[str, Any]) -> Iterator[str]:
    function = _resolve(call.func, known)
    if function is None:
        return
    parameters = inspect.signature(function).parameters
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        yield from (str(k.arg) for k in call.keywords if k.arg and k.arg not in parameters)


def _resolve(node: ast.expr, known: Mapping[str, Any]) -> Any:
    """Return the object that a dotted name means, None if it is not of the package."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Attribute):
        return getattr(_resolve(node.value, known), node.attr, None)
    return None
