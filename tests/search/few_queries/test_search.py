"""Few queries, straight from the rows as they are stored: the answers are those of measuring every row."""

from __future__ import annotations

import numpy as np
import pytest

from simsearch import distance
from simsearch.errors import MetricError, RowError
from simsearch.search import knn
from simsearch.search.arguments import reach
from simsearch.search.exact import open_scan
from simsearch.search.few_queries import scores as direct_scores
from simsearch.search.few_queries import search
from simsearch.search.few_queries.scores import DirectScores
from tests.search.rows import clustered

METRICS = ("js", "cosine", "l2", "l1")
KINDS = ("float16", "float32", "uint8")


@pytest.fixture(params=[False, True], ids=["numpy", "compiled"])
def way(request, monkeypatch):
    """Whether scores come from compiled passes."""
    monkeypatch.setattr(direct_scores, "_WORTH", 0 if request.param else 1 << 62)


def refuse(*_):
    raise AssertionError("the rows were not served directly")


@pytest.fixture(autouse=True)
def only_directly(monkeypatch):
    monkeypatch.setattr("simsearch.search.exact._candidates", refuse)


def nearest(queries, rows, metric, k, *, live=None, limit=np.inf):
    """By the distances of all rows: positions (q, k) and distances."""
    distances = distance.METRICS[metric](queries, rows)
    distances[:, [] if live is None else ~live] = np.inf
    distances[distances > reach(limit)] = np.inf
    order = np.lexsort((np.broadcast_to(np.arange(len(rows)), distances.shape), distances), axis=-1)[:, :k]
    near = np.take_along_axis(distances, order, 1)
    return np.where(near < np.inf, order, -1), near.astype(np.float32)


