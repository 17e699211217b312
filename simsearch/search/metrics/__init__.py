"""One metric, one file: its scores in float32, its distances in float64, each with its error, and its kernels."""

from __future__ import annotations

from simsearch.search.metrics import cosine, hamming, js, l1, l2
from simsearch.search.metrics.base import SearchMetric

SEARCH_METRICS: dict[str, SearchMetric] = {
    "js": js.METRIC,
    "cosine": cosine.METRIC,
    "l1": l1.METRIC,
    "l2": l2.METRIC,
    "hamming": hamming.METRIC,
}
"""By the names of `simsearch.distance.METRICS`."""
