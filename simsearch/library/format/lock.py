"""One writer at a time: an advisory lock that the system releases when its holder dies."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simsearch.errors import LibraryDamaged, LibraryLocked
from simsearch.library.format.layout import is_holder

_WIDTH = 20
_guard = threading.Lock()
_held: set[tuple[int, int]] = set()  # device and inode of the locks that this process holds


@contextmanager
def writer_lock(path: Path) -> Iterator[None]:
    """Hold the lock of a writing process; readers never take it.

    Raises:
        LibraryLocked: On entering, when another writer holds it; the message names its process.
        LibraryDamaged: On entering, when the file is no lock of ours; nothing is written to it.
    """
    descriptor, file = _opened(path), None
    try:
        file = _taken(path, descriptor)
        os.pwrite(descriptor, f"{os.getpid():<{_WIDTH}}".encode(), 0)
        yield
    finally:
        with _guard:
            if file is not None:
                _held.discard(file)
            os.close(descriptor)


def _opened(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EISDIR, errno.ENXIO}:
            raise _foreign(path) from error
        raise


def _taken(path: Path, descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    content = os.pread(descriptor, _WIDTH + 1, 0)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1 or not is_holder(content):
        raise _foreign(path)
    file = (status.st_dev, status.st_ino)
    with _guard:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _locked(path.parent, content, own=file in _held) from error
        _held.add(file)
    return file


def _foreign(path: Path) -> LibraryDamaged:
    return LibraryDamaged(
        f"{path} must be a file with a process number and is a link or something else; nothing was written to it"
    )


def _locked(folder: Path, content: bytes, *, own: bool) -> LibraryLocked:
    if own:
        return LibraryLocked(
            f"this very process {os.getpid()} is writing to {folder} already, in another thread or by another "
            "object; let that end first"
        )
    holder = content.decode().strip() or "unknown"
    return LibraryLocked(f"process {holder} is writing to {folder}; wait for it to end or stop it")
