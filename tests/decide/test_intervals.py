"""Laws of the intervals, beside exact sums."""

from __future__ import annotations

import doctest
import math

import pytest

from simsearch.decide import intervals
from simsearch.errors import InputError


@pytest.mark.parametrize(("successes", "trials"), [(0, 1), (0, 40), (1, 40), (20, 40), (39, 40), (40, 40)])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_interval_of_a_share_is_exact(successes, trials, confidence):
    low, high = intervals.clopper_pearson(successes, trials, confidence)
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
        intervals.clopper_pearson(3, 2)
    assert intervals.clopper_pearson(0, 0) == (0.0, 1.0)


def test_a_rate_needs_three_expected_events():
    assert not intervals.supported(0.005, 599)
    assert intervals.supported(0.005, 600)
    assert intervals.supported(0.03, 100)


def test_a_share_that_may_be_printed_carries_its_interval():
    share = intervals.Estimate.of_share(3, 40, supported=False)
    assert (share.low, share.high) == intervals.clopper_pearson(3, 40)
    assert share.value == 3 / 40
    assert not share.supported
    with pytest.raises(InputError, match="0 trials has no value"):
        intervals.Estimate.of_share(0, 0)


def test_the_examples_hold():
    assert doctest.testmod(intervals).failed == 0
