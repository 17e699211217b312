"""The results of a search: as dicts, an Arrow table, a data frame, text and HTML."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import DependencyMissing
from simsearch.images.source import Rejected, printable
from simsearch.images.views import PLAIN
from simsearch.library.indexes.curve import Recall
from simsearch.search.arguments import Order

if TYPE_CHECKING:
    import pyarrow as pa

    from simsearch.decide.calibration import Calibration
    from simsearch.decide.known_rates import KnownRates
    from simsearch.library.read.evidence import Evidence

SCHEMA = 1  # of the dicts; it may gain keys, never lose them
_SHOWN_QUERIES, _SHOWN_MATCHES = 5, 10  # in texts and pages; what is left out is counted


@dataclass(frozen=True, slots=True)
class Copy:
    """Another item with the content of a match: the same bytes under another path.

    Attributes:
        id: The item's id.
        path: Its full path, or `id:N` when it has none; undecodable bytes are escaped.
        path_b64: The path's bytes in base64 when they are not UTF-8.
        same_file: Whether both paths led to one file on the disk, by a link or a hard link, at the time of search.
        shard: Number of the library that it is an item of, where several were searched as one.
    """

    id: int
    path: str
    path_b64: str | None = None
    same_file: bool = False
    shard: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it in the form of `query --json`."""
        fields: dict[str, Any] = {"id": self.id, **_path_fields("path", self.path, self.path_b64)}
        fields |= {"same_file": True} if self.same_file else {}
        return fields | ({} if self.shard is None else {"shard": self.shard})


@dataclass(frozen=True, slots=True)
class Match:
    """One item near a query.

    Attributes:
        id: The item's id, never reused.
        path: Its full path, or `id:N` when it has none; undecodable bytes are escaped.
        path_b64: The path's bytes in base64 when they are not UTF-8.
        distance: In the metric of the search; lower is more similar, 0 is equal.
        expected_false_matches: How many items of the library would be as near by chance, for a mean query; None where
            the rates of strangers are not known.
        expected_interval: The two ends of its 95 % interval.
        expected_for_query: The same for this query, which may have more neighbours than others, or fewer.
        beyond_calibration: Whether it is below what the pairs of strangers can tell: only the upper end counts.
        sha256: Of its file's bytes, in hex; None where that is not known.
        shard: Number of the library that it is an item of, where several were searched as one.
        decision: Whether it is a match at the requested rate; None where none was asked for.
        copies: Other items with exactly its content, by id, unless copies are not to be grouped.
        view: Of the query, which is nearest to it: "plain", "mirrored" and so on; None where none were asked for.
        evidence: What all channels say of it, where they were asked together.
    """

    id: int
    path: str
    path_b64: str | None
    distance: float
    expected_false_matches: float | None = None
    decision: bool | None = None
    copies: tuple[Copy, ...] = ()
    view: str | None = None
    evidence: Evidence | None = None
    expected_interval: tuple[float, float] | None = None
    expected_for_query: float | None = None
    beyond_calibration: bool = False
    sha256: str | None = None
    shard: int | None = None

    @property
    def any_false_match(self) -> float | None:
        """The probability that at least one item is as near by chance, 1 - exp(-E) for a mean query."""
        return None if self.expected_false_matches is None else -math.expm1(-self.expected_false_matches)

    def __repr__(self) -> str:
        more = _more(len(self.copies), ", copies={}") + ("" if self.view is None else f", view={self.view!r}")
        return f"Match({self.distance:.4f}, {self.path!r}, id={self.id}{more})"

    def to_dict(self) -> dict[str, Any]:
        """Return it in the form of `query --json`."""
        return {
            "id": self.id,
            **({} if self.shard is None else {"shard": self.shard}),
            **_path_fields("path", self.path, self.path_b64),
            "sha256": self.sha256,
            "distance": self.distance,
            "expected_false_matches": self.expected_false_matches,
            "any_false_match": self.any_false_match,
            "expected_interval": None if self.expected_interval is None else list(self.expected_interval),
            "expected_for_query": self.expected_for_query,
            "beyond_calibration": self.beyond_calibration,
            "decision": self.decision,
            "copies": [copy.to_dict() for copy in self.copies],
            **({} if self.view is None else {"view": self.view}),
            **({} if self.evidence is None else self.evidence.to_dict()),
        }


