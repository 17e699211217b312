"""A plain contrastive loop: one clean and one edited view of each photograph, for a number of minutes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from simsearch.training.augment import Augmenter
from simsearch.training.checkpoint import Checkpoint, Clock, Paused, Progress, load, save
from simsearch.training.loss import koleo, nt_xent, root

_REPORT_EVERY = 10  # steps on a GPU


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
    checkpoint: Checkpoint | None = None,
) -> nn.Module:
    """Return the network after a run of NT-Xent on the root of its own row, plus KoLeo entropy.

    The learning rate follows the share of the run that is over (warm-up, then a cosine to zero), so a run ends
    annealed however fast the machine is.

    Args:
        network: Maps (n, 3, s, s) to non-negative rows (n, d); trained in place, on the augmenter's device.
        augmenter: Draws the views.
        recipe: Length, batch, rates, weights of the loss.
        normalise: From pixels in [0, 255] to what the network takes.
        report: Called after every step; on a GPU after every tenth, since asking for the loss makes it wait.
        checkpoint: Where the run is saved and gone on from; by default nowhere.

    Raises:
        Paused: the checkpoint's `pause` said so; the run is saved.
        InputError: the checkpoint's file is damaged or of another network.
    """
    device = augmenter.device
    network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(_groups(network, recipe.weight_decay), lr=recipe.rate, betas=(0.9, 0.98))
    order = torch.Generator(device).manual_seed(recipe.seed)
    generators = {"order": order, "views": augmenter.generator}
    progress = Progress(0, 0.0, torch.empty(0, dtype=torch.long, device=device))
    if checkpoint and checkpoint.path.exists():
        progress = load(checkpoint.path, network, optimiser, generators)
    clock, saved, share = Clock(progress.seconds), time.monotonic(), _share(recipe, progress)
    while share < 1:
        if len(progress.queue) < recipe.batch:
            progress.queue = torch.randperm(len(augmenter.photographs), generator=order, device=device)
        index, progress.queue = progress.queue[: recipe.batch], progress.queue[recipe.batch :]
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate * schedule(share, recipe.warm_up)
        loss, first = _step(network, _views(augmenter, index, recipe, order), recipe, normalise)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        progress.number, progress.seconds = progress.number + 1, clock.seconds
        share = _share(recipe, progress)
        if device.type == "cpu" or progress.number % _REPORT_EVERY == 0 or share >= 1:
            report(Step(progress.number, share, float(loss.detach()), float(first), progress.seconds))
        if checkpoint and share < 1:
            pause = checkpoint.pause()
            if pause or time.monotonic() - saved > checkpoint.every:
                save(checkpoint.path, network, optimiser, generators, progress)
                saved = time.monotonic()
            if pause:
                raise Paused(f"{100 * share:.0f} % of the run is done and saved in {checkpoint.path}")
    return network.eval()


def _share(recipe: Recipe, progress: Progress) -> float:
    """How much of the run is over, from 0."""
    return progress.number / recipe.steps if recipe.steps else progress.seconds / (60 * recipe.minutes)


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
) -> tuple[Tensor, Tensor]:
    x = normalise(views).contiguous(memory_format=torch.channels_last)
    with torch.autocast(x.device.type, torch.bfloat16):
        rows = network(x)
    a, b = root(rows.float()).chunk(2)
    with torch.no_grad():
        first = (b @ a.T).argmax(dim=1).eq(torch.arange(len(a), device=a.device)).float().mean()
    loss = nt_xent(a, b, temperature=recipe.temperature) + recipe.entropy * koleo(a)
    return loss, first


def _groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Decay matrices and kernels; leave norms alone."""
    decay = [p for p in network.parameters() if p.ndim > 1]
    rest = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": decay, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]
