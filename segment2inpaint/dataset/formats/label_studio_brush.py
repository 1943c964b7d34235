"""The masks of Label Studio's brush: a stream of bits, packed as the library rle-pack does.

After a header (32 bits: the count of values; 5 bits: the size of a value; four times 4 bits: sizes
of run lengths; each size less one) follow runs: one bit says whether all values of the run are
equal, two bits choose the size of its length, then come the length less one, and the one value or
all of them. The values are the bytes of an RGBA picture, of which the alpha is the mask.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segment2inpaint.types import BinaryMask

COUNT_BITS, WORD_BITS, SIZE_BITS = 32, 5, 4
VALUE_BITS = 8
CHANNELS = 4
ALPHA_THRESHOLD = 127  # a pixel of the mask is more than half covered


def decode(stream: Any, size: tuple[int, int]) -> BinaryMask:
    """Return the mask of a photo of ``size`` (height, width) from a list of bytes.

    Raises ``ValueError`` if the stream is damaged or for a photo of another size.
    """
    try:
        data = bytes(list(stream))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the brush mask is damaged: expected a list of bytes, got {stream!r:.40}"
        ) from error
    values = _read_values(_BitReader(data), size[0] * size[1] * CHANNELS)
    mask: BinaryMask = values.reshape(*size, CHANNELS)[..., -1] > ALPHA_THRESHOLD
    return mask


class _BitReader:
    """Reads numbers from the bits of bytes, the highest bit first."""

    def __init__(self, data: bytes) -> None:
        self._bits = np.unpackbits(np.frombuffer(data, np.uint8))
        self._data = data
        self._next = 0

    def number(self, bits: int) -> int:
        """Return the number in the next bits. Raises ``ValueError`` at the end."""
        start, end = self._next, self._next + bits
        if end > self._bits.size:
            raise ValueError("the brush mask is damaged: it ends too early")
        self._next = end
        last = -(-end // 8)
        value = int.from_bytes(self._data[start // 8 : last], "big") >> (last * 8 - end)
        return value & ((1 << bits) - 1)

    def values(self, count: int) -> NDArray[np.uint8]:
        """Return the next bytes. Raises ``ValueError`` at the end."""
        end = self._next + count * VALUE_BITS
        if end > self._bits.size:
            raise ValueError("the brush mask is damaged: it ends too early")
        bits = self._bits[self._next : end]
        self._next = end
        return np.packbits(bits)


def _read_values(reader: _BitReader, expected: int) -> NDArray[np.uint8]:
    count = reader.number(COUNT_BITS)
    if count != expected:
        raise ValueError(f"the brush mask has {count // CHANNELS} pixels, expected "
                         f"{expected // CHANNELS} as the declared width and height")  # fmt: skip
    if reader.number(WORD_BITS) + 1 != VALUE_BITS:
        raise ValueError("the brush mask is damaged: its values are no bytes")
    sizes = [reader.number(SIZE_BITS) + 1 for _ in range(4)]
    values = np.zeros(count, np.uint8)
    start = 0
    while start < count:
        is_equal = reader.number(1)
        end = start + reader.number(sizes[reader.number(2)]) + 1
        if end > count:
            raise ValueError("the brush mask is damaged: it is longer than the photo")
        values[start:end] = reader.number(VALUE_BITS) if is_equal else reader.values(end - start)
        start = end
    return values
