"""Keypoint methods of OpenCV as extractors: for each image the descriptors of its strongest points, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simsearch.extract.extractor import SeveralExtractor
from simsearch.extract.hashes.base import between, identify, needed
from simsearch.images.preprocess import Preprocessing

if TYPE_CHECKING:
    from PIL.Image import Image

_WITH = ", PIL luma, OpenCV defaults, count {count}, cutoff {cutoff}"
_MOST = 100_000


@dataclass(kw_only=True, eq=False, repr=False)
class Keypoints(SeveralExtractor):
    """Descriptors of the points that a detector finds in the whole grey picture, at its own size.

    A picture without texture, or smaller than a descriptor's window, has none. Where responses tie, OpenCV gives a few
    more than asked for.

    Attributes:
        base: Name without parameters.
        recipe: How points are found and described, each parameter in braces; the fingerprint is its SHA-256.
        maker: OpenCV's name for what describes them.
        count: Points kept of an image, the strongest.
        cutoff: How many of them have to match, as `Extractor.cutoff`.
    """

    kind = "keypoints"
    base: ClassVar[str]
    recipe: ClassVar[str]
    maker: ClassVar[str]
    preprocessing = Preprocessing(1024, "squash", 1024, "lanczos", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

    count: int = between(30, 1, _MOST)  # this and the next: those of the paper
    cutoff: int = between(1, 1, _MOST)

    def __post_init__(self) -> None:
        """Raise InputError for a parameter out of range, DependencyMissing without OpenCV's contrib modules."""
        identify(self)
        _opencv(self.base)

    def parts(self, images: Sequence[Image]) -> list[NDArray[Any]]:
        """Return the descriptors of each RGB PIL image: arrays (p_i, d), most often p_i = `count`."""
        cv2 = _opencv(self.base)
        none = np.empty((0, self.dimension), np.uint8 if self.gives_codes else np.float32)
        out = []
        for image in images:
            grey = np.asarray(image.convert("L"))
            # OpenCV's pyramid cannot halve a line of single pixels.
            found = self._describe(cv2, grey) if min(grey.shape) > 1 else None
            out.append(none if found is None else found)
        return out

    def runtime(self) -> dict[str, str]:
        """Return the versions of OpenCV and of Pillow, which makes the picture grey."""
        import PIL

        return {"opencv": str(_opencv(self.base).__version__), "pillow": PIL.__version__}

    def _describe(self, cv2: Any, grey: NDArray[np.uint8]) -> NDArray[Any] | None:
        """Return the descriptors (p, d) of a grey picture (h, w), or None."""
        found: NDArray[Any] | None = getattr(cv2, self.maker)(nfeatures=self.count).detectAndCompute(grey, None)[1]
        return found


class AtCorners(Keypoints):
    """Descriptors of what stands at the corners that ORB's detector finds."""

    def _describe(self, cv2: Any, grey: NDArray[np.uint8]) -> NDArray[Any] | None:
        corners = cv2.ORB_create(nfeatures=self.count).detect(grey)
        found: NDArray[Any] | None = getattr(cv2.xfeatures2d, self.maker)().compute(grey, corners)[1]
        return found


class Sift(Keypoints):
    """Histograms of gradients around extrema of scale space: 128 floats with whole values from 0 to 255.

    Scale space starts at twice the picture's size: about 220 bytes of memory a pixel.

    Reference:
        Lowe, "Distinctive image features from scale-invariant keypoints", 2004.

    Example:
        >>> from PIL import Image
        >>> Sift(count=100).name, Sift().parts([Image.new("RGB", (64, 64))])[0].shape
        ('sift(count=100)', (0, 128))
    """

    base = "sift"
    label = "SIFT"
    recipe = "SIFT" + _WITH
    maker = "SIFT_create"
    dimension = 128
    non_negative = True
    metric = "l2"


class Orb(Keypoints):
    """Oriented corners, each with 256 comparisons of smoothed pixels.

    Reference:
        Rublee, Rabaud, Konolige & Bradski, "ORB: an efficient alternative to SIFT or SURF", 2011.
    """

    base = "orb"
    label = "ORB"
    recipe = "ORB" + _WITH
    maker = "ORB_create"
    dimension = 32
    non_negative = True
    metric = "hamming"


class Daisy(AtCorners):
    """ORB's corners, each with 25 histograms of gradients in rings: 200 floats.

    OpenCV smooths the whole picture many times over for it: about 130 bytes of memory a pixel.

    Reference:
        Tola, Lepetit & Fua, "DAISY: an efficient dense descriptor applied to wide-baseline stereo", 2010.
    """

    base = "daisy"
    label = "DAISY"
    recipe = "DAISY on ORB's corners" + _WITH
    maker = "DAISY_create"
    dimension = 200
    non_negative = True
    metric = "l2"


class Latch(AtCorners):
    """ORB's corners, each with 256 comparisons of three patches.

    Reference:
        Levi & Hassner, "LATCH: learned arrangements of three patch codes", 2016.
    """

    base = "latch"
    label = "LATCH"
    recipe = "LATCH on ORB's corners" + _WITH
    maker = "LATCH_create"
    dimension = 32
    non_negative = True
    metric = "hamming"


def _opencv(who: str) -> Any:
    """Return OpenCV, on one thread in this process: what it finds shall not depend on threads, and workers are many."""
    cv2 = needed("cv2", who)
    cv2.setNumThreads(1)
    return cv2
