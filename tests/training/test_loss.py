"""The loss against a slow, obvious oracle."""

from __future__ import annotations

import math

import numpy as np
import torch

from simsearch.training.loss import koleo, nt_xent, root


def test_nt_xent_is_the_mean_of_minus_log_softmax_at_the_partner() -> None:
    torch.manual_seed(0)
    a, b = (torch.nn.functional.normalize(torch.randn(5, 7), dim=1) for _ in range(2))
    both = torch.cat([a, b]).double().numpy()
    terms = []
    for i in range(10):
        similarity = {j: float(both[i] @ both[j]) / 0.1 for j in range(10) if j != i}
        terms.append(-similarity[(i + 5) % 10] + math.log(sum(math.exp(s) for s in similarity.values())))
    assert abs(float(nt_xent(a, b, temperature=0.1)) - np.mean(terms)) < 1e-5


def test_perfect_pairs_cost_less_than_shuffled_ones() -> None:
    a = torch.eye(6)
    assert float(nt_xent(a, a, temperature=0.05)) < 1e-6
    assert float(nt_xent(a, a.roll(1, 0), temperature=0.05)) > 10


def test_root_gives_the_bhattacharyya_coefficient() -> None:
    p, q = np.array([0.1, 0.2, 0.7, 0.0]), np.array([0.4, 0.1, 0.2, 0.3])
    z = root(torch.tensor(np.stack([10 * p, 3 * q]), dtype=torch.float32))
    assert abs(float(z[0] @ z[1]) - np.sqrt(p * q).sum()) < 1e-3
    torch.testing.assert_close(z.norm(dim=1), torch.ones(2))


def test_the_gradient_of_the_root_is_finite_at_zero() -> None:
    rows = torch.tensor([[0.0, 1.0, 2.0], [0.0, 0.0, 0.0]], requires_grad=True)
    root(rows).sum().backward()
    assert rows.grad is not None
    assert torch.isfinite(rows.grad).all()


def test_koleo_rewards_spread() -> None:
    near = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.01], [0.0, 1.0], [0.01, 1.0]]), dim=1)
    far = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert float(koleo(far)) < float(koleo(near))
    expected = -math.log(math.sqrt(2) + 1e-6)
    assert abs(float(koleo(far)) - expected) < 1e-5
