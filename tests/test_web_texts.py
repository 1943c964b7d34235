"""The texts of the page: all stand in one file, all are used, and none is left in the code."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from js_source import TextCall, literals, text_calls, without_comments
from node import needs_node
from web_server import BASE_URL, make_app

from segment2inpaint.web.page import PLACEHOLDER, STATIC_FOLDER, read_texts, render

TEXTS = read_texts()
TEMPLATE = (STATIC_FOLDER / "index.html").read_text(encoding="utf-8")
SCRIPTS = [path for path in sorted(STATIC_FOLDER.glob("*.js")) if path.name != "api_docs.js"]
PRODUCT = "segment2inpaint"
SHOWN_ATTRIBUTES = {"title", "aria-label", "placeholder", "alt"}
# A capital letter and small ones at the start, or two words; "(" begins a media query.
WORDS = re.compile(r"(?!\()(?:[A-Z][a-z]{2,}|.*[A-Za-z]{2,}[,.:;]? [A-Za-z]{2,})")
SHOWN_LITERAL = re.compile(
    r"""(?:\b(?:toast|setStatus)\(                                 # a message
        |\b(?:textContent|title|ariaLabel|placeholder|alt)\s*=     # a property
        |[{,]\s*"?(?:title|aria-label|placeholder|alt)"?:          # an attribute
        |\bcreateElement\("\w+",\s*\{[^{}]*\},)                    # the content of an element
        \s*(["`][^"`$]*[A-Za-z][^"`$]*["`$])""",
    re.VERBOSE,
)
NO_WORDS = {  # literals that WORDS matches and nobody reads
    "ArrowDown", "ArrowLeft", "ArrowRight", "ArrowUp", "Backspace", "Delete", "End", "Enter",
    "Escape", "Home", "PageDown", "PageUp",
    "AbortError", "Away", "BadImage", "ModelMissing", "Refused", "Unknown",
    "Bearer 0", "WebP", "bad quiet",
    "input:not([type=range]):not([type=checkbox]), select, textarea",
}  # fmt: skip


def forms(key: str) -> list[str]:
    """Return the text of a key, or all its plural forms."""
    entry = TEXTS[key]
    return [entry] if isinstance(entry, str) else list(entry.values())


def placeholders(key: str) -> set[str]:
    return {name for form in forms(key) for name in re.findall(r"\{(\w+)\}", form)}


def keys_of(call: TextCall) -> set[str]:
    computed = {key for prefix in call.prefixes for key in TEXTS if key.startswith(prefix)}
    return set(call.keys) | computed


def calls() -> Iterator[tuple[str, TextCall]]:
    for path in SCRIPTS:
        if path.name != "texts.js":
            for call in text_calls(path.read_text(encoding="utf-8")):
                yield path.name, call


class ShownTexts(HTMLParser):
    """Collects what a reader of a page sees or hears: text nodes and attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.texts += [value for name, value in attributes if name in SHOWN_ATTRIBUTES and value]

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


def visible_words(source: str) -> list[str]:
    """Return the literals of a script that look like words for the user."""
    code = re.sub(r'\bclass: "[^"]*"', "", without_comments(source))
    words = [text for text in literals(code) if WORDS.match(text) and text not in NO_WORDS]
    return words + SHOWN_LITERAL.findall(code)


def test_all_keys_that_are_used_exist() -> None:
    used = {key for _, call in calls() for key in call.keys}
    assert used
    assert used <= set(TEXTS)
    assert set(PLACEHOLDER.findall(TEMPLATE)) - {"texts"} <= set(TEXTS)
    for name, call in calls():
        assert keys_of(call), f"{name}: a text without a key that can be read"
        assert all(any(key.startswith(p) for key in TEXTS) for p in call.prefixes), name


def test_all_texts_are_used() -> None:
    used = {key for _, call in calls() for key in keys_of(call)}
    assert set(TEXTS) - used - set(PLACEHOLDER.findall(TEMPLATE)) - {"page.language"} == set()


def test_callers_give_the_values_that_their_texts_have_places_for() -> None:
    for name, call in calls():
        keys = keys_of(call)
        taken = set().union(*(placeholders(key) for key in keys))
        assert taken <= call.values, (name, keys)
        counted = {"count"} if any(not isinstance(TEXTS[key], str) for key in keys) else set()
        assert call.values <= taken | counted, (name, keys)
        assert counted <= call.values, (name, keys)


def test_texts_of_the_template_have_no_places_for_values_and_only_they_have_marks() -> None:
    in_template = set(PLACEHOLDER.findall(TEMPLATE)) - {"texts"}
    assert all(isinstance(TEXTS[key], str) and not placeholders(key) for key in in_template)
    for key in TEXTS:
        if any(re.search(r"<\w|&\w+;", form) for form in forms(key)):
            assert key.endswith("Html"), key
    assert not [call for _, call in calls() for key in keys_of(call) if key.endswith("Html")]


def test_texts_with_a_count_have_the_plural_forms_of_english() -> None:
    plurals = [entry for entry in TEXTS.values() if not isinstance(entry, str)]
    assert plurals
    assert all(set(entry) == {"one", "other"} for entry in plurals)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_words_are_left_in_the_scripts(path: Path) -> None:
    assert visible_words(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        'app.toast("Something");',
        "app.toast(`${name} is gone`);",
        'button.title = "something";',
        'const row = createElement("p", { title: "something" });',
        'row.append(createElement("span", { class: "quiet" }, "something"));',
        'throw new Error("nothing is there");',
        'byId("run").textContent = isReady ? "Run" : "Wait a little";',
        'return pending ? `${count} ${count === 1 ? "file is" : "files are"} left` : "";',
    ],
)
def test_words_in_a_script_would_be_found(line: str) -> None:
    assert visible_words(line)


def test_no_words_are_left_in_the_template() -> None:
    page = PLACEHOLDER.sub("", TEMPLATE)
    shown = [text for text in ShownTexts(page).texts if text != PRODUCT]
    assert [text for text in shown if re.search(r"[^\W\d_]{2}", text)] == []
    assert ShownTexts('<p title="Something">Words</p>').texts == ["Something", "Words"]


def test_texts_are_escaped_unless_their_key_says_that_they_have_marks() -> None:
    texts = {"a.plain": 'A "quote" & <b>', "a.boldHtml": "<b>bold</b>", "a.script": "</script><!--"}
    page = render('<p title="{{a.plain}}">{{a.boldHtml}}</p><script>{{texts}}</script>', texts)
    assert page.startswith('<p title="A &quot;quote&quot; &amp; &lt;b&gt;"><b>bold</b></p><script>')
    data = page.partition("<script>")[2].removesuffix("</script>")
    assert "<" not in data
    assert json.loads(data) == texts


@pytest.mark.parametrize("address", ["/", "/docs"])
def test_pages_are_served_with_their_texts(address: str) -> None:
    page = TestClient(make_app(), base_url=BASE_URL).get(address).text
    assert "{{" not in page
    data = re.search(r'<script type="application/json" id="texts">(.*)</script>', page)
    assert data
    assert json.loads(data[1]) == TEXTS


def run_text(texts: dict[str, Any], expressions: list[str], *, touch: bool = False) -> list[str]:
    """Return the values of JavaScript expressions, for a page with these texts."""
    script = f"""
        globalThis.matchMedia = () => ({{ matches: {json.dumps(touch)} }});
        const texts = {json.dumps(json.dumps({"page.language": "en", **texts}))};
        globalThis.document = {{ getElementById: () => ({{ textContent: texts }}) }};
        const {{ text }} = await import({json.dumps((STATIC_FOLDER / "texts.js").as_uri())});
        console.log(JSON.stringify([{",".join(expressions)}]));"""
    command = ["node", "--input-type=module", "-e", script]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    values: list[str] = json.loads(run.stdout)
    return values


@needs_node
def test_values_are_put_in_and_the_count_chooses_the_plural_form() -> None:
    files = {"one": "{count} file of {name}", "other": "{count} files of {name}"}
    counts = [f'text("a.files", {{ name: "$& {{count}}", count: {n} }})' for n in (0, 1, 2)]
    found = run_text({"a.files": files, "a.plain": "Plain"}, ['text("a.plain")', *counts])
    assert found == ["Plain", *(f"{n} file{'s' * (n != 1)} of $& {{count}}" for n in (0, 1, 2))]


@needs_node
def test_another_language_has_its_own_plural_forms() -> None:
    polish = {"one": "{count} plik", "few": "{count} pliki", "many": "{count} plików", "other": "x"}
    counts = [f'text("a.files", {{ count: {n} }})' for n in (1, 3, 5)]
    found = run_text({"page.language": "pl", "a.files": polish}, counts)
    assert found == ["1 plik", "3 pliki", "5 plików"]


@needs_node
def test_a_finger_taps_and_names_of_files_stay() -> None:
    texts = {"a.clicked": "Click {name} (or right-click it), then clicking ends"}
    call = 'text("a.clicked", { name: "click.png" })'
    assert run_text(texts, [call], touch=True) == ["Tap click.png, then tapping ends"]
    assert run_text(texts, [call]) == ["Click click.png (or right-click it), then clicking ends"]
