"""What an image is: find files, decode safely, preprocess, perturb.

The functions below are imported at once, not lazily: some share their name with their module, which a lazy lookup would
find instead. They need the standard library, numpy and Pillow only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simsearch.images.decode import Decoded, decode
from simsearch.images.find import find
from simsearch.images.formats.colour import to_rgb
from simsearch.images.preprocess import Preprocessing
from simsearch.images.quality import quality
from simsearch.images.source import Limits, Rejected, Source, load_bytes

if TYPE_CHECKING:
    from simsearch.images.workers.pool import prepare as prepare
    from simsearch.images.workers.prepared import Prepared as Prepared

__all__ = [
    "Decoded",
    "Limits",
    "Prepared",
    "Preprocessing",
    "Rejected",
    "Source",
    "decode",
    "find",
    "load_bytes",
    "prepare",
    "quality",
    "to_rgb",
]


def __getattr__(name: str) -> Any:
    if name not in ("Prepared", "prepare"):
        raise AttributeError(f"module 'simsearch.images' has no attribute {name!r}")
    from simsearch.images.workers import pool

    return getattr(pool, name)
