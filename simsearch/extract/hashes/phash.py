"""Hashes of frequencies: the cosine transform of a small grey thumbnail, as bits or as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simsearch.extract.hashes.base import BitHash, FloatHash, between
from simsearch.extract.hashes.isometry import Isometry, turn_frequencies

if TYPE_CHECKING:
    from PIL.Image import Image

_ROUNDING = 1e-6  # of coefficients that are 0; one level of one pixel of the thumbnail makes more than 1e-3


@dataclass(kw_only=True, eq=False, repr=False)
class PHash(BitHash):
    """The perceptual hash: whether a low cosine coefficient of a 32 x 32 thumbnail is above their median.

    Turned forms follow from the row, since a turn exchanges coefficients and changes signs, except that the median is
    not quite 0: of photographs on average at least 93 % of the bits are those of the turned picture's own hash.

    Attributes:
        size: Coefficients along each axis.
        factor: The thumbnail's side is `size` times this.
        first: Whether the very first coefficient of those taken counts.
        shift: The first frequency that is taken along each axis.

    Reference:
        Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010; Krawetz, "Looks like it",
        2011; the bits of the defaults are ImageHash's, the last two parameters follow thorn's perception.

    Example:
        >>> from PIL import Image
        >>> PHash().rows([Image.linear_gradient("L").convert("RGB")])[0, 0] >> 7  # the mean is above the median
        np.uint8(1)
        >>> PHash(first=False).bits
        63
    """

    base: ClassVar = "phash"
    label = "pHash"
    recipe: ClassVar = (
        "phash {size}x{size} of DCT-II {factor}x, from frequency {shift}, first {first}, PIL luma, Lanczos, > median"
    )

    size: int = between(8, 2, 64)
    factor: int = between(4, 1, 16)
    first: bool = True
    shift: int = between(0, 0, 64)

    @property
    def shape(self) -> tuple[int, ...]:
        """Coefficients by frequency; in one line without the first."""
        return (self.size, self.size) if self.first else (self.size**2 - 1,)

    def values(self, image: Image) -> NDArray[np.bool_]:
        """Return which coefficients are above the median."""
        coefficients = low_frequencies(image, self.size, factor=self.factor, shift=self.shift)
        taken = coefficients if self.first else coefficients.ravel()[1:]
        bits: NDArray[np.bool_] = taken > np.median(taken)
        return bits

    def turn(self, values: NDArray[Any], isometry: Isometry) -> NDArray[Any]:
        """Return the coefficients exchanged, bits complemented where the sign changes."""
        return _turned(values, isometry, self.size, self.shift)


@dataclass(kw_only=True, eq=False, repr=False)
class PHashFloat(FloatHash):
    """The low cosine coefficients of a 32 x 32 thumbnail themselves, without the first.

    They are compared by cosine: more contrast or brightness multiplies them all, which leaves the angle; and without
    the first one, the mean, which is larger than all others together, adding a constant does nothing either.

    A flat picture has a row of zeros, which has no angle. Turned forms follow from the row, up to the rounding of the
    resize (of photographs at a mean cosine distance below 0.0001).

    Attributes:
        size: Coefficients along each axis.
        factor: The thumbnail's side is `size` times this.
        first: Whether the very first coefficient of those taken counts.
        shift: The first frequency that is taken along each axis.

    Reference:
        Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010; thorn's perception.

    Example:
        >>> PHashFloat().dimension, PHashFloat(size=4, first=True).dimension
        (63, 16)
    """

    base: ClassVar = "phash_float"
    label = "pHash float"
    recipe: ClassVar = "phash_float {size}x{size} of DCT-II {factor}x, from {shift}, first {first}, PIL luma, Lanczos"
    metric = "cosine"

    size: int = between(8, 2, 64)
    factor: int = between(4, 1, 16)
    first: bool = False
    shift: int = between(0, 0, 64)

    @property
    def shape(self) -> tuple[int, ...]:
        """Coefficients by frequency; in one line without the first."""
        return (self.size, self.size) if self.first else (self.size**2 - 1,)

    def values(self, image: Image) -> NDArray[np.float64]:
        """Return the coefficients."""
        coefficients = low_frequencies(image, self.size, factor=self.factor, shift=self.shift)
        coefficients[np.abs(coefficients) < _ROUNDING] = 0
        return coefficients if self.first else coefficients.ravel()[1:]

    def turn(self, values: NDArray[Any], isometry: Isometry) -> NDArray[Any]:
        """Return the coefficients exchanged, with their signs."""
        return _turned(values, isometry, self.size, self.shift)


def low_frequencies(image: Image, size: int, *, factor: int = 4, shift: int = 0) -> NDArray[np.float64]:
    """Return the unnormalised DCT-II coefficients of lowest frequency of a grey thumbnail.

    Args:
        image: A picture.
        size: How many along each axis.
        factor: The thumbnail's side is `size` times this, and at least as large as to hold them.
        shift: The first frequency.

    Returns:
        (size, size) float64, ascending.
    """
    from PIL.Image import Resampling
    from scipy.fft import dct

    side = max(size * factor, size + shift)
    pixels = np.asarray(image.convert("L").resize((side, side), Resampling.LANCZOS), np.float64)
    kept = slice(shift, shift + size)
    coefficients: NDArray[np.float64] = dct(dct(pixels, axis=0), axis=1)[kept, kept]
    return coefficients


def _turned(values: NDArray[Any], isometry: Isometry, size: int, shift: int) -> NDArray[Any]:
    """Turn (n, size, size), or (n, size * size - 1) that lack the first of each."""
    if values.ndim == 3:
        return turn_frequencies(values, isometry, first=shift)
    whole = np.pad(values, ((0, 0), (1, 0))).reshape(-1, size, size)
    return turn_frequencies(whole, isometry, first=shift).reshape(len(values), -1)[:, 1:]
