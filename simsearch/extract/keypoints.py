"""Keypoint methods of OpenCV as extractors: for each image the descriptors of its strongest points, or none."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import InputError
from simsearch.extract.extractor import SeveralExtractor
from simsearch.extract.hashes.base import canonical_name, needed
from simsearch.images.preprocess import Preprocessing

if TYPE_CHECKING:
    from PIL.Image import Image

_COUNT, _CUTOFF = 30, 1  # those of the paper
_MOST = 100_000


class Keypoints(SeveralExtractor):
    """Descriptors of the points that a detector finds in the whole grey picture, at its own size.

    A picture without texture, or smaller than a descriptor's window, has none. Where responses tie, OpenCV gives a few
    more than asked for.

    Attributes:
        base: Name without parameters.
        recipe: How points are found and described; the fingerprint is the SHA-256 of this and the parameters.
    """

    kind = "keypoints"
    base: ClassVar[str]
    recipe: ClassVar[str]
    preprocessing = Preprocessing(1024, "squash", 1024, "lanczos", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

    def __init__(self, *, count: int = _COUNT, cutoff: int = _CUTOFF) -> None:
        """Take the parameters.

        Args:
            count: Points kept of an image, the strongest.
            cutoff: How many of them have to match, as `Extractor.cutoff`.

        Raises:
            InputError: a parameter is out of range.
            DependencyMissing: OpenCV with its contrib modules is not installed.
        """
        self.count, self.cutoff = (_checked(self.base, key, v) for key, v in (("count", count), ("cutoff", cutoff)))
        defaults = {"count": _COUNT, "cutoff": _CUTOFF}
        given = {"count": count, "cutoff": cutoff}
        self.name = canonical_name(self.base, {key: v for key, v in given.items() if v != defaults[key]})
        text = f"{self.recipe}, PIL luma, OpenCV defaults, count {count}, cutoff {cutoff}"
        self.fingerprint = hashlib.sha256(text.encode()).hexdigest()
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
        """The versions of OpenCV and of Pillow, which makes the picture grey."""
        import PIL

        return {"opencv": str(_opencv(self.base).__version__), "pillow": PIL.__version__}

    @abstractmethod
    def _describe(self, cv2: Any, grey: NDArray[np.uint8]) -> NDArray[Any] | None:
        """The descriptors (p, d) of a grey picture (h, w), or None."""

    def _corners(self, cv2: Any, grey: NDArray[np.uint8]) -> Any:
        """The points of the ORB detector."""
        return cv2.ORB_create(nfeatures=self.count).detect(grey)


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
    recipe = "SIFT"
    dimension = 128
    non_negative = True
    metric = "l2"

    def _describe(self, cv2: Any, grey: NDArray[np.uint8]) -> NDArray[Any] | None:
        found: NDArray[Any] | None = cv2.SIFT_create(nfeatures=self.count).detectAndCompute(grey, None)[1]
        return found


class Orb(Keypoints):
    """Oriented corners, each with 256 comparisons of smoothed pixels.

    Reference:
        Rublee, Rabaud, Konolige & Bradski, "ORB: an efficient alternative to SIFT or SURF", 2011.
    """

    base = "orb"
    label = "ORB"
    recipe = "ORB"
    dimension = 32
    non_negative = True
    metric = "hamming"

    def _describe(self, cv2: Any, grey: NDArray[np.uint8]) -> NDArray[Any] | None:
        found: NDArray[Any] | None = cv2.ORB_create(nfeatures=self.count).detectAndCompute(grey, None)[1]
        return found


class Daisy(Keypoints):
    """ORB's corners, each with 25 histograms of gradients in rings: 200 floats.

    OpenCV smooths the whole picture many times over for it: about 130 bytes of memory a pixel.

    Reference:
        Tola, Lepetit & Fua, "DAISY: an efficient dense descriptor applied to wide-baseline stereo", 2010.
    """

    base = "daisy"
    label = "DAISY"
    recipe = "DAISY on ORB's corners"
    dimension = 200
    non_negative = True
    metric = "l2"

    def _describe(self, cv2: Any, grey: NDArray[np.uint8]) -> NDArray[Any] | None:
        found: NDArray[Any] | None = cv2.xfeatures2d.DAISY_create().compute(grey, self._corners(cv2, grey))[1]
        return found


class Latch(Keypoints):
    """ORB's corners, each with 256 comparisons of three patches.

    Reference:
        Levi & Hassner, "LATCH: learned arrangements of three patch codes", 2016.
    """

    base = "latch"
    label = "LATCH"
    recipe = "LATCH on ORB's corners"
    dimension = 32
    non_negative = True
    metric = "hamming"

    def _describe(self, cv2: Any, grey: NDArray[np.uint8]) -> NDArray[Any] | None:
        found: NDArray[Any] | None = cv2.xfeatures2d.LATCH_create().compute(grey, self._corners(cv2, grey))[1]
        return found


def _checked(base: str, key: str, value: int) -> int:
    if type(value) is not int or not 1 <= value <= _MOST:
        raise InputError(f"{base}: {key}={value!r} must be a whole number from 1 to {_MOST}")
    return value


def _opencv(who: str) -> Any:
    """OpenCV, on one thread in this process: what it finds shall not depend on threads, and workers are many."""
    cv2 = needed("cv2", who)
    cv2.setNumThreads(1)
    return cv2