@dataclass(frozen=True, slots=True)
class QueryMatches:
    """The matches of one query, nearest first.

    Attributes:
        query: Its path, None for an image or row from memory.
        matches: At most k; none when the query was rejected.
        certified: Whether these are proved to be the nearest.
        rejected: Why the query could not be used.
        query_b64: The path's bytes in base64 when they are not UTF-8.
        recall: Of the index; None where the search was exact, or went beyond what was measured.
        more: Whether there are more than k within `max_distance`; None without one.
        order: "exact", or "float32" where the matches were selected from an index's candidates by distances in float32;
            the distances, and the order of the matches, are exact all the same.
        views: Different views of the query that were searched, itself among them: each may meet an item by chance.
        low_information: Whether it shows too little to accuse anybody: blank, or a page of text.
        crowding: How many times as many items as of a mean query lie about it; None where that is not known.
    """

    query: str | None
    matches: tuple[Match, ...]
    certified: bool = True
    rejected: Rejected | None = None
    query_b64: str | None = None
    recall: Recall | None = None
    more: bool | None = None
    order: Order = "exact"
    views: int = 1
    low_information: bool = False
    crowding: float | None = None

    def __repr__(self) -> str:
        return "\n".join(self._lines(_SHOWN_MATCHES))

    def _repr_html_(self) -> str:
        from simsearch.library.read.thumbnails import table

        query = (self.query, self.query_b64)
        problem = None if self.rejected is None else f"rejected, {self.rejected.code}: {self.rejected.message}"
        cells = [
            (
                match.path,
                match.path_b64,
                f"{match.distance:.4f}{_more(len(match.copies), ' +{} copies')}{view_remark(match)}",
            )
            for match in self.matches[:_SHOWN_MATCHES]
        ]
        return table(query, cells, problem, left_out=len(self.matches) - len(cells))

    def _lines(self, limit: int) -> list[str]:
        name = printable(self.query.encode(errors="surrogateescape")) if self.query else "(from memory)"
        if self.rejected is not None:
            return [f"{name}: rejected, {self.rejected.code}: {self.rejected.message}"]
        lines = [
            f"  {i}  {match.distance:.4f}  {printable(match.path.encode())}{view_remark(match)}"
            f"{_more(len(match.copies), '  (+{} copies)')}"
            for i, match in enumerate(self.matches[:limit], 1)
        ]
        return [f"{name}:{'' if lines else ' no match'}", *lines, *_rest(len(self.matches) - limit, "more", "  ")]


