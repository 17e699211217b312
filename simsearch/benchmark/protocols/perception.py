"""perception's table: threshold and recall at a false-positive rate, by category of photographs and transform.

All originals are in the database; each copy is compared with its own original and with the nearest other image. The
false-positive rate is the share of copies that another image comes within the threshold of.

Reference:
    thorn-oss/perception, "Benchmarking", `compute_threshold_recall`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simsearch.benchmark.data.nearest import Nearest, Values
from simsearch.benchmark.data.photographs import Picture
from simsearch.benchmark.protocols.paper import Rules, share_within
from simsearch.benchmark.results import Estimate, PerceptionRow, finite
from simsearch.decide.bootstrap import RecallAtFpr, bootstrap_by_source
from simsearch.decide.intervals import supported
from simsearch.decide.roc_curve import recall_at_fpr

ALL = "all"


def perception_rows(
    found: Nearest, pictures: Sequence[Picture], subject: tuple[str, str, Sequence[str]], rules: Rules
) -> tuple[PerceptionRow, ...]:
    """Return the table of one method, for all photographs and each category, all edits together and each.

    Args:
        found: Distances of the pictures' copies (pictures, edits) to a database that holds them all.
        pictures: Whose copies these are.
        subject: Method, metric, names of the edits.
        rules: The first rate is the one reported.
    """
    method, metric, edits = subject
    categories = np.array([picture.category for picture in pictures])
    named = [category for category in np.unique(categories) if category and len(np.unique(categories)) > 1]
    everyone = np.ones(len(pictures), np.bool_)
    groups = [(ALL, everyone), *((str(category), categories == category) for category in named)]
    columns = [(ALL, slice(None)), *((edit, slice(e, e + 1)) for e, edit in enumerate(edits))]
    return tuple(
        _row(found.own[chosen, copies], found.other[chosen, copies], (method, metric, category, edit), rules)
        for category, chosen in groups
        for edit, copies in columns
    )


def _row(own: Values, other: Values, names: tuple[str, str, str, str], rules: Rules) -> PerceptionRow:
    fpr = rules.fpr[0]
    point = recall_at_fpr(own, other, fpr)
    enough = supported(fpr, len(own))
    return PerceptionRow(
        *names,
        fpr=fpr,
        threshold=finite(point.threshold),
        measured_fpr=share_within(other <= point.threshold, rules, supported=enough),
        recall=_recall(own, other, point.recall, rules, enough=enough),
        photographs=len(own),
    )


def _recall(own: Values, other: Values, recall: float, rules: Rules, *, enough: bool) -> Estimate:
    if own.shape[1] == 1:
        return Estimate.of_share(round(recall * len(own)), len(own), supported=enough)
    rng = np.random.default_rng(rules.seed)
    return Estimate.of_interval(
        recall,
        bootstrap_by_source(RecallAtFpr(rules.fpr[0]), own, other, rng=rng, repeats=rules.repeats),
        supported=enough,
    )
