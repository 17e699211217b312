"""The recall of an index, measured against exact search, and the cheapest parameters that reach a given one.

It is measured by rows that it was not trained on and that are masked in all searches: half of them choose the
parameters, the others measure them, so that the choice does not flatter the figure.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import InputError
from simsearch.library.indexes.curve import Curve, CurvePoint, Share, undominated

if TYPE_CHECKING:
    from simsearch.search.arguments import Order
    from simsearch.search.indexes.index import Index
    from simsearch.search.scan.blocks import Block, Live

DEPTHS = (2, 10, 40)
"""Candidates that are re-ranked, in multiples of k."""
DEPTHS_OF_MANY = (2, 5)
"""And of a larger k."""
KS = (10, 100, 1000)
"""Neighbours that an index is measured at, where there are ten times as many rows."""
SPARE = 1.2
"""And to what multiple of each: a tenth of the rows may be removed before more must be searched."""
_FEW = 250  # rows of either half that measure larger k, which takes long; the interval is wider
_ENOUGH = 0.9995  # a recall after which more effort buys nothing
_SLOWEST = 30  # times the queries a second of the fastest point so far: slower ones are not tried
_DOUBT = 0.05  # that an interval does not hold the recall
FIRST_CONFIDENCE = 1 - _DOUBT / 2
"""Of the interval of the first choice; the second, should that one fall short, gets half of its error."""

Told = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class _Trial:
    """Queries with known nearest rows, searched through an index."""

    index: Index
    blocks: Sequence[Block]
    live: Live
    order: Order
    queries: NDArray[Any]
    truth: NDArray[np.float32]

    def half(self, number: int) -> _Trial:
        """Return the first or second half of the queries."""
        middle = len(self.queries) // 2
        part = slice(middle) if number == 0 else slice(middle, None)
        return _Trial(self.index, self.blocks, self.live, self.order, self.queries[part], self.truth[part])

    def recalls(self, effort: int, depth: int, largest: int) -> tuple[NDArray[np.float64], float]:
        """Return mean recalls (largest,) at 1, 2 and so on, and queries a second."""
        from simsearch.search.approximate_search import approximate

        options: dict[str, Any] = {"effort": effort, "depth": depth, "live": self.live, "order": self.order}
        began = time.perf_counter()
        found = approximate(self.queries, self.blocks, self.index, k=largest, **options)
        rate = len(self.queries) / max(time.perf_counter() - began, 1e-9)
        return _shares(self.truth[:, :largest], found.distances).mean(axis=0), rate


def tune(
    index: Index,
    blocks: Sequence[Block],
    held_out: NDArray[np.int64],
    *,
    recall: float,
    ks: Sequence[int] = KS[:1],
    order: Order = "exact",
    live: Live | None = None,
    device: str = "cpu",
    progress: Told = lambda _points: None,
) -> tuple[Curve, ...]:
    """Measure an index by rows that are masked in every search, and choose its parameters.

    Args:
        index: Over the blocks, but for those at the end that hold only queries; trained on none of these.
        blocks: The rows.
        held_out: Positions of the queries (q,), in any order; the first half chooses, the second measures.
        recall: To be reached at k and at 1, in (0, 1].
        ks: Neighbours, ascending. Effort and depth never fall with k; where none reaches the recall, the best is taken,
            but for the first k.
        order: Of candidates, as for `approximate`.
        live: For each block which rows are live, or None for all.
        device: Where exact search runs; candidates are re-ranked on the CPU, as in a search.
        progress: Called with the number of points measured.

    Returns:
        A curve for each k, as far as there are ten times as many rows; one for the first at least.

    Raises:
        InputError: The recall is out of range, or there are fewer than two queries.
    """
    from simsearch.search.exact import knn

    if not 0 < recall <= 1:
        raise InputError(f"recall is {recall} and must be above 0 and at most 1")
    if len(held_out) < 2:
        raise InputError(f"there are {len(held_out)} rows to measure the index by, and 2 are needed at least")
    masks, covered = _without(held_out, blocks, live), len(blocks)
    while sum(map(len, blocks[:covered])) > index.count:
        covered -= 1
    there = sum(int(mask.sum()) for mask in masks)
    fitting = [ks[0], *(k for k in ks[1:] if 10 * k <= there)]
    middle, curves, done = len(held_out) // 2, list[Curve](), 0

    def count() -> None:
        nonlocal done
        done += 1
        progress(done)

    for k in fitting:
        recalls = middle if k == fitting[0] else min(middle, max(_FEW, _enough(recall)))
        queries = _rows(blocks, np.concatenate([held_out[:recalls], held_out[middle : middle + recalls]]))
        largest = max(min(math.ceil(SPARE * k), there), 1)
        truth = knn(queries, blocks, k=largest, metric=index.spec.metric, live=masks, device=device).distances
        trial = _Trial(index, blocks[:covered], masks[:covered], order, queries, truth)
        curves.append(_curve(trial, k, recall, curves[-1].chosen if curves else None, count))
        if curves[-1].chosen is None:
            break
    return tuple(curves)


def _curve(trial: _Trial, k: int, recall: float, least: CurvePoint | None, count: Callable[[], None]) -> Curve:
    """Return the curve at k, of points with no less effort and depth than another."""
    chooses, measures = trial.half(0), trial.half(1)
    largest = min(math.ceil(SPARE * k), trial.truth.shape[1])
    points: list[CurvePoint] = []
    good: list[CurvePoint] = []
    for effort, depth in _ways(trial.index, k, least, points, good):
        shares, rate = chooses.recalls(effort, depth, largest)
        points.append(_point(effort, depth, _interval(shares[min(k, largest) - 1], len(chooses.queries)), rate))
        if _interval(shares.min(), len(chooses.queries))[1] >= recall:
            good.append(points[-1])
        count()
    if not good and least is not None:
        good = [max(points, key=lambda point: point.recall)]
    chosen, chosen_shares = None, tuple[Share, ...]()
    tried, doubt = -1.0, _DOUBT
    for point in sorted(good, key=lambda point: -point.rate):
        if point.recall <= tried:
            continue
        tried, doubt = point.recall, doubt / 2  # several tests together err no more often than one
        shares, rate = measures.recalls(point.effort, point.depth, largest)
        intervals = tuple(_interval(share, len(measures.queries), doubt) for share in shares)
        if min(low for _, low, _ in intervals) >= recall or least is not None:
            chosen, chosen_shares = _point(point.effort, point.depth, intervals[min(k, largest) - 1], rate), intervals
        if min(low for _, low, _ in intervals) >= recall:
            break
    return Curve(k, len(chooses.queries), recall, undominated(points), chosen, chosen_shares)


def _ways(
    index: Index, k: int, least: CurvePoint | None, points: Sequence[CurvePoint], good: Sequence[CurvePoint]
) -> Iterator[tuple[int, int]]:
    """Yield efforts and depths to try next, given the points so far."""
    for depth in _depths(index, k, 1 if least is None else least.depth):
        for effort in index.efforts():
            if least is not None and effort < least.effort:
                continue
            yield effort, depth
            last = points[-1]
            slow = last.rate < max(point.rate for point in points) / _SLOWEST
            enough = _saturated(points) if least is None else last in good  # low efforts are raised for many
            if last.recall >= _ENOUGH or slow or enough:
                break


def _depths(index: Index, k: int, least: int) -> tuple[int, ...]:
    """Return the depths to try; kinds that keep whole rows need few more candidates than k."""
    whole = index.spec.kind in ("flat", "ivf_flat", "hnsw")
    multiples = DEPTHS_OF_MANY if k > KS[0] else DEPTHS[:2] if whole else DEPTHS
    depths = (max(least, math.ceil(SPARE * k) + 2, multiple * k) for multiple in multiples)
    return tuple(dict.fromkeys(min(depth, index.max_candidates) for depth in depths))


def _without(held_out: NDArray[np.int64], blocks: Sequence[Block], live: Live | None) -> list[NDArray[np.bool_]]:
    """Return the masks of live rows of each block, without the held-out ones."""
    from simsearch.search.scan.deletion_mask import whole_masks

    whole = np.concatenate(whole_masks(live, blocks))
    whole[held_out] = False
    return np.split(whole, np.cumsum([len(block) for block in blocks])[:-1])


def _rows(blocks: Sequence[Block], positions: NDArray[np.int64]) -> NDArray[Any]:
    from simsearch.search.exact import as_array

    starts = np.cumsum([0, *(len(block) for block in blocks)])
    of_block = np.searchsorted(starts, positions, side="right") - 1
    rows = [as_array(blocks[b][p - starts[b]][None])[0] for b, p in zip(of_block, positions, strict=True)]
    return np.stack(rows)


def _shares(truth: NDArray[np.float32], found: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return recalls (q, m) at 1, 2 and so on; any row as near as the last counts.

    Args:
        truth: Distances (q, m) to the nearest rows, ascending.
        found: Distances to the rows found.
    """
    places = np.arange(1, truth.shape[1] + 1)
    held = np.isfinite(found).sum(axis=1, keepdims=True)
    hits = [np.searchsorted(ours, theirs, side="right") for ours, theirs in zip(found, truth, strict=True)]
    shares: NDArray[np.float64] = np.minimum(np.minimum(hits, held), places) / places
    return shares


