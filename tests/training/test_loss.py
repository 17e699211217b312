"""The loss against a slow, obvious oracle."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from simsearch.distance import by_name
from simsearch.training.loss import (
    Keys,
    blended_contrast,
    contrast,
    distillation,
    koleo,
    labelled,
    nt_xent,
    root,
    unit,
)


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


def units(n: int, d: int = 6, seed: int = 0) -> Tensor:
    return torch.nn.functional.normalize(torch.randn(n, d, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_contrast_counts_every_other_image_as_a_negative_and_no_other_view_of_its_own() -> None:
    anchors, keys = units(3), units(8, seed=1)
    images, shown = torch.tensor([4, 5, 4]), torch.tensor([4, 5, 6, 4, 5, 7, 6, 4])
    partners = torch.tensor([3, 1, 0])
    terms = []
    for i in range(3):
        others = [j for j in range(8) if shown[j] != images[i] or j == partners[i]]
        alike = {j: float(anchors[i] @ keys[j]) / 0.2 for j in others}
        terms.append(math.log(sum(math.exp(value) for value in alike.values())) - alike[int(partners[i])])
    found = contrast(anchors, images, Keys(keys, shown), partners=partners, temperature=0.2)
    assert abs(float(found) - np.mean(terms)) < 1e-5


def test_a_blend_is_found_in_the_shares_of_its_parts() -> None:
    clean, mixed = units(4), units(2, seed=1)
    parts, share = (torch.tensor([0, 2]), torch.tensor([3, 1])), torch.tensor([0.25, 1.0])
    expected = []
    for k in range(2):
        alike = [float(mixed[k] @ clean[j]) / 0.1 for j in range(4)]
        total = math.log(sum(map(math.exp, alike)))
        told = [value - total for value in alike]
        expected.append(-float(share[k]) * told[int(parts[0][k])] - float(1 - share[k]) * told[int(parts[1][k])])
    found = blended_contrast(mixed, clean, parts=parts, share=share, temperature=0.1)
    assert abs(float(found) - np.mean(expected)) < 1e-5


def test_distillation_is_least_for_the_teachers_own_likeness() -> None:
    teacher = units(6, d=9)
    taught = {"temperature": 0.1, "teacher_temperature": 0.1}
    same = distillation(teacher, teacher, **taught)
    logits = (teacher @ teacher.T / 0.1).double().numpy()
    entropy = 0.0
    for i in range(6):
        p = np.exp(np.delete(logits[i], i))
        p /= p.sum()
        entropy -= float((p * np.log(p)).sum()) / 6
    assert abs(float(same) - entropy) < 1e-5, "the cross entropy with itself is its entropy"
    assert float(distillation(units(6, seed=3), teacher, **taught)) > float(same)


def test_labelled_pairs_cost_what_hadsell_says() -> None:
    a = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    b = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.6, 0.8], [0.0, 1.0]])
    found = labelled(a, b, torch.tensor([True, True, False, False]), margin=0.5)
    assert abs(float(found) - (0 + 0.4**2 + 0.1**2 + 0) / 4) < 1e-6


@pytest.mark.parametrize(("similarity", "agreement"), [("js", 0.98), ("cosine", 0.9999)])
def test_units_order_pairs_as_the_distance_that_searches(similarity: str, agreement: float) -> None:
    rows = torch.rand(12, 40, generator=torch.Generator().manual_seed(0)) ** 3
    alike = unit(rows, similarity) @ unit(rows, similarity).T
    apart = by_name(similarity)(rows.numpy(), rows.numpy())
    pairs = np.triu_indices(12, 1)
    order = np.argsort(apart[pairs])
    ranks = np.argsort(np.argsort(-alike.numpy()[pairs]))[order]
    assert np.corrcoef(ranks, np.arange(len(ranks)))[0, 1] > agreement
