"""What each match is worth: how many items of the library would be as near by chance, and whether that decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.decide.calibration import Calibration, Expected
from simsearch.decide.density import FEWEST
from simsearch.images.quality import TEXT_PAGE
from simsearch.library.format.items import numbers
from simsearch.library.format.snapshot import Place, Snapshot
from simsearch.library.read.matches import Match, Matches, QueryMatches
from simsearch.library.read.query import Query
from simsearch.library.read.search_plan import SearchPlan
from simsearch.search.range_search import within
from simsearch.spatial.witness import PLACES

LOW_INFORMATION = TEXT_PAGE
"""Quality up to which a picture shows too little to accuse anybody: blank ones, and pages of text."""
_SAMPLE = 2000  # items in which a query's neighbours are counted


@dataclass(frozen=True, slots=True)
class Judge:
    """What matches are judged by.

    Attributes:
        calibration: Of the channel and metric.
        most: Expected false matches up to which a match is one, by the upper end of its interval; None for no decision.
        for_query: Whether the expectation for this query decides, where it is known; else the higher of both does.
        sample: Rows of some items, in which a query's neighbours are counted; None where there are too few.
    """

    calibration: Calibration
    most: float | None = None
    for_query: bool = False
    sample: NDArray[np.generic] | None = None

    def judged(self, found: Matches, queries: Sequence[Query], plan: SearchPlan) -> Matches:
        """Return the matches with what each is worth."""
        factors = self._factors(queries, plan)
        answers = [
            self._answer(answer, query, factor, plan.snapshot)
            for answer, query, factor in zip(found, queries, factors, strict=True)
        ]
        return replace(found, queries=tuple(answers), calibration=self.calibration)

    def _answer(self, answer: QueryMatches, query: Query, neighbours: int | None, snapshot: Snapshot) -> QueryMatches:
        if not answer.matches:
            return answer
        distances = [match.distance for match in answer.matches]
        chances = len(snapshot) * answer.views
        mean, own = self.calibration.expected(distances, chances), None
        crowding = None
        if neighbours is not None and self.calibration.density is not None and self.sample is not None:
            rates = np.array([one.value for one in mean]) / chances
            factors = self.calibration.density.factor(neighbours, len(self.sample), np.minimum(rates, 1.0))
            own = self.calibration.expected(distances, chances, factor=factors)
            crowding = float(self.calibration.density.crowding(neighbours, len(self.sample)))
        blank = query.quality is not None and query.quality <= LOW_INFORMATION
        matches = tuple(
            self._match(
                match,
                mean[i],
                None if own is None else own[i],
                blank=blank or is_blank(snapshot, snapshot.by_id(match.id)),
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

    def _factors(self, queries: Sequence[Query], plan: SearchPlan) -> list[int | None]:
        """Return the neighbours of each query among the sample; None where they are not counted."""
        density = self.calibration.density
        usable = [i for i, query in enumerate(queries) if query.row is not None]
        found: list[int | None] = [None] * len(queries)
        if density is None or self.sample is None or not usable:
            return found
        asked = np.stack([row for query in queries if (row := query.row) is not None])
        how: dict[str, Any] = {"metric": plan.metric, "device": "cpu", "bits": plan.channel.bits}
        near = within(asked, [self.sample], max_distance=density.distance, **how)
        for i, count in zip(usable, np.diff(near.starts).tolist(), strict=True):
            found[i] = count
        return found


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


def is_blank(snapshot: Snapshot, place: Place | None) -> bool:
    """Return whether an item is known to show too little to accuse anybody."""
    if place is None:
        return False
    quality = int(numbers(snapshot.segments[place.segment].items.column("quality").slice(place.position, 1))[0])
    return 0 <= quality <= LOW_INFORMATION