@dataclass(frozen=True, slots=True)
class Matches(Sequence[QueryMatches]):
    """The answers of a search, in the order of the queries.

    Attributes:
        queries: One entry a query.
        k: Neighbours a query.
        library_size: Items searched.
        channel: Whose rows were compared.
        metric: The distance.
        calibration: What the matches are worth is told by; None where the rates of strangers are not known.
    """

    queries: tuple[QueryMatches, ...]
    k: int
    library_size: int
    channel: str
    metric: str
    calibration: Calibration | KnownRates | None = None

    def __repr__(self) -> str:
        limit = _SHOWN_MATCHES if len(self) == 1 else 3
        lines = [line for answer in self.queries[:_SHOWN_QUERIES] for line in answer._lines(limit)]
        return "\n".join([self._title(), *lines, *_rest(len(self) - _SHOWN_QUERIES, "more queries")])

    def _repr_html_(self) -> str:
        from html import escape

        parts = [answer._repr_html_() for answer in self.queries[:_SHOWN_QUERIES]]
        rest = _rest(len(self) - _SHOWN_QUERIES, "more queries")
        return f"<div>{escape(self._title())}</div>" + "".join(parts) + "".join(f"<div>{line}</div>" for line in rest)

    def _title(self) -> str:
        queries = "1 query" if len(self) == 1 else f"{len(self):,} queries"
        return f"{queries} by {self.metric} among {self.library_size:,} images"

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

    def to_list(self) -> list[dict[str, Any]]:
        """Return one dict a query, in the form of `query --json`."""
        return [self._as_dict(answer) for answer in self.queries]

    def _as_dict(self, answer: QueryMatches) -> dict[str, Any]:
        rejected = answer.rejected
        return {
            "schema": SCHEMA,
            **_path_fields("query", answer.query, answer.query_b64),
            "matches": [match.to_dict() for match in answer.matches],
            "certified": answer.certified,
            "recall": None if answer.recall is None else asdict(answer.recall),
            "more": answer.more,
            "order": answer.order,
            "library_size": self.library_size,
            "channel": self.channel,
            "metric": self.metric,
            "low_information": answer.low_information,
            "crowding": answer.crowding,
            "calibration": self._calibration(),
            "rejected": None if rejected is None else {"code": str(rejected.code), "message": rejected.message},
        } | ({} if answer.views == 1 else {"views": answer.views})

    def _calibration(self) -> dict[str, Any] | None:
        one = self.calibration
        if one is None:
            return None
        return {
            "origin": one.origin,
            "what": one.what,
            "images": one.images,
            "pairs": one.pairs,
            "stale": one.is_stale(self.library_size),
        }

    def to_arrow(self) -> pa.Table:
        """Return a table with one row a match, in order; a query without one has a row of nulls.

        Its columns: query_number (from 0), query, query_b64, rank (from 1), id, path, path_b64, distance, copies
        (paths), expected_false_matches, expected_low, expected_high, expected_for_query, beyond_calibration, decision,
        certified, rejected (a code), view.
        """
        import pyarrow as pa

        rows: list[tuple[int, QueryMatches, int | None, Match | None]] = []
        for i, answer in enumerate(self.queries):
            rows += [(i, answer, rank, match) for rank, match in enumerate(answer.matches, 1)]
            rows += [] if answer.matches else [(i, answer, None, None)]
        matches = [match for _, _, _, match in rows]
        columns = {
            "query_number": pa.array([i for i, _, _, _ in rows], pa.int64()),
            "query": pa.array([answer.query for _, answer, _, _ in rows], pa.string()),
            "query_b64": pa.array([answer.query_b64 for _, answer, _, _ in rows], pa.string()),
            "rank": pa.array([rank for _, _, rank, _ in rows], pa.int32()),
            "id": pa.array([match and match.id for match in matches], pa.int64()),
            "path": pa.array([match and match.path for match in matches], pa.string()),
            "path_b64": pa.array([match and match.path_b64 for match in matches], pa.string()),
            "distance": pa.array([match and match.distance for match in matches], pa.float32()),
            "copies": pa.array([match and [c.path for c in match.copies] for match in matches], pa.list_(pa.string())),
            "expected_false_matches": pa.array(
                [match and match.expected_false_matches for match in matches], pa.float64()
            ),
            **{
                f"expected_{name}": pa.array(
                    [match.expected_interval[end] if match and match.expected_interval else None for match in matches],
                    pa.float64(),
                )
                for end, name in enumerate(("low", "high"))
            },
            "expected_for_query": pa.array([match and match.expected_for_query for match in matches], pa.float64()),
            "beyond_calibration": pa.array([match and match.beyond_calibration for match in matches], pa.bool_()),
            "decision": pa.array([match and match.decision for match in matches], pa.bool_()),
            "certified": pa.array([answer.certified for _, answer, _, _ in rows], pa.bool_()),
            "rejected": pa.array([a.rejected and str(a.rejected.code) for _, a, _, _ in rows], pa.string()),
            "view": pa.array([match and match.view for match in matches], pa.string()),
        }
        facts = {"metric": self.metric, "channel": self.channel, "library_size": str(self.library_size)}
        return pa.table(columns, metadata=facts)

    def to_pandas(self) -> Any:
        """Return the table of `to_arrow` as a data frame.

        Raises:
            DependencyMissing: Pandas is not installed.
        """
        if importlib.util.find_spec("pandas") is None:
            raise DependencyMissing("data frames need pandas: pip install pandas")
        return self.to_arrow().to_pandas()


def view_remark(match: Match) -> str:
    """Return the view of a match as a remark behind its path; empty for the picture as it is."""
    return "" if match.view in (None, PLAIN) else f"  ({match.view})"


def _path_fields(key: str, path: str | None, encoded: str | None) -> Mapping[str, str | None]:
    return {key: path} if encoded is None else {key: path, f"{key}_b64": encoded}


def _more(count: int, form: str) -> str:
    return form.format(count) if count else ""


def _rest(count: int, what: str, indent: str = "") -> list[str]:
    return [f"{indent}... {count:,} {what}"] if count > 0 else []