def hard(rng, n, d, kind, metric):
    """Clusters, equal rows, rows that differ in a last bit, the smallest and largest values of the type."""
    values = rng.gamma(0.7, size=(n, d)) * (rng.random((n, d)) < 0.8)
    values[: n // 2] = values[rng.integers(0, 3, n // 2)] * rng.choice([1, 1, 1 + 2.0**-10, 1.3], (n // 2, d))
    if kind == "uint8":
        rows = np.clip(40 * values, 0, 255).astype(kind)
        rows[:, 0] += 1
        return rows
    rows = values.astype(kind)
    rows[:, 0] += 1
    if metric != "js":
        rows *= rng.choice([-1, 1], d).astype(kind)
    smallest, largest = np.finfo(kind).smallest_subnormal, np.finfo(kind).max
    rows[n // 2] = smallest
    rows[n // 2 + 1] = largest * (2.0**-75 if kind == "float32" and metric != "js" else 0.5)
    rows[n // 2 + 2, 1:] = 0
    return rows


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", [(1, 1, 1), (7, 60, 3), (33, 5, 2), (131, 20, 16)])
def test_answers_are_those_of_all_distances(rng, way, metric, kind, case):
    d, k, q = case
    rows = hard(rng, 400, d, kind, metric)
    queries = rows[rng.integers(0, 400, q)].copy()
    queries[::2, d // 2] += queries[::2, d // 2] // 8
    live = rng.random(400) < 0.9
    dead = rows.copy()
    if kind != "uint8":
        dead[np.flatnonzero(~live)] = rng.choice([np.nan, np.inf, -1, 0], ((~live).sum(), 1))
    blocks, masks = [dead[:0], dead[:150], dead[150:151], dead[151:]], [live[:0], live[:150], live[150:151], live[151:]]
    expected, near = nearest(queries, rows, metric, k, live=live)
    found = knn(queries, blocks, k=k, metric=metric, live=masks, device="cpu")
    np.testing.assert_array_equal(found.positions, expected)
    np.testing.assert_array_equal(found.distances, near)
    assert found.certified.all()
    found = knn(queries, blocks, k=k, metric=metric, live=masks, device="cpu", rounded=True)
    order = np.lexsort((expected, near))
    np.testing.assert_array_equal(found.distances, near)
    certain = near < near[:, -1:]  # of ties behind them others may be taken
    np.testing.assert_array_equal(found.positions[certain], np.take_along_axis(expected, order, 1)[certain])
    limit = float(np.median(near[near < np.inf]))
    expected, _ = nearest(queries, rows, metric, k, live=live, limit=limit)
    found = knn(queries, blocks, k=k, metric=metric, live=masks, max_distance=limit, device="cpu", budget=16 * 40 * q)
    np.testing.assert_array_equal(found.positions, expected)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [1, 31, 64, 700])
def test_no_row_scores_above_what_its_distance_allows(rng, way, metric, kind, d):
    rows = hard(rng, 90, d, kind, metric)
    queries = rows[rng.integers(0, 90, 3)]
    scan = open_scan(queries, [rows], metric=metric, live=None, device="cpu", budget=None)
    direct = DirectScores(scan, queries)
    scores, distances = direct.scores(0, 90), distance.METRICS[metric](queries, rows)
    assert (scores <= [direct.highest(line) for line in distances]).all()
    assert (direct.highest(np.array([np.inf])) < np.inf).all()
    sure = scores > -np.inf
    assert sure.mean() > 0.8
    if metric != "js":  # whose score says less than the distance
        nearer = np.array([direct.highest(line * 0.999 - 1e-3) for line in distances])
        assert (scores > nearer)[sure & (distances > 0.05)].all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 0])
def test_a_bad_live_row_is_named_and_a_dead_one_is_not_looked_at(rng, way, metric, bad):
    rows = np.asarray(clustered(70, 9, seed=1), np.float16)
    rows[40:42] = bad
    live = np.ones(70, bool)
    live[40] = False
    with pytest.raises((RowError, MetricError), match="row 41"):
        knn(rows[:2], [rows[:30], rows[30:]], k=3, metric=metric, live=[live[:30], live[30:]], device="cpu")
    live[41] = False
    found = knn(rows[:2], [rows[:30], rows[30:]], k=70, metric=metric, live=[live[:30], live[30:]], device="cpu")
    assert not np.isin(found.positions, [40, 41]).any()
    assert (found.positions >= 0).sum() == 2 * 68


def test_negative_values_have_no_js(rng, way):
    rows = clustered(70, 9, seed=1)
    rows[40, 3] = -1
    with pytest.raises(MetricError, match="row 40 has a negative value"):
        knn(rows[:2], [rows], k=3, metric="js", device="cpu")


def test_codes_of_zeros_have_distances_by_l1_and_l2(way):
    rows = np.array([[0, 0], [3, 4]], np.uint8)
    assert knn(rows[1:], [rows], k=2, metric="l2", device="cpu").distances.tolist() == [[0, 5]]
    assert knn(rows[1:], [rows], k=2, metric="l1", device="cpu").distances.tolist() == [[0, 7]]


@pytest.mark.parametrize("metric", METRICS)
def test_of_equal_rows_no_more_than_are_asked_for_are_measured(rng, way, metric):
    rows = np.asarray(clustered(900, 24, seed=3), np.float16)
    same = np.sort(rng.choice(900, 600, replace=False))
    rows[same] = rows[5]
    found = knn(rows[5:6], [rows[:300], rows[300:]], k=7, metric=metric, device="cpu")
    np.testing.assert_array_equal(found.positions, nearest(rows[5:6], rows, metric, 7)[0])
    assert found.measured[0] <= 4 * 7


def test_open_rows_are_measured_piece_by_piece(rng, way, monkeypatch):
    monkeypatch.setattr(search, "_PIECE", 5)
    rows = np.asarray(rng.dirichlet(np.full(40, 0.3), 300) + 1e-6, np.float16)
    found = knn(rows[:3], [rows], k=9, metric="js", device="cpu")
    np.testing.assert_array_equal(found.positions, nearest(rows[:3], rows, "js", 9)[0])
