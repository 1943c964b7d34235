"""How the exemplar fill's kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]
Kernel = TypeVar("Kernel", bound=Callable[..., Any])
Run = Callable[..., Any]
"""``map``, or a thread pool's: kernels let go of the interpreter's lock."""


def compiled(function: Kernel) -> Kernel:
    """The function in machine code, kept on disk after the first call if a folder allows it."""
    try:
        return cast(Kernel, njit(cache=True, nogil=True, fastmath=True)(function))
    except RuntimeError:  # numba found no folder that it may write to
        return cast(Kernel, njit(nogil=True, fastmath=True)(function))
