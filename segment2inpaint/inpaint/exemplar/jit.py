"""Compilation of the exemplar fill's kernels by numba; they release the interpreter's lock."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]
Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compile_kernel(function: Kernel) -> Kernel:
    """Return the function as a numba kernel, which is compiled at its first call.

    The machine code is cached on disk if numba finds a folder that it may write to.
    """
    try:
        return cast(Kernel, njit(cache=True, nogil=True, fastmath=True)(function))
    except RuntimeError:  # numba found no folder that it may write to
        return cast(Kernel, njit(nogil=True, fastmath=True)(function))


def inline_kernel(function: Kernel) -> Kernel:
    """Return the function as a part of the kernels that call it, inlined at each call."""
    return cast(Kernel, njit(nogil=True, fastmath=True, forceinline=True)(function))


def needs_compiling(kernel: Callable[..., Any]) -> bool:
    """Return whether the next call compiles the kernel: no current machine code is cached."""
    cache_folder = cast(Any, kernel).stats.cache_path
    if cast(Any, kernel).signatures:
        return False
    if not cache_folder or not Path(cache_folder).is_dir():
        return True
    code = kernel.__code__
    version = f"py{sys.version_info.major}{sys.version_info.minor}"
    pattern = f"{Path(code.co_filename).stem}.{kernel.__name__}-*.{version}*.nbi"
    source_time = Path(code.co_filename).stat().st_mtime
    cached = Path(cache_folder).glob(pattern)
    return all(index.stat().st_mtime < source_time for index in cached)
