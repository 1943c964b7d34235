"""The Dockerfile as instructions, and its build stage run without Docker.

    python tests/dockerfile.py FOLDER

installs the package into FOLDER as the build stage does: with the files that it copies, and with
its own commands.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
TARGET = "/opt/segment2inpaint"  # where the build stage installs the package


class Instruction(NamedTuple):
    """An instruction such as ``RUN``, and the text behind it in one line."""

    name: str
    text: str


def stages() -> list[list[Instruction]]:
    """Return the instructions of each stage; the first of each is ``FROM``."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    found: list[list[Instruction]] = []
    for line in filter(None, lines):
        name, _, rest = line.partition(" ")
        if name == "FROM":
            found.append([])
        found[-1].append(Instruction(name, rest))
    return found


def texts(stage: list[Instruction], name: str) -> list[str]:
    """Return what stands behind each instruction of a name in a stage."""
    return [text for found, text in stage if found == name]


def copied(stage: list[Instruction]) -> list[tuple[list[str], str]]:
    """Return the sources and the target of each ``COPY`` from the checkout."""
    words = [text.split() for text in texts(stage, "COPY") if not text.startswith("--from")]
    return [(sources, target) for *sources, target in words]


def run_build_stage(folder: Path) -> None:
    """Install the package into ``folder``. Raises ``CalledProcessError`` if a command fails."""
    build = stages()[0]
    python = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as source:
        for names, target in copied(build):
            for name in names:
                _copy(ROOT / name, Path(source, target, name if target == "./" else ""))
        for command in texts(build, "RUN"):
            subprocess.run(
                ["sh", "-ec", command.replace(TARGET, str(folder))],
                cwd=source,
                env={**os.environ, "PATH": python, "EXTRAS": ""},
                check=True,
            )


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(source, target)


if __name__ == "__main__":
    run_build_stage(Path(sys.argv[1]).absolute())
