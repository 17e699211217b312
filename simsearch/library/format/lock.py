"""One writer at a time: an advisory lock that the system releases when its holder dies."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from simsearch.errors import LibraryDamaged, LibraryLocked
from simsearch.library.format.layout import is_holder

_WIDTH = 20
_guard = threading.Lock()
_held: set[tuple[int, int]] = set()  # device and inode of the locks that this process holds


class WriterLock:
    """Held while a process writes; readers never ask for it.

    Raises:
        LibraryLocked: on entering, when another writer holds it; the message names its process.
        LibraryDamaged: on entering, when the file is no lock of ours; nothing is written to it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._file: tuple[int, int] | None = None

    def __enter__(self) -> Self:
        descriptor = self._opened()
        try:
            self._take(descriptor)
            os.pwrite(descriptor, f"{os.getpid():<{_WIDTH}}".encode(), 0)
        except BaseException:
            self._release(descriptor)
            raise
        self._descriptor = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        self._release(descriptor)

    def _take(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        content = os.pread(descriptor, _WIDTH + 1, 0)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1 or not is_holder(content):
            raise self._foreign()
        file = (status.st_dev, status.st_ino)
        with _guard:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise self._locked(content, own=file in _held) from error
            _held.add(file)
            self._file = file

    def _release(self, descriptor: int) -> None:
        with _guard:
            if self._file is not None:
                _held.discard(self._file)
            self._file = None
            os.close(descriptor)

    def _opened(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            return os.open(self._path, flags, 0o666)
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.EISDIR, errno.ENXIO}:
                raise self._foreign() from error
            raise

    def _foreign(self) -> LibraryDamaged:
        return LibraryDamaged(
            f"{self._path} must be a file with a process number and is a link or something else; "
            "nothing was written to it"
        )

    def _locked(self, content: bytes, *, own: bool) -> LibraryLocked:
        folder = self._path.parent
        if own:
            return LibraryLocked(
                f"this very process {os.getpid()} is writing to {folder} already, in another thread or by another "
                "object; let that end first"
            )
        holder = content.decode().strip() or "unknown"
        return LibraryLocked(f"process {holder} is writing to {folder}; wait for it to end or stop it")
