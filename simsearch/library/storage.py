"""Files that are whole or absent: flushed to disk, named errors when it is full, and steps that a test can stop at."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import LibraryDamaged, StorageFull

_FULL = (errno.ENOSPC, errno.EDQUOT)


class Step(StrEnum):
    """The moments of a write at which a crash must lose nothing."""

    SEGMENT_WRITTEN = "segment written"
    SEGMENT_RENAMED = "segment renamed"
    MANIFEST_COMMITTED = "manifest committed"
    MERGE_RENAMED = "merge renamed"
    MERGE_COMMITTED = "merge committed"
    RECOVERY = "during recovery"


OnStep = Callable[[Step], None]


def nothing(step: Step) -> None:
    """The default for `OnStep`: go on."""


@contextmanager
def naming_full_disk(place: Path) -> Iterator[None]:
    """Turn the ways in which a full disk shows itself into one error.

    Raises:
        StorageFull: the disk or the quota is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(_full_message(place)) from error
        raise
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise StorageFull(_full_message(place)) from error
        raise


def _full_message(place: Path) -> str:
    return f"no room left on the disk of {place}; what was committed is kept: make room and run the same command again"


def sync_file(path: Path) -> None:
    """Return once the bytes of the file are on the disk."""
    _sync(path, os.O_RDONLY)


def sync_folder(path: Path) -> None:
    """Return once the names in the folder are on the disk."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write an array as npy, without pickle, and flush it to disk."""
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())


def load_array(path: Path, dtype: type[np.generic]) -> NDArray[Any]:
    """Return an npy file as a read-only, memory-mapped array.

    Raises:
        LibraryDamaged: the file is no whole array of that dtype.
        FileNotFoundError: there is none.
    """
    try:
        mapped: Any = np.load(path, mmap_mode="r", allow_pickle=False)
        array: NDArray[Any] = mapped.view(np.ndarray)
        end = mapped.offset + array.nbytes
    except FileNotFoundError:
        raise
    except Exception as error:  # the header is parsed as Python is, which fails in many ways
        raise LibraryDamaged(f"{path} is no array of numbers: {_line(error)}; run `simsearch verify`") from error
    if array.dtype != dtype or not array.flags.c_contiguous or end != path.stat().st_size:
        raise LibraryDamaged(f"{path} is no whole array of {np.dtype(dtype)}; run `simsearch verify`")
    return array


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def digest(path: Path) -> str:
    """Return the SHA-256 of a file as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fault(path: Path, size: int, sha256: str, *, deep: bool) -> str | None:
    """Return what is wrong with a file that was written with this size and SHA-256; None for nothing.

    Args:
        path: The file.
        size: In bytes.
        sha256: In hex.
        deep: Read it whole; else only its size is looked at.
    """
    if not path.is_file():
        return f"{path} is missing"
    if path.stat().st_size != size:
        return f"{path} has {path.stat().st_size} bytes and was written with {size}"
    if deep and digest(path) != sha256:
        return f"{path} is not what was written: its SHA-256 differs"
    return None


def remove_folder(path: Path) -> None:
    """Remove a folder and all in it; one that is already gone is fine."""
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():
        shutil.rmtree(path)


def publish(temporary: Path, final: Path) -> None:
    """Give a finished folder its name, so that it is there whole or not at all, also after a power cut."""
    sync_folder(temporary)
    temporary.rename(final)
    sync_folder(final.parent)
