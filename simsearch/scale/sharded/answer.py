"""What all shards answer to some queries, as one answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from simsearch.errors import InputError, LibraryError
from simsearch.library.read.matches import Matches, QueryMatches
from simsearch.scale.sharded.gather import gathered, lacks_copies
from simsearch.scale.sharded.matches import GatheredRates, ShardMatches, sizes_of
from simsearch.scale.sharded.panel import Panel
from simsearch.scale.sharded.scatter import Failure
from simsearch.scale.sharded.shard import Asked

_WIDER, _ROUNDS = 4, 5  # times the matches that are asked for once more, where copies may have been left out


def answered(panel: Panel, asked: Asked, k: int | None, most: float | None) -> ShardMatches:
    """Return the k nearest items of all shards that answer in time.

    Args:
        panel: Who is asked.
        asked: What.
        k: Matches a query; None for all within a distance.
        most: Chance matches that all shards together may expect of a match; None for no decision.

    Raises:
        InputError: A shard was asked for something wrong.
        LibraryError: No shard answers.
    """
    outcomes = panel.describe()
    able = [n for n in range(len(panel.shards)) if not isinstance(outcomes.get(n), Failure)]
    limits = panel.limits(most)
    found = panel.search(asked, dict.fromkeys(able, range(asked.count)), k, limits)
    told = {number: one for number, one in found.items() if not isinstance(one, Failure)}
    states = panel.states({**outcomes, **found})
    if not told:
        problems = "; ".join(f"{state.name}: {state.problem}" for state in states)
        raise LibraryError(f"none of {len(states)} shards answered: {problems}")
    gathering = _Gathering(k or 0, {s.shard: s.items or 0 for s in states}, asked.how.get("group_copies", True))
    answers = [gathering.one(told, i) for i in range(asked.count)]
    if gathering.group and k:
        answers = _with_all_copies(panel, asked, gathering, limits, (told, answers))
    first, rates = told[min(told)], _rates(list(told.values()))
    widest = k or max((len(one.matches) for one in answers), default=0)
    size, whose = sizes_of(states), (first.channel, first.metric, rates)
    return ShardMatches(tuple(answers), widest, size, *whose, states)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class _Gathering:
    """How answers become one: k, the items of each shard, and whether copies are grouped."""

    k: int
    sizes: Mapping[int, int]
    group: bool

    def one(self, told: Mapping[int, Sequence[QueryMatches]], query: int) -> QueryMatches:
        """Return the answer to a query."""
        return gathered({n: one[query] for n, one in told.items()}, self.k, sizes=self.sizes, group=self.group)


def _with_all_copies(
    panel: Panel,
    asked: Asked,
    gathering: _Gathering,
    limits: Mapping[int, Mapping[str, Any]],
    found: tuple[Mapping[int, Matches], Sequence[QueryMatches]],
) -> list[QueryMatches]:
    """Return the answers with the copies that shards left out because other items of theirs are as near."""
    told, answers, size = {n: list(one.queries) for n, one in found[0].items()}, list(found[1]), gathering.k
    for _ in range(_ROUNDS):
        lacking = {
            number: [i for i, answer in enumerate(answers) if lacks_copies(number, own[i], answer, size)]
            for number, own in told.items()
        }
        which = {number: lines for number, lines in lacking.items() if lines}
        size *= _WIDER
        try:
            more = panel.search(asked, which, size, limits)
        except InputError:  # a service has a limit on matches
            break
        for number, matches in more.items():
            for i, answer in zip(which[number], () if isinstance(matches, Failure) else matches, strict=False):
                told[number][i] = answer
        for i in {i for lines in which.values() for i in lines}:
            answers[i] = replace(gathering.one(told, i), more=answers[i].more)
        if not which:
            break
    return answers


def _rates(told: Sequence[Matches]) -> GatheredRates | None:
    """Return what matches are judged by: told of the first shard's rates, stale where those of any shard are."""
    rates: list[tuple[Any, int]] = [(one.calibration, one.library_size) for one in told if one.calibration is not None]
    if not rates:
        return None
    first, stale = rates[0][0], any(one.is_stale(size) for one, size in rates)
    return GatheredRates(first.origin, first.what, first.images, first.pairs, stale)
