"""Images mixed with others of their batch: blends and pastes, which are copies of both in part."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from simsearch.training.config import Loss

_PASTED = (0.1, 0.9)
"""Least and greatest share of the area that a paste covers, so that both images are there."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """Mixed images with their parts and shares.

    Attributes:
        pixels: (k, 3, s, s).
        parts: Positions (k,) of both images in the batch.
        share: (k,) of the first image.
    """

    pixels: Tensor
    parts: tuple[Tensor, Tensor]
    share: Tensor


def mixed(x: Tensor, settings: Loss, generator: torch.Generator) -> Mixture | None:
    """Return blends and pastes of the stated shares of a batch (n, c, s, s), each with another image of it.

    Reference: Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018; Yun et al., "CutMix", 2019.
    """
    n = len(x)
    blends, pastes = round(settings.mixup * n), round(settings.cutmix * n)
    if blends + pastes == 0:
        return None
    device = x.device
    parts = [_others(count, n, generator, device) for count in (blends, pastes)]
    first, second = (torch.cat([part[k] for part in parts]) for k in (0, 1))
    share = torch.rand(blends + pastes, generator=generator, device=device)
    mask = share.view(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:]).clone()
    if pastes:
        mask[blends:], share[blends:] = _windows(share[blends:], x.shape[-1], generator)
    return Mixture(mask * x[first] + (1 - mask) * x[second], (first, second), share)


def _others(count: int, n: int, generator: torch.Generator, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return `count` images, and another one for each."""
    first = torch.randperm(n, generator=generator, device=device)[:count]
    step = torch.randint(1, n, (count,), generator=generator, device=device)
    return first, (first + step) % n


def _windows(drawn: Tensor, side: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return masks (k, 1, s, s) that are 0 inside a window, and the share of the area outside."""
    k, device = len(drawn), drawn.device
    length = (side * (_PASTED[0] + (_PASTED[1] - _PASTED[0]) * drawn).sqrt()).round().view(-1, 1)
    start = (torch.rand((k, 2), generator=generator, device=device) * (side - length + 1)).floor()
    at = torch.arange(side, device=device)
    inside = [(at >= start[:, i : i + 1]) & (at < start[:, i : i + 1] + length) for i in (0, 1)]
    mask = ~(inside[0].unsqueeze(2) & inside[1].unsqueeze(1)).unsqueeze(1)
    return mask.float(), mask.float().mean(dim=(1, 2, 3))
