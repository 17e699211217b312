"""Laws of asymmetric search: the weighted share of bits on the other side; Hamming where all weights are equal."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simsearch.distance import hamming
from simsearch.errors import MetricError, RowError
from simsearch.extract.bits_text import to_vectors
from simsearch.extract.quantiser import packed
from simsearch.search import asymmetric as module
from simsearch.search.asymmetric import asymmetric


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


def test_the_cut_into_blocks_does_not_change_the_answer(rng, monkeypatch):
    margins, codes = (
        rng.standard_normal((4, 20)),
        rng.integers(0, 256, (50, 3), np.uint8) & np.array([255, 255, 240], np.uint8),
    )
    whole = asymmetric(margins, codes)
    monkeypatch.setattr(module, "_CELLS", 60)
    np.testing.assert_allclose(asymmetric(margins, codes), whole, atol=1e-12)


def test_bad_input_is_named(rng):
    codes = np.zeros((2, 3), np.uint8)
    with pytest.raises(RowError, match="25 bits"):
        asymmetric(np.ones((1, 25)), codes)
    with pytest.raises(RowError, match="query 1"):
        asymmetric(np.array([[1.0] * 20, [0.0] * 20]), codes)
    with pytest.raises(MetricError, match="uint8"):
        asymmetric(np.ones((1, 20)), codes.astype(float))


def test_examples():
    assert doctest.testmod(module).failed == 0
