"""Ten edits in batched tensor form: rotate, shear, crop, brightness, contrast, colour, blur, noise, text, and JPEG.

Each is applied to a random share of a batch, with its strength drawn for each image, on the device that holds the
photographs. JPEG comes from a second, compressed copy of every photograph (`Photographs`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from simsearch.training.photographs import FINE, Photographs

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Edits:
    """Strengths of the edits, and the share of images that each one reaches.

    Ranges go a little beyond the paper's strongest edits (rotation 60, shear 20, crop 60 %, enhancement 0.5 to 2), so
    that those lie inside what was trained.
    """

    rotate: float = 0.3
    rotate_degrees: float = 70.0
    expand: float = 0.8
    shear: float = 0.15
    shear_degrees: float = 24.0
    crop: float = 0.4
    crop_side: Range = (0.34, 1.0)
    crop_centred: float = 0.5
    brightness: float = 0.25
    brightness_factor: Range = (0.4, 2.4)
    contrast: float = 0.25
    contrast_factor: Range = (0.4, 2.4)
    colour: float = 0.2
    colour_factor: Range = (0.0, 2.4)
    blur: float = 0.2
    blur_sigma: Range = (0.3, 1.6)
    noise: float = 0.25
    noise_deviation: Range = (0.02, 0.16)
    noise_specks: Range = (0.0, 0.3)
    text: float = 0.2
    jpeg: float = 0.2


class Augmenter:
    """Draws edited views of photographs; holds the generator and the bank of texts."""

    def __init__(self, photographs: Photographs, texts: Tensor, edits: Edits, *, seed: int) -> None:
        self.photographs = photographs
        self.texts = texts
        self.edits = edits
        self.device = photographs.coarse.device
        self.generator = torch.Generator(self.device).manual_seed(seed)

    def clean(self, index: Tensor) -> Tensor:
        """Return unedited views (n, 3, s, s) in [0, 255], exactly as the model's preprocessing makes them."""
        return self.photographs.coarse[0, index].float()

    def edited(self, index: Tensor) -> Tensor:
        """Return edited views (n, 3, s, s) float32 in [0, 255]."""
        e = self.edits
        x = self._resampled(index)
        x = self._some(x, e.text, self._text)
        x = self._some(x, e.brightness, lambda y: brightness(y, self._log_uniform(len(y), e.brightness_factor)))
        x = self._some(x, e.contrast, lambda y: contrast(y, self._log_uniform(len(y), e.contrast_factor)))
        x = self._some(x, e.colour, lambda y: colour(y, self._uniform(len(y), e.colour_factor)))
        x = self._some(x, e.blur, lambda y: blur(y, float(self._uniform(1, e.blur_sigma))))
        return self._some(x, e.noise, self._noise)

    def _resampled(self, index: Tensor) -> Tensor:
        n, p = len(index), self.photographs
        matrix = self._matrix(p.aspect[index])
        form = self._hit(n, self.edits.jpeg).long()
        side = p.coarse.shape[-1]
        # Where a fine pixel would be skipped, the coarse square, already low-passed, is sampled instead.
        step = matrix[:, :, :2].norm(dim=(1, 2)) / math.sqrt(2) * FINE / side
        out = torch.empty((n, 3, side, side), device=self.device)
        for level, chosen in ((p.fine, step <= 1.9), (p.coarse, step > 1.9)):
            at = chosen.nonzero().squeeze(1)
            if len(at):
                grid = F.affine_grid(matrix[at], [len(at), 3, side, side], align_corners=False)
                pixels = level[form[at], index[at]].float()
                out[at] = F.grid_sample(pixels, grid, padding_mode="zeros", align_corners=False)
        return out

    def _matrix(self, aspect: Tensor) -> Tensor:
        """Return (n, 2, 3) from output to input coordinates, both in [-1, 1].

        Rotation, shear and crop are those of the picture before its squash, so its aspect ratio counts.
        """
        n, e = len(aspect), self.edits
        angle = self._uniform(n, (-1, 1)) * math.radians(e.rotate_degrees) * self._hit(n, e.rotate)
        slant = torch.tan(self._uniform(n, (-1, 1)) * math.radians(e.shear_degrees) * self._hit(n, e.shear))
        cos, sin, one = angle.cos(), angle.sin(), torch.ones_like(angle)
        rotation = torch.stack([cos, sin, -sin, cos], 1).view(n, 2, 2)
        shear = torch.stack([1 + slant**2, -slant, -slant, one], 1).view(n, 2, 2)
        expand = self._hit(n, e.expand)
        wide = torch.where(expand, aspect * cos.abs() + sin.abs(), aspect)
        high = torch.where(expand, aspect * sin.abs() + cos.abs(), one)
        canvas = torch.diag_embed(torch.stack([wide, high], 1))
        squash = torch.diag_embed(torch.stack([1 / aspect, one], 1))
        linear = squash @ rotation @ shear @ canvas  # (n, 2, 2)
        keep, offset = self._crop(n)
        return torch.cat([linear * keep.unsqueeze(1), linear @ offset.unsqueeze(2)], dim=2)

    def _crop(self, n: int) -> tuple[Tensor, Tensor]:
        """Return kept side lengths (n, 2) and centres (n, 2) of the crops, in units of the half side."""
        e = self.edits
        hit = self._hit(n, e.crop)
        side = self._uniform(n, e.crop_side)
        stretch = self._log_uniform(n, (0.85, 1 / 0.85))
        keep = torch.stack([side * stretch, side / stretch], 1).clamp(max=1.0)
        offset = (self._uniform(2 * n, (-1, 1)).view(n, 2)) * (1 - keep) * ~self._hit(n, e.crop_centred).unsqueeze(1)
        return torch.where(hit.unsqueeze(1), keep, 1.0), offset * hit.unsqueeze(1)

    def _text(self, x: Tensor) -> Tensor:
        chosen = torch.randint(len(self.texts), (len(x),), generator=self.generator, device=self.device)
        coverage, luma = self.texts[chosen].float().unsqueeze(2).unbind(1)  # each (n, 1, s, s)
        return x * (1 - coverage / 255) + luma

    def _noise(self, x: Tensor) -> Tensor:
        """Gaussian noise for half of the images, coloured specks for the other half."""
        n = len(x)
        specks = self._uniform(n, self.edits.noise_specks) * self._hit(n, 0.5)
        deviation = 255 * self._uniform(n, self.edits.noise_deviation) * (specks == 0)
        random = torch.rand(x.shape, generator=self.generator, device=self.device)
        normal = torch.randn(x.shape, generator=self.generator, device=self.device)
        noisy = (x + normal * deviation.view(-1, 1, 1, 1)).clamp(0, 255)
        # Specks are smaller than a coarse pixel: what is left of them is a pull towards grey and some grain.
        share = specks.view(-1, 1, 1, 1)
        return noisy + share * (255 * random.round() - noisy)

    def _some(self, x: Tensor, share: float, edit: Callable[[Tensor], Tensor]) -> Tensor:
        at = self._hit(len(x), share).nonzero().squeeze(1)
        if len(at):
            x[at] = edit(x[at]).clamp(0, 255)
        return x

    def _hit(self, n: int, share: float) -> Tensor:
        return torch.rand(n, generator=self.generator, device=self.device) < share

    def _uniform(self, n: int, between: Range) -> Tensor:
        low, high = between
        return low + (high - low) * torch.rand(n, generator=self.generator, device=self.device)

    def _log_uniform(self, n: int, between: Range) -> Tensor:
        return self._uniform(n, (math.log(between[0]), math.log(between[1]))).exp()


