"""The paper's figures, from the distances of one method, metric and split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.benchmark.data.nearest import Distances, Values
from simsearch.benchmark.results import Attack, Curve, Estimate, Group, OperatingPoint, PaperSplit, finite
from simsearch.decide.bootstrap import Area, RecallAtFpr, bootstrap_by_source
from simsearch.decide.intervals import supported
from simsearch.decide.roc_curve import Roc, auc, auc_on_grid, recall_at_fpr, roc
from simsearch.images.perturb import Perturbation

GRIDS = {
    "ahash": (0.0, 0.4),
    "phash": (0.1, 0.4),
    "dhash": (0.05, 0.4),
    "whash": (0.0, 0.4),
    "crop_resistant": (0.0, 0.4),
    "sift": (0.0, 300.0),
    "orb": (0.0, 0.3),
    "daisy": (0.0, 0.4),
    "latch": (0.1, 0.4),
}
"""First and last threshold of the paper for its own methods, whatever their parameters."""
GRID_POINTS = 20
HASH_LENGTH_GRID = (0.0, 0.8)
HASH_LENGTH_POINTS = 30
_CURVE_POINTS = 200


@dataclass(frozen=True, slots=True)
class Rules:
    """The parameters of figures.

    Attributes:
        fpr: False-positive rates; the first is the main one.
        repeats: Draws of an interval.
        seed: Of these draws.
        grid: Thresholds of the paper; by default its own for the method, else the range of all distances.
    """

    fpr: tuple[float, ...]
    repeats: int
    seed: int
    grid: Values | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """The names of a measurement in the results.

    Attributes:
        method: Its name.
        metric: The distance.
        seed: Of the split.
        database: Photographs that can be found.
        edits: In the order of the distances' columns.
    """

    method: str
    metric: str
    seed: int
    database: int
    edits: Sequence[Perturbation]


def paper_split(found: Distances, subject: Subject, rules: Rules) -> PaperSplit:
    """Return all figures of the paper, with intervals, every attack, and groups of attacks."""
    positives, own, negatives = found.copies.distance, found.copies.own, found.strangers.distance
    hits = right_first(found)
    grid, of_paper = _grid(found, subject.method, rules)
    points = operating_points(found, rules)
    threshold = np.inf if points[0].threshold is None else points[0].threshold
    scope = _Scope(positives, own, negatives, hits, grid, threshold, points[0].recall.supported, rules)
    return PaperSplit(
        method=subject.method,
        metric=subject.metric,
        seed=subject.seed,
        database=subject.database,
        attacked=len(positives),
        edits=positives.shape[1],
        auc=area(positives, negatives, rules),
        auc_right_image=area(own, negatives, rules),
        auc_on_grid=auc_on_grid(positives, negatives, grid),
        grid=(float(grid[0]), float(grid[-1])),
        grid_of_paper=of_paper,
        right_image_first=share(hits, rules),
        operating=points,
        roc=curve(roc(positives, negatives)),
        roc_right_image=curve(roc(own, negatives)),
        attacks=tuple(
            Attack(edit.name, edit.family, edit.category, **scope.of([e])) for e, edit in enumerate(subject.edits)
        ),
        groups=_groups(scope, subject.edits),
    )


def operating_points(found: Distances, rules: Rules) -> tuple[OperatingPoint, ...]:
    """Return the recall at each false-positive rate, any match and right image, with intervals by source image."""
    positives, own, negatives = found.copies.distance, found.copies.own, found.strangers.distance
    return tuple(_operating_point(positives, own, negatives, fpr, rules) for fpr in rules.fpr)


def right_first(found: Distances) -> NDArray[np.float64]:
    """Return whether each copy's own original is nearer to it than any other image: (attacked, edits) 0 or 1.

    A tie with others counts as not nearer, whatever their order.
    """
    copies = found.copies
    first = np.isfinite(copies.own) & (copies.own <= copies.distance) & ~(copies.other <= copies.distance)
    return first.astype(np.float64)


def area(positives: Values, negatives: Values, rules: Rules) -> Estimate:
    """Return the exact area with its interval."""
    interval = bootstrap_by_source(
        Area(), positives, negatives, rng=np.random.default_rng(rules.seed), repeats=rules.repeats
    )
    return Estimate.of_interval(auc(positives, negatives), interval)


def share(hits: Values, rules: Rules, *, supported: bool = True) -> Estimate:
    """Return the share of ones in (sources, copies), with the interval from drawing sources again."""
    by_source = hits.mean(axis=1)
    rng = np.random.default_rng(rules.seed)
    draws = by_source[rng.integers(0, len(by_source), (rules.repeats, len(by_source)))].mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(float(by_source.mean()), float(low), float(high), supported)


def share_within(within: NDArray[np.bool_], rules: Rules, *, supported: bool) -> Estimate:
    """Return the share of (sources, copies) that are within; single copies of sources are independent trials."""
    if within.shape[1] == 1:
        return Estimate.of_share(int(within.sum()), len(within), supported=supported)
    return share(within.astype(np.float64), rules, supported=supported)


def curve(whole: Roc) -> Curve:
    """Return a ROC curve thinned evenly along its length, both ends kept."""
    along = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(whole.fpr)) + np.abs(np.diff(whole.recall)))])
    kept = np.unique(np.searchsorted(along, np.linspace(0, along[-1], _CURVE_POINTS - 1)))
    kept = np.unique([0, *kept.clip(0, len(along) - 1), len(along) - 1])
    return Curve(
        tuple(finite(value) for value in whole.thresholds[kept]),
        tuple(float(value) for value in whole.fpr[kept]),
        tuple(float(value) for value in whole.recall[kept]),
    )


@dataclass(frozen=True, slots=True)
class _Scope:
    """All queries of a split, and the figures of some of its edits."""

    positives: Values
    own: Values
    negatives: Values
    hits: Values
    grid: Values
    threshold: float
    supported: bool
    rules: Rules

    def of(self, edits: Sequence[int]) -> dict[str, Any]:
        """Return the fields that `Attack` and `Group` share."""
        positives, own, negatives, hits = (
            values[:, edits] for values in (self.positives, self.own, self.negatives, self.hits)
        )
        return {
            "auc": auc(positives, negatives),
            "auc_right_image": auc(own, negatives),
            "auc_on_grid": auc_on_grid(positives, negatives, self.grid),
            "recall": share_within(positives <= self.threshold, self.rules, supported=self.supported),
            "recall_right_image": share_within(own <= self.threshold, self.rules, supported=self.supported),
            "right_image_first": float(hits.mean()),
        }


def _operating_point(positives: Values, own: Values, negatives: Values, fpr: float, rules: Rules) -> OperatingPoint:
    point = recall_at_fpr(positives, negatives, fpr)
    enough = supported(fpr, len(negatives))

    def recall(distances: Values) -> Estimate:
        rng = np.random.default_rng(rules.seed)
        interval = bootstrap_by_source(RecallAtFpr(fpr), distances, negatives, rng=rng, repeats=rules.repeats)
        return Estimate.of_interval(float((distances <= point.threshold).mean()), interval, supported=enough)

    measured = share((negatives <= point.threshold).astype(np.float64), rules, supported=enough)
    return OperatingPoint(fpr, finite(point.threshold), measured, recall(positives), recall(own))


def _groups(scope: _Scope, edits: Sequence[Perturbation]) -> tuple[Group, ...]:
    pools: dict[tuple[str, str], list[int]] = {}
    for number, edit in enumerate(edits):
        pools.setdefault((edit.category, "category"), []).append(number)
    for number, edit in enumerate(edits):
        pools.setdefault(("text" if edit.category == "text" else "no text", "text"), []).append(number)
    return tuple(
        Group(name, "text" if kind == "text" else "category", len(numbers), **scope.of(numbers))
        for (name, kind), numbers in pools.items()
    )


def _grid(found: Distances, method: str, rules: Rules) -> tuple[Values, bool]:
    if rules.grid is not None:
        return rules.grid, True
    name = method.partition("(")[0]
    if name in GRIDS:
        return np.linspace(*GRIDS[name], GRID_POINTS), True
    both = np.concatenate([found.copies.distance.ravel(), found.strangers.distance.ravel()])
    both = both[np.isfinite(both)]
    ends = (float(both.min()), float(both.max())) if both.size else (0.0, 1.0)
    return np.linspace(*ends, GRID_POINTS), False
