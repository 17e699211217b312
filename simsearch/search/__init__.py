"""Row to neighbours: exact search on the chosen device."""

from __future__ import annotations

from simsearch.search.exact import Neighbours, knn
from simsearch.search.ranges import Range, within

__all__ = ["Neighbours", "Range", "knn", "within"]
