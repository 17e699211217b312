"""Laws of search at the edges of numbers, types and arguments: the right answer or an error with a name."""

from __future__ import annotations

import doctest
import tracemalloc

import numpy as np
import pytest
import torch

from simsearch import distance
from simsearch.errors import InputError, MetricError, RowError
from simsearch.search import arguments
from simsearch.search.approximate_search import approximate
from simsearch.search.arguments import reach
from simsearch.search.exact import knn
from simsearch.search.hamming import search
from simsearch.search.hamming.multi_index import MultiIndex
from simsearch.search.indexes.index import build, features
from simsearch.search.indexes.spec import IndexSpec
from simsearch.search.multi_vector.distances import image_distances
from simsearch.search.range_search import within
from simsearch.search.self_join import code_pairs, row_pairs
from tests.search.test_exact import assert_exact, make, oracle

FLOATS = ("js", "cosine", "l1", "l2")


@pytest.mark.parametrize("metric", FLOATS)
@pytest.mark.parametrize("scale", [1e-310, 1e-322, 1e-160, 1e150, 1e307])
def test_float64_rows_of_any_size_are_all_found(rng, metric, scale, compiled):
    rows = (1 + rng.integers(0, 4, (40, 5))) * scale
    rows[7] = rows[3]
    expected = distance.METRICS[metric](rows[:6], rows) if metric != "l2" or scale < 1e150 else None
    found = knn(rows[:6], [rows[:9], rows[9:]], k=40, metric=metric, device="cpu")
    assert (np.sort(found.positions, axis=1) == np.arange(40)).all()
    if expected is not None:
        order = np.argsort(expected, axis=1, kind="stable")
        np.testing.assert_array_equal(found.positions, order)


def test_distances_beyond_a_float_are_found_at_infinity_behind_all_others():
    rows = np.array([[1e300, 1.0], [1e30, 1.0], [-1e300, 1.0], [0.0, 1.0]])
    for metric in ("l1", "l2"):
        found = knn(rows[3:], [rows], k=9, metric=metric, device="cpu")
        assert found.positions.tolist() == [[3, 1, 0, 2, -1, -1, -1, -1, -1]]
        assert np.isinf(found.distances[0, 2:]).all()
        near = within(rows[3:], [rows], max_distance=1e35, metric=metric, device="cpu")
        assert near.positions.tolist() == [3, 1]
        everything = within(rows[3:], [rows], max_distance=np.inf, metric=metric, device="cpu")
        assert everything.positions.tolist() == [3, 1, 0, 2]


@pytest.mark.parametrize("as_rows", [np.asarray, torch.from_numpy], ids=["array", "tensor"])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int8, np.int16, np.int32, np.int64])
@pytest.mark.parametrize("bad", [[-1, -2], [-1, 2], [0, -1]])
def test_js_refuses_negative_rows_in_every_type(kind, bad, as_rows):
    rows, queries = as_rows(np.array([[1, 1], bad], kind)), as_rows(np.array([[1, 1]], kind))
    with pytest.raises(MetricError, match="row 1 has a negative value"):
        knn(queries, [rows], k=1, metric="js", device="cpu")
    with pytest.raises(MetricError, match="row 1 has a negative value"):
        within(queries, [rows], max_distance=0.5, metric="js", device="cpu")
    with pytest.raises(MetricError, match="query 1 has a negative value"):
        knn(rows, [queries], k=1, metric="js", device="cpu")


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int32])
def test_js_refuses_negative_rows_in_joins_indexes_and_images(kind):
    rows = np.array([[1, 1], [-1, -2], [2, 1]], kind)
    for ask in (
        lambda: list(row_pairs([rows], max_distance=0.5, metric="js", device="cpu")),
        lambda: features(IndexSpec("flat", "js", 2), rows),
        lambda: build(IndexSpec("flat", "js", 2), [rows], device="cpu"),
        lambda: image_distances([rows[:1]], [rows], metric="js"),
    ):
        with pytest.raises(MetricError, match="has a negative value"):
            ask()
    index = build(IndexSpec("flat", "js", 2), [np.abs(rows)], device="cpu")
    with pytest.raises(MetricError, match="row 1 has a negative value"):
        approximate(rows[:1], [rows], index, k=3, effort=index.efforts()[0], depth=3)


