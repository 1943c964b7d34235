"""The HTML files of the page, with the texts that they show filled in."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

STATIC_FOLDER = Path(__file__).parent / "static"
TEXTS_FILE = STATIC_FOLDER / "texts.en.json"
ALL_TEXTS = "texts"  # placeholder for all texts as JSON, which texts.js reads
PLACEHOLDER = re.compile(r"\{\{([\w.]+)\}\}")

Texts: TypeAlias = Mapping[str, str | Mapping[str, str]]


def read_texts() -> Texts:
    """Return the texts of the page by key; a text with a count is a dict by plural category."""
    texts: Texts = json.loads(TEXTS_FILE.read_text(encoding="utf-8"))
    return texts


def render(template: str, texts: Texts) -> str:
    """Return a template with a text in place of each ``{{key}}``, all in place of ``{{texts}}``.

    A text is escaped unless its key ends in ``Html``. Raise ``KeyError`` for an unknown key.
    """
    return PLACEHOLDER.sub(lambda match: _render_text(match[1], texts), template)


def _render_text(key: str, texts: Texts) -> str:
    if key == ALL_TEXTS:
        return json.dumps(texts, ensure_ascii=False).replace("<", "\\u003c")  # ends no element
    text = str(texts[key])
    return text if key.endswith("Html") else html.escape(text)


def render_file(name: str) -> str:
    """Return an HTML file of the static folder with its texts."""
    return render((STATIC_FOLDER / name).read_text(encoding="utf-8"), read_texts())
