"""A further metric takes one function and one file's worth of search: everything else works by what these two say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from simsearch import Library, distance
from simsearch.errors import MetricError
from simsearch.search.exact import knn
from simsearch.search.metrics import SEARCH_METRICS
from simsearch.search.metrics.base import DOUBLE_UNIT, TINY, UNIT, Measure, Prepared, Score, SearchMetric
from simsearch.search.multi_vector.distances import image_distances
from simsearch.search.range_search import within
from tests.images.pictures import scene
from tests.search.test_exact import assert_exact, make, oracle


def chebyshev(a, b):
    """The largest absolute difference."""
    distance.check_rows(a, metric="chebyshev", what="query")
    distance.check_rows(b, dimension=a.shape[1], metric="chebyshev")
    return np.abs(a[:, None].astype(np.float64) - b[None].astype(np.float64)).max(axis=2)


class ChebyshevScore(Score):
    def prepare(self, rows):
        values = rows.to(torch.float32)
        return Prepared(values, values.abs().amax(dim=1))

    def between(self, a, b):
        return torch.cdist(a.rows, b.rows, p=torch.inf)

    def of(self, distance):
        return distance

    def error(self, dimension, largest):
        return 4 * UNIT * (largest[0] + largest[1]) + TINY


class ChebyshevDistance(Measure):
    def prepare(self, rows):
        return rows.double()

    def between(self, a, b):
        return torch.sub(a, b).abs_().amax(dim=1)

    def error(self, distances, dimension):
        return 4 * DOUBLE_UNIT * distances


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """What a metric of our own would have as a line in `distance.METRICS` and one in `SEARCH_METRICS`."""
    monkeypatch.setitem(distance.METRICS, "chebyshev", distance.Metric("chebyshev", chebyshev, indexed=False))
    toy = SearchMetric(lambda *_: ChebyshevScore(), ChebyshevDistance())
    monkeypatch.setitem(SEARCH_METRICS, "chebyshev", toy)


@pytest.mark.parametrize(("q", "sizes", "d", "k"), [(1, [1], 1, 1), (1, [300], 64, 10), (40, [300, 0, 55], 13, 10)])
def test_exact_search_is_exact(rng, q, sizes, d, k):
    blocks = [make(rng, n, d, "l1") for n in sizes]
    queries = make(rng, q, d, "l1")
    found = knn(queries, blocks, k=k, metric="chebyshev", device="cpu")
    assert found.certified.all()
    assert_exact(found, oracle(queries, blocks, k, "chebyshev"))


def test_a_radius_finds_all_within_it(rng):
    rows, queries = make(rng, 200, 20, "l1"), make(rng, 5, 20, "l1")
    expected = chebyshev(queries, rows)
    radius = float(np.quantile(expected, 0.1))
    found = within(queries, [rows], max_distance=radius, metric="chebyshev", device="cpu")
    near = expected.astype(np.float32) <= np.float32(radius)
    np.testing.assert_array_equal(np.diff(found.starts), near.sum(axis=1))


def test_images_of_several_rows_are_compared_by_it(rng):
    images = [make(rng, n, 8, "l1").astype(np.float32) for n in (3, 1, 4)]
    expected = [[chebyshev(a, b).min() for b in images] for a in images]
    np.testing.assert_allclose(image_distances(images, images, metric="chebyshev"), expected, rtol=1e-6)


def test_a_library_is_searched_by_it(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(4):
        scene(seed=seed).save(folder / f"{seed}.png")
    with Library.create(tmp_path / "toy.library", model="tests.fake:FakeExtractor") as library:
        library.add(folder)
        (found,) = library.search(folder / "2.png", k=3, metric="chebyshev")
        assert found.matches[0].distance == 0
        with pytest.raises(MetricError, match="no index serves chebyshev"):
            library.optimize(recall=0.9, metric="chebyshev")