@pytest.mark.parametrize("metric", FLOATS)
@pytest.mark.parametrize("kind", [">f2", ">f4", ">f8", "u1", "u2", "u4", "u8", "i1", ">i2", "i4", ">i8", np.longdouble])
def test_every_type_of_number_is_searched(rng, metric, kind):
    rows = rng.integers(1, 100, (60, 7)).astype(kind)
    expected = oracle(rows[:4], [rows], 9, metric)
    assert_exact(knn(rows[:4], [rows[:20], rows[20:]], k=9, metric=metric, device="cpu"), expected)
    mixed = knn(rows[:4], [rows[:20], rows[20:].astype(np.float16)], k=9, metric=metric, device="cpu")
    assert_exact(mixed, expected)
    native = rows.astype(rows.dtype.newbyteorder("="))
    if native.dtype != np.longdouble:
        assert_exact(
            knn(torch.from_numpy(native[:4]), [torch.from_numpy(native)], k=9, metric=metric, device="cpu"), expected
        )


def test_numbers_that_float64_does_not_hold_are_refused():
    huge = np.array([[1, 2], [np.longdouble("1e4000"), 1]], np.longdouble)
    if not np.isfinite(huge).all():
        pytest.skip("long double is float64 here")
    with pytest.raises(RowError, match="row 1 holds NaN or infinity"):
        knn(huge[:1], [huge], k=1, metric="l1", device="cpu")


def test_a_tensor_that_wants_a_gradient_is_searched():
    rows = torch.eye(3, requires_grad=True)
    assert knn(rows, [rows], k=1, metric="cosine", device="cpu").positions.tolist() == [[0], [1], [2]]


@pytest.mark.parametrize("mask", [np.ones(5, int), np.ones((5, 1), bool), [True] * 5, np.ones(5, object)])
def test_masks_that_are_not_booleans_are_refused(rng, mask):
    rows, codes = make(rng, 5, 8, "js"), make(rng, 5, 8, "hamming")
    with pytest.raises(InputError, match=r"live mask 0 is .* booleans"):
        knn(rows, [rows], k=1, metric="js", live=[mask], device="cpu")
    with pytest.raises(InputError, match=r"live mask 0 is .* booleans"):
        search.nearest_codes(codes, [codes], k=1, live=[mask])


@pytest.mark.parametrize("radius", [2.0, "2", None, True, -1])
def test_a_radius_that_is_no_number_of_bits_is_refused(rng, radius):
    codes = make(rng, 5, 8, "hamming")
    asks = [
        lambda: MultiIndex(codes).within(codes, radius=radius),
        lambda: list(code_pairs(codes, radius=radius)),
        lambda: search.codes_within(codes, [codes], radius=radius),
    ]
    for ask in asks[: 2 if radius is None else 3]:
        with pytest.raises(InputError, match="radius is"):
            ask()


@pytest.mark.parametrize(("width", "chunks"), [(1, None), (2, 1), (8, None)])
def test_codes_within_a_radius_at_every_edge(rng, width, chunks, monkeypatch):
    codes = make(rng, 60, width, "hamming")
    codes[3], codes[5] = 0, 255
    bits = 8 * width
    counts = np.rint(distance.hamming(codes, codes) * bits)
    index, worths = MultiIndex(codes, chunks=chunks), list(search._WORTH)
    for radius in (0, bits - 1, bits, bits + 1, 64, 500, np.int64(2**62), 2**70):
        lines, positions = np.nonzero(counts <= min(radius, bits))
        found, _ = index.within(codes, radius=radius)
        plain = search.codes_within(codes, [codes], radius=radius)
        for hits in (found, plain):
            assert sorted(zip(*hits[::2], strict=True)) == sorted(zip(lines, positions, strict=True))
        pairs = next(code_pairs(codes, radius=radius))
        assert len(pairs.left) == (lines < positions).sum()
        limit = min(float(radius), 1e300) / bits
        for worth in (0, 1 << 62):
            monkeypatch.setattr(search, "_WORTH", dict.fromkeys(worths, worth))
            near = within(codes, [codes], max_distance=limit, metric="hamming", device="cpu")
            assert near.starts[-1] == len(lines)
            nearest = knn(codes, [codes], k=60, max_distance=limit, metric="hamming", device="cpu")
            assert (nearest.positions >= 0).sum() == len(lines)


