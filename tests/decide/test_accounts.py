"""Several matches of one owner: the founding article's example, and how clusters change it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import nbinom, poisson

from simsearch.decide.accounts import OwnerRates, at_least, share_of_list, smallest_k
from simsearch.errors import InputError


def test_the_worked_example() -> None:
    """20 false positives in ten million photographs, an owner of 10,000: lambda = .02, and ten matches."""
    expected = 20 / 10_000_000 * 10_000
    assert expected == pytest.approx(0.02)
    independent = at_least(10, expected)
    assert independent == pytest.approx(2.8e-24, rel=0.02)
    assert at_least(10, expected, dispersion=50) > 1e15 * independent


@given(st.integers(1, 60), st.floats(1e-4, 40), st.floats(0.01, 50))
def test_tails_are_scipys(k: int, expected: float, dispersion: float) -> None:
    assert at_least(k, expected) == pytest.approx(poisson.sf(k - 1, expected), rel=1e-6)
    size = 1 / dispersion
    assert at_least(k, expected, dispersion) == pytest.approx(
        nbinom.sf(k - 1, size, size / (size + expected)), rel=1e-5
    )


@given(st.floats(1e-3, 5), st.floats(0, 20), st.floats(1e-12, 0.5))
def test_the_smallest_number_is_the_smallest(expected: float, dispersion: float, probability: float) -> None:
    k = smallest_k(probability, expected, dispersion)
    assert at_least(k, expected, dispersion) <= probability
    assert k == 1 or at_least(k - 1, expected, dispersion) > probability


def test_dependence_is_fitted_and_its_interval_holds_the_truth() -> None:
    rng = np.random.default_rng(0)
    photographs = rng.integers(100, 3000, 3000)
    held = 0
    for _ in range(20):
        clustered = rng.poisson(rng.gamma(1 / 8, 8, 3000) * 1e-4 * photographs)
        fitted = OwnerRates.of(clustered, photographs)
        held += fitted.interval.low <= 8 <= fitted.interval.high
        assert fitted.rate == pytest.approx(1e-4, rel=0.5)
    assert held >= 17


def test_independent_owners_need_no_dispersion() -> None:
    rng = np.random.default_rng(1)
    photographs = rng.integers(1000, 3000, 2000)
    fitted = OwnerRates.of(rng.poisson(1e-3 * photographs), photographs)
    assert fitted.dispersion < 0.1
    assert fitted.interval.low == 0
    assert fitted.at_least(8, 1000) == pytest.approx(at_least(8, fitted.rate * 1000, fitted.dispersion))


def test_without_a_single_match_the_rate_is_none_and_the_dispersion_open() -> None:
    fitted = OwnerRates.of([0, 0, 0], [10, 10, 10])
    assert (fitted.rate, fitted.interval.low) == (0, 0)
    assert fitted.interval.high > 1e5


def test_a_large_part_of_a_list_is_another_matter_than_one_match() -> None:
    one, twelve = (share_of_list(k, 40, 2000, 1e-6) for k in (1, 12))
    assert one == pytest.approx(1 - np.exp(-0.08), rel=0.01)
    assert twelve < 1e-20
    assert share_of_list(0, 40, 2000, 1e-6) == 1
    assert share_of_list(40, 40, 2000, 1.0) > 0.4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: at_least(-1, 1), "must be finite and not negative"),
        (lambda: at_least(1, float("nan")), "must be finite and not negative"),
        (lambda: smallest_k(0, 1), "not between 0 and 1"),
        (lambda: smallest_k(1e-9, 1e7), "over a million"),
        (lambda: OwnerRates.of([1], [1]), "two owners or more"),
        (lambda: OwnerRates.of([1, -1], [1, 1]), "every owner needs photographs"),
        (lambda: OwnerRates.of([1, 1], [1, 0]), "every owner needs photographs"),
        (lambda: share_of_list(3, 2, 10, 0.1), "is no share"),
    ],
)
def test_numbers_that_are_none_are_refused(call: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()  # type: ignore[operator]
