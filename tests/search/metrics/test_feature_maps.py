"""Laws of the scores of js: never above the divergence, never farther from exact than stated, in either precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from simsearch import distance
from simsearch.search.metrics.base import UNIT, minus_product
from simsearch.search.metrics.feature_maps import FOUR, HELLINGER, TWO, Mapped

MAPS = {"hellinger": HELLINGER, "two": TWO, "four": FOUR}


def rows_like(rng, n, d, kind):
    """Sparse rows, near-copies of each other, of the stored types; or rows that all but leave the range of a type."""
    rows = rng.gamma(0.3, size=(n, d)) * (rng.random((n, d)) > 0.2) + 0.01 * (np.arange(d) == 0)
    rows[1::2] = rows[::2] * rng.uniform(0.99, 1.01, rows[::2].shape)
    return {
        "float16": lambda: rows.astype(np.float16),
        "float32": lambda: rows.astype(np.float32),
        "float64": lambda: rows * 1e200,
        "uint8": lambda: np.clip(rows * 50, 0, 255).astype(np.uint8) + (np.arange(d) == 0).astype(np.uint8),
        "huge": lambda: (rows / rows.max() * 3e38).astype(np.float32),
        "tiny": lambda: (rows * 1e-38).astype(np.float32),
        "steep": lambda: (rows ** rng.integers(1, 9, d)).astype(np.float32) + np.float32(1e-12) * (np.arange(d) == 0),
    }[kind]()


def exact_scores(feature_map, a, b):
    def features(rows):
        p = np.asarray(rows, np.float64)
        p = p / p.max(axis=1, keepdims=True)
        roots = np.sqrt(p / p.sum(axis=1, keepdims=True))
        return torch.cat(list(feature_map.parts(torch.from_numpy(roots))), dim=1).numpy()

    return -features(a) @ features(b).T


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "uint8", "huge", "tiny", "steep"])
@pytest.mark.parametrize("d", [2, 33, 512])
def test_scores_are_as_near_to_exact_as_stated_and_below_the_divergence(rng, half, name, kind, d):
    a, b = rows_like(rng, 8, d, kind), rows_like(rng, 60, d, kind)
    b[:4] = a[:4]
    score = Mapped(MAPS[name], half=half)
    prepared = [score.prepare(torch.from_numpy(rows)) for rows in (a, b)]
    found = score.between(*prepared).double().numpy()
    error = score.error(d, (0.0, 0.0))
    assert not score.suspects(torch.from_numpy(b), prepared[1]).any()
    assert np.abs(found - score.scale * exact_scores(score.map, a, b)).max() <= error
    assert (found <= score.of(distance.js(a, b)) + error).all()
    assert error / score.scale < (2e-3 if half else 2e-4)


@pytest.mark.parametrize("half", [False, True])
def test_rows_without_distances_are_suspects(half):
    rows = torch.tensor([[1.0, 0], [0, 0], [2, -1], [torch.nan, 1], [torch.inf, 1], [0, 3]])
    score = Mapped(FOUR, half=half)
    assert score.suspects(rows, score.prepare(rows)).tolist() == [False, True, True, True, True, False]


def test_a_score_says_how_near_a_row_can_be(rng):
    a, b = rows_like(rng, 6, 40, "float32"), rows_like(rng, 50, 40, "float32")
    exact = distance.js(a, b) ** 2 * math.log(2)
    for feature_map in MAPS.values():
        squared = 2 * feature_map.weight + 2 * exact_scores(feature_map, a, b)
        assert (squared <= exact + 1e-12).all()
        assert (exact <= feature_map.looseness * squared + 1e-12).all()


def hard_rows(rng, d):
    """Pairs of float16 rows whose products lose most when summed: by one large term, and by large ones that cancel."""
    a, b = rng.standard_normal((2, 32, d))
    large = np.full((32, d), 2.0**-12)
    large[np.arange(32), rng.integers(0, d, 32)] = 1
    cancels = np.where(np.arange(d) % 8 < 2, 256.0 * (1 - 2 * (np.arange(d) % 2)), 2.0**-6 * a)
    yield from ((a, b), (np.abs(a), np.abs(b)), (large, large), (large, 2.0**-12 * np.sign(b)))
    yield cancels, np.where(np.arange(d) % 8 < 2, 256.0, 2.0**-6 * b)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("d", [7, 64, 512, 2048])
def test_a_product_of_half_precision_is_within_its_margin(rng, device, d):
    """Tensor cores cut where a CPU rounds: the error of n terms is allowed n times 2 u of the sum of their sizes."""
    for pair in hard_rows(rng, d):
        a, b = (torch.from_numpy(each.astype(np.float16)).to(device) for each in pair)
        exact, sizes = -a.double() @ b.double().T, a.double().abs() @ b.double().abs().T
        found = minus_product(a, b)
        assert found.dtype == torch.float32
        assert ((found.double() - exact).abs() <= (d + 1) * 2 * UNIT * sizes).all()
