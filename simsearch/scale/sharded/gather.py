"""The answers of several shards to one query as one answer: nearest first, ties by shard and then by id.

That is the order of one library that holds the items of all shards, one shard behind the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from simsearch.library.read.matches import Copy, Match, QueryMatches
from simsearch.library.read.nearest_view import lowest_recall
from simsearch.search.arguments import Order


def gathered(answers: Mapping[int, QueryMatches], k: int, *, sizes: Mapping[int, int], group: bool) -> QueryMatches:
    """Return the k nearest matches of all shards.

    Args:
        answers: Of each shard, by its number.
        k: Matches; 0 for all.
        sizes: Items of every shard, also of those that did not answer: expectations are for all of them.
        group: Items with the same content are one match, the others its copies.
    """
    told = [_named(shard, answers[shard], _factor(shard, sizes)) for shard in sorted(answers)]
    rejected = next((one.rejected for one in told if one.rejected is not None), None)
    first = told[0]
    if rejected is not None:
        return replace(first, matches=(), certified=False, rejected=rejected)
    matches = sorted((match for one in told for match in one.matches), key=order)
    matches = one_a_content(matches) if group else matches
    of_exact: Order = "exact" if all(one.order == "exact" for one in told) else "float32"
    mores = [one.more for one in told if one.more is not None]
    return replace(
        first,
        matches=tuple(matches[: k or None]),
        certified=all(one.certified for one in told) and len(answers) == len(sizes),
        recall=lowest_recall(told),
        more=(any(mores) or 0 < k < len(matches)) if mores else None,
        order=of_exact,
        views=max(one.views for one in told),
        low_information=any(one.low_information for one in told),
        crowding=_crowding(told, [sizes[shard] for shard in sorted(answers)]),
    )


def order(match: Match) -> tuple[float, int, int]:
    """Return what matches of several shards are sorted by: distance, shard, id."""
    return match.distance, match.shard or 0, match.id


def one_a_content(matches: Iterable[Match]) -> list[Match]:
    """Return the first of the matches of each content, with the others, and their copies, as its copies."""
    found = dict[object, Match]()
    for match in matches:
        content = match.sha256 or (match.shard, match.id)
        lead = found.get(content)
        found[content] = match if lead is None else _with_copies(lead, match)
    return list(found.values())


def lacks_copies(shard: int, answer: QueryMatches, found: QueryMatches, asked: int) -> bool:
    """Return whether a shard may hold copies of the matches that were found, which it left out for want of room.

    Copies have equal rows, and so equal distances: it may where it gave as many matches as it was asked for and the
    last of these is as far as a match of other shards alone.
    """
    if len(answer.matches) < asked:
        return False
    last = answer.matches[-1].distance
    near = [match for match in found.matches if match.sha256 is not None and match.distance >= last]
    return any(shard not in {match.shard, *(copy.shard for copy in match.copies)} for match in near)


def _with_copies(lead: Match, other: Match) -> Match:
    itself = Copy(other.id, other.path, other.path_b64, shard=other.shard)
    copies = sorted((*lead.copies, itself, *other.copies), key=lambda copy: (copy.shard or 0, copy.id))
    return replace(lead, copies=tuple(copies))


def _factor(shard: int, sizes: Mapping[int, int]) -> float:
    """Return how many times as many chances all shards are as one."""
    return sum(sizes.values()) / sizes[shard] if sizes[shard] else 1.0


def _named(shard: int, answer: QueryMatches, factor: float) -> QueryMatches:
    """Return a shard's answer with its number, and with what is expected of all shards: E = N F, N of all."""
    return replace(answer, matches=tuple(_expecting(match, shard, factor) for match in answer.matches))


def _expecting(match: Match, shard: int, factor: float) -> Match:
    interval, mean, own = match.expected_interval, match.expected_false_matches, match.expected_for_query
    return replace(
        match,
        shard=shard,
        copies=tuple(replace(copy, shard=shard) for copy in match.copies),
        expected_false_matches=None if mean is None else mean * factor,
        expected_interval=None if interval is None else (interval[0] * factor, interval[1] * factor),
        expected_for_query=None if own is None else own * factor,
    )


def _crowding(answers: Sequence[QueryMatches], sizes: Sequence[int]) -> float | None:
    """Return how crowded the query's neighbourhood is in all shards: the mean, each counting by its items."""
    known = [(one.crowding, size) for one, size in zip(answers, sizes, strict=True) if one.crowding is not None]
    total = sum(size for _, size in known)
    return sum(value * size for value, size in known) / total if total else None
