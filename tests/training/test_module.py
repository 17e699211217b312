"""Laws of a training step's parts."""

from __future__ import annotations

import itertools
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

from simsearch.images.preprocess import Preprocessing
from simsearch.training.config import config_of
from simsearch.training.module import Finetuning, Material, schedule
from tests.training.test_network import network


@pytest.mark.parametrize("warm_up", [0.03, 0.1, 0.5])
def test_the_rate_warms_up_and_ends_at_zero(warm_up: float) -> None:
    rates = [schedule(share, warm_up) for share in np.linspace(0, 1, 101)]
    top = round(100 * warm_up)
    assert max(rates) == pytest.approx(1.0)
    assert rates[top] == max(rates)
    assert rates[-1] == pytest.approx(0.0)
    assert all(a < b for a, b in itertools.pairwise(rates[1 : top + 1]))
    assert all(a >= b for a, b in itertools.pairwise(rates[top:]))


@pytest.mark.parametrize("cool_down", [0.0, 0.2, 0.9])
def test_the_rate_stays_until_it_cools_down(cool_down: float) -> None:
    shares = np.linspace(0, 1, 101)
    rates = [schedule(share, 0.1, cool_down) for share in shares]
    assert all(rate == 1 for share, rate in zip(shares, rates, strict=True) if 0.1 <= share <= 1 - cool_down - 1e-9)
    last = [rate for share, rate in zip(shares, rates, strict=True) if share >= max(0.1, 1 - cool_down)]
    assert not cool_down or np.allclose(np.diff(last), -0.01 / cool_down)
    assert rates[-1] == (0 if cool_down else 1)


@pytest.mark.parametrize("both", [True, False])
def test_a_view_that_is_not_trained_stays_while_the_network_moves(both: bool) -> None:
    """Rows of earlier batches are compared with later ones: by the moving network they would mean something else."""
    loss = {"both": both, "similarity": "js"}
    values = {"images": "photos", "steps": 5, "views": {"hard": {"edits": [{"edit": "chain_2"}]}}}
    module = Finetuning(
        config_of({**values, "loss": loss, "ema": 0.9}),
        Material(*cast(Any, (None, None, None)), Preprocessing(32, "squash", 32, "bilinear", (0,) * 3, (1,) * 3), 0),
        network=network(),
        head=nn.Identity(),
        similarity="js",
    )
    module.network.train()
    torch.manual_seed(1)
    inputs = [torch.rand(4, 3, 32, 32), torch.rand(4, 3, 32, 32)]
    before = module._parts(inputs)
    with torch.no_grad():
        for parameter in module.network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    after = module._parts(inputs)
    assert torch.equal(before[0], after[0]) == (not both)
    assert not torch.equal(before[1], after[1])
    assert before[0].requires_grad == both
    assert after[1].requires_grad
    assert module.network.training