def _interval(share: float, queries: int, doubt: float = _DOUBT) -> Share:
    """Return the exact interval of a share of so many queries; a mean of shares varies no more."""
    from simsearch.decide.intervals import clopper_pearson  # brings SciPy, which opening a library need not wait for

    total = min(max(round(float(share) * queries, 6), 0), queries)
    low = clopper_pearson(math.floor(total), queries, 1 - doubt).low
    high = clopper_pearson(math.ceil(total), queries, 1 - doubt).high
    return round(float(share), 6), round(low, 6), round(high, 6)


def _enough(recall: float) -> int:
    """Return how many rows show a recall where half of the permitted misses occur."""
    if recall >= 1:
        return 1 << 31
    return math.ceil(math.log((1 - FIRST_CONFIDENCE) / 2) / math.log((1 + recall) / 2))


def _point(effort: int, depth: int, share: Share, rate: float) -> CurvePoint:
    return CurvePoint(effort, depth, *share, round(rate, 1))


def _saturated(points: Sequence[CurvePoint]) -> bool:
    """Return whether the last two doublings of effort at this depth found nothing more."""
    last = [point.recall for point in points if point.depth == points[-1].depth][-3:]
    return len(last) == 3 and last[0] > 0.5 and last[-1] - last[0] < 1e-4
