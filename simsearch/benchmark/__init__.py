"""Benchmarks by the protocols of the paper and its peers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsearch._lazy import attach

if TYPE_CHECKING:
    from simsearch.benchmark.results import Results as Results
    from simsearch.benchmark.run import run_benchmark as run_benchmark
    from simsearch.benchmark.settings import Settings as Settings

attach(__name__, {"Results": "results", "Settings": "settings", "run_benchmark": "run"})
