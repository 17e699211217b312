"""simsearch: deep image embeddings, their near-copies, and how far each match can be trusted.

Importing this package loads neither torch nor faiss: public names resolve on first use (PEP 562).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simsearch.extract import Extractor as Extractor
    from simsearch.extract import load_extractor as load_extractor
    from simsearch.library import Library as Library
    from simsearch.library import Matches as Matches

__version__ = "0.1.0"
__all__ = ["Extractor", "Library", "Matches", "__version__", "distance", "load_extractor"]

_HOMES = {
    "Extractor": "simsearch.extract",
    "Library": "simsearch.library",
    "Matches": "simsearch.library",
    "distance": "simsearch",
    "load_extractor": "simsearch.extract",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'simsearch' has no attribute {name!r}")
    if name == "distance":
        return importlib.import_module("simsearch.distance")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
