"""Rows that are made from a seed are the same however they are read, and hold the copies where it is said."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import generated_rows
from generated_rows import Generated, K, nearest, spectrum

COUNT, D = 700, 12


@pytest.fixture(scope="module")
def made() -> Generated:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generated_rows, "BLOCK", 128)
        return Generated(COUNT, D, torch.device("cpu"), queries=5)


@pytest.fixture(autouse=True)
def blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generated_rows, "BLOCK", 128)


@given(data=st.data())
def test_any_part_is_part_of_the_whole(data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generated_rows, "BLOCK", 128)
        rows = Generated(COUNT, D, torch.device("cpu"), queries=5)
        whole = rows[:COUNT]
        start, end = sorted(data.draw(st.tuples(st.integers(0, COUNT), st.integers(0, COUNT))))
        assert np.array_equal(rows[start:end], whole[start:end])
        chosen = np.array(data.draw(st.lists(st.integers(0, COUNT - 1), min_size=1, max_size=40)))
        assert np.array_equal(rows[chosen], whole[chosen])


def test_the_nearest_are_the_nearest(made: Generated) -> None:
    whole = made[:COUNT].astype(np.float64)
    gaps = np.linalg.norm(made.asked[:, None] - whole[None], axis=2)
    assert np.array_equal(np.sort(nearest(made, K)), np.sort(np.argsort(gaps, axis=1)[:, :K]))
    near = np.take_along_axis(gaps, made.planted, 1)
    assert (near < np.median(gaps)).all()
    assert len(np.unique(made.planted)) == made.planted.size


def test_rows_have_full_rank(made: Generated) -> None:
    told = spectrum(made[:COUNT])
    assert np.linalg.matrix_rank(made[:COUNT]) == D
    assert told["last"] > 0.01
    assert told["effective_directions"] > D / 2
