"""Exact search for a few queries on a CPU: one pass over the rows as they are stored, then re-ranking.

For one query a matrix product costs little, and to convert, scale and copy the rows for it costs nearly all. Here each
row is read once, and its score kept: all candidates for the k-th best distance are known without a second pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simsearch.runtime.transfers import to_device
from simsearch.search.arguments import SearchRequest
from simsearch.search.few_queries.scores import DirectScores, Scores
from simsearch.search.metrics.base import Doubles
from simsearch.search.refine.pairs import PairDistances, Positions, official
from simsearch.search.refine.second_pass import NOTHING, MeasuredRows, nearest_found, nearest_settled
from simsearch.search.scan.blocks import Scan
from simsearch.search.scan.top_k import lowest

_FIRST = 2  # candidates beyond k that are measured before the bound is known
_SMALL = 1 << 14  # rows of a pass, up to which numpy finds the lowest faster
_PIECE = 1 << 18  # candidates of a batch, after which the bound is tightened


def search(scan: Scan, queries: NDArray[Any], request: SearchRequest) -> tuple[Doubles, Positions, Positions]:
    """Return distances and positions (q, k) of the nearest rows, and how many were measured (q,).

    Raises:
        RowError: A live row is not finite or all zeros; it is named by its position.
        MetricError: The metric is js and a live row has a negative value.
    """
    direct, rows = DirectScores(scan, queries), to_device(queries, scan.device)
    pairs, exact = PairDistances(scan, rows), official(scan, rows)
    found, counts = NOTHING, np.zeros(len(queries), np.int64)
    limits = np.full(len(queries), request.limit)
    step = max(1, scan.budget // (32 * len(queries)))
    for start in range(0, scan.rows, step):
        scores = direct.scores(start, min(start + step, scan.rows))
        for query_ids, positions in _open(direct, start, scores, limits, request.k):
            more = query_ids, positions
            if (limits < np.inf).any():
                maybe = pairs.may_be_within(query_ids, positions, limits[query_ids])
                more = query_ids[maybe], positions[maybe]
            found = found.join(MeasuredRows(*more, *pairs(*more)))
            counts += np.bincount(more[0], minlength=len(counts))
            found, highest = nearest_found(found, len(queries), request)
            np.minimum(limits, highest, out=limits)
    return *nearest_settled(found, len(queries), exact, request), counts


def _open(
    direct: DirectScores, start: int, scores: Scores, limits: Doubles, k: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield query ids and positions of candidates, lowest scores first; the limits may be lowered in between."""
    count = min(k + _FIRST, scores.shape[1])
    if scores.shape[1] <= _SMALL:
        columns = np.argpartition(scores, count - 1, axis=1)[:, :count]
    else:
        columns = lowest(torch.from_numpy(scores), count)[1].numpy()
    near = scores[np.arange(len(scores))[:, None], columns] <= direct.highest(limits)[:, None]
    first = np.nonzero(near)[0], columns[near]
    if len(first[0]):
        yield first[0], first[1] + start
    scores[first] = np.inf
    parts = []
    for row_scores, highest in zip(scores, direct.highest(limits), strict=True):
        left = np.flatnonzero(row_scores <= highest)
        parts.append(left[direct.unlike(left + start, row_scores[left], k)])
    query_ids, columns = np.repeat(np.arange(len(parts)), [len(part) for part in parts]), np.concatenate(parts)
    order = np.argsort(scores[query_ids, columns], kind="stable")
    for i in range(0, len(order), _PIECE):
        some = query_ids[order[i : i + _PIECE]], columns[order[i : i + _PIECE]]
        still = slice(None) if i == 0 else scores[some] <= direct.highest(limits)[some[0]]
        yield some[0][still], some[1][still] + start
