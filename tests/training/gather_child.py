"""Two processes that share a batch: each writes the gradient that it finds."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor, distributed, nn

from simsearch.training.loss import Keys, contrast, koleo, unit
from simsearch.training.memory_bank import gathered


def loss(network: nn.Module, first: Tensor, second: Tensor, index: Tensor, rank: int) -> Tensor:
    """The contrast of this process's pairs among those of all, and the entropy of all, as training has them."""
    a, b = (unit(network(x), "cosine") for x in (first, second))
    every_a, every_b, images = gathered(a), gathered(b), gathered(index)
    at = torch.arange(len(a)) + rank * len(a)
    keys = Keys(torch.cat([every_a, every_b]), images.repeat(2))
    partners = torch.cat([at + len(every_a), at])
    cost = contrast(torch.cat([a, b]), index.repeat(2), keys, partners=partners, temperature=0.1)
    return cost + 0.3 * koleo(every_a)


def material() -> tuple[nn.Module, Tensor, Tensor]:
    """A network and two views of eight images."""
    torch.manual_seed(0)
    return nn.Linear(5, 4), torch.randn(8, 5), torch.randn(8, 5)


def main(rank: int, folder: Path) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    network, first, second = material()
    own = slice(4 * rank, 4 * rank + 4)
    loss(network, first[own], second[own], torch.arange(8)[own], rank).backward()
    gradient = network.weight.grad
    distributed.all_reduce(gradient)
    if rank == 0:
        torch.save(gradient / 2, folder / "gradient.pt")  # as DistributedDataParallel averages
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
