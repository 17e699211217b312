"""Distances between images of several rows are those of the slow definition, for every metric, shape and cutoff."""

from __future__ import annotations

import doctest
import subprocess
import sys

import numpy as np
import pytest

from simsearch.distance import METRICS
from simsearch.errors import InputError, MetricError, RowError
from simsearch.search.multi_vector import distances
from simsearch.search.multi_vector.distances import image_distances

FLOATS = [metric for metric in METRICS if metric != "hamming"]


def oracle(queries, database, metric, cutoff):
    out = np.full((len(queries), len(database)), np.inf, np.float32)
    for i, query in enumerate(queries):
        for j, image in enumerate(database):
            if len(query) >= cutoff and len(image):
                nearest = [min(METRICS[metric](row[None], image)[0]) for row in query]
                out[i, j] = sorted(nearest)[cutoff - 1]
    return out


def images(rng, counts, metric, width=13):
    if metric == "hamming":
        return [rng.integers(0, 256, (count, width), dtype=np.uint8) for count in counts]
    return [rng.random((count, width), np.float32) + np.float32(0.01) for count in counts]


@pytest.fixture(autouse=True)
def small_groups(monkeypatch):
    monkeypatch.setattr(distances, "_QUERY_ROWS", 11)
    monkeypatch.setattr(distances, "_DATABASE_ROWS", 17)


@pytest.mark.parametrize("cutoff", [1, 2, 5])
@pytest.mark.parametrize("metric", METRICS)
def test_it_is_the_slow_definition(rng, metric, cutoff):
    queries = images(rng, [3, 0, 7, 1, 30, 2, 5, 0], metric)
    database = images(rng, [0, 4, 9, 1, 40, 2, 0], metric)
    database[2][3] = queries[4][8]
    found = image_distances(queries, database, metric=metric, cutoff=cutoff)
    assert (found.shape, found.dtype) == ((8, 7), np.float32)
    np.testing.assert_allclose(found, oracle(queries, database, metric, cutoff), rtol=1e-6)
    assert (found[4, 2] == 0) == (cutoff == 1)


@pytest.mark.parametrize("width", [1, 7, 8, 9, 32, 200])
@pytest.mark.parametrize("metric", ["hamming", "l2"])
def test_any_width(rng, metric, width):
    queries, database = images(rng, [2, 3], metric, width), images(rng, [4, 1], metric, width)
    found = image_distances(queries, database, metric=metric)
    np.testing.assert_allclose(found, oracle(queries, database, metric, 1), rtol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_images_that_share_as_many_rows_as_counted_are_at_exactly_zero(rng, metric):
    database = images(rng, [6, 8], metric)
    queries = [np.concatenate([images(rng, [4], metric)[0], database[1][:3]])[rng.permutation(7)]]
    assert [image_distances(queries, database, metric=metric, cutoff=c)[0, 1] == 0 for c in (1, 3, 4)] == [1, 1, 0]


@pytest.mark.parametrize("cutoff", [1, 3])
def test_l2_loses_nothing_where_products_do(rng, cutoff):
    """Rows that differ by far less than a float32 product resolves, beside equal ones."""
    base = rng.random((1, 40)) + 1000
    database = [base + rng.random((5, 40)) * size for size in (1e-3, 1e-6, 1e-9)]
    queries = [base + rng.random((4, 40)) * 1e-6, np.concatenate([database[2][:3], base])]
    found = image_distances(queries, database, metric="l2", cutoff=cutoff)
    np.testing.assert_allclose(found, oracle(queries, database, "l2", cutoff), rtol=1e-6)
    assert found[1, 2] == 0
    assert (found[0] > 0).all()


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1.0, 1e35])
def test_l2_and_cosine_hold_at_any_scale(rng, scale):
    database = [rng.random((4, 9)) * scale * 10.0**-power for power in (0, 12, 25)]
    queries = [rng.random((5, 9)) * scale * 10.0**-power for power in (0, 25)]
    for metric in ("l2", "cosine"):
        found = image_distances(queries, database, metric=metric)
        np.testing.assert_allclose(found, oracle(queries, database, metric, 1), rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8])
