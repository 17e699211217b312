"""What an image is: find files, decode safely, preprocess, perturb."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simsearch.images.decode import Decoded as Decoded
    from simsearch.images.decode import decode as decode
    from simsearch.images.decode import to_rgb as to_rgb
    from simsearch.images.find import find as find
    from simsearch.images.limits import Limits as Limits
    from simsearch.images.preprocess import Preprocessing as Preprocessing
    from simsearch.images.rejected import Rejected as Rejected
    from simsearch.images.source import Source as Source
    from simsearch.images.source import load_bytes as load_bytes
    from simsearch.images.workers import Prepared as Prepared
    from simsearch.images.workers import prepare as prepare

_HOMES = {
    "Decoded": "decode",
    "Limits": "limits",
    "Prepared": "workers",
    "Preprocessing": "preprocess",
    "Rejected": "rejected",
    "Source": "source",
    "decode": "decode",
    "find": "find",
    "load_bytes": "source",
    "prepare": "workers",
    "to_rgb": "colour",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'simsearch.images' has no attribute {name!r}")
    return getattr(importlib.import_module(f"simsearch.images.{_HOMES[name]}"), name)
