"""The pair rate: every count, threshold and draw agrees with a slow walk over all pairs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from simsearch.decide.copy_recall import Draws, difference_interval, drawn_shares, mean_interval, shares_within
from simsearch.decide.held_out import held_out
from simsearch.decide.pair_rate import PairTail, Strangers, rate_for
from simsearch.errors import InputError


def world(seed, n=24, levels=None):
    """Images of some sources with distances between all of them; with levels, many ties."""
    rng = np.random.default_rng(seed)
    sources = rng.integers(-1, 4, n)
    sources[:4] = 0, 1, 2, 3
    apart = rng.integers(0, n, (3, 2))
    apart = apart[apart[:, 0] != apart[:, 1]]
    distances = rng.random((n, n)) if levels is None else rng.integers(0, levels, (n, n)) / levels
    return Strangers.of(sources, apart), np.triu(distances, 1) + np.triu(distances, 1).T


def walked(strangers):
    """Pairs of strangers, one by one."""
    known = {frozenset(pair) for pair in strangers.apart.tolist()}
    return [
        (a, b)
        for a, b in itertools.combinations(range(len(strangers.sources)), 2)
        if -1 not in (strangers.sources[a], strangers.sources[b])
        and strangers.sources[a] != strangers.sources[b]
        and {a, b} not in known
    ]


def tail_of(strangers, distances, reach=np.inf):
    pairs = [(a, b) for a, b in walked(strangers) if distances[a, b] <= reach]
    left, right = np.array(pairs, np.int64).reshape(-1, 2).T
    total = float(strangers.pairs()[0])
    return PairTail.of(distances[left, right], left, right, total=total, reach=reach)


def repeated(strangers, distances, weights):
    """All pairs of a world in which image i stands as often as its weight says, as the draw means it."""
    return [distances[a, b] for a, b in walked(strangers) for _ in range(int(weights[a]) * int(weights[b]))]


def largest_within(values, allowed):
    """The largest number of the values that a threshold may hold without splitting a tie, at most what is allowed."""
    return max((int((np.array(values) <= level).sum()) for level in {*values, -1} if
                (np.array(values) <= level).sum() <= allowed), default=0)  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_pairs_are_counted_across_sources_without_known_copies(seed):
    strangers, distances = world(seed)
    assert strangers.pairs()[0] == len(walked(strangers))
    left, right = np.array(list(itertools.combinations(range(24), 2))).T
    expected = [(a, b) in set(walked(strangers)) for a, b in zip(left, right, strict=True)]
    np.testing.assert_array_equal(strangers.counts(left, right), expected)
    np.testing.assert_array_equal(strangers.counts(right, left), expected)
    weights = np.random.default_rng(seed).integers(0, 4, (3, 24))
    for each, total in zip(weights, strangers.pairs(weights), strict=True):
        assert total == len(repeated(strangers, distances, each))
    without = strangers.without(1)
    assert without.pairs()[0] == sum(
        1 not in (strangers.sources[a], strangers.sources[b]) for a, b in walked(strangers)
    )


@pytest.mark.parametrize("levels", [None, 40, 5])
@pytest.mark.parametrize("seed", range(6))
def test_a_threshold_holds_as_many_pairs_as_are_allowed_and_no_tie_is_split(seed, levels):
    strangers, distances = world(seed, levels=levels)
    tail = tail_of(strangers, distances)
    values = [distances[a, b] for a, b in walked(strangers)]
    for allowed in (0, 1, 2, 7, len(values) // 2, len(values) - 1):
        threshold = tail.threshold(allowed / len(values))
        if allowed == 0:
            assert threshold is None
            continue
        within = sum(value <= threshold for value in values)
        assert within == tail.within(threshold) == largest_within(values, allowed)
        larger = [value for value in values if value > threshold]
        assert sum(value <= min(larger) for value in values) > allowed  # the next level would be too much
        near = {image for a, b in walked(strangers) if distances[a, b] <= threshold for image in (a, b)}
        assert tail.images_within(threshold) == len(near)
    assert tail.threshold(1.0) == np.inf
    nearest = tail.nearest(10)
    assert largest_within(values, 9) < 10 <= len(nearest.distances) == tail.within(nearest.reach)
    for allowed in range(1, 10):
        assert nearest.threshold(allowed / len(values)) == tail.threshold(allowed / len(values))


@pytest.mark.parametrize("levels", [None, 6])
def test_a_draw_is_the_world_with_images_repeated(levels):
    strangers, distances = world(3, levels=levels)
    tail = tail_of(strangers, distances)
    draws = Draws.of(strangers, 5, rng=np.random.default_rng(0), repeats=40)
    assert (draws.strangers[:, strangers.sources < 0] == 0).all()
    assert set(draws.strangers.sum(axis=1)) == {int((strangers.sources >= 0).sum())}
    assert set(draws.queries.sum(axis=1)) == {5}
    rates = (0.02, 0.1, 0.4)
    thresholds = draws.thresholds(tail, rates)
    for weights, total, row in zip(draws.strangers, draws.totals, thresholds, strict=True):
        values = repeated(strangers, distances, weights)
        assert total == len(values)
        for rate, threshold in zip(rates, row, strict=True):
            allowed = int(np.floor(round(rate * len(values), 9)))
            assert sum(value <= threshold for value in values) == largest_within(values, allowed)


def test_support_asks_for_fifty_pairs_of_fifty_images_and_reaches_one_decade_further():
    few = np.arange(11)
    left, right = np.array(list(itertools.combinations(few, 2))).T  # 55 pairs of 11 images
    crowd = PairTail.of(np.linspace(0, 1, 55), left, right, total=10_000, reach=1)
    assert crowd.supported_rate == np.inf
    assert crowd.support(0.9) == "unsupported"
    many = PairTail.of(np.linspace(0, 1, 60), np.arange(60), np.arange(60, 120), total=10_000, reach=1)
    assert many.supported_rate == 50 / 10_000
    assert [many.support(rate) for rate in (0.006, 0.005, 0.0049, 0.0005, 0.00049)] == [
        *("supported", "supported", "beyond_calibration", "beyond_calibration", "unsupported")
    ]
    tied = PairTail.of(np.repeat([0.1, 0.2], [49, 11]), np.arange(60), np.arange(60, 120), total=10_000, reach=1)
    assert tied.supported_rate == 60 / 10_000  # the 50th pair comes with its ties


def test_impossible_worlds_are_refused():
    empty = np.empty(0, np.int64)
    with pytest.raises(InputError, match="two sources at least"):
        PairTail.of([], empty, empty, total=0, reach=1)
    with pytest.raises(InputError, match="NaN"):
        PairTail.of([np.nan], empty[:0], empty[:0], total=1, reach=1)
    for apart in ([(0, 0)], [(0, 5)], [(-1, 0)]):
        with pytest.raises(InputError, match="known copies"):
            Strangers.of([0, 1], apart)
    assert rate_for(1e6, 0.01) == pytest.approx(1e-8)


def test_shares_of_draws_are_those_of_photographs_repeated():
    rng = np.random.default_rng(0)
    own = np.where(rng.random((7, 4)) < 0.2, np.inf, rng.random((7, 4)))
    counts = rng.integers(0, 3, (9, 7))
    counts[:, 0] += 1
    thresholds = rng.random(9)
    found = drawn_shares(own, thresholds, counts)
    for weights, threshold, row in zip(counts, thresholds, found, strict=True):
        np.testing.assert_allclose(row, (np.repeat(own, weights, axis=0) <= threshold).mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(shares_within(own, 0.5), (own <= 0.5).mean(axis=0))
    assert not shares_within(own, None).any()
    low, high = mean_interval(found, [0, 2])
    assert 0 <= low <= found[:, [0, 2]].mean() <= high <= 1
    assert difference_interval(found, found, [1, 3]) == (0, 0)
    with pytest.raises(InputError, match="7 photographs"):
        drawn_shares(own[:5], thresholds, counts)
    with pytest.raises(InputError, match="NaN"):
        drawn_shares(own * np.nan, thresholds, counts)


def test_uncertain_strangers_widen_the_interval_of_recall():
    """Recall that hangs on the threshold: were the strangers certain, half of the uncertainty would be hidden."""
    rng = np.random.default_rng(1)
    n = 60
    distances = np.triu(rng.random((n, n)), 1)
    strangers = Strangers.of(np.arange(n))
    tail = tail_of(strangers, distances + distances.T)
    own = rng.random((2000, 1)) * 0.02
    draws = Draws.of(strangers, 2000, rng=rng, repeats=300)
    rate = 8 / tail.total
    both = mean_interval(drawn_shares(own, draws.thresholds(tail, (rate,))[:, 0], draws.queries), [0])
    fixed = mean_interval(drawn_shares(own, np.full(300, tail.threshold(rate)), draws.queries), [0])
    assert both.high - both.low > 3 * (fixed.high - fixed.low)
    assert both.low < float((own <= tail.threshold(rate)).mean()) < both.high


@pytest.mark.parametrize("seed", range(6))
def test_held_out_counts_one_source_at_the_distance_of_the_others(seed):
    strangers, distances = world(seed, n=40)
    tail = tail_of(strangers, distances)
    draws = Draws.of(strangers, 3, rng=np.random.default_rng(0), repeats=200)
    for source in range(4):
        found = held_out(tail, strangers, source, 0.05, draws)
        ours = {pair: source in strangers.sources[list(pair)] for pair in walked(strangers)}
        others = [distances[pair] for pair, is_ours in ours.items() if not is_ours]
        allowed = int(np.floor(round(0.05 * len(others), 9)))
        assert found.pairs == sum(ours.values())
        assert found.predicted == pytest.approx(0.05 * found.pairs)
        if allowed:
            assert found.threshold == np.nextafter(np.sort(others)[allowed], -np.inf)
            assert found.observed == sum(
                distances[pair] <= found.threshold for pair, is_ours in ours.items() if is_ours
            )
            assert found.ratio.low <= found.observed / found.predicted <= found.ratio.high


def test_a_source_that_comes_nearer_than_the_others_shows():
    strangers = Strangers.of(np.repeat(np.arange(5), 30))
    rng = np.random.default_rng(0)
    distances = rng.random((150, 150)) + 0.1
    distances = np.triu(distances, 1) + np.triu(distances, 1).T
    distances[:30] *= 0.7
    distances[:, :30] *= 0.7
    tail = tail_of(strangers, distances)
    draws = Draws.of(strangers, 3, rng=rng, repeats=200)
    near, plain = (held_out(tail, strangers, source, 0.02, draws) for source in (0, 3))
    assert near.ratio.low > 2
    assert plain.ratio.high < 1.5
    with pytest.raises(InputError, match="two sources besides"):
        held_out(tail, Strangers.of(np.repeat([0, 1], 75)), 0, 0.02, draws)
