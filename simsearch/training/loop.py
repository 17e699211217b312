"""A plain contrastive loop: one clean and one edited view of each photograph, for a number of minutes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from simsearch.training.augment import Augmenter
from simsearch.training.loss import koleo, nt_xent, root


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings of one training run; strengths of the edits stand in `Edits`.

    A run lasts `steps`, or, where that is 0, `minutes`.
    """

    minutes: float = 60.0
    steps: int = 0
    batch: int = 128
    rate: float = 1.5e-3
    warm_up: float = 0.03
    weight_decay: float = 0.02
    temperature: float = 0.05
    entropy: float = 0.3
    clean: float = 0.6
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Step:
    """What one step reports: number, share of the run that is over, loss, and share of pairs ranked first."""

    number: int
    share: float
    loss: float
    first: float
    seconds: float


def train(
    network: nn.Module,
    augmenter: Augmenter,
    recipe: Recipe,
    *,
    normalise: Callable[[Tensor], Tensor],
    report: Callable[[Step], None],
) -> nn.Module:
    """Return the network after a run of NT-Xent on the root of its own row, plus KoLeo entropy.

    The learning rate follows the share of the run that is over (warm-up, then a cosine to zero), so a run ends
    annealed however fast the machine is.

    Args:
        network: Maps (n, 3, s, s) to non-negative rows (n, d); trained in place, on the augmenter's device.
        augmenter: Draws the views.
        recipe: Length, batch, rates, weights of the loss.
        normalise: From pixels in [0, 255] to what the network takes.
        report: Called after every step.
    """
    device = augmenter.device
    network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(_groups(network, recipe.weight_decay), lr=recipe.rate, betas=(0.9, 0.98))
    order = torch.Generator(device).manual_seed(recipe.seed)
    began, number, share = time.monotonic(), 0, 0.0
    queue = torch.empty(0, dtype=torch.long, device=device)
    while share < 1:
        if len(queue) < recipe.batch:
            queue = torch.randperm(len(augmenter.photographs), generator=order, device=device)
        index, queue = queue[: recipe.batch], queue[recipe.batch :]
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate * schedule(share, recipe.warm_up)
        loss, first = _step(network, _views(augmenter, index, recipe, order), recipe, normalise)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        number, seconds = number + 1, time.monotonic() - began
        share = number / recipe.steps if recipe.steps else seconds / (60 * recipe.minutes)
        report(Step(number, share, float(loss.detach()), first, seconds))
    return network.eval()


def schedule(share: float, warm_up: float) -> float:
    """Return the learning rate's factor in [0, 1] when `share` of the run is over."""
    if share < warm_up:
        return max(share / warm_up, 0.01)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (share - warm_up) / (1 - warm_up))))


def _views(augmenter: Augmenter, index: Tensor, recipe: Recipe, order: torch.Generator) -> Tensor:
    """Return (2n, 3, s, s): a clean (or sometimes edited) view of each image, then an edited one, mirrored alike."""
    first = augmenter.clean(index)
    mild = torch.rand(len(index), generator=order, device=index.device) >= recipe.clean
    first[mild] = augmenter.edited(index[mild])
    mirror = torch.rand(len(index), generator=order, device=index.device) < 0.5
    both = torch.cat([first, augmenter.edited(index)])
    twice = mirror.repeat(2)
    both[twice] = both[twice].flip(3)
    return both


def _step(
    network: nn.Module, views: Tensor, recipe: Recipe, normalise: Callable[[Tensor], Tensor]
) -> tuple[Tensor, float]:
    x = normalise(views).contiguous(memory_format=torch.channels_last)
    with torch.autocast(x.device.type, torch.bfloat16):
        rows = network(x)
    a, b = root(rows.float()).chunk(2)
    with torch.no_grad():
        first = (b @ a.T).argmax(dim=1).eq(torch.arange(len(a), device=a.device)).float().mean()
    loss = nt_xent(a, b, temperature=recipe.temperature) + recipe.entropy * koleo(a)
    return loss, float(first)


def _groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Decay matrices and kernels; leave norms alone."""
    decay = [p for p in network.parameters() if p.ndim > 1]
    rest = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": decay, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]
