"""Hamming search by numpy until a compiled pass pays, and when it does."""

from __future__ import annotations

import numpy as np
import pytest

from simsearch.runtime import kernel_cache
from simsearch.runtime.kernel_cache import KernelCache
from simsearch.search import knn
from simsearch.search.hamming import plain, search
from simsearch.search.hamming.search import FEW, MANY, SLICED, WITHIN, pays
from simsearch.search.range_search import within
from tests.search.hamming.test_search import codes_of, counted, oracle


@pytest.fixture(params=["numpy", "few", "many"])
def way(request, monkeypatch):
    """How codes are compared."""
    worth = {"numpy": (1 << 62, 1 << 62), "few": (0, 1 << 62), "many": (0, 0)}[request.param]
    monkeypatch.setattr(search, "_WORTH", {FEW: worth[0], MANY: worth[1], WITHIN: worth[0]})
    monkeypatch.setattr(plain, "_ROWS", 300)
    monkeypatch.setattr(plain, "_TILE", 70)


def cut(rows):
    return [rows[:0], rows[:1], rows[1:437], rows[437:]]


@pytest.mark.parametrize("width", [1, 8, 12])
@pytest.mark.parametrize(("q", "k"), [(1, 1), (1, 40), (2, 700), (SLICED, 9)])
def test_codes_are_found_whatever_way_they_are_compared(rng, way, width, q, k):
    codes, queries, live = codes_of(rng, 700, width), codes_of(rng, q, width), rng.random(700) < 0.8
    counts, positions = oracle(queries, codes, k, live)
    found = knn(queries, cut(codes), k=k, metric="hamming", live=cut(live), device="cpu")
    np.testing.assert_array_equal(found.positions, positions)
    np.testing.assert_array_equal(found.distances, np.where(positions < 0, np.inf, counts / (8 * width)).astype("f4"))
    radius = int(np.median(counts))
    near = np.where(counted(queries, codes) <= radius, live, False)
    limit = radius / (8 * width)
    assert (
        within(queries, cut(codes), max_distance=limit, metric="hamming", live=cut(live), device="cpu")
        .starts[1:]
        .tolist()
        == np.cumsum(near.sum(axis=1)).tolist()
    )
    found = knn(queries, cut(codes), k=k, metric="hamming", live=cut(live), max_distance=limit, device="cpu")
    np.testing.assert_array_equal(found.positions, np.where(counts <= radius, positions, -1))


def test_no_codes_give_nothing(way):
    found = knn(np.zeros((2, 4), np.uint8), [], k=3, metric="hamming", device="cpu")
    assert (found.positions == -1).all()


@pytest.fixture
def nothing_met(monkeypatch, tmp_path):
    """A process that has compared nothing, and finds nothing on disk."""
    empty = KernelCache(tmp_path, "none")
    monkeypatch.setattr(kernel_cache, "kept", lambda: empty)
    kernel_cache._met.clear()


def test_codes_asked_one_at_a_time_are_worth_compiling_for_within_twenty_queries(nothing_met):
    paid = [pays(FEW, 300_000, 12) for _ in range(20)]
    assert not paid[0]
    assert paid[-1]
    assert not pays(FEW, 300_000, 8)  # another length


def test_single_queries_do_not_compile_the_pass_for_many(nothing_met):
    codes = np.zeros((300, 4), np.uint8)
    for _ in range(3):
        knn(codes[:1], [codes], k=1, metric="hamming", device="cpu")
    assert kernel_cache._met == {(FEW, 1): 900}
