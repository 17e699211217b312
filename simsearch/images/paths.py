"""Paths as bytes: made absolute, never empty, and which links to folders one goes through."""

from __future__ import annotations

import os
import re

from simsearch.errors import InputError, shown

_REMOTE = re.compile(rb"[a-z][a-z0-9+.-]*://")

PathLike = str | bytes | os.PathLike[str] | os.PathLike[bytes]


def raw(path: object, what: str = "path") -> bytes:
    """Return a path as bytes.

    Raises:
        InputError: It is no text, bytes or path object, or a text that no file system can hold; or it is empty, which
            is what a variable that was never set gives; it must not mean the current folder.
    """
    try:
        name: bytes = os.fsencode(path)  # type: ignore[arg-type]
    except UnicodeEncodeError as error:
        raise InputError(f"{shown(path)} holds characters that no file name can; give an existing path") from error
    except Exception as error:  # TypeError, or whatever a `__fspath__` raises
        raise InputError(f"{shown(path)} is no {what}: give text, bytes or a path object") from error
    if b"\0" in name:
        raise InputError(f"{shown(path)} holds characters that no file name can; give an existing path")
    if not name:
        raise InputError(f"an empty {what}; give . for the current folder")
    return name


def is_remote(path: bytes) -> bool:
    """Return whether a path is the address of an object, or of several, in object storage.

    Example:
        >>> is_remote(b"s3://photos/a.jpg"), is_remote(b"/photos/a.jpg")
        (True, False)
    """
    return _REMOTE.match(path) is not None


def absolute(path: bytes, folder: bytes | None = None) -> bytes:
    """Return a path made absolute below a folder, by default the current one, without `.`, `..` and repeated slashes.

    Links stay as they are written, as are addresses of objects, but where `..` follows one: that is
    the parent of what the link leads to, as it is to the system.

    Raises:
        InputError: The path is relative and the current folder is gone.
    """
    if is_remote(path):
        return path
    try:
        whole = path if path.startswith(b"/") else os.path.join(folder or os.getcwdb(), path)  # noqa: PTH109, PTH118
    except OSError as error:
        raise InputError("the current folder is gone; go to another or give absolute paths") from error
    written = _normal(whole)
    parts = whole.split(b"/")
    if b".." not in parts or b"\0" in whole:
        return written
    last = len(parts) - parts[::-1].index(b"..")
    head = b"/".join(parts[:last])
    real = os.path.realpath(head)
    same = os.path.realpath(_normal(head)) == real
    return written if same else _normal(b"/".join([real, *parts[last:]]))


def _normal(path: bytes) -> bytes:
    return b"/" + os.path.normpath(path).lstrip(b"/")  # POSIX lets two slashes at the start mean something else


class Links:
    """Links to folders, each looked at once: an object of this class is for one call, since links change."""

    def __init__(self) -> None:
        self._real: dict[bytes, bytes] = {}
        self._last: dict[bytes, bytes | None] = {}

    def real(self, folder: bytes) -> bytes:
        """Return where a folder really lies; what does not exist stays as it is written."""
        if folder not in self._real:
            plain = b"\0" in folder or is_remote(folder)
            self._real[folder] = folder if plain else os.path.realpath(folder)
        return self._real[folder]

    def last(self, folder: bytes) -> bytes | None:
        """Return the longest part of an absolute path of a folder that is a link, None for none."""
        if folder not in self._last:
            if self.real(folder) == folder:
                self._last[folder] = None
            else:
                linked = b"\0" not in folder and os.path.islink(folder)  # noqa: PTH114
                self._last[folder] = folder if linked else self.last(os.path.dirname(folder))  # noqa: PTH120
        return self._last[folder]
