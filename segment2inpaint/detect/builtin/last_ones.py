"""A cache of what was last asked about a window of a photo."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from segment2inpaint.networks.click import ObjectPrompt

MAX_CACHED = 64  # results

Found = TypeVar("Found")


class LastOnes(Generic[Found]):
    """A cache of the last results, by embedding and prompt."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[bytes, ObjectPrompt], Found] = OrderedDict()

    def get(self, key: tuple[bytes, ObjectPrompt], compute: Callable[[], Found]) -> Found:
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = compute()
        if len(self._found) > MAX_CACHED:
            self._found.popitem(last=False)
        return found
