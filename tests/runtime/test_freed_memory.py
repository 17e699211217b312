"""Freed memory is kept for the next batch, unless the environment says what the C library does with it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

PAGES = """
import resource, sys
import numpy as np
from simsearch.runtime.cpu import keep_freed_memory
print(keep_freed_memory() if sys.argv[1] == "keep" else None)
np.ones(5 << 20)  # 40 MiB
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(5 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES" and not name.startswith("MALLOC_")
}


def faults(how: str, **more: str) -> tuple[str, int]:
    command = [sys.executable, "-c", PAGES, how]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**ENVIRONMENT, **more})
    told, count = done.stdout.split()
    return told, int(count)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep freed memory")
def test_kept_memory_is_not_cleared_again() -> None:
    told, count = faults("keep")
    _, plain = faults("leave")
    assert told == "True"
    assert plain > 10
    assert count < plain / 5


@pytest.mark.parametrize("name", ["GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_"])
def test_what_the_environment_sets_stays(name: str) -> None:
    value = "glibc.malloc.trim_threshold=1000000" if name == "GLIBC_TUNABLES" else "1000000"
    assert faults("keep", **{name: value})[0] == "False"
