"""An extractor that takes its time, so that it can be killed at work."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.fake import FakeExtractor


class SlowExtractor(FakeExtractor):
    """The fake one's rows, a twentieth of a second each."""

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        time.sleep(0.05 * len(pixels))
        return super().embed_pixels(pixels)
