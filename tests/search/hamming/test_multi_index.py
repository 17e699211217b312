"""Laws of multi-index hashing: the answer of looking at every code, from a share of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simsearch.errors import InputError, RowError
from simsearch.search.hamming import multi_index
from simsearch.search.hamming.multi_index import MultiIndex
from simsearch.search.hamming.search import codes_within
from tests.search.hamming.test_search import codes_of


def assert_same(found, expected):
    for column, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(column, other)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([1, 5, 8, 12]), st.integers(1, 9), st.integers(0, 20), st.integers(0, 2**32 - 1))
def test_the_answer_is_that_of_looking_at_every_code(width, chunks, radius, seed):
    rng = np.random.default_rng(seed)
    codes, queries = codes_of(rng, 300, width), codes_of(rng, 20, width)
    queries[:10] = codes[:10]
    index = MultiIndex(codes, chunks=min(8 * width, max(chunks, -(-8 * width // 22))))
    found, looked_at = index.within(queries, radius=radius, threads=2)
    assert_same(found, codes_within(queries, [codes], radius=radius))
    assert (looked_at >= np.bincount(found.query_ids, minlength=20)).all()


@given(st.integers(1, 12), st.integers(0, 60), st.data())
def test_any_spread_of_the_differing_bits_leaves_one_chunk_near_enough(chunks, radius, data):
    index = MultiIndex(np.zeros((1, 12), np.uint8), chunks=max(chunks, 5))
    owners = data.draw(st.lists(st.integers(0, len(index.chunks) - 1), min_size=radius, max_size=radius))
    spread = np.bincount(np.array(owners, int), minlength=len(index.chunks))
    assert (spread <= index.radii(radius)).any()


def test_a_small_radius_looks_at_few_codes(rng):
    codes = rng.integers(0, 256, (20_000, 8), dtype=np.uint8)
    found, looked_at = MultiIndex(codes).within(codes[:50], radius=4)
    assert looked_at.mean() < 100
    assert set(range(50)) <= set(found.positions.tolist())


def test_a_query_with_more_hits_than_there_is_room_for(rng, monkeypatch):
    monkeypatch.setattr(multi_index, "_ROOM", 3)
    codes = codes_of(rng, 200, 8)
    found, _ = MultiIndex(codes).within(codes[:5], radius=64)
    assert_same(found, codes_within(codes[:5], [codes], radius=64))


def test_of_a_query_with_too_many_candidates_nothing_is_looked_for(rng):
    codes = codes_of(rng, 300, 8)
    index = MultiIndex(codes)
    found, candidates = index.within(codes[:50], radius=5)
    most = int(np.median(candidates))
    some, again = index.within(codes[:50], radius=5, most=most)
    assert again.tolist() == candidates.tolist()
    assert_same(some, [column[(candidates <= most)[found.query_ids]] for column in found])


def test_the_candidates_of_random_codes_are_as_many_as_expected(rng):
    index = MultiIndex(rng.integers(0, 256, (30_000, 12), np.uint8))
    _, candidates = index.within(rng.integers(0, 256, (200, 12), np.uint8), radius=9)
    assert candidates.mean() == pytest.approx(index.candidates(9), rel=0.05)


def test_bad_input_is_named(rng):
    codes = codes_of(rng, 10, 8)
    for chunks in (0, 1, 2, 65):
        with pytest.raises(InputError, match="chunks"):
            MultiIndex(codes, chunks=chunks)
    index = MultiIndex(codes)
    with pytest.raises(RowError):
        index.within(codes[:, :7], radius=1)
    with pytest.raises(InputError, match="radius"):
        index.within(codes, radius=-1)


def test_no_codes_and_no_queries():
    index = MultiIndex(np.empty((0, 8), np.uint8))
    found, looked_at = index.within(np.zeros((2, 8), np.uint8), radius=3)
    assert len(found.query_ids) == 0
    assert looked_at.tolist() == [0, 0]
    assert len(index.within(np.empty((0, 8), np.uint8), radius=3)[1]) == 0
