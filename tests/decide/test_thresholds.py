"""Tables of thresholds: bounds that hold for all lines at once, refused where the sample is too small."""

from __future__ import annotations

import numpy as np
import pytest

from simsearch.decide.calibration import Calibration
from simsearch.decide.rate_curve import RateCurve
from simsearch.decide.thresholds import EXPECTED, recall_within, steps, threshold_for_precision
from simsearch.errors import InputError

RNG = np.random.default_rng(0)
CODES = Calibration("f", "hamming", RateCurve.of(-RNG.binomial(64, 0.5, 200_000) / 64), None, "library", "items", 700)
ROWS = Calibration("f", "js", RateCurve.of(-RNG.beta(8, 2, 200_000)), None, "library", "items", 700)


def test_one_bit_is_one_step() -> None:
    table = steps(CODES, 1000, bits=64)
    distances = [step.distance for step in table]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] == 0
    np.testing.assert_allclose(np.diff(distances), -1 / 64)
    assert table[0].expected.value <= 10


def test_steps_fall_with_what_is_expected_down_to_what_can_be_said() -> None:
    table = steps(ROWS, 100, load=5000)
    numbers = [step.expected.value for step in table]
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[0] <= EXPECTED[0] * 1.001
    assert len(table) == sum(each >= 3 / 200_000 * 100 for each in EXPECTED)
    for step in table:
        assert step.reviews == pytest.approx(5000 * step.expected.value)
        assert step.recall is None


def test_bounds_of_a_table_are_wider_than_those_of_one_line() -> None:
    for step in steps(ROWS, 1000):
        (alone,) = ROWS.expected([step.distance], 1000)
        assert step.expected.low <= alone.low
        assert step.expected.high >= alone.high


def test_recall_counts_photographs_not_edits() -> None:
    few, many = np.full((20, 1), 0.1), np.full((20, 50), 0.1)
    assert recall_within(few, 0.2) == recall_within(many, 0.2)
    assert steps(ROWS, 1000, copies=[0.1, 0.9])[-1].recall == recall_within(
        [0.1, 0.9], 0.2, 1 - 0.05 / len(steps(ROWS, 1000))
    )
    with pytest.raises(InputError, match="recall needs distances"):
        recall_within([], 0.2)
    with pytest.raises(InputError, match="chances"):
        steps(ROWS, 0)


def test_a_precision_is_reached_at_the_threshold_as_often_as_is_said() -> None:
    """The largest distance is picked after looking, and the precision there is still the wanted one."""
    rng, kept, refused = np.random.default_rng(1), 0, 0
    for _ in range(200):
        distances = rng.random(2000)
        copies = rng.random(2000) > distances**2
        try:
            at = threshold_for_precision(distances, copies, 0.9)
        except InputError:
            refused += 1
            continue
        kept += 1 - at**2 / 3 >= 0.9  # of all matches within it
    assert refused < 20
    assert kept >= 0.95 * (200 - refused) - 10


def test_too_few_verdicts_are_refused_with_how_many_it_takes() -> None:
    with pytest.raises(
        InputError, match=r"20 judged matches do not show a precision of 0.99 .* it takes \d+ near ones"
    ):
        threshold_for_precision(np.linspace(0, 0.2, 20), [True] * 20, 0.99)
    many = 800
    assert threshold_for_precision(np.linspace(0, 0.2, many), [True] * many, 0.99) == pytest.approx(0.2)
    with pytest.raises(InputError, match="must be of the same judged matches"):
        threshold_for_precision([0.1], [True, False], 0.9)
    with pytest.raises(InputError, match="not between 0 and 1"):
        threshold_for_precision([0.1], [True], 1)
