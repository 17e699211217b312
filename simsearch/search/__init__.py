"""Row to neighbours: exact search on the chosen device."""

from __future__ import annotations

from simsearch.search.exact import Neighbours, knn

__all__ = ["Neighbours", "knn"]
