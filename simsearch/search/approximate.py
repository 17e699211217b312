"""The nearest rows by an index: its candidates, measured exactly, and what it does not cover searched in full.

Distances are those of `simsearch.distance`; what an index does not name as a candidate is not found. How often that
happens is measured (`tune`), not proved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import InputError
from simsearch.search.asked import Order, Wanted, checked_k, checked_limit
from simsearch.search.exact import Neighbours, as_array, knn, open_scan
from simsearch.search.index import Index

if TYPE_CHECKING:
    from simsearch.search.measure import Doubles
    from simsearch.search.scan import Block, Live, Scan
    from simsearch.search.settle import Positions

_MORE = 1.2  # candidates asked for where rows were removed, over those that would do were they spread evenly
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
    """The k nearest rows of each query among an index's candidates and all rows that it does not cover.

    Args:
        queries: (q, d) float.
        blocks: As for `knn`. The index was built over the first of them; those behind are searched exactly.
        index: Over the first blocks.
        k: Neighbours a query.
        effort: One of `index.efforts()`.
        depth: Candidates of each query that are compared; at least k are.
        order: "exact": of the candidates the k nearest. "float32": the k that distances in float32 make the nearest,
            which differ where float32 cannot tell rows apart; their own distances and order are exact.
        live: For each block the rows that count (n_i,), or None for all. Where rows were removed the index is asked
            for more, with more effort if need be, until k are left or there are no more; a query for which it cannot
            name so many (a GPU names 2,048) is searched exactly.
        max_distance: Rows farther than this are left out.
        device: Where candidates are measured.
        ids: What the candidates' ties go by, of positions (any shape); by default the positions.

    Returns:
        As `knn` with `rounded`, but `certified` false for every query of an index that covers rows.

    Raises:
        RowError: A query or candidate is not finite, all zeros or of another dimension.
        InputError: k, depth or max_distance is not usable, or the index ends within a block.
        IndexFailed: The index cannot be searched.
    """
    from simsearch.search.candidates import Candidates

    k = checked_k(k)
    if depth < 1:
        raise InputError(f"depth is {depth} and must be at least 1")
    limit, metric = checked_limit(max_distance), index.spec.metric
    covered = _covered(blocks, index.count)
    masks: Live = [None] * len(blocks) if live is None else live
    if isinstance(queries, np.ndarray) and queries.dtype == np.float16:
        queries = queries.astype(np.float32)  # once, for all that look at them
    how: dict[str, Any] = {"k": k, "metric": metric, "max_distance": max_distance, "device": device, "rounded": True}
    tail = knn(queries, blocks[covered:], live=masks[covered:], **how)
    scan = open_scan(queries, blocks[:covered], metric=metric, live=masks[:covered], device=device, budget=None)
    if scan is None:
        return tail
    alive = _Alive(scan)
    found = _Found(tail, index.count)
    depth = min(max(depth, k), index.count)
    wanted = Wanted(min(k, index.count), limit, rounded=True)
    for group in _groups(len(queries), depth * scan.dimension):
        named, short = _candidates(index, queries[group], alive, depth=depth, k=wanted.k, effort=effort)
        candidates = Candidates(scan, queries[group], named, ids)
        if order == "exact":
            near = candidates.exactly(wanted)
        else:
            near = candidates.in_single(wanted, ranked=metric != "js" and index.spec.kind in _RANKED)
        found.merge(np.arange(len(queries))[group], *near)
        if len(short):
            lines = short + group.start
            rest = knn(queries[lines], blocks[:covered], live=masks[:covered], **how)
            found.merge(lines, rest.distances.astype(np.float64), rest.positions, rest.measured)
    return found.neighbours()


class _Alive:
    """Which positions are of rows that count."""

    def __init__(self, scan: Scan) -> None:
        self._masks = [None if mask is None else np.asarray(mask) for mask in scan.live]
        self._starts = np.cumsum([0, *(len(block) for block in scan.blocks)])
        self.rows = int(self._starts[-1])
        dead = sum(0 if mask is None else len(mask) - int(np.count_nonzero(mask)) for mask in self._masks)
        self.live = self.rows - dead
        self.share = self.live / max(1, self.rows)

    def __call__(self, positions: Positions) -> NDArray[np.bool_]:
        """Of each position (any shape); false for -1."""
        out = positions >= 0
        if self.share == 1:
            return out
        of_block = np.searchsorted(self._starts, positions, side="right") - 1
        for b, mask in enumerate(self._masks):
            if mask is not None:
                here = of_block == b
                out[here] &= mask[positions[here] - self._starts[b]]
        return out


class _Found:
    """Answers that grow: those of the rows behind the index, then those of its candidates."""

    def __init__(self, tail: Neighbours, offset: int) -> None:
        self._distances = tail.distances.astype(np.float64)
        self._positions = np.where(tail.positions >= 0, tail.positions + offset, -1)
        self._measured = tail.measured.copy()

    def merge(self, lines: NDArray[np.intp], distances: Doubles, positions: Positions, counts: Positions) -> None:
        """Add the nearest of some rows to the answers of some queries."""
        both = np.concatenate([distances, self._distances[lines]], axis=1)
        where = np.concatenate([positions, self._positions[lines]], axis=1)
        both = both.astype(np.float32).astype(np.float64)
        order = np.lexsort((where, both), axis=-1)[:, : self._distances.shape[1]]
        self._distances[lines] = np.take_along_axis(both, order, axis=1)
        self._positions[lines] = np.take_along_axis(where, order, axis=1)
        self._measured[lines] += counts

    def neighbours(self) -> Neighbours:
        """What was found."""
        q = len(self._distances)
        return Neighbours(self._distances.astype(np.float32), self._positions, np.zeros(q, bool), self._measured)


def _covered(blocks: Sequence[Block], count: int) -> int:
    """How many of the blocks the index was built over."""
    ends = np.cumsum([len(block) for block in blocks])
    whole = int(np.searchsorted(ends, count, side="right"))
    while whole > 1 and not len(blocks[whole - 1]):  # empty blocks behind belong to neither side
        whole -= 1
    if whole == 0 or ends[whole - 1] != count:
        raise InputError(f"the index covers {count} rows, which is where no block ends; build it again")
    return whole


def _groups(queries: int, cells: int) -> Iterator[slice]:
    step = max(1, _CELLS // cells)
    return (slice(start, start + step) for start in range(0, queries, step))


def _candidates(
    index: Index, queries: Block, alive: _Alive, *, depth: int, k: int, effort: int
) -> tuple[Positions, NDArray[np.intp]]:
    """Positions (q, depth) of live rows, -1 where there are no more; more effort where fewer than k are found.

    Also the queries for which the index cannot name k although there are; those have no candidates.
    """
    rows, most = as_array(queries), index.most
    out = np.full((len(rows), depth), -1, np.int64)
    kept = depth if alive.share == 1 else min(index.count, int(_MORE * depth / max(alive.share, 0.05)) + 1)
    kept = min(kept, most)
    short = np.arange(len(rows))
    while len(short):
        lacking = np.empty(len(short), bool)
        for part in _groups(len(short), kept):
            found = index.candidates(rows[short[part]], kept, effort)
            good = alive(found)
            if good.all():
                out[short[part], : min(depth, kept)] = found[:, :depth]
                lacking[part] = kept < min(k, alive.live)
                continue
            order = np.argsort(~good, axis=1, kind="stable")[:, :depth]
            width = order.shape[1]
            out[short[part], :width] = np.where(
                np.take_along_axis(good, order, axis=1), np.take_along_axis(found, order, axis=1), -1
            )
            lacking[part] = good.sum(axis=1) < min(k, alive.live)
        more = [e for e in index.efforts() if e > effort]
        short = short[lacking]
        if kept >= most and not more:
            break
        kept = min(most, 2 * kept)
        effort = more[0] if more else effort
    if most == index.count:  # it has named all that it knows
        short = short[:0]
    out[short] = -1
    return out, short