def test_every_type_of_row(rng, dtype):
    queries, database = ([rng.integers(1, 9, (3, 6)).astype(dtype)] for _ in range(2))
    np.testing.assert_allclose(
        image_distances(queries, database, metric="l2"), oracle(queries, database, "l2", 1), rtol=1e-6
    )


def test_many_equal_rows(rng):
    tied = np.repeat(rng.random((2, 8), np.float32), 20, axis=0)
    assert image_distances([tied[:3], tied], [tied], metric="l2", cutoff=3).tolist() == [[0], [0]]


def test_one_row_an_image_gives_the_plain_distances(rng):
    for metric in METRICS:
        a, b = np.concatenate(images(rng, [9], metric)), np.concatenate(images(rng, [20], metric))
        found = image_distances(list(a[:, None]), list(b[:, None]), metric=metric)
        np.testing.assert_allclose(found, METRICS[metric](a, b), rtol=1e-6)


def test_a_code_may_be_shorter_than_its_bytes(rng):
    codes = [np.packbits(rng.integers(0, 2, (3, 121), np.uint8), axis=1) for _ in range(4)]
    found = image_distances(codes[:2], codes[2:], metric="hamming", bits=121)
    np.testing.assert_allclose(found * 121, image_distances(codes[:2], codes[2:], metric="hamming") * 128, rtol=1e-6)
    with pytest.raises(RowError, match="codes of 16 bytes cannot hold 120 bits"):
        image_distances(codes[:2], codes[2:], metric="hamming", bits=120)
    with pytest.raises(InputError, match="only hamming counts bits"):
        image_distances(codes[:2], codes[2:], metric="l2", bits=121)


def test_the_direction_matters():
    one, two = np.array([[1.0, 0.0], [0.0, 9.0]]), np.array([[1.0, 0.0]])
    assert image_distances([one], [two], metric="l2", cutoff=2)[0, 0] > 0
    assert image_distances([two], [one], metric="l2", cutoff=2)[0, 0] == np.inf


@pytest.mark.parametrize("metric", ["hamming", "l2", "js"])
def test_threads_and_groups_change_nothing(rng, monkeypatch, metric):
    queries, database = images(rng, [3, 8, 0, 4, 5], metric), images(rng, [2, 9, 4], metric)
    few = image_distances(queries, database, metric=metric, threads=1)
    monkeypatch.setattr(distances, "_QUERY_ROWS", 1000)
    monkeypatch.setattr(distances, "_DATABASE_ROWS", 1000)
    np.testing.assert_array_equal(image_distances(queries, database, metric=metric, threads=7), few)


def test_nothing_gives_nothing(rng):
    some = images(rng, [2, 3], "l2")
    assert image_distances([], some, metric="l2").shape == (0, 2)
    assert image_distances(some, [], metric="l2").shape == (2, 0)
    none = np.empty((0, 13), np.float32)
    for metric in FLOATS:
        assert (image_distances([none], some, metric=metric) == np.inf).all()
        assert (image_distances([none], [none], metric=metric) == np.inf).all()


def test_what_cannot_be_compared_is_named(rng):
    some = images(rng, [2, 3], "l2")
    bad = some[1].copy()
    bad[2, 4] = np.nan
    with pytest.raises(RowError, match="database image 1, row 2 holds NaN"):
        image_distances(some, [some[0], bad], metric="l2")
    with pytest.raises(RowError, match=r"database image 0, rows have shape \(2, 12\)"):
        image_distances(some, [some[0][:, 1:]], metric="l2")
    with pytest.raises(MetricError, match="hamming needs packed uint8"):
        image_distances(some, some, metric="hamming")
    with pytest.raises(MetricError, match="no metric 'l3'"):
        image_distances([], [], metric="l3")
    for wrong in ({"cutoff": 0}, {"threads": 0}):
        with pytest.raises(InputError, match="at least 1"):
            image_distances(some, some, metric="l2", **wrong)


def test_compiling_waits_for_the_first_use():
    code = "import simsearch.search.multi_vector.distances, sys; print('numba' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_the_examples_hold():
    assert doctest.testmod(distances).failed == 0
