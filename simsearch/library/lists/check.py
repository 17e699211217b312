"""Checking pictures against lists: what is near an entry, whether chance explains it, and whether it is excused."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.decide.calibration import Expected
from simsearch.images.quality import TEXT_PAGE
from simsearch.images.source import Found, as_text
from simsearch.library.lists.codes import DIGESTS, PDQ, PDQ_QUALITY, Code
from simsearch.library.lists.comparison import Comparison, Plan
from simsearch.library.lists.flood import COPIES, floods
from simsearch.library.lists.found import LOW_INFORMATION, SET_ASIDE, TOO_MANY, Checked, ListMatch, PictureCheck
from simsearch.library.lists.image_list import ImageList
from simsearch.library.lists.pictures import Picture, pictures
from simsearch.library.settings import AddSettings

MOST = 20
"""Matches of a picture in one list that are told."""
NEVER = Expected(0.0, 0.0, 0.0, beyond_calibration=False)
"""False matches of equal digests."""
_AT_ONCE = 256


def check(inputs: Iterable[Found], plan: Plan, settings: AddSettings, *, count: bool = True) -> Checked:
    """Check pictures, and return the answers in their order.

    Args:
        inputs: As of `find`.
        plan: The lists, and how they are compared.
        settings: Of reading.
        count: Whether the flood guard counts them.
    """
    return checked(pictures(inputs, plan.makers, plan.digests, settings), plan, count=count)


def checked(given: Iterable[Picture], plan: Plan, *, count: bool = True) -> Checked:
    """Check pictures whose codes are known, and return the answers in their order.

    Args:
        given: The pictures.
        plan: The lists, and how they are compared.
        count: Whether the flood guard counts them.
    """
    answers, met, done = list[PictureCheck](), {one.name: Counter[int]() for one in plan.lists}, 0
    stream = iter(given)
    while chunk := list(itertools.islice(stream, _AT_ONCE)):
        answers += _answers(chunk, plan, met)
        done += len(chunk)
    aside, notes = list[tuple[str, int]](), list[str]()
    if count and done:
        for one in plan.lists:
            if one.kind == "block":
                aside += [(one.name, entry) for entry in _count(one, plan, done, met[one.name], notes)]
    return Checked(
        tuple(answers), {one.name: len(one) for one in plan.lists}, tuple(plan.notes), tuple(notes), tuple(aside)
    )


def _count(one: ImageList, plan: Plan, done: int, met: Mapping[int, int], notes: list[str]) -> list[int]:
    """Count what was met of a list, and return the entries that the flood guard sets aside now."""
    before = one.sightings.aside
    chance = {comparison.type: comparison.chance() for comparison in plan.comparisons if comparison.whose is one}

    def flooded(seen: Any) -> list[int]:
        ids, since, mean = list[int](), list[int](), list[float]()
        for kind, rate in chance.items():
            held = one.coded(kind)
            at = np.flatnonzero(np.isin(held.ids, list(seen.counts)))
            ids += held.ids[at].tolist()
            since += held.since[at].tolist()
            mean += [rate] * len(at)
        counts = [seen.counts[entry] for entry in ids]
        exposed = np.maximum(seen.checks - np.array(since, np.float64), 1)
        over = floods(counts, COPIES + exposed * (np.array(mean) + one.prevalence), len(one))
        return [entry for entry, is_over in zip(ids, over.tolist(), strict=True) if is_over]

    try:
        after = one.note_checks(done, met, flooded)
    except OSError as error:
        notes.append(f"{one.name}: what was met could not be counted for the flood guard: {error.strerror or error}")
        return []
    return sorted(after.aside - before)


@dataclass(frozen=True, slots=True)
class _Near:
    """A picture's neighbours in one list by one type."""

    comparison: Comparison
    places: NDArray[np.int64]
    distances: NDArray[np.float64]


