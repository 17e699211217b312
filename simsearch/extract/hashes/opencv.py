"""The hashes of OpenCV's img_hash: Marr-Hildreth, block mean, colour moments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simsearch.extract.hashes.base import BitHash, FloatHash, between, needed
from simsearch.extract.hashes.isometry import Isometry, turn_grid

if TYPE_CHECKING:
    from PIL.Image import Image

_SIDES = (16, 31)  # blocks along each axis without and with overlap


@dataclass(kw_only=True, eq=False, repr=False)
class MarrHildreth(BitHash):
    """The Marr-Hildreth hash: the response to a Mexican-hat wavelet, 72 groups of 8 bits.

    Turned forms need the picture.

    Attributes:
        alpha: Octave of the wavelet's width.
        scale: Added to the octave; greater is coarser.

    Reference:
        Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010; OpenCV's img_hash.

    Example:
        >>> MarrHildreth().bits
        576
    """

    base: ClassVar = "marr_hildreth"
    label = "Marr-Hildreth"
    recipe: ClassVar = "marr_hildreth of OpenCV, alpha {alpha}, scale {scale}"
    packages: ClassVar = ("cv2",)
    shape: ClassVar = (72, 8)  # groups of bits

    alpha: int = between(2, 1, 4)
    scale: int = between(1, 0, 4)

    def values(self, image: Image) -> NDArray[np.bool_]:
        """Return the bits."""
        library = needed("cv2", self.base).img_hash
        code = library.marrHildrethHash(_bgr(image), alpha=float(self.alpha), scale=float(self.scale))
        return np.unpackbits(code).astype(np.bool_).reshape(self.shape)


@dataclass(kw_only=True, eq=False, repr=False)
class BlockMean(BitHash):
    """The block mean hash: whether the mean of each of 16 x 16 grey blocks is above the median of the means.

    Turned forms follow from the row: of photographs on average at least 99.9 % of the bits are those of the turned
    picture's own hash.

    Attributes:
        mode: 0 for 256 blocks side by side, 1 for 961 that overlap by half.

    Reference:
        Yang, Gu & Niu, "Block mean value based image perceptual hashing", 2006; OpenCV's img_hash.

    Example:
        >>> BlockMean().bits, BlockMean(mode=1).bits, BlockMean(mode=1).dimension
        (256, 961, 121)
    """

    base: ClassVar = "blockmean"
    label = "block mean"
    recipe: ClassVar = "blockmean of OpenCV, mode {mode}"
    packages: ClassVar = ("cv2",)

    mode: int = between(0, 0, 1)

    @property
    def shape(self) -> tuple[int, ...]:
        """Blocks."""
        return _SIDES[self.mode], _SIDES[self.mode]

    def values(self, image: Image) -> NDArray[np.bool_]:
        """Return which blocks are above the median."""
        code = needed("cv2", self.base).img_hash.blockMeanHash(_bgr(image), mode=self.mode)
        bits = np.unpackbits(code.ravel(), count=self.bits, bitorder="little")
        return bits.astype(np.bool_).reshape(self.shape)

    def turn(self, values: NDArray[Any], isometry: Isometry) -> NDArray[Any]:
        """Return the blocks moved."""
        return turn_grid(values, isometry)


@dataclass(kw_only=True, eq=False, repr=False)
class ColourMoments(FloatHash):
    """The colour moments: seven Hu moments of each channel of HSV and YCrCb, times 10,000, compared by l2.

    With that factor l2 is what OpenCV's own comparison gives. Hu moments hardly change under a rotation, and all but
    the seventh not at all under a flip; turned forms need the picture nevertheless, for the rounding of its resize.

    Reference:
        Tang, Dai & Zhang, "Perceptual hashing for color images using invariant moments", 2012; OpenCV's img_hash.

    Example:
        >>> ColourMoments().dimension
        42
    """

    base: ClassVar = "colour_moments"
    label = "colour moments"
    recipe: ClassVar = "colour_moments of OpenCV, x 10000"
    packages: ClassVar = ("cv2",)
    shape: ClassVar = (6, 7)  # moments of each channel
    metric = "l2"

    def values(self, image: Image) -> NDArray[np.float64]:
        """Return the moments."""
        moments = needed("cv2", self.base).img_hash.colorMomentHash(_bgr(image))
        scaled: NDArray[np.float64] = moments.reshape(self.shape) * 1e4
        return scaled


def _bgr(image: Image) -> NDArray[np.uint8]:
    """Return the pixels in OpenCV's order."""
    return np.ascontiguousarray(np.asarray(image)[:, :, ::-1])
