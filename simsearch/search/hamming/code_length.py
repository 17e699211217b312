"""Lengths of codes in bits: from a distance to a radius, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simsearch.distance import METRICS
from simsearch.errors import InputError, RowError

if TYPE_CHECKING:
    from simsearch.search.scan.blocks import Block


@dataclass(frozen=True, slots=True)
class CodeScale:
    """Distances between codes that do not fill their last byte, and those that count its unused bits.

    Attributes:
        bits: Length of a code.
        room: Bits of its bytes.
    """

    bits: int
    room: int

    @classmethod
    def of(cls, queries: Block, metric: str, bits: int) -> CodeScale:
        """Return the scale of packed queries (q, bytes).

        Raises:
            InputError: The metric counts no bits.
            RowError: Codes of that many bytes cannot have so many bits.
        """
        if not METRICS[metric].of_codes:
            raise InputError(f"bits is {bits} and only hamming counts bits, not {metric}")
        room = 8 * int(queries.shape[1])
        if not room - 8 < bits <= room:
            raise RowError(f"codes of {room // 8} bytes cannot hold {bits} bits; pass the length they were made with")
        return cls(bits, room)

    def padded(self, distance: float) -> float:
        """Return the largest distance that counts unused bits, within a distance that does not."""
        return distance if distance == np.inf else radius_of(distance, self.bits) / self.room

    def true(self, distances: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return distances that do not count the unused bits."""
        return (np.rint(distances.astype(np.float64) * self.room) / self.bits).astype(np.float32)


def radius_of(limit: float, bits: int) -> int:
    """Return the largest number of differing bits whose share is within a limit."""
    return int(np.searchsorted(np.arange(bits + 1) / bits, limit, side="right")) - 1
