"""Laws of certified search by js: the oracle's answer for every kind of rows, precision and second look."""

from __future__ import annotations

import doctest
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch

from simsearch import distance
from simsearch.errors import MetricError, RowError
from simsearch.runtime import tiles
from simsearch.search import range_search
from simsearch.search.exact import knn
from simsearch.search.metrics import SEARCH_METRICS, cosine, feature_maps, js
from simsearch.search.metrics.feature_maps import FOUR, HELLINGER, TWO
from simsearch.search.range_search import within
from simsearch.search.refine import second_pass
from simsearch.search.scan import blocks as scan
from simsearch.search.scan.blocks import Scan
from tests.search.test_exact import METRICS, assert_exact, make, oracle


def independent(rng, n, d):
    """Rows without structure, on which the maps bound the divergence worst."""
    rows = rng.dirichlet(np.full(d, 0.3), n) * (rng.random((n, d)) > 0.1)
    return (rows + 1e-3 * (np.arange(d) == 0)).astype(np.float32)


def use(monkeypatch, score):
    """Let the first look go by that score."""
    for name, metric in list(SEARCH_METRICS.items()):
        monkeypatch.setitem(SEARCH_METRICS, name, replace(metric, score=lambda width, device: score))


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("feature_map", [HELLINGER, TWO, FOUR])
@pytest.mark.parametrize("kind", [independent, lambda rng, n, d: make(rng, n, d, "js")])
def test_every_map_and_precision_gives_the_exact_answer(rng, monkeypatch, half, feature_map, kind):
    rows, queries = kind(rng, 700, 48), kind(rng, 20, 48)
    use(monkeypatch, feature_maps.Mapped(feature_map, half=half))
    found = knn(queries, [rows[:300], rows[300:]], k=6, metric="js", device="cpu")
    assert_exact(found, oracle(queries, [rows], 6, "js"))
    assert found.certified.all()


@pytest.mark.parametrize(
    "second",
    [
        js.JensenShannonScore(),
        *(feature_maps.Mapped(each, half=half) for each in (HELLINGER, FOUR) for half in (False, True)),
    ],
)
@pytest.mark.parametrize("budget", [20_000, 1 << 24])
def test_a_second_look_is_exact_however_it_scores(rng, monkeypatch, by_products, second, budget):
    rows, queries = independent(rng, 900, 64), independent(rng, 9, 64)
    looks = []
    monkeypatch.setattr(second_pass, "_second_score", lambda scan, left, limits: (looks.append(len(left)), second)[1])
    found = knn(queries, [rows], k=10, metric="js", device="cpu", budget=budget)
    assert_exact(found, oracle(queries, [rows], 10, "js"))
    assert sum(looks) > 0
    assert (found.measured >= 10).all()


@pytest.mark.parametrize(
    ("kind", "queries", "rank", "expected"),
    [
        (independent, 12, 40, "js"),
        (independent, 200, 40, FOUR),
        (lambda rng, n, d: make(rng, n, d, "js"), 20, 3, HELLINGER),
    ],
)
def test_a_second_look_scores_tighter_where_the_map_leaves_much_open(rng, kind, queries, rank, expected):
    rows = kind(rng, 2000 + queries, 256)
    first = feature_maps.Mapped(HELLINGER, half=False)
    look = Scan([rows[queries:]], [None], "js", torch.device("cpu"), first, 1 << 24)
    limits = np.sort(distance.js(rows[:queries], rows[queries:]), axis=1)[:, rank]
    chosen = second_pass._second_score(look, torch.from_numpy(rows[:queries]), limits)
    assert (chosen.map if isinstance(chosen, feature_maps.Mapped) else "js") == expected


def test_what_is_found_is_settled_in_between_when_it_is_much(rng, monkeypatch):
    row = make(rng, 1, 16, "js")
    rows = np.concatenate([make(rng, 50, 16, "js"), np.repeat(row, 300, axis=0)])
    monkeypatch.setattr(second_pass, "_MANY", 20)
    found = knn(row, [rows], k=5, metric="js", device="cpu", budget=5_000)
    assert_exact(found, oracle(row, [rows], 5, "js"))


