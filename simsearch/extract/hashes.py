"""Perceptual hashes as extractors: packed bits, compared by hamming."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import DependencyMissing
from simsearch.extract.extractor import Extractor
from simsearch.images.preprocess import Preprocessing

if TYPE_CHECKING:
    from PIL.Image import Image

_SIDE = 8  # 8 x 8 comparisons: 64 bits


class DHash(Extractor):
    """The difference hash: 64 bits, each whether a grey pixel of a 9 x 8 thumbnail is darker than its right neighbour.

    The hash does its own resizing from the whole image; `preprocessing` matters only to callers who have pixels already
    and is large enough to change few bits.

    Reference:
        Krawetz, "Kind of like that", 2013; the ImageHash library.

    Example:
        >>> from PIL import Image
        >>> DHash().rows([Image.linear_gradient("L").rotate(90).convert("RGB")])
        array([[255, 255, 255, 255, 255, 255, 255, 255]], dtype=uint8)
    """

    name = "dhash"
    fingerprint = hashlib.sha256(f"dhash {_SIDE}x{_SIDE} horizontal, PIL luma, Lanczos".encode()).hexdigest()
    dimension = _SIDE * _SIDE // 8
    non_negative = True
    metric = "hamming"
    preprocessing = Preprocessing(512, "squash", 512, "lanczos", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

    def __init__(self) -> None:
        """Raises DependencyMissing when ImageHash is not installed."""
        try:
            self._library: Any = importlib.import_module("imagehash")
        except ImportError as error:
            raise DependencyMissing('dHash needs ImageHash: pip install "simsearch[benchmark]"') from error

    def rows(self, images: Sequence[Image]) -> NDArray[np.uint8]:
        """One hash for each RGB PIL image: (n, 8) uint8."""
        out = np.empty((len(images), self.dimension), np.uint8)
        for i, image in enumerate(images):
            out[i] = np.packbits(self._library.dhash(image, _SIDE).hash.ravel())
        return out

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """One hash for each image of (n, s, s, 3) uint8: (n, 8) uint8."""
        import PIL.Image

        return self.rows([PIL.Image.fromarray(image) for image in pixels])

    def runtime(self) -> dict[str, str]:
        """The version of ImageHash."""
        return {"imagehash": str(self._library.__version__)}
