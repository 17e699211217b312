"""What an image is: find files, decode safely, preprocess, perturb.

The functions below are imported at once, not lazily: some share their name with their module, which a lazy lookup would
find instead. They need the standard library, numpy and Pillow only.
"""

from __future__ import annotations

from simsearch.images.colour import to_rgb
from simsearch.images.decode import Decoded, decode
from simsearch.images.find import find
from simsearch.images.limits import Limits
from simsearch.images.preprocess import Preprocessing
from simsearch.images.quality import quality
from simsearch.images.rejected import Rejected
from simsearch.images.source import Source, load_bytes

__all__ = [
    "Decoded",
    "Limits",
    "Preprocessing",
    "Rejected",
    "Source",
    "decode",
    "find",
    "load_bytes",
    "quality",
    "to_rgb",
]
