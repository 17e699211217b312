"""The nearest rows by an index: its candidates, re-ranked by their exact distances.

Distances are those of `simsearch.distance`; what an index does not name as a candidate is not found. How often that
happens is measured (`tune`), not proved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import InputError
from simsearch.search.arguments import Order, SearchRequest, checked_k, checked_limit
from simsearch.search.exact import as_array, knn, open_scan
from simsearch.search.indexes.index import Index
from simsearch.search.results import Neighbours

if TYPE_CHECKING:
    from simsearch.search.refine.pairs import Positions
    from simsearch.search.scan.blocks import Block, Live, Scan

_MORE = 1.2  # candidates requested where rows were removed, over those that would do were they spread evenly
_CELLS = 1 << 24  # coordinates of candidates held at once, as the library keeps them, or places of candidates
_RANKED = ("ivf_flat", "hnsw")  # kinds that keep rows whole, and name them by their distances in float32


def approximate(
    queries: Block,
    blocks: Sequence[Block],
    index: Index,
    *,
    k: int,
    effort: int,
    depth: int,
    order: Order = "exact",
    live: Live | None = None,
    max_distance: float | None = None,
    device: str = "cpu",
    ids: Callable[[Positions], Positions] | None = None,
) -> Neighbours:
    """Return the k nearest rows of each query among an index's candidates.

    Args:
        queries: (q, d) float.
        blocks: As for `knn`; those that the index was built over.
        index: Over all of their rows.
        k: Neighbours a query.
        effort: One of `index.efforts()`.
        depth: Candidates of each query that are compared; at least k are.
        order: "exact": of the candidates the k nearest. "float32": the k that distances in float32 make the nearest,
            which differ where float32 cannot tell rows apart; their own distances and order are exact.
        live: For each block which rows are live (n_i,), or None for all. Where rows were removed the index is asked
            for more, with more effort if need be, until k are left or there are no more; a query for which it cannot
            name so many (a GPU names 2,048) is searched exactly.
        max_distance: Rows farther than this are left out.
        device: Where candidates are measured.
        ids: What the candidates' ties go by, of positions (any shape); by default the positions.

    Returns:
        As `knn` with `rounded`, but `certified` false for every query.

    Raises:
        RowError: A query or candidate is not finite, all zeros or of another dimension.
        InputError: K, depth or max_distance is not usable, or the index is not over so many rows.
        IndexFailed: The index cannot be searched.
    """
    from simsearch.search.candidates import Candidates

    k = checked_k(k)
    if depth < 1:
        raise InputError(f"depth is {depth} and must be at least 1")
    limit, metric = checked_limit(max_distance), index.spec.metric
    if (rows := sum(map(len, blocks))) != index.count:
        raise InputError(f"the index covers {index.count} rows and these are {rows}; build it again")
    if isinstance(queries, np.ndarray) and queries.dtype == np.float16:
        queries = queries.astype(np.float32)  # once, for all that look at them
    options: dict[str, Any] = {"metric": metric, "live": live, "device": device}
    scan = open_scan(queries, blocks, budget=None, **options)
    distances = np.full((len(queries), k), np.inf, np.float32)
    positions = np.full((len(queries), k), -1, np.int64)
    counts = np.zeros(len(queries), np.int64)
    found = Neighbours(distances, positions, np.zeros(len(queries), bool), counts)
    if scan is None:
        return found
    alive = _Alive(scan)
    depth = min(max(depth, k), rows)
    request = SearchRequest(min(k, rows), limit, rounded=True)
    for group in _groups(len(queries), depth * scan.dimension):
        named, short = _candidates(index, queries[group], alive, depth=depth, k=request.k, effort=effort)
        candidates = Candidates(scan, queries[group], named, ids)
        if order == "exact":
            nearest = candidates.exactly(request)
        else:
            nearest = candidates.in_single(request, ranked=metric != "js" and index.spec.kind in _RANKED)
        with np.errstate(over="ignore"):
            distances[group, : request.k], positions[group, : request.k], counts[group] = nearest
        if len(short):
            query_ids = short + group.start
            rest = knn(queries[query_ids], blocks, k=k, max_distance=max_distance, rounded=True, **options)
            distances[query_ids], positions[query_ids], counts[query_ids] = (
                rest.distances,
                rest.positions,
                rest.measured,
            )
    return found


class _Alive:
    """The positions of live rows."""

    def __init__(self, scan: Scan) -> None:
        self._masks = [None if mask is None else np.asarray(mask) for mask in scan.live]
        self._starts = np.cumsum([0, *(len(block) for block in scan.blocks)])
        self.rows = int(self._starts[-1])
        dead = sum(0 if mask is None else len(mask) - int(np.count_nonzero(mask)) for mask in self._masks)
        self.live = self.rows - dead
        self.share = self.live / max(1, self.rows)

    def __call__(self, positions: Positions) -> NDArray[np.bool_]:
        """Return whether the row at each position (any shape) is live; false for -1."""
        out = positions >= 0
        if self.share == 1:
            return out
        of_block = np.searchsorted(self._starts, positions, side="right") - 1
        for b, mask in enumerate(self._masks):
            if mask is not None:
                here = of_block == b
                out[here] &= mask[positions[here] - self._starts[b]]
        return out


def _groups(queries: int, cells: int) -> Iterator[slice]:
    step = max(1, _CELLS // cells)
    return (slice(start, start + step) for start in range(0, queries, step))


def _candidates(
    index: Index, queries: Block, alive: _Alive, *, depth: int, k: int, effort: int
) -> tuple[Positions, NDArray[np.intp]]:
    """Return positions (q, depth) of live rows, padded with -1; raise the effort where fewer than k are found.

    Also the queries for which the index cannot name k although there are; those have no candidates.
    """
    rows, largest, count = as_array(queries), index.max_candidates, index.count
    out = np.full((len(rows), depth), -1, np.int64)
    kept = depth if alive.share == 1 else min(count, int(_MORE * depth / max(alive.share, 0.05)) + 1)
    kept = min(kept, largest)
    short = np.arange(len(rows))
    while len(short):
        lacking = np.empty(len(short), bool)
        for part in _groups(len(short), kept):
            found = index.candidates(rows[short[part]], kept, effort)
            good = alive(found)
            if not good.all():
                order = np.argsort(~good, axis=1, kind="stable")
                found = np.take_along_axis(np.where(good, found, -1), order, axis=1)
            out[short[part], : min(depth, kept)] = found[:, :depth]
            lacking[part] = good.sum(axis=1) < min(k, alive.live)
        short = short[lacking]
        if not len(short):
            break
        more = [e for e in index.efforts() if e > effort]
        if kept >= largest and not more:
            break
        kept = min(largest, 2 * kept)
        effort = more[0] if more else effort
    if largest == count:  # it has named all that it knows
        short = short[:0]
    out[short] = -1
    return out, short
