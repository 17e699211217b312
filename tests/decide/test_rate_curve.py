"""Rates of strangers: never less than what was counted, falling, one number for several witnesses."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsearch.decide.rate_curve import JointRate, RateCurve, decades
from simsearch.errors import InputError

LISTS = st.lists(st.integers(0, 12) | st.floats(-5, 5), min_size=1, max_size=300)


@given(LISTS)
def test_a_rate_falls_and_lies_within_the_interval_of_what_was_counted(strengths: list[float]) -> None:
    values = np.array(strengths, float)
    curve = RateCurve.of(values)
    asked = np.unique(np.concatenate([values, values + 0.01, values - 0.01, [99, -99]]))
    rates, counted = curve.rate(asked), np.array([(values >= each).mean() for each in asked])
    low, high = curve.interval(asked)
    assert (high >= counted - 1e-12).all()
    assert (np.maximum(low, curve.floor) <= rates + 1e-12).all()
    assert (rates <= np.maximum(high, curve.floor) + 1e-12).all()
    assert all((np.diff(each) <= 1e-12).all() for each in (rates, low, high))
    assert (rates <= 1).all()
    assert curve.rate(99.0) >= min(1, 3 / len(values)) - 1e-12


def test_between_levels_a_rate_is_what_was_counted_but_for_their_curvature() -> None:
    values = np.random.default_rng(0).normal(size=50_000)
    curve = RateCurve.of(values)
    for asked in np.linspace(0, np.sort(values)[-200], 50):
        counted = (values >= asked).mean()
        assert curve.rate(asked) == pytest.approx(counted, rel=0.02)


def test_the_tail_goes_on_as_it_fell_down_to_the_rule_of_three() -> None:
    """Of an exponential distribution the tail is known: 10 ** -x from every x on."""
    values = np.random.default_rng(1).exponential(1 / np.log(10), 300_000)
    curve = RateCurve.of(values)
    assert curve.slope == pytest.approx(-1, rel=0.2)
    assert curve.rate(curve.strengths[-1]) <= 2e-5
    assert curve.rate(100.0) == curve.floor == 3 / 300_000


def test_a_curve_of_the_strongest_alone_counts_all() -> None:
    values = np.random.default_rng(2).normal(size=10_000)
    whole, part = RateCurve.of(values), RateCurve.of(np.sort(values)[-2000:], total=10_000)
    asked = np.sort(values)[-1500::50]
    np.testing.assert_allclose(part.rate(asked), whole.rate(asked), rtol=0.3)
    assert part.floor == whole.floor


def test_there_is_no_rate_of_nothing() -> None:
    with pytest.raises(InputError, match="no pair of strangers"):
        RateCurve.of([])


@given(LISTS)
def test_a_curve_survives_a_file(strengths: list[float]) -> None:
    curve = RateCurve.of(np.array(strengths, float))
    again = RateCurve.from_dict(json.loads(json.dumps(curve.to_dict())))
    np.testing.assert_allclose(again.rate(curve.strengths - 1e-3), curve.rate(curve.strengths - 1e-3), rtol=0.01)


@pytest.mark.parametrize("shared", [0.0, 0.7, 1.0])
def test_a_joint_rate_is_right_however_the_witnesses_depend(shared: float) -> None:
    rng = np.random.default_rng(3)

    def drawn(count: int) -> dict[str, np.ndarray]:
        common = rng.normal(size=count)
        return {name: shared * common + (1 - shared) * rng.normal(size=count) for name in ("row", "points")}

    joint, fresh = JointRate.of(drawn(200_000)), drawn(200_000)
    said = joint.rate(fresh)
    for rate in (0.1, 0.01, 0.001):
        assert (said <= rate).mean() == pytest.approx(rate, rel=0.25)


def test_a_witness_that_says_more_never_raises_the_joint_rate() -> None:
    rng = np.random.default_rng(4)
    joint = JointRate.of({"row": rng.normal(size=5000), "points": rng.poisson(1, 5000)})
    for places in range(12):
        rates = joint.rate({"row": np.linspace(-4, 6, 80), "points": np.full(80, places)})
        assert (np.diff(rates) <= 0).all()
        assert (joint.rate({"row": np.linspace(-4, 6, 80), "points": np.full(80, places + 1)}) <= rates).all()


def test_witnesses_without_rates_are_refused() -> None:
    with pytest.raises(InputError, match="no rates are known of pdq"):
        decades({"row": RateCurve.of([1.0])}, {"pdq": 1.0})
