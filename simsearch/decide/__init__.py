"""How far to trust a match: arrays in, values out; a `Statistic` maps a draw of source images to a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsearch._lazy import attach

if TYPE_CHECKING:
    from simsearch.decide.accounts import OwnerRates as OwnerRates
    from simsearch.decide.accounts import at_least as at_least
    from simsearch.decide.accounts import share_of_list as share_of_list
    from simsearch.decide.accounts import smallest_k as smallest_k
    from simsearch.decide.bootstrap import Area as Area
    from simsearch.decide.bootstrap import CountStatistic as CountStatistic
    from simsearch.decide.bootstrap import RecallAtFpr as RecallAtFpr
    from simsearch.decide.bootstrap import Statistic as Statistic
    from simsearch.decide.bootstrap import bootstrap_by_source as bootstrap_by_source
    from simsearch.decide.calibration import Calibration as Calibration
    from simsearch.decide.calibration import Expected as Expected
    from simsearch.decide.calibration import in_words as in_words
    from simsearch.decide.calibration import most_expected as most_expected
    from simsearch.decide.copy_recall import Draws as Draws
    from simsearch.decide.copy_recall import difference_interval as difference_interval
    from simsearch.decide.copy_recall import drawn_shares as drawn_shares
    from simsearch.decide.copy_recall import mean_interval as mean_interval
    from simsearch.decide.copy_recall import shares_within as shares_within
    from simsearch.decide.density import Density as Density
    from simsearch.decide.held_out import HeldOut as HeldOut
    from simsearch.decide.held_out import held_out as held_out
    from simsearch.decide.intervals import Estimate as Estimate
    from simsearch.decide.intervals import Interval as Interval
    from simsearch.decide.intervals import clopper_pearson as clopper_pearson
    from simsearch.decide.intervals import supported as supported
    from simsearch.decide.known_rates import KnownRates as KnownRates
    from simsearch.decide.pair_rate import PairTail as PairTail
    from simsearch.decide.pair_rate import Strangers as Strangers
    from simsearch.decide.pair_rate import rate_for as rate_for
    from simsearch.decide.ranking import AveragePrecision as AveragePrecision
    from simsearch.decide.ranking import Ranking as Ranking
    from simsearch.decide.ranking import RankPoint as RankPoint
    from simsearch.decide.ranking import RecallAtPrecision as RecallAtPrecision
    from simsearch.decide.ranking import bootstrap_ranking as bootstrap_ranking
    from simsearch.decide.ranking import micro_average_precision as micro_average_precision
    from simsearch.decide.ranking import pooled as pooled
    from simsearch.decide.ranking import ranked as ranked
    from simsearch.decide.ranking import recall_at_precision as recall_at_precision
    from simsearch.decide.rate_curve import JointRate as JointRate
    from simsearch.decide.rate_curve import RateCurve as RateCurve
    from simsearch.decide.rate_curve import Sides as Sides
    from simsearch.decide.roc_curve import ImageRecall as ImageRecall
    from simsearch.decide.roc_curve import OperatingPoint as OperatingPoint
    from simsearch.decide.roc_curve import Roc as Roc
    from simsearch.decide.roc_curve import auc as auc
    from simsearch.decide.roc_curve import auc_on_grid as auc_on_grid
    from simsearch.decide.roc_curve import image_recall_at_fpr as image_recall_at_fpr
    from simsearch.decide.roc_curve import recall_at_fpr as recall_at_fpr
    from simsearch.decide.roc_curve import roc as roc
    from simsearch.decide.thresholds import Step as Step
    from simsearch.decide.thresholds import recall_within as recall_within
    from simsearch.decide.thresholds import steps as steps
    from simsearch.decide.thresholds import threshold_for_precision as threshold_for_precision

attach(
    __name__,
    {
        "Area": "bootstrap",
        "AveragePrecision": "ranking",
        "Calibration": "calibration",
        "CountStatistic": "bootstrap",
        "Density": "density",
        "Draws": "copy_recall",
        "Estimate": "intervals",
        "Expected": "calibration",
        "HeldOut": "held_out",
        "ImageRecall": "roc_curve",
        "Interval": "intervals",
        "JointRate": "rate_curve",
        "KnownRates": "known_rates",
        "OperatingPoint": "roc_curve",
        "OwnerRates": "accounts",
        "PairTail": "pair_rate",
        "RankPoint": "ranking",
        "Ranking": "ranking",
        "RateCurve": "rate_curve",
        "RecallAtFpr": "bootstrap",
        "RecallAtPrecision": "ranking",
        "Roc": "roc_curve",
        "Sides": "rate_curve",
        "Statistic": "bootstrap",
        "Step": "thresholds",
        "Strangers": "pair_rate",
        "at_least": "accounts",
        "auc": "roc_curve",
        "auc_on_grid": "roc_curve",
        "bootstrap_by_source": "bootstrap",
        "bootstrap_ranking": "ranking",
        "clopper_pearson": "intervals",
        "difference_interval": "copy_recall",
        "drawn_shares": "copy_recall",
        "held_out": "held_out",
        "image_recall_at_fpr": "roc_curve",
        "in_words": "calibration",
        "mean_interval": "copy_recall",
        "micro_average_precision": "ranking",
        "most_expected": "calibration",
        "pooled": "ranking",
        "ranked": "ranking",
        "rate_for": "pair_rate",
        "recall_at_fpr": "roc_curve",
        "recall_at_precision": "ranking",
        "recall_within": "thresholds",
        "roc": "roc_curve",
        "share_of_list": "accounts",
        "shares_within": "copy_recall",
        "smallest_k": "accounts",
        "steps": "thresholds",
        "supported": "intervals",
        "threshold_for_precision": "thresholds",
    },
)
