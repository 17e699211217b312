"""What an image is: find files, decode safely, preprocess, perturb.

The functions below are imported at once, not lazily: some share their name with their module, which a lazy lookup would
find instead. They need the standard library, numpy and Pillow only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simsearch.images.colour import to_rgb
from simsearch.images.decode import Decoded, decode
from simsearch.images.find import find
from simsearch.images.limits import Limits
from simsearch.images.preprocess import Preprocessing
from simsearch.images.quality import quality
from simsearch.images.rejected import Rejected
from simsearch.images.source import Source, load_bytes

if TYPE_CHECKING:
    from simsearch.images.prepared import Prepared as Prepared
    from simsearch.images.workers import prepare as prepare

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
    from simsearch.images import workers  # workers itself must not pay for what only their parent needs

    return getattr(workers, name)
