"""The processor's instruction sets, as far as numba is set to use them, its cores, and its memory: left, and kept."""

from __future__ import annotations

import ctypes
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # of <malloc.h>
_BLOCK, _KEPT = 64 << 20, 256 << 20
_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


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


def available_memory() -> int | None:
    """Return the bytes that can be taken without swapping: free, or held by caches; None where that is not known.

    A limit of the process's control group, as containers have one, counts too.
    """
    found = re.search(r"^MemAvailable:\s+(\d+) kB", _text(_MEMINFO), re.MULTILINE)
    free = None if found is None else 1024 * int(found.group(1))
    limit, used = _text(_GROUP / "memory.max").strip(), _text(_GROUP / "memory.current").strip()
    if limit.isdecimal() and used.isdecimal():
        cached = re.search(r"^inactive_file (\d+)", _text(_GROUP / "memory.stat"), re.MULTILINE)
        left = int(limit) - int(used) + (int(cached.group(1)) if cached else 0)
        return left if free is None else min(free, left)
    return free


def keep_freed_memory(*, block: int = _BLOCK, kept: int = _KEPT) -> bool:
    """Have the C library keep freed memory for the next batch, as far as it is glibc, and return whether it does.

    By default it gives back each large block at once, and the kernel clears the pages of the next one anew, for
    which a network on the CPU waits. What the environment sets (GLIBC_TUNABLES, MALLOC_*_) stays.

    Args:
        block: Bytes of the largest block that is kept.
        kept: Bytes that are kept at most where the end of memory is free.
    """
    if "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "") or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return False
    return bool(set_option(_MMAP_THRESHOLD, block) and set_option(_TRIM_THRESHOLD, kept))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""
