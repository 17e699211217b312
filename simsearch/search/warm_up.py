"""Compiled passes loaded before the first search, which would else wait for them or do without."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.search.hamming import asymmetric, search


def make_ready(metric: str, rows: NDArray[Any], *, by_index: bool = False) -> None:
    """Load from disk, or compile, the CPU passes for such rows; later searches by the metric use them at once.

    Args:
        metric: A name of `simsearch.distance.METRICS`, or "asymmetric".
        rows: Any (n, d) of the type and length that are searched, even none.
        by_index: Include the passes that re-rank an index's candidates.
    """
    sample = np.ones((search.SLICED, rows.shape[1]), rows.dtype)
    sample.flags.writeable = False  # as those of a library are: passes are compiled for the one or the other
    if metric == "asymmetric":
        asymmetric.expect()
        asymmetric.nearest_by_margins(np.ones((1, 8 * rows.shape[1])), [sample], k=1)
    elif metric == "hamming":
        _of_codes(sample)
    else:
        _of_rows(metric, sample, by_index=by_index)


def _of_codes(sample: NDArray[np.uint8]) -> None:
    from simsearch.search.exact import knn
    from simsearch.search.range_search import within

    search.expect(sample.shape[1])
    for queries in (sample[:1].copy(), sample.copy()):
        knn(queries, [sample], k=1, metric="hamming", device="cpu")
    within(sample[:1].copy(), [sample], max_distance=0.0, metric="hamming", device="cpu")


def _of_rows(metric: str, sample: NDArray[Any], *, by_index: bool) -> None:
    from simsearch.search.exact import knn
    from simsearch.search.few_queries import scores
    from simsearch.search.refine import compiled_blocks

    kind = str(sample.dtype)
    scores.expect(metric, kind)
    compiled_blocks.expect(metric, kind)
    knn(sample[:1], [sample], k=1, metric=metric, device="cpu")
    if by_index:
        from simsearch.search.refine.compiled_pairs import kernels

        one = np.ones((1, sample.shape[1]), np.float32), compiled_blocks.as_stored(sample)
        kernels(metric, kind).score(*one, 0, np.zeros((1, 1), np.int64), np.empty((1, 1), np.float32))
