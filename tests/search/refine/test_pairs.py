"""Laws of batched distances: as near to `simsearch.distance` as stated, and settled to its very answer."""

from __future__ import annotations

import numba
import numpy as np
import pytest
import torch

from simsearch import distance
from simsearch.errors import RowError
from simsearch.search.arguments import SearchRequest, checked_limit
from simsearch.search.metrics import SEARCH_METRICS
from simsearch.search.refine import compiled_blocks, compiled_pairs
from simsearch.search.refine.pairs import Measured, PairDistances, settle
from simsearch.search.scan.blocks import Scan
from tests.search.test_exact import make

METRICS = tuple(distance.METRICS)
CPU = torch.device("cpu")


def pairs_of(queries, blocks, metric, budget=1 << 20):
    scan = Scan(blocks, [None] * len(blocks), metric, CPU, SEARCH_METRICS[metric].score(queries.shape[1], CPU), budget)
    return PairDistances(scan, torch.from_numpy(queries))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("d", [1, 17, 512])
@pytest.mark.parametrize("budget", [1, 1 << 20])
def test_distances_are_within_their_errors_of_the_exact_ones(rng, metric, d, budget, compiled):
    queries, rows = make(rng, 7, d, metric), make(rng, 60, d, metric)
    rows[5] = queries[3]
    lines, positions = rng.integers(0, 7, 200), rng.integers(0, 60, 200)
    lines[0], positions[0] = 3, 5
    found = pairs_of(queries, [rows[:9], rows[9:9], rows[9:]], metric, budget)(lines, positions)
    exact = distance.METRICS[metric](queries, rows)[lines, positions]
    assert (np.abs(found.distances - exact) <= found.errors).all()
    assert (found.errors <= np.where(exact > 0.01, 1e-10 * np.maximum(1, exact), 1e-6)).all()
    assert (found.distances[0], found.errors[0]) == (0, 0)


@pytest.mark.parametrize("metric", METRICS)
def test_no_pairs_give_nothing(rng, metric, compiled):
    nothing = np.empty(0, np.int64)
    found = pairs_of(make(rng, 3, 8, metric), [make(rng, 5, 8, metric)], metric)(nothing, nothing)
    assert found.distances.shape == found.errors.shape == (0,)


def test_near_copies_of_float64_rows_are_within_their_errors(rng, compiled):
    queries = rng.random((1, 300))
    rows = queries * (1 + rng.normal(size=(400, 300)) * 10.0 ** -rng.integers(3, 17, (400, 1)))
    found = pairs_of(queries, [rows], "js")(np.zeros(400, np.int64), np.arange(400))
    assert (np.abs(found.distances - distance.js(queries, rows)[0]) <= found.errors).all()


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "uint8"])
@pytest.mark.parametrize("metric", ["js", "cosine", "l1", "l2"])
def test_compiled_distances_of_all_types_are_within_their_errors(rng, metric, kind, monkeypatch):
    monkeypatch.setattr(compiled_blocks, "_WORTH", 0)
    largest = {"float16": 6e4, "float32": 3e38, "float64": 1e300, "uint8": 255}[kind]
    if metric == "l2" and kind == "float64":
        largest = 1e150  # whose squares float64 still holds
    queries, rows = (largest * rng.random((n, 77)) * (rng.random((n, 77)) > 0.3) for n in (5, 90))
    if kind != "uint8" and metric != "js":
        rows *= rng.choice([-1, 1], rows.shape)
    queries, rows = queries.astype(kind), rows.astype(kind)
    rows[::7] = (rows[::7] * 1e-7).astype(kind)  # subnormal numbers where the type has them; zeros for bytes
    rows[:, 0] = 1
    rows[4] = queries[2]
    blocks = [rows[:30], rows[30:30], rows[30:]]
    lines, positions = np.repeat(np.arange(5), 90), np.tile(np.arange(90), 5)
    found = pairs_of(queries, blocks, metric)(lines, positions)
    exact = distance.METRICS[metric](queries, rows).ravel()
    assert (np.abs(found.distances - exact) <= found.errors).all()
    assert found.distances[2 * 90 + 4] == 0


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_a_value_that_is_not_finite_has_no_distance(rng, value, compiled):
    rows = rng.random((3, 20)).astype(np.float16)
    rows[1, 3] = value
    with pytest.raises(RowError, match="holds NaN or infinity"):
        pairs_of(rows[2:], [rows], "js")(np.zeros(3, np.int64), np.arange(3))


