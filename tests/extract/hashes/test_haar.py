"""The Haar signature: the paper's own words, slowly, against the row and its l1 distance."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image

from simsearch import distance
from simsearch.extract.hashes.haar import WEIGHTS, YIQ, Haar
from tests.images.pictures import scene

PARAMETERS = ({}, {"side": 16, "count": 60, "weights": "painted"}, {"side": 64, "count": 3})


def decompose_array(a):
    """The paper's pseudocode, one array."""
    h = len(a)
    a = [x / np.sqrt(h) for x in a]
    while h > 1:
        h //= 2
        averages = [(a[2 * i] + a[2 * i + 1]) / np.sqrt(2) for i in range(h)]
        details = [(a[2 * i] - a[2 * i + 1]) / np.sqrt(2) for i in range(h)]
        a[: 2 * h] = averages + details
    return a


def decompose_image(t):
    """The paper's standard decomposition: every row to the end, then every column."""
    rows = np.array([decompose_array(list(row)) for row in t])
    return np.array([decompose_array(list(column)) for column in rows.T]).T


def signature(image, side, count):
    """Means (3,) and for each channel a dictionary from (row, column) to sign."""
    pixels = np.asarray(image.resize((side, side), Image.Resampling.LANCZOS), float) / 255
    means, signs = [], []
    for weights in YIQ:
        t = decompose_image(pixels @ np.array(weights))
        means.append(t[0, 0])
        others = [place for place in itertools.product(range(side), repeat=2) if place != (0, 0)]
        largest = sorted(others, key=lambda place: -abs(t[place]))[:count]
        signs.append({place: int(np.sign(t[place])) for place in largest if abs(t[place]) > 1e-9})
    return means, signs


def score(query, target, weights):
    """The paper's image querying metric: lower is more similar."""
    total = 0.0
    for c in range(3):
        total += weights[c][0] * abs(query[0][c] - target[0][c])
        for place, sign in query[1][c].items():
            if target[1][c].get(place) == sign:
                total -= weights[c][min(max(place), 5)]
    return total


@pytest.fixture(scope="module")
def pictures():
    grey = scene(90, 60, seed=7).convert("L").convert("RGB")
    first = scene(64, 64, seed=1)
    darker = first.point(lambda level: level // 2)
    return [first, scene(70, 50, seed=2), darker, grey, Image.new("RGB", (30, 20), "olive")]


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_l1_is_the_papers_score_but_for_ballast_that_is_shared(parameters, pictures):
    extractor = Haar(**parameters)
    rows = extractor.rows(pictures).astype(float)
    weights = WEIGHTS[extractor.weights]
    signatures = [signature(picture, extractor.side, extractor.count) for picture in pictures]
    own = np.array([-score(s, s, weights) for s in signatures])
    n_coefficients = 3 * extractor.side**2
    heaviest = sum(
        sum(sorted([weights[c][min(max(p), 5)] for p in places(extractor.side)], reverse=True)[: extractor.count])
        for c in range(3)
    )
    measured = distance.l1(rows, rows)
    for q, t in itertools.product(range(len(rows)), repeat=2):
        shared = ((rows[q, n_coefficients:] != 0) & (rows[t, n_coefficients:] != 0)).sum()
        expected = (
            heaviest + score(signatures[q], signatures[t], weights) - shared / 8 * (heaviest - max(own[q], own[t]))
        )
        assert measured[q, t] == pytest.approx(expected, abs=2e-5)
        assert q != t or (shared == 8 or own[q] == pytest.approx(heaviest))


def places(side):
    return [place for place in itertools.product(range(side), repeat=2) if place != (0, 0)]


def test_strangers_seldom_share_ballast():
    extractor = Haar()
    ballast = extractor.rows([scene(40, 40, seed=seed) for seed in range(60)])[:, 3 * 32**2 :] != 0
    assert (ballast.sum(axis=1) == 8).all()
    shared = (ballast.astype(int) @ ballast.T)[np.triu_indices(60, 1)]
    assert 0.03 < (shared > 0).mean() < 0.1  # 1 in 16 is 0.0625
    assert shared.max() <= 3


def test_the_weights_are_the_papers():
    assert [round(sum(column), 2) for column in zip(*WEIGHTS["scanned"], strict=True)] == [
        58.58, 2.45, 1.90, 1.19, 0.93, 0.71
    ]  # fmt: skip
    assert WEIGHTS["painted"][0] == (4.04, 0.78, 0.46, 0.42, 0.41, 0.32)


def test_a_grey_picture_keeps_no_colour():
    (row,) = Haar().rows([scene(50, 50).convert("L").convert("RGB")])
    assert (row[: 32**2] != 0).sum() == 41
    assert np.abs(row[32**2 : 3 * 32**2]).max() < 1e-9
