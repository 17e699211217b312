"""A pass of look-alikes: each picture once, groups nearer to each other than by chance, others in the next pass."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from simsearch.training.data.images import pictures_of
from simsearch.training.data.look_alikes import compositions, order_by_likeness


def rows(count: int, seed: int) -> NDArray[np.float32]:
    found = np.random.default_rng(seed).normal(size=(count, 64)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@given(count=st.integers(0, 70), size=st.integers(1, 9), seed=st.integers(0, 99))
def test_each_row_is_there_once_also_of_twins(count: int, size: int, seed: int) -> None:
    for some in (rows(count, seed), np.zeros((count, 64), np.float32)):
        order = order_by_likeness(some, size, np.random.default_rng(seed))
        assert sorted(order.tolist()) == list(range(count))


def test_those_of_a_group_are_alike_and_groups_are_others_each_time() -> None:
    some = rows(1003, 1)
    orders = [order_by_likeness(some, 8, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert np.array_equal(orders[0], orders[1])
    for order in orders:
        groups = some[order[:1000].reshape(-1, 8)]
        likeness = np.einsum("gid,gjd->gij", groups, groups)[:, ~np.eye(8, dtype=bool)].mean()
        assert likeness > 0.05, "by chance 0; 64 values of chance have no clusters"
    groups = [{frozenset(group) for group in order[:1000].reshape(-1, 8).tolist()} for order in orders[1:]]
    assert len(groups[0] & groups[1]) < 5


def test_clusters_are_found() -> None:
    centres = rows(16, 3)
    some = centres[np.arange(160) % 16] + 0.02 * rows(160, 4)
    order = order_by_likeness(some, 10, np.random.default_rng(0))
    same = (order.reshape(16, 10) % 16 == (order.reshape(16, 10) % 16)[:, :1]).mean()
    assert same > 0.6, "by chance 0.16"


def test_a_composition_is_where_it_is_light_whatever_the_contrast() -> None:
    left = np.zeros((40, 60, 3), np.uint8)
    left[:, :30] = 250
    faint = (left // 5 + 90).astype(np.uint8)
    found = compositions(pictures_of([Image.fromarray(x) for x in (left, faint, 255 - left, left * 0)], list("abcd")))
    assert found[0] @ found[1] == pytest.approx(1, abs=0.01)
    assert found[0] @ found[2] == pytest.approx(-1, abs=0.01)
    assert not found[3].any()
