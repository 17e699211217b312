"""The measured recall of an index: recall against rate, at a number of neighbours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

_MOST = 1 << 31

Share = tuple[float, float, float]
"""A recall, and the lower and upper end of its 95 % interval."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The parameters of a search through an index, with its measured recall and rate.

    Attributes:
        effort: Lists probed, or nodes of the graph kept open.
        depth: Candidates of each query that were re-ranked.
        recall: Share of the true k nearest that were found, the mean over queries.
        low: Lower end of its 95 % interval.
        high: Upper end.
        rate: Queries a second.
    """

    effort: int
    depth: int
    recall: float
    low: float
    high: float
    rate: float


@dataclass(frozen=True, slots=True)
class Curve:
    """Recall against queries a second at one k.

    Attributes:
        k: Neighbours a query.
        queries: Query rows for the points; and as many others for the chosen one. The index held none of them and was
            not trained on them.
        wanted: The requested recall.
        points: The Pareto front, the fastest first.
        chosen: The fastest whose lower end reaches the recall, by the other rows; None where none does.
        shares: Recall of the chosen one at 1, 2 and so on, somewhat beyond k. Records of earlier releases, whose index
            held the query rows, have none.
    """

    k: int
    queries: int
    wanted: float
    points: tuple[CurvePoint, ...]
    chosen: CurvePoint | None
    shares: tuple[Share, ...] = ()

    @property
    def reach(self) -> int:
        """The largest number of neighbours whose recall is known."""
        return len(self.shares) or self.k

    def share(self, k: int) -> Share | None:
        """Return the recall of the chosen point at k; None where it was not measured."""
        if 0 < k <= len(self.shares):
            return self.shares[k - 1]
        chosen = self.chosen
        return (chosen.recall, chosen.low, chosen.high) if chosen is not None and k == self.k else None

    def as_json(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return asdict(self)

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> Curve:
        """Return the curve of `as_json`.

        Raises:
            TypeError, KeyError, ValueError: It is none.
        """
        chosen = values["chosen"]
        points = tuple(CurvePoint(**point) for point in values["points"])
        shares = tuple((recall, low, high) for recall, low, high in values.get("shares", ()))
        parsed = {"points": points, "chosen": None if chosen is None else CurvePoint(**chosen), "shares": shares}
        curve = cls(**{**values, **parsed})
        curve._check()
        return curve

    def _check(self) -> None:
        points = self.points if self.chosen is None else (*self.points, self.chosen)
        counts = [self.k, self.queries, *(n for point in points for n in (point.effort, point.depth))]
        numbers = [self.wanted, *(x for point in points for x in (point.recall, point.low, point.high, point.rate))]
        if not all(isinstance(n, int) and 0 < n < _MOST for n in counts):
            raise TypeError("a count is none")
        if not all(map(_is_number, [*numbers, *(x for share in self.shares for x in share)])):
            raise TypeError("a share is no number")


def undominated(points: Sequence[CurvePoint]) -> tuple[CurvePoint, ...]:
    """Return the Pareto front of recall and rate, the fastest first."""
    best: list[CurvePoint] = []
    for point in sorted(points, key=lambda point: (-point.rate, -point.recall)):
        if not best or point.recall > best[-1].recall:
            best.append(point)
    return tuple(best)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


@dataclass(frozen=True, slots=True)
class Recall:
    """The recall of a search through an index, as measured when the index was built.

    Attributes:
        value: The mean over held-out rows of the library.
        low: Lower end of its 95 % interval.
        high: Upper end.
        k: Number of nearest.
    """

    value: float
    low: float
    high: float
    k: int = 10

    def __str__(self) -> str:
        return f"recall {self.value:.3f} ({self.low:.3f}-{self.high:.3f}) of the {self.k:,} nearest"
