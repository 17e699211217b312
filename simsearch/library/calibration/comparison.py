"""Two groups of images, of which every row of one is compared with every row of the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.decide.density import FEWEST, REFERENCE, Density, ratio
from simsearch.decide.rate_curve import RateCurve, Sides
from simsearch.distance import METRICS, by_name, hamming
from simsearch.search.range_search import within

Numbers = NDArray[np.int64]
Progress = Callable[[int, int], None]

DENSITY_ROWS = 2000  # rows in which neighbours are counted
_SAMPLE = 512  # images a side of the sample for a radius
_AT_ONCE = 256
_HITS = 500  # near strangers from which a query's own rate is fitted, and the rate at which they are looked for
_HIT_RATE = 1e-4


@dataclass(frozen=True, slots=True)
class Group:
    """Images of one side of the pairs.

    Attributes:
        rows: (n, d).
        images: (n,) number of the photograph that each row is of; edits of one photograph have one number.
        sources: (n,) number of each one's source, -1 for none; pairs of one source are no strangers.
        plain: (n,) whether a row is of the photograph as it is: where the other group has that row, too, a pair of two
            such is counted once.
        qualities: (n,) of each picture, 0 (blank) to 100; -1 where it is not known.
    """

    rows: NDArray[Any]
    images: Numbers
    sources: Numbers
    plain: NDArray[np.bool_]
    qualities: Numbers

    @classmethod
    def of(
        cls,
        rows: NDArray[Any],
        *,
        images: Numbers | None = None,
        sources: Numbers | None = None,
        qualities: Numbers | None = None,
    ) -> Group:
        """Build from rows of photographs as they are, by default each of its own."""
        numbers = np.arange(len(rows)) if images is None else images
        none = np.full(len(rows), -1, np.int64)
        return cls(
            rows,
            numbers,
            none if sources is None else sources,
            np.ones(len(rows), bool),
            none if qualities is None else qualities,
        )

    def __len__(self) -> int:
        return len(self.rows)

    def some(self, places: Numbers) -> Group:
        """Return these rows alone."""
        numbers = (self.images[places], self.sources[places])
        return Group(self.rows[places], *numbers, self.plain[places], self.qualities[places])


@dataclass(frozen=True, slots=True)
class Rule:
    """How two groups are compared.

    Attributes:
        metric: The distance.
        bits: Length of a code that does not fill its last byte.
        one_set: Whether both are of the same photographs, in one numbering: then a photograph is not compared with
            itself.
        device: Of the search.
    """

    metric: str
    bits: int | None = None
    one_set: bool = False
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Near:
    """Pairs of strangers within a radius.

    Attributes:
        distances: (m,) float64.
        left: Row of the first group (m,).
        right: Row of the second (m,).
        total: Pairs of strangers in all.
    """

    distances: NDArray[np.float64]
    left: Numbers
    right: Numbers
    total: int

    def some(self, chosen: NDArray[np.bool_]) -> Near:
        """Return these pairs alone; the others are no strangers."""
        return Near(self.distances[chosen], self.left[chosen], self.right[chosen], self.total - int((~chosen).sum()))


class Comparison:
    """Two groups, of which every row of the first is compared with every row of the second."""

    def __init__(self, asked: Group, held: Group, rule: Rule) -> None:
        self.asked, self.held, self.rule = asked, held, rule
        images = 1 + int(max(asked.images.max(initial=-1), held.images.max(initial=-1)))
        own = np.zeros((2, images), bool)
        for row, group in zip(own, (asked, held), strict=True):
            row[group.images[group.plain]] = True
        self._in_both = own[0] & own[1]  # photographs whose pairs are met from both sides

    @property
    def total(self) -> int:
        """Pairs of strangers."""
        asked, held = self.asked, self.held
        total = len(asked) * len(held) - _met(asked.sources, held.sources)
        if self.rule.one_set:  # those of a source are left out already
            total -= _met(asked.images[asked.sources < 0], held.images[held.sources < 0])
            twice = asked.some(np.flatnonzero(asked.plain & self._in_both[asked.images]))
            alike = _met(twice.sources, twice.sources) + int((twice.sources < 0).sum())
            total -= (len(twice) ** 2 - alike) // 2
        return total

    def near(self, share: float, rng: np.random.Generator, progress: Progress | None = None) -> Near:
        """Return the pairs of strangers within a radius that about that share of them are within, nearest first."""
        reach, rows = self._reach(share, rng), self.asked.rows
        found = []
        for start in range(0, len(rows), _AT_ONCE):
            left, right, distances = _within(rows[start : start + _AT_ONCE], self.held.rows, reach, self.rule)
            kept = self._are_strangers(left + start, right)
            found.append((distances[kept], left[kept] + start, right[kept]))
            if progress is not None:
                progress(min(start + _AT_ONCE, len(rows)), len(rows))
        distances, left, right = (np.concatenate(column) for column in zip(*found, strict=True))
        order = np.argsort(distances, kind="stable")
        return Near(distances[order], left[order], right[order], self.total)

    def near_by_own(
        self, within: NDArray[np.float64], copies_within: float, *, normalised_by: NDArray[np.float64] | None = None
    ) -> Near:
        """Return the pairs of strangers within each query's own radius (n,), their distances less it, nearest first.

        Pairs as near as copies are none.

        Args:
            within: The radii.
            copies_within: Distance of the farthest copy.
            normalised_by: What distances are lessened by (n,), where that is not the radius.
        """
        order, less = np.argsort(within), within if normalised_by is None else normalised_by
        columns, copies = [], 0
        for chosen in np.array_split(order, -(-len(order) // _AT_ONCE)):
            radius = float(within[chosen[-1]])
            if radius < 0:
                continue
            left, right, distances = _within(self.asked.rows[chosen], self.held.rows, radius, self.rule)
            left = chosen[left]
            kept = (distances <= within[left]) & self._are_strangers(left, right)
            copies += int((kept & (distances <= copies_within)).sum())
            kept &= distances > copies_within
            columns.append((distances[kept] - less[left[kept]], left[kept], right[kept]))
        empty = (np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
        distances, left, right = (np.concatenate(column) for column in zip(empty, *columns, strict=True))
        nearest = np.argsort(distances, kind="stable")
        return Near(distances[nearest], left[nearest], right[nearest], self.total - copies)

    def curve(self, near: Near) -> RateCurve:
        """Return the rates of pairs of strangers."""
        groups = (self.asked, self.held)
        sizes = tuple(1 + int(group.images.max(initial=0)) for group in groups)
        left, right = self.asked.images[near.left], self.held.images[near.right]
        sides = Sides(left, right, (max(sizes),) if self.rule.one_set else sizes)
        return RateCurve.of(-near.distances, total=near.total, sides=sides)

    def density(self, near: Near, copies_within: float, rng: np.random.Generator) -> Density | None:
        """Fit how a query's rate depends on its neighbours among a sample of the other group; None for too few."""
        ends = np.array([REFERENCE * near.total, max(_HITS, _HIT_RATE * near.total)], np.int64)
        if len(self.held) < FEWEST or ends.max() >= len(near.distances):
            return None
        reference, hit = near.distances[ends].tolist()
        queries, sample = (
            group.some(drawn(len(group), min(DENSITY_ROWS, len(group)), rng)) for group in (self.asked, self.held)
        )
        neighbours, of_sample = _neighbours(queries, sample, self.rule, (-1.0, reference))
        hits, rows = _neighbours(queries, self.held, self.rule, (copies_within, hit))
        return Density.of(ratio(neighbours, of_sample), hits, rows, reference, qualities=queries.qualities)

    def _reach(self, share: float, rng: np.random.Generator) -> float:
        """Return the radius of that share of a sample's pairs."""
        left, right = (drawn(len(group), min(_SAMPLE, len(group)), rng) for group in (self.asked, self.held))
        one, other, metric = self.asked.rows[left], self.held.rows[right], self.rule.metric
        bits = self.rule.bits or 8 * one.shape[1]
        apart = hamming(one, other, bits=bits) if METRICS[metric].of_codes else by_name(metric)(one, other)
        kept = self._are_strangers(np.repeat(left, len(right)), np.tile(right, len(left)))
        values = np.sort(apart.ravel()[kept])
        if not len(values):
            return float(METRICS[metric].largest)
        at = min(len(values) - 1, int(np.ceil(share * len(values))))
        return max(float(values[at]), float(np.finfo(np.float32).eps))

    def _are_strangers(self, left: Numbers, right: Numbers) -> NDArray[np.bool_]:
        """Return which pairs are strangers and are not counted from the other side."""
        asked, held = self.asked, self.held
        apart = (asked.sources[left] != held.sources[right]) | (asked.sources[left] < 0)
        if not self.rule.one_set:
            return np.asarray(apart)
        mine, its = asked.images[left], held.images[right]
        again = asked.plain[left] & held.plain[right] & self._in_both[mine] & self._in_both[its] & (mine > its)
        return np.asarray(apart & (mine != its) & ~again)


