"""Laws of exact search: the answer of float64 over all rows, whatever the blocks, the budget and the masks."""

from __future__ import annotations

import doctest
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from simsearch import distance
from simsearch.errors import InputError, MetricError, RowError
from simsearch.search import exact
from simsearch.search.exact import knn

METRICS = tuple(distance.METRICS)


def make(rng, n, d, metric):
    """Rows as libraries hold them: clustered float16 with exact zeros, or bytes."""
    if metric == "hamming":
        centres = rng.integers(0, 256, (max(1, n // 10), d), dtype=np.uint8)
        return centres[rng.integers(0, len(centres), n)] ^ (rng.random((n, d)) < 0.1).astype(np.uint8)
    centres = rng.gamma(0.4, size=(max(1, n // 10), d)) * (rng.random((max(1, n // 10), d)) > 0.2)
    rows = centres[rng.integers(0, len(centres), n)] * rng.uniform(0.8, 1.2, (n, d)) + 0.01 * (np.arange(d) == 0)
    return (rows if metric == "js" else rows - 0.2).astype(np.float16)


def oracle(queries, blocks, k, metric, *, live=None, max_distance=None):
    distances = np.full((len(queries), k), np.inf, np.float32)
    positions = np.full((len(queries), k), -1, np.int64)
    if not blocks:
        return distances, positions
    rows = np.concatenate(blocks)
    alive = np.ones(len(rows), bool) if live is None else np.concatenate(live)
    for i, all_distances in enumerate(distance.METRICS[metric](queries, rows)):
        near = alive if max_distance is None else alive & (all_distances.astype(np.float32) <= np.float32(max_distance))
        order = [j for j in np.argsort(all_distances, kind="stable") if near[j]][:k]
        distances[i, : len(order)] = all_distances[order]
        positions[i, : len(order)] = order
    return distances, positions


def assert_exact(found, expected):
    np.testing.assert_array_equal(found.distances, expected[0])
    np.testing.assert_array_equal(found.positions, expected[1])
    assert found.distances.dtype == np.float32
    assert found.positions.dtype == np.int64


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("case", [(1, [1], 1, 1), (7, [300, 0, 55], 13, 10), (3, [4, 2], 64, 9)])
def test_agrees_with_the_oracle(rng, route, metric, case, compiled):
    q, sizes, d, k = case
    blocks = [make(rng, n, d, metric) for n in sizes]
    queries = make(rng, q, d, metric)
    assert_exact(knn(queries, blocks, k=k, metric=metric, device="cpu"), oracle(queries, blocks, k, metric))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("budget", [1, 6_000, 60_000])
def test_the_budget_and_the_cut_into_blocks_do_not_change_the_answer(rng, metric, budget):
    rows, queries = make(rng, 100, 24, metric), make(rng, 6, 24, metric)
    expected = oracle(queries, [rows], 5, metric)
    cut = [rows[:1], rows[1:40], rows[40:]]
    assert_exact(knn(queries, cut, k=5, metric=metric, device="cpu", budget=budget), expected)


@pytest.mark.parametrize("metric", METRICS)
def test_equal_rows_are_at_distance_zero_and_ties_go_to_the_lower_position(rng, metric):
    rows = make(rng, 40, 33, metric)
    blocks = [np.concatenate([rows] * 6), np.concatenate([rows] * 5)]
    found = knn(rows, blocks, k=12, metric=metric, device="cpu")
    assert_exact(found, oracle(rows, blocks, 12, metric))
    assert (found.distances[:, :11] == 0).all()
    np.testing.assert_array_equal(found.positions[:, 0], [np.flatnonzero((rows == row).all(1))[0] for row in rows])


@pytest.mark.parametrize("metric", METRICS)
def test_more_ties_than_candidates_are_still_answered_exactly(rng, metric):
    row = make(rng, 1, 16, metric)
    near = make(rng, 50, 16, metric)
    blocks = [near, np.repeat(row, 300, axis=0), near, np.repeat(row, 300, axis=0)]
    found = knn(row, blocks, k=5, metric=metric, device="cpu", budget=5_000)
    assert_exact(found, oracle(row, blocks, 5, metric))


@pytest.mark.parametrize("metric", ["js", "cosine", "l2", "l1"])
def test_near_ties_below_float32_are_told_apart(rng, metric):
    row = make(rng, 1, 32, metric).astype(np.float64)
    rows = (row + rng.permutation(400)[:, None] * 1e-5 * (np.arange(32) == 3)).astype(np.float32)
    queries = row.astype(np.float32)
    assert_exact(knn(queries, [rows], k=7, metric=metric, device="cpu"), oracle(queries, [rows], 7, metric))


@pytest.mark.parametrize("metric", METRICS)
def test_dead_rows_and_far_rows_are_left_out(rng, metric):
    blocks = [make(rng, n, 16, metric) for n in (80, 120)]
    live = [rng.random(len(block)) > 0.4 for block in blocks]
    queries = make(rng, 9, 16, metric)
    limit = float(np.quantile(distance.METRICS[metric](queries, blocks[0]), 0.05))
    found = knn(queries, blocks, k=30, metric=metric, live=live, max_distance=limit, device="cpu")
    assert_exact(found, oracle(queries, blocks, 30, metric, live=live, max_distance=limit))
    half = [None, np.zeros(120, bool)]
    assert_exact(
        knn(queries, blocks, k=30, metric=metric, live=half, device="cpu"), oracle(queries, blocks[:1], 30, metric)
    )


@pytest.mark.parametrize("scale", [1e-30, 1e25])
@pytest.mark.parametrize("metric", ["js", "cosine", "l2", "l1"])
def test_values_that_overflow_float32_products_are_measured_all_the_same(rng, route, metric, scale):
    rows = make(rng, 100, 16, metric).astype(np.float32) * np.float32(scale)
    assert_exact(knn(rows[:5], [rows], k=8, metric=metric, device="cpu"), oracle(rows[:5], [rows], 8, metric))


@pytest.mark.parametrize(("metric", "scale"), [("l2", 1e-22), ("l1", 1e-44)])
def test_values_so_small_that_products_lose_them_are_measured_all_the_same(rng, metric, scale):
    rows = rng.standard_normal((300, 3)) * scale
    queries = rows[:14] + rng.standard_normal((14, 3)) * scale / 9
    assert_exact(knn(queries, [rows], k=10, metric=metric, device="cpu"), oracle(queries, [rows], 10, metric))


def test_direct_js_takes_float64_rows_of_any_size(rng):
    torch = pytest.importorskip("torch")
    from simsearch.search.metrics.js import JensenShannonScore

    scores = JensenShannonScore()
    rows = rng.dirichlet(np.ones(9), 40)
    expected = scores.between(*[scores.prepare(torch.from_numpy(rows))] * 2)
    for scale in (1e-44, 1e-300, 1e300):
        prepared = scores.prepare(torch.from_numpy(rows * scale))
        np.testing.assert_allclose(scores.between(prepared, prepared), expected, atol=1e-6)


def test_matrix_products_of_a_precision_set_for_each_backend_are_taken_as_coarse(rng):
    torch = pytest.importorskip("torch")
    rows = make(rng, 100, 24, "cosine")
    was = torch.backends.cuda.matmul.fp32_precision
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    try:
        found = knn(rows[:5], [rows], k=3, metric="cosine", device="cpu")
    finally:
        torch.backends.cuda.matmul.fp32_precision = was
    assert_exact(found, oracle(rows[:5], [rows], 3, "cosine"))


@pytest.mark.parametrize("metric", METRICS)
def test_nothing_to_search_gives_padding(rng, metric):
    queries = make(rng, 3, 8, metric)
    for blocks in ([], [queries[:0]], [queries[:0], queries[:0]]):
        found = knn(queries, blocks, k=2, metric=metric, device="cpu")
        assert (found.positions == -1).all()
        assert np.isinf(found.distances).all()
    none = knn(queries[:0], [queries], k=2, metric=metric, device="cpu")
    assert none.positions.shape == none.distances.shape == (0, 2)


def test_memory_mapped_blocks_are_read_only_and_stay_so(rng, tmp_path):
    rows = make(rng, 200, 16, "js")
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    assert_exact(knn(rows[:3], [mapped], k=4, metric="js", device="cpu"), oracle(rows[:3], [rows], 4, "js"))


@pytest.mark.parametrize("metric", METRICS)
def test_python_memory_stays_within_the_budget(rng, metric):
    rows, queries = make(rng, 10_000, 64, metric), make(rng, 4, 64, metric)
    budget = 1 << 20
    knn(queries, [rows[:10]], k=3, metric=metric, device="cpu")
    tracemalloc.start()
    knn(queries, [rows], k=3, metric=metric, device="cpu", budget=budget)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < budget


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("metric", ["js", "cosine", "l2", "l1"])
def test_a_bad_row_is_named_by_its_position(rng, route, metric, value):
    blocks = [make(rng, 30, 8, metric), make(rng, 30, 8, metric)]
    blocks[1][4, 2] = value
    with pytest.raises(RowError, match="row 34 holds NaN or infinity"):
        knn(blocks[0][:2], blocks, k=1, metric=metric, device="cpu", budget=2_000)
    live = [None, np.arange(30) != 4]
    assert_exact(
        knn(blocks[0][:2], blocks, k=3, metric=metric, live=live, device="cpu"),
        oracle(blocks[0][:2], [blocks[0], np.where(np.isfinite(blocks[1]), blocks[1], 1)], 3, metric, live=_full(live)),
    )
    with pytest.raises(RowError, match="query 4 holds NaN or infinity"):
        knn(blocks[1], blocks[:1], k=1, metric=metric, device="cpu")


def test_dead_rows_may_hold_anything(rng, route):
    rows = make(rng, 40, 8, "js")
    dead = rows.copy()
    dead[3], dead[4], dead[5], dead[6, 1] = 0, -1, np.nan, -2
    alive = ~np.isin(np.arange(40), [3, 4, 5, 6])
    found = knn(rows[:9], [dead], k=5, metric="js", live=[alive], device="cpu")
    assert_exact(found, oracle(rows[:9], [rows], 5, "js", live=[alive]))


def _full(live):
    return [np.ones(30, bool) if mask is None else mask for mask in live]


def test_rows_that_no_distance_is_defined_on_are_refused(rng):
    rows = make(rng, 5, 8, "js")
    zero, signed = rows.copy(), rows.copy()
    zero[2], signed[3, 1] = 0, -1
    with pytest.raises(RowError, match="row 2 is all zeros"):
        knn(rows, [zero], k=1, metric="js", device="cpu")
    with pytest.raises(MetricError, match="row 3 has a negative value"):
        knn(rows, [signed], k=1, metric="js", device="cpu")
    with pytest.raises(RowError, match=r"shape \(5, 8\) and must have \(n, 7\)"):
        knn(rows, [rows[:, :7]], k=1, metric="js", device="cpu")
    with pytest.raises(RowError, match="block 1 has shape"):
        knn(rows, [rows, rows[:, :7]], k=1, metric="js", device="cpu")
    with pytest.raises(MetricError, match="packed uint8"):
        knn(rows, [rows], k=1, metric="hamming", device="cpu")
    with pytest.raises(MetricError, match="no metric 'dot'"):
        knn(rows, [rows], k=1, metric="dot", device="cpu")


def test_unusable_arguments_are_refused(rng):
    rows = make(rng, 5, 8, "js")
    with pytest.raises(InputError, match="k is 0"):
        knn(rows, [rows], k=0, metric="js")
    for limit in (float("nan"), -0.1):
        with pytest.raises(InputError, match=f"max_distance is {limit}"):
            knn(rows, [rows], k=1, metric="js", max_distance=limit, device="cpu")
    with pytest.raises(InputError, match=r"lengths \[4\] do not fit blocks of \[5\] rows"):
        knn(rows, [rows], k=1, metric="js", live=[np.ones(4, bool)], device="cpu")
    with pytest.raises(InputError, match="device 'abacus'"):
        knn(rows, [rows], k=1, metric="js", device="abacus")


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("d", [3, 64, 512, 2048])
def test_no_score_is_farther_from_exact_than_its_bound(rng, metric, d):
    torch = pytest.importorskip("torch")
    from simsearch.search.metrics import SEARCH_METRICS
    from simsearch.search.metrics.cosine import CosineScore
    from simsearch.search.metrics.hamming import BitProduct
    from simsearch.search.metrics.js import JensenShannonScore

    a, b = make(rng, 20, d, metric), make(rng, 200, d, metric)
    b[0] = a[0]
    scores = [JensenShannonScore() if metric == "js" else SEARCH_METRICS[metric].score(d, torch.device("cpu"))]
    if metric == "hamming":
        scores.append(BitProduct(d))  # what a GPU uses
    if metric == "cosine":
        scores.append(CosineScore(half=True))
    for score in scores:
        prepared = [score.prepare(torch.from_numpy(rows)) for rows in (a, b)]
        found = score.between(*prepared).numpy().astype(np.float64)
        exact_scores = score.of(distance.METRICS[metric](a, b))
        bound = score.error(d, (float(prepared[0].term.max()), float(prepared[1].term.max())))
        assert np.abs(found - exact_scores).max() <= bound


@pytest.mark.gpu
@pytest.mark.parametrize("metric", METRICS)
def test_a_gpu_gives_the_same_answer(rng, metric):
    blocks = [make(rng, n, 40, metric) for n in (3000, 0, 1000)]
    blocks.append(blocks[0][:100])
    queries = np.concatenate([make(rng, 20, 40, metric), blocks[0][:5]])
    for budget in (100_000, 256 << 20):
        found = knn(queries, blocks, k=20, metric=metric, device="cuda", budget=budget)
        assert_exact(found, oracle(queries, blocks, 20, metric))


def test_importing_the_room_loads_no_torch():
    code = "import sys, simsearch.search.exact; assert 'torch' not in sys.modules and 'faiss' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_examples_hold():
    assert doctest.testmod(exact).failed == 0
