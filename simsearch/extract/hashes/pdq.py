"""PDQ, the hash that platforms exchange: 256 bits with a quality, or the coefficients behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simsearch.extract.hashes.base import BitHash, FloatHash, needed
from simsearch.extract.hashes.isometry import Isometry, turn_frequencies

if TYPE_CHECKING:
    from PIL.Image import Image

_ROUNDING = 1e-4  # of coefficients that are 0, in float32; one level of one pixel of a photograph makes 4e-3


@dataclass(kw_only=True, eq=False, repr=False)
class Pdq(BitHash):
    """PDQ: whether each of 16 x 16 cosine coefficients is above their median; 256 bits.

    The bits stand in the order in which PDQ is written, so that `bits_text.to_hex` gives the text that others exchange.
    Its authors match at 31 bits (distance 0.121) and set aside pictures of quality 49 or less.

    Turned forms follow from the row, since a turn exchanges coefficients and changes signs, but only roughly: PDQ takes
    every so many-th point of the blurred picture, which are not the same ones in the turned picture, and the median is
    not quite 0. Of photographs on average at least 92 % of the bits are those of the turned picture's own hash from
    768 pixels on, and at least 82 % at 192 pixels. `isometries(images, exact=True)` hashes the turned picture.

    Reference:
        Facebook, "PDQ & TMK + PDQF: a suite of photo and video hashes", 2019; the package pdqhash.

    Example:
        >>> from PIL import Image
        >>> rows, qualities = Pdq().with_quality([Image.new("RGB", (200, 100), "navy")])
        >>> rows.shape, qualities
        ((1, 32), array([0]))
    """

    base: ClassVar = "pdq"
    label = "PDQ"
    recipe: ClassVar = "pdq 256 bits, luma 0.299 0.587 0.114, two Jarosz passes to 64x64, DCT 1-16, > median"
    packages: ClassVar = ("pdqhash",)
    shape: ClassVar = (16, 16)  # frequencies 1 to 16 along each axis, both axes descending

    def values(self, image: Image) -> NDArray[np.bool_]:
        """Return which coefficients are above the median."""
        return self._with_quality(image)[0].reshape(self.shape)

    def with_quality(self, images: Sequence[Image]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return rows (n, 32) and qualities (n,), 0 to 100: how much the pictures have for a hash to tell apart."""
        pairs = [self._with_quality(image) for image in images]
        bits = np.stack([vector for vector, _ in pairs]) if pairs else np.empty((0, self.bits), np.bool_)
        return self._to_rows(bits), np.array([quality for _, quality in pairs], np.int64)

    def turn(self, values: NDArray[Any], isometry: Isometry) -> NDArray[Any]:
        """Return the coefficients exchanged, bits complemented where the sign changes."""
        return _turned(values, isometry)

    def _with_quality(self, image: Image) -> tuple[NDArray[np.bool_], int]:
        vector, quality = needed("pdqhash", self.base).compute(np.array(image))
        return vector.astype(np.bool_), quality


@dataclass(kw_only=True, eq=False, repr=False)
class PdqFloat(FloatHash):
    """The 16 x 16 cosine coefficients behind PDQ, compared by cosine: more contrast multiplies them all.

    The mean is not among them, so that more brightness leaves them alone; a flat picture has a row of zeros, which has
    no angle. Turned forms follow from the row, as roughly as for `Pdq`: of photographs the mean cosine distance from
    the turned picture's own row is below 0.01 from 768 pixels on, and below 0.04 at 192 pixels.

    Reference:
        Facebook, "PDQ & TMK + PDQF: a suite of photo and video hashes", 2019; the package pdqhash.

    Example:
        >>> PdqFloat().dimension
        256
    """

    base: ClassVar = "pdq_float"
    label = "PDQ float"
    recipe: ClassVar = "pdq_float 256, luma 0.299 0.587 0.114, two Jarosz passes to 64x64, DCT 1-16"
    packages: ClassVar = ("pdqhash",)
    shape: ClassVar = (16, 16)  # frequencies 1 to 16 along each axis, both axes descending
    metric = "cosine"

    def values(self, image: Image) -> NDArray[np.float64]:
        """Return the coefficients."""
        vector, _ = needed("pdqhash", self.base).compute_float(np.array(image))
        coefficients: NDArray[np.float64] = np.asarray(vector, np.float64).reshape(self.shape)
        coefficients[np.abs(coefficients) < _ROUNDING] = 0
        return coefficients

    def turn(self, values: NDArray[Any], isometry: Isometry) -> NDArray[Any]:
        """Return the coefficients exchanged, with their signs."""
        return _turned(values, isometry)


def _turned(values: NDArray[Any], isometry: Isometry) -> NDArray[Any]:
    ascending = values[:, ::-1, ::-1]
    return turn_frequencies(ascending, isometry, first=1)[:, ::-1, ::-1]
