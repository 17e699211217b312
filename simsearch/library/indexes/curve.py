"""What an index was measured to find, and how it is asked for that: recall against rate, at a number of neighbours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

_MOST = 1 << 31

Share = tuple[float, float, float]
"""A recall, and the lower and upper end of its 95 % interval."""


@dataclass(frozen=True, slots=True)
class Point:
    """One way of asking an index, and what it gave.

    Attributes:
        effort: Lists looked into, or nodes of the graph kept open.
        depth: Candidates of each query that were measured exactly.
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
        k: Neighbours asked for.
        queries: Rows that were asked with, for the points; and others, as many, for the chosen one. The index held none
            of them and was not trained on them.
        wanted: The recall asked for.
        points: The ways that no other one beats in both, the fastest first.
        chosen: The fastest whose lower end reaches the recall, as the other rows tell; None where none does.
        shares: What the chosen one finds of the nearest, of the two nearest and so on, somewhat beyond k. Records of
            earlier releases, whose index held the rows that were asked with, have none.
    """

    k: int
    queries: int
    wanted: float
    points: tuple[Point, ...]
    chosen: Point | None
    shares: tuple[Share, ...] = ()

    @property
    def reach(self) -> int:
        """The most neighbours whose recall is known."""
        return len(self.shares) or self.k

    def share(self, k: int) -> Share | None:
        """The recall of the k nearest, asked for in the chosen way; None where it was not measured."""
        if 0 < k <= len(self.shares):
            return self.shares[k - 1]
        chosen = self.chosen
        return (chosen.recall, chosen.low, chosen.high) if chosen is not None and k == self.k else None

    def as_json(self) -> dict[str, Any]:
        """JSON types only."""
        return asdict(self)

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> Curve:
        """The curve that `as_json` told.

        Raises:
            TypeError, KeyError, ValueError: It is none.
        """
        chosen = values["chosen"]
        points = tuple(Point(**point) for point in values["points"])
        shares = tuple((recall, low, high) for recall, low, high in values.get("shares", ()))
        made = {"points": points, "chosen": None if chosen is None else Point(**chosen), "shares": shares}
        curve = cls(**{**values, **made})
        curve._check()
        return curve

    def _check(self) -> None:
        told = self.points if self.chosen is None else (*self.points, self.chosen)
        counts = [self.k, self.queries, *(n for point in told for n in (point.effort, point.depth))]
        numbers = [self.wanted, *(x for point in told for x in (point.recall, point.low, point.high, point.rate))]
        if not all(isinstance(n, int) and 0 < n < _MOST for n in counts):
            raise TypeError("a count is none")
        if not all(map(_is_number, [*numbers, *(x for share in self.shares for x in share)])):
            raise TypeError("a share is no number")


def undominated(points: Sequence[Point]) -> tuple[Point, ...]:
    """Those that no other one beats in recall and rate, the fastest first."""
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (-point.rate, -point.recall)):
        if not best or point.recall > best[-1].recall:
            best.append(point)
    return tuple(best)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


@dataclass(frozen=True, slots=True)
class Recall:
    """How many of the true nearest a search through an index finds, as measured when the index was built.

    Attributes:
        value: The share, the mean over rows of the library that were looked for; the index held none of them.
        low: Lower end of its 95 % interval.
        high: Upper end.
        k: Of how many nearest.
    """

    value: float
    low: float
    high: float
    k: int = 10

    def __str__(self) -> str:
        return f"recall {self.value:.3f} ({self.low:.3f}-{self.high:.3f}) of the {self.k:,} nearest"
