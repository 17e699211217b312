"""Whatever byte or value of a library is wrong: no crash, no traceback, no hang, and `verify --deep` names it."""

from __future__ import annotations

import pytest

from tests.library.mutant_run import run


def unharmed(count: int, seed: int) -> None:
    done = run(count, seed=seed)
    assert len(done) == count
    assert [one for one in done if one["wrong"]] == []
    assert sum(one["noticed"] != "none" for one in done) > count / 2, "the mutants change something"


def test_mutants_are_told() -> None:
    unharmed(120, seed=3)


@pytest.mark.slow
def test_three_thousand_mutants_are_told() -> None:
    unharmed(3000, seed=4)
