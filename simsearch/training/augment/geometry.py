"""Tensor forms of edits that move pixels: crop, rotation, shear, scaling, flips, turns, perspective."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from simsearch.training.augment.image_batch import Squares, sampled


def cropping(squares: Squares, percent: Tensor, generator: torch.Generator) -> Squares:  # noqa: ARG001
    """Crop that percentage of each side, centred, to whole pixels, and resize back."""
    half = ((100 - percent).view(-1, 1) * squares.sizes / 200).floor()
    middle = (squares.sizes / 2).floor() + 1
    first, last = (middle - half - 1).clamp(min=0), torch.minimum(middle + half, squares.sizes)
    keep, centre = (last - first) / squares.sizes, (first + last) / squares.sizes - 1
    return sampled(squares, torch.cat([torch.diag_embed(keep), centre.unsqueeze(2)], dim=2))


def crop_anywhere(squares: Squares, percent: Tensor, generator: torch.Generator) -> Squares:
    """Crop that percentage of each side at a random place; keep the new size."""
    sizes = (squares.sizes * (100 - percent).view(-1, 1) / 100).round().clamp(min=1)
    keep = sizes / squares.sizes
    place = 2 * torch.rand(keep.shape, generator=generator, device=keep.device) - 1
    matrix = torch.cat([torch.diag_embed(keep), (place * (1 - keep)).unsqueeze(2)], dim=2)
    return Squares(sampled(squares, matrix).pixels, sizes)


def rotation(squares: Squares, degrees: Tensor, generator: torch.Generator) -> Squares:  # noqa: ARG001
    """Rotate counter-clockwise on a black canvas that holds all of it, and resize back."""
    angle, aspect = -torch.deg2rad(degrees), squares.aspect
    cos, sin = angle.cos(), angle.sin()
    turned = torch.stack([cos, sin, -sin, cos], 1).view(-1, 2, 2)
    wide, high = aspect * cos.abs() + sin.abs(), aspect * sin.abs() + cos.abs()
    return sampled(squares, _map(_squash(aspect) @ turned @ torch.diag_embed(torch.stack([wide, high], 1))))


def shearing(squares: Squares, degrees: Tensor, generator: torch.Generator) -> Squares:  # noqa: ARG001
    """Shear along both axes about the centre, black around, on the same canvas."""
    slant, aspect = torch.tan(torch.deg2rad(degrees)), squares.aspect
    one = torch.ones_like(slant)
    sheared = torch.stack([1 + slant**2, -slant, -slant, one], 1).view(-1, 2, 2)
    return sampled(squares, _map(_squash(aspect) @ sheared @ torch.diag_embed(torch.stack([aspect, one], 1))))


def scaling(squares: Squares, ratio: Tensor, generator: torch.Generator) -> Squares:  # noqa: ARG001
    """Resize by that ratio of the sides; keep the new size."""
    sizes = (squares.sizes * ratio.view(-1, 1)).round().clamp(min=1)
    seen = squares.pixels.clone()
    for i, (width, height) in enumerate(sizes.long().tolist()):
        if min(width, height) < squares.side:
            wanted = (min(height, squares.side), min(width, squares.side))
            small = F.interpolate(squares.pixels[i : i + 1], wanted, mode="bicubic", antialias=True).clamp(0, 255)
            seen[i] = F.interpolate(small, (squares.side, squares.side), mode="bilinear")[0]
    return Squares(seen, sizes)


def flip_horizontal(squares: Squares, strength: Tensor, generator: torch.Generator) -> Squares:  # noqa: ARG001
    """Mirror left to right."""
    return Squares(squares.pixels.flip(3), squares.sizes)


def flip_vertical(squares: Squares, strength: Tensor, generator: torch.Generator) -> Squares:  # noqa: ARG001
    """Mirror top to bottom."""
    return Squares(squares.pixels.flip(2), squares.sizes)


def turn(squares: Squares, degrees: Tensor, generator: torch.Generator) -> Squares:  # noqa: ARG001
    """Turn counter-clockwise by that multiple of 90 degrees."""
    out = Squares(squares.pixels.clone(), squares.sizes.clone())
    for quarters in (1, 2, 3):
        chosen = (degrees == 90 * quarters).nonzero().squeeze(1)
        some = squares.at(chosen)
        sizes = some.sizes.flip(1) if quarters % 2 else some.sizes
        out.write(chosen, Squares(torch.rot90(some.pixels, quarters, (2, 3)), sizes))
    return out


def perspective(squares: Squares, percent: Tensor, generator: torch.Generator) -> Squares:
    """Distort the perspective: each corner moves inwards by up to that percentage of either side, black around."""
    n, device = len(squares), percent.device
    corners = torch.tensor([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)], device=device)
    moves = torch.rand((n, 4, 2), generator=generator, device=device)
    seen = corners - corners * 2 * moves * (percent / 100).view(-1, 1, 1)
    across = torch.linspace(-1 + 1 / squares.side, 1 - 1 / squares.side, squares.side, device=device)
    y, x = torch.meshgrid(across, across, indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)], 2).view(1, -1, 3)
    projected = points @ _homography(seen, corners.expand(n, 4, 2)).transpose(1, 2)  # (n, s * s, 3)
    grid = (projected[..., :2] / projected[..., 2:]).view(n, squares.side, squares.side, 2)
    out = F.grid_sample(squares.pixels, grid, mode="bicubic", padding_mode="zeros", align_corners=False)
    return squares.show(out)


def _homography(seen: Tensor, source: Tensor) -> Tensor:
    """Return the map (n, 3, 3) that takes each of four seen corners (n, 4, 2) to its source."""
    (x, y), (u, v) = seen.unbind(2), source.unbind(2)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    first = torch.stack([x, y, one, zero, zero, zero, -u * x, -u * y], 2)
    second = torch.stack([zero, zero, zero, x, y, one, -v * x, -v * y], 2)
    solved = torch.linalg.solve(torch.cat([first, second], 1), torch.cat([u, v], 1))
    return torch.cat([solved, torch.ones_like(solved[:, :1])], 1).view(-1, 3, 3)


def _squash(aspect: Tensor) -> Tensor:
    return torch.diag_embed(torch.stack([1 / aspect, torch.ones_like(aspect)], 1))


def _map(linear: Tensor) -> Tensor:
    return torch.cat([linear, torch.zeros_like(linear[:, :, :1])], 2)
