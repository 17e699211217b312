"""Laws of one ranking for all queries, beside scikit-learn and loops."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest

from simsearch.decide import ranking
from simsearch.errors import InputError


def world(rng, *, levels: int = 12):
    """Predictions of twelve queries made from five images, the last two of them strangers."""
    distances = rng.integers(0, levels, (12, 6)).astype(float)
    distances[rng.random(distances.shape) < 0.1] = math.inf
    sources = np.array([0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 4])
    right = np.where(sources < 3, sources, -1)
    distances[np.arange(8), right[:8]] /= 4
    return distances, right, sources


def slow_curve(distances, correct, total):
    """Threshold, recall and precision, accepting all predictions within each distance that occurs."""
    points = []
    for threshold in sorted({d for d in distances if math.isfinite(d)}):
        accepted = [c for d, c in zip(distances, correct, strict=True) if d <= threshold]
        points.append((threshold, sum(accepted) / total, sum(accepted) / len(accepted)))
    return points


def slow_average_precision(distances, correct, total):
    area, before = 0.0, 0.0
    for _, recall, precision in slow_curve(distances, correct, total):
        area += (recall - before) * precision
        before = recall
    return area


@pytest.mark.parametrize("seed", range(8))
def test_the_average_precision_and_recall_of_every_threshold(seed):
    distances, right, sources = world(np.random.default_rng(seed), levels=6 + 10 * (seed % 2))
    pool = ranking.pooled(distances, right, sources, nearest=6)
    flat, correct = distances.ravel(), (np.arange(6) == right[:, None]).ravel()
    expected = slow_average_precision(flat, correct, 8)
    assert ranking.micro_average_precision(pool) == pytest.approx(expected, abs=1e-12)
    for precision in (0.2, 0.5, 0.9, 1.0):
        good = [p for p in slow_curve(flat, correct, 8) if p[2] >= precision]
        found = ranking.recall_at_precision(pool, precision)
        if any(p[1] for p in good):
            assert found == pytest.approx((max(p[1] for p in good), good[-1][0], good[-1][2]))
        else:
            assert found == (0.0, -math.inf, 1.0)


def test_agrees_with_scikit_learn(rng):
    sklearn = pytest.importorskip("sklearn.metrics")
    distances = rng.integers(0, 30, 400).astype(float)
    correct = rng.random(400) < 1 / (1 + distances)
    every = ranking.ranked(distances, correct, np.zeros(400, int), [correct.sum()])
    expected = sklearn.average_precision_score(correct, -distances)
    assert ranking.micro_average_precision(every) == pytest.approx(expected, abs=1e-12)
    precision, recall, _ = sklearn.precision_recall_curve(correct, -distances)
    assert ranking.recall_at_precision(every, 0.6).recall == pytest.approx(recall[precision >= 0.6].max())


def test_the_order_within_a_tie_never_counts(rng):
    distances = rng.integers(0, 4, 60).astype(float)
    correct, sources = rng.random(60) < 0.4, rng.integers(0, 9, 60)
    truths = np.bincount(sources[correct], minlength=9)
    first = ranking.micro_average_precision(ranking.ranked(distances, correct, sources, truths))
    for _ in range(5):
        order = rng.permutation(60)
        again = ranking.ranked(distances[order], correct[order], sources[order], truths)
        assert ranking.micro_average_precision(again) == pytest.approx(first, abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_references_and_queries_never_counts(seed):
    rng = np.random.default_rng(seed)
    distances, right, sources = world(rng, levels=2 + seed % 4)
    nearest = 1 + seed % 3
    statistic = ranking.AveragePrecision() if seed % 2 else ranking.RecallAtPrecision(0.5)

    def figures(distances, right, sources):
        pool = ranking.pooled(distances, right, sources, nearest=nearest)
        draw = np.random.default_rng(0)
        interval = ranking.bootstrap_ranking(statistic, pool, rng=draw, repeats=20)
        return ranking.micro_average_precision(pool), ranking.recall_at_precision(pool, 0.5), *interval

    first = figures(distances, right, sources)
    for _ in range(5):
        queries, columns = rng.permutation(12), rng.permutation(6)
        place = np.append(np.argsort(columns), -1)
        again = figures(distances[queries][:, columns], place[right[queries]], sources[queries])
        assert np.concatenate([np.ravel(x) for x in again]) == pytest.approx(
            np.concatenate([np.ravel(x) for x in first])
        )


def test_pairs_that_were_never_predicted_count_against():
    found = ranking.ranked([0.1], [True], [0], [4])
    assert ranking.micro_average_precision(found) == 0.25
    assert ranking.recall_at_precision(found, 0.9) == (0.25, 0.1, 1.0)
    nothing = ranking.ranked([math.inf], [True], [0], [1])
    assert ranking.micro_average_precision(nothing) == 0.0
    assert ranking.recall_at_precision(nothing, 0.9).recall == 0.0


def test_a_stranger_that_comes_close_costs():
    copies = [0.1, 0.2, 0.3]
    alone = ranking.ranked(copies, [True] * 3, [0, 1, 2], [1, 1, 1])
    disturbed = ranking.ranked([*copies, 0.0], [True] * 3 + [False], [0, 1, 2, 3], [1, 1, 1, 0])
    assert ranking.micro_average_precision(alone) == 1.0
    assert ranking.micro_average_precision(disturbed) == pytest.approx((1 / 2 + 2 / 3 + 3 / 4) / 3)


@pytest.mark.parametrize("statistic", [ranking.AveragePrecision(), ranking.RecallAtPrecision(0.3)])
def test_the_interval_is_that_of_whole_sources_drawn_again(rng, statistic):
    """Beside rankings put together by hand from the same draws."""
    distances, right, sources = world(rng)
    pool = ranking.pooled(distances, right, sources, nearest=6)
    repeats, values = 50, []
    draw = np.random.default_rng(3)
    copies, strangers = draw.integers(0, 3, (repeats, 3)), 3 + draw.integers(0, 2, (repeats, 2))
    for chosen in np.concatenate([copies, strangers], axis=1):
        rows = np.concatenate([np.flatnonzero(sources == source) for source in chosen])
        again = ranking.pooled(distances[rows], right[rows], np.arange(len(rows)), nearest=6)
        if isinstance(statistic, ranking.AveragePrecision):
            values.append(ranking.micro_average_precision(again))
        else:
            values.append(ranking.recall_at_precision(again, 0.3).recall)
    found = ranking.bootstrap_ranking(statistic, pool, rng=np.random.default_rng(3), repeats=repeats)
    assert found == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=1e-12)
    assert found.low < found.high


def test_only_the_nearest_references_are_predictions():
    pool = ranking.pooled([[3.0, 1.0, 2.0]], [0], [0], nearest=2)
    assert pool.distances.tolist() == [1.0, 2.0]
    assert not pool.correct.any()
    assert pool.truths.tolist() == [1]


def test_unusable_predictions_are_refused():
    with pytest.raises(InputError, match="was given twice"):
        ranking.ranked([0.1, 0.2], [True, True], [0, 0], [1])
    with pytest.raises(InputError, match="0 pairs to find"):
        ranking.ranked([0.1], [False], [0], [0])
    with pytest.raises(InputError, match="must be lists as long"):
        ranking.ranked([0.1, 0.2], [True], [0], [1])
    with pytest.raises(InputError, match="hold NaN"):
        ranking.ranked([math.nan], [True], [0], [1])
    with pytest.raises(InputError, match="precision is 0"):
        ranking.recall_at_precision(ranking.ranked([0.1], [True], [0], [1]), 0)
    with pytest.raises(InputError, match="do not fit each other"):
        ranking.pooled([[0.1]], [0, 0], [0])
    with pytest.raises(InputError, match="positions in 1"):
        ranking.pooled([[0.1]], [1], [0])


def test_the_examples_hold():
    assert doctest.testmod(ranking).failed == 0
