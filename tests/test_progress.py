"""The progress that is reported while models load, and how the command line prints it."""

from __future__ import annotations

import time

import numpy as np
import pytest

from segment2inpaint.cli import console
from segment2inpaint.editor import Editor
from segment2inpaint.images import photo_from_array
from segment2inpaint.types import Request, UserMask


def test_models_are_loaded_in_a_stage_of_their_own() -> None:
    """It precedes detection, and is reported for models that are not loaded yet only."""
    mask = np.zeros((40, 60), np.bool_)
    mask[10:20, 20:30] = True
    photo = photo_from_array(np.zeros((40, 60, 3), np.uint8))
    request = Request((UserMask(mask),), inpainter="telea", verify=False)
    editor, stages = Editor(), list[str]()
    editor.run(photo, request, lambda stage, _: stages.append(stage))
    assert stages[:3] == ["load", "load", "detect"]
    assert stages.count("load") == 2
    stages.clear()
    editor.run(photo, request, lambda stage, _: stages.append(stage))
    assert "load" not in stages


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Report after milliseconds instead of seconds."""
    for name in ("FIRST_REPORT_AFTER", "STAGE_INTERVAL", "LINE_INTERVAL", "UPDATE_INTERVAL"):
        monkeypatch.setattr(console, name, 0.02)


@pytest.mark.usefixtures("impatient")
def test_a_silent_stage_is_reported_while_it_lasts(capsys: pytest.CaptureFixture[str]) -> None:
    """A model that loads for long reports nothing itself."""
    with console.ProgressReporter() as reporter:
        reporter("load", 0.0)
        time.sleep(0.3)
        lines = capsys.readouterr().err.splitlines()
        reporter("inpaint", 0.5)
        time.sleep(0.2)
    assert len(lines) >= 2
    assert {line.split(" after ")[0] for line in lines} == {"load"}
    later = capsys.readouterr().err
    assert "inpaint 50% after" in later
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_a_short_run_stays_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with console.ProgressReporter() as reporter:
        reporter("load", 0.0)
        reporter("detect", 0.0)
    assert capsys.readouterr().err == ""