@pytest.mark.parametrize("metric", ["js", "cosine", "l1", "l2"])
def test_what_a_fast_pass_has_no_number_for_is_measured_by_the_distance_itself(rng, metric, compiled, monkeypatch):
    queries, rows = make(rng, 3, 9, metric), make(rng, 30, 9, metric)
    pairs = pairs_of(queries, [rows], metric)
    way = "_compiled" if compiled else "_distances"
    real = getattr(PairDistances, way)

    def broken(self, *args):
        out = real(self, *args)
        out[::2], out[1::4] = np.nan, np.inf
        return out

    monkeypatch.setattr(PairDistances, way, broken)
    lines, positions = np.repeat(np.arange(3), 30), np.tile(np.arange(30), 3)
    found = pairs(lines, positions)
    exact = distance.METRICS[metric](queries, rows).ravel()
    assert (np.abs(found.distances - exact) <= found.errors).all()
    assert (found.errors[::2] == 0).all()


def test_the_compiled_logarithm_is_within_four_units(rng):
    near, far = 1 + rng.normal(size=20_000) * 10.0 ** -rng.integers(1, 16, 20_000), 10.0 ** -rng.uniform(0, 307, 20_000)
    values = np.concatenate([near[near > 0], far, 2 * rng.random(20_000), [1.0, 2.0, 2.0**-1022, 0.5**0.5, 2**0.5]])
    values = values[values >= 2.0**-1022]
    exact = np.log(values.astype(np.longdouble))
    found = numba.vectorize(nopython=True)(compiled_pairs._ln.py_func)(values)
    assert np.finfo(np.longdouble).eps < 1e-18  # else numpy's own error would count
    assert (np.abs(found - exact) <= 4 * 2.0**-53 * np.abs(exact)).all()


def test_the_logarithm_in_float32_is_within_four_units(rng):
    near, far = 1 + rng.normal(size=20_000) * 10.0 ** -rng.integers(1, 7, 20_000), 10.0 ** -rng.uniform(0, 37, 20_000)
    ends = [1.0, 2.0, 2.0**-126, 0.5**0.5, 2**0.5, *(1 + np.arange(-9, 10) * 2.0**-23)]
    values = np.concatenate([near[near > 0], far, 2 * rng.random(20_000), ends]).astype(np.float32)
    values = values[values >= 2.0**-126]
    exact = np.log(values.astype(np.float64))
    found = numba.vectorize(nopython=True)(compiled_pairs._ln_single.py_func)(values)
    assert found.dtype == np.float32
    assert (np.abs(found - exact) <= 4 * 2.0**-24 * np.abs(exact)).all()


@pytest.mark.parametrize("kind", ["float16", "uint8"])
@pytest.mark.parametrize("d", [1, 7, 64, 700])
def test_divergences_in_float32_are_within_their_error(rng, kind, d):
    rows = np.ceil(rng.standard_gamma(0.3, (300, d)) * (rng.random((300, d)) < 0.7) * 40)
    rows[:, 0] += 1
    rows[0] = np.where(np.arange(d) == d - 1, 60_000 if kind == "float16" else 255, 6e-8 if kind == "float16" else 0)
    rows[1::9] = rows[2::9][: len(rows[1::9])] * 1.01  # near ones
    rows = rows.astype(kind)
    seen = rows.view(np.int16) if kind == "float16" else rows
    queries = rows[:20].astype(np.float64) / rows[:20].sum(axis=1, keepdims=True, dtype=np.float64)
    lines, positions = np.repeat(np.arange(20), 300), np.tile(np.arange(300), 20)
    out = np.empty(len(lines))
    compiled_pairs.kernels("js", kind).divergence(queries.astype(np.float32), seen, 0, (lines, positions), out)
    exact = 2 * np.log(2) * distance.js(rows[:20], rows).ravel() ** 2
    assert np.abs(out - exact).max() <= compiled_pairs.DIVERGENCE_ERROR


