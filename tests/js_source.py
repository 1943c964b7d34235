"""A reader of the page's JavaScript: its string literals, and its calls of ``text``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

TOKEN = re.compile(
    r"""
    (?P<comment> //[^\n]* | /\*.*?\*/ )
  | (?P<string> "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' )
  | (?P<template> `(?:[^`\\$]|\\.|\$(?!\{)|\$\{(?:[^{}`]|`[^`]*`|\{[^{}]*\})*\})*` )
  | (?P<regex> (?<=[(,=:?&|!\[]) \s* /(?![*/])(?:[^/\\\n\[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/ )
    """,
    re.VERBOSE | re.DOTALL,
)
INSERTION = re.compile(r"\$\{((?:[^{}`]|`[^`]*`|\{[^{}]*\})*)\}")
KEY = re.compile(r'"(\w+\.\w+)"|`(\w+\.)\$\{')
BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


@dataclass(frozen=True)
class TextCall:
    """A call of ``text``: its keys, the beginnings of keys that are computed, its values' names."""

    keys: frozenset[str]
    prefixes: frozenset[str]
    values: frozenset[str]


def without_comments(source: str) -> str:
    return TOKEN.sub(lambda match: "" if match["comment"] else match[0], source)


def literals(source: str) -> Iterator[str]:
    """Yield the contents of all strings and templates; each ``${...}`` of a template is a 0."""
    for match in TOKEN.finditer(source):
        if match["string"]:
            yield match["string"][1:-1]
        elif match["template"]:
            yield INSERTION.sub("0", match["template"][1:-1])
            for inserted in INSERTION.findall(match["template"]):
                yield from literals(inserted)


def text_calls(source: str) -> Iterator[TextCall]:
    """Yield all calls of ``text``, also those within the arguments of others."""
    code = without_comments(source)
    for match in re.finditer(r"(?<![\w.])text\(", code):
        key, *rest = _split_list(code[match.end() :])
        found = KEY.findall(key)
        yield TextCall(
            frozenset(whole for whole, _ in found if whole),
            frozenset(prefix for _, prefix in found if prefix),
            frozenset(_property_names(rest[0]) if rest else ()),
        )


def _property_names(literal: str) -> Iterator[str]:
    """Yield the names of an object literal."""
    assert re.fullmatch(r"\{.*\}", literal, re.DOTALL), f"not an object literal: {literal}"
    for item in _split_list(literal[1:]):
        assert not item.startswith("..."), f"name the values one by one: {literal}"
        yield re.split(r"[:\s]", item, maxsplit=1)[0]


def _split_list(code: str) -> list[str]:
    """Return the items of a list that ends with the first closing bracket that is not its own."""
    depth, start, items, position = 0, 0, [], 0
    while depth >= 0:
        token = TOKEN.match(code, position)
        if token:
            position = token.end()
            continue
        depth += BRACKETS.get(code[position], 0)
        if depth < 0 or (depth == 0 and code[position] == ","):
            items.append(code[start:position].strip())
            start = position + 1
        position += 1
    return [item for item in items if item]
