"""An extractor that takes its time, in processes that tests send signals to."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from tests.fake import FakeExtractor


class Slow(FakeExtractor):
    """A tenth of a second a batch; the file that TOLD names tells that some are done."""

    batches = 0

    def embed_pixels(self, pixels: Any) -> Any:
        Slow.batches += 1
        if Slow.batches == 4 and "TOLD" in os.environ:
            Path(os.environ["TOLD"]).touch()
        time.sleep(0.1)
        return super().embed_pixels(pixels)
