"""README.md and docs/ cannot go stale: every fenced block is run or checked.

The words after a block's language say how:

* ``sh``, ``console``: run in a folder that has ``samples``. The files that a command names as its
  outputs must exist afterwards. In ``console``, the lines below a command must appear in its
  output; decimal numbers may differ.
* ``python``: run; the blocks of a page share their names.
* ``slow``: the same, among the slow tests.
* ``server``: run against a server of the page.
* ``no-run``: not run. Commands are parsed; imports, attributes and keywords of Python are checked.
* ``jsonl file=NAME``, ``csv file=NAME``: written to that file first.
* ``toml model-card`` is read as a model card, ``yaml`` is parsed, ``text`` is free.
"""

from __future__ import annotations

import ast
import dataclasses
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import doc_blocks
import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from doc_blocks import PAGES, ROOT, blocks
from PIL import Image as Pillow

from segment2inpaint import errors, inpaint
from segment2inpaint.cli import main
from segment2inpaint.errors import Segment2InpaintError
from segment2inpaint.models import catalogue
from segment2inpaint.result import Result
from segment2inpaint.verify import checks

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_README_LINES = 130
DECIMAL = re.compile(r"\d+\.\d+")
RUN_HELPERS = ("mkdir", "cp")  # other programs that a block may run
INSTALLED_ELSEWHERE = ("ray", "docker")  # programs whose options are not checked

pages = pytest.mark.parametrize("page", PAGES)


def having(language: str, word: str) -> Any:
    """Parametrize a test with the pages that have such a block."""
    found = [n for n in PAGES if any((b.language, b.word) == (language, word) for b in blocks(n))]
    return pytest.mark.parametrize("page", found)


@pytest.fixture
def folder(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """An empty working folder with the samples, where no model is on the machine."""
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    monkeypatch.chdir(tmp_path)
    nowhere = tmp_path_factory.mktemp("no_models")
    monkeypatch.setenv("XDG_CACHE_HOME", str(nowhere))  # of commands in processes of their own
    monkeypatch.setenv("HF_HUB_CACHE", str(nowhere))
    monkeypatch.setattr(catalogue, "models_folder", lambda: nowhere)
    monkeypatch.setattr(catalogue, "default_hub_cache", lambda: nowhere)
    return tmp_path


# --- blocks that run --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "page", [name for name in PAGES if any(b.language != "text" for b in blocks(name))]
)
def test_the_blocks_of_a_page_run_in_order(page: str, folder: Path) -> None:
    run_blocks(page, "")


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [name for name in PAGES if any(b.word == "slow" for b in blocks(name))]
)
def test_the_slow_blocks_of_a_page_run_in_order(page: str, folder: Path) -> None:
    run_blocks(page, "slow")


def run_blocks(page: str, word: str) -> None:
    """Write the files of a page, then run its blocks with this word."""
    for block in blocks(page):
        if block.is_file:
            Path(block.file).write_text(block.text, encoding="utf-8")
    names: dict[str, Any] = {}
    for block in (b for b in blocks(page) if b.word == word):
        if block.language in ("sh", "console"):
            for words, shown in doc_blocks.command_lines(block):
                run_command(words, shown)
        elif block.language == "python":
            exec(compile(block.text, page, "exec"), names)


def run_command(words: list[str], shown: list[str]) -> None:
    """Run one command; its outputs and the lines shown after it must be there."""
    if words[0] in RUN_HELPERS:
        subprocess.run(words, check=True)
        return
    assert words[0] == "segment2inpaint", f"not run here: {words}; mark the block no-run"
    written = doc_blocks.outputs(doc_blocks.parse(words))
    for path in written:
        path.unlink(missing_ok=True) if not path.is_dir() else None
    output = run_in_process(words[1:]) if words[1] == "batch" else run_here(words[1:])
    assert [path for path in written if not path.exists()] == []
    plain = [DECIMAL.sub("N", line) for line in output.splitlines()]
    assert [line for line in shown if DECIMAL.sub("N", line) not in plain] == [], output


def run_here(words: list[str]) -> str:
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    return result.output


