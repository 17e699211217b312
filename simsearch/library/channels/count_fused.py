"""Rates of strangers for all channels of a library together, counted on pairs of queries and items drawn from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simsearch.decide.calibration import Origin
from simsearch.decide.known_rates import KnownRates
from simsearch.decide.rate_curve import JointRate, Sides, decades
from simsearch.errors import InputError
from simsearch.library.calibration.contents import (
    CopyPair,
    folders_of,
    name_of_item,
    name_of_query,
    places_of_contents,
)
from simsearch.library.calibration.count import FEWEST_PAIRS, look_like_strangers
from simsearch.library.channels.strengths import strengths_of
from simsearch.library.format.snapshot import Place, Snapshot
from simsearch.library.read.query import Query
from simsearch.library.read.search_plan import SearchPlan

_SHOWN = 1000  # pairs that look like copies, which are reported
_FILES = 1000  # images of a library that are read again
Values = NDArray[np.float64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FusedReport:
    """Rates of all channels together that were counted, and what was left out of them.

    Attributes:
        rates: The rates.
        copies: The strongest of the pairs that look like copies, with the first channel's distance: look at them.
    """

    rates: KnownRates
    copies: tuple[CopyPair, ...]


def count_fused(
    plans: Sequence[SearchPlan],
    queries: Sequence[Sequence[Query]],
    *,
    pairs: int,
    origin: Origin,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> FusedReport:
    """Return the rates, and the pairs that look like copies, which were not counted.

    Args:
        plans: Of a search in each channel.
        queries: For each channel, the same images; where they are items of the library, none is compared with itself or
            with an item of its folder, if there are several folders.
        pairs: To compare, about.
        origin: Which images they are.
        seed: Of the pairs.
        progress: Called with queries compared and their number.

    Raises:
        InputError: There are too few pairs.
    """
    snapshot = plans[0].snapshot
    places = places_of_contents(snapshot)
    usable = [i for i in range(len(queries[0])) if all(asked[i].row is not None for asked in queries)]
    own = _contents(snapshot, places, [queries[0][i] for i in usable])
    left, right = _drawn(own, folders_of(snapshot, places), pairs, np.random.default_rng(seed))
    if len(left) < FEWEST_PAIRS:
        raise InputError(
            f"{len(usable)} images and {len(places)} items give {len(left)} pairs of strangers, too few for a rate; "
            "give more photographs"
        )
    said: list[list[Values]] = [[] for _ in plans]
    for done, i in enumerate(usable):
        some = [places[j] for j in right[left == done].tolist()]
        for plan, asked, values in zip(plans, queries, said, strict=True):
            values.append(strengths_of(plan, asked[i], some).strengths if some else np.empty(0))
        if progress is not None:
            progress(done + 1, len(usable))
    strengths = {plan.channel.fingerprint: np.concatenate(parts) for plan, parts in zip(plans, said, strict=True)}
    strangers, copies = _without_copies(strengths)
    one_set = bool((own >= 0).all())
    first, sizes = (own[left], (len(places),)) if one_set else (left, (len(usable), len(places)))
    sides = Sides(first[strangers], right[strangers], sizes)
    joint = JointRate.of({key: values[strangers] for key, values in strengths.items()}, sides)
    models = {plan.channel.fingerprint: plan.channel.model for plan in plans}
    rates = KnownRates(models, joint, int(strangers.sum()), origin, len(usable), len(snapshot), len(copies))
    distances = -strengths[plans[0].channel.fingerprint]
    shown = copies[:_SHOWN].tolist()
    lines = [usable[i] for i in left[shown].tolist()]
    found = zip(lines, right[shown].tolist(), distances[shown].tolist(), strict=True)
    return FusedReport(
        rates,
        tuple(CopyPair(name_of_query(queries[0][i], i), name_of_item(snapshot, places[j]), d) for i, j, d in found),
    )


def some_files(snapshot: Snapshot, seed: int) -> list[bytes]:
    """Return the paths of some contents of a library, drawn evenly.

    Raises:
        InputError: No item has a path.
    """
    paths = [path for place in places_of_contents(snapshot) if (path := snapshot.path(place)) is not None]
    if not paths:
        raise InputError("no item of the library has a file: give images as negatives or queries")
    chosen = np.random.default_rng(seed).permutation(len(paths))[:_FILES]
    return [paths[i] for i in np.sort(chosen).tolist()]


def _contents(snapshot: Snapshot, places: Sequence[Place], queries: Sequence[Query]) -> Numbers:
    """Return the number of the content that each query is, -1 for one that is not in the library."""
    known = {snapshot.segments[place.segment].sha256[place.position].tobytes(): i for i, place in enumerate(places)}
    return np.array([known.get(query.sha256 or b"", -1) for query in queries], np.int64)


def _drawn(own: Numbers, folders: Numbers, pairs: int, rng: np.random.Generator) -> tuple[Numbers, Numbers]:
    """Return pairs of strangers, each once: the numbers of their queries, ascending, and of their contents."""
    each = min(len(folders), -(-pairs // max(1, len(own))))
    asked = np.zeros(len(folders), bool)
    asked[own[own >= 0]] = True
    left, right = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for number, mine in enumerate(own.tolist()):
        chosen = np.sort(rng.choice(len(folders), each, replace=False))
        if mine >= 0:
            alike = (folders[chosen] == folders[mine]) & (folders[mine] >= 0)
            chosen = chosen[~alike & (chosen != mine) & ~(asked[chosen] & (chosen < mine))]
        left.append(np.full(len(chosen), number))
        right.append(chosen)
    return np.concatenate(left), np.concatenate(right)


def _without_copies(strengths: dict[str, Values]) -> tuple[NDArray[np.bool_], Numbers]:
    """Return which pairs are strangers, and the others, strongest first."""
    together = decades(JointRate.of(strengths).alone, strengths)
    order = np.argsort(-together, kind="stable")
    strangers = np.ones(len(order), bool)
    copies = order[~look_like_strangers(-together[order])]
    strangers[copies] = False
    return strangers, copies
