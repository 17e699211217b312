"""Laws of the metrics, beside brute force and scikit-learn."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simsearch.decide import roc_curve
from simsearch.errors import InputError

distances = st.lists(st.one_of(st.integers(0, 6).map(float), st.just(math.inf)), min_size=1, max_size=12)


def slow_auc(positives, negatives):
    wins = [1.0 if p < n else 0.5 if p == n else 0.0 for p in positives for n in negatives]
    return sum(wins) / len(wins)


@settings(deadline=None)
@given(positives=distances, negatives=distances)
def test_the_area_counts_pairs(positives, negatives):
    area = roc_curve.auc(positives, negatives)
    assert area == pytest.approx(slow_auc(positives, negatives), abs=1e-12)
    assert roc_curve.auc(negatives, positives) == pytest.approx(1 - area, abs=1e-12)


@settings(deadline=None)
@given(positives=distances, negatives=distances)
def test_the_curve_rises_and_holds_the_area(positives, negatives):
    curve = roc_curve.roc(positives, negatives)
    assert curve.fpr[0] == curve.recall[0] == 0
    assert curve.fpr[-1] == curve.recall[-1] == 1
    assert (np.diff(curve.fpr) >= 0).all()
    assert (np.diff(curve.recall) >= 0).all()
    for threshold, fpr, recall in zip(curve.thresholds, curve.fpr, curve.recall, strict=True):
        assert fpr == np.mean([n <= threshold for n in negatives])
        assert recall == np.mean([p <= threshold for p in positives])
    assert np.trapezoid(curve.recall, curve.fpr) == pytest.approx(roc_curve.auc(positives, negatives), abs=1e-12)


@settings(deadline=None)
@given(positives=distances, negatives=distances, fpr=st.floats(0, 1))
def test_the_threshold_is_the_loosest_allowed(positives, negatives, fpr):
    point = roc_curve.recall_at_fpr(positives, negatives, fpr)
    assert point.fpr == np.mean([n <= point.threshold for n in negatives]) <= fpr + 1e-9
    assert point.recall == np.mean([p <= point.threshold for p in positives])
    curve = roc_curve.roc(positives, negatives)
    assert point.recall == curve.recall[curve.fpr <= fpr + 1e-9].max()
    if point.threshold < np.finfo(float).max:
        looser = np.nextafter(point.threshold, math.inf)
        assert np.mean([n <= looser for n in negatives]) > fpr


def test_agrees_with_scikit_learn(rng):
    sklearn = pytest.importorskip("sklearn.metrics")
    positives, negatives = rng.normal(0, 1, 500).round(1), rng.normal(1, 1, 700).round(1)
    labels = np.r_[np.ones(500), np.zeros(700)]
    scores = -np.r_[positives, negatives]
    assert roc_curve.auc(positives, negatives) == pytest.approx(sklearn.roc_auc_score(labels, scores), abs=1e-12)
    fpr, recall, _ = sklearn.roc_curve(labels, scores, drop_intermediate=False)
    ours = roc_curve.roc(positives, negatives)
    np.testing.assert_allclose(ours.fpr, fpr)
    np.testing.assert_allclose(ours.recall, recall)


def test_the_area_on_a_grid_drops_what_lies_beyond_it(rng):
    positives, negatives = rng.normal(0, 1, 300), rng.normal(1, 1, 300)
    every = roc_curve.roc(positives, negatives).thresholds
    assert roc_curve.auc_on_grid(positives, negatives, every) == pytest.approx(roc_curve.auc(positives, negatives))
    narrow = np.linspace(0, 1, 20)
    fpr = [np.mean(negatives <= t) for t in narrow]
    recall = [np.mean(positives <= t) for t in narrow]
    by_hand = sum((fpr[i + 1] - fpr[i]) * (recall[i + 1] + recall[i]) / 2 for i in range(19))
    assert roc_curve.auc_on_grid(positives, negatives, narrow[::-1]) == pytest.approx(by_hand)
    assert by_hand < roc_curve.auc(positives, negatives)


def test_any_image_within_the_threshold_and_the_right_one(rng):
    """By loops over every query, with ties and with distances that are never detected."""
    near, far = rng.integers(0, 9, (40, 7)).astype(float), rng.integers(2, 9, (30, 7)).astype(float)
    near[rng.random(near.shape) < 0.2] = math.inf
    right = rng.integers(0, 7, 40)
    found = roc_curve.image_recall_at_fpr(near, right, far, 0.3)
    assert found.any_match == np.mean([any(d <= found.threshold for d in row) for row in near])
    assert found.right_image == np.mean([row[i] <= found.threshold for row, i in zip(near, right, strict=True)])
    assert found.fpr == np.mean([any(d <= found.threshold for d in row) for row in far]) <= 0.3
    assert found.right_image < found.any_match
    assert found.threshold == roc_curve.recall_at_fpr(near.min(axis=1), far.min(axis=1), 0.3).threshold


@pytest.mark.parametrize("function", [roc_curve.roc, roc_curve.auc, lambda p, n: roc_curve.recall_at_fpr(p, n, 0.1)])
def test_nothing_and_nan_are_refused(function):
    with pytest.raises(InputError, match="there are no negatives"):
        function([1.0], [])
    with pytest.raises(InputError, match="positives hold NaN"):
        function([math.nan], [1.0])


def test_unusable_arguments_are_refused():
    with pytest.raises(InputError, match=r"rate is 1.5"):
        roc_curve.recall_at_fpr([1.0], [1.0], 1.5)
    with pytest.raises(InputError, match="do not fit each other"):
        roc_curve.image_recall_at_fpr([[1.0, 2.0]], [0, 1], [[1.0, 2.0]], 0.1)
    with pytest.raises(InputError, match="positions in a database of 2"):
        roc_curve.image_recall_at_fpr([[1.0, 2.0]], [2], [[1.0, 2.0]], 0.1)


def test_the_examples_hold():
    assert doctest.testmod(roc_curve).failed == 0
