"""Paging out loses nothing, and takes what was read of a file out of memory."""

from __future__ import annotations

import mmap
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from simsearch.runtime.files import page_out


def resident(path: Path) -> int:
    """KiB of a file that are mapped and in memory."""
    total, here = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match("[0-9a-f]+-", line):
            here = line.endswith(str(path))
        elif here and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="done on Linux alone")
def test_what_was_read_of_a_file_leaves_memory_and_is_there_again(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, 1 << 21, np.uint8)
    with (tmp_path / "values.npy").open("wb") as file:
        np.save(file, values)
        file.flush()
        os.fsync(file.fileno())  # what is not on the disk yet stays
    mapped = np.load(tmp_path / "values.npy", mmap_mode="r")
    assert int(mapped.sum()) == int(values.sum())
    before = resident(tmp_path / "values.npy")
    page_out([mapped])
    assert resident(tmp_path / "values.npy") < before / 4
    assert np.array_equal(mapped, values)


@pytest.mark.parametrize("length", [0, 1, mmap.PAGESIZE - 1, 3 * mmap.PAGESIZE + 7])
def test_nothing_is_lost_of_memory_of_our_own(length: int) -> None:
    values = np.random.default_rng(length).integers(0, 256, length, np.uint8)
    kept = values.tobytes()
    page_out([values, values[:0]])
    assert values.tobytes() == kept
