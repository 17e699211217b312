"""The processor's instruction sets, as far as numba is set to use them."""

from __future__ import annotations

import os
from functools import cache
from typing import Any


@cache
def features() -> frozenset[str]:
    """Return LLVM's names of the instruction sets; none where numba compiles nothing.

    The settings of numba count (NUMBA_DISABLE_JIT, NUMBA_CPU_NAME, NUMBA_CPU_FEATURES, NUMBA_ENABLE_AVX).
    """
    from numba.core import codegen, config

    numba: Any = config
    if numba.DISABLE_JIT:
        return frozenset()
    names: str | None = numba.CPU_FEATURES
    if names is None:
        host: Any = codegen.get_host_cpu_features
        names = host() if numba.CPU_NAME in (None, "host") else ""
    return frozenset(name[1:] for name in names.split(",") if name.startswith("+"))


def default_workers() -> int:
    """Return one decoding process for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
