"""The wavelet hash, 64 bits by default, as the paper's benchmark ran it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import InputError
from simsearch.extract.hashes.base import BitHash, between, needed, one_of
from simsearch.extract.hashes.isometry import Isometry, turn_grid

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(kw_only=True, eq=False, repr=False)
class WHash(BitHash):
    """The wavelet hash: whether a coefficient of the 8 x 8 approximation is above their median.

    The grey picture is first squashed to `scale` x `scale`, by default the largest power of two that is not above its
    shorter side. With Haar wavelets the approximation is the sums of equal blocks, whatever the number of levels and
    whether or not the coarsest one is removed (that subtracts one constant, and so moves the median too): the bits are
    those of ImageHash but for ties with the median, which rounding decides there. Other wavelets ask for a `scale` and
    give more bits than size x size, since they reach over the border.

    Turned forms follow from the row with Haar wavelets: of photographs on average at least 99.5 % of the bits are
    those of the turned picture's own hash.

    Reference:
        Petrov, "Wavelet image hash in Python", 2016; the ImageHash library.

    Example:
        >>> from PIL import Image
        >>> WHash().rows([Image.linear_gradient("L").convert("RGB")])
        array([[  0,   0,   0,   0, 255, 255, 255, 255]], dtype=uint8)
    """

    base: ClassVar = "whash"
    label = "wHash"
    recipe: ClassVar = "whash {size}x{size} from {scale} (0: power of two), {mode}, PIL luma, Lanczos, > median"

    size: int = between(8, 2, 64)
    scale: int = between(0, 0, 2048)
    mode: str = one_of("haar", "db4")

    def __post_init__(self) -> None:
        """Raise InputError for sizes that are no powers of two and DependencyMissing without PyWavelets for db4."""
        super().__post_init__()
        if any(value & (value - 1) for value in (self.size, self.scale)) or 0 < self.scale < self.size:
            raise InputError(f"whash: size={self.size} and scale={self.scale} must be powers of two, the size smaller")
        if self.mode != "haar":
            if not self.scale:
                raise InputError(f"whash: {self.mode} gives a length that depends on the scale; add one: scale=256")
            for package in ("imagehash", "pywt"):
                needed(package, self.base)

    @property
    def shape(self) -> tuple[int, ...]:
        """Places of the approximation."""
        if self.mode == "haar":
            return self.size, self.size
        side, levels = self.scale, (self.scale // self.size).bit_length() - 1
        filter_length = 8  # of db4
        for _ in range(levels):
            side = (side + filter_length - 1) // 2
        return side, side

    def values(self, image: Image) -> NDArray[np.bool_]:
        """Return which coefficients of the approximation are above the median."""
        if self.mode != "haar":
            library = needed("imagehash", self.base)
            bits: NDArray[np.bool_] = library.whash(image, self.size, self.scale, self.mode).hash
            return bits
        scale = self.scale or max(1 << (min(image.size).bit_length() - 1), self.size)
        from PIL.Image import Resampling

        pixels = np.asarray(image.convert("L").resize((scale, scale), Resampling.LANCZOS))
        side = scale // self.size
        sums = pixels.reshape(self.size, side, self.size, side).sum(axis=(1, 3), dtype=np.int64)  # (size, size)
        above: NDArray[np.bool_] = sums > np.median(sums)
        return above

    def turn(self, values: NDArray[Any], isometry: Isometry) -> NDArray[Any] | None:
        """Return the places moved, which longer wavelets than Haar's do not allow."""
        return turn_grid(values, isometry) if self.mode == "haar" else super().turn(values, isometry)