def _within(
    asked: NDArray[Any], held: NDArray[Any], radius: float, rule: Rule
) -> tuple[Numbers, Numbers, NDArray[np.float64]]:
    """Return the pairs of rows within a radius: their numbers, and the distances."""
    near = within(asked, [held], max_distance=radius, metric=rule.metric, device=rule.device, bits=rule.bits)
    left = np.repeat(np.arange(len(asked)), np.diff(near.starts))
    return left, near.positions, near.distances.astype(np.float64)


def _neighbours(
    asked: Group, held: Group, rule: Rule, between: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the strangers of each query beyond one distance and within another, and all strangers, from both sides."""
    left, right, distances = _within(asked.rows, held.rows, between[1], rule)
    apart = (asked.sources[left] != held.sources[right]) | (asked.sources[left] < 0)
    apart &= (asked.images[left] != held.images[right]) | (not rule.one_set)
    counts = np.bincount(left[apart & (distances > between[0])], minlength=len(asked))
    own = np.bincount(held.sources[held.sources >= 0], minlength=1 + int(asked.sources.max(initial=0)))
    alike = np.where(asked.sources >= 0, own[np.maximum(asked.sources, 0)], int(rule.one_set))
    return counts.astype(np.float64), np.maximum(len(held) - alike, 1).astype(np.float64)


def _met(one: Numbers, other: Numbers) -> int:
    """Return the number of pairs that have the same number, negative ones aside."""
    most = 1 + int(max(one.max(initial=-1), other.max(initial=-1)))
    left, right = (np.bincount(side[side >= 0], minlength=most) for side in (one, other))
    return int(left @ right)


def drawn(count: int, wanted: int, rng: np.random.Generator) -> Numbers:
    """Return so many places, in order."""
    return np.sort(rng.choice(count, wanted, replace=False))
