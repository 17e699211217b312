"""A hard link to the kept file in place of an exact copy, and a file of its own again."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Any

from simsearch.act.duplicates.moving import Changed, OnStep, nothing, seen, written


def facts_of(path: bytes, kept: bytes, number: int) -> dict[str, Any]:
    """Return what a link's way back needs: mode and times of the file that it takes the place of.

    Raises:
        Changed: The two are on two disks, or differ in owner or mode, which a link would change.
    """
    own, other = os.lstat(path), os.stat(kept)
    if own.st_dev != other.st_dev:
        raise Changed("it is on another disk than the kept file, and a link cannot lead there")
    if (own.st_uid, own.st_gid, stat.S_IMODE(own.st_mode)) != (other.st_uid, other.st_gid, stat.S_IMODE(other.st_mode)):
        raise Changed("its owner or mode differs from the kept file's, and a link would change who may read it")
    return {"mode": stat.S_IMODE(own.st_mode), "times": [own.st_atime_ns, own.st_mtime_ns], "number": number}


def link(path: bytes, kept: bytes, number: int, sha256: str, on_step: OnStep = nothing) -> None:
    """Put a link to the kept file in place of another one, at once.

    What was there keeps a name until it was read once more: what somebody wrote into it in that moment comes back.

    Raises:
        Changed: Somebody did; the file is as they left it.
        OSError: It cannot be made; the file is as it was.
    """
    new, old = _beside(path, number)
    clear(path, number, sha256)
    os.link(os.path.realpath(kept), new)
    os.link(path, old, follow_symlinks=False)
    on_step("linked beside")
    os.replace(new, path)
    on_step("linked")
    clear(path, number, sha256)


def clear(path: bytes, number: int, sha256: str) -> None:
    """Remove what a step left beside a file, once it is sure that the old file is what it was.

    Raises:
        Changed: It is not; it has its name again.
    """
    new, old = _beside(path, number)
    if os.path.lexists(new):
        os.unlink(new)
    if not os.path.lexists(old):
        return
    if seen(old).sha256 != sha256:
        os.replace(old, path)
        raise Changed("it was written to in that very moment")
    os.unlink(old)


def unlink(path: bytes, facts: Mapping[str, Any], sha256: str, on_step: OnStep = nothing) -> None:
    """Make a file of its own again of a link, with its mode and times.

    Raises:
        Changed: It has not the bytes that it had.
    """
    number = int(facts["number"])
    clear(path, number, sha256)
    if seen(path).sha256 != sha256:
        raise Changed("its content has changed since")
    if os.lstat(path).st_nlink == 1:
        return
    new, _ = _beside(path, number)
    try:
        written(path, new, sha256)
        os.chmod(new, int(facts["mode"]))
        os.utime(new, ns=(int(facts["times"][0]), int(facts["times"][1])))
        on_step("copied beside")
        os.replace(new, path)
    finally:
        if os.path.lexists(new):
            os.unlink(new)


def _beside(path: bytes, number: int) -> tuple[bytes, bytes]:
    """Return the names beside a file of what takes its place, and of what was there."""
    stem = os.path.join(os.path.dirname(path), b".simsearch-%d" % number)
    return stem + b".new", stem + b".old"
