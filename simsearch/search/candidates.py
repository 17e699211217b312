"""Re-ranking of an index's candidates, in exact order or in that of float32.

In exact order all are measured in float64 that the bounds of `exact` leave open. In that of float32 the k that have the
lowest distances in float32 are chosen, and these alone are measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from simsearch.distance import check_rows
from simsearch.runtime.tiles import in_parts
from simsearch.runtime.transfers import to_device
from simsearch.search.arguments import SearchRequest
from simsearch.search.metrics.base import Doubles, Prepared
from simsearch.search.refine.compiled_blocks import StoredBlock
from simsearch.search.refine.pairs import Measured, PairDistances, Positions, measure, official, settle
from simsearch.search.scan.blocks import Block, Scan, to_numpy

if TYPE_CHECKING:
    from torch import Tensor

Singles = NDArray[np.float32]

_LENGTHS = 1.5  # the root of a length that is summed in float32 errs by half as much as a product summed so
_PIECE = 1 << 19  # coordinates in float32: 2 MiB, which stay in a cache
_FIRST = 2  # candidates beyond k whose divergence is computed before a bound is known


class Candidates:
    """An index's candidates for each query.

    Attributes:
        positions: Int64 (q, m), -1 where there is none.
        ids: Ties go to the lower one (q, m).
    """

    def __init__(
        self,
        scan: Scan,
        queries: Block,
        positions: Positions,
        ids: Callable[[Positions], Positions] | None,
    ) -> None:
        self._scan, self._rows = scan, to_device(queries, scan.device)
        self._pairs = PairDistances(scan, self._rows)
        self.positions = positions
        self._ids = (lambda positions: positions) if ids is None else ids

    def exactly(self, request: SearchRequest) -> tuple[Doubles, Positions, Positions]:
        """Return distances and positions (q, k) of the nearest, and how many were measured in float64 (q,)."""
        scores, error = self._scores()
        _check(self._scan, self.positions[(scores == -np.inf) & (self.positions >= 0)])
        at = np.arange(len(scores))[:, None], np.lexsort((self.positions, scores), axis=-1)
        scores, positions = scores[at], self.positions[at]
        return self._settled(
            measure(self._pairs, self._scan, scores, positions, request, error=error), positions, request
        )

    def in_single(self, request: SearchRequest, *, ranked: bool) -> tuple[Doubles, Positions, Positions]:
        """See `exactly`; of the k nearest by float32 alone, whatever the limit, with ties by id.

        Exactly where no compiled pass serves the rows, or where float32 does not hold them.

        Args:
            request: How many, and how far they may be.
            ranked: Whether each query's candidates are sorted by their distances in float32 already.
        """
        k = min(request.k, self.positions.shape[1])
        positions = self.positions[:, :k] if ranked else self._lowest(k)
        if positions is None:
            return self.exactly(request)
        query_ids, columns = np.nonzero(positions >= 0)
        found = Measured(np.full(positions.shape, np.inf), np.zeros(positions.shape))
        if len(query_ids):
            found.distances[query_ids, columns], found.errors[query_ids, columns] = self._pairs(
                query_ids, positions[query_ids, columns]
            )
        return self._settled(found, positions, request)

    def _settled(
        self, found: Measured, positions: Positions, request: SearchRequest
    ) -> tuple[Doubles, Positions, Positions]:
        nearest = settle(found, positions, official(self._scan, self._rows), request, self._ids(positions))
        return *nearest, (found.distances < np.inf).sum(axis=1)

    def _lowest(self, k: int) -> Positions | None:
        """Return the k candidates (q, k) of least float32 distance, ties by id; None where float32 is too coarse."""
        stored = self._pairs.stored(int((self.positions >= 0).sum()))
        if stored is None or not all(block.passes.score for block in stored):
            return None
        keys = self._compiled(stored)
        if (keys == -np.inf).any():
            return None
        if self._scan.metric == "js":
            divergences = self._divergences(keys, k)
            if divergences is None:
                return None
            keys = divergences
        columns = np.argpartition(keys, k - 1, axis=1)[:, :k]
        farthest = np.take_along_axis(keys, columns, axis=1).max(axis=1, keepdims=True)
        crowded = np.flatnonzero((keys <= farthest).sum(axis=1) > k)
        if len(crowded):
            ids = self._ids(self.positions[crowded])
            columns[crowded] = np.lexsort((ids, keys[crowded]), axis=-1)[:, :k]
        found = np.take_along_axis(self.positions, columns, axis=1)
        return np.where(np.take_along_axis(keys, columns, axis=1) < np.inf, found, -1)

    def _divergences(self, scores: Singles, k: int) -> Singles | None:
        """Return twice the divergences (q, m) in float32 of the k candidates that have the least, and of some others.

        Infinite elsewhere: a divergence is no less than Hellinger's bound, and float32 errs by no more than is allowed.
        """
        from simsearch.search.few_queries.scores import cosine_error
        from simsearch.search.refine.compiled_pairs import DIVERGENCE_ERROR
        from simsearch.search.scan.score_kernels import roundings

        out = np.full(scores.shape, np.inf, np.float32)

        def visit(query_ids: Positions, columns: Positions) -> bool:
            found = self._pairs.divergences(query_ids, self.positions[query_ids, columns])
            if found is None:
                return False
            out[query_ids, columns] = found
            return True

        kept = min(k + _FIRST, scores.shape[1])
        first = np.zeros(scores.shape, bool)
        np.put_along_axis(first, np.argpartition(scores, kept - 1, axis=1)[:, :kept], True, axis=1)
        if not visit(*np.nonzero(first & (scores < np.inf))):
            return None
        dimension = self._scan.dimension
        farthest = np.partition(out, k - 1, axis=1)[:, k - 1 : k]
        error = cosine_error("js", dimension, roundings(dimension)) + DIVERGENCE_ERROR
        visit(*np.nonzero((2 * math.log(2) * (1 + scores - error) <= farthest) & ~first & (scores < np.inf)))
        return out

    def _compiled(self, stored: Sequence[StoredBlock]) -> Singles:
        """Return scores (q, m) by compiled passes; infinite without a candidate, minus infinity without a score."""
        from simsearch.search.few_queries.scores import unit

        singles, shape = unit(self._rows.numpy(), self._scan.metric), self.positions.shape
        scores = np.full(shape, np.inf, np.float32)

        def part(some: slice) -> None:
            for base, rows, passes in stored:
                passes.score(singles[some], rows, base, self.positions[some], scores[some])

        in_parts(part, len(singles), 4 * _PIECE // max(1, math.prod(shape[1:]) * self._scan.dimension))
        scores[~np.isfinite(scores) & (self.positions >= 0)] = -np.inf
        return scores

    def _scores(self) -> tuple[Doubles, float]:
        """Return scores (q, m) of the candidates, infinite where there is none, and the largest error of one."""
        scan, candidates, valid = self._scan, self.positions, self.positions >= 0
        scores = np.full(candidates.shape, np.inf)
        if not valid.any():
            return scores, 0.0
        angular = scan.metric in ("js", "cosine")
        equal = scan.score.of(np.zeros(1))  # the score of rows whose cosine is 1
        error = _LENGTHS * scan.score.error(scan.dimension, (1.0, 1.0)) if angular else 0.0
        stored = self._pairs.stored(int(valid.sum())) if angular else None
        if stored is not None and all(block.passes.score for block in stored):
            return -equal * self._compiled(stored), error
        theirs = scan.gather(np.where(valid, candidates, candidates[valid][0]).ravel())
        if angular and theirs.dtype == torch.float16:  # no square of which overflows float32
            unit = _unit(scan.score.prepare(self._rows).rows)
            found = equal * _cosines(unit, theirs, roots=scan.metric == "js").double().cpu().numpy()
            scores[valid] = np.nan_to_num(found, nan=-np.inf, posinf=-np.inf, neginf=-np.inf)[valid]
            return scores, error
        ours, rows = scan.score.prepare(self._rows), scan.score.prepare(theirs)
        width = candidates.shape[1]
        for query_id in range(len(candidates)):
            part = slice(query_id * width, (query_id + 1) * width)
            one = Prepared(ours.rows[query_id : query_id + 1], ours.term[query_id : query_id + 1])
            row_scores = scan.score.between(one, Prepared(rows.rows[part], rows.term[part]))[0]
            row_scores = torch.nan_to_num(row_scores, nan=-torch.inf, posinf=-torch.inf, neginf=-torch.inf)
            scores[query_id, valid[query_id]] = row_scores.double().cpu().numpy()[valid[query_id]]
        return scores, scan.error(ours, rows, None)


def _check(scan: Scan, suspects: Positions) -> None:
    """Refuse candidates without a score that no distance is defined to; they were sound when the index was built."""
    for position in np.unique(suspects):
        row = to_numpy(scan.gather(np.array([position])))
        check_rows(row, metric=scan.metric, what="row", start=int(position))


def _unit(rows: Tensor) -> Tensor:
    """Return prepared queries (q, d), of length 1."""
    return torch.nn.functional.normalize(rows.float(), dim=1)


def _cosines(unit: Any, rows: Any, *, roots: bool) -> Any:
    """Return cosines (q, m) of queries (q, d) with rows (q m, d) or their roots.

    What `score.prepare` and `score.between` give for each pair, up to the same rounding, in as few passes as may be.
    """
    values = rows.view(len(unit), -1, rows.shape[1])
    out = torch.empty(values.shape[:2], device=rows.device)
    step = max(1, _PIECE // (values.shape[1] * values.shape[2]))
    for start in range(0, len(values), step):
        part = values[start : start + step].to(torch.float32, copy=True)
        if roots:
            part.sqrt_()
        lengths = torch.linalg.vecdot(part, part).sqrt_()
        torch.div(torch.bmm(part, unit[start : start + step, :, None])[:, :, 0], lengths, out=out[start : start + step])
    return out
