"""Bound the threads of linear algebra and OpenCV.

A matrix product of numpy wakes a thread of OpenBLAS on each core. These threads then wait busily
for the next product, which costs more than it gains: the products here are small. What the user
sets in the environment is kept.
"""

from __future__ import annotations

import os
import sys
from contextlib import ContextDecorator
from functools import cache
from threading import Lock
from types import TracebackType
from typing import Any

from segment2inpaint.errors import BadOption

BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")  # OpenBLAS reads either
OPENCV_VARIABLE = "OPENCV_FOR_THREADS_NUM"


def bound_process_threads() -> None:
    """Give linear algebra one thread in this process and those that it starts.

    For the start of a process: a library leaves it to its caller. OpenCV gets the number of
    threads in ``OMP_NUM_THREADS`` if the user has set that. Raises ``BadOption`` if OpenCV's own
    variable is no number.
    """
    requested = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]  # then of nested loops
    if requested.isdecimal():
        os.environ.setdefault(OPENCV_VARIABLE, requested)
    given = os.environ.get(OPENCV_VARIABLE, "0")
    if not given.isdecimal():  # OpenCV could not be imported
        raise BadOption(
            f"{OPENCV_VARIABLE}: expected a number of threads, got {given!r}; unset it, or set it "
            "to a number"
        )
    if _is_bounded():
        return
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # OpenBLAS reads it when numpy is imported
    if "numpy" in sys.modules:
        _openblas().limit(limits=1)


def bound_worker_threads(count: int) -> None:
    """Give a worker process ``count`` threads for OpenCV, the networks and torch; 0: any number.

    Linear algebra gets one, as in ``bound_process_threads``.
    """
    bound_process_threads()
    if not count:
        return
    import cv2

    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, str(count))
    cv2.setNumThreads(int(os.environ.get(OPENCV_VARIABLE, count)))


class _SingleBlasThread(ContextDecorator):
    """Gives linear algebra one thread while any thread of the process is inside."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._limit: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside and not _is_bounded():
                self._limit = _openblas().limit(limits=1)
            self._inside += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._limit:
                self._limit.restore_original_limits()
                self._limit = None


single_blas_thread = _SingleBlasThread()
"""Decorator and context manager for matrix products in the library, for processes that are not
bounded as a whole. The former number of threads comes back afterwards.
"""


def _is_bounded() -> bool:
    return any(os.environ.get(name) for name in BLAS_VARIABLES)


@cache
def _openblas() -> Any:
    """Return the controller of numpy's OpenBLAS; of another library, it controls nothing."""
    import numpy  # noqa: F401 - its libraries must be loaded to be found
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(internal_api="openblas")
