"""What each match is worth: how many items of the library would be as near by chance, and whether that decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.decide.calibration import Calibration, Expected
from simsearch.decide.density import FEWEST
from simsearch.images.quality import TEXT_PAGE
from simsearch.library.calibration.comparison import Rule
from simsearch.library.calibration.count import mean_to_nearest
from simsearch.library.format.items import numbers
from simsearch.library.format.snapshot import Place, Snapshot
from simsearch.library.read.matches import Match, Matches, QueryMatches
from simsearch.library.read.query import Query
from simsearch.library.read.search_plan import SearchPlan
from simsearch.search.range_search import within
from simsearch.spatial.witness import PLACES

_SAMPLE = 2000  # items in which a query's neighbours are counted


@dataclass(frozen=True, slots=True)
class Counted:
    """A commit that was searched.

    Attributes:
        snapshot: The commit.
        rows: Live rows of the channel, each a chance for every row of a query.
    """

    snapshot: Snapshot
    rows: int


@dataclass(frozen=True, slots=True)
class Judge:
    """What matches are judged by.

    Attributes:
        calibration: Of the channel and metric.
        most: Expected false matches up to which a match is one, by the upper end of its interval; None for no decision.
        for_query: Whether the expectation for this query decides, where it is known; else the higher of both does.
        sample: Rows of some items, in which a query's neighbours are counted; None where there are too few.
        floor: Quality up to which a picture shows too little to accuse anybody: blank ones, and pages of text.
        background: Of the model; where there are some, the expectation for a query is that of its distances less its
            mean to the nearest of them.
    """

    calibration: Calibration
    most: float | None = None
    for_query: bool = False
    sample: NDArray[np.generic] | None = None
    floor: int = TEXT_PAGE
    background: NDArray[Any] | None = None

    def judged(self, found: Matches, queries: Sequence[Query], plan: SearchPlan) -> Matches:
        """Return the matches with what each is worth."""
        rows = plan.snapshot.row_count(plan.channel.name)
        asked = [query.row if answer.matches else None for answer, query in zip(found, queries, strict=True)]
        about = zip(self._neighbours(asked, plan), self._of_nearest(asked, plan), strict=True)
        answers = [
            self._answer(answer, query, *told, Counted(plan.snapshot, rows))
            for answer, query, told in zip(found, queries, about, strict=True)
        ]
        return replace(found, queries=tuple(answers), calibration=self.calibration)

    def _answer(
        self,
        answer: QueryMatches,
        query: Query,
        neighbours: int | None,
        of_nearest: float | None,
        held: Counted,
    ) -> QueryMatches:
        if not answer.matches:
            return answer
        distances = [match.distance for match in answer.matches]
        snapshot = held.snapshot
        chances = held.rows * answer.views * (1 if query.parts is None else len(query.parts))
        mean, own = self.calibration.expected(distances, chances), None
        crowding = None
        if neighbours is not None and self.calibration.density is not None and self.sample is not None:
            rates = np.array([one.value for one in mean]) / chances
            quality = -1 if query.quality is None else query.quality
            factors = self.calibration.density.factor(
                neighbours, len(self.sample), np.minimum(rates, 1.0), quality=quality
            )
            own = self.calibration.expected(distances, chances, factor=factors)
            crowding = float(self.calibration.density.crowding(neighbours, len(self.sample)))
        if of_nearest is not None:
            own = self.calibration.expected_normalised(distances, of_nearest, chances)
        blank = query.quality is not None and query.quality <= self.floor
        matches = tuple(
            self._match(
                match,
                mean[i],
                None if own is None else own[i],
                blank=blank or is_blank(snapshot, snapshot.by_id(match.id), self.floor),
            )
            for i, match in enumerate(answer.matches)
        )
        return replace(answer, matches=matches, low_information=blank, crowding=crowding)

    def _match(self, match: Match, mean: Expected, own: Expected | None, *, blank: bool) -> Match:
        highest = mean.high if own is None else own.high if self.for_query else max(mean.high, own.high)
        return replace(
            match,
            expected_false_matches=mean.value,
            expected_interval=(mean.low, mean.high),
            expected_for_query=None if own is None else own.value,
            beyond_calibration=mean.beyond_calibration,
            decision=None if self.most is None else bool(highest <= self.most and not blank),
        )

    def _neighbours(self, asked: Sequence[NDArray[Any] | None], plan: SearchPlan) -> Sequence[int | None]:
        """Return the neighbours of each row among the sample; None where they are not counted."""
        density, sample = self.calibration.density, self.sample
        if density is None or sample is None or plan.snapshot.has_parts(plan.channel.name):
            return [None] * len(asked)
        how: dict[str, Any] = {"metric": plan.metric, "device": "cpu", "bits": plan.channel.bits}
        return _each(
            asked,
            lambda rows: np.diff(within(rows, [sample], max_distance=density.distance, **how).starts).tolist(),
        )

    def _of_nearest(self, asked: Sequence[NDArray[Any] | None], plan: SearchPlan) -> Sequence[float | None]:
        """Return the mean distance of each row to its nearest background rows; None without such rows."""
        if (background := self.background) is None:
            return [None] * len(asked)
        rule = Rule(plan.metric, plan.channel.bits)
        return _each(asked, lambda rows: mean_to_nearest(rows, background, rule).tolist())


def _each(asked: Sequence[NDArray[Any] | None], of_rows: Callable[[NDArray[Any]], list[Any]]) -> list[Any]:
    """Return something of each row; None where there is none."""
    rows = [row for row in asked if row is not None]
    told = iter(of_rows(np.stack(rows)) if rows else ())
    return [None if row is None else next(told) for row in asked]


def sample_of(snapshot: Snapshot, channel: str, metric: str) -> NDArray[np.generic] | None:
    """Return rows of some items, drawn evenly, for counting neighbours; None for too few, or where there are none."""
    if len(snapshot) < FEWEST or metric == PLACES:
        return None
    rows = []
    for s, segment in enumerate(snapshot.segments):
        live, held = snapshot.live_rows(s, channel), segment.channels[channel].row
        there = np.arange(len(held)) if live is None else np.flatnonzero(live)
        wanted = round(_SAMPLE * len(there) / max(1, len(snapshot)))
        chosen = (
            np.random.default_rng(0).choice(there, min(len(there), max(1, wanted)), replace=False)
            if len(there)
            else there
        )
        rows.append(np.asarray(held[np.sort(chosen)]))
    return np.concatenate(rows)


def is_blank(snapshot: Snapshot, place: Place | None, floor: int) -> bool:
    """Return whether an item's quality is known to be no more than what accuses nobody."""
    if place is None:
        return False
    quality = int(numbers(snapshot.segments[place.segment].items.column("quality").slice(place.position, 1))[0])
    return 0 <= quality <= floor
