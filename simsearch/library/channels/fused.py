"""All channels of a library as one: candidates of each, what each says of all of them, and one expected number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.decide.known_rates import KnownRates
from simsearch.images.views import PLAIN
from simsearch.library.calibration.expectation import is_blank
from simsearch.library.channels.strengths import Strengths, strengths_of
from simsearch.library.format.snapshot import Place, Snapshot
from simsearch.library.read.by_places import places_of, points_at
from simsearch.library.read.evidence import Evidence, Testimony
from simsearch.library.read.matches import Match, Matches, QueryMatches
from simsearch.library.read.query import Query
from simsearch.library.read.search_plan import SearchPlan
from simsearch.spatial.overlap import WHOLE, Overlap, overlap
from simsearch.spatial.points import views_of
from simsearch.spatial.second_look import look
from simsearch.spatial.witness import PLACES

_SURE = 0.01  # expected false matches, from which down a witness is sure
_STRANGERS = 0.03  # rate of strangers, from which up a witness sees strangers
_TEXTURED = 30  # keypoints of a picture, from which on their silence says something
_PROVED = 4  # places from which on a map is shown


@dataclass(frozen=True, slots=True)
class Asked:
    """The queries of a search in one channel, and what was found.

    Attributes:
        plan: Of the search.
        queries: With their rows.
        found: The candidates.
    """

    plan: SearchPlan
    queries: Sequence[Query]
    found: Matches


def fuse(asked: Sequence[Asked], rates: KnownRates, k: int, *, floor: int, most: float | None = None) -> Matches:
    """Return the k candidates of each query of which the fewest chance matches are expected, fewest first.

    The expected number is that of the library's items times the rate at which strangers are as near by all channels
    whose rates are known; candidates come from every channel, but one that no channel finds is not in the answer.

    Args:
        asked: The same queries in each channel, the first with rows that have distances.
        rates: Of the channels' models.
        k: Matches of a query.
        floor: Quality up to which a picture shows too little to accuse anybody.
        most: Expected false matches up to which a match is one, by the upper end; None for no decision.
    """
    first = asked[0].found
    answers = [_Candidates(asked, i, rates, floor).best(k, most) for i in range(len(first))]
    channels = "+".join(one.plan.channel.name for one in asked)
    return Matches(tuple(answers), k, first.library_size, channels, "fused", rates)


class _Candidates:
    """All candidates of one query."""

    def __init__(self, asked: Sequence[Asked], number: int, rates: KnownRates, floor: int) -> None:
        self._asked, self._rates, self._floor = asked, rates, floor
        self._queries = [one.queries[number] for one in asked]
        self._answers = [one.found[number] for one in asked]
        self._snapshot: Snapshot = asked[0].plan.snapshot
        by_id: dict[int, Match] = {}
        for answer in self._answers:
            for match in answer.matches:
                by_id.setdefault(match.id, match)
        self._matches = list(by_id.values())
        places = [self._snapshot.by_id(match.id) for match in self._matches]
        self._places = [place for place in places if place is not None]

    def best(self, k: int, most: float | None) -> QueryMatches:
        """Return the k of which the fewest chance matches are expected."""
        rejected = next((one.rejected for one in self._answers if one.rejected is not None), None)
        answer = replace(self._answers[0], matches=(), certified=False, recall=None, more=None, rejected=rejected)
        if rejected is not None or not self._matches:
            return answer
        said = self._all_channels()
        strengths = {one.plan.channel.fingerprint: each.strengths for one, each in zip(self._asked, said, strict=True)}
        spoken = {key: strengths[key] for key in self._rates.names}
        expected = self._number(self._rates.rate.rate(spoken))
        low, high = (self._number(end) for end in self._rates.rate.interval(spoken))
        low, high, beyond = np.minimum(low, expected), np.maximum(high, expected), self._rates.rate.is_beyond(spoken)
        quality = self._queries[0].quality
        blank = quality is not None and quality <= self._floor
        distances = said[0].values
        order = np.lexsort((np.array([match.id for match in self._matches]), distances, expected))[:k].tolist()
        matches = []
        for i in order:
            alone = [
                Testimony(
                    one.plan.channel.name,
                    one.plan.metric,
                    float(each.values[i]),
                    self._alone(one.plan.channel.fingerprint, strengths, i),
                    each.views[i],
                )
                for one, each in zip(self._asked, said, strict=True)
            ]
            seen = self._overlap(i)
            evidence = Evidence(tuple(alone), seen, self._disagree(alone, seen, i))
            matches.append(
                replace(
                    self._matches[i],
                    distance=float(distances[i]),
                    expected_false_matches=float(expected[i]),
                    expected_interval=(float(low[i]), float(high[i])),
                    beyond_calibration=bool(beyond[i]),
                    decision=None if most is None else self._decided(float(high[i]), most, i, blank=blank),
                    view=said[0].views[i],
                    evidence=evidence,
                )
            )
        return replace(answer, matches=tuple(matches), low_information=blank)

    def _decided(self, highest: float, most: float, i: int, *, blank: bool) -> bool:
        return highest <= most and not blank and not is_blank(self._snapshot, self._places[i], self._floor)

    def _number(self, rates: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how many chance matches are expected at rates, however many views were asked."""
        return rates * len(self._snapshot) * self._answers[0].views

    def _alone(self, fingerprint: str, strengths: Mapping[str, Any], i: int) -> float | None:
        curve = self._rates.rate.alone.get(fingerprint)
        return None if curve is None else float(self._number(curve.rate(strengths[fingerprint][i])))

    def _all_channels(self) -> list[Strengths]:
        """Return what each channel says of all candidates."""
        said = []
        for one, query, answer in zip(self._asked, self._queries, self._answers, strict=True):
            known = None
            if one.plan.metric == PLACES:
                found = {match.id: places_of(match.distance) for match in answer.matches}
                known = np.array([found.get(match.id, -1) for match in self._matches], np.float64)
            said.append(strengths_of(one.plan, query, self._places, known))
        return said

    def _overlap(self, i: int) -> Overlap | None:
        """Return what a candidate has in common with the query, where enough keypoints say so."""
        for one, query in zip(self._asked, self._queries, strict=True):
            if one.plan.metric == PLACES and query.row is not None and query.size is not None:
                seen = look(views_of(query.row, one.plan.channel.dimension), points_at(one.plan, self._places[i]))
                if seen.agreeing >= _PROVED:
                    return overlap(seen, query.size, _size(self._snapshot, self._places[i]))
        return None

    def _disagree(self, alone: Sequence[Testimony], seen: Overlap | None, i: int) -> bool:
        """Return whether one witness is sure and another one sees strangers, as `Evidence.disagree`."""
        sure = [w for w in alone if w.expected_false_matches is not None and w.expected_false_matches <= _SURE]
        far = self._number(np.array(_STRANGERS))
        strangers = [w for w in alone if w.expected_false_matches is not None and w.expected_false_matches >= far]
        if not sure or not strangers:
            return False
        if all(w.metric == PLACES for w in strangers):
            return self._has_texture(i)
        return all(w.metric != PLACES for w in sure) or (
            seen is not None and not seen.edits and min(seen.of_item, seen.of_query) >= WHOLE
        )

    def _has_texture(self, i: int) -> bool:
        """Return whether both pictures have keypoints enough to agree on."""
        for one, query in zip(self._asked, self._queries, strict=True):
            if one.plan.metric == PLACES and query.row is not None:
                mine = views_of(query.row, one.plan.channel.dimension)[PLAIN]
                return min(len(mine), len(points_at(one.plan, self._places[i]))) >= _TEXTURED
        return False


def _size(snapshot: Snapshot, place: Place) -> tuple[int, int]:
    items = snapshot.segments[place.segment].items
    wide, high = (items.column(name)[place.position].as_py() or 1 for name in ("width", "height"))
    return wide, high
