"""Copies and strangers as rankings: micro average precision, and recall after chains of mild edits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simsearch.benchmark.data.nearest import Distances
from simsearch.benchmark.protocols.paper import Rules
from simsearch.benchmark.results import ChainPoint, CopyDetection, Estimate, finite
from simsearch.decide.intervals import supported
from simsearch.decide.ranking import (
    AveragePrecision,
    Ranking,
    RecallAtPrecision,
    bootstrap_ranking,
    micro_average_precision,
    ranked,
    recall_at_precision,
)
from simsearch.decide.roc_curve import recall_at_fpr


def copy_detection(found: Distances, names: tuple[str, str], rules: Rules, precision: float) -> CopyDetection:
    """Return micro average precision and recall at a precision, where each query predicts its nearest image.

    Args:
        found: Distances of one split.
        names: Method and metric.
        rules: Of intervals.
        precision: Of the recall.
    """
    ranking = nearest_ranking(found)
    rng = np.random.default_rng(rules.seed)
    average = bootstrap_ranking(AveragePrecision(), ranking, rng=rng, repeats=rules.repeats)
    rng = np.random.default_rng(rules.seed)
    recall = bootstrap_ranking(RecallAtPrecision(precision), ranking, rng=rng, repeats=rules.repeats)
    enough = supported(1 - precision, len(found.strangers.distance))  # wrong predictions that the precision allows
    return CopyDetection(
        *names,
        micro_average_precision=Estimate.of_interval(micro_average_precision(ranking), average, supported=enough),
        recall_at_precision=Estimate.of_interval(
            recall_at_precision(ranking, precision).recall, recall, supported=enough
        ),
        precision=precision,
    )


def nearest_ranking(found: Distances) -> Ranking:
    """Return the nearest image of each query; each copy has one original to find, strangers have none.

    Where a copy's original ties with others, there are two predictions, a right and a wrong one: the order of the
    database does not count.
    """
    attacked, edits = found.copies.distance.shape
    strangers = len(found.strangers.distance)
    positives, negatives = found.copies.distance.ravel(), found.strangers.distance.ravel()
    right = (found.copies.own <= found.copies.distance).ravel()
    wrong = ~right | (found.copies.other <= found.copies.distance).ravel()
    source = np.repeat(np.arange(attacked + strangers), edits)
    return ranked(
        np.concatenate([positives[right], positives[wrong], negatives]),
        np.arange(right.sum() + wrong.sum() + negatives.size) < right.sum(),
        np.concatenate([source[: positives.size][right], source[: positives.size][wrong], source[positives.size :]]),
        np.array([edits] * attacked + [0] * strangers),
    )


def chain_points(
    found: Distances, names: tuple[str, str], lengths: Sequence[int], rules: Rules
) -> tuple[ChainPoint, ...]:
    """Return the recall after each chain, at the threshold of the main rate on all edited strangers together.

    Args:
        found: Distances whose columns are chains.
        names: Method and metric.
        lengths: Of the chains.
        rules: The first rate is the main one.
    """
    fpr = rules.fpr[0]
    positives, own, negatives = found.copies.distance, found.copies.own, found.strangers.distance
    threshold = recall_at_fpr(positives, negatives, fpr).threshold
    enough = supported(fpr, len(negatives))
    return tuple(
        ChainPoint(
            *names,
            k=k,
            fpr=fpr,
            threshold=finite(threshold),
            recall=Estimate.of_share(int((positives[:, i] <= threshold).sum()), len(positives), supported=enough),
            recall_right_image=Estimate.of_share(int((own[:, i] <= threshold).sum()), len(positives), supported=enough),
        )
        for i, k in enumerate(lengths)
    )