def grey(x: Tensor) -> Tensor:
    """Return luma (n, 1, h, w) of RGB (n, 3, h, w), ITU-R 601 as Pillow has it."""
    return x[:, 0:1] * 0.299 + x[:, 1:2] * 0.587 + x[:, 2:3] * 0.114


def brightness(x: Tensor, factor: Tensor) -> Tensor:
    """Return images (n, 3, h, w) in [0, 255] multiplied by their factor (n,), clipped."""
    return (x * factor.view(-1, 1, 1, 1)).clamp(0, 255)


def contrast(x: Tensor, factor: Tensor) -> Tensor:
    """Return images blended with their mean luma; factor 1 is the original, 0 is grey."""
    mean = grey(x).mean(dim=(2, 3), keepdim=True).round()
    return (mean + (x - mean) * factor.view(-1, 1, 1, 1)).clamp(0, 255)


def colour(x: Tensor, factor: Tensor) -> Tensor:
    """Return images blended with their grey version; factor 1 is the original, 0 is grey."""
    luma = grey(x)
    return (luma + (x - luma) * factor.view(-1, 1, 1, 1)).clamp(0, 255)


def blur(x: Tensor, sigma: float) -> Tensor:
    """Return images (n, 3, h, w) under a Gaussian of `sigma` pixels, cut at three sigma, borders mirrored."""
    reach = max(1, math.ceil(3 * sigma))
    at = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-(at**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, -1)
    padded = F.pad(x, (reach, reach, reach, reach), mode="reflect")
    across = F.conv2d(padded, kernel.unsqueeze(2), groups=3)
    return F.conv2d(across, kernel.unsqueeze(3), groups=3)
