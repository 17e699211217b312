"""Laws of the distances, beside slow and obvious oracles."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import cdist, jensenshannon

from simsearch import distance
from simsearch.errors import MetricError, RowError

FLOAT_METRICS = ("js", "cosine", "l1", "l2")


def slow_js(p, q):
    p, q = p.astype(float) / p.astype(float).sum(), q.astype(float) / q.astype(float).sum()
    total = 0.0
    for x, y in zip(p, q, strict=True):
        m = (x + y) / 2
        total += (0.5 * x * math.log2(x / m) if x > 0 else 0.0) + (0.5 * y * math.log2(y / m) if y > 0 else 0.0)
    return math.sqrt(max(total, 0.0))


def slow_cosine(p, q):
    return (1 - float(np.dot(p, q)) / (float(np.linalg.norm(p)) * float(np.linalg.norm(q)))) / 2


def slow_l1(p, q):
    return sum(abs(float(x) - float(y)) for x, y in zip(p, q, strict=True))


def slow_l2(p, q):
    return math.sqrt(sum((float(x) - float(y)) ** 2 for x, y in zip(p, q, strict=True)))


def slow_hamming(p, q):
    return sum(int(x).bit_count() for x in p ^ q) / (8 * len(p))


ORACLES = {"js": slow_js, "cosine": slow_cosine, "l1": slow_l1, "l2": slow_l2, "hamming": slow_hamming}


def features(rng, n, d):
    """Rows as a network makes them: non-negative, heavy-tailed, with exact zeros."""
    rows = rng.gamma(0.3, size=(n, d)) * (rng.random((n, d)) > 0.3)
    rows[:, 0] += 0.01
    return rows


def sparse_rows(low=0.0):
    values = st.one_of(st.just(0.0), st.floats(low, 1e6, width=32))
    rows = hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, min_side=3, max_side=6), elements=values)
    return rows.filter(lambda r: (np.abs(r).sum(axis=1) > 1e-3).all())


@pytest.mark.parametrize("metric", distance.METRICS)
@pytest.mark.parametrize(("q", "n", "d"), [(1, 1, 1), (3, 5, 7), (4, 2, 64), (0, 3, 5), (3, 0, 5)])
def test_agrees_with_the_oracle(rng, metric, q, n, d):
    if metric == "hamming":
        a, b = (rng.integers(0, 256, (m, d), dtype=np.uint8) for m in (q, n))
    else:
        a, b = features(rng, q, d), features(rng, n, d)
    expected = np.array([[ORACLES[metric](x, y) for y in b] for x in a]).reshape(q, n)
    actual = distance.METRICS[metric](a, b)
    assert actual.dtype == np.float64
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-8)


def test_js_agrees_with_scipy(rng):
    a, b = features(rng, 6, 33), features(rng, 9, 33)
    expected = [[jensenshannon(x, y, base=2) for y in b] for x in a]
    np.testing.assert_allclose(distance.js(a, b), expected, rtol=1e-10)


def test_l1_and_l2_agree_with_scipy_on_signed_rows(rng):
    a, b = rng.normal(size=(6, 33)), rng.normal(size=(9, 33))
    np.testing.assert_allclose(distance.l1(a, b), cdist(a, b, "cityblock"))
    np.testing.assert_allclose(distance.l2(a, b), cdist(a, b))
    np.testing.assert_allclose(distance.cosine(a, b), cdist(a, b, "cosine") / 2, atol=1e-15)


@pytest.mark.parametrize("metric", FLOAT_METRICS)
@settings(max_examples=60, deadline=None)
@given(rows=sparse_rows())
def test_is_a_symmetric_distance_with_zero_for_equal_rows(metric, rows):
    distances = distance.METRICS[metric](rows, rows)
    assert np.isfinite(distances).all()
    assert (distances >= 0).all()
    assert (np.diag(distances) == 0).all()
    np.testing.assert_array_equal(distances, distances.T)
    if metric in {"js", "cosine"}:
        assert (distances <= 1).all()


@settings(max_examples=200, deadline=None)
@given(rows=sparse_rows())
def test_js_keeps_the_triangle_inequality(rows):
    d = distance.js(rows, rows)
    assert (d[:, None, :] <= d[:, :, None] + d[None, :, :] + 1e-7).all()


@settings(max_examples=60, deadline=None)
@given(rows=sparse_rows(), scale=st.integers(-20, 20))
def test_js_and_cosine_ignore_the_scale_of_a_row(rows, scale):
    for metric in (distance.js, distance.cosine):
        assert (np.diag(metric(rows, rows * 2.0**scale)) == 0).all()


@pytest.mark.parametrize("metric", ["js", "cosine"])
@pytest.mark.parametrize("value", [5e-324, 1e-310, 1e308])
def test_extreme_values_neither_overflow_nor_vanish(metric, value):
    rows = np.array([[value, value, 0, 0], [0, 0, value, value], [value, 0, 0, 0]])
    d = distance.METRICS[metric](rows, rows)
    assert (np.diag(d) == 0).all()
    assert d[0, 1] == pytest.approx(1 if metric == "js" else 0.5)


def test_disjoint_rows_are_at_js_distance_one():
    assert distance.js(np.eye(4), np.eye(4)).tolist() == (1 - np.eye(4)).tolist()


def test_near_rows_keep_their_digits():
    row = np.full((1, 512), 1.0)
    near = row.copy()
    near[0, 0] += 1e-6
    # For a small change e of one coordinate of d: cos distance = e^2 (1 - 1/d) / (4 d), to first order.
    assert distance.cosine(row, near)[0, 0] == pytest.approx(1e-12 * (1 - 1 / 512) / 4 / 512, rel=1e-3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_half_precision_rows_are_computed_in_double(rng, dtype):
    a, b = features(rng, 3, 40).astype(dtype), features(rng, 4, 40).astype(dtype)
    for metric in FLOAT_METRICS:
        expected = distance.METRICS[metric](a.astype(np.float64), b.astype(np.float64))
        np.testing.assert_array_equal(distance.METRICS[metric](a, b), expected)


@pytest.mark.parametrize("metric", distance.METRICS)
def test_tiles_do_not_change_the_answer(rng, metric, monkeypatch):
    a, b = features(rng, 7, 20), features(rng, 11, 20)
    if metric == "hamming":
        a, b = (a * 255).astype(np.uint8), (b * 255).astype(np.uint8)
    whole = distance.METRICS[metric](a, b)
    for cells in (1, 50, 999):
        monkeypatch.setattr(distance, "_CELLS", cells)
        monkeypatch.setattr(distance, "_CONVERTED_CELLS", 2 * cells)
        np.testing.assert_array_equal(distance.METRICS[metric](a, b), whole)


def test_codes_that_do_not_fill_a_byte(rng):
    a, b = rng.random((4, 21)) > 0.5, rng.random((6, 21)) > 0.5
    actual = distance.hamming(np.packbits(a, axis=1), np.packbits(b, axis=1), bits=21)
    np.testing.assert_allclose(actual, (a[:, None] != b[None]).mean(axis=-1))
    with pytest.raises(RowError, match="3 bytes cannot hold 25 bits"):
        distance.hamming(np.packbits(a, axis=1), np.packbits(b, axis=1), bits=25)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_row_that_is_not_finite_is_named(bad):
    rows = np.ones((5, 3), np.float16)
    rows[3, 1] = bad
    with pytest.raises(RowError, match="query 3 holds NaN or infinity"):
        distance.l2(rows, np.ones((2, 3)))


@pytest.mark.parametrize("metric", FLOAT_METRICS)
def test_the_row_of_zeros_is_named(metric):
    rows = np.ones((5, 3))
    rows[4] = 0
    with pytest.raises(RowError, match="row 4 is all zeros"):
        distance.METRICS[metric](np.ones((1, 3)), rows)


def test_a_signed_row_that_sums_to_zero_is_no_zero_row():
    distance.check_rows(np.array([[1.0, -1.0]]))
    assert distance.cosine(np.array([[1.0, -1.0]]), np.array([[-1.0, 1.0]])) == pytest.approx(1)


def test_a_code_of_zeros_is_no_zero_row():
    assert distance.hamming(np.zeros((1, 8), np.uint8), np.zeros((1, 8), np.uint8)) == 0


def test_signed_rows_have_no_js():
    with pytest.raises(MetricError, match=r"row 1 has a negative value.*use cosine"):
        distance.js(np.ones((1, 2)), np.array([[1.0, 0.0], [1.0, -1.0]]))


def test_wrong_shapes_and_types_are_refused():
    with pytest.raises(RowError, match=r"\(2, 4\) and must have \(n, 3\)"):
        distance.l2(np.ones((1, 3)), np.ones((2, 4)))
    with pytest.raises(RowError, match=r"must have \(n, d\)"):
        distance.check_rows(np.ones(3))
    with pytest.raises(RowError, match="must be numbers"):
        distance.check_rows(np.array([["a"]]))
    with pytest.raises(MetricError, match="packed uint8"):
        distance.hamming(np.ones((1, 3)), np.ones((1, 3)))


def test_an_unknown_metric_lists_the_known_ones():
    with pytest.raises(MetricError, match="no metric 'euclid'; choose one of js, cosine, l1, l2, hamming"):
        distance.by_name("euclid")
    with pytest.raises(MetricError, match="no metric"):
        distance.check_rows(np.ones((1, 2)), metric="euclid")


def test_the_first_bad_row_is_named_across_blocks(monkeypatch):
    monkeypatch.setattr(distance, "_CONVERTED_CELLS", 4)
    rows = np.ones((9, 2))
    rows[7] = np.nan
    with pytest.raises(RowError, match="row 7"):
        distance.check_rows(rows)


def test_the_examples_hold():
    assert doctest.testmod(distance).failed == 0
