"""What training minimises: the contrast of the very row that js searches, and its entropy."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

FLOOR = 1e-6
"""Added to each coordinate before the root, whose slope is infinite at zero."""


def root(rows: Tensor) -> Tensor:
    """Return unit vectors (n, d) whose inner product is the Bhattacharyya coefficient of two rows.

    js follows that coefficient BC closely: the divergence lies between ln 2 (1 - BC) and 1.4427 times that.

    Args:
        rows: (n, d), non-negative, not all zero.

    Reference: Bhattacharyya, "On a measure of divergence between two multinomial populations", 1946.
    """
    total = rows.sum(dim=1, keepdim=True).clamp_min(1e-6)
    return F.normalize((rows / total + FLOOR).sqrt(), dim=1)


def nt_xent(a: Tensor, b: Tensor, *, temperature: float) -> Tensor:
    """Return the normalised temperature-scaled cross entropy of two views of the same n images.

    Args:
        a: (n, d) unit vectors of the first view.
        b: (n, d) unit vectors of the second view, in the same order.
        temperature: Divisor of the similarities.

    Reference: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", 2020.
    """
    n = len(a)
    both = torch.cat([a, b])  # (2n, d)
    logits = both @ both.T / temperature
    logits.fill_diagonal_(float("-inf"))
    partner = torch.arange(2 * n, device=a.device).roll(n)
    return F.cross_entropy(logits, partner)


def koleo(z: Tensor) -> Tensor:
    """Return the Kozachenko-Leonenko regulariser: minus the mean log distance to the nearest other row.

    Args:
        z: (n, d) unit vectors of n different images, n >= 2.

    Reference: Sablayrolles et al., "Spreading vectors for similarity search", 2019.
    """
    with torch.no_grad():
        similarity = z @ z.T
        similarity.fill_diagonal_(-2.0)
        nearest = similarity.argmax(dim=1)
    return -torch.log((z - z[nearest]).norm(dim=1) + 1e-6).mean()
