"""The needle protocol's figures from distances: thresholds, recalls, strata, predicted against observed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simsearch.benchmark.needle.strangers import NeedleWorld
from simsearch.benchmark.needle_results import (
    Estimate,
    NeedleCurve,
    NeedleDifference,
    NeedleEdit,
    NeedleGroup,
    NeedleHeldOut,
    NeedleLimit,
    NeedlePair,
    NeedleThreshold,
)
from simsearch.decide.copy_recall import Draws, Shares, difference_interval, drawn_shares, mean_interval, shares_within
from simsearch.decide.held_out import held_out
from simsearch.decide.pair_rate import PairTail, Strangers, rate_for
from simsearch.images.perturb import by_name

Values = NDArray[np.float64]

_NEAREST = 20  # pairs of strangers that are shown
_STEPS = 10  # of the curve, each decade
_SMALLEST_LIBRARY = 1e3  # of the curve, unless smaller ones are requested


@dataclass(frozen=True, slots=True)
class Subject:
    """One method by one metric, measured.

    Attributes:
        tail: The nearest pairs of strangers; images are numbered among those that are no textures.
        strangers: Of the tail.
        own: Distances from each copy to its original (q, e).
        edits: Names, in the order of the columns.
        groups: By group the names of its edits.
        limits: Of the protocol.
    """

    tail: PairTail
    strangers: Strangers
    own: Values
    edits: tuple[str, ...]
    groups: Mapping[str, Sequence[str]]
    limits: tuple[NeedleLimit, ...]

    def columns(self, group: str) -> list[int]:
        """Return the columns of a group's edits."""
        return [self.edits.index(name) for name in self.groups[group]]


@dataclass(frozen=True, slots=True)
class Drawn:
    """The results of each draw at each limit.

    Attributes:
        thresholds: (r, limits).
        shares: One (r, e) for each limit.
    """

    thresholds: Values
    shares: tuple[Shares, ...]

    @classmethod
    def of(cls, subject: Subject, draws: Draws) -> Drawn:
        """Compute them once for each different rate."""
        rates = sorted({limit.rate for limit in subject.limits})
        thresholds = draws.thresholds(subject.tail, rates)
        shares = [drawn_shares(subject.own, column, draws.queries) for column in thresholds.T]
        order = [rates.index(limit.rate) for limit in subject.limits]
        return cls(thresholds[:, order], tuple(shares[i] for i in order))


def limits_of(libraries: Sequence[float], expected: Sequence[float]) -> tuple[NeedleLimit, ...]:
    """Return all limits: every library at the main number of expected false matches, then at the next."""
    return tuple(NeedleLimit(library, number) for number in expected for library in libraries)


def thresholds_of(subject: Subject, drawn: Drawn) -> tuple[NeedleThreshold, ...]:
    """Return the threshold of each limit, with its support."""
    tail, found = subject.tail, []
    for limit, column in zip(subject.limits, drawn.thresholds.T, strict=True):
        support, value = tail.support(limit.rate), tail.threshold(limit.rate)
        if value is None:
            found.append(NeedleThreshold(None, 0, 0, support))
            continue
        low, high = np.quantile(column, [0.025, 0.975])
        estimate = _finite(Estimate(value, float(low), float(high), support == "supported"), tail)
        found.append(NeedleThreshold(estimate, tail.within(value), tail.images_within(value), support))
    return tuple(found)


def recalls_of(subject: Subject, drawn: Drawn) -> tuple[tuple[NeedleGroup, ...], tuple[NeedleEdit, ...]]:
    """Return the recall of every group's mean and of every edit, along the limits."""
    groups = tuple(
        NeedleGroup(name, len(columns), _along(subject, drawn, columns))
        for name, columns in ((name, subject.columns(name)) for name in subject.groups)
    )
    edits = tuple(
        NeedleEdit(name, by_name(name).family, _along(subject, drawn, [i])) for i, name in enumerate(subject.edits)
    )
    return groups, edits


