"""Rates of false matches by how strongly a witness speaks, and of several witnesses as one.

Each witness has a curve: the share of pairs of strangers for which it speaks as strongly. Several are joined by the sum
of the logarithms, which is the product of rates that would be exact if they were independent; since they are not, the
sum has a curve of its own, counted on the same pairs of strangers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsearch.errors import InputError

Values = NDArray[np.float64]

_STEP = 0.1  # decades between two points of a curve
_FITTED = 200  # strongest pairs that the tail is fitted to
_TINY = 1e-6
_THREE = 3.0  # the rule of three: with none seen in n, the rate is below 3 / n with 95 % confidence


@dataclass(frozen=True, slots=True)
class RateCurve:
    """The rate of strangers by strength, falling.

    Attributes:
        strengths: (k,) ascending; a higher one is rarer between strangers.
        rates: (k,) share of pairs of strangers that are at least as strong, falling.
        slope: Of the decimal logarithm of the rate beyond the strongest, below 0.
        floor: The least rate that is ever said: 3 / pairs.
    """

    strengths: Values
    rates: Values
    slope: float
    floor: float

    @classmethod
    def of(cls, strengths: ArrayLike, *, total: int | None = None) -> RateCurve:
        """Build from the strengths of pairs of strangers (n,), of which the weakest may be left out of `total`.

        Raises:
            InputError: There are none.
        """
        values = np.sort(np.asarray(strengths, np.float64))[::-1]
        count = len(values) if total is None else total
        if not len(values):
            raise InputError("there is no pair of strangers to take a rate from")
        levels, first = np.unique(-values, return_index=True)
        most = np.append(first[1:], len(values))  # pairs at least as strong as each level, strongest first
        chosen = np.unique(np.searchsorted(most, 10 ** np.arange(0, np.log10(len(values)) + _STEP, _STEP)))
        chosen = chosen[chosen < len(levels)]
        strongest = values[: min(_FITTED, len(values))]
        excess = float(np.mean(strongest - strongest[-1]))
        slope = -1 / (np.log(10) * max(excess, _TINY))
        return cls(-levels[chosen][::-1], most[chosen][::-1] / count, slope, min(1.0, _THREE / count))

    def rate(self, strength: ArrayLike) -> Values:
        """Return the share of pairs of strangers that are as strong, of any shape of strengths.

        Between two points the next weaker one counts; beyond the strongest, an exponential tail down to the floor.

        Example:
            >>> curve = RateCurve.of(np.arange(1000))
            >>> curve.rate([-1.0, 500.0, 999.0, 5000.0]).round(4).tolist()
            [1.0, 0.502, 0.003, 0.003]
        """
        return np.asarray(np.maximum(10 ** -self.decades(strength), self.floor))

    def decades(self, strength: ArrayLike) -> Values:
        """Return how many decades the rate lies below 1, in the tail however far: to be added, and counted again."""
        asked = np.asarray(strength, np.float64)
        at = np.searchsorted(self.strengths, asked, side="right") - 1
        near = np.where(at >= 0, self.rates[np.maximum(at, 0)], 1.0)
        beyond = self.slope * np.maximum(asked - self.strengths[-1], 0.0)
        return np.asarray(-np.log10(near) - beyond)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, for a file."""
        return {
            "strengths": np.round(self.strengths, 5).tolist(),
            "rates": [float(f"{rate:.3g}") for rate in self.rates],
            "slope": round(self.slope, 5),
            "floor": float(f"{self.floor:.3g}"),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RateCurve:
        """Return what `to_dict` wrote."""
        strengths, rates = (np.array(values[name], np.float64) for name in ("strengths", "rates"))
        return cls(strengths, rates, float(values["slope"]), float(values["floor"]))


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
    def of(cls, strengths: Mapping[str, ArrayLike]) -> JointRate:
        """Build from what each witness says of the same pairs of strangers, (n,) each."""
        alone = {name: RateCurve.of(values) for name, values in strengths.items()}
        return cls(alone, RateCurve.of(decades(alone, strengths)))

    def rate(self, strengths: Mapping[str, ArrayLike]) -> Values:
        """Return the share of pairs of strangers for which the witnesses together speak as strongly."""
        return self.joint.rate(decades(self.alone, strengths))


def decades(alone: Mapping[str, RateCurve], strengths: Mapping[str, ArrayLike]) -> Values:
    """Return the sum over the witnesses of how many decades each one's rate lies below 1.

    Raises:
        InputError: One of the witnesses has no curve.
    """
    if unknown := sorted(set(strengths) - set(alone)):
        raise InputError(f"no rates are known of {', '.join(unknown)}; they are of {', '.join(alone)}")
    parts: Sequence[Values] = [alone[name].decades(values) for name, values in strengths.items()]
    return np.asarray(sum(parts), np.float64)
