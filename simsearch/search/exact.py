"""The exact nearest rows, by looking at every row: fast float32 scores first, float64 distances for the few left.

The answer is that of `simsearch.distance` over all rows, ties to the lower position. A query whose candidates do not
prove it (many ties, near-equal scores) is searched again, measuring every row that the error of the scores leaves open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsearch.distance import Rows, by_name, check_rows
from simsearch.errors import InputError, RowError

if TYPE_CHECKING:
    from simsearch.search.scan import Live, Scan
    from simsearch.search.scores import Prepared

_SLACK = 32  # candidates kept beyond k
_BUDGET = 256 << 20


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest rows of each query, nearest first.

    Attributes:
        distances: float32 (q, k), padded with infinity.
        positions: int64 (q, k) into the concatenation of the blocks, padded with -1.
    """

    distances: NDArray[np.float32]
    positions: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Search:
    """What stays the same for every query of one call."""

    scan: Scan
    k: int
    limit: float


def knn(
    queries: Rows,
    blocks: Sequence[Rows],
    *,
    k: int,
    metric: str,
    live: Live | None = None,
    max_distance: float | None = None,
    device: str = "auto",
    budget: int = _BUDGET,
) -> Neighbours:
    """The k nearest rows of each query, exactly.

    Args:
        queries: (q, d) float, or (q, bytes) uint8 for hamming.
        blocks: Arrays (n_i, d), float16, float32 or uint8, often memory-mapped; their concatenation is searched.
        k: Neighbours a query.
        metric: A name of `simsearch.distance.METRICS`.
        live: For each block the rows that count (n_i,), or None for all.
        max_distance: Rows farther than this are left out; by default none.
        device: "cpu", "cuda", "cuda:1" or "auto" (a GPU when there is one).
        budget: Bytes of memory to work in, beside the arguments and the answer.

    Returns:
        Distances, the same as `simsearch.distance` rounded to float32, and positions; ties to the lower position.

    Raises:
        RowError: A query or live row is not finite, is all zeros or has the wrong dimension; it is named.
        MetricError: The metric does not exist or is not defined on these rows.
        InputError: k, max_distance, a mask or the device is not usable.

    Example:
        >>> found = knn(np.array([[1.0, 0.0]]), [np.eye(2), np.eye(2)], k=3, metric="js", device="cpu")
        >>> found.positions, found.distances
        (array([[0, 2, 1]]), array([[0., 0., 1.]], dtype=float32))
    """
    by_name(metric)
    if k < 1:
        raise InputError(f"k is {k} and must be at least 1")
    limit = np.inf if max_distance is None else max_distance
    if not limit >= 0:
        raise InputError(f"max_distance is {limit} and must be at least 0")
    _check_blocks(blocks, live, metric)
    check_rows(queries, dimension=blocks[0].shape[1] if blocks else None, metric=metric, what="query")
    distances = np.full((len(queries), k), np.inf)
    positions = np.full((len(queries), k), -1, np.int64)
    if len(queries) and any(len(block) for block in blocks):
        from simsearch.extract.device import choose_device
        from simsearch.search.scan import Scan
        from simsearch.search.scores import score_for

        where = choose_device(device)
        score = score_for(metric, blocks[0].shape[1], where)
        masks = [None] * len(blocks) if live is None else live
        search = _Search(Scan(blocks, masks, metric, where, score, budget), k, limit)
        step = max(1, budget // (16 * search.scan.coordinates))
        for start in range(0, len(queries), step):
            group = slice(start, start + step)
            distances[group], positions[group] = _search_group(search, queries[group])
    return Neighbours(distances.astype(np.float32), positions)


def _check_blocks(blocks: Sequence[Rows], live: Live | None, metric: str) -> None:
    for i, block in enumerate(blocks):
        if block.ndim != 2 or block.shape[1] != blocks[0].shape[1]:
            raise RowError(
                f"block {i} has shape {block.shape}, block 0 {blocks[0].shape}; were both made by one model?"
            )
        check_rows(block[:0], metric=metric, what=f"row of block {i}")
    if live is None:
        return
    lengths = [None if mask is None else len(mask) for mask in live]
    if len(live) != len(blocks) or any(n not in (None, len(b)) for n, b in zip(lengths, blocks, strict=True)):
        raise InputError(f"live masks of lengths {lengths} do not fit blocks of {[len(b) for b in blocks]} rows")


def _search_group(search: _Search, queries: Rows) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    from simsearch.search.scan import to_device

    prepared = search.scan.score.prepare(to_device(queries, search.scan.device))
    scores, candidates, error = _candidates(search, prepared)
    distances = np.full((len(queries), search.k), np.inf)
    positions = np.full((len(queries), search.k), -1, np.int64)
    for i, query in enumerate(queries):
        found = candidates[i][candidates[i] >= 0]
        distances[i], positions[i] = _nearest(search, _measure(search, query, search.scan.gather(found)), found)
    worst = scores[:, -1]  # no row that was left out scores lower
    bound = search.scan.score.of(np.minimum(distances[:, -1], search.limit)) + error
    doubtful = np.flatnonzero((worst < np.inf) & (worst <= bound))
    if len(doubtful):
        distances[doubtful], positions[doubtful] = _search_all_within(search, queries, prepared, doubtful, bound)
    return distances, positions


def _candidates(search: _Search, queries: Prepared) -> tuple[NDArray[np.float64], NDArray[np.int64], float]:
    """The k + slack best scores (q, k + slack) with their positions, and the largest error of a score."""
    import torch

    kept = search.k + _SLACK
    best = torch.full((len(queries.term), kept), torch.inf, device=search.scan.device)
    where = torch.full((len(queries.term), kept), -1, dtype=torch.int64, device=search.scan.device)
    largest = 0.0
    for chunk in search.scan.chunks():
        rows, dead = search.scan.prepare(chunk)
        terms = rows.term if dead is None else rows.term.masked_fill(dead, 0)
        largest = max(largest, float(terms.max()))
        for part, scores in search.scan.scores(queries, rows, dead):
            top, index = torch.topk(scores, min(kept, scores.shape[1]), dim=1, largest=False, sorted=False)
            index = index.add_(chunk.start).masked_fill_(top == torch.inf, -1)
            top, index = torch.cat([best[part], top], 1), torch.cat([where[part], index], 1)
            best[part], order = torch.topk(top, kept, dim=1, largest=False)
            where[part] = torch.gather(index, 1, order)
    error = search.scan.score.error(search.scan.dimension, (float(queries.term.max()), largest))
    return best.cpu().numpy().astype(np.float64), where.cpu().numpy(), error


def _search_all_within(
    search: _Search, queries: Rows, prepared: Prepared, chosen: NDArray[np.intp], bound: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The nearest of all rows whose score is within the bound, for the chosen queries."""
    import torch

    index = torch.from_numpy(chosen).to(search.scan.device)
    subset = type(prepared)(prepared.rows[index], prepared.term[index])
    limits = torch.from_numpy(np.nextafter(bound[chosen].astype(np.float32), np.float32(np.inf))).to(search.scan.device)
    distances = np.full((len(chosen), search.k), np.inf)
    positions = np.full((len(chosen), search.k), -1, np.int64)
    for chunk in search.scan.chunks():
        rows, dead = search.scan.prepare(chunk)
        for part, scores in search.scan.scores(subset, rows, dead):
            within = (scores <= limits[part, None]).cpu().numpy()
            for i, hits in enumerate(within, start=part.start):
                found = np.flatnonzero(hits)
                measured = _measure(search, queries[chosen[i]], chunk.rows[found])
                together = np.concatenate([distances[i], measured])
                where = np.concatenate([positions[i], found + chunk.start])
                distances[i], positions[i] = _nearest(search, together, where)
    return distances, positions


def _measure(search: _Search, query: Rows, rows: Rows) -> NDArray[np.float64]:
    distances: NDArray[np.float64] = by_name(search.scan.metric)(query[None], rows)[0]
    return distances


def _nearest(
    search: _Search, distances: NDArray[np.float64], positions: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The k best of these, padded; ties to the lower position."""
    order = np.lexsort((positions, distances))[: search.k]
    order = order[distances[order] <= search.limit]
    pad: Any = (0, search.k - len(order))
    return (
        np.pad(distances[order], pad, constant_values=np.inf),
        np.pad(np.where(np.isinf(distances[order]), -1, positions[order]), pad, constant_values=-1),
    )
