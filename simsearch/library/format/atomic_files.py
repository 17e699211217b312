"""Files that are whole or absent: flushed to disk, named errors when it is full, and steps that a test can stop at."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import IndexFailed, LibraryDamaged, StorageFull, first_line
from simsearch.library.format.layout import require_alone, require_file

HALF = ".half"
"""The suffix of a file that is being written."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NEEDED = 64 << 10  # SQLite's shared index takes 32 KiB at a time; with less room than this nothing can be written
_NO_ROOM = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}
_NOT_OURS = (errno.ELOOP, errno.ENXIO, errno.ENODEV)  # a link, a socket, a device without a driver


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
    """Do nothing: the default for `OnStep`."""


@contextmanager
def naming_full_disk(place: Path) -> Iterator[None]:
    """Turn the errors of a full disk into one.

    Raises:
        StorageFull: The disk or the quota is full.
    """
    try:
        yield
    except (OSError, sqlite3.OperationalError, IndexFailed) as error:
        if not _tells_full(error, place):
            raise
        raise StorageFull(
            f"no room left on the disk of {place}; what was committed is kept: make room and run the same command again"
        ) from error


def _tells_full(error: OSError | sqlite3.OperationalError | IndexFailed, place: Path) -> bool:
    if isinstance(error, OSError):
        return error.errno in _FULL
    code = sqlite_code(error) if isinstance(error, sqlite3.Error) else sqlite3.SQLITE_IOERR  # as little is said
    return code == sqlite3.SQLITE_FULL or (code in _NO_ROOM and not _has_room(place))


def sqlite_code(error: sqlite3.Error) -> int:
    """Return SQLite's own number of an error, without the details; 0 where Python found it."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _has_room(place: Path) -> bool:
    """Return whether a little can still be written; SQLite and FAISS only report a failure."""
    folder = place if place.is_dir() else place.parent
    try:
        free = os.statvfs(folder)
        if free.f_bavail * free.f_frsize < _NEEDED:
            return False
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:  # a quota shows only so
            file.write(bytes(_NEEDED))
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno not in _FULL
    return True


def sync(path: Path) -> None:
    """Return once the bytes of a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """Give one of the library's files, open for reading.

    Raises:
        LibraryDamaged: It is a link, or no regular file.
        FileNotFoundError: There is none.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _NOT_OURS:
            raise LibraryDamaged(f"{path} must be a file and is a link or something else; it was not read") from error
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise LibraryDamaged(f"{path} must be a file and is something else; it was not read")
        with open(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


@contextmanager
def mappable(path: Path) -> Iterator[str]:
    """Yield a path of the open file, for libraries that take neither descriptors nor arbitrary bytes.

    Raises:
        LibraryDamaged: It is a link, or no regular file.
        FileNotFoundError: There is none.
    """
    with opened(path) as file:
        yield f"/proc/self/fd/{file.fileno()}"


def read_file(path: Path) -> bytes:
    """Return the bytes of one of the library's files, as `opened` opens it."""
    with opened(path) as file:
        return file.read()


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write an array as npy, without pickle, and flush it to disk."""
    with path.open("xb") as file:
        np.save(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())


def load_array(path: Path, dtype: type[np.generic]) -> NDArray[Any]:
    """Return an npy file as a read-only, memory-mapped array.

    Raises:
        LibraryDamaged: The file is no whole array of that dtype.
        FileNotFoundError: There is none.
    """
    try:
        with mappable(path) as name:
            mapped: Any = np.load(name, mmap_mode="r", allow_pickle=False)
        array: NDArray[Any] = mapped.view(np.ndarray)
        end = mapped.offset + array.nbytes
    except (FileNotFoundError, LibraryDamaged):
        raise
    except Exception as error:  # the header is parsed as Python is, which fails in many ways
        raise LibraryDamaged(f"{path} is no array of numbers: {first_line(error)}; run `simsearch verify`") from error
    if array.dtype != dtype or not array.flags.c_contiguous or end != path.stat().st_size:
        raise LibraryDamaged(f"{path} is no whole array of {np.dtype(dtype)}; run `simsearch verify`")
    return array


def digest(path: Path) -> str:
    """Return the SHA-256 of a file as hex."""
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fault(path: Path, size: int, sha256: str, *, deep: bool) -> str | None:
    """Return what is wrong with a file that was written with this size and SHA-256; None for nothing.

    Args:
        path: The file.
        size: In bytes.
        sha256: In hex.
        deep: Read it whole; else check only its size.
    """
    if path.is_symlink():
        return f"{path} must be a file and is a link"
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
    """Rename a finished folder into place, so that it is there whole or not at all, also after a power cut."""
    sync(temporary)
    temporary.rename(final)
    sync(final.parent)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a name to write under, which then takes the place of a file; where that fails nothing of it stays."""
    require_file(path)
    require_alone(path)
    half = path.with_name(path.name + HALF)
    half.unlink(missing_ok=True)
    try:
        yield half
        sync(half)
        half.rename(path)
    except Exception:
        half.unlink(missing_ok=True)
        raise
    sync(path.parent)
