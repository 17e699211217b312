"""The paper's and the peers' protocols."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simsearch.benchmark.paper import Protocol as Protocol
    from simsearch.benchmark.paper import run_paper as run_paper
    from simsearch.benchmark.paper_result import PaperResult as PaperResult
    from simsearch.benchmark.results import Results as Results
    from simsearch.benchmark.right_image import right_image_first as right_image_first
    from simsearch.benchmark.run import run_benchmark as run_benchmark
    from simsearch.benchmark.settings import Settings as Settings

_HOMES = {
    "PaperResult": "paper_result",
    "Protocol": "paper",
    "Results": "results",
    "Settings": "settings",
    "right_image_first": "right_image",
    "run_benchmark": "run",
    "run_paper": "paper",
}
__all__ = ["PaperResult", "Protocol", "Results", "Settings", "right_image_first", "run_benchmark", "run_paper"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'simsearch.benchmark' has no attribute {name!r}")
    return getattr(importlib.import_module(f"simsearch.benchmark.{_HOMES[name]}"), name)