def curves_of(subject: Subject) -> tuple[NeedleCurve, ...]:
    """Return the recall of each group at one expected false match, up to the largest library that allows a pair."""
    first = min(_SMALLEST_LIBRARY, *(limit.library for limit in subject.limits))
    steps = np.arange(np.log10(first), np.log10(subject.tail.total) + 1e-9, 1 / _STEPS)
    points = [(10.0**step, subject.tail.threshold(rate_for(10.0**step, 1))) for step in steps]
    points = [(library, value) for library, value in points if value is not None]
    shares = [shares_within(subject.own, value) for _, value in points]
    libraries = tuple(round(library) for library, _ in points)
    return tuple(
        NeedleCurve(group, libraries, tuple(float(share[subject.columns(group)].mean()) for share in shares))
        for group in subject.groups
    )


def differences_of(
    keys: Sequence[tuple[str, str]], subjects: Sequence[Subject], drawn: Sequence[Drawn]
) -> tuple[NeedleDifference, ...]:
    """Return the differences of every method from the first."""
    found = []
    for key, subject, one in zip(keys[1:], subjects[1:], drawn[1:], strict=True):
        for group in subject.groups:
            columns = subject.columns(group)
            before, after = _along(subjects[0], drawn[0], columns), _along(subject, one, columns)
            limits = zip(before, after, drawn[0].shares, one.shares, strict=True)
            found.append(NeedleDifference(keys[0], key, group, tuple(_change(*limit, columns) for limit in limits)))
    return tuple(found)


def held_out_of(subject: Subject, world: NeedleWorld, draws: Draws) -> tuple[NeedleHeldOut, ...]:
    """Return predicted against observed pairs, for each source and library at the main expected number."""
    numbers = sorted(set(subject.strangers.sources.tolist()) - {-1})
    if len(numbers) < 3:
        return ()
    main = subject.limits[0].expected
    found = []
    for limit in (limit for limit in subject.limits if limit.expected == main):
        for number in numbers:
            one = held_out(subject.tail, subject.strangers, number, limit.rate, draws)
            found.append(
                NeedleHeldOut(
                    world.names[number],
                    limit.library,
                    limit.expected,
                    one.threshold,
                    one.pairs,
                    one.predicted,
                    one.observed,
                    *one.ratio,
                    one.support,
                )
            )
    return tuple(found)


def nearest_of(subject: Subject, names: Sequence[str]) -> tuple[NeedlePair, ...]:
    """Return the nearest pairs of strangers across sources, by name."""
    tail = subject.tail
    shown = zip(tail.left[:_NEAREST], tail.right[:_NEAREST], tail.distances[:_NEAREST], strict=True)
    return tuple(NeedlePair(names[a], names[b], float(distance)) for a, b, distance in shown)


def _along(subject: Subject, drawn: Drawn, columns: Sequence[int]) -> tuple[Estimate | None, ...]:
    out: list[Estimate | None] = []
    for limit, shares in zip(subject.limits, drawn.shares, strict=True):
        value = subject.tail.threshold(limit.rate)
        if value is None:
            out.append(None)
            continue
        mean = float(shares_within(subject.own, value)[list(columns)].mean())
        sure = subject.tail.support(limit.rate) == "supported"
        out.append(Estimate.of_interval(mean, mean_interval(shares, columns), supported=sure))
    return tuple(out)


def _change(
    before: Estimate | None, after: Estimate | None, old: Shares, new: Shares, columns: Sequence[int]
) -> Estimate | None:
    if before is None or after is None:
        return None
    interval = difference_interval(old, new, columns)
    sure = before.supported and after.supported
    return Estimate.of_interval(after.value - before.value, interval, supported=sure)


def _finite(estimate: Estimate, tail: PairTail) -> Estimate:
    """Return the estimate without infinity, for JSON: a threshold beyond all pairs is that of the farthest."""
    most = float(tail.distances[-1]) if len(tail.distances) else 0.0
    value, low, high = (min(number, most) if np.isinf(number) else number for number in
                        (estimate.value, estimate.low, estimate.high))  # fmt: skip
    return Estimate(value, low, high, estimate.supported)
