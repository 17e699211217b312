"""The paper's and the peers' protocols."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simsearch.benchmark.results import Results as Results
    from simsearch.benchmark.run import run_benchmark as run_benchmark
    from simsearch.benchmark.settings import Settings as Settings

_HOMES = {
    "Results": "results",
    "Settings": "settings",
    "run_benchmark": "run",
}
__all__ = ["Results", "Settings", "run_benchmark"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'simsearch.benchmark' has no attribute {name!r}")
    return getattr(importlib.import_module(f"simsearch.benchmark.{_HOMES[name]}"), name)
