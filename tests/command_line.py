"""Run the command line in tests: a photo with a red disc, and checks of what was printed."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image as Pillow

from segment2inpaint.cli import main
from segment2inpaint.editor import Editor
from segment2inpaint.errors import BadOption
from segment2inpaint.types import BinaryMask, Image, Request

SIZE = (120, 160)  # height, width
DISC_CENTER = (80, 60)  # x, y
DISC_RADIUS = 15
DISC_BOX = (66, 46, 95, 75)  # x0, y0, x1, y1


def disc_mask() -> BinaryMask:
    """Return the pixels of the disc."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    mask: BinaryMask = (x - DISC_CENTER[0]) ** 2 + (y - DISC_CENTER[1]) ** 2 < DISC_RADIUS**2
    return mask


def scene(*, disc: bool = True) -> Image:
    """Return a red disc on a grey gradient with a little noise; without ``disc``, a clean plate."""
    _, x = np.mgrid[: SIZE[0], : SIZE[1]]
    noise = np.random.default_rng(0).normal(0, 1.5, (*SIZE, 3))
    photo: NDArray[np.float64] = (90 + x / 3)[..., None] + noise
    if disc:
        photo[disc_mask()] += (90, -60, -60)
    return photo.clip(0, 255).astype(np.uint8)


def save_scene(folder: Path) -> Path:
    """Write the scene to a file and return its path."""
    path = folder / "photo.png"
    Pillow.fromarray(scene()).save(path)
    return path


def load(path: Path) -> NDArray[np.uint8]:
    """Return the pixels of a picture."""
    return np.asarray(Pillow.open(path))


def run(*words: object, stdin: bytes | None = None) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(main, [str(word) for word in words], input=stdin)


def assert_error(result: Result, status: int, *parts: str) -> None:
    """Check for one error line with these parts, this exit status, and no traceback."""
    assert result.exit_code == status, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    for part in parts:
        assert part in line


def requests_of(command: str) -> list[Request]:
    """Return the requests that a command as one would type it makes; it is not carried out."""
    made: list[Request] = []

    def record(editor: Editor, request: Request) -> Request:
        made.append(request)
        raise BadOption("recorded")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Editor, "resolve", record)
        result = run(*shlex.split(command)[1:])
    assert "recorded" in result.stderr, result.output
    return made
