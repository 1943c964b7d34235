"""Third-party libraries write nothing while models are loaded.

The tests use a new process, because most messages are written during the import.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import tiny
import tiny_detectors

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("kind", ["detector", "inpainter"])
def test_loading_a_model_writes_nothing(kind: str, tmp_path: Path) -> None:
    if kind == "detector":
        tiny_detectors.sam2(tmp_path)
    else:
        tiny.stable_diffusion().save_pretrained(tmp_path)
    package = {"detector": "detect", "inpainter": "inpaint"}[kind]
    code = f"from segment2inpaint import {package}; {package}.load({str(tmp_path)!r}, 'cpu')"
    completed = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (completed.returncode, completed.stdout, completed.stderr) == (0, "", "")
