"""Figures of several splits as mean, lowest and highest."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from simsearch.benchmark.results import (
    Attack,
    AttackMean,
    Estimate,
    Group,
    OperatingPoint,
    PaperMean,
    PaperSplit,
    RecallMean,
    Spread,
)


def spread(values: Iterable[float | Estimate]) -> Spread:
    """Return the mean, lowest and highest.

    Example:
        >>> spread([1.0, 3.0])
        Spread(mean=2.0, lowest=1.0, highest=3.0)
    """
    numbers = [value.value if isinstance(value, Estimate) else float(value) for value in values]
    return Spread(statistics.fmean(numbers), min(numbers), max(numbers))


def paper_means(splits: Sequence[PaperSplit]) -> tuple[PaperMean, ...]:
    """Return one mean for each method and metric, in the order of the splits."""
    grouped: dict[tuple[str, str], list[PaperSplit]] = {}
    for split in splits:
        grouped.setdefault(split.key, []).append(split)
    return tuple(map(_mean, grouped.values()))


def _mean(splits: Sequence[PaperSplit]) -> PaperMean:
    one = splits[0]
    operating = tuple(map(_recall, zip(*(split.operating for split in splits), strict=True)))
    return PaperMean(
        method=one.method,
        metric=one.metric,
        splits=len(splits),
        auc=spread(split.auc for split in splits),
        auc_right_image=spread(split.auc_right_image for split in splits),
        auc_on_grid=spread(split.auc_on_grid for split in splits),
        grid_of_paper=one.grid_of_paper,
        right_image_first=spread(split.right_image_first for split in splits),
        fpr=operating[0].fpr,
        recall=operating[0].recall,
        recall_right_image=operating[0].recall_right_image,
        supported=operating[0].supported,
        operating=operating,
        attacks=tuple(map(_attack, zip(*(split.attacks for split in splits), strict=True))),
        groups=tuple(map(_attack, zip(*(split.groups for split in splits), strict=True))),
    )


def _recall(points: Sequence[OperatingPoint]) -> RecallMean:
    return RecallMean(
        fpr=points[0].fpr,
        measured_fpr=spread(point.measured_fpr for point in points),
        recall=spread(point.recall for point in points),
        recall_right_image=spread(point.recall_right_image for point in points),
        supported=all(point.recall.supported for point in points),
    )


def _attack(attacks: Sequence[Attack | Group]) -> AttackMean:
    one = attacks[0]
    family, category = (one.kind, one.name) if isinstance(one, Group) else (one.family, one.category)
    return AttackMean(
        name=one.name,
        family=family,
        category=category,
        auc=spread(attack.auc for attack in attacks),
        auc_right_image=spread(attack.auc_right_image for attack in attacks),
        auc_on_grid=spread(attack.auc_on_grid for attack in attacks),
        recall=spread(attack.recall for attack in attacks),
        recall_right_image=spread(attack.recall_right_image for attack in attacks),
        right_image_first=spread(attack.right_image_first for attack in attacks),
    )
