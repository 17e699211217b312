"""Laws of the metrics, beside brute force and scikit-learn."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simsearch.decide import metrics
from simsearch.errors import InputError

distances = st.lists(st.one_of(st.integers(0, 6).map(float), st.just(math.inf)), min_size=1, max_size=12)


def slow_auc(positives, negatives):
    wins = [1.0 if p < n else 0.5 if p == n else 0.0 for p in positives for n in negatives]
    return sum(wins) / len(wins)


@settings(deadline=None)
@given(positives=distances, negatives=distances)
def test_the_area_counts_pairs(positives, negatives):
    area = metrics.auc(positives, negatives)
    assert area == pytest.approx(slow_auc(positives, negatives), abs=1e-12)
    assert metrics.auc(negatives, positives) == pytest.approx(1 - area, abs=1e-12)


@settings(deadline=None)
@given(positives=distances, negatives=distances)
def test_the_curve_rises_and_holds_the_area(positives, negatives):
    curve = metrics.roc(positives, negatives)
    assert curve.fpr[0] == curve.recall[0] == 0
    assert curve.fpr[-1] == curve.recall[-1] == 1
    assert (np.diff(curve.fpr) >= 0).all()
    assert (np.diff(curve.recall) >= 0).all()
    for threshold, fpr, recall in zip(curve.thresholds, curve.fpr, curve.recall, strict=True):
        assert fpr == np.mean([n <= threshold for n in negatives])
        assert recall == np.mean([p <= threshold for p in positives])
    assert np.trapezoid(curve.recall, curve.fpr) == pytest.approx(metrics.auc(positives, negatives), abs=1e-12)


@settings(deadline=None)
@given(positives=distances, negatives=distances, fpr=st.floats(0, 1))
def test_the_threshold_is_the_loosest_allowed(positives, negatives, fpr):
    point = metrics.recall_at_fpr(positives, negatives, fpr)
    assert point.fpr == np.mean([n <= point.threshold for n in negatives]) <= fpr + 1e-9
    assert point.recall == np.mean([p <= point.threshold for p in positives])
    curve = metrics.roc(positives, negatives)
    assert point.recall == curve.recall[curve.fpr <= fpr + 1e-9].max()
    if point.threshold < np.finfo(float).max:
        looser = np.nextafter(point.threshold, math.inf)
        assert np.mean([n <= looser for n in negatives]) > fpr


def test_agrees_with_scikit_learn(rng):
    sklearn = pytest.importorskip("sklearn.metrics")
    positives, negatives = rng.normal(0, 1, 500).round(1), rng.normal(1, 1, 700).round(1)
    labels = np.r_[np.ones(500), np.zeros(700)]
    scores = -np.r_[positives, negatives]
    assert metrics.auc(positives, negatives) == pytest.approx(sklearn.roc_auc_score(labels, scores), abs=1e-12)
    fpr, recall, _ = sklearn.roc_curve(labels, scores, drop_intermediate=False)
    ours = metrics.roc(positives, negatives)
    np.testing.assert_allclose(ours.fpr, fpr)
    np.testing.assert_allclose(ours.recall, recall)


def test_the_area_on_a_grid_drops_what_lies_beyond_it(rng):
    positives, negatives = rng.normal(0, 1, 300), rng.normal(1, 1, 300)
    every = metrics.roc(positives, negatives).thresholds
    assert metrics.auc_on_grid(positives, negatives, every) == pytest.approx(metrics.auc(positives, negatives))
    narrow = np.linspace(0, 1, 20)
    fpr = [np.mean(negatives <= t) for t in narrow]
    recall = [np.mean(positives <= t) for t in narrow]
    by_hand = sum((fpr[i + 1] - fpr[i]) * (recall[i + 1] + recall[i]) / 2 for i in range(19))
    assert metrics.auc_on_grid(positives, negatives, narrow[::-1]) == pytest.approx(by_hand)
    assert by_hand < metrics.auc(positives, negatives)


@pytest.mark.parametrize(("successes", "trials"), [(0, 1), (0, 40), (1, 40), (20, 40), (39, 40), (40, 40)])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_interval_of_a_share_is_exact(successes, trials, confidence):
    low, high = metrics.clopper_pearson(successes, trials, confidence)
    tail = (1 - confidence) / 2

    def chance(p, counts):
        return sum(math.comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in counts)

    assert low <= successes / trials <= high
    if successes > 0:
        assert chance(low, range(successes, trials + 1)) == pytest.approx(tail)
    if successes < trials:
        assert chance(high, range(successes + 1)) == pytest.approx(tail)


def test_no_trial_says_nothing():
    with pytest.raises(InputError, match="3 successes of 2 trials"):
        metrics.clopper_pearson(3, 2)
    assert metrics.clopper_pearson(0, 0) == (0.0, 1.0)


def test_drawing_sources_is_wider_than_drawing_queries(rng):
    """Queries of a source that agree are one observation, not sixty."""
    quality = rng.normal(0, 1, (50, 1))
    clustered = np.repeat(quality, 60, axis=1)
    strangers = rng.normal(1, 1, (50, 60))
    by_source = metrics.bootstrap_by_source(metrics.auc, clustered, strangers, rng=rng, repeats=200)
    by_query = metrics.bootstrap_by_source(
        metrics.auc, clustered.reshape(-1, 1), strangers.reshape(-1, 1), rng=rng, repeats=200
    )
    assert by_source.low < metrics.auc(clustered, strangers) < by_source.high
    assert by_source.high - by_source.low > 3 * (by_query.high - by_query.low)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    covered = 0
    truth = 0.5 * (1 + math.erf(0.5))  # two unit normals, one apart
    for seed in range(60):
        rng = np.random.default_rng(seed)
        near, far = rng.normal(0, 1, (80, 1)), rng.normal(1, 1, (80, 1))
        low, high = metrics.bootstrap_by_source(metrics.auc, near, far, rng=rng, repeats=150, confidence=0.9)
        covered += low <= truth <= high
    assert 46 <= covered <= 60


def test_the_same_seed_gives_the_same_interval():
    near, far = np.arange(12.0).reshape(4, 3), np.arange(5.0, 17.0).reshape(4, 3)
    one, two = (
        metrics.bootstrap_by_source(metrics.auc, near, far, rng=np.random.default_rng(3), repeats=50) for _ in range(2)
    )
    assert one == two


def test_a_rate_needs_three_expected_events():
    assert not metrics.supported(0.005, 599)
    assert metrics.supported(0.005, 600)
    assert metrics.supported(0.03, 100)


@pytest.mark.parametrize("function", [metrics.roc, metrics.auc, lambda p, n: metrics.recall_at_fpr(p, n, 0.1)])
def test_nothing_and_nan_are_refused(function):
    with pytest.raises(InputError, match="there are no negatives"):
        function([1.0], [])
    with pytest.raises(InputError, match="positives hold NaN"):
        function([math.nan], [1.0])


def test_unusable_arguments_are_refused():
    with pytest.raises(InputError, match=r"rate is 1.5"):
        metrics.recall_at_fpr([1.0], [1.0], 1.5)
    with pytest.raises(InputError, match="must be \\(source images, edits\\)"):
        metrics.bootstrap_by_source(metrics.auc, [1.0], [[1.0]], rng=np.random.default_rng(0))


def test_the_examples_hold():
    assert doctest.testmod(metrics).failed == 0