@pytest.mark.parametrize("metric", distance.METRICS)
def test_a_distance_that_was_reported_finds_its_row_as_a_limit(rng, metric):
    rows, queries = make(rng, 60, 9, metric), make(rng, 5, 9, metric)
    if metric != "hamming":
        rows, queries = rows.astype(np.float64) ** 1.1 if metric == "js" else rows * 1.1, queries / 3
    for query in queries:
        found = knn(query[None], [rows], k=60, metric=metric, device="cpu")
        for place, limit in enumerate(found.distances[0]):
            again = knn(query[None], [rows], k=60, metric=metric, max_distance=limit, device="cpu")
            as_double = knn(query[None], [rows], k=60, metric=metric, max_distance=float(limit), device="cpu")
            ranged = within(query[None], [rows], max_distance=limit, metric=metric, device="cpu")
            count = (found.distances[0] <= limit).sum()
            assert count > place
            for positions in (again.positions[0, :count], as_double.positions[0, :count], ranged.positions):
                np.testing.assert_array_equal(positions, found.positions[0, :count])
            assert (again.positions[0, count:] == -1).all()


def test_the_reach_of_a_distance_is_where_rounding_turns(rng):
    some = np.concatenate([[0, 1, 0.1, 2.0**-149, 2.0**-126, 3e38, 1e-200], rng.random(500), rng.random(50) * 1e-44])
    far = reach(some)
    rounded = some.astype(np.float32)
    np.testing.assert_array_equal(far.astype(np.float32), rounded)
    assert (np.nextafter(far, np.inf).astype(np.float32) > rounded).all()
    np.testing.assert_array_equal(reach(far), far)
    assert reach(1e39) == reach(np.inf) == np.inf
    assert np.isfinite(reach(float(np.finfo(np.float32).max)))


@pytest.mark.parametrize("metric", distance.METRICS)
def test_rounded_ties_go_to_the_lower_position_and_a_smaller_k_is_a_beginning(rng, metric):
    row = make(rng, 1, 32, metric)
    rows = np.repeat(row, 300, axis=0)
    if metric != "hamming":
        rows = row.astype(np.float64) + 1 + rng.permutation(300)[:, None] * 1e-9 * (np.arange(32) == 3)
        row = row.astype(np.float64) + 2 + np.arange(32)
    distances = distance.METRICS[metric](row, rows)[0].astype(np.float32)
    order = np.lexsort((np.arange(300), distances))
    for k in (1, 7, 100, 300):
        found = knn(row, [rows[:90], rows[90:]], k=k, metric=metric, device="cpu", rounded=True)
        np.testing.assert_array_equal(found.positions[0], order[:k])


def test_many_more_neighbours_than_rows_cost_no_more_than_the_answer(rng):
    for metric in ("js", "hamming"):
        rows = make(rng, 100, 16, metric)
        knn(rows[:64], [rows], k=100, metric=metric, device="cpu")
        tracemalloc.start()
        found = knn(rows[:64], [rows], k=100_000, metric=metric, device="cpu")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert found.positions.shape == (64, 100_000)
        assert (found.positions[:, 100:] == -1).all()
        assert peak < 1.2 * (found.positions.nbytes + found.distances.nbytes) + (4 << 20)


@pytest.mark.parametrize("metric", FLOATS)
def test_a_distance_does_not_depend_on_the_order_of_memory(rng, metric):
    a, b = rng.random((7, 33)), rng.random((9, 66))[:, ::2]
    ours = distance.METRICS[metric](a, np.ascontiguousarray(b))
    for left in (a, np.asfortranarray(a)):
        for right in (b, np.asfortranarray(b), np.ascontiguousarray(b)[::-1][::-1]):
            np.testing.assert_array_equal(distance.METRICS[metric](left, right), ours)


@pytest.mark.parametrize("scale", [1e-310, 5e-324, 1e-200, 1e150])
def test_images_of_rows_of_any_size_that_share_rows_are_at_zero(rng, scale):
    rows = rng.integers(1, 9, (4, 3)) * scale
    assert (image_distances([rows], [rows, rows[::-1]], metric="l2", cutoff=4) == 0).all()


def test_an_index_names_rows_that_float32_does_not_hold():
    with pytest.raises(RowError, match="beyond the range of float32"):
        features(IndexSpec("flat", "l2", 2), np.array([[1e300, 1.0]]))
    small = np.array([[1e-310, 2e-310], [2e-310, 1e-310]])
    index = build(IndexSpec("flat", "js", 2), [small], device="cpu")
    found = approximate(small, [small], index, k=1, effort=index.efforts()[0], depth=1)
    assert found.positions.tolist() == [[0], [1]]


def test_the_examples_hold():
    assert doctest.testmod(arguments).failed == 0
