"""Pages of files in memory that are not needed for now."""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Iterable
from typing import Any

from numpy.typing import NDArray

_PAGE_OUT = 21  # MADV_PAGEOUT of Linux


def page_out(arrays: Iterable[NDArray[Any]]) -> None:
    """Have the kernel take back the memory of contiguous arrays that are views of files; each is read again when used.

    Nothing is lost whatever the arrays are views of. Elsewhere than on Linux nothing is done.
    """
    if not sys.platform.startswith("linux"):
        return
    advise = ctypes.CDLL(None, use_errno=True).madvise
    for array in arrays:
        first = -(-array.ctypes.data // mmap.PAGESIZE) * mmap.PAGESIZE
        length = array.ctypes.data + array.nbytes - first
        if length > 0:
            advise(ctypes.c_void_p(first), ctypes.c_size_t(length), _PAGE_OUT)
