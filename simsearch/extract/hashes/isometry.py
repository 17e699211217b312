"""The eight isometries of a picture, and what each does to a grid of places or of frequencies."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image


class Isometry(Enum):
    """A turn or reflection of the square, under Pillow's names; rotations are counter-clockwise.

    The value says how it comes about: (rows and columns exchanged, then order of rows reversed, then of columns).
    """

    IDENTITY = (False, False, False)
    FLIP_LEFT_RIGHT = (False, False, True)
    FLIP_TOP_BOTTOM = (False, True, False)
    ROTATE_180 = (False, True, True)
    TRANSPOSE = (True, False, False)
    ROTATE_90 = (True, True, False)
    ROTATE_270 = (True, False, True)
    TRANSVERSE = (True, True, True)


def turn_image(image: Image, isometry: Isometry) -> Image:
    """Return the picture turned, or itself under IDENTITY."""
    from PIL.Image import Transpose

    return image if isometry is Isometry.IDENTITY else image.transpose(Transpose[isometry.name])


def turn_grid(grid: NDArray[Any], isometry: Isometry) -> NDArray[Any]:
    """Return what an isometry of the picture does to values at places.

    Args:
        grid: (..., s, s) of anything.
        isometry: How the picture is turned.

    Example:
        >>> turn_grid(np.array([[1, 2], [3, 4]]), Isometry.ROTATE_90)
        array([[2, 4],
               [1, 3]])
    """
    transposed, rows, columns = isometry.value
    if transposed:
        grid = grid.swapaxes(-1, -2)
    return grid[..., :: -1 if rows else 1, :: -1 if columns else 1]


def turn_frequencies(grid: NDArray[Any], isometry: Isometry, *, first: int) -> NDArray[Any]:
    """Return what an isometry of the picture does to its cosine transform.

    Reversing an axis changes the sign of every odd frequency along it. A bit that says whether a coefficient is
    positive is complemented there; one that compares with a median near 0 is so all but exactly.

    Args:
        grid: (..., s, s) coefficients, float, or bits, bool; rows and columns in ascending frequency.
        isometry: How the picture is turned.
        first: Frequency of the first row and column.

    Example:
        >>> turn_frequencies(np.array([[1.0, 2.0], [3.0, 4.0]]), Isometry.FLIP_LEFT_RIGHT, first=0)
        array([[ 1., -2.],
               [ 3., -4.]])
    """
    transposed, rows, columns = isometry.value
    if transposed:
        grid = grid.swapaxes(-1, -2)
    odd = np.arange(first, first + grid.shape[-1]) % 2 == 1
    changed = (odd & rows)[:, None] ^ (odd & columns)[None, :]
    return grid ^ changed if grid.dtype == np.bool_ else np.where(changed, -grid, grid)
