"""Threads of linear algebra, OpenCV and the networks: one busy core, unless the user says more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import save_scene

from segment2inpaint.models import threads

COUNT_THREADS = """
import json, sys
import cv2, numpy
from threadpoolctl import ThreadpoolController
blas = ThreadpoolController().select(internal_api="openblas").info()
print(json.dumps([max([library["num_threads"] for library in blas], default=1),
                  cv2.getNumThreads()]), file=sys.stderr)
"""
RUN_COMMAND = """
from segment2inpaint.cli import main
main({words}, standalone_mode=False)
"""
COMPLETION = RUN_COMMAND.format(words=["completion", "bash"])
START_WORKER = """
import numpy, cv2
from segment2inpaint.models.threads import bound_worker_threads
bound_worker_threads(1)
"""
RUN_LIBRARY = """
import segment2inpaint
segment2inpaint.remove({photo!r}, (80, 60), inpainter="telea")
"""
NESTED_LIMITS = """
import numpy
from threadpoolctl import ThreadpoolController
from segment2inpaint.models.threads import single_blas_thread

def blas_threads():
    libraries = ThreadpoolController().select(internal_api="openblas").info()
    return max(library["num_threads"] for library in libraries)

with single_blas_thread:
    with single_blas_thread:
        assert blas_threads() == 1
    assert blas_threads() == 1
"""
several_cores = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core has one thread")


def thread_counts(code: str, **variables: str) -> list[int]:
    """Return the threads of OpenBLAS and OpenCV in a process after it has run some code."""
    unset = (*threads.BLAS_VARIABLES, threads.OPENCV_VARIABLE)
    env = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(
        [sys.executable, "-c", code + COUNT_THREADS],
        env=env | variables, capture_output=True, text=True, check=True,
    )  # fmt: skip
    counts: list[int] = json.loads(done.stderr.splitlines()[-1])
    return counts


@several_cores
def test_a_removal_gives_linear_algebra_one_thread(tmp_path: Path) -> None:
    words = ["remove", str(save_scene(tmp_path)), "-b", "66,46,95,75", "--inpainter", "telea"]
    code = RUN_COMMAND.format(words=[*words, "-o", str(tmp_path / "out.png")])
    assert thread_counts(code)[0] == 1


@several_cores
@pytest.mark.parametrize("variable", threads.BLAS_VARIABLES)
def test_the_users_number_of_threads_wins(variable: str) -> None:
    assert thread_counts(COMPLETION, **{variable: "2"})[0] == 2


def test_opencv_gets_the_users_number_of_openmp_threads() -> None:
    assert thread_counts(COMPLETION, OMP_NUM_THREADS="1,4") == [1, 1]


def test_opencv_keeps_the_number_that_the_user_gave_it() -> None:
    variables = {"OMP_NUM_THREADS": "1", threads.OPENCV_VARIABLE: "3"}
    assert thread_counts(COMPLETION, **variables) == [1, 3]


def test_opencv_is_not_given_what_is_no_number() -> None:
    assert thread_counts(COMPLETION, OMP_NUM_THREADS="many")[1] >= 1


@several_cores
def test_a_worker_is_bounded_although_its_libraries_are_loaded() -> None:
    assert thread_counts(START_WORKER) == [1, 1]


@several_cores
def test_the_users_number_of_threads_wins_in_a_worker() -> None:
    assert thread_counts(START_WORKER, OMP_NUM_THREADS="2") == [2, 2]


@several_cores
def test_the_library_leaves_the_threads_of_its_caller(tmp_path: Path) -> None:
    code = RUN_LIBRARY.format(photo=str(save_scene(tmp_path)))
    count, _ = thread_counts(code)
    assert count == thread_counts("")[0] > 1


@several_cores
def test_matrix_products_of_the_library_have_one_thread() -> None:
    """However many threads of the process are inside, the last one restores the number."""
    assert thread_counts(NESTED_LIMITS)[0] > 1


def test_a_number_of_threads_that_is_none_is_one_line(tmp_path: Path) -> None:
    environment = {**os.environ, "OPENCV_FOR_THREADS_NUM": "many"}
    command = [sys.executable, "-m", "segment2inpaint", "mask", "a.jpg", "-p", "1,1", "-o", "b.png"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "OPENCV_FOR_THREADS_NUM: expected a number" in done.stderr
