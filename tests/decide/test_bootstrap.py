"""Laws of drawing source images again, beside one call a draw."""

from __future__ import annotations

import doctest
import math
import time

import numpy as np
import pytest

from simsearch.decide import bootstrap
from simsearch.decide.roc_curve import auc, recall_at_fpr
from simsearch.errors import InputError


@pytest.mark.parametrize("statistic", [bootstrap.Area(), bootstrap.RecallAtFpr(0.1), bootstrap.RecallAtFpr(0.0)])
@pytest.mark.parametrize("levels", [3, 40, 100_000])
def test_many_draws_together_are_the_draws_one_by_one(rng, statistic, levels):
    """Few levels tie much; infinity is beyond every threshold."""
    near, far = rng.integers(0, levels, (9, 5)).astype(float), rng.integers(0, levels, (7, 4)) + levels / 4
    near[rng.random(near.shape) < 0.1] = far[rng.random(far.shape) < 0.1] = math.inf
    together, one_by_one = (
        bootstrap.bootstrap_by_source(kind, near, far, rng=np.random.default_rng(1), repeats=60)
        for kind in (statistic, statistic.__call__)
    )
    assert together == pytest.approx(one_by_one, abs=1e-12)


def test_the_area_is_known_by_its_function(rng):
    near, far = rng.normal(0, 1, (6, 3)), rng.normal(1, 1, (6, 3))
    one, two = (
        bootstrap.bootstrap_by_source(kind, near, far, rng=np.random.default_rng(1), repeats=30)
        for kind in (auc, bootstrap.Area())
    )
    assert one == two
    assert bootstrap.RecallAtFpr(0.2)(near, far) == recall_at_fpr(near, far, 0.2).recall


def test_the_blocks_of_draws_join(rng, monkeypatch):
    near, far = rng.normal(0, 1, (6, 3)), rng.normal(1, 1, (5, 3))
    whole = bootstrap.bootstrap_by_source(auc, near, far, rng=np.random.default_rng(1), repeats=50)
    monkeypatch.setattr(bootstrap, "_AT_ONCE", 200)
    assert bootstrap.bootstrap_by_source(auc, near, far, rng=np.random.default_rng(1), repeats=50) == whole


@pytest.mark.slow
def test_the_paper_s_size_takes_a_second(rng):
    near, far = rng.normal(0, 1, (100, 58)), rng.normal(1, 1, (100, 58))
    start = time.perf_counter()
    bootstrap.bootstrap_by_source(auc, near, far, rng=rng, repeats=1000)
    assert time.perf_counter() - start < 4  # 0.3 s on an idle core


def test_sources_have_a_dimension_of_their_own():
    with pytest.raises(InputError, match="must be \\(source images, edits\\)"):
        bootstrap.bootstrap_by_source(auc, [1.0], [[1.0]], rng=np.random.default_rng(0))


def test_drawing_sources_is_wider_than_drawing_queries(rng):
    """Queries of a source that agree are one observation, not sixty."""
    quality = rng.normal(0, 1, (50, 1))
    clustered = np.repeat(quality, 60, axis=1)
    strangers = rng.normal(1, 1, (50, 60))
    by_source = bootstrap.bootstrap_by_source(auc, clustered, strangers, rng=rng, repeats=200)
    by_query = bootstrap.bootstrap_by_source(
        auc, clustered.reshape(-1, 1), strangers.reshape(-1, 1), rng=rng, repeats=200
    )
    assert by_source.low < auc(clustered, strangers) < by_source.high
    assert by_source.high - by_source.low > 3 * (by_query.high - by_query.low)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    covered = 0
    truth = 0.5 * (1 + math.erf(0.5))  # two unit normals, one apart
    for seed in range(60):
        rng = np.random.default_rng(seed)
        near, far = rng.normal(0, 1, (80, 1)), rng.normal(1, 1, (80, 1))
        low, high = bootstrap.bootstrap_by_source(auc, near, far, rng=rng, repeats=150, confidence=0.9)
        covered += low <= truth <= high
    assert 46 <= covered <= 60


def test_the_same_seed_gives_the_same_interval():
    near, far = np.arange(12.0).reshape(4, 3), np.arange(5.0, 17.0).reshape(4, 3)
    one, two = (
        bootstrap.bootstrap_by_source(auc, near, far, rng=np.random.default_rng(3), repeats=50) for _ in range(2)
    )
    assert one == two


def test_the_examples_hold():
    assert doctest.testmod(bootstrap).failed == 0


@pytest.mark.parametrize("statistic", [bootstrap.Area(), bootstrap.RecallAtFpr(0.1)])
def test_a_difference_is_that_of_the_same_draws(rng, statistic):
    far = rng.random((30, 3)) + 0.3
    before, after = (rng.random((20, 3)) + 0.2, far), (rng.random((20, 3)), far + 0.01)
    found = bootstrap.bootstrap_difference(statistic, before, after, rng=np.random.default_rng(1), repeats=200)
    again, values = np.random.default_rng(1), []
    for _ in range(200):
        own, others = again.integers(0, 20, 20), again.integers(0, 30, 30)
        old, new = (statistic(near[own].ravel(), off[others].ravel()) for near, off in (before, after))
        values.append(new - old)
    assert found == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))
    none = bootstrap.bootstrap_difference(statistic, after, after, rng=np.random.default_rng(1), repeats=50)
    assert (none.low, none.high) == (0, 0)
    with pytest.raises(InputError, match="must be tried on the same ones"):
        bootstrap.bootstrap_difference(statistic, (far, far), after, rng=np.random.default_rng(1))
