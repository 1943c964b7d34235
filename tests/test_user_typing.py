"""``mypy --strict`` accepts the code of users, and finds their mistakes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

GOOD = """
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import segment2inpaint as s2i
from segment2inpaint import Editor, Points, Predictor, Result, mask, read, remove, replace, write


def photos(data: bytes, array: NDArray[np.uint8], file: BinaryIO) -> list[Result]:
    sources = Path("a.jpg"), "a.jpg", array, Image.open("a.jpg"), file, read(data), read(array)
    return [remove(source, (412, 300)) for source in sources]


def prompts(photo: s2i.Photo, soft: NDArray[np.float32], hard: NDArray[np.uint8]) -> None:
    points = [(3, 4), (5, 6)]
    remove(photo, (1, 2), (1, 2, 3, 4), points, [1, 2], "a ball", Points(((3, 4),)))
    remove(photo, np.array([[3.5, 4.0]]), np.array([3, 4]), np.array([3.0, 4, 5, 6]))
    remove(photo, soft, hard, soft > 0.5, Image.open("m.png"), Path("m.png"), b"png")
    remove(photo, point_coords=np.array([[3, 4]]), point_labels=[1], box=(1, 2, 3, 4))


def keywords(photo: s2i.Photo) -> NDArray[np.bool_]:
    remove(photo, (1, 2), seed=3, dilate=12, feather="3%", shadow=True, inpainter="telea")
    replace(photo, (1, 2), prompt="a red rose", num_inference_steps=20, guidance_scale=4)
    replace(photo, (1, 2), picture=Image.open("rose.png"), candidates=2, verify=False)
    return mask(photo, (1, 2), dilate=3, invert=True, detector="builtin")


def outputs(result: Result) -> bytes:
    picture: Image.Image = result.pil
    picture.save("a.png")
    result.save("clean.jpg", quality=90, overwrite=True)
    write("clean.jpg", result)
    write(Path("clean.jpg"), read("a.jpg"), result.image, result.alpha)
    found: NDArray[np.bool_] = result.mask
    print(found.sum(), [d.score for d in result.detections], len(result.to_supervision()))
    return remove(result.encode("PNG"), (1, 2))


def predictions(picture: Image.Image) -> NDArray[np.bool_]:
    predictor = Predictor("sam", editor=Editor(device="cpu"))
    predictor.set_image(picture)
    masks, scores, logits = predictor.predict([(412, 300)], [1])
    if logits is not None:
        masks, scores, _ = predictor.predict(np.array([[4.5, 3]]), mask_input=logits[:1])
    best: NDArray[np.bool_] = masks[int(scores.argmax())]
    remove(picture, best)
    return best
"""

BAD = """
from segment2inpaint import Result, mask, remove

remove("a.jpg", (1, 2), sed=1)
remove("a.jpg", (1, 2), seed="x")
mask("a.jpg", (1, 2), seed=1)
result: Result = remove(b"", (1, 2))
remove(3, (1, 2))
"""


def check(text: str, folder: Path) -> list[str]:
    """Return the lines of mypy's errors."""
    (folder / "user.py").write_text(text)
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent"]
    done = subprocess.run(
        [*command, "--cache-dir", str(folder / "cache"), "user.py"],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert not done.stderr, done.stderr
    return [line for line in done.stdout.splitlines() if ": error:" in line]


@pytest.mark.slow
def test_the_code_of_a_user_passes_mypy_and_its_mistakes_do_not(tmp_path: Path) -> None:
    assert check(GOOD, tmp_path) == []
    lines = {int(line.split(":")[1]) for line in check(BAD, tmp_path)}
    assert lines == {4, 5, 6, 7, 8}
