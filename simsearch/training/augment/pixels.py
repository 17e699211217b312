"""Tensor forms of edits that change values: noise, filters, enhancement, tone.

Each takes `Squares`, the strengths (n,) and a generator, and does to each picture what the form of the same name in
`simsearch.images` does; what is measured in pixels is measured in those of the picture.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from simsearch.extract.networks.resnet import luminance
from simsearch.training.augment.image_batch import Squares, at_own_size, own_pixels

_SMOOTH = ((1, 1, 1), (1, 5, 1), (1, 1, 1))  # Pillow's SMOOTH filter, over 13
_REACH = 3.0  # standard deviations at which a Gaussian is cut


def gaussian_noise(squares: Squares, variance: Tensor, generator: torch.Generator) -> Squares:
    """Add normal noise of that variance on the [0, 1] scale."""
    return squares.show(squares.pixels + 255 * _normal(squares, variance, generator))


def speckle_noise(squares: Squares, variance: Tensor, generator: torch.Generator) -> Squares:
    """Multiply by one plus normal noise of that variance."""
    return squares.show(squares.pixels * (1 + _normal(squares, variance, generator)))


def salt_and_pepper_noise(squares: Squares, amount: Tensor, generator: torch.Generator) -> Squares:
    """Set that share of the values to 0 or 255."""
    x = squares.pixels
    drawn = own_pixels(torch.rand(x.shape, generator=generator, device=x.device), squares.sizes)
    share = _wide(amount)
    return squares.show(torch.where(drawn < share, 255.0 * (drawn < share / 2), x))


def gaussian_filter(squares: Squares, size: Tensor, generator: torch.Generator) -> Squares:  # noqa: ARG001
    """Blur by a Gaussian kernel of that side, with OpenCV's deviation for it."""
    return at_own_size(squares, lambda x, _: _gaussian(x, 0.3 * (size - 1) + 0.4, size / 2))


def blur(squares: Squares, radius: Tensor, generator: torch.Generator) -> Squares:  # noqa: ARG001
    """Blur by a Gaussian of that deviation in pixels."""
    return at_own_size(squares, lambda x, _: _gaussian(x, radius.clamp(min=1e-3), _REACH * radius + 0.5))


def sharpness_enhancement(squares: Squares, factor: Tensor, generator: torch.Generator) -> Squares:  # noqa: ARG001
    """Blend with the smoothed version; 1 is the original."""
    planes = squares.pixels.shape[1]
    kernel = (torch.tensor(_SMOOTH, dtype=torch.float32, device=factor.device) / 13).expand(planes, 1, 3, 3)

    def sharpened(x: Tensor, _: Tensor) -> Tensor:
        smooth = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, groups=planes)
        return smooth + (x - smooth) * _wide(factor)

    return at_own_size(squares, sharpened)


def brightness_enhancement(squares: Squares, factor: Tensor, generator: torch.Generator) -> Squares:  # noqa: ARG001
    """Multiply by the factor."""
    return squares.show(squares.pixels * _wide(factor))


def contrast_enhancement(squares: Squares, factor: Tensor, generator: torch.Generator) -> Squares:  # noqa: ARG001
    """Blend with a grey of the mean luma; 1 is the original."""
    mean = luminance(squares.pixels).mean(dim=(2, 3), keepdim=True).round()
    return squares.show(mean + (squares.pixels - mean) * _wide(factor))


def color_enhancement(squares: Squares, factor: Tensor, generator: torch.Generator) -> Squares:  # noqa: ARG001
    """Blend with the grey version; 1 is the original."""
    luma = luminance(squares.pixels)
    return squares.show(luma + (squares.pixels - luma) * _wide(factor))


def gamma(squares: Squares, exponent: Tensor, generator: torch.Generator) -> Squares:  # noqa: ARG001
    """Raise to that power on the [0, 1] scale."""
    return squares.show(255 * (squares.pixels / 255).clamp(0, 1) ** _wide(exponent))


def vignette(squares: Squares, strength: Tensor, generator: torch.Generator) -> Squares:  # noqa: ARG001
    """Darken towards the corners, which lose that share."""
    at = (2 * torch.arange(squares.side, device=strength.device) + 1) / squares.side - 1
    fade = at.view(1, -1) ** 2 + at.view(-1, 1) ** 2
    return squares.show(squares.pixels * (1 - _wide(strength) / 2 * fade))


def posterisation(squares: Squares, bits: Tensor, generator: torch.Generator) -> Squares:  # noqa: ARG001
    """Keep only that many leading bits of each value."""
    step = _wide(2 ** (8 - bits))
    return squares.show((squares.pixels.round() / step).floor() * step)


def _normal(squares: Squares, variance: Tensor, generator: torch.Generator) -> Tensor:
    x = squares.pixels
    field = torch.randn(x.shape, generator=generator, device=x.device)
    return own_pixels(field, squares.sizes) * _wide(variance.sqrt())


def _gaussian(x: Tensor, deviation: Tensor, reach: Tensor) -> Tensor:
    """Blur by a Gaussian whose deviation and cut-off are each image's own, borders mirrored."""
    n, c, h, w = x.shape
    side = min(max(1, math.floor(float(reach.max()))), h - 1)
    at = torch.arange(-side, side + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-(at**2) / (2 * deviation.view(-1, 1) ** 2)) * (at.abs() <= reach.view(-1, 1))
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(c, 0).view(n * c, 1, 1, -1)
    wide = F.pad(x, (side, side, side, side), mode="reflect").view(1, n * c, h + 2 * side, w + 2 * side)
    across = F.conv2d(wide, kernel, groups=n * c)
    return F.conv2d(across, kernel.transpose(2, 3), groups=n * c).view(n, c, h, w)


def _wide(strength: Tensor) -> Tensor:
    return strength.view(-1, 1, 1, 1)
