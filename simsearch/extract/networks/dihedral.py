"""Convolutions that turn with the picture: the eight turns and mirrorings of a square, built into a network's weights.

The channels of a layer are fields of eight, one for each movement of the square: the movement h of the picture moves
every plane likewise and puts that of g where that of h g was. A network whose weights are so tied needs no training for
mirrored and turned copies, and learns of every edit in all eight forms at once. The weights themselves are those of
ordinary convolutions: training keeps them tied, by `tie`.

Movement 4 f + r mirrors the picture left to right if f is 1, then turns it counter-clockwise r times by 90 degrees.

Reference: Cohen & Welling, "Group Equivariant Convolutional Networks", 2016, of which this is the group p4m.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

ORDER = 8


def moved(planes: Tensor, movement: int) -> Tensor:
    """Return planes (..., h, w), squares, after a movement."""
    mirrored, turns = divmod(movement, 4)
    return torch.rot90(planes.flip(-1) if mirrored else planes, turns, (-2, -1))


def together(first: int, then: int) -> int:
    """Return the movement that is `first`, and `then` after it.

    Example:
        >>> together(1, 3), together(5, 5)
        (0, 0)
    """
    mirrored, turns = divmod(then, 4)
    own_mirrored, own_turns = divmod(first, 4)
    return 4 * (mirrored ^ own_mirrored) + (turns + (-own_turns if mirrored else own_turns)) % 4


def inverse(movement: int) -> int:
    """Return the movement that undoes one."""
    return next(other for other in range(ORDER) if together(movement, other) == 0)


def of_all_forms(pooled: Tensor) -> Tensor:
    """Return the pooled channels (8 n, c) of the eight forms of pictures, form after form, from those (n, c) of one."""
    fields = pooled.view(len(pooled), -1, ORDER)
    return torch.cat([fields[:, :, _planes(movement, ORDER)].flatten(1) for movement in range(ORDER)])


def tie(network: nn.Module, *, gradients: bool = False) -> None:
    """Tie the convolutions and batch norms of a network, or their gradients: each becomes the mean over the movements.

    Tied weights that are moved by tied gradients stay tied. Running statistics are tied in either case.

    Args:
        network: Its 2-D convolutions, of as many outputs as fields of eight, see one plane or the planes of fields.
        gradients: Of the weights instead of the weights; what has none is left alone.
    """
    for module in network.modules():
        if not isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            continue
        for parameter in module.parameters(recurse=False):
            values = parameter.grad if gradients else parameter.data
            if values is not None:
                values.copy_(_tied_kernels(values) if values.ndim == 4 else _tied(values))
        for buffer in module.buffers(recurse=False):
            if buffer.ndim == 1:
                buffer.copy_(_tied(buffer))


def _tied(values: Tensor) -> Tensor:
    """Return values (c,) of channels, each the mean of its field."""
    return values.view(-1, ORDER).mean(dim=1).repeat_interleave(ORDER)


def _tied_kernels(kernels: Tensor) -> Tensor:
    """Return kernels (c, inputs, k, k), each the mean of what the tie makes of it and the others of its field."""
    outputs, inputs, *side = kernels.shape
    planes = 1 if inputs == 1 else ORDER
    fields = kernels.view(outputs // ORDER, ORDER, inputs // planes, planes, *side)
    base = torch.stack(
        [moved(fields[:, g][:, :, _planes(g, planes)], inverse(g)) for g in range(ORDER)]
    ).mean(dim=0)  # fmt: skip
    forms = [moved(base, g)[:, :, _planes(inverse(g), planes)] for g in range(ORDER)]
    return torch.stack(forms, dim=1).view_as(kernels)


@cache
def _planes(movement: int, count: int) -> list[int]:
    """Return which plane of a field, of one or eight, is that of each movement and then this one."""
    return [0] if count == 1 else [together(m, movement) for m in range(ORDER)]
