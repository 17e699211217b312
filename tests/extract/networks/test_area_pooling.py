"""Laws of means over areas."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from simsearch.extract.networks.area_pooling import area_means

SIDES = st.integers(1, 60)


@settings(deadline=None)  # the first call loads a library
@given(st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES), st.integers(1, 4), st.booleans())
def test_they_are_those_of_adaptive_pooling(
    sides: tuple[int, int], size: tuple[int, int], channels: int, last: bool
) -> None:
    x = torch.randn(2, channels, *sides)
    x = x.to(memory_format=torch.channels_last) if last else x
    torch.testing.assert_close(area_means(x, size), F.adaptive_avg_pool2d(x, size))


@pytest.mark.parametrize(("length", "size"), [(200, 80), (126, 80), (224, 96), (100, 31)])
def test_a_flat_picture_keeps_its_levels_in_half_precision(length: int, size: int) -> None:
    levels = torch.tensor([-124.0, 131.0, 3.0], dtype=torch.bfloat16).view(1, 3, 1, 1)
    assert (area_means(levels.expand(1, 3, length, length), (size, size)) == levels).all()


def test_autocast_leaves_them_as_exact_as_they_were() -> None:
    x = torch.randn(1, 3, 50, 50)
    with torch.autocast("cpu", torch.bfloat16):
        means = area_means(x, (20, 20))
    torch.testing.assert_close(means, F.adaptive_avg_pool2d(x, (20, 20)))


def test_gradients_pass_after_use_in_inference() -> None:
    x = torch.randn(1, 3, 10, 10, requires_grad=True)
    with torch.inference_mode():
        area_means(x, (4, 4))
    area_means(x, (4, 4)).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad.sum(), torch.tensor(48.0))


def test_parts_of_a_tensor_are_read_where_they_lie() -> None:
    x = torch.randn(2, 3, 40, 40).to(memory_format=torch.channels_last)[:, :, 5:35, 2:38]
    torch.testing.assert_close(area_means(x, (20, 24)), F.adaptive_avg_pool2d(x, (20, 24)))
