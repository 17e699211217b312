"""The answers to several views of one query as one answer: for each item the nearest view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from simsearch.library.indexes.curve import Recall
from simsearch.library.read.matches import Match, QueryMatches
from simsearch.search.arguments import Order


def nearest_view(views: Sequence[str], answers: Sequence[QueryMatches], most: int) -> QueryMatches:
    """Return at most so many matches, each at the distance of its nearest view, which it names; ties to the first view.

    The nearest of all views are among the nearest of each: where every answer has `most` matches or all there are,
    nothing is missing.
    """
    best = dict[int, Match]()
    for view, answer in zip(views, answers, strict=True):
        for match in answer.matches:
            content = min([match.id, *(copy.id for copy in match.copies)])  # whichever of equal contents stands for it
            other = best.get(content)
            if other is None or _order(match) < _order(other):
                best[content] = replace(match, view=view)
    order: Order = "exact" if all(answer.order == "exact" for answer in answers) else "float32"
    matches = tuple(sorted(best.values(), key=_order)[:most])
    certified = all(answer.certified for answer in answers)
    return QueryMatches(None, matches, certified, recall=lowest_recall(answers), order=order, views=len(views))


def _order(match: Match) -> tuple[float, int]:
    return match.distance, match.id


def lowest_recall(answers: Sequence[QueryMatches]) -> Recall | None:
    """Return the lowest recall of those that went through an index; None where one is not known."""
    recalls = [answer.recall for answer in answers if answer.recall is not None or not answer.certified]
    known = [recall for recall in recalls if recall is not None]
    return min(known, key=lambda recall: recall.value) if known and len(known) == len(recalls) else None
