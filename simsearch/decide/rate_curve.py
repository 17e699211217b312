"""Rates of false matches by how strongly a witness speaks, and of several witnesses as one.

Each witness has a curve: the share of pairs of strangers for which it speaks as strongly. Several are joined by the sum
of the logarithms, which is the product of rates that would be exact if they were independent; since they are not, the
sum has a curve of its own, counted on the same pairs of strangers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsearch.decide.pair_rate import FEWEST_PAIRS
from simsearch.errors import InputError

Values = NDArray[np.float64]
Numbers = NDArray[np.int64]

_LEVELS = 20  # of a curve, each decade
_ANCHOR = 150  # strongest pairs that the tail is fitted to
_TAIL = 0.1  # share of all pairs that it is fitted to at most
_GRID = 1e6  # strengths are rounded down to a millionth
_TINY = 1e-6
_MISSED = 1.2  # times the variance between images at the upper end: a sample that misses hubs has too small a one, too
_CONFIDENCE = 0.95  # of the ends that are kept
_SIDE = 0.975  # of the intervals that are widened by Student's t
_SHARED = 3  # pairs that share a strength, on average, where strengths are whole numbers of a step
_THREE = 3.0  # the rule of three: with none seen in n, the rate is below 3 / n with 95 % confidence
_DECADE = 10.0  # below the least supported rate, to where the fitted tail was found to hold


@dataclass(frozen=True, slots=True)
class Sides:
    """The images of the pairs of a sample: pairs that share one are not independent.

    Attributes:
        left: First image of each pair (n,).
        right: Second image (n,).
        sizes: Images in all that pairs are of: one number where both are of one set, in one numbering, else of the left
            and of the right ones.
    """

    left: Numbers
    right: Numbers
    sizes: tuple[int, ...]

    def counted(self, order: NDArray[np.int64], ends: Numbers) -> Iterator[tuple[float, int]]:
        """Yield, for the first pairs in an order up to each end, the spread of their number and their images.

        The number m of near pairs varies by m, as of independent pairs, and by how unequal images are: if image i is
        in c_i of them, sum(c_i^2) - (2 m)^2 / n exceeds 2 m by the rest, as of a U-statistic (Hoeffding, 1948). Where
        few images make most of the pairs that is itself uncertain, and widened as by Student's t.
        """
        from scipy.special import ndtri, stdtrit

        sides = (self.left, self.right)
        if len(self.sizes) == 1:
            counts = [np.zeros(self.sizes[0], np.int64)] * 2
        else:
            counts = [np.zeros(size, np.int64) for size in self.sizes]
        of_sets = counts[: len(self.sizes)]
        start = 0
        for end in ends.tolist():
            for number, side in enumerate(sides):
                counts[number] += np.bincount(side[order[start:end]], minlength=len(counts[number]))
            start = end
            memberships = 2 * end // len(of_sets)
            squares = [float((held.astype(np.float64) ** 2).sum()) for held in of_sets]
            beyond = sum(squares) - sum(memberships**2 / len(held) for held in of_sets) - 2 * end
            effective = min(memberships**2 / each for each in squares)  # images that make the pairs
            wider = (float(stdtrit(max(effective - 1, 1), _SIDE)) / float(ndtri(_SIDE))) ** 2
            yield max(beyond, 0.0) / end**2 * wider, sum(int(np.count_nonzero(held)) for held in of_sets)


@dataclass(frozen=True, slots=True)
class RateCurve:
    """The rate of strangers by strength, falling.

    Attributes:
        strengths: (k,) ascending; a higher one is rarer between strangers.
        pairs: (k,) pairs of strangers that are at least as strong, falling.
        spread: (k,) relative variance of their number between samples of images, beyond that of independent pairs.
        total: Pairs of strangers that were compared.
        least: The smallest rate that they support: 50 pairs of 50 images; infinite where there is none.
        anchor: The strength from which on an exponential tail was fitted to the strongest pairs.
        slope: Of the decimal logarithm of the rate beyond the anchor, below 0.
        ends: (2, k) ends of the 95 % interval of the number of pairs; computed where it is not given.
    """

    strengths: Values
    pairs: Numbers
    spread: Values
    total: int
    least: float
    anchor: float
    slope: float
    ends: Values = field(default_factory=lambda: np.empty((2, 0)))

    def __post_init__(self) -> None:
        if self.ends.shape != (2, len(self.pairs)):
            object.__setattr__(self, "ends", _ends(self.pairs, self.spread, _CONFIDENCE))

    @classmethod
    def of(cls, strengths: ArrayLike, *, total: int | None = None, sides: Sides | None = None) -> RateCurve:
        """Build from the strengths of pairs of strangers (n,), of which the weakest may be left out of `total`.

        Args:
            strengths: Of each pair.
            total: Pairs that were compared.
            sides: The images of each pair; without them pairs count as independent.

        Raises:
            InputError: There are none, or more than the total.
        """
        given = _on_grid(strengths)
        order = np.argsort(-given, kind="stable")
        values = given[order]
        count = len(values) if total is None else total
        if not len(values):
            raise InputError("there is no pair of strangers to take a rate from")
        if len(values) > count or np.isnan(values).any():
            raise InputError(f"{len(values)} strengths of {count} pairs must be numbers, no more than the pairs")
        levels, first = np.unique(-values, return_index=True)
        most = np.append(first[1:], len(values))  # pairs at least as strong as each level, strongest first
        steps = np.arange(0, np.log10(len(values)) + 1 / _LEVELS, 1 / _LEVELS)
        chosen = np.unique(np.minimum(np.searchsorted(most, 10**steps), len(levels) - 1))
        pairs = most[chosen]
        if sides is None:
            beyond, images = np.zeros(len(pairs)), np.minimum(2 * pairs, FEWEST_PAIRS)
        else:
            told = list(sides.counted(order, pairs))
            beyond, images = np.array([one for one, _ in told]), np.array([n for _, n in told])
        enough = (pairs >= FEWEST_PAIRS) & (images >= FEWEST_PAIRS)
        tail = int(most[np.searchsorted(most, min(_ANCHOR, np.ceil(_TAIL * count), len(values)))])
        excess = max(float(np.mean(values[:tail] - values[tail - 1])), _TINY)
        step = _lattice(values[:tail])
        return cls(
            -levels[chosen][::-1],
            pairs[::-1],
            beyond[::-1],
            count,
            float(pairs[enough][0] / count) if enough.any() else np.inf,
            float(values[tail - 1]),
            -float(np.log1p(step / excess) / step if step else 1 / excess) / np.log(10),
        )

    @property
    def floor(self) -> float:
        """The least rate that is ever said: 3 / pairs."""
        return min(1.0, _THREE / self.total)

    def rate(self, strength: ArrayLike) -> Values:
        """Return the share of pairs of strangers that are as strong, of any shape of strengths.

        Among the strongest pairs an exponential tail counts, within the interval of those counted, down to the floor.

        Example:
            >>> curve = RateCurve.of(np.arange(1000))
            >>> curve.rate([-1.0, 500.0, 999.0, 5000.0]).round(4).tolist()
            [1.0, 0.4999, 0.0056, 0.003]
        """
        low, high = self.interval(strength)
        fitted = 10 ** -self.decades(strength)
        in_tail = _on_grid(strength) > self.anchor
        return np.asarray(np.maximum(np.where(in_tail, np.clip(fitted, low, high), fitted), self.floor))

    def reaching(self, farther: RateCurve) -> RateCurve:
        """Return this curve of many pairs' strongest, continued by a curve of fewer pairs that reaches weaker ones.

        Example:
            >>> most, few = RateCurve.of([9.0, 8, 7], total=1000), RateCurve.of(np.arange(10.0))
            >>> whole = most.reaching(few)
            >>> whole.rate([7.0, 5.0]).round(4).tolist(), whole.total
            ([0.003, 0.5], 1000)
        """
        weaker = farther.strengths < self.strengths[0]
        pairs = np.rint(farther.pairs[weaker] / farther.total * self.total).astype(np.int64)
        weaker[weaker] = pairs > self.pairs[0]
        pairs = pairs[pairs > self.pairs[0]]
        relative = farther.spread[weaker] + 1 / farther.pairs[weaker] - 1 / pairs
        return replace(
            self,
            strengths=np.concatenate([farther.strengths[weaker], self.strengths]),
            pairs=np.concatenate([pairs, self.pairs]),
            spread=np.concatenate([np.maximum(relative, 0.0), self.spread]),
            ends=np.empty((2, 0)),
        )

    def interval(self, strength: ArrayLike, confidence: float = 0.95) -> tuple[Values, Values]:
        """Return the two ends of the interval of the rate; its upper end is never below that of none seen.

        Two errors are joined on the scale of logarithms: that of as many independent pairs, which is the exact one of a
        Poisson number (Garwood, 1936), and that between images, taken as log-normal. Between two levels the ends are
        interpolated by their logarithms.
        """
        asked = _on_grid(strength)
        ends = self.ends if confidence == _CONFIDENCE else _ends(self.pairs, self.spread, confidence)
        low, high = (np.exp(np.interp(asked, self.strengths, np.log(end))) for end in ends)
        none_seen, everything = asked > self.strengths[-1], asked < self.strengths[0]
        low = np.where(none_seen, 0.0, low)
        high = np.where(none_seen, -np.log((1 - confidence) / 2), high)
        return (
            np.asarray(np.where(everything, 1.0, low / self.total)),
            np.asarray(np.where(everything, 1.0, np.minimum(high / self.total, 1.0))),
        )

    def is_beyond(self, strength: ArrayLike) -> NDArray[np.bool_]:
        """Return where the rate is more than a decade below the least that is supported: only the upper end counts."""
        return np.asarray(self.rate(strength) * _DECADE * (1 + 1e-9) < min(self.least, np.finfo(float).max))

    def strength_at(self, rate: float) -> float:
        """Return the weakest strength whose upper end of the rate is at most this.

        Raises:
            InputError: So small a rate cannot be told from what was counted.
        """
        _, highs = self.interval(self.strengths)
        enough = np.flatnonzero(highs <= rate)
        if len(enough):
            return float(self.strengths[enough[0]])
        beyond = float(np.nextafter(self.strengths[-1], np.inf))
        if self.interval(beyond)[1] <= rate:
            return beyond
        raise InputError(
            f"a rate of {rate:.2g} a pair cannot be told from {self.total:,} pairs of strangers; it takes "
            f"{pairs_for(rate):,} of them, as {images_for(rate):,} photographs among themselves give"
        )

    def decades(self, strength: ArrayLike) -> Values:
        """Return how many decades the rate lies below 1, in the tail however far: to be added, and counted again."""
        asked = _on_grid(strength)
        near = self._counted(np.minimum(asked, self.anchor)) / self.total
        beyond = self.slope * np.maximum(asked - self.anchor, 0.0)
        return np.asarray(-np.log10(near) - beyond)

    def fitted_at(self, rate: float) -> float:
        """Return the weakest strength at which the fitted rate, `decades`, is at most this, however small.

        Example:
            >>> curve = RateCurve.of(np.arange(1000.0))
            >>> bool(curve.decades(curve.fitted_at(1e-6)) >= 6 > curve.decades(curve.fitted_at(1e-6) - 1))
            True
        """
        wanted = -np.log10(rate)
        at_anchor = float(self.decades(self.anchor))
        if wanted > at_anchor:
            return float(np.ceil((self.anchor + (wanted - at_anchor) / -self.slope) * _GRID) / _GRID)
        enough = np.flatnonzero(self.decades(self.strengths) >= wanted)
        return float(self.strengths[enough[0]]) if len(enough) else self.anchor

    def _counted(self, asked: Values) -> Values:
        """Return the number of pairs that are as strong; between two levels by their logarithms."""
        pairs = np.minimum(np.exp(np.interp(asked, self.strengths, np.log(self.pairs))), self.total)
        return np.asarray(np.where(asked < self.strengths[0], float(self.total), pairs))

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, for a file."""
        return {
            "total": self.total,
            "least": None if np.isinf(self.least) else float(f"{self.least:.4g}"),
            "anchor": self.anchor,
            "slope": float(f"{self.slope:.6g}"),
            "strengths": self.strengths.tolist(),
            "pairs": self.pairs.tolist(),
            "spread": [float(f"{value:.3g}") for value in self.spread],
            "ends": [[float(f"{value:.4g}") for value in end] for end in self.ends],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RateCurve:
        """Return what `to_dict` wrote.

        Raises:
            InputError: It is none.
        """
        try:
            strengths, spread = (np.array(values[name], np.float64) for name in ("strengths", "spread"))
            pairs, ends = np.array(values["pairs"], np.int64), np.array(values["ends"], np.float64)
            least = np.inf if values["least"] is None else float(values["least"])
            curve = cls(
                strengths,
                pairs,
                spread,
                int(values["total"]),
                least,
                float(values["anchor"]),
                float(values["slope"]),
                ends,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"it describes no rates: {error}") from error
        good = strengths.ndim == 1 and len(strengths) == len(pairs) == len(spread) > 0
        good = good and ends.shape == (2, len(pairs)) and bool((ends > 0).all() and np.isfinite(ends).all())
        good = good and bool((np.diff(strengths) > 0).all() and (np.diff(pairs) < 0).all() and (pairs > 0).all())
        numbers = [*strengths, *spread, curve.anchor, curve.slope]
        if not good or pairs[0] > curve.total or not np.isfinite(numbers).all() or curve.slope >= 0 or spread.min() < 0:
            raise InputError("it describes no rates: they must fall with strength")
        return curve


def _ends(pairs: Numbers, spread: Values, confidence: float) -> Values:
    """Return the two ends of the interval of each number of pairs (2, k)."""
    from scipy.special import gammaincinv, ndtri

    tail, m = (1 - confidence) / 2, pairs.astype(np.float64)
    between = float(ndtri(1 - tail)) ** 2 * np.log1p(spread)
    low = m * np.exp(-np.sqrt(np.log(gammaincinv(m, tail) / m) ** 2 + between))
    high = (m + 1) * np.exp(np.sqrt(np.log(gammaincinv(m + 1, 1 - tail) / (m + 1)) ** 2 + _MISSED * between))
    return np.stack([low, high])


def _lattice(values: Values) -> float:
    """Return the step between strengths that are whole numbers of one, as Hamming distances; 0 for others."""
    levels = np.unique(values)
    many = len(levels) > 1 and _SHARED * len(levels) <= len(values)
    return float(np.median(np.diff(levels))) if many else 0.0


def _on_grid(strengths: ArrayLike) -> Values:
    """Return strengths rounded down, so that those of a file are those that were counted."""
    return np.asarray(np.floor(np.asarray(strengths, np.float64) * _GRID + 1e-4) / _GRID)


def pairs_for(rate: float) -> int:
    """Return the pairs of strangers of which none may be as strong, if a rate is to be proved: the rule of three."""
    return int(np.ceil(-np.log(0.025) / rate))


def images_for(rate: float) -> int:
    """Return the photographs that have as many pairs among themselves.

    Example:
        >>> images_for(1e-6)
        2717
    """
    return int(np.ceil(np.sqrt(2 * pairs_for(rate)) + 0.5))


@dataclass(frozen=True, slots=True)
class JointRate:
    """The rate of several witnesses as one.

    Attributes:
        alone: The curve of each witness.
        joint: Of the sum of their decades, `decades`.
    """

    alone: Mapping[str, RateCurve]
    joint: RateCurve

    @classmethod
    def of(cls, strengths: Mapping[str, ArrayLike], sides: Sides | None = None) -> JointRate:
        """Build from what each witness says of the same pairs of strangers, (n,) each."""
        alone = {name: RateCurve.of(values, sides=sides) for name, values in strengths.items()}
        return cls(alone, RateCurve.of(decades(alone, strengths), sides=sides))

    def rate(self, strengths: Mapping[str, ArrayLike]) -> Values:
        """Return the share of pairs of strangers for which the witnesses together speak as strongly."""
        return self.joint.rate(decades(self.alone, strengths))

    def interval(self, strengths: Mapping[str, ArrayLike]) -> tuple[Values, Values]:
        """Return the two ends of the 95 % interval of the rate."""
        return self.joint.interval(decades(self.alone, strengths))

    def is_beyond(self, strengths: Mapping[str, ArrayLike]) -> NDArray[np.bool_]:
        """Return where the rate is more than a decade below the least that is supported."""
        return self.joint.is_beyond(decades(self.alone, strengths))


def decades(alone: Mapping[str, RateCurve], strengths: Mapping[str, ArrayLike]) -> Values:
    """Return the sum over the witnesses of how many decades each one's rate lies below 1.

    Raises:
        InputError: One of the witnesses has no curve.
    """
    if unknown := sorted(set(strengths) - set(alone)):
        raise InputError(f"no rates are known of {', '.join(unknown)}; they are of {', '.join(alone)}")
    parts: Sequence[Values] = [alone[name].decades(values) for name, values in strengths.items()]
    return np.asarray(sum(parts), np.float64)
