"""Joining the answers to several views."""

from __future__ import annotations

import numpy as np
import pytest

from simsearch.library.indexes.curve import Recall
from simsearch.library.read.matches import Copy, Match, QueryMatches
from simsearch.library.read.nearest_view import nearest_view

VIEWS = ("plain", "mirrored", "inner part")


def match(number: int, distance: float, *copies: int) -> Match:
    return Match(number, f"/{number}", None, distance, copies=tuple(Copy(copy, f"/{copy}") for copy in copies))


@pytest.mark.parametrize("seed", range(10))
def test_it_is_the_minimum_over_all_views_from_the_nearest_of_each(seed: int) -> None:
    distances = np.random.default_rng(seed).integers(0, 6, (3, 20)) / 4  # many ties
    most = 5
    order = [np.lexsort((np.arange(20), row))[:most] for row in distances]
    lists = [[match(int(i), float(row[i])) for i in near] for row, near in zip(distances, order, strict=True)]
    joined = nearest_view(VIEWS, [QueryMatches(None, tuple(one)) for one in lists], most)
    least, first = distances.min(0), distances.argmin(0)
    wanted = np.lexsort((np.arange(20), least))[:most]
    told = [(one.id, one.distance, one.view) for one in joined.matches]
    assert told == [(i, least[i], VIEWS[first[i]]) for i in wanted]
    assert (joined.certified, joined.recall, joined.order, joined.views) == (True, None, "exact", 3)


def test_equal_contents_stay_one_match_though_another_of_them_stands_for_it() -> None:
    answers = [QueryMatches(None, (match(7, 0.5, 3), match(4, 0.6))), QueryMatches(None, (match(3, 0.2, 7),))]
    joined = nearest_view(VIEWS[:2], answers, 9)
    assert [(one.id, one.view, [copy.id for copy in one.copies]) for one in joined.matches] == [
        (3, "mirrored", [7]),
        (4, "plain", []),
    ]


def test_no_more_is_promised_than_every_view_promises() -> None:
    exact = QueryMatches(None, ())
    through = [QueryMatches(None, (), certified=False, recall=recall(value), order="float32") for value in (0.9, 0.8)]
    beyond = QueryMatches(None, (), certified=False)
    assert nearest_view(VIEWS, [exact, *through], 3).recall == recall(0.8)
    joined = nearest_view(VIEWS, [exact, through[0], beyond], 3)
    assert (joined.certified, joined.recall, joined.order) == (False, None, "float32")
    assert nearest_view(VIEWS[:1], [through[0]], 3).recall == recall(0.9)


def recall(value: float) -> Recall:
    return Recall(value, value - 0.01, value + 0.01)
