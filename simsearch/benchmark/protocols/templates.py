"""Templates and their variants, such as memes: half of the templates are the database, variants of the rest strangers.

Nothing is edited. A template is represented by its first image listed, which is no query.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simsearch.benchmark.data.edit_set import ORIGINAL
from simsearch.benchmark.data.methods import MethodSpec
from simsearch.benchmark.data.nearest import Nearest, Sides, nearest
from simsearch.benchmark.data.photographs import Picture
from simsearch.benchmark.data.row_cache import RowCache
from simsearch.benchmark.protocols.paper import GRID_POINTS, GRIDS, Rules, curve
from simsearch.benchmark.results import Estimate, OperatingPoint, Templates, finite
from simsearch.decide.bootstrap import Area, CountStatistic, RecallAtFpr, of_draws, percentiles, times_drawn
from simsearch.decide.intervals import Interval, supported
from simsearch.decide.roc_curve import auc_on_grid, recall_at_fpr, roc
from simsearch.errors import InputError
from simsearch.runtime.user_files import read_csv

Values = NDArray[np.float64]

_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class TemplateSplit:
    """Pictures by their roles.

    Attributes:
        database: One picture for each template that can be found.
        positives: Variants of these.
        own: Position in the database of each positive's template.
        negatives: Variants of the other templates.
        strangers: Number of each negative's template.
    """

    database: tuple[Picture, ...]
    positives: tuple[Picture, ...]
    own: tuple[int, ...]
    negatives: tuple[Picture, ...]
    strangers: tuple[int, ...]


def read_templates(path: Path) -> dict[str, str]:
    """Read the template of each image from a CSV with the columns image and template; names are below its folder.

    Raises:
        InputError: It cannot be read or lacks a column.
    """
    return {row["image"]: row["template"] for row in read_csv(path, ("image", "template"))}


def split_templates(pictures: Sequence[Picture], template_of: Mapping[str, str], seed: int) -> TemplateSplit:
    """Return a split with half of the templates as database, chosen by the seed.

    Raises:
        InputError: There are fewer than two templates with pictures, or no variants on one side.
    """
    by_name = {picture.name: picture for picture in pictures}
    members: dict[str, list[Picture]] = {}
    for image, template in template_of.items():
        if image in by_name:
            members.setdefault(template, []).append(by_name[image])
    names = list(members)
    order = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    inside, outside = order[: len(order) // 2], order[len(order) // 2 :]
    positives = [(picture, i) for i, name in enumerate(inside) for picture in members[name][1:]]
    negatives = [(picture, i) for i, name in enumerate(outside) for picture in members[name][1:]]
    if not positives or not negatives:
        raise InputError(
            f"{len(names)} templates with pictures: two at least must have a variant beside their first image"
        )
    return TemplateSplit(
        tuple(members[name][0] for name in inside),
        tuple(picture for picture, _ in positives),
        tuple(i for _, i in positives),
        tuple(picture for picture, _ in negatives),
        tuple(i for _, i in negatives),
    )


@dataclass(frozen=True, slots=True)
class TemplateTask:
    """One method and metric on templates: a job for a worker."""

    row_cache: RowCache
    spec: MethodSpec
    metric: str
    split: TemplateSplit
    name: str
    rules: Rules

    def distances(self) -> tuple[Nearest, Nearest]:
        """Return the distances of positives and of negatives, from the cache or measured."""
        split = self.split
        strangers = Sides(split.database, split.negatives, (-1,) * len(split.negatives))
        positives, negatives = (
            nearest(self.row_cache, self.spec, self.metric, compared, [ORIGINAL])
            for compared in (Sides(split.database, split.positives, split.own), strangers)
        )
        return positives, negatives


def template_task(task: TemplateTask) -> Templates:
    """Return the figures of one method and metric, from stored rows."""
    split = task.split
    positives, negatives = task.distances()
    ends = TemplateEnds(
        positives.distance[:, 0],
        positives.own[:, 0],
        negatives.distance[:, 0],
        np.array(split.own),
        np.array(split.strangers),
    )
    names = task.spec.method.name, task.metric, task.name
    return template_figures(ends, names, len(split.database), task.rules)


@dataclass(frozen=True, slots=True)
class TemplateEnds:
    """Distances (queries,) of positives and negatives, and the template that each was made from."""

    positives: Values
    own: Values
    negatives: Values
    positive_templates: NDArray[np.int64]
    negative_templates: NDArray[np.int64]


def template_figures(sides: TemplateEnds, names: tuple[str, str, str], templates: int, rules: Rules) -> Templates:
    """Return areas and recalls with intervals by drawing whole templates again.

    Args:
        sides: The distances.
        names: Method, metric, and the set's name.
        templates: How many are in the database.
        rules: Rates and draws.
    """
    method, metric, name = names
    base = method.partition("(")[0]
    both = np.concatenate([sides.positives, sides.negatives])
    both = both[np.isfinite(both)]
    ends = GRIDS.get(base, (float(both.min(initial=0)), float(both.max(initial=1))))
    right = TemplateEnds(sides.own, sides.own, sides.negatives, sides.positive_templates, sides.negative_templates)
    return Templates(
        method=method,
        metric=metric,
        name=name,
        templates=templates,
        positives=len(sides.positives),
        negatives=len(sides.negatives),
        auc=_estimate(Area(), sides, rules),
        auc_right_image=_estimate(Area(), right, rules),
        auc_on_grid=auc_on_grid(sides.positives, sides.negatives, np.linspace(*ends, GRID_POINTS)),
        operating=tuple(_operating_point(sides, right, fpr, rules) for fpr in rules.fpr),
        roc=curve(roc(sides.positives, sides.negatives)),
    )


def _operating_point(sides: TemplateEnds, right: TemplateEnds, fpr: float, rules: Rules) -> OperatingPoint:
    point = recall_at_fpr(sides.positives, sides.negatives, fpr)
    enough = supported(fpr, len(np.unique(sides.negative_templates)))
    own = float((sides.own <= point.threshold).mean())
    return OperatingPoint(
        fpr,
        finite(point.threshold),
        Estimate.of_interval(
            point.fpr, _share_interval(sides.negatives <= point.threshold, sides, rules), supported=enough
        ),
        _estimate(RecallAtFpr(fpr), sides, rules, enough=enough),
        Estimate.of_interval(own, _interval(RecallAtFpr(fpr), right, rules), supported=enough),
    )


def _estimate(statistic: CountStatistic, sides: TemplateEnds, rules: Rules, *, enough: bool = True) -> Estimate:
    value = statistic(sides.positives, sides.negatives)
    return Estimate.of_interval(value, _interval(statistic, sides, rules), supported=enough)


def _interval(statistic: CountStatistic, sides: TemplateEnds, rules: Rules) -> Interval:
    """See `bootstrap_by_source`, for sources of different numbers of queries."""
    rng = np.random.default_rng(rules.seed)
    drawn = []
    for values, template in ((sides.positives, sides.positive_templates), (sides.negatives, sides.negative_templates)):
        sources, owner = np.unique(template, return_inverse=True)
        draws = rng.integers(0, len(sources), (rules.repeats, len(sources)))
        drawn.append((values, owner, times_drawn(draws, len(sources))))
    return percentiles(of_draws(statistic, *drawn), _CONFIDENCE)


def _share_interval(hits: NDArray[np.bool_], sides: TemplateEnds, rules: Rules) -> Interval:
    sources, owner = np.unique(sides.negative_templates, return_inverse=True)
    drawn = np.random.default_rng(rules.seed).integers(0, len(sources), (rules.repeats, len(sources)))
    weights = times_drawn(drawn, len(sources))
    return percentiles((weights @ np.bincount(owner, hits)) / (weights @ np.bincount(owner)), _CONFIDENCE)
