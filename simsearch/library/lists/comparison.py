"""How codes are compared with the entries of lists: by which distance, up to where, and by which rates of strangers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.decide.calibration import Calibration, Expected
from simsearch.errors import InputError
from simsearch.library.lists.codes import DIGESTS, PDQ, PDQ_BYTES, PDQ_RADIUS
from simsearch.library.lists.image_list import ImageList
from simsearch.library.lists.pictures import Makers
from simsearch.search.range_search import within

EXPECTED = 0.01
"""Expected false matches of a check in one list, up to which rows of a channel decide where nothing else is said."""
FEWEST = (10_000, 1_000)
"""Entries for which that is asked of a shorter list too, the second where the rates do not tell the first: what one in
a hundred strangers is within of a single picture is no distance of copies, and the few entries of a short list may have
more look-alikes than the mean of those that were counted."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Up to where a match is one.

    Attributes:
        bits: Of PDQ, at most 31 by default.
        distance: Of rows of a channel, in its metric.
        most: Expected false matches of a check in one list, by the upper end of their interval, for PDQ and channels.
    """

    bits: int = PDQ_RADIUS
    distance: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """How codes of a type are compared with the entries of a list.

    Attributes:
        whose: The list.
        type: Of the codes.
        metric: The distance.
        bits: Of a code; None for rows that are none.
        limit: The largest distance that is a match.
        calibration: What a distance is worth; None where that is not known.
        most: Expected false matches up to which a match is one; None for all within the limit.
    """

    whose: ImageList
    type: str
    metric: str
    bits: int | None
    limit: float
    calibration: Calibration | None
    most: float | None = None

    def near(self, rows: NDArray[Any]) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Return for each row the places of the entries within the limit, nearest first, and their distances."""
        held = self.whose.coded(self.type).values
        odd = None if self.bits is None or self.bits % 8 == 0 else self.bits
        found = within(rows, [held], max_distance=self.limit, metric=self.metric, device="cpu", bits=odd)
        answers = []
        for start, end in itertools.pairwise(found.starts.tolist()):
            distances = found.distances[start:end].astype(np.float64)
            order = np.lexsort((found.positions[start:end], distances))
            answers.append((found.positions[start:end][order], distances[order]))
        return answers

    def expected(self, distances: NDArray[np.float64]) -> list[Expected | None]:
        """Return how many entries of the list would be as near by chance."""
        if self.calibration is None or not len(distances):
            return [None] * len(distances)
        return [*self.calibration.expected(distances, len(self.whose.coded(self.type)))]

    def chance(self) -> float:
        """Return the probability that a stranger is within the limit of one entry, by its upper end; 0 if not known."""
        if self.calibration is None:
            return 0.0
        (one,) = self.calibration.expected([self.limit], 1)
        return one.high


Rates = Callable[[ImageList, str], Calibration | None]


@dataclass(slots=True)
class Plan:
    """A check, ready for pictures.

    Attributes:
        lists: Block and allow lists.
        makers: Of rows.
        comparisons: Of rows with entries.
        notes: What cannot be compared or decided.
    """

    lists: Sequence[ImageList]
    makers: Makers
    comparisons: list[Comparison] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def digests(self) -> set[str]:
        """Names of the digests that the lists hold."""
        return {kind for one in self.lists for kind in one.types() if kind in DIGESTS}


def planned(
    lists: Sequence[ImageList],
    makers: Makers,
    rates: Rates,
    thresholds: Thresholds,
    *,
    kinds: Collection[str] | None = None,
) -> Plan:
    """Return a check of pictures against lists.

    Args:
        lists: Block and allow lists.
        makers: Of rows; what none makes cannot be compared, and is noted.
        rates: Of strangers, of a list's entries of a type.
        thresholds: Up to where a match is one.
        kinds: Types of code that the pictures come with, where none is made of them; others are noted.

    Raises:
        InputError: An expected number is asked for, and no rates are known or they do not reach so far.
    """
    plan = Plan(lists, makers)
    for one in lists:
        for kind in one.types():
            if kinds is not None and kind not in kinds:
                plan.notes.append(f"{one.name}: entries of type {kind[:24]} were not compared: no such code was given")
                continue
            if kind in DIGESTS:
                continue
            if kinds is None and kind not in makers.kinds:
                facts = one.channels.get(kind.partition(":")[2])
                model = kind if facts is None else facts.model
                plan.notes.append(f"{one.name}: rows of {model} were not compared: no channel here makes such rows")
                continue
            made = comparison_of(one, kind, rates(one, kind), thresholds, plan.notes)
            if made is not None:
                plan.comparisons.append(made)
    return plan


def comparison_of(
    one: ImageList, kind: str, calibration: Calibration | None, thresholds: Thresholds, notes: list[str]
) -> Comparison | None:
    """Return how codes of a type are compared with a list's entries; None, noted, where nothing could be decided.

    Raises:
        InputError: An expected number is asked for, and no rates are known or they do not reach so far.
    """
    facts = one.channels.get(kind.partition(":")[2])
    metric = "hamming" if facts is None else facts.metric
    bits = 8 * PDQ_BYTES if facts is None else (facts.bits or 8 * facts.dimension if metric == "hamming" else None)
    entries = len(one.coded(kind))
    if kind == PDQ and thresholds.most is None:
        return Comparison(one, kind, metric, bits, thresholds.bits / (8 * PDQ_BYTES), calibration)
    if kind != PDQ and thresholds.distance is not None and thresholds.most is None:
        return Comparison(one, kind, metric, bits, thresholds.distance, calibration)
    what = kind if facts is None else facts.model
    try:
        if calibration is None:
            raise InputError(
                f"no rates of strangers are known of {what}: `simsearch list calibrate`, or give a distance"
            )
        most = thresholds.most or EXPECTED
        limit = calibration.distance_at(most, entries) if thresholds.most else _usual(calibration, entries)
    except InputError as error:
        if thresholds.most is not None:
            raise
        notes.append(f"{one.name}: rows of {what} were not compared, since nothing could be decided: {error}")
        return None
    return Comparison(one, kind, metric, bits, limit, calibration, most)


def _usual(calibration: Calibration, entries: int) -> float:
    """Return the distance within which rows match where nothing else is said.

    Raises:
        InputError: The rates do not reach so far.
    """
    try:
        return calibration.distance_at(EXPECTED, max(entries, FEWEST[0]))
    except InputError:
        if entries > FEWEST[1]:
            raise
        return calibration.distance_at(EXPECTED, FEWEST[1])
