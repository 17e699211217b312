"""A threshold set on one set of photographs and used on another: the paper's Table 2."""

from __future__ import annotations

import numpy as np

from simsearch.benchmark.data.nearest import Distances
from simsearch.benchmark.protocols.paper import Rules, share
from simsearch.benchmark.results import Estimate, Transfer, finite
from simsearch.decide.intervals import supported
from simsearch.decide.roc_curve import recall_at_fpr


def transferred(here: Distances, there: Distances, names: tuple[str, str], rules: Rules) -> Transfer:
    """False-positive rate and recall on both sets at the loosest threshold that keeps the main rate on the first.

    Args:
        here: One split of the set that decides the threshold.
        there: One split of the other.
        names: Method and metric.
        rules: The first rate is the main one.
    """
    fpr = rules.fpr[0]
    threshold = recall_at_fpr(here.copies.distance, here.strangers.distance, fpr).threshold

    def within(distances: Distances, what: str) -> Estimate:
        values = {
            "fpr": distances.strangers.distance,
            "recall": distances.copies.distance,
            "right image": distances.copies.own,
        }[what]
        enough = supported(fpr, min(len(here.strangers.distance), len(distances.strangers.distance)))
        return share((values <= threshold).astype(np.float64), rules, supported=enough)

    return Transfer(
        *names,
        fpr=fpr,
        threshold=finite(threshold),
        fpr_here=within(here, "fpr"),
        recall_here=within(here, "recall"),
        fpr_there=within(there, "fpr"),
        recall_there=within(there, "recall"),
        recall_right_image_there=within(there, "right image"),
    )
