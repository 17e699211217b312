"""Exact search for a few queries on a CPU: one pass over the rows as they are stored, then what its bound leaves open.

For one query a matrix product costs little, and to convert, scale and copy the rows for it costs nearly all. Here each
row is read once, and its score kept: all rows that the k-th best distance leaves open are known without a second look.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simsearch.runtime.transfers import to_device
from simsearch.search.arguments import Wanted
from simsearch.search.few_queries.scores import Look, Scores
from simsearch.search.metrics.base import Doubles
from simsearch.search.refine.pairs import Pairs, Positions, official
from simsearch.search.refine.second_pass import NOTHING, Found, nearest_found, nearest_settled
from simsearch.search.scan.blocks import Scan
from simsearch.search.scan.top_k import lowest

_FIRST = 2  # rows beyond k that are measured before the bound is known
_SMALL = 1 << 14  # rows of a pass, up to which numpy finds the lowest sooner
_PIECE = 1 << 18  # open rows that are measured before the others are looked at again


def search(scan: Scan, queries: NDArray[Any], wanted: Wanted) -> tuple[Doubles, Positions, Positions]:
    """Distances and positions (q, k) of the nearest rows, and how many were measured (q,).

    Raises:
        RowError: A live row is not finite or all zeros; it is named by its position.
        MetricError: The metric is js and a live row has a negative value.
    """
    look, rows = Look(scan, queries), to_device(queries, scan.device)
    pairs, exact = Pairs(scan, rows), official(scan, rows)
    found, counts = NOTHING, np.zeros(len(queries), np.int64)
    limits = np.full(len(queries), wanted.limit)
    step = max(1, scan.budget // (32 * len(queries)))
    for start in range(0, scan.rows, step):
        scores = look.scores(start, min(start + step, scan.rows))
        for lines, positions in _open(look, start, scores, limits, wanted.k):
            more = lines, positions
            if (limits < np.inf).any():
                maybe = pairs.may_be_within(lines, positions, limits[lines])
                more = lines[maybe], positions[maybe]
            found = found.join(Found(*more, *pairs(*more)))
            counts += np.bincount(more[0], minlength=len(counts))
            found, highest = nearest_found(found, len(queries), wanted)
            np.minimum(limits, highest, out=limits)
    return *nearest_settled(found, len(queries), exact, wanted), counts


def _open(
    look: Look, start: int, scores: Scores, limits: Doubles, k: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Lines and positions of rows to be measured, the lowest scores first; the limits may be lowered in between."""
    count = min(k + _FIRST, scores.shape[1])
    if scores.shape[1] <= _SMALL:
        columns = np.argpartition(scores, count - 1, axis=1)[:, :count]
    else:
        columns = lowest(torch.from_numpy(scores), count)[1].numpy()
    near = scores[np.arange(len(scores))[:, None], columns] <= look.highest(limits)[:, None]
    first = np.nonzero(near)[0], columns[near]
    if len(first[0]):
        yield first[0], first[1] + start
    scores[first] = np.inf
    parts = []
    for line, most in zip(scores, look.highest(limits), strict=True):
        left = np.flatnonzero(line <= most)
        parts.append(left[look.unlike(left + start, line[left], k)])
    lines, columns = np.repeat(np.arange(len(parts)), [len(part) for part in parts]), np.concatenate(parts)
    order = np.argsort(scores[lines, columns], kind="stable")
    for i in range(0, len(order), _PIECE):
        some = lines[order[i : i + _PIECE]], columns[order[i : i + _PIECE]]
        still = slice(None) if i == 0 else scores[some] <= look.highest(limits)[some[0]]
        yield some[0][still], some[1][still] + start
