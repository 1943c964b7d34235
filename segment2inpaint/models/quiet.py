"""Keep third-party libraries from writing to the terminal."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any

# diffusers and transformers import torchao if it is installed, and this logger warns about it.
_TORCHAO_LOGGER = "torch.utils._pytree"


@contextmanager
def quiet_libraries(*libraries: str) -> Iterator[None]:
    """Silence progress bars, hints and logged exceptions of ``diffusers`` or ``transformers``.

    Import their classes inside this context, because the import writes messages too.
    """
    with _silence_loggers(_TORCHAO_LOGGER), ExitStack() as stack:
        # Importing the libraries sets their log levels, so the import comes first.
        modules = [import_module(f"{name}.utils.logging") for name in libraries]
        stack.enter_context(_silence_loggers(*libraries))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", FutureWarning)
        for module in modules:
            stack.enter_context(_disable_progress_bars(module))
        yield


@contextmanager
def _silence_loggers(*names: str) -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _disable_progress_bars(logging_module: Any) -> Iterator[None]:
    enabled = logging_module.is_progress_bar_enabled()
    logging_module.disable_progress_bar()
    try:
        yield
    finally:
        if enabled:
            logging_module.enable_progress_bar()


@contextmanager
def quiet_hub() -> Iterator[None]:
    """Silence the client of the Hugging Face hub.

    After a ``TimeoutError`` it stays silent, because the abandoned call continues in a thread.
    """
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    logger = logging.getLogger("huggingface_hub")
    level, disabled = logger.level, are_progress_bars_disabled()
    logger.setLevel(logging.CRITICAL)
    disable_progress_bars()
    try:
        yield
    except TimeoutError:
        level, disabled = logging.CRITICAL, True
        raise
    finally:
        logger.setLevel(level)
        if not disabled:
            enable_progress_bars()
