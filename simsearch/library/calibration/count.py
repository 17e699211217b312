"""Counting how often strangers come near each other: all pairs of two groups of images, without what looks like copies.

The nearest pairs of photographs that nobody has looked at are not all strangers: bursts and copies are among them. They
stand out, since the number of strangers falls steadily with distance: where that fall, taken further, leaves a
hundredth of a pair, a pair is no stranger.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.decide.calibration import Calibration, Origin
from simsearch.decide.density import FEWEST, REFERENCE, Density, ratio
from simsearch.decide.rate_curve import RateCurve, Sides
from simsearch.distance import METRICS, by_name, hamming
from simsearch.errors import InputError
from simsearch.search.range_search import within

Numbers = NDArray[np.int64]
Progress = Callable[[int, int], None]

COMPARED = 200_000_000  # pairs that are compared for the whole curve; of more only the nearest are kept
KEPT = 0.02  # share of the pairs that are kept: twice as many as neighbours are counted in
DENSITY_ROWS = 2000  # rows in which neighbours are counted
_NEAREST = 4_000_000  # pairs that are kept of more
_SAMPLE = 512  # images a side of the sample for a radius
_AT_ONCE = 256
_HITS = 500  # near strangers from which a query's own rate is fitted, and the rate at which they are looked for
_HIT_RATE = 1e-4
_STRANGERS_LEFT = 0.01  # expected beyond a distance, from which down a pair is no stranger
_FEWEST_OF_FALL = 200  # nearest pairs, of which copies are few enough that the median says how strangers fall
FEWEST_PAIRS = 1000


@dataclass(frozen=True, slots=True)
class Group:
    """Images of one side of the pairs.

    Attributes:
        rows: (n, d).
        images: (n,) number of the photograph that each row is of; edits of one photograph have one number.
        sources: (n,) number of each one's source, -1 for none; pairs of one source are no strangers.
        plain: (n,) whether a row is of the photograph as it is: where the other group has that row, too, a pair of two
            such is counted once.
    """

    rows: NDArray[Any]
    images: Numbers
    sources: Numbers
    plain: NDArray[np.bool_]

    @classmethod
    def of(cls, rows: NDArray[Any], *, images: Numbers | None = None, sources: Numbers | None = None) -> Group:
        """Build from rows of photographs as they are, by default each of its own."""
        numbers = np.arange(len(rows)) if images is None else images
        none = np.full(len(rows), -1, np.int64) if sources is None else sources
        return cls(rows, numbers, none, np.ones(len(rows), bool))

    def __len__(self) -> int:
        return len(self.rows)

    def some(self, places: Numbers) -> Group:
        """Return these rows alone."""
        return Group(self.rows[places], self.images[places], self.sources[places], self.plain[places])


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


@dataclass(frozen=True, slots=True)
class Counted:
    """The rates of two groups.

    Attributes:
        curve: Of all pairs of strangers.
        density: How a query's own rate depends on its neighbours; None where the pairs are too few to tell.
        copies: Pairs that look like copies, nearest first; they are not counted.
    """

    curve: RateCurve
    density: Density | None
    copies: Near

    def calibration(
        self, fingerprint: str, metric: str, *, origin: Origin, what: str, sizes: tuple[int, int]
    ) -> Calibration:
        """Return them as a calibration, of images and a library of these sizes."""
        images, items = sizes
        return Calibration(
            fingerprint, metric, self.curve, self.density, origin, what, images, items, len(self.copies.distances)
        )


def count(asked: Group, held: Group, rule: Rule, *, seed: int = 0, progress: Progress | None = None) -> Counted:
    """Count the pairs of strangers within every distance.

    Args:
        asked: Queries.
        held: Of a library, or the same photographs.
        rule: How they are compared.
        seed: Of samples.
        progress: Called with queries compared and their number.

    Raises:
        InputError: There are fewer than 1,000 pairs of strangers.
    """
    rng = np.random.default_rng(seed)
    whole = Comparison(asked, held, rule)
    if whole.total < FEWEST_PAIRS:
        raise InputError(
            f"{len(asked)} x {len(held)} images give {whole.total} pairs of strangers, too few for a rate; give "
            "photographs of at least two folders, some hundreds of each"
        )
    some = whole
    if whole.total > COMPARED:
        share = COMPARED / whole.total
        some = Comparison(asked, held.some(_drawn(len(held), max(1, int(share * len(held))), rng)), rule)
    near = some.near(KEPT, rng, progress)
    strangers = look_like_strangers(near.distances)
    near, copies = near.some(strangers), near.some(~strangers)
    limit = float(copies.distances.max(initial=-1.0))
    curve, density = some.curve(near), some.density(near, limit, rng)
    if some is not whole:
        nearest = whole.near(_NEAREST / whole.total, rng, progress)
        nearest, copies = nearest.some(nearest.distances > limit), nearest.some(nearest.distances <= limit)
        curve = whole.curve(nearest).reaching(curve)
    return Counted(curve, density, copies)


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
            group.some(_drawn(len(group), min(DENSITY_ROWS, len(group)), rng)) for group in (self.asked, self.held)
        )
        neighbours, of_sample = _neighbours(queries, sample, self.rule, (-1.0, reference))
        hits, rows = _neighbours(queries, self.held, self.rule, (copies_within, hit))
        return Density.of(ratio(neighbours, of_sample), hits, rows, reference)

    def _reach(self, share: float, rng: np.random.Generator) -> float:
        """Return the radius of that share of a sample's pairs."""
        left, right = (_drawn(len(group), min(_SAMPLE, len(group)), rng) for group in (self.asked, self.held))
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


def look_like_strangers(distances: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which pairs, nearest first, are no copies: by the median falls of the nearest, which few copies move.

    Args:
        distances: (m,) ascending.
    """
    left, size = np.full(len(distances), np.inf), len(distances)
    while size >= _FEWEST_OF_FALL:
        excess = distances[size - 1] - distances[:size]
        fall = float(np.median(excess[excess > 0])) if (excess > 0).any() else 0.0
        if fall > 0:
            left[:size] = np.minimum(left[:size], size * 0.5 ** (excess / fall))
        size //= 4
    return np.asarray(left >= _STRANGERS_LEFT)


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


def _drawn(count: int, wanted: int, rng: np.random.Generator) -> Numbers:
    """Return so many places, in order."""
    return np.sort(rng.choice(count, wanted, replace=False))
