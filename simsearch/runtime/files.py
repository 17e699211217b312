"""Files that are there whole or not at all, what they hold, and where those of the package and of a user lie."""

from __future__ import annotations

import ctypes
import hashlib
import mmap
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PAGE_OUT = 21  # MADV_PAGEOUT of Linux

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder `simsearch`; beside it in a checkout, and inside it in a wheel, lie the models."""


@contextmanager
def published(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to; what was written has the real name, on disk, once no error ended the block."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync(place: Path) -> None:
    """Bring a file or folder onto the disk."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def user_cache() -> Path:
    """Return where this user's downloads are kept: below XDG_CACHE_HOME where that is set, else below ~/.cache.

    Here alone the environment is read for it, so that commands and Python find the same models.

    Reference: XDG Base Directory Specification; a relative folder is to be ignored.
    """
    return _told("XDG_CACHE_HOME", ".cache") / "simsearch"


def user_state() -> Path:
    """Return where this user's journals are kept: below XDG_STATE_HOME where that is set, else below ~/.local/state.

    Reference: XDG Base Directory Specification; a relative folder is to be ignored.
    """
    return _told("XDG_STATE_HOME", ".local/state") / "simsearch"


def user_data() -> Path:
    """Return where this user's trash and the like lie: XDG_DATA_HOME where that is set, else ~/.local/share."""
    return _told("XDG_DATA_HOME", ".local/share")


def _told(variable: str, usual: str) -> Path:
    told = os.environ.get(variable, "")
    return Path(told) if Path(told).is_absolute() else Path.home() / usual


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
