"""The memory bank: rows of earlier batches as negatives, and rows of the other devices."""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn

from simsearch.training.loss import Keys


class MemoryBank(nn.Module):
    """The newest rows of a run, first in first out; part of its saved state.

    Reference: Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", 2018.
    """

    rows: Tensor
    images: Tensor
    held: Tensor

    def __init__(self, size: int, dimension: int) -> None:
        super().__init__()
        self.register_buffer("rows", torch.zeros(size, dimension))
        self.register_buffer("images", torch.full((size,), -1))
        self.register_buffer("held", torch.tensor(0))

    def keys(self) -> Keys:
        """Return the rows of the bank, newest first."""
        n = int(self.held)
        return Keys(self.rows[:n].clone(), self.images[:n].clone())

    @torch.no_grad()
    def add(self, keys: Keys) -> None:
        """Put rows in front; the oldest fall out."""
        size = len(self.rows)
        self.rows.copy_(torch.cat([keys.rows.detach().float(), self.rows])[:size])
        self.images.copy_(torch.cat([keys.images, self.images])[:size])
        self.held.copy_(torch.clamp(self.held + len(keys.rows), max=size))


def joined(keys: Keys, more: Keys) -> Keys:
    """Return both sets of keys as one."""
    return Keys(torch.cat([keys.rows, more.rows]), torch.cat([keys.images, more.images]))


def gathered(rows: Tensor) -> Tensor:
    """Return the rows of all devices, in the order of their ranks; gradients flow back to where each was made.

    Every device must hold as many. Without several devices, the rows themselves.
    """
    if not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1:
        return rows
    from torch.distributed.nn.functional import all_gather

    return torch.cat(all_gather(rows))  # type: ignore[no-untyped-call]
