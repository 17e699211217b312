"""Counted pairs of strangers: each once, none of one source or of one photograph, copies apart."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simsearch.decide.calibration import NEAREST
from simsearch.distance import by_name
from simsearch.errors import InputError
from simsearch.library.calibration.comparison import Comparison, Group, Rule
from simsearch.library.calibration.count import count, look_like_strangers

RNG = np.random.default_rng(0)


def rows(n: int, seed: int = 0) -> np.ndarray:
    """Points near a plane, so that distances vary."""
    rng = np.random.default_rng(seed)
    return (rng.random((n, 3)) @ rng.random((3, 16)) + 0.05 * rng.random((n, 16))).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(-1, 2), min_size=3, max_size=9), st.lists(st.booleans(), min_size=9, max_size=9),
    st.lists(st.integers(0, 8), min_size=1, max_size=12), st.booleans(),
)  # fmt: skip
def test_pairs_are_those_of_a_double_loop(
    sources: list[int], held_plain: list[bool], asked: list[int], one_set: bool
) -> None:
    """Photographs as they are and edits of them, against some of the photographs as they are."""
    n = len(sources)
    photographs, numbers = rows(n), np.arange(n)
    places = numbers[np.array(held_plain[:n])]
    if not len(places):
        places = numbers
    held = Group.of(photographs[places], images=places, sources=np.array(sources)[places])
    images = np.array(asked) % n
    plain = np.zeros(len(images), bool)
    plain[np.unique(images, return_index=True)[1]] = True  # the first of each photograph; the others are edits
    queries = photographs[images] + np.where(plain, 0, 0.1)[:, None].astype(np.float32)
    group = Group(queries, images, np.array(sources)[images], plain, np.full(len(images), -1))
    wanted = set()
    for a, b in itertools.product(range(len(images)), range(len(places))):
        same = sources[images[a]] == sources[places[b]] >= 0
        if same or (one_set and images[a] == places[b]):
            continue
        pair = (int(images[a]), int(places[b]))
        wanted.add(("plain", *sorted(pair)) if one_set and plain[a] else ("row", a, b))
    compared = Comparison(group, held, Rule("l1", one_set=one_set))
    assert compared.total == len(wanted)
    near = compared.near(1.0, np.random.default_rng(0))
    assert near.total == len(wanted)
    found = [
        ("plain", *sorted((int(images[a]), int(places[b])))) if one_set and plain[a] else ("row", int(a), int(b))
        for a, b in zip(near.left, near.right, strict=True)
    ]
    assert sorted(found) == sorted(wanted)


def test_rates_are_the_shares_of_a_matrix() -> None:
    sources = np.repeat(np.arange(3), 60)
    photographs = rows(180)
    group = Group.of(photographs, sources=sources)
    found = count(group, group, Rule("cosine", one_set=True))
    matrix = by_name("cosine")(photographs, photographs)
    apart = np.triu(sources[:, None] != sources[None], 1)
    assert found.curve.total == apart.sum()
    levels = list(zip(found.curve.pairs, found.curve.strengths, strict=True))[1:]  # the radius may cut the weakest
    assert len(levels) > 30
    for pairs, strength in levels:
        assert (matrix[apart] <= -strength).sum() == pytest.approx(pairs, abs=1)


@pytest.mark.parametrize("metric", ["cosine", "hamming"])
def test_normalised_rates_are_the_shares_of_a_matrix(metric: str) -> None:
    """Distances less each row's mean to its nearest background rows of other sources."""
    sources, of_background = np.repeat(np.arange(3), 60), np.arange(90) % 4
    photographs, strange = rows(180), rows(90, seed=7)
    if metric == "hamming":
        photographs, strange = (RNG.integers(0, 256, (n, 4), np.uint8) for n in (180, 90))
    group, background = Group.of(photographs, sources=sources), Group.of(strange, sources=of_background)
    rule = Rule(metric, bits=32 if metric == "hamming" else None, one_set=True)
    found = count(group, group, rule, background=background)
    matrix, to_background = (by_name(metric)(photographs, others) for others in (photographs, strange))
    to_background[sources[:, None] == of_background[None]] = np.inf
    means = np.sort(to_background, axis=1)[:, :NEAREST].mean(axis=1)
    less = (matrix - means[:, None])[np.triu(sources[:, None] != sources[None], 1)]
    assert found.normalised is not None
    assert found.normalised.total == len(less)
    assert len(found.normalised.pairs) > 5
    for pairs, strength in zip(found.normalised.pairs, found.normalised.strengths, strict=True):
        assert (less <= -strength + 1e-6).sum() == pytest.approx(pairs, abs=5)
    assert found.normalised.pairs[0] == (less <= 1e-9).sum()


def test_bits_are_counted_by_hamming() -> None:
    codes = RNG.integers(0, 256, (150, 2), np.uint8)
    group = Group.of(codes)
    found = count(group, group, Rule("hamming", bits=16, one_set=True))
    assert found.curve.total == 150 * 149 // 2
    assert set(np.round(-found.curve.strengths * 16, 3)) <= set(range(17))


def test_copies_among_strangers_stand_out_and_are_not_counted() -> None:
    photographs = RNG.random((400, 16)).astype(np.float32)
    copies = photographs[:12] + 1e-4
    group = Group.of(np.concatenate([photographs, copies]))
    found = count(group, group, Rule("l2", one_set=True))
    pairs = zip(found.copies.left.tolist(), found.copies.right.tolist(), strict=True)
    assert {tuple(sorted(pair)) for pair in pairs} == {(i, 400 + i) for i in range(12)}
    assert found.curve.total == 412 * 411 // 2 - 12


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_strangers_alone_have_hardly_any_copies(seed: int) -> None:
    rng = np.random.default_rng(seed)
    distances = np.sort(1 - rng.exponential(0.1, 5000))
    assert (~look_like_strangers(distances)).sum() <= 1


def test_too_few_pairs_are_refused_with_what_to_give() -> None:
    group = Group.of(rows(20), sources=np.zeros(20, np.int64))
    with pytest.raises(InputError, match="too few for a rate; give photographs of at least two folders"):
        count(group, group, Rule("js", one_set=True))


def test_a_sample_of_many_pairs_joins_the_nearest_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    from simsearch.library.calibration import count as module

    asked, held = Group.of(rows(100, 1)), Group.of(rows(900, 2))
    background = Group.of(rows(900, 2)[:50] + np.float32(0.01))
    whole = count(asked, held, Rule("cosine"), background=background)
    monkeypatch.setattr(module, "COMPARED", 30_000)
    monkeypatch.setattr(module, "_NEAREST", 300)
    joined = count(asked, held, Rule("cosine"), background=background)
    assert joined.curve.total == whole.curve.total == 90_000
    near = whole.curve.strengths[whole.curve.pairs <= 250]
    np.testing.assert_allclose(joined.curve.rate(near), whole.curve.rate(near), rtol=0.2)
    weaker = whole.curve.strengths[whole.curve.pairs > 900]
    np.testing.assert_allclose(joined.curve.rate(weaker), whole.curve.rate(weaker), rtol=0.5)
    assert whole.normalised is not None
    assert joined.normalised is not None
    assert joined.normalised.total == 90_000
    near = whole.normalised.strengths[whole.normalised.pairs <= 150]
    np.testing.assert_allclose(joined.normalised.rate(near), whole.normalised.rate(near), rtol=0.2)
