"""Moving one file: nothing is overwritten, and a kill at any moment leaves it whole under one of its two names."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass

OnStep = Callable[[str], None]
PARTIAL = b".simsearch-partial"
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS}


class Changed(Exception):
    """A file is not what it was when it was looked at; it is left alone, and the words say why."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as it was read.

    Attributes:
        sha256: In hex.
        file_id: Device and inode.
    """

    sha256: str
    file_id: tuple[int, int]


def nothing(step: str) -> None:
    """Do nothing: the default for `OnStep`."""


def seen(path: bytes, *, follow: bool = False) -> Seen:
    """Return a regular file as it is now, read whole.

    Args:
        path: Of the file.
        follow: Whether a link may lead to it.

    Raises:
        Changed: It is gone, is a link or no file, or cannot be read.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        with open(os.open(path, flags), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise Changed("it is no file any more")
            return Seen(hashlib.file_digest(file, "sha256").hexdigest(), (status.st_dev, status.st_ino))
    except OSError as error:
        words = {errno.ENOENT: "it is no longer there", errno.ELOOP: "it is a link now"}
        raise Changed(words.get(error.errno or 0, f"it cannot be read: {error.strerror}")) from error


def move(source: bytes, target: bytes, known: Seen, on_step: OnStep = nothing) -> None:
    """Give a file another name, on this file system or another one.

    Raises:
        FileExistsError: Something has that name; nothing was changed.
        Changed: The file was replaced since it was read; it was left as it is.
        OSError: It cannot be moved.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.EXDEV:
            copy(source, target, known, on_step)
        elif error.errno in _NO_LINKS:
            _rename(source, target, known)
            return
        else:
            raise
    else:
        if _id(target) != known.file_id:
            os.unlink(target)
            raise Changed("it was replaced while it was looked at")
    _sync_folder(target)
    on_step("has both names")
    os.unlink(source)
    _sync_folder(source)


def finish(source: bytes, target: bytes, sha256: str, on_step: OnStep = nothing) -> None:
    """Bring a move that may have been broken off to its end; one that was not begun is done.

    Raises:
        FileExistsError: Something else has the other name.
        Changed: Neither name has the file, or it changed.
    """
    clear_partial(target)
    if not os.path.lexists(source):
        if os.path.lexists(target) and seen(target).sha256 == sha256:
            return
        raise Changed("it is no longer there, under either name")
    known = seen(source)
    if known.sha256 != sha256:
        raise Changed("its content has changed")
    if os.path.lexists(target):
        if os.lstat(target).st_size == 0 and known.file_id != _id(target):  # a place that was taken for a rename
            _rename(source, target, known, taken=True)
            return
        if seen(target).sha256 != sha256:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
        os.unlink(source)
        _sync_folder(source)
        return
    move(source, target, known, on_step)


def copy(source: bytes, target: bytes, known: Seen, on_step: OnStep = nothing) -> None:
    """Copy a file: whole, on its disk, and with its times before it has its name.

    Raises:
        FileExistsError: Something has that name; nothing was changed.
        Changed: The file was replaced since it was read.
        OSError: It cannot be copied.
    """
    partial = _partial(target)
    clear_partial(target)
    try:
        written(source, partial, known.sha256)
        if _id(source) != known.file_id:
            raise Changed("it was replaced while it was copied")
        shutil.copystat(source, partial)
        on_step("copied")
        try:
            os.link(partial, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _take(target)
            os.replace(partial, target)
        _sync_folder(target)
    finally:
        clear_partial(target)


def drop(path: bytes) -> None:
    """Remove a file of which there is another one."""
    os.unlink(path)
    _sync_folder(path)


def written(source: bytes, copy: bytes, sha256: str) -> None:
    """Copy the bytes of a file into a new one, and return once they are on the disk.

    Raises:
        FileExistsError: There is something of that name.
        Changed: They are not those of the SHA-256.
    """
    descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as new, open(source, "rb") as old:
        shutil.copyfileobj(old, new, 1 << 20)
        new.flush()
        os.fsync(new.fileno())
    if seen(copy).sha256 != sha256:
        raise Changed("it changed while it was copied")


def clear_partial(target: bytes) -> None:
    """Remove what a broken-off copy left beside its target."""
    if os.path.lexists(_partial(target)):
        os.unlink(_partial(target))


def _partial(target: bytes) -> bytes:
    folder, name = os.path.split(target)
    return os.path.join(folder, b"." + hashlib.sha256(name).hexdigest()[:16].encode() + PARTIAL)


def _rename(source: bytes, target: bytes, known: Seen, *, taken: bool = False) -> None:
    """Rename a file where there are no hard links, onto an empty file of ours: what others wrote is not replaced."""
    if not taken:
        _take(target)
    if _id(source) != known.file_id:
        os.unlink(target)
        raise Changed("it was replaced while it was looked at")
    os.replace(source, target)
    _sync_folder(target)
    _sync_folder(source)


def _take(target: bytes) -> None:
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _id(path: bytes) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino


def _sync_folder(path: bytes) -> None:
    descriptor = os.open(os.path.dirname(path) or b".", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EROFS):  # folders that cannot be synced
            raise
    finally:
        os.close(descriptor)
