"""What a distance is worth: E = N F, intervals that hold, never less than what was counted allows."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from simsearch.decide.calibration import Calibration, Expected, in_words, most_expected
from simsearch.decide.density import REFERENCE, Density, ratio
from simsearch.decide.rate_curve import RateCurve, Sides, images_for, pairs_for
from simsearch.errors import InputError

RNG = np.random.default_rng(0)


def curve(n: int = 20_000) -> RateCurve:
    return RateCurve.of(-np.random.default_rng(1).beta(8, 2, n))


def calibration(**changes: Any) -> Calibration:
    fields = {
        "curve": curve(),
        "density": Density(0.6, 2.0, 2.0, 1.5),
        "origin": "library",
        "what": "items",
        "images": 200,
    }
    return Calibration("f" * 8, "js", **(fields | changes))


def world(n: int, rng: np.random.Generator) -> np.ndarray:
    """Photographs, some of which lie in crowds."""
    crowds = rng.random(n) < 0.2
    centres = np.random.default_rng(7).random((5, 4))
    return np.where(
        crowds[:, None], centres[rng.integers(0, 5, n)] + 0.05 * rng.normal(size=(n, 4)), rng.random((n, 4))
    )


def near_pairs(points: np.ndarray, within: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    apart = np.sqrt(((points[:, None] - points[None]) ** 2).sum(-1))
    left, right = np.nonzero(np.triu(apart <= within, 1))
    return apart[left, right], left, right


@pytest.mark.parametrize("rate", [1e-2, 2e-3])
def test_intervals_hold_as_often_as_they_say(rate: float) -> None:
    """At a fixed seed, within what a binomial of .95 gives at a level of 99.9 %; photographs in crowds share pairs."""
    rng = np.random.default_rng(2)
    truth = near_pairs(world(4000, rng), 0.3)[0]
    at = float(np.quantile(truth, rate / (len(truth) / (4000 * 3999 / 2))))
    size, draws, held = 200, 400, 0
    for _ in range(draws):
        distances, left, right = near_pairs(world(size, rng), 0.3)
        one = RateCurve.of(-distances, total=size * (size - 1) // 2, sides=Sides(left, right, (size,)))
        low, high = one.interval(-at)
        held += bool(low <= rate <= high)
    assert binom.ppf(0.0005, draws, 0.93) <= held <= binom.ppf(0.9995, draws, 0.97)


def test_pairs_that_share_images_are_worth_less_than_independent_ones() -> None:
    """Without sides the interval is too narrow: one hub makes all near pairs."""
    strengths = np.concatenate([np.full(100, 1.0), np.zeros(4000)])
    left = np.concatenate([np.zeros(100, int), RNG.integers(0, 100, 4000)])
    right = np.concatenate([np.arange(1, 101), RNG.integers(100, 200, 4000)])
    alone, together = RateCurve.of(strengths), RateCurve.of(strengths, sides=Sides(left, right, (201,)))
    assert together.interval(1.0)[1] > 2 * alone.interval(1.0)[1]
    assert together.rate(1.0) == alone.rate(1.0)


@given(st.floats(0, 1), st.integers(1, 10**9), st.floats(0.1, 100))
def test_the_expected_number_is_chances_times_rate(distance: float, chances: int, factor: float) -> None:
    one = calibration()
    (found,) = one.expected([distance], chances)
    assert found.value == pytest.approx(float(one.curve.rate(-distance)) * chances)
    assert found.low <= found.value <= found.high
    assert found.value >= one.curve.floor * chances * (1 - 1e-9)
    (own,) = one.expected([distance], chances, factor=factor)
    assert own.low <= own.value <= own.high <= chances
    assert own.value >= one.curve.floor * chances * (1 - 1e-9)
    assert 0 <= found.any <= 1


def test_below_what_was_counted_it_is_said_so_and_the_floor_stays() -> None:
    one = calibration()
    (far,), (near,) = one.expected([0.8], 1000), one.expected([0.0], 1000)
    assert not far.beyond_calibration
    assert near.beyond_calibration
    assert near.value == pytest.approx(3 / 20_000 * 1000)
    assert near.high >= 3.6 / 20_000 * 1000
    assert near.words.startswith("at most 1 in")


def test_a_threshold_is_the_largest_whose_upper_end_is_small_enough() -> None:
    one = calibration()
    at = one.distance_at(2, 1000)
    assert one.expected([at], 1000)[0].high <= 2
    wider = float(-one.curve.strengths[np.flatnonzero(one.curve.strengths < -at)[-1]])
    assert one.expected([wider], 1000)[0].high > 2


def test_a_threshold_beyond_the_sample_is_refused_with_what_it_takes() -> None:
    with pytest.raises(
        InputError, match=r"cannot be told from 20,000 pairs .* it takes 3,688,880 of them, as 2,717 photographs"
    ):
        calibration().distance_at(1, 1_000_000)
    assert images_for(1e-6) * (images_for(1e-6) - 1) / 2 >= pairs_for(1e-6)


@pytest.mark.parametrize(("items", "now", "stale"), [(0, 10**9, False), (100, 199, False), (100, 200, True)])
def test_it_is_stale_after_twofold_growth(items: int, now: int, stale: bool) -> None:
    assert calibration(items=items).is_stale(now) is stale


def test_normalised_distances_have_rates_of_their_own() -> None:
    normalised = RateCurve.of(np.random.default_rng(5).exponential(0.05, 3000), total=2_000_000)
    one = calibration(normalised=normalised)
    near, far = one.expected_normalised([0.55, 0.75], 0.7, 1000)
    assert near.value == pytest.approx(1000 * float(normalised.rate(0.15)))
    assert far == one.expected([0.75], 1000)[0]  # beyond the mean to background rows nothing normalised was counted
    with pytest.raises(InputError, match="no rates of normalised distances"):
        calibration().expected_normalised([0.5], 0.7, 1000)


@pytest.mark.parametrize("density", [None, Density(0.6, 2.0, 2.0, 1.5, ((20.0, 2.0), (100.0, 0.9)))])
@pytest.mark.parametrize("normalised", [None, curve()])
def test_it_survives_a_file(density: Density | None, normalised: RateCurve | None) -> None:
    one = calibration(density=density, items=7, left_out=3, normalised=normalised)
    again = Calibration.from_dict(json.loads(json.dumps(one.to_dict())))
    assert again.to_dict() == one.to_dict()
    asked = np.linspace(0, 1, 50)
    np.testing.assert_allclose(again.curve.rate(-asked), one.curve.rate(-asked), rtol=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "hearsay"}, {"images": -1}, {"images": "many"}, {"metric": 3}, {"curve": {}},
        {"density": {"power": 1}},
        {"curve": {**curve().to_dict(), "pairs": [1]}}, {"curve": {**curve().to_dict(), "slope": 1.0}},
    ],
)  # fmt: skip
def test_what_is_no_calibration_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="it describes no"):
        Calibration.from_dict({**calibration().to_dict(), **change})
    with pytest.raises(InputError, match="it describes no calibration"):
        Calibration.from_dict({})


def test_places_are_stronger_the_more_they_are() -> None:
    places = Calibration("f", "places", RateCurve.of(RNG.poisson(1, 5000)), None, "package", "pictures", 10)
    few, many = places.expected([1, 8], 100)
    assert few.value > many.value


@pytest.mark.parametrize(
    ("expected", "beyond", "words"),
    [(12.3, False, "12 a query"), (0.97, False, "0.97 a query"), (0.011, False, "1 in 91 queries"),
     (3e-9, False, "1 in 330,000,000 queries"), (2e-5, True, "at most 1 in 50,000 queries"),
     (123456, False, "120,000 a query")],
)  # fmt: skip
def test_words(expected: float, beyond: bool, words: str) -> None:
    assert in_words(expected, beyond_calibration=beyond) == words == Expected(expected, 0, 0, beyond).words


def test_a_probability_is_an_expected_number() -> None:
    assert 1 - np.exp(-most_expected(0.05)) == pytest.approx(0.05)
    for bad in (0, 1, -1, float("nan")):
        with pytest.raises(InputError, match="not between 0 and 1"):
            most_expected(bad)


def test_a_power_law_of_neighbours_is_found_again() -> None:
    """Queries whose neighbours and near strangers are Poisson, the latter by the square of how crowded they are."""
    rng = np.random.default_rng(3)
    crowded = rng.gamma(2, 0.5, 4000)
    neighbours = rng.poisson(crowded * REFERENCE * 2000)
    rows = np.full(4000, 1e6)
    hits = rng.poisson(crowded**2 / 1.5 * 1e-5 * rows)
    found = Density.of(ratio(neighbours, np.full(4000, 2000)), hits, rows, 0.5)
    assert found.power == pytest.approx(2, abs=0.35)  # neighbours are few, and dilute it
    own = found.factor(neighbours, 2000, hits.sum() / rows.sum())
    assert own.mean() == pytest.approx(1, rel=0.1)
    top = neighbours >= np.quantile(neighbours, 0.9)
    assert hits[top].mean() / hits.mean() == pytest.approx(own[top].mean(), rel=0.2)


def test_pictures_of_low_quality_have_a_rate_of_their_own() -> None:
    """A tenth of the queries meets four times what neighbours tell; the mean over queries stays 1."""
    rng = np.random.default_rng(4)
    crowded, rows = rng.gamma(2, 0.5, 6000), np.full(6000, 1e6)
    neighbours = rng.poisson(crowded * REFERENCE * 2000)
    qualities = rng.permutation(np.repeat([15, 60, 95], [600, 2400, 3000]))
    hits = rng.poisson(np.where(qualities == 15, 4, 1) * crowded * 2e-5 * rows)
    found = Density.of(ratio(neighbours, np.full(6000, 2000)), hits, rows, 0.5, qualities=qualities)
    rate = hits.sum() / rows.sum()
    own = found.factor(neighbours, 2000, rate, quality=qualities)
    assert own.mean() == pytest.approx(1, rel=0.1)
    for quality in (15, 60, 95):
        chosen = qualities == quality
        assert own[chosen].mean() / own.mean() == pytest.approx(hits[chosen].mean() / hits.mean(), rel=0.15)
    low, high = (found.factor(20, 2000, rate, quality=one) for one in (15, 95))
    assert low / high == pytest.approx(4, rel=0.15)
    assert found.factor(20, 2000, REFERENCE, quality=15) == found.factor(20, 2000, REFERENCE)  # as far as neighbours
    unknown = Density.of(ratio(neighbours, np.full(6000, 2000)), hits, rows, 0.5, qualities=np.full(6000, -1))
    assert unknown.strata == ()
    assert Density.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    with pytest.raises(InputError, match="describes no density"):
        Density.from_dict({**found.to_dict(), "strata": [[50, -1.0]]})


def test_density_is_refused_where_it_cannot_be_fitted() -> None:
    with pytest.raises(InputError, match="no near stranger"):
        Density.of([1.0, 1.0], [0, 0], [10, 10], 0.5)
    with pytest.raises(InputError, match="must be of the same queries"):
        Density.of([1.0], [0, 0], [10, 10], 0.5)
