"""A threshold set on one set of photographs and applied to another: the paper's Table 2."""

from __future__ import annotations

import numpy as np

from simsearch.benchmark.data.nearest import Distances, Values
from simsearch.benchmark.protocols.paper import Rules, share
from simsearch.benchmark.results import Estimate, Transfer, finite
from simsearch.decide.intervals import supported
from simsearch.decide.roc_curve import recall_at_fpr


def transferred(here: Distances, there: Distances, names: tuple[str, str], rules: Rules) -> Transfer:
    """Return false-positive rate and recall on both sets at the loosest threshold of the main rate on the first.

    Args:
        here: One split of the set that determines the threshold.
        there: One split of the other.
        names: Method and metric.
        rules: The first rate is the main one.
    """
    fpr = rules.fpr[0]
    threshold = recall_at_fpr(here.copies.distance, here.strangers.distance, fpr).threshold

    main, other = here.strangers.distance, there.strangers.distance

    def within(values: Values, strangers: Values) -> Estimate:
        enough = supported(fpr, min(len(main), len(strangers)))
        return share((values <= threshold).astype(np.float64), rules, supported=enough)

    return Transfer(
        *names,
        fpr=fpr,
        threshold=finite(threshold),
        fpr_here=within(main, main),
        recall_here=within(here.copies.distance, main),
        fpr_there=within(other, other),
        recall_there=within(there.copies.distance, other),
        recall_right_image_there=within(there.copies.own, other),
    )
