"""The leaderboard of a benchmark: methods by metrics, with their figures over all splits."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from simsearch.benchmark.results import Attack, Estimate, Method, OperatingPoint, PaperMean, PaperSplit, Results, Time

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Contender:
    """One method by one metric.

    Attributes:
        method: Its name, label and kind.
        metric: The distance.
        label: Its name in reports: the method's label, and the metric where several were scored.
        place: Its number among all; decides its colour.
        mean: Figures over all splits.
        splits: Each split with its intervals.
        time: Its time, where that was measured.
    """

    method: Method
    metric: str
    label: str
    place: int
    mean: PaperMean
    splits: tuple[PaperSplit, ...]
    time: Time | None

    @property
    def key(self) -> Key:
        """Method and metric."""
        return self.mean.key

    @property
    def auc(self) -> Estimate:
        """The exact area when any match counts."""
        return averaged(split.auc for split in self.splits)

    @property
    def auc_right_image(self) -> Estimate:
        """The exact area when only the right image counts."""
        return averaged(split.auc_right_image for split in self.splits)

    @property
    def right_image_first(self) -> Estimate:
        """Share of copies whose nearest image is their original."""
        return averaged(split.right_image_first for split in self.splits)

    def at(self, fpr: float) -> OperatingPoint:
        """Return its figures at that false-positive rate, over all splits; supported only where every split is."""
        points = [point for split in self.splits for point in split.operating if point.fpr == fpr]
        sure = all(point.supported for point in self.mean.operating if point.fpr == fpr)
        thresholds = [point.threshold for point in points if point.threshold is not None]
        return OperatingPoint(
            fpr,
            statistics.fmean(thresholds) if thresholds else None,
            averaged((point.measured_fpr for point in points), supported=sure),
            averaged((point.recall for point in points), supported=sure),
            averaged((point.recall_right_image for point in points), supported=sure),
        )

    def attacks(self) -> tuple[Attack, ...]:
        """Return the figures of each edit, over all splits."""
        return tuple(_over_splits(same) for same in zip(*(split.attacks for split in self.splits), strict=True))

    def categories(self) -> dict[str, Estimate]:
        """Share of originals found by category of edits, over all splits, the worst first."""
        pooled: dict[str, list[Estimate]] = {}
        for split in self.splits:
            for group in split.groups:
                if group.kind == "category":
                    pooled.setdefault(group.name, []).append(group.recall_right_image)
        means = {name: averaged(every) for name, every in pooled.items()}
        return dict(sorted(means.items(), key=lambda pair: pair[1].value))


def contenders(results: Results) -> tuple[Contender, ...]:
    """Return all that ran the paper's protocol, by recall of the right image at the answer's rate."""
    methods = {method.name: method for method in results.methods}
    scored = [mean.key for mean in results.means]
    times = {time.method: time for time in results.times}
    found = [
        Contender(
            methods.get(mean.method) or Method(mean.method, mean.method, "user"),
            mean.metric,
            label(results, mean.key),
            scored.index(mean.key),
            mean,
            tuple(s for s in results.paper if s.key == mean.key),
            times.get(mean.method),
        )
        for mean in results.means
    ]
    found = [one for one in found if one.splits]
    rate = answer_rate(found)
    return tuple(
        sorted(found, key=lambda one: (-one.at(rate).recall_right_image.value, -one.auc_right_image.value, one.label))
    )


def label(results: Results, key: Key) -> str:
    """Return the label of a method by a metric: the metric only where the method was scored by several."""
    name, metric = key
    shown = next((method.label for method in results.methods if method.name == name), name)
    twins = [one.name for one in results.methods if one.label == shown]
    if len(twins) > 1:
        shown = name
    scored = [mean.key for mean in results.means]
    scored += [one.key for one in results.needle.methods] if results.needle else []
    several = len({metric for method, metric in scored if method == name}) > 1
    return f"{shown} by {metric}" if several else shown


def rates(found: Iterable[Contender]) -> tuple[float, ...]:
    """Return the false-positive rates at which recall was measured, ascending."""
    return tuple(sorted({point.fpr for one in found for split in one.splits for point in split.operating}))


def answer_rate(found: Iterable[Contender]) -> float:
    """Return the smallest false-positive rate that is supported for every contender, else the largest."""
    entries = list(found)
    every = rates(entries)
    sure = [rate for rate in every if all(one.at(rate).recall.supported for one in entries)]
    return min(sure, default=max(every, default=0.0))


def averaged(estimates: Iterable[Estimate], *, supported: bool | None = None) -> Estimate:
    """Return the mean over splits of a value and of both ends of its interval.

    The splits share their photographs, so an interval of the mean would not be narrower by their number: the mean
    interval of one split is what is printed.

    Example:
        >>> averaged([Estimate(0.5, 0.25, 0.75), Estimate(1.0, 0.75, 1.0)])
        Estimate(value=0.75, low=0.5, high=0.875, supported=True)
    """
    every = list(estimates)
    return Estimate(
        statistics.fmean(one.value for one in every),
        statistics.fmean(one.low for one in every),
        statistics.fmean(one.high for one in every),
        all(one.supported for one in every) if supported is None else supported,
    )


def _over_splits(same: tuple[Attack, ...]) -> Attack:
    first = same[0]
    return Attack(
        first.name,
        first.family,
        first.category,
        statistics.fmean(one.auc for one in same),
        statistics.fmean(one.auc_right_image for one in same),
        statistics.fmean(one.auc_on_grid for one in same),
        averaged(one.recall for one in same),
        averaged(one.recall_right_image for one in same),
        statistics.fmean(one.right_image_first for one in same),
    )
