"""Pairs to decide on, held by their contents: some hundred bytes each, so that a hundred thousand are no burden."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simsearch.library import Duplicates
from simsearch.library.verdicts.verdict import Pair, pair_of

PLAIN = "plain"


@dataclass(frozen=True, eq=False, slots=True)
class OpenPairs:
    """Pairs of contents, the nearest first.

    Attributes:
        contents: SHA-256 of the file that the keep rule prefers and of the other one, (n, 2, 32) uint8.
        distances: (n,) float32.
        expected: False pairs to expect within that distance in all, (n, 4): value, lower and upper end, and 1 where
            that is beyond the calibration; NaN where it is not known.
        views: (n,) numbers of `view_names`.
        view_names: In which view of the other one the two are as near.
        listed: (n,) whether one of the two is on a block list.
        channel: Of the distances.
        metric: The distance.
    """

    contents: NDArray[np.uint8]
    distances: NDArray[np.float32]
    expected: NDArray[np.float64]
    views: NDArray[np.uint8]
    view_names: tuple[str, ...]
    listed: NDArray[np.bool_]
    channel: str
    metric: str

    @classmethod
    def of(cls, found: Duplicates, listed: Collection[bytes] = ()) -> OpenPairs:
        """Build from the duplicates of a library; what has the same bytes, or is only linked, is no question.

        Args:
            found: The duplicates.
            listed: Contents that are on a block list.
        """
        names = {PLAIN: 0}
        rows = sorted(_asked(found, names), key=lambda row: row[2])
        held = frozenset(listed)
        return cls(
            np.frombuffer(b"".join(a + b for a, b, *_ in rows), np.uint8).reshape(-1, 2, 32),
            np.array([row[2] for row in rows], np.float32),
            np.array([row[3] for row in rows], np.float64).reshape(-1, 4),
            np.array([row[4] for row in rows], np.uint8),
            tuple(names),
            np.array([a in held or b in held for a, b, *_ in rows], bool),
            found.channel,
            found.metric,
        )

    def __len__(self) -> int:
        return len(self.distances)

    def sides(self, position: int) -> Pair:
        """Return the two contents of a pair, that which the keep rule prefers first."""
        return self.contents[position, 0].tobytes(), self.contents[position, 1].tobytes()

    def keys(self) -> Iterator[Pair]:
        """Yield each pair as verdicts name it."""
        for position in range(len(self)):
            yield pair_of(*self.sides(position))


_Row = tuple[bytes, bytes, float, tuple[float, float, float, float], int]


def _asked(found: Duplicates, names: dict[str, int]) -> Iterator[_Row]:
    seen = set[Pair]()
    for kept, one in found.pairs():
        if one.exact or one.distance is None or kept.sha256 is None or one.picture.sha256 is None:
            continue
        a, b = bytes.fromhex(kept.sha256), bytes.fromhex(one.picture.sha256)
        key = pair_of(a, b)
        if a == b or key in seen:
            continue
        seen.add(key)
        worth = one.expected
        unknown = (np.nan, np.nan, np.nan, np.nan)
        told = unknown if worth is None else (worth.value, worth.low, worth.high, float(worth.beyond_calibration))
        yield a, b, one.distance, told, names.setdefault(one.view, len(names))