def test_clustered_rows_need_few_exact_distances(rng):
    centres = independent(rng, 100, 64)
    rows = np.repeat(centres, 20, axis=0) * rng.uniform(0.9, 1.1, (2000, 64)).astype(np.float32)
    found = knn(rows[::50], [rows], k=10, metric="js", device="cpu")
    assert_exact(found, oracle(rows[::50], [rows], 10, "js"))
    assert found.measured.mean() < 30


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.uint8])
def test_rows_are_brought_to_a_device_piece_by_piece(rng, monkeypatch, kind):
    monkeypatch.setattr(scan, "_PIECE", 100)
    for rows in (rng.integers(0, 9, (50, 7)).astype(kind), np.empty((0, 7), kind)):
        rows.flags.writeable = False
        found = scan.upload(rows, torch.device("cpu"))
        assert found.numpy().dtype == kind
        np.testing.assert_array_equal(found.numpy(), rows)


def test_half_precision_cosine_gives_the_exact_answer(rng, monkeypatch):
    rows, queries = make(rng, 700, 48, "cosine"), make(rng, 20, 48, "cosine")
    use(monkeypatch, cosine.CosineScore(half=True))
    found = knn(queries, [rows], k=6, metric="cosine", device="cpu")
    assert_exact(found, oracle(queries, [rows], 6, "cosine"))


def test_a_query_near_many_rows_costs_the_others_no_memory():
    rows = np.concatenate([np.eye(64, dtype=np.float32), np.ones((6000, 64), np.float32)])
    queries = np.concatenate([rows[:1], rows[-1:], np.tile(rows[:64], (30, 1))])
    tracemalloc.start()
    found = within(queries, [rows], max_distance=0.3, metric="cosine", device="cpu")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(np.diff(found.starts), [1, 6000, *[1] * 1920])
    np.testing.assert_array_equal(found.positions, [0, *range(64, 6064), *list(range(64)) * 30])
    assert (found.distances == 0).all()
    assert peak < 50 << 20


@pytest.mark.parametrize("metric", METRICS)
def test_tensors_are_searched_like_arrays(rng, metric):
    blocks = [make(rng, n, 24, metric) for n in (80, 0, 70)]
    queries = make(rng, 5, 24, metric)
    live = [rng.random(80) > 0.3, None, None]
    tensors = [torch.from_numpy(block) for block in blocks]
    found = knn(torch.from_numpy(queries), tensors, k=7, metric=metric, live=live, device="cpu")
    full = [live[0], np.ones(0, bool), np.ones(70, bool)]
    assert_exact(found, oracle(queries, blocks, 7, metric, live=full))


def test_bad_tensors_are_named_like_bad_arrays(rng):
    rows = torch.from_numpy(make(rng, 6, 8, "js"))
    for value, error, message in (
        (torch.nan, RowError, "query 4 holds NaN"),
        (-1.0, MetricError, "query 4 has a negative value"),
        (torch.inf, RowError, "query 4 holds NaN or infinity"),
    ):
        bad = rows.clone()
        bad[4, 2] = value
        with pytest.raises(error, match=message):
            knn(bad, [rows], k=1, metric="js", device="cpu")
        with pytest.raises(error, match=message.replace("query", "row")):
            knn(rows, [bad], k=1, metric="js", device="cpu")
    zero = rows * (torch.arange(6) != 2)[:, None]
    with pytest.raises(RowError, match="query 2 is all zeros"):
        knn(zero, [rows], k=1, metric="cosine", device="cpu")
    with pytest.raises(RowError, match=r"queries have shape \(6, 7\)"):
        knn(rows[:, :7], [rows], k=1, metric="l2", device="cpu")


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("budget", [5_000, 1 << 24])
def test_a_range_holds_all_rows_within_the_distance(rng, metric, budget):
    blocks = [make(rng, n, 24, metric) for n in (90, 0, 60)]
    blocks[2][:5] = blocks[0][:5]
    queries = np.concatenate([blocks[0][:3], make(rng, 5, 24, metric)])
    live = [None, None, rng.random(60) > 0.3]
    exact = distance.METRICS[metric](queries, np.concatenate(blocks))
    alive = np.concatenate([np.ones(90, bool), live[2]])
    for limit in (0.0, float(np.quantile(exact, 0.05)), float(exact[4, 7]), np.inf):
        found = within(queries, blocks, max_distance=limit, metric=metric, live=live, device="cpu", budget=budget)
        assert found.starts[0] == 0
        for i, line in enumerate(exact):
            expected = [j for j in np.argsort(line, kind="stable") if alive[j] and line[j] <= limit]
            mine = slice(found.starts[i], found.starts[i + 1])
            np.testing.assert_array_equal(found.positions[mine], expected)
            np.testing.assert_array_equal(found.distances[mine], line[expected].astype(np.float32))


