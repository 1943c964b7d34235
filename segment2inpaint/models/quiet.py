"""Other people's libraries, kept from talking to the terminal."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any

# Both libraries import torchao where it is installed, and torch does not like all that it does.
ABOUT_TORCHAO = "torch.utils._pytree"


@contextmanager
def quiet_libraries(*libraries: str) -> Iterator[None]:
    """Keep bars, hints and logged copies of exceptions of ``diffusers`` or ``transformers`` away.

    Import their classes inside: that talks, too.
    """
    with _silent(ABOUT_TORCHAO), ExitStack() as stack:
        # first, as importing them sets their levels
        modules = [import_module(f"{name}.utils.logging") for name in libraries]
        stack.enter_context(_silent(*libraries))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", FutureWarning)
        for module in modules:
            stack.enter_context(_no_bars(module))
        yield


@contextmanager
def _silent(*names: str) -> Iterator[None]:
    logs = [logging.getLogger(name) for name in names]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)


@contextmanager
def _no_bars(of: Any) -> Iterator[None]:
    barred = of.is_progress_bar_enabled()
    of.disable_progress_bar()
    try:
        yield
    finally:
        if barred:
            of.enable_progress_bar()