def run_in_process(words: list[str]) -> str:
    """Run a command that starts workers, which need a real main module."""
    command = [sys.executable, "-m", "segment2inpaint", *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("language", ["python", "sh"])
def test_the_scripts_of_the_http_api_run(language: str, folder: Path) -> None:
    """They run as printed, except for the address, and the ball is gone."""
    from web_server import make_app, run_server

    if language == "sh" and not (shutil.which("curl") and shutil.which("jq")):
        pytest.skip("the script needs curl and jq")
    (block,) = [b for b in blocks("page.md") if (b.language, b.word) == (language, "server")]
    with run_server(make_app()) as address:
        script = block.text.replace("http://127.0.0.1:8808", address)
        run_script(script, language)
    lawn, ball = (np.asarray(Pillow.open(p)) for p in ("lawn.jpg", "samples/ball.jpg"))
    assert abs(lawn[491, 742].astype(int) - ball[491, 742]).max() > 60


def run_script(script: str, language: str) -> None:
    if language == "python":
        exec(script, {})
    else:
        subprocess.run(["bash", "-euo", "pipefail", "-c", script], check=True, timeout=300)


@pytest.mark.slow
def test_a_checkpoint_in_one_file_is_used_as_the_page_says(folder: Path) -> None:
    """The command for an SDXL checkpoint runs with a small random one."""
    import tiny
    import tiny_files

    pipe = tiny.stable_diffusion_xl()
    tiny_files.save_single_file(pipe, folder / "myxl.safetensors")
    pipe.save_pretrained(folder / "myxl")  # lends what the file lacks
    shutil.copy(ROOT / "samples" / "ball.jpg", "table.jpg")
    lines = (words for b in blocks("models.md") for words, _ in doc_blocks.command_lines(b))
    (words,) = [w for w in lines if w[1] == "replace" and "myxl.safetensors" in w]
    run_command([*words, "--steps", "2", "--attempts", "1", "--no-verify"], [])


# --- blocks that are checked ------------------------------------------------------------------


@pages
def test_every_block_is_classified(page: str) -> None:
    """A block in an unknown language, or with an unknown word, is an error."""
    assert all(block.text.strip() for block in blocks(page))
    assert doc_blocks.text_of(page).count("```") == 2 * len(blocks(page))


@having("sh", "no-run")
def test_commands_that_are_not_run_have_only_known_options(page: str) -> None:
    for block in (b for b in blocks(page) if (b.language, b.word) == ("sh", "no-run")):
        for words, _ in doc_blocks.command_lines(block):
            check_command(words)


def check_command(words: list[str]) -> None:
    """Check the options, scripts, extras and targets that a command names."""
    words = words[1:] if re.fullmatch(r"[A-Z0-9_]+=.*", words[0]) else words
    program = Path(words[0]).name
    if program == "segment2inpaint":
        doc_blocks.parse(words)
    elif program == "python":
        check_python_command(words[1:])
    elif program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert set(words[1:]) <= set(targets), words
    elif words[:2] == ["docker", "run"]:
        command = words[words.index("segment2inpaint") :]
        doc_blocks.parse(command if command[1:] else [*command, "web"])
    elif program == "pip":
        extras = re.findall(r"\[(\w[\w-]*)\]", " ".join(words))
        assert set(extras) <= set(project()["optional-dependencies"]), words
    else:
        assert program in INSTALLED_ELSEWHERE, f"unknown program in {words}"


def check_python_command(words: list[str]) -> None:
    """Check that the scripts, tests and options of a Python command exist."""
    files = [ROOT / word for word in words if word.endswith(".py")]
    assert files
    assert all(path.is_file() for path in files), words
    used = {word for word in words if word.startswith("--")}
    assert used <= set(re.findall(r"--[a-z-]+", files[0].read_text(encoding="utf-8"))), words


def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return dict(table["project"])


@pytest.mark.parametrize(
    "page", [name for name in PAGES if any(b.language == "python" for b in blocks(name))]
)
def test_python_blocks_use_names_and_keywords_that_exist(page: str) -> None:
    known: dict[str, Any] = {}
    for block in (b for b in blocks(page) if b.language == "python"):
        tree = ast.parse(block.text, page)
        known |= doc_blocks.imported_names(tree)
        assert list(doc_blocks.unknown_names(tree, known)) == []


def test_the_checks_of_python_blocks_find_planted_faults() -> None:
    code = "from segment2inpaint import Fill, dataset\ndataset.none\nFill(colour=1)\n"
    tree = ast.parse(code)
    found = list(doc_blocks.unknown_names(tree, doc_blocks.imported_names(tree)))
    assert found == ["dataset.none", "colour"]


def test_the_checks_of_commands_find_planted_faults() -> None:
    with pytest.raises(click.NoSuchOption):
        check_command(["segment2inpaint", "remove", "a.jpg", "-o", "b.jpg", "--none"])
    with pytest.raises(KeyError):
        check_command(["segment2inpaint", "none"])
    with pytest.raises(AssertionError):
        check_command(["python", "benchmarks/detect.py", "--none"])
    with pytest.raises(AssertionError):
        check_command(["curl", "example"])


def test_an_unclassified_block_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "new.md"
    page.write_text("```ruby\nputs 1\n```\n")
    monkeypatch.setitem(PAGES, "new.md", page)
    with pytest.raises(ValueError, match="unclassified"):
        blocks("new.md")


@pages
def test_data_blocks_can_be_read(page: str, tmp_path: Path) -> None:
    for block in blocks(page):
        if block.language == "yaml":
            assert isinstance(yaml.safe_load(block.text), dict)
        elif block.language == "toml":
            card = tmp_path / "model.toml"
            card.write_text(block.text, encoding="utf-8")
            assert catalogue.read_card(card).name == "model"


# --- completeness and links -------------------------------------------------------------------


def test_the_command_line_page_names_every_command_and_option() -> None:
    page = doc_blocks.prose_of("command_line.md")
    missing = [n for n, _ in doc_blocks.commands() if f"`segment2inpaint {n}" not in page]
    named = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", page))
    assert missing == []
    assert doc_blocks.options() - {"-h", "--help"} - named == set()


@pages
def test_every_option_in_the_text_exists(page: str) -> None:
    scripts = " ".join(p.read_text(encoding="utf-8") for p in (ROOT / "benchmarks").glob("*.py"))
    known = doc_blocks.options() | {"--version"} | set(re.findall(r"--[a-z-]+", scripts))
    assert {name for code in inline_code(page) for name in long_options(code)} - known == set()


def inline_code(page: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", doc_blocks.prose_of(page))


def long_options(code: str) -> Iterable[str]:
    """Return the options in a piece of code; those of other programs are left out."""
    other = code.startswith(("pip ", "apt-get ", "mypy "))
    return () if other else re.findall(r"(?<![\w-])--[a-z][a-z-]*", code)


@pages
def test_every_file_in_the_text_exists(page: str) -> None:
    """Paths in code, and names that are said to stand in a file, are there."""
    text = doc_blocks.prose_of(page)
    paths = re.findall(r"`((?:segment2inpaint|tests|benchmarks|models|samples)/[\w/.-]+)`", text)
    named = [path for path in paths if "NAME" not in path and not path.startswith("models/my")]
    assert [path for path in named if not (ROOT / path).exists()] == []
    for name, path in re.findall(r"`(\w+)`\s+in\s+`([\w/]+\.py)`", text):
        assert name in (ROOT / path).read_text(encoding="utf-8"), f"{name} is not in {path}"


@pages
def test_every_relative_link_leads_somewhere(page: str) -> None:
    assert list(broken_links(PAGES[page])) == []


def test_links_of_the_changelog_lead_somewhere() -> None:
    assert list(broken_links(ROOT / "CHANGELOG.md")) == []


def broken_links(page: Path) -> Iterator[str]:
    text = doc_blocks.FENCE.sub("", page.read_text(encoding="utf-8"))
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", text):
        if target.startswith(("http:", "https:")):
            continue
        path = page.parent / target if target else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            yield f"{target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_models_page_names_every_model_detector_and_inpainter() -> None:
    names = {card.name for card in catalogue.cards()} | set(inpaint.INPAINTERS) - {"diffusion"}
    names |= {"builtin", "color", "plate", "mask"}
    assert names - set(re.findall(r"[\w.-]+", doc_blocks.text_of("models.md"))) == set()


def test_the_python_page_names_every_field_of_a_result_and_every_error() -> None:
    named = set(re.findall(r"^\| `(\w+)` \|", doc_blocks.text_of("python.md"), re.MULTILINE))
    kinds = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type)}
    raised = {name for name, kind in kinds.items() if issubclass(kind, Segment2InpaintError)}
    assert {field.name for field in dataclasses.fields(Result)} | raised == named | {
        "Segment2InpaintError"
    }


def test_the_verification_page_names_every_check_with_its_message() -> None:
    rows = re.findall(
        r"^\| ([\w ]+) \| `(\w+)` \|", doc_blocks.text_of("verification.md"), re.MULTILINE
    )
    assert {name for _, name in rows} == {*checks.CHECK_SPECS, "shadow", "absent"}
    source = Path(checks.__file__).read_text(encoding="utf-8")
    assert [message for message, _ in rows if f'"{message}"' not in source] == []


def test_the_index_lists_every_page() -> None:
    index = doc_blocks.text_of("index.md")
    assert [name for name in PAGES if name != "index.md" and f"{name})" not in index] == []


def test_the_readme_is_short() -> None:
    assert len(doc_blocks.text_of("README.md").splitlines()) <= MAX_README_LINES
