"""How the exemplar fill's kernels are compiled; they let go of the interpreter's lock."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]
Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(function: Kernel) -> Kernel:
    """The function in machine code, kept on disk after the first call if a folder allows it."""
    try:
        return cast(Kernel, njit(cache=True, nogil=True, fastmath=True)(function))
    except RuntimeError:  # numba found no folder that it may write to
        return cast(Kernel, njit(nogil=True, fastmath=True)(function))


def cold(kernel: Callable[..., Any]) -> bool:
    """Whether the kernel must be compiled at its first call: nothing newer than it is kept."""
    folder = cast(Any, kernel).stats.cache_path
    if cast(Any, kernel).signatures:
        return False
    if not folder or not Path(folder).is_dir():
        return True
    code = kernel.__code__
    version = f"py{sys.version_info.major}{sys.version_info.minor}"
    name = f"{Path(code.co_filename).stem}.{kernel.__name__}-*.{version}*.nbi"
    born = Path(code.co_filename).stat().st_mtime
    return all(kept.stat().st_mtime < born for kept in Path(folder).glob(name))
