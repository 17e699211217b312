"""The difference hash, 64 bits by default, as the paper's benchmark ran it."""

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
class DHash(BitHash):
    """The difference hash: whether a grey pixel of a 9 x 8 thumbnail is darker than its right neighbour.

    Flips and the half turn follow from the row: top to bottom the lines change places; left to right a line is
    reversed and complemented, which is wrong only where neighbours are equal. Of photographs on average at least 95 %
    of the bits are those of the turned picture's own hash. A quarter turn needs the differences between lines, which
    the row does not have.

    Reference:
        Krawetz, "Kind of like that", 2013; the ImageHash library.

    Example:
        >>> from PIL import Image
        >>> DHash().rows([Image.linear_gradient("L").rotate(90).convert("RGB")])
        array([[255, 255, 255, 255, 255, 255, 255, 255]], dtype=uint8)
    """

    base: ClassVar = "dhash"
    label = "dHash"
    recipe: ClassVar = "dhash {size}x{size} horizontal, PIL luma, Lanczos"
    packages: ClassVar = ("imagehash",)

    size: int = between(8, 2, 64)

    @property
    def shape(self) -> tuple[int, ...]:
        """Lines, and comparisons in each."""
        return self.size, self.size

    def values(self, image: Image) -> NDArray[np.bool_]:
        """Return which right neighbours are brighter."""
        bits: NDArray[np.bool_] = needed("imagehash", self.base).dhash(image, self.size).hash
        return bits

    def turn(self, values: NDArray[Any], isometry: Isometry) -> NDArray[Any] | None:
        """Return the comparisons of the flipped picture, or None for a quarter turn."""
        transposed, _, mirrored = isometry.value
        return None if transposed else turn_grid(values, isometry) ^ mirrored
