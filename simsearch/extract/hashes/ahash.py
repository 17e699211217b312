"""The average hash, 64 bits by default, as the paper's benchmark ran it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simsearch.extract.hashes.base import BitHash, between, needed
from simsearch.extract.hashes.isometry import Isometry, turn_grid

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(kw_only=True, eq=False, repr=False)
class AHash(BitHash):
    """The average hash: whether a grey pixel of an 8 x 8 thumbnail is brighter than their mean.

    Turned forms follow from the row: of photographs on average at least 99.5 % of the bits are those of the turned
    picture's own hash; the rest is the rounding of the resize.

    Reference:
        Krawetz, "Looks like it", 2011; the ImageHash library.

    Example:
        >>> from PIL import Image
        >>> AHash().rows([Image.linear_gradient("L").convert("RGB")])
        array([[  0,   0,   0,   0, 255, 255, 255, 255]], dtype=uint8)
    """

    base: ClassVar = "ahash"
    label = "aHash"
    recipe: ClassVar = "ahash {size}x{size}, PIL luma, Lanczos, pixel > mean"
    packages: ClassVar = ("imagehash",)

    size: int = between(8, 2, 64)

    @property
    def shape(self) -> tuple[int, ...]:
        """Places of the thumbnail."""
        return self.size, self.size

    def values(self, image: Image) -> NDArray[np.bool_]:
        """Return which pixels are brighter than the mean."""
        bits: NDArray[np.bool_] = needed("imagehash", self.base).average_hash(image, self.size).hash
        return bits

    def turn(self, values: NDArray[Any], isometry: Isometry) -> NDArray[Any]:
        """Return the places moved."""
        return turn_grid(values, isometry)
