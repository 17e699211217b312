"""An index run that waits in the middle of the work: the test of interruption sends it a signal there."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from simsearch.cli import main
from tests.fake import FakeExtractor


class Slow(FakeExtractor):
    """Waits after the first batch."""

    batches = 0

    def embed_pixels(self, pixels: Any) -> Any:
        Slow.batches += 1
        if Slow.batches > 1:
            (Path(sys.argv[2]) / "embedding").touch()
            time.sleep(60)
        return super().embed_pixels(pixels)


if __name__ == "__main__":
    sys.modules["tests.cli.slow_index"] = sys.modules["__main__"]
    arguments = ["index", sys.argv[1], "--library", sys.argv[2], "--model", "tests.cli.slow_index:Slow"]
    sys.exit(main([*arguments, "--batch-size", "2", "--workers", "0"]))
