"""The flood guard: what is more than can be expected, and how rarely chance alone makes it so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import poisson

from simsearch.library.lists.flood import LEVEL, Sightings, bound, floods


@given(st.integers(0, 200), st.floats(0, 100), st.integers(1, 10**7))
def test_a_flood_is_a_count_that_chance_does_not_reach(count: int, expected: float, entries: int) -> None:
    wanted = count > 0 and poisson.sf(count - 1, expected) < LEVEL / entries
    assert floods([count], [expected], entries)[0] == wanted


@given(st.floats(0, 1000), st.integers(1, 10**7))
def test_the_bound_is_the_last_that_is_none(expected: float, entries: int) -> None:
    most = bound(expected, entries)
    assert floods([most, most + 1], [expected] * 2, entries).tolist() == [False, True]


def test_chance_alone_floods_a_list_as_rarely_as_is_said(rng: np.random.Generator) -> None:
    lists, entries = 4000, 50
    counts = rng.poisson(5.0, (lists, entries))
    flooded = floods(counts.ravel(), np.full(counts.size, 5.0), entries).reshape(counts.shape).any(axis=1)
    assert flooded.mean() <= 3 * LEVEL


def test_sightings_come_back_and_forget() -> None:
    seen = Sightings().with_checks(10, {3: 2, 4: 1}).with_checks(5, {3: 1}).setting_aside([3])
    assert Sightings.from_dict(seen.to_dict()) == seen
    assert (seen.checks, seen.counts, seen.aside) == (15, {3: 3, 4: 1}, {3})
    free = seen.releasing([3])
    assert (free.aside, free.setting_aside([3]).aside) == (frozenset(), frozenset())
    assert free.without([3]) == Sightings(15, {4: 1})
    with pytest.raises(Exception, match="cannot be read"):
        Sightings.from_dict({"checks": 1})
