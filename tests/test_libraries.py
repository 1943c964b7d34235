"""Libraries that like to talk, in a process of their own: most is said while they are imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import tiny
import tiny_detectors

PACKAGE = Path(__file__).parent.parent


@pytest.mark.parametrize("what", ["detector", "inpainter"])
def test_loading_a_model_says_nothing(what: str, tmp_path: Path) -> None:
    if what == "detector":
        tiny_detectors.sam2(tmp_path)
    else:
        tiny.stable_diffusion().save_pretrained(tmp_path)
    made = {"detector": "detect.load({!r}, 'cpu')", "inpainter": "inpaint.load({!r}, 'cpu')"}[what]
    code = f"from segment2inpaint import detect, inpaint; {made.format(str(tmp_path))}"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=PACKAGE, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
