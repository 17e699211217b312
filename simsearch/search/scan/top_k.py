"""The lowest scores of each query, exactly, without ordering all of them."""

from __future__ import annotations

import torch
from torch import Tensor

_BLOCK = 16  # columns, a block's being as far apart as there are blocks: minima of neighbouring blocks vectorise


def lowest(scores: Tensor, count: int, ceiling: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return the `count` lowest scores of each row, unordered, and their columns.

    Two levels: the lowest score of each block of 16 columns, then the `count` blocks with the lowest ones, then their
    members. No column left out scores lower than one that is returned: a block that was left out has a lowest score
    no lower than those of `count` blocks that were taken, and so than `count` scores.

    Args:
        scores: (q, n) float, contiguous, without NaN.
        count: At least 1.
        ceiling: (q,); higher scores need not be returned, which saves work on a CPU.

    Returns:
        Scores (q, m) and columns, int64; m is at most `count` and n.

    Example:
        >>> lowest(torch.tensor([[3.0, 1.0, 2.0]]), 1)
        (tensor([[1.]]), tensor([[1]]))
    """
    q, n = scores.shape
    count = min(count, n)
    blocks = n // _BLOCK
    if blocks <= 2 * count:
        low, columns = torch.topk(scores, count, dim=1, largest=False, sorted=False)
        return low, columns
    whole = blocks * _BLOCK
    minima = scores[:, :whole].reshape(q, _BLOCK, blocks).amin(dim=1)  # (q, blocks)
    taken = count
    if ceiling is not None and scores.device.type == "cpu":
        taken = min(count, int((minima <= ceiling[:, None]).sum(dim=1).max()))
    chosen = torch.topk(minima, taken, dim=1, largest=False, sorted=False).indices
    members = (chosen[:, :, None] + blocks * torch.arange(_BLOCK, device=scores.device)).flatten(1)  # (q, taken * 16)
    if whole < n:
        rest = torch.arange(whole, n, device=scores.device).expand(q, -1)
        members = torch.cat([members, rest], dim=1)
    count = min(count, members.shape[1])
    low, order = torch.topk(scores.gather(1, members), count, dim=1, largest=False, sorted=False)
    return low, members.gather(1, order)
