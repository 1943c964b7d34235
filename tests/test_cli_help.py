"""Help, completion and errors of the command line as a whole."""

from __future__ import annotations

import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import doc_blocks
import pytest
from click.testing import CliRunner
from command_line import assert_error, run

from segment2inpaint import images
from segment2inpaint.cli import ErrorGroup, main

COMMANDS = ("remove", "replace", "mask", "cutout", "batch", "score", "compare", "web", "mcp",
            "models", "doctor", "completion")  # fmt: skip
HEAVY_LIBRARIES = {"cv2", "torch", "PIL", "numba", "numpy", "pyarrow", "tqdm"}
EVERYDAY_SECTIONS = ["Point at it", "Mask", "Fill", "Check the result", "Output"]
LAST_SECTIONS = ["Models and machine", "Advanced diffusion", "Other options"]
MAX_HELP_SECONDS = 0.3  # CPU time, Python's own start included


def commands(group: click.Group = main, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield every command and group below ``group`` with its name, such as ``models list``."""
    for name, command in group.commands.items():
        yield f"{path}{name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")


def help_of(*words: str) -> str:
    result = run(*words, "--help")
    assert result.exit_code == 0
    return result.stdout


def sections(text: str) -> list[str]:
    """Return the titles of the sections of a help text."""
    return re.findall(r"^(\w[\w ]*):$", text, re.MULTILINE)


# --- help -------------------------------------------------------------------------------------


def test_the_main_help_lists_every_command_in_a_section() -> None:
    text = help_of()
    assert sections(text) == [
        "Options", "Edit photos", "Judge results", "Edit in a browser or by an assistant",
        "Models and machine", "Examples",
    ]  # fmt: skip
    assert re.findall(r"^  (\w+) {2,}\w", text, re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize("command", ["remove", "replace"])
def test_the_options_of_an_edit_stand_in_sections_everyday_ones_first(command: str) -> None:
    assert sections(help_of(command)) == [*EVERYDAY_SECTIONS, *LAST_SECTIONS, "Examples"]


def test_the_options_of_mask_stand_in_sections() -> None:
    expected = ["Point at it", "Mask", "Output", "Source and annotations", "Run",
                "Models and machine", "Other options", "Examples"]  # fmt: skip
    assert sections(help_of("mask")) == expected


def test_the_options_of_batch_stand_in_sections() -> None:
    expected = ["Source and annotations", *EVERYDAY_SECTIONS, "Run", *LAST_SECTIONS, "Examples"]
    assert sections(help_of("batch")) == expected


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_every_option_has_a_help_text(name: str, command: click.Command) -> None:
    options = [param for param in command.params if isinstance(param, click.Option)]
    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("name", ["", *(name for name, _ in commands())])
def test_every_help_ends_with_examples_that_the_command_accepts(name: str) -> None:
    """The examples are parsed and not run."""
    text = help_of(*name.split())
    examples = text.split("\nExamples:\n")[1].strip().splitlines()
    assert examples
    for example in examples:
        assert example.strip().startswith(f"segment2inpaint {name}".strip())
        doc_blocks.parse(doc_blocks.split(example))


def test_help_tells_the_default_of_max_pixels() -> None:
    """The number stands in the help text, because importing it would be slow."""
    assert f"[default:\n{' ' * 33}{images.MAX_PIXELS}]" in help_of("remove")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_imports_no_heavy_library(command: str) -> None:
    code = (
        "import sys\nfrom segment2inpaint.cli import main\n"
        f"try: main({[*command.split(), '--help']})\nexcept SystemExit: pass\n"
        f"print({HEAVY_LIBRARIES} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "set()"
    assert "Usage" in done.stdout


@pytest.mark.parametrize("words", [["--help"], ["remove", "--help"]])
def test_help_is_quick(words: list[str]) -> None:
    """The quickest of three runs counts, so that a busy machine does not matter."""
    assert min(cpu_seconds(words) for _ in range(3)) < MAX_HELP_SECONDS


def cpu_seconds(words: list[str]) -> float:
    """Return the user and system time of the command line."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "segment2inpaint", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


# --- completion -------------------------------------------------------------------------------


def complete(*words: str) -> set[str]:
    """Return the completions of the last word, by the protocol of Click's bash script."""
    done = subprocess.run(
        [sys.executable, "-m", "segment2inpaint"],
        env={
            **os.environ,
            "_SEGMENT2INPAINT_COMPLETE": "bash_complete",
            "COMP_WORDS": shlex.join(["segment2inpaint", *words]),
            "COMP_CWORD": str(len(words)),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_commands_and_options_complete() -> None:
    assert complete("re") == {"plain,remove", "plain,replace"}
    assert complete("remove", "--feat") == {"plain,--feather"}
    assert complete("remove", "--granularity", "pa") == {"plain,part"}
    assert complete("completion", "") == {"plain,bash", "plain,zsh", "plain,fish"}


def test_names_of_detectors_inpainters_and_models_complete() -> None:
    assert {"plain,sam-vit-b", "plain,sam-vit-h"} <= complete("remove", "--detector", "sam-vit")
    assert "plain,builtin" in complete("mask", "--detector", "")
    assert "plain,grabcut" not in complete("mask", "--detector", "")
    assert complete("remove", "--inpainter", "exem") == {"plain,exemplar"}
    assert "plain,sd15-inpaint" in complete("models", "download", "sd15")


def test_file_names_complete() -> None:
    assert complete("remove", "str") == {"file,str"}
    assert complete("remove", "--detector", "./check") == {"file,./check"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_script_of_a_shell(shell: str) -> None:
    result = run("completion", shell)
    assert result.exit_code == 0
    assert f"_SEGMENT2INPAINT_COMPLETE={shell}_complete" in result.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    program = tmp_path / "segment2inpaint"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m segment2inpaint "$@"\n')
    program.chmod(0o755)
    (tmp_path / "script.bash").write_text(run("completion", "bash").stdout)
    code = (
        "source script.bash\n"
        "COMP_WORDS=(segment2inpaint remove photo.jpg --inpainter tel)\n"
        "COMP_CWORD=4\n"
        "_segment2inpaint_completion segment2inpaint\n"
        'echo "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        ["bash", "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["telea"]


# --- errors -----------------------------------------------------------------------------------


def test_a_missing_shared_library_is_reported_in_one_line() -> None:
    """OpenCV in a slim container: the line says what to install."""

    class GroupWithoutLibGL(ErrorGroup):
        def resolve_command(self, *_: object) -> None:  # type: ignore[override]
            raise ImportError("libGL.so.1: cannot open shared object file: No such file")

    result = CliRunner().invoke(GroupWithoutLibGL("slim"), ["remove"])
    assert_error(result, 1, "libGL.so.1", "apt install libgl1")
