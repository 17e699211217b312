"""Long jobs: one parameter of a method changed at a time, or the number of images in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from simsearch.benchmark.data.methods import MethodEntry, enter, with_parameter
from simsearch.benchmark.data.splits import Split
from simsearch.benchmark.protocols.aggregate import paper_means
from simsearch.benchmark.protocols.paper import HASH_LENGTH_GRID, HASH_LENGTH_POINTS, Rules
from simsearch.benchmark.results import PaperSplit, SweepPoint
from simsearch.benchmark.settings import Settings
from simsearch.errors import DependencyMissing, InputError

Kind = Literal["hash_length", "keypoint_count", "cutoff", "database_size"]
_PARAMETERS: tuple[tuple[Kind, str], ...] = (("hash_length", "size"), ("keypoint_count", "count"), ("cutoff", "cutoff"))


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a sweep before it is measured: a method, or the size of the database."""

    sweep: Kind
    family: str
    entry: MethodEntry
    value: int

    def split(self, whole: Split) -> Split:
        """Return the split of this point: a smaller database keeps the attacked images, which come first.

        Raises:
            InputError: The database cannot have that size.
        """
        if self.sweep != "database_size":
            return whole
        if not whole.attacked <= self.value <= len(whole.database):
            raise InputError(
                f"a database of {self.value} images: the sweep takes from {whole.attacked}, those that are edited, "
                f"to {len(whole.database)}, half of the photographs"
            )
        return replace(whole, database=whole.database[: self.value])

    def rules(self, main: Rules) -> Rules:
        """Return the rules of this point: the study of the hash length has a grid of its own."""
        grid = np.linspace(*HASH_LENGTH_GRID, HASH_LENGTH_POINTS) if self.sweep == "hash_length" else None
        return replace(main, grid=grid, repeats=1)  # no interval is drawn: spreads over splits are reported


def sweep_points(settings: Settings, entries: Sequence[MethodEntry]) -> list[Point]:
    """Return the points of the settings that can run here.

    Args:
        settings: Of the sweeps.
        entries: The run's methods, for the size of the database.

    Raises:
        InputError: A method or a parameter does not exist.
    """
    points: list[Point] = []
    for sweep, parameter in _PARAMETERS:
        by_method: dict[str, tuple[int, ...]] = getattr(settings.sweeps, sweep)
        for family, values in by_method.items():
            for value in values:
                try:
                    entry = enter(with_parameter(family, parameter, value), settings)
                except DependencyMissing:  # the method itself is listed as missing
                    continue
                bits = entry.method.bits or 0
                points.append(Point(sweep, family, entry, bits if sweep == "hash_length" else value))
    sizes = sorted(set(settings.sweeps.database_size))
    points += [Point("database_size", entry.method.name, entry, size) for entry in entries for size in sizes]
    return points


def sweep_result(point: Point, splits: Sequence[PaperSplit]) -> SweepPoint:
    """Return the figures of one point over its splits."""
    (mean,) = paper_means(splits)
    return SweepPoint(
        sweep=point.sweep,
        family=point.family,
        method=mean.method,
        metric=mean.metric,
        value=point.value,
        auc=mean.auc,
        auc_right_image=mean.auc_right_image,
        auc_on_grid=mean.auc_on_grid,
        fpr=mean.fpr,
        recall=mean.recall,
        recall_right_image=mean.recall_right_image,
        supported=mean.supported,
    )
