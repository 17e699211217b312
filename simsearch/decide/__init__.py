"""How far to trust a match: arrays in, values out."""

from __future__ import annotations

from simsearch.decide.metrics import (
    Interval,
    OperatingPoint,
    Roc,
    auc,
    auc_on_grid,
    bootstrap_by_source,
    clopper_pearson,
    recall_at_fpr,
    roc,
    supported,
)

__all__ = [
    "Interval",
    "OperatingPoint",
    "Roc",
    "auc",
    "auc_on_grid",
    "bootstrap_by_source",
    "clopper_pearson",
    "recall_at_fpr",
    "roc",
    "supported",
]
