"""All rows within a distance of each query, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsearch.distance import by_name
from simsearch.search.arguments import SearchRequest, checked_limit
from simsearch.search.exact import as_codes, open_scan, query_groups
from simsearch.search.hamming.code_length import CodeScale, radius_of
from simsearch.search.results import Range

if TYPE_CHECKING:
    from simsearch.search.scan.blocks import Block, Live, Scan


def within(
    queries: Block,
    blocks: Sequence[Block],
    *,
    max_distance: float,
    metric: str,
    live: Live | None = None,
    device: str = "auto",
    budget: int | None = None,
    bits: int | None = None,
) -> Range:
    """Return every row within a distance of each query, exactly; arguments and errors are those of `knn`.

    Memory grows with the number of rows found.

    Example:
        >>> found = within(np.array([[1.0, 0.0]]), [np.eye(2)], max_distance=0.5, metric="js", device="cpu")
        >>> found.starts, found.distances, found.positions
        (array([0, 1]), array([0.], dtype=float32), array([0]))
    """
    by_name(metric)
    limit = checked_limit(max_distance)
    if bits is not None:
        scale = CodeScale.of(queries, metric, bits)
        whole = within(
            queries,
            blocks,
            max_distance=scale.padded(limit),
            metric=metric,
            live=live,
            device=device,
            budget=budget,
        )
        return replace(whole, distances=scale.true(whole.distances))
    if as_codes(queries, blocks, metric=metric, live=live, device=device):
        return _by_codes(queries, blocks, limit=limit, live=live)
    counts = np.zeros(len(queries), np.int64)
    distances, positions = [np.empty(0)], [np.empty(0, np.int64)]
    scan = open_scan(queries, blocks, metric=metric, live=live, device=device, budget=budget)
    if scan is not None:
        for group in query_groups(scan, len(queries)):
            query_ids, group_distances, group_positions = _search(scan, queries[group], limit)
            counts[group] = np.bincount(query_ids, minlength=len(counts[group]))
            distances.append(group_distances)
            positions.append(group_positions)
    starts = np.concatenate([[0], np.cumsum(counts)])
    with np.errstate(over="ignore"):
        return Range(starts, np.concatenate(distances).astype(np.float32), np.concatenate(positions))


def _by_codes(queries: Any, blocks: Sequence[Any], *, limit: float, live: Live | None) -> Range:
    from simsearch.search.hamming.plain import within_plainly
    from simsearch.search.hamming.search import WITHIN, codes_within, pays

    bits = 8 * queries.shape[1]
    compiled = pays(WITHIN, len(queries) * sum(map(len, blocks)), queries.shape[1])
    way = codes_within if compiled else within_plainly
    query_ids, counts, positions = way(queries, blocks, radius=radius_of(limit, bits), live=live)
    starts = np.concatenate([[0], np.cumsum(np.bincount(query_ids, minlength=len(queries)))])
    return Range(starts, (counts / bits).astype(np.float32), positions)


def _search(
    scan: Scan, queries: Block, limit: float
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Return query ids, distances and positions (m,) of rows within the limit, by query, nearest first."""
    from simsearch.runtime.transfers import to_device
    from simsearch.search.refine.pairs import PairDistances, official
    from simsearch.search.refine.second_pass import NOTHING, hits, settled

    rows = to_device(queries, scan.device)
    found = NOTHING
    for more in hits(scan, rows, PairDistances(scan, rows), np.full(len(queries), limit)):
        found = found.join(more.take(more.distances - more.errors <= limit))
    flat = [(np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64))]
    for some, distances, positions in settled(
        found, len(queries), official(scan, rows), SearchRequest(scan.rows, limit)
    ):
        at = np.nonzero(positions >= 0)
        flat.append((some[at[0]], distances[at], positions[at]))
    query_ids, distances, positions = (np.concatenate(column) for column in zip(*flat, strict=True))
    order = np.argsort(query_ids, kind="stable")
    return query_ids[order], distances[order], positions[order]
