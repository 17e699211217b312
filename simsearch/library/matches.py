"""What a search answers."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from simsearch.images.rejected import Rejected
from simsearch.images.source import printable


@dataclass(frozen=True, slots=True)
class Match:
    """One item near a query.

    Attributes:
        id: The item's id, never reused.
        path: Its full path, or `id:N` when it has none; undecodable bytes are escaped.
        path_b64: The path's bytes in base64 when they are not UTF-8.
        distance: In the metric of the search; lower is more similar, 0 is equal.
        expected_false_matches: Chance matches to expect within this distance, once calibrated.
        decision: Whether it is a match at the rate asked for, once calibrated.
    """

    id: int
    path: str
    path_b64: str | None
    distance: float
    expected_false_matches: float | None = None
    decision: bool | None = None


@dataclass(frozen=True, slots=True)
class Recall:
    """How many of the true nearest a search through an index finds, as measured when the index was built.

    Attributes:
        value: The share, the mean over rows of the library that were looked for.
        low: Lower end of its 95 % interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class QueryMatches:
    """The matches of one query, nearest first.

    Attributes:
        query: Its path, None for an image or row from memory.
        matches: At most k; none when the query was rejected.
        certified: Whether these are proved to be the nearest.
        rejected: Why the query could not be used.
        query_b64: The path's bytes in base64 when they are not UTF-8.
        recall: Of the index that was asked; None where the search was exact.
    """

    query: str | None
    matches: tuple[Match, ...]
    certified: bool = True
    rejected: Rejected | None = None
    query_b64: str | None = None
    recall: Recall | None = None


@dataclass(frozen=True, slots=True)
class Matches(Sequence[QueryMatches]):
    """The answers of a search, in the order of the queries.

    Attributes:
        queries: One entry a query.
        k: How many neighbours were asked for.
        library_size: Items that were searched.
        channel: Whose rows were compared.
        metric: The distance.
    """

    queries: tuple[QueryMatches, ...]
    k: int
    library_size: int
    channel: str
    metric: str

    @overload
    def __getitem__(self, index: int) -> QueryMatches: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[QueryMatches, ...]: ...
    def __getitem__(self, index: int | slice) -> QueryMatches | tuple[QueryMatches, ...]:
        return self.queries[index]

    def __len__(self) -> int:
        return len(self.queries)

    def __iter__(self) -> Iterator[QueryMatches]:
        return iter(self.queries)

    @property
    def ids(self) -> NDArray[np.int64]:
        """Ids of the matches, (q, k) int64, -1 where there are fewer."""
        ids = np.full((len(self), self.k), -1, np.int64)
        for i, query in enumerate(self):
            ids[i, : len(query.matches)] = [match.id for match in query.matches]
        return ids

    @property
    def distances(self) -> NDArray[np.float32]:
        """Distances of the matches, (q, k) float32, infinite where there are fewer."""
        distances = np.full((len(self), self.k), np.inf, np.float32)
        for i, query in enumerate(self):
            distances[i, : len(query.matches)] = [match.distance for match in query.matches]
        return distances

    @property
    def paths(self) -> list[list[str]]:
        """Paths of the matches of each query."""
        return [[match.path for match in query.matches] for query in self]


def as_text(path: bytes) -> tuple[str, str | None]:
    r"""Return a path as text, and in base64 when it is not UTF-8.

    Example:
        >>> as_text(b"/a\nb.jpg"), as_text(b"/\xff.jpg")
        (('/a\nb.jpg', None), ('/\\xff.jpg', 'L/8uanBn'))
    """
    try:
        return path.decode(), None
    except UnicodeDecodeError:
        return printable(path), base64.b64encode(path).decode()