def test_a_range_over_nothing_is_empty(rng):
    rows = make(rng, 3, 8, "js")
    for queries, blocks in ((rows, []), (rows, [rows[:0]]), (rows[:0], [rows])):
        found = within(queries, blocks, max_distance=1, metric="js", device="cpu")
        np.testing.assert_array_equal(found.starts, np.zeros(len(queries) + 1))
        assert found.positions.size == found.distances.size == 0


def test_both_ways_to_sum_the_logarithms_agree(rng, monkeypatch):
    from simsearch.search.metrics import js_log_sums

    p, q = (js.JensenShannonScore().prepare(torch.from_numpy(make(rng, n, 37, "js"))).rows for n in (9, 50))
    on_cpu = js_log_sums._on_cpu(p, q)
    for cells in (1, 400, 1 << 20):
        monkeypatch.setattr(js_log_sums, "_GPU_CELLS", cells)
        monkeypatch.setattr(tiles, "_CELLS", cells)
        torch.testing.assert_close(js_log_sums._by_torch(p, q), on_cpu)
        torch.testing.assert_close(js_log_sums._on_cpu(p, q), on_cpu)


@pytest.mark.gpu
@pytest.mark.parametrize("shape", [(1, 1, 1), (33, 1000, 17), (200, 3000, 2048)])
def test_the_compiled_kernel_agrees_with_torch_on_a_gpu(rng, shape):
    from simsearch.search.metrics.js_log_sums import _by_torch
    from simsearch.search.metrics.js_triton import fused_log_sums

    q, n, d = shape
    p, r = (js.JensenShannonScore().prepare(torch.from_numpy(independent(rng, m, d)).cuda()).rows for m in (q, n))
    error = js.JensenShannonScore().error(d, (0.0, 0.0))
    assert float((fused_log_sums(p, r).double() - _by_torch(p.double(), r.double())).abs().max()) <= 2 * error


@pytest.mark.gpu
@pytest.mark.parametrize("kind", [independent, lambda rng, n, d: make(rng, n, d, "js")])
@pytest.mark.parametrize("budget", [100_000, None])
def test_rows_on_a_gpu_are_searched_there(rng, kind, budget):
    rows, queries = kind(rng, 5000, 96), kind(rng, 40, 96)
    queries[:5] = rows[100:105]
    expected = oracle(queries, [rows], 10, "js")
    for given in ([rows[:999], rows[999:]], [torch.from_numpy(rows).cuda()]):
        found = knn(queries, given, k=10, metric="js", device="cuda", budget=budget)
        assert_exact(found, expected)
    exact = distance.js(queries, rows)
    limit = float(np.quantile(exact, 0.01))
    found = within(queries, [torch.from_numpy(rows).cuda()], max_distance=limit, metric="js", device="cuda")
    np.testing.assert_array_equal(np.diff(found.starts), (exact <= limit).sum(axis=1))


def test_the_example_holds():
    assert doctest.testmod(range_search).failed == 0
