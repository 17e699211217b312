"""Pictures squashed to squares on a device: the batch on which the tensor forms of edits work.

A square forgets its picture's shape, so the size is kept beside it: rotations, shears and anything measured in pixels
(noise, blur, JPEG's blocks) are those of the picture before its squash.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from simsearch.images.preprocess import Preprocessing


@dataclass(frozen=True, slots=True)
class Squares:
    """A batch of squashed pictures.

    Attributes:
        pixels: (n, 3, s, s), or (n, 1, s, s) where a network sees luminance alone, float32 in [0, 255].
        sizes: (n, 2) float32, width and height of each picture before its squash.
    """

    pixels: Tensor
    sizes: Tensor

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def side(self) -> int:
        """Of the squares."""
        return self.pixels.shape[-1]

    @property
    def aspect(self) -> Tensor:
        """(n,) width over height."""
        return self.sizes[:, 0] / self.sizes[:, 1]

    def at(self, chosen: Tensor) -> Squares:
        """Return the chosen ones."""
        return Squares(self.pixels[chosen], self.sizes[chosen])

    def write(self, chosen: Tensor, edited: Squares) -> None:
        """Replace the chosen ones in place."""
        self.pixels.index_copy_(0, chosen, edited.pixels)
        self.sizes.index_copy_(0, chosen, edited.sizes)

    def show(self, pixels: Tensor) -> Squares:
        """Return other pixels of the same sizes, clipped."""
        return replace(self, pixels=pixels.clamp(0, 255))


def sampled(squares: Squares, matrix: Tensor) -> Squares:
    """Return the squares seen through an affine map, black around.

    Args:
        squares: N pictures.
        matrix: (n, 2, 3) from output to input coordinates, both in [-1, 1] over the square.
    """
    grid = F.affine_grid(matrix, list(squares.pixels.shape), align_corners=False)
    return squares.show(F.grid_sample(squares.pixels, grid, mode="bicubic", padding_mode="zeros", align_corners=False))


def at_own_size(squares: Squares, edit: Callable[[Tensor, Tensor], Tensor]) -> Squares:
    """Return an edit of the pictures at their own pixels.

    Each picture lies in the top left of its square, one pixel a pixel, its last row and column repeated around, while
    `edit` is called with the pixels and their sizes (n, 2). Pictures larger than the square stay as large as it is.
    """
    own = squares.sizes.clamp(max=squares.side).round()
    laid = _stretched(squares.pixels, squares.side / own)
    edited = edit(laid, own)
    return squares.show(_stretched(edited, own / squares.side))


def own_pixels(field: Tensor, sizes: Tensor) -> Tensor:
    """Return a field (n, c, s, s) made for squares, such that each pixel of a picture (w, h) has one value of it."""
    side = field.shape[-1]
    place = torch.arange(side, device=field.device).view(1, side)
    columns, rows = ((place * (length.view(-1, 1) / side)).long().clamp(max=side - 1) for length in sizes.T)
    n, c = field.shape[:2]
    by_row = field.gather(2, rows.view(n, 1, side, 1).expand(n, c, side, side))
    return by_row.gather(3, columns.view(n, 1, 1, side).expand(n, c, side, side))


def prepared(squares: Squares, preprocessing: Preprocessing) -> Tensor:
    """Return the pictures after a model's preprocessing: (n, c, size, size) float32 in [0, 255].

    Pillow's own resize of a decoded picture differs by the rounding of one more resize.
    """
    if preprocessing.fit == "squash":
        return _resized(squares.pixels, preprocessing.size)
    width, height = squares.sizes.T
    shorter = torch.minimum(width, height)
    kept = preprocessing.size / preprocessing.resize * torch.stack([shorter / width, shorter / height], 1)  # (n, 2)
    matrix = torch.cat([torch.diag_embed(kept), torch.zeros_like(kept).unsqueeze(2)], dim=2)
    # Sampled finely and then scaled down, so that no pixel is skipped.
    grid = F.affine_grid(matrix, [len(squares), 3, 2 * preprocessing.size, 2 * preprocessing.size], align_corners=False)
    seen = F.grid_sample(squares.pixels, grid, padding_mode="border", align_corners=False)
    return _resized(seen, preprocessing.size)


def normalised(pixels: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Return pixels (n, c, s, s) in [0, 255] as a network takes them: less the mean, by the spread, channels last."""
    mean, std = (255 * torch.tensor([preprocessing.mean, preprocessing.std], device=pixels.device)).view(2, 1, 3, 1, 1)
    planes = pixels.shape[1]
    out: Tensor = (pixels - mean[:, :planes]) / std[:, :planes]
    return out.contiguous(memory_format=torch.channels_last)


def _resized(pixels: Tensor, size: int) -> Tensor:
    if pixels.shape[-1] == size:
        return pixels
    return F.interpolate(pixels, (size, size), mode="bilinear", antialias=True, align_corners=False).clamp(0, 255)


def _stretched(pixels: Tensor, factor: Tensor) -> Tensor:
    """Stretch from the top left edge: each output coordinate shows the input at `factor` (n, 2) times it."""
    matrix = torch.cat([torch.diag_embed(factor), (factor - 1).unsqueeze(2)], dim=2)
    grid = F.affine_grid(matrix, list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
