"""Laws of asymmetric search: the weighted share of bits on the other side; Hamming where all weights are equal."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simsearch.distance import hamming
from simsearch.errors import InputError, MetricError, RowError
from simsearch.extract.hashes.formats import to_vectors
from simsearch.extract.quantise.hyperplanes import packed
from simsearch.search.hamming import asymmetric as module
from simsearch.search.hamming import shards
from simsearch.search.hamming.asymmetric import asymmetric, nearest_by_margins


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_it_is_the_weighted_share_of_bits_on_the_other_side(bits, seed):
    rng = np.random.default_rng(seed)
    margins, codes = rng.standard_normal((3, bits)), packed(rng.standard_normal((5, bits)))
    sides = to_vectors(codes, bits=bits).astype(bool)
    expected = [[np.abs(m)[(m > 0) != side].sum() / np.abs(m).sum() for side in sides] for m in margins]
    np.testing.assert_allclose(asymmetric(margins, codes), expected, atol=1e-12)
    np.testing.assert_allclose(
        asymmetric(np.sign(margins), codes), hamming(packed(margins), codes, bits=bits), atol=1e-12
    )
    assert (np.diag(asymmetric(margins, packed(margins))) == 0).all()
    assert asymmetric(margins, packed(-margins)).max() <= 1


@pytest.fixture(params=[False, True], ids=["plain", "compiled"])
def way(request, monkeypatch):
    monkeypatch.setattr(module, "_WORTH", -1 if request.param else 1 << 62)
    monkeypatch.setattr(module, "_CELLS", 7000)  # several groups of queries, and of codes
    monkeypatch.setattr(module, "_ROWS", 1000)


@pytest.mark.parametrize(("bits", "k", "threads"), [(5, 1, 1), (20, 3, 2), (96, 10, 3), (200, 500, 2)])
def test_the_nearest_are_those_of_all_distances(rng, way, bits, k, threads):
    margins = rng.standard_normal((6, bits))
    sizes = (0, 900, 1500, 1)
    blocks = [packed(rng.standard_normal((n, bits))) for n in sizes]  # short codes tie
    live = [None, rng.random(900) < 0.8, None, np.array([False])]
    distances = asymmetric(margins, np.concatenate(blocks))
    alive = np.concatenate([np.ones(n, bool) if mask is None else mask for n, mask in zip(sizes, live, strict=True)])
    for limit in (None, 0.3, 0.0):
        open_to = alive & (distances <= (1 if limit is None else limit))
        order = np.argsort(np.where(open_to, distances, np.inf), axis=1, kind="stable")[:, :k]
        there = np.take_along_axis(open_to, order, 1)
        found = nearest_by_margins(margins, blocks, k=k, live=live, max_distance=limit, threads=threads)
        np.testing.assert_array_equal(found.positions, np.where(there, order, -1))
        expected = np.where(there, np.take_along_axis(distances, order, 1), np.inf)
        np.testing.assert_array_equal(found.distances, expected.astype(np.float32))
        assert found.certified.all()


def test_codes_may_lie_apart(rng, way):
    wide, margins = rng.integers(0, 256, (3000, 20), dtype=np.uint8), rng.standard_normal((2, 96))
    for codes in (wide[:, 3:15], np.asfortranarray(wide[:, :12]), wide[::2, :12]):
        found = nearest_by_margins(margins, [codes], k=5)
        expected = np.argsort(asymmetric(margins, codes), axis=1, kind="stable")[:, :5]
        np.testing.assert_array_equal(found.positions, expected)


def test_codes_alike_keep_the_first_ones(rng, way):
    code = packed(rng.standard_normal((1, 24)))
    found = nearest_by_margins(rng.standard_normal((2, 24)), [np.repeat(code, 700, axis=0)], k=5)
    assert found.positions.tolist() == [[0, 1, 2, 3, 4]] * 2


def test_nothing_to_look_at_or_for(rng, way):
    empty = nearest_by_margins(rng.standard_normal((2, 9)), [np.empty((0, 2), np.uint8)], k=3)
    assert (empty.positions == -1).all()
    assert np.isinf(empty.distances).all()
    assert nearest_by_margins(np.empty((0, 9)), [np.zeros((4, 2), np.uint8)], k=3).positions.shape == (0, 3)


def test_bad_input_is_named(rng):
    codes = np.zeros((2, 3), np.uint8)
    with pytest.raises(RowError, match="25 bits"):
        asymmetric(np.ones((1, 25)), codes)
    with pytest.raises(RowError, match="query 1"):
        asymmetric(np.array([[1.0] * 20, [0.0] * 20]), codes)
    with pytest.raises(MetricError, match="uint8"):
        asymmetric(np.ones((1, 20)), codes.astype(float))
    for wrong in ({"k": 0}, {"threads": 0}, {"max_distance": -1}, {"live": [np.ones(3, bool)]}):
        with pytest.raises(InputError):
            nearest_by_margins(np.ones((1, 20)), [codes], **{"k": 1, **wrong})


def test_examples():
    assert doctest.testmod(module).failed == 0
    assert doctest.testmod(shards).failed == 0
