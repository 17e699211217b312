"""Laws of selection: the same scores as a full sort, whatever the width, the ties and the infinities."""

from __future__ import annotations

import doctest

import pytest
import torch

from simsearch.search.scan import top_k
from simsearch.search.scan.top_k import lowest


@pytest.mark.parametrize("n", [1, 63, 64, 65, 1000, 6400, 6401])
@pytest.mark.parametrize("count", [1, 7, 42])
@pytest.mark.parametrize("levels", [3, 10**6])
def test_the_lowest_scores_are_those_of_a_sort(n, count, levels):
    scores = torch.randint(levels, (5, n), generator=torch.Generator().manual_seed(n + count)).float()
    scores[:, ::3] = torch.inf
    low, columns = lowest(scores, count)
    torch.testing.assert_close(low.sort(dim=1).values, scores.sort(dim=1).values[:, :count], rtol=0, atol=0)
    torch.testing.assert_close(scores.gather(1, columns), low, rtol=0, atol=0)
    assert all(len(set(line)) == min(count, n) for line in columns.tolist())


@pytest.mark.parametrize("n", [64, 1000, 6401, 20_000])
@pytest.mark.parametrize("levels", [3, 1000, 10**6])
def test_nothing_below_a_ceiling_is_left_out(n, levels):
    scores = torch.randint(levels, (5, n), generator=torch.Generator().manual_seed(n)).float()
    ceiling = torch.tensor([-1.0, 0, levels / 1000, levels / 4, torch.inf])
    low, columns = lowest(scores, 42, ceiling)
    torch.testing.assert_close(scores.gather(1, columns), low, rtol=0, atol=0)
    for line, most, found in zip(scores, ceiling, low.sort(dim=1).values, strict=True):
        expected = line[line <= most].sort().values[:42]
        torch.testing.assert_close(found[: len(expected)], expected, rtol=0, atol=0)


def test_the_example_holds():
    assert doctest.testmod(top_k).failed == 0