def test_no_pair_within_its_limit_is_left_out_and_far_ones_are(rng, compiled):
    rows = np.ceil(rng.standard_gamma(0.3, (200, 40)) * 99).astype(np.float16)
    rows[5, 3] = np.nan
    pairs = pairs_of(rows[:5], [rows[:80], rows[80:]], "js")
    lines, positions = np.repeat(np.arange(5), 200), np.tile(np.arange(200), 5)
    exact = np.insert(distance.js(rows[:5], np.delete(rows, 5, axis=0)), 5, np.nan, axis=1).ravel()
    for limits in (exact, exact * (1 + 1e-12), exact + 0.01, np.full(len(lines), np.inf)):
        assert pairs.may_be_within(lines, positions, limits).all()
    limits = rng.random(len(lines))
    near = pairs.may_be_within(lines, positions, limits)
    assert near[np.isnan(exact) | (exact <= limits)].all()
    assert not compiled or not near[exact > limits + 0.01].any()


def sloppy(exact, rng, errors):
    """What a computation with such errors may give instead of the exact distances."""
    return np.maximum(0, exact + errors * rng.uniform(-1, 1, exact.shape))


@pytest.mark.parametrize("error", [0.0, 1e-9, 0.02])
@pytest.mark.parametrize("k", [1, 5, 40])
@pytest.mark.parametrize("limit", [np.inf, 0.5])
@pytest.mark.parametrize("rounded", [False, True])
def test_settling_gives_the_exact_answer_whatever_the_errors(rng, error, k, limit, rounded):
    exact = rng.integers(0, 30, (50, 30)) / 30 + rng.choice([0, 1e-10], (50, 30))
    exact[:, 20:][rng.random((50, 10)) < 0.5] = np.inf
    positions = np.stack([rng.permutation(1000)[:30] for _ in exact])
    errors = np.where(exact < np.inf, error, 0)
    asked = []

    def official(line, where):
        asked.extend(where)
        at = dict(zip(positions[line], exact[line], strict=True))
        return np.array([at[p] for p in where])

    measured = Measured(np.where(exact < np.inf, sloppy(exact, rng, errors), np.inf), errors)
    limit = checked_limit(limit)
    distances, found = settle(measured, positions, official, SearchRequest(k, limit, rounded))
    for i in range(50):
        keys = exact[i].astype(np.float32) if rounded else exact[i]
        order = [j for j in np.lexsort((positions[i], keys)) if exact[i, j] <= limit and exact[i, j] < np.inf][:k]
        np.testing.assert_array_equal(found[i, : len(order)], positions[i, order])
        np.testing.assert_array_equal(distances[i, : len(order)].astype(np.float32), exact[i, order].astype(np.float32))
        assert (found[i, len(order) :] == -1).all()
    assert bool(asked) == (error > 0)


def test_clear_distances_are_not_measured_again():
    def official(line, where):
        raise AssertionError(where)

    measured = Measured(np.array([[0.3, 0.1, 0.2]]), np.full((1, 3), 1e-13))
    distances, positions = settle(measured, np.array([[4, 5, 6]]), official, SearchRequest(2, 0.9))
    assert (distances.tolist(), positions.tolist()) == ([[0.1, 0.2]], [[5, 6]])
