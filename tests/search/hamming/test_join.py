"""Laws of the join of codes: all pairs of comparing all, each once, by whatever chunks and in whatever pieces."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simsearch import distance
from simsearch.search.hamming import join, multi_index
from simsearch.search.hamming.join import join_chunks, joined
from simsearch.search.hamming.multi_index import cut
from tests.search.hamming.test_search import codes_of


def pairs_of(pieces):
    found = [tuple(map(int, pair)) for piece in pieces for pair in zip(*piece, strict=True)]
    assert len(set(found)) == len(found), "a pair is told twice"
    return sorted(found)


def oracle(codes, radius):
    counts = np.rint(distance.hamming(codes, codes) * 8 * codes.shape[1]).astype(int)
    left, right = np.nonzero(np.triu(counts <= radius, 1))
    return sorted(zip(left.tolist(), right.tolist(), counts[left, right].tolist(), strict=True))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([1, 3, 8, 12]), st.integers(1, 12), st.integers(0, 16), st.integers(1, 300), st.integers(0, 1 << 32)
)  # fmt: skip
def test_the_pairs_are_those_of_comparing_all(width, chunks, radius, count, seed):
    codes = codes_of(np.random.default_rng(seed), count, width)
    chunks = cut(8 * width, min(8 * width, max(chunks, -(-8 * width // 22))))
    pieces = list(joined(codes, chunks, radius=min(radius, 8 * width), threads=2))
    assert pairs_of(pieces) == oracle(codes, radius)
    for piece in pieces:
        assert (piece.left < piece.right).all()
        order = np.lexsort((piece.right, piece.counts, piece.left))
        assert (order == np.arange(len(order))).all()


@pytest.mark.parametrize("room", [1, 50])
def test_small_buffers_parts_and_waves_change_nothing(rng, monkeypatch, room):
    for name, value in (("_ROOM", room), ("_PART", 7), ("_WAVE", 2)):
        monkeypatch.setattr(join, name, value)
    codes = np.repeat(codes_of(rng, 40, 8), 4, axis=0)
    told = []
    pieces = list(
        joined(codes, cut(64, 4), radius=9, threads=2, advance=lambda done, total: told.append((done, total)))
    )
    assert pairs_of(pieces) == oracle(codes, 9)
    assert max(len(piece.left) for piece in pieces) <= max(room, len(codes))
    assert sorted(told) == told
    assert told[-1] == (4 * len(codes), 4 * len(codes))


def test_a_chunk_without_a_radius_has_no_table(rng):
    codes = codes_of(rng, 100, 8)
    told = []
    list(joined(codes, cut(64, 8), radius=2, threads=1, advance=lambda *both: told.append(both)))
    assert told[-1] == (300, 300), "of eight chunks one of the first three has no differing bit"


def test_tables_are_made_where_they_pay_for_these_very_codes(rng):
    codes = rng.integers(0, 256, (20_000, 8), dtype=np.uint8)
    assert join_chunks(codes, 2) is not None
    assert join_chunks(codes, 30) is None, "too many values"
    assert join_chunks(codes[:100], 2) is None, "too few codes"
    codes[:, :7] = 0
    assert join_chunks(codes, 2) is None, "nearly all are candidates of all"


def test_no_codes():
    assert list(joined(np.empty((0, 8), np.uint8), cut(64, 4), radius=2)) == []


def test_examples():
    assert doctest.testmod(join).failed == doctest.testmod(multi_index).failed == 0
