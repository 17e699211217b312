"""Random searches and lives of libraries: a few each time, 20,000 where there is time."""

from __future__ import annotations

import pytest

from tests.library import fuzzing as lives
from tests.search import fuzzing as searches


@pytest.mark.parametrize("start", range(0, 240, 40))
def test_random_searches_are_right(start):
    wrong = [told for seed in range(start, start + 40) if (told := searches.run(seed)[1]) is not None]
    assert not wrong, wrong[0]


@pytest.mark.parametrize("start", range(0, 16, 8))
def test_random_lives_of_libraries_are_right(start):
    kinds, told = zip(*map(lives.run, range(start, start + 8)), strict=True)
    wrong = [one for one in told if one is not None]
    assert not wrong, wrong[0]
    assert any(kind.endswith("by index") for kind in kinds)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1000, 20_000, 1000))
def test_many_random_searches_are_right(start):
    wrong = [told for seed in range(start, start + 1000) if (told := searches.run(seed)[1]) is not None]
    assert not wrong, wrong[0]


@pytest.mark.slow
@pytest.mark.parametrize("start", range(100, 1100, 100))
def test_many_random_lives_of_libraries_are_right(start):
    wrong = [told for seed in range(start, start + 100) if (told := lives.run(seed)[1]) is not None]
    assert not wrong, wrong[0]


def test_a_wrong_answer_is_told_with_its_seed(monkeypatch):
    monkeypatch.setattr("simsearch.search.arguments.SearchRequest.key", lambda self, distances: -distances)
    monkeypatch.setattr("simsearch.library.read.neighbours.rising", lambda snapshot, name, numbers: [])
    told = [searches.run(seed)[1] for seed in range(20, 40)]
    assert any(one is not None and one.startswith("python -m tests.search.fuzzing ") for one in told)
    assert (lives.run(0)[1] or "").startswith("python -m tests.library.fuzzing 0\n")
