"""Row to neighbours: exact search on the chosen device."""

from __future__ import annotations

from simsearch.search.exact import knn
from simsearch.search.range_search import within
from simsearch.search.results import Neighbours, Range

__all__ = ["Neighbours", "Range", "knn", "within"]
