"""Laws of a training step's parts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from simsearch.training.module import schedule


@pytest.mark.parametrize("warm_up", [0.03, 0.1, 0.5])
def test_the_rate_warms_up_and_ends_at_zero(warm_up: float) -> None:
    rates = [schedule(share, warm_up) for share in np.linspace(0, 1, 101)]
    top = round(100 * warm_up)
    assert max(rates) == pytest.approx(1.0)
    assert rates[top] == max(rates)
    assert rates[-1] == pytest.approx(0.0)
    assert all(a < b for a, b in itertools.pairwise(rates[1 : top + 1]))
    assert all(a >= b for a, b in itertools.pairwise(rates[top:]))


@pytest.mark.parametrize("cool_down", [0.0, 0.2, 0.9])
def test_the_rate_stays_until_it_cools_down(cool_down: float) -> None:
    shares = np.linspace(0, 1, 101)
    rates = [schedule(share, 0.1, cool_down) for share in shares]
    assert all(rate == 1 for share, rate in zip(shares, rates, strict=True) if 0.1 <= share <= 1 - cool_down - 1e-9)
    last = [rate for share, rate in zip(shares, rates, strict=True) if share >= max(0.1, 1 - cool_down)]
    assert not cool_down or np.allclose(np.diff(last), -0.01 / cool_down)
    assert rates[-1] == (0 if cool_down else 1)
