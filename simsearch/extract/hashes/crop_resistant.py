"""The crop-resistant hash: one difference hash for each bright and dark region of a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFilter
from PIL.Image import Resampling
from scipy import ndimage

from simsearch.extract.extractor import SeveralExtractor
from simsearch.extract.hashes.base import between, identify
from simsearch.images.preprocess import Preprocessing

if TYPE_CHECKING:
    from PIL.Image import Image

_SIDE = 300  # the picture is segmented at this size, whatever its own
_BRIGHT = 128
_LEAST = 500  # regions of more pixels are hashed

Box = tuple[int, int, int, int]


@dataclass(kw_only=True, eq=False, repr=False)
class CropResistant(SeveralExtractor):
    """Difference hashes of the bounding boxes of a picture's bright and dark regions, or of all of it if none is large.

    The rows are those of ImageHash's `crop_resistant_hash`, in its order, with regions found by connected components.

    Attributes:
        size: Side of a region's hash, size x size bits.
        cutoff: How many regions have to match, as `Extractor.cutoff`.

    Reference:
        Steinebach, Liu & Yannikos, "Efficient cropping-resistant robust image hashing", 2014; the ImageHash library.

    Example:
        >>> from PIL import Image
        >>> CropResistant().parts([Image.linear_gradient("L").rotate(90).convert("RGB")])
        [array([[255, 255, 255, 255, 255, 255, 255, 255],
               [255, 255, 255, 255, 255, 255, 255, 255]], dtype=uint8)]
    """

    base: ClassVar = "crop_resistant"
    label = "crop-resistant"
    recipe: ClassVar = (
        f"crop_resistant {_SIDE} {_BRIGHT} {_LEAST}, dhash {{size}}x{{size}}, cutoff {{cutoff}}, PIL luma, Lanczos"
    )
    kind = "hash"
    non_negative = True
    metric = "hamming"
    preprocessing = Preprocessing(512, "squash", 512, "lanczos", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

    size: int = between(8, 2, _SIDE)
    cutoff: int = between(1, 1, _SIDE)

    def __post_init__(self) -> None:
        """Raise InputError for a parameter out of range."""
        identify(self)
        self.dimension = -(-self.bits // 8)

    @property
    def bits(self) -> int:
        """The number of bits in a hash; zeros fill its last byte."""
        return self.size * self.size

    def parts(self, images: Sequence[Image]) -> list[NDArray[np.uint8]]:
        """Return the hashes of each RGB PIL image: arrays (p_i, b) uint8, bright regions first; p_i is at least 1."""
        return [self._hashes(image.convert("L")) for image in images]

    def runtime(self) -> dict[str, str]:
        """Return the version of Pillow, which resizes and blurs."""
        import PIL

        return {"pillow": PIL.__version__}

    def _hashes(self, grey: Image) -> NDArray[np.uint8]:
        bits = []
        for box in _boxes(grey):
            small = grey.crop(box).resize((self.size + 1, self.size), Resampling.LANCZOS)
            pixels = np.asarray(small)
            bits.append((pixels[:, 1:] > pixels[:, :-1]).ravel())
        return np.packbits(bits, axis=1)


def _boxes(grey: Image) -> list[Box]:
    """Return the boxes of a grey picture's regions."""
    small = grey.resize((_SIDE, _SIDE), Resampling.LANCZOS).filter(ImageFilter.GaussianBlur())
    bright = _majority(np.asarray(small) > _BRIGHT)
    return [_box(place, grey.size) for place in _segments(bright)] or [(0, 0, *grey.size)]


def _majority(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the majority of each 3 x 3 square: the median filter of a thresholded picture."""
    padded = np.pad(mask, 1, mode="edge").astype(np.uint8)
    lines = padded[:-2] + padded[1:-1] + padded[2:]
    most: NDArray[np.bool_] = lines[:, :-2] + lines[:, 1:-1] + lines[:, 2:] >= 5
    return most


def _segments(bright: NDArray[np.bool_]) -> Iterator[tuple[slice, ...]]:
    """Yield the bounding boxes of the large regions: bright ones first, each kind in the order of their first pixels.

    ImageHash stops as soon as the pixels that it has assigned, and those of the border around the picture, which it
    counts too, are as many as the picture has; so it never sees dark regions among the last ones. Regions of a
    single pixel are not counted.
    """
    assigned = 2 * sum(bright.shape)
    for mask in (bright, ~bright):
        labels, _ = ndimage.label(mask)
        sizes = np.bincount(labels.ravel())[1:]
        counted = np.where(sizes > 1, sizes, 0)
        before = assigned + np.cumsum(counted) - counted
        assigned += int(counted.sum())
        seen = (before < bright.size) | (mask is bright)
        places = ndimage.find_objects(labels)
        yield from (places[i] for i in np.flatnonzero(seen & (sizes > _LEAST)))


def _box(place: tuple[slice, ...], size: tuple[int, int]) -> Box:
    """Return a box of the small picture in one of that size, rounded as Pillow rounds and never empty."""
    sides = []
    for line, length in zip(reversed(place), size, strict=True):
        scale = float(length) / _SIDE
        start = min(round(line.start * scale), length - 1)
        sides.append((start, max(round(line.stop * scale), start + 1)))
    (left, right), (top, bottom) = sides
    return left, top, right, bottom
