"""What is kept on disk: segments, channels, manifest; add, remove, search, verify."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simsearch.library.info import LibraryInfo as LibraryInfo
    from simsearch.library.library import Library as Library
    from simsearch.library.matches import Match as Match
    from simsearch.library.matches import Matches as Matches
    from simsearch.library.matches import QueryMatches as QueryMatches
    from simsearch.library.report import AddReport as AddReport
    from simsearch.library.report import AddSettings as AddSettings
    from simsearch.library.report import Progress as Progress
    from simsearch.library.segment import write_segment as write_segment

_HOMES = {
    "AddReport": "report",
    "AddSettings": "report",
    "Library": "library",
    "LibraryInfo": "info",
    "Match": "matches",
    "Matches": "matches",
    "Progress": "report",
    "QueryMatches": "matches",
    "write_segment": "segment",
}
__all__ = [
    "AddReport",
    "AddSettings",
    "Library",
    "LibraryInfo",
    "Match",
    "Matches",
    "Progress",
    "QueryMatches",
    "write_segment",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'simsearch.library' has no attribute {name!r}")
    return getattr(importlib.import_module(f"simsearch.library.{_HOMES[name]}"), name)
