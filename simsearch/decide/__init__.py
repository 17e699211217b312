"""How far to trust a match: arrays in, values out; a `Statistic` maps a draw of source images to a number."""

from __future__ import annotations

from simsearch.decide.bootstrap import Area, CountStatistic, RecallAtFpr, Statistic, bootstrap_by_source
from simsearch.decide.copy_recall import Draws, difference_interval, drawn_shares, mean_interval, shares_within
from simsearch.decide.held_out import HeldOut, held_out
from simsearch.decide.intervals import Estimate, Interval, clopper_pearson, supported
from simsearch.decide.pair_rate import PairTail, Strangers, rate_for
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
from simsearch.decide.roc_curve import (
    ImageRecall,
    OperatingPoint,
    Roc,
    auc,
    auc_on_grid,
    image_recall_at_fpr,
    recall_at_fpr,
    roc,
)

__all__ = [
    "Area",
    "AveragePrecision",
    "CountStatistic",
    "Draws",
    "Estimate",
    "HeldOut",
    "ImageRecall",
    "Interval",
    "OperatingPoint",
    "PairTail",
    "RankPoint",
    "Ranking",
    "RecallAtFpr",
    "RecallAtPrecision",
    "Roc",
    "Statistic",
    "Strangers",
    "auc",
    "auc_on_grid",
    "bootstrap_by_source",
    "bootstrap_ranking",
    "clopper_pearson",
    "difference_interval",
    "drawn_shares",
    "held_out",
    "image_recall_at_fpr",
    "mean_interval",
    "micro_average_precision",
    "pooled",
    "ranked",
    "rate_for",
    "recall_at_fpr",
    "recall_at_precision",
    "roc",
    "shares_within",
    "supported",
]
