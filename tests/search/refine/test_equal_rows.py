"""Laws of rows that are stored many times: the same answer, and no more measured than one row takes."""

from __future__ import annotations

import doctest
import sys

import numpy as np
import pytest

from simsearch import distance
from simsearch.search.exact import knn
from simsearch.search.range_search import within
from simsearch.search.refine import equal_rows, second_pass
from simsearch.search.refine.pairs import PairDistances
from tests.search.test_exact import assert_exact, make, oracle


def with_repeats(rng, metric, n, m):
    """Rows (n, 24), m of them one and the same, and queries near that one."""
    rows = make(rng, n, 24, metric)
    rows[rng.permutation(n)[:m]] = rows[5]
    return rows, (rows[5].astype(np.float32) * rng.gamma(400, 1 / 400, (6, 24))).astype(np.float16)


@pytest.mark.parametrize("metric", ["js", "cosine", "l1", "l2"])
@pytest.mark.parametrize("k", [1, 70])
def test_of_equal_rows_no_more_than_k_are_measured(rng, metric, k, route):
    budget = 200_000
    rows, queries = with_repeats(rng, metric, 3000, 1500)
    live = rng.random(3000) < 0.9
    for mask in (None, [live[:1700], live[1700:]]):
        found = knn(queries, [rows[:1700], rows[1700:]], k=k, metric=metric, live=mask, device="cpu", budget=budget)
        assert_exact(found, oracle(queries, [rows], k, metric, live=mask))
        assert (found.measured <= 4 * (k + 54)).all()
        again = knn(queries, [rows], k=k, metric=metric, device="cpu", budget=budget, rounded=True)
        np.testing.assert_array_equal(again.distances, oracle(queries, [rows], k, metric)[0])


@pytest.mark.parametrize("metric", ["js", "cosine", "l1", "l2"])
@pytest.mark.parametrize("k", [3, 70])
def test_equal_rows_that_do_not_count_stand_for_none_that_do(rng, metric, k, route):
    rows, queries = with_repeats(rng, metric, 1500, 1000)
    for alive in (slice(600, None), slice(-20, None), slice(None, None, 50), slice(600, 900), slice(0, 0)):
        live = np.zeros(1500, bool)
        live[alive] = True
        for budget in (9000, 200_000):
            found = knn(queries, [rows], k=k, metric=metric, live=[live], device="cpu", budget=budget)
            assert_exact(found, oracle(queries, [rows], k, metric, live=[live]))


@pytest.mark.parametrize("metric", ["js", "cosine", "l1", "l2"])
def test_a_range_measures_equal_rows_once(rng, metric, monkeypatch):
    rows, queries = with_repeats(rng, metric, 3000, 1500)
    asked = []
    real = PairDistances.__call__
    monkeypatch.setattr(PairDistances, "__call__", lambda self, a, b: (asked.append(len(a)), real(self, a, b))[1])
    every = distance.METRICS[metric](queries, rows)
    limit = np.float32(every[:, 5].max())
    found = within(queries, [rows], max_distance=limit, metric=metric, device="cpu")
    expected = oracle(queries, [rows], 3000, metric, max_distance=limit)
    np.testing.assert_array_equal(np.diff(found.starts), (expected[1] >= 0).sum(axis=1))
    np.testing.assert_array_equal(found.positions, expected[1][expected[1] >= 0])
    assert len(found.positions) >= 6 * 1500
    assert sum(asked) < 6 * 1500


def test_a_second_look_leaves_out_what_is_repeated(rng, monkeypatch, by_products):
    rows, queries = with_repeats(rng, "js", 3000, 1500)
    looks = []
    real = second_pass.widen
    monkeypatch.setattr(second_pass, "widen", lambda *args: (looks.append(1), real(*args))[1])
    monkeypatch.setattr(equal_rows.Repeats, "beyond", _only_in(second_pass, equal_rows.Repeats.beyond))
    found = knn(queries, [rows], k=10, metric="js", device="cpu")
    assert_exact(found, oracle(queries, [rows], 10, "js"))
    assert looks


def _only_in(module, beyond):
    """As `beyond`, but that callers of other modules are told nothing."""

    def told(self, rows):
        if sys._getframe(1).f_globals["__name__"] != module.__name__:
            return np.zeros(len(rows), bool)
        return beyond(self, rows)

    return told


def test_repeats_are_counted_over_pieces(rng):
    rows = rng.integers(0, 3, (200, 2)).astype(np.float16)
    met = equal_rows.Repeats(4)
    found = np.concatenate([met.beyond(part) for part in np.split(rows, 5)])
    before = np.array([(rows[:i] == row).all(axis=1).sum() for i, row in enumerate(rows)])
    np.testing.assert_array_equal(found, before >= 4)
    first = [int(np.flatnonzero((rows == row).all(axis=1))[0]) for row in rows]
    assert equal_rows.alike(rows).tolist() == first


def test_the_examples_hold():
    assert doctest.testmod(equal_rows).failed == 0