def _answers(chunk: Sequence[Picture], plan: Plan, met: Mapping[str, Counter[int]]) -> Iterator[PictureCheck]:
    near: list[list[_Near]] = [[] for _ in chunk]
    for comparison in plan.comparisons:
        asked = [i for i, picture in enumerate(chunk) if comparison.type in picture.rows]
        if not asked:
            continue
        rows = np.stack([chunk[i].rows[comparison.type] for i in asked])
        for i, (places, distances) in zip(asked, comparison.near(rows), strict=True):
            near[i].append(_Near(comparison, places, distances))
    return (_answer(picture, found, plan, met) for picture, found in zip(chunk, near, strict=True))


def _answer(picture: Picture, near: Sequence[_Near], plan: Plan, met: Mapping[str, Counter[int]]) -> PictureCheck:
    blocks = [one for one in plan.lists if one.kind == "block"]
    excused = any(_same(one, picture) for one in plan.lists if one.kind == "allow")
    exact = [match for one in blocks for match in _exact(one, picture)]
    nearest = dict[str, float]()  # of the allowed ones, by type
    for one in near:
        if one.comparison.whose.kind == "allow" and len(one.distances):
            kind = one.comparison.type
            nearest[kind] = min(nearest.get(kind, np.inf), float(one.distances[0]))
    matches, more, allowed = list[ListMatch](), 0, excused and bool(exact)
    blank = picture.quality is not None and picture.quality <= TEXT_PAGE
    for one in near:
        if one.comparison.whose.kind == "allow" or not len(one.distances):
            continue
        kept = one.distances < nearest.get(one.comparison.type, np.inf)
        kept &= not excused
        allowed |= not kept.all()
        places, distances = one.places[kept], one.distances[kept]
        held = one.comparison.whose.coded(one.comparison.type)
        met[one.comparison.whose.name].update(held.ids[places].tolist())
        more += max(0, len(places) - MOST)
        matches += _matches(one.comparison, places[:MOST], distances[:MOST], _weak(picture, one.comparison.type, blank))
    text, encoded = as_text(picture.source.path) if picture.source.has_path else (None, None)
    told = (() if excused else tuple(exact)) + tuple(matches)
    return PictureCheck(text, encoded, told, more, bool(allowed), blank, picture.rejected)


def _weak(picture: Picture, kind: str, blank: bool) -> bool:
    """Return whether a picture shows too little to be accused by this type of code."""
    return blank or (kind == PDQ and picture.pdq_quality is not None and picture.pdq_quality < PDQ_QUALITY)


def _matches(
    comparison: Comparison, places: NDArray[np.int64], distances: NDArray[np.float64], weak: bool
) -> Iterator[ListMatch]:
    one = comparison.whose
    ids = one.coded(comparison.type).ids[places].tolist()
    entries = {entry.id: entry for entry in one.entries(ids=ids)} if ids else {}
    for entry, distance, worth in zip(ids, distances.tolist(), comparison.expected(distances), strict=True):
        over = comparison.most is not None and worth is not None and worth.high > comparison.most
        why = LOW_INFORMATION if weak else SET_ASIDE if entry in one.sightings.aside else TOO_MANY if over else None
        yield ListMatch(
            one.name,
            entry,
            comparison.type,
            distance,
            None if comparison.bits is None else round(distance * comparison.bits),
            worth,
            entries[entry].sources,
            decision=why is None,
            why_not=why,
        )


def _same(one: ImageList, picture: Picture) -> list[int]:
    """Return the entries of a list that are digests of the picture's very bytes."""
    kinds = sorted(one.types().keys() & picture.digests.keys() & DIGESTS.keys())
    found = (one.same(Code(kind, picture.digests[kind])) for kind in kinds)
    return [entry for entry in found if entry is not None]


def _exact(one: ImageList, picture: Picture) -> Iterator[ListMatch]:
    ids = _same(one, picture)
    for entry in one.entries(ids=ids) if ids else ():
        yield ListMatch(one.name, entry.id, entry.code.type, 0.0, None, NEVER, entry.sources, decision=True)
