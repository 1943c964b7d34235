"""Unit tests of the page's modules for state and geometry, run by node's own test runner."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from node import needs_node

FILES = sorted(Path(__file__).parent.glob("front_end/*.test.mjs"))


@needs_node
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.partition(".")[0])
def test_the_modules_of_the_page_pass_their_tests_in_node(file: Path) -> None:
    run = subprocess.run(["node", "--test", str(file)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
