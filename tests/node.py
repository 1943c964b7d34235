"""Node, which runs modules of the page without a browser."""

from __future__ import annotations

import shutil
import subprocess

import pytest

MIN_VERSION = 20, 19  # the first that recognizes a module by its syntax


def node_version() -> tuple[int, ...]:
    """Return the version of the installed node, () without one."""
    if not shutil.which("node"):
        return ()
    run = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    return tuple(map(int, run.stdout.strip().removeprefix("v").split(".")))


needs_node = pytest.mark.skipif(
    node_version() < MIN_VERSION, reason="needs node {}.{} or later".format(*MIN_VERSION)
)
