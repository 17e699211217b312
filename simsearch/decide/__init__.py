"""How far to trust a match: arrays in, values out."""

from __future__ import annotations

from simsearch.decide.bootstrap import Area, CountStatistic, RecallAtFpr, Statistic, bootstrap_by_source
from simsearch.decide.intervals import Estimate, Interval, clopper_pearson, supported
from simsearch.decide.metrics import (
    ImageRecall,
    OperatingPoint,
    Roc,
    auc,
    auc_on_grid,
    image_recall_at_fpr,
    recall_at_fpr,
    roc,
)
from simsearch.decide.ranking import (
    AveragePrecision,
    Ranking,
    RankPoint,
    RecallAtPrecision,
    bootstrap_ranking,
    micro_average_precision,
    pooled,
    ranked,
    recall_at_precision,
)

__all__ = [
    "Area",
    "AveragePrecision",
    "CountStatistic",
    "Estimate",
    "ImageRecall",
    "Interval",
    "OperatingPoint",
    "RankPoint",
    "Ranking",
    "RecallAtFpr",
    "RecallAtPrecision",
    "Roc",
    "Statistic",
    "auc",
    "auc_on_grid",
    "bootstrap_by_source",
    "bootstrap_ranking",
    "clopper_pearson",
    "image_recall_at_fpr",
    "micro_average_precision",
    "pooled",
    "ranked",
    "recall_at_fpr",
    "recall_at_precision",
    "roc",
    "supported",
]
