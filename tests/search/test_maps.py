"""The bounds D <= J <= c D of every map: proved on a grid with margins, and tried on random rows with zeros.

With x = ln(p / q) / 2 a coordinate's terms, over p + q, are j(x) = (x tanh x - ln cosh x) / 2 and
m(x) = sum_w w (1 - cos(2 l x) / cosh x), both even. The proof has three parts that overlap:

- near 0: x^2/4 - x^4/8 <= j <= x^2/4 (from j = 1/2 int_0^x t / cosh^2 t dt and
  1 - t^2 <= 1 / cosh^2 t <= 1), and m between its Taylor sums;
- far out: j = (ln 2 - r) / 2 with 0 <= r <= (2x + 1) e^-2x, and 1 / cosh x between e^-x and 2 e^-x;
- between: on a grid, where a function whose second derivative is at most M in size is above the smaller of the two
  neighbouring values less M step^2 / 8.
"""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from simsearch import distance
from simsearch.search.metrics import feature_maps
from simsearch.search.metrics.feature_maps import FOUR, HELLINGER, TWO, FeatureMap, Wave

MAPS = {"hellinger": HELLINGER, "two": TWO, "four": FOUR}
NEAR, FAR = 0.002, 14.0


def mapped(feature_map, p):
    return torch.cat(list(feature_map.parts(p.sqrt())), dim=1)


def divergence_term(x):
    """j(x), without cancellation: ln cosh x = log1p(2 sinh^2(x/2))."""
    return 0.5 * (x * np.tanh(x) - np.log1p(2 * np.sinh(x / 2) ** 2))


def map_term(feature_map, x):
    """m(x), without cancellation: 1 - cos y / cosh x = 2 (sinh^2(x/2) + sin^2(y/2)) / cosh x."""
    return sum(
        w.weight * 2 * (np.sinh(x / 2) ** 2 + np.sin(w.frequency * x) ** 2) / np.cosh(x) for w in feature_map.waves
    )


def holds_near_zero(m: FeatureMap, c: float) -> bool:
    """Both bounds for 0 < x <= NEAR; every expression is monotone in x, so that its value at NEAR decides."""
    x2 = NEAR**2
    # cos y >= 1 - y^2/2 and 1/cosh x >= 1 - x^2/2 give m <= x^2 sum w (1/2 + 2 l^2)
    lower = 1 / 4 - x2 / 8 >= sum(w.weight * (0.5 + 2 * w.frequency**2) for w in m.waves)
    # sinh^2(x/2) >= x^2/4 and sin^2 y >= y^2 - y^4/3
    least = sum(w.weight * (0.5 + 2 * w.frequency**2 - 2 / 3 * w.frequency**4 * x2) for w in m.waves)
    return lower and c * least * (1 - x2 / 2) >= 1 / 4


def holds_far_out(m: FeatureMap, c: float) -> bool:
    """Both bounds for x >= FAR, where e^-x only shrinks; a zero on one side is the limit."""
    small, rest = math.exp(-FAR), (2 * FAR + 1) * math.exp(-2 * FAR) / 2
    room = math.log(2) / 2 - m.weight
    slow = sum(w.weight for w in m.waves if not w.frequency)
    fast = m.weight - slow
    lower = room >= -1e-16 and (room - 2 * small * fast - rest >= 0 if fast else slow * small >= rest)
    return lower and c * m.weight * (1 - 2 * small) >= math.log(2) / 2


def holds_between(m: FeatureMap, c: float) -> bool:
    """Both bounds for NEAR <= x <= FAR. |j''| <= 1/2, and |(cos(2 l x) / cosh x)''| <= 4 l^2 + 2 l + 1."""
    bend = 0.5 + c * sum(w.weight * (4 * w.frequency**2 + 2 * w.frequency + 1) for w in m.waves)
    x = np.geomspace(NEAR, FAR, 150_000)
    j, d = divergence_term(x), map_term(m, x)
    margin = bend * np.diff(x) ** 2 / 8 + 1e-15
    return all((np.minimum(g[:-1], g[1:]) >= margin).all() for g in (j - d, c * d - j))


def holds(m: FeatureMap, c: float) -> bool:
    return holds_near_zero(m, c) and holds_between(m, c) and holds_far_out(m, c)


@pytest.mark.parametrize("name", MAPS)
def test_the_bounds_are_proved_for_every_ratio(name):
    assert holds(MAPS[name], MAPS[name].looseness)


@pytest.mark.parametrize("name", MAPS)
def test_the_proof_fails_for_bounds_that_are_a_little_tighter(name):
    m = MAPS[name]
    assert not holds(m, m.looseness * (1 - 1e-3))
    heavier = FeatureMap(tuple(Wave(w.frequency, w.weight * 1.02) for w in m.waves), m.looseness)
    assert not holds(heavier, heavier.looseness)


def test_the_terms_are_those_of_two_numbers():
    a, b = 0.3, 0.0007
    total = a + b
    x = math.log(a / b) / 2
    exact = 0.5 * (a * math.log(2 * a / total) + b * math.log(2 * b / total))
    assert divergence_term(x) * total == pytest.approx(exact, rel=1e-12)
    for m in MAPS.values():
        one, other = mapped(m, torch.tensor([[a], [b]], dtype=torch.float64))
        assert map_term(m, x) * total == pytest.approx(float((one - other).square().sum()), rel=1e-12)


ROWS = st.lists(st.one_of(st.just(0.0), st.floats(1e-12, 1e6)), min_size=6, max_size=6).filter(lambda row: sum(row) > 0)


@settings(max_examples=200, deadline=None)
@given(a=ROWS, b=ROWS)
def test_the_bounds_hold_on_rows_with_zeros(a, b):
    p, q = (np.array([row]) / np.sum(row) for row in (a, b))
    exact = float(distance.js(p, q)[0, 0]) ** 2 * math.log(2)
    for m in MAPS.values():
        one, other = mapped(m, torch.from_numpy(np.concatenate([p, q])))
        squared = float((one - other).square().sum())
        assert squared <= exact + 1e-13
        assert exact <= m.looseness * squared + 1e-13


@pytest.mark.parametrize("name", MAPS)
def test_every_mapped_distribution_has_the_same_length(rng, name):
    p = torch.from_numpy(rng.dirichlet(np.full(40, 0.2), 50))
    p[:, 3] = 0
    p /= p.sum(1, keepdim=True)
    m = MAPS[name]
    rows = mapped(m, p)
    assert rows.shape == (50, m.features * 40)
    torch.testing.assert_close(rows.square().sum(1), torch.full((50,), m.weight, dtype=torch.float64))
    assert not rows[:, 3::40].any()


def test_the_example_holds():
    assert doctest.testmod(feature_maps).failed == 0
