"""What the processor can do that compiled loops are made for, as far as numba is set to use it."""

from __future__ import annotations

import os
from functools import cache
from typing import Any


@cache
def features() -> frozenset[str]:
    """Names of the instruction sets, as LLVM calls them; none where numba compiles nothing.

    The settings of numba count (NUMBA_DISABLE_JIT, NUMBA_CPU_NAME, NUMBA_CPU_FEATURES, NUMBA_ENABLE_AVX).
    """
    from numba.core import codegen, config

    numba: Any = config
    if numba.DISABLE_JIT:
        return frozenset()
    told: str | None = numba.CPU_FEATURES
    if told is None:
        host: Any = codegen.get_host_cpu_features
        told = host() if numba.CPU_NAME in (None, "host") else ""
    return frozenset(name[1:] for name in told.split(",") if name.startswith("+"))


def default_workers() -> int:
    """Return one decoding process for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
