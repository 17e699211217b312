"""The flood guard: how often each entry was met, and whether that is more than can be expected.

A poisoned entry, as the hash of a picture that everybody has, or of a blank one, is met far more often than strangers
are mistaken and listed pictures go round. It is set aside until somebody has looked, and never a second time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammainc

from simsearch.errors import LibraryDamaged

LEVEL = 1e-3
"""Probability that any entry of a list is set aside by chance alone."""
COPIES = 3.0
"""Pictures in which any entry is expected to be met truly, however few were checked: it goes round, so it is listed."""
PREVALENCE = 1e-3
"""Share of checked pictures in which one entry may truly be met, where a list does not say another: an assumption."""


@dataclass(frozen=True, slots=True)
class Sightings:
    """How often the entries of a list were met.

    Attributes:
        checks: Pictures that were checked against the list.
        counts: Pictures that each entry was met in, by its id; those that never were are left out.
        aside: Ids of the entries that are set aside.
        released: Ids of those that somebody looked at and let go.
    """

    checks: int = 0
    counts: Mapping[int, int] = field(default_factory=dict)
    aside: frozenset[int] = frozenset()
    released: frozenset[int] = frozenset()

    def with_checks(self, checks: int, met: Mapping[int, int]) -> Sightings:
        """Return them after more pictures."""
        counts = dict(self.counts)
        for entry, count in met.items():
            counts[entry] = counts.get(entry, 0) + count
        return Sightings(self.checks + checks, counts, self.aside, self.released)

    def setting_aside(self, entries: Iterable[int]) -> Sightings:
        """Return them with entries set aside, but for those that were released."""
        return Sightings(self.checks, self.counts, self.aside | (frozenset(entries) - self.released), self.released)

    def releasing(self, entries: Iterable[int]) -> Sightings:
        """Return them with entries let go."""
        free = frozenset(entries)
        return Sightings(self.checks, self.counts, self.aside - free, self.released | free)

    def without(self, entries: Iterable[int]) -> Sightings:
        """Return them without entries that are gone."""
        gone = frozenset(entries)
        counts = {entry: count for entry, count in self.counts.items() if entry not in gone}
        return Sightings(self.checks, counts, self.aside - gone, self.released - gone)

    def to_dict(self) -> dict[str, Any]:
        """Return them as plain values, for a file."""
        counts = {str(entry): count for entry, count in sorted(self.counts.items())}
        return {"checks": self.checks, "counts": counts, "aside": sorted(self.aside), "released": sorted(self.released)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Sightings:
        """Return what `to_dict` wrote.

        Raises:
            LibraryDamaged: It is none.
        """
        try:
            counts = {int(entry): int(count) for entry, count in values["counts"].items()}
            ids = (frozenset(map(int, values[name])) for name in ("aside", "released"))
            return cls(int(values["checks"]), counts, *ids)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise LibraryDamaged(f"the counts of a list cannot be read: {error}") from error


def floods(counts: ArrayLike, expected: ArrayLike, entries: int) -> NDArray[np.bool_]:
    """Return which entries were met more often than the upper bound of what is expected.

    A count is a flood where a Poisson number of that mean reaches it with a probability below `LEVEL` for all entries
    of the list together (Bonferroni).

    Args:
        counts: Pictures that each was met in (n,).
        expected: Mean of that number (n,).
        entries: Of the list.

    Example:
        >>> floods([1, 5, 5], [0.001, 0.001, 2.0], entries=1000).tolist()
        [False, True, False]
    """
    seen, mean = np.asarray(counts, np.float64), np.asarray(expected, np.float64)
    reaching = np.where(seen > 0, gammainc(np.maximum(seen, 1), mean), 1.0)  # P(X >= seen)
    return np.asarray(reaching < LEVEL / max(1, entries))


def bound(expected: float, entries: int) -> int:
    """Return the most pictures in which an entry may be met before it is set aside.

    Example:
        >>> bound(0.001, 1000), bound(2.0, 1000)
        (1, 12)
    """
    most, step = 0, 1
    while not floods([most + step], [expected], entries)[0]:
        most, step = most + step, step * 2
    while step > 1:
        step //= 2
        if not floods([most + step], [expected], entries)[0]:
            most += step
    return most
