"""The trash of a desktop: which folder a file's goes to, and the note beside it.

Reference:
    The FreeDesktop.org Trash specification, version 1.0, 2014.
"""

from __future__ import annotations

import datetime
import os
import stat
from pathlib import Path
from urllib.parse import quote_from_bytes

from simsearch.act.duplicates.moving import Changed
from simsearch.runtime.files import user_data

FILES, INFO, NOTE = b"files", b"info", b".trashinfo"


def trash_for(path: bytes) -> bytes:
    """Return the trash folder of a file, made where it is missing: the home trash, or that at the top of its disk.

    A file never leaves its file system.

    Raises:
        Changed: Its disk has no trash that can be used.
    """
    device = os.lstat(path).st_dev
    home = os.fsencode(user_data() / "Trash")
    if _device_of(home) == device:
        return _made(home)
    top = _top_of(path, device)
    shared, own = os.path.join(top, b".Trash"), str(os.getuid()).encode()
    if _is_shared(shared):
        try:
            return _made(os.path.join(shared, own))
        except OSError:
            pass  # the specification: then the other one
    try:
        return _made(os.path.join(top, b".Trash-" + own))
    except OSError as error:
        raise Changed(f"its disk takes no trash folder at {os.fsdecode(top)}: {error.strerror}") from error


def note_of(path: bytes, trash: bytes, now: datetime.datetime | None = None) -> bytes:
    """Return the text of the note beside a file in the trash: where it was, and when it went.

    Args:
        path: Absolute.
        trash: Its trash folder; below that's parent the path is relative, but in the home trash.
        now: Local time.
    """
    home = os.fsencode(user_data() / "Trash")
    shared = os.path.basename(os.path.dirname(trash)) == b".Trash"
    top = os.path.dirname(os.path.dirname(trash) if shared else trash)
    written = path if trash == home else os.path.relpath(path, top)
    time = (now or datetime.datetime.now().astimezone()).strftime("%Y-%m-%dT%H:%M:%S")
    return b"[Trash Info]\nPath=" + quote_from_bytes(written, safe="/").encode() + f"\nDeletionDate={time}\n".encode()


def _device_of(folder: bytes) -> int:
    """Return the file system on which a folder is, or would be made."""
    here = Path(os.fsdecode(folder))
    while not here.exists():
        here = here.parent
    return here.stat().st_dev


def _top_of(path: bytes, device: int) -> bytes:
    """Return the top folder of the file system that a file is on."""
    folder = os.path.realpath(os.path.dirname(path))
    while folder != b"/" and os.stat(os.path.dirname(folder)).st_dev == device:
        folder = os.path.dirname(folder)
    return folder


def _is_shared(folder: bytes) -> bool:
    """Return whether an administrator made this trash for all, as it must be: a folder, no link, and sticky."""
    try:
        mode = os.lstat(folder).st_mode
    except OSError:
        return False
    return stat.S_ISDIR(mode) and bool(mode & stat.S_ISVTX)


def _made(trash: bytes) -> bytes:
    for folder in (trash, os.path.join(trash, FILES), os.path.join(trash, INFO)):
        os.makedirs(folder, 0o700, exist_ok=True)
        if os.path.islink(folder):
            raise OSError(0, "it is a link", folder)
    return trash
