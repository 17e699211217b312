"""What a picture that goes leaves to the one that is kept for it: sidecars, tags of the desktop, the older time.

Only what the kept one has not is added to it; nothing that it has is changed, but its time where that is asked for.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from simsearch.act.duplicates.moving import Changed, OnStep, clear_partial, copy, drop, seen
from simsearch.act.duplicates.names import decoded, encoded
from simsearch.act.duplicates.sidecars import ENDINGS, live_videos_of, place_for, sidecars_of
from simsearch.errors import InputError, shown
from simsearch.library.format.atomic_files import naming_full_disk

WAYS = ("sidecars", "tags", "times")
USUAL = ("sidecars", "tags")
_TAGS = ("user.xdg.", "user.baloo.")  # comment, tags, rating; others tell of the file, not of the picture
_EDITS = (b"ns.adobe.com/camera-raw-settings", b"darktable.sf.net", b"rawtherapee", b"digikam.org/ns/1.0/imageHistory")
_LOOKED_AT = 1 << 20  # bytes of a sidecar
_NO_TAGS = {errno.ENOTSUP, errno.ENODATA, errno.EPERM, errno.EACCES, errno.ENOSPC, errno.E2BIG, errno.ERANGE}


def ways_named(words: Iterable[str]) -> tuple[str, ...]:
    """Return what is united, in words of `WAYS`; "none" for nothing.

    Raises:
        InputError: A word is none.
    """
    words = tuple(words)
    if words == ("none",):
        return ()
    for word in words:
        if word not in WAYS:
            raise InputError(f"unite {shown(word)} is not known; give some of {', '.join(WAYS)}, or none")
    return words


def kinds_beside(picture: bytes) -> set[bytes]:
    """Return of which kinds a picture has files beside it."""
    return {_kind(path) for path in (*sidecars_of(picture), *live_videos_of(picture))}


def copies_of(
    picture: bytes, beside: Sequence[bytes], kept: bytes, own: set[bytes], *, exact: bool
) -> list[tuple[bytes, bytes]]:
    """Return which files beside a picture are copied to the kept one, and where to; one of each kind that it has not.

    Edits of another picture (a sidecar that holds the steps of a raw developer, or Apple's) are left to exact copies.

    Args:
        picture: That goes.
        beside: Its sidecars and videos.
        kept: That stays.
        own: Kinds that the kept one has, of `kinds_beside`; those that are copied are added.
        exact: Whether the two have the same bytes.
    """
    found = []
    for path in beside:
        place = place_for(path, picture, kept)
        free = place is not None and not os.path.lexists(place)
        if place is not None and free and _kind(path) not in own and (exact or not _holds_edits(path)):
            own.add(_kind(path))
            found.append((path, place))
    return found


def facts_of(picture: bytes, kept: bytes, files: Sequence[tuple[bytes, bytes]], ways: Sequence[str]) -> dict[str, Any]:
    """Return what a step adds to the kept file, as its journal tells it; what came there meanwhile is left out.

    Raises:
        Changed: A sidecar cannot be read.
    """
    there = [(source, target) for source, target in files if os.path.lexists(source) and not os.path.lexists(target)]
    facts: dict[str, Any] = {"kept": encoded(kept)}
    facts["files"] = [
        {"from": encoded(source), "to": encoded(target), "sha256": seen(source).sha256} for source, target in there
    ]
    if "tags" in ways:
        known = _tags(kept)
        facts["tags"] = {name: encoded(value) for name, value in _tags(picture).items() if name not in known}
    if "times" in ways:
        old, new = os.stat(kept).st_mtime_ns, os.lstat(picture).st_mtime_ns
        facts["times"] = [old, new] if new < old else None
    return facts


def unite(facts: Mapping[str, Any], on_step: OnStep) -> list[tuple[bytes, str]]:
    """Add to the kept file what the journal says, as far as it is not there yet; return what could not be.

    Raises:
        Changed: A sidecar changed, or cannot be written beside the kept file.
        StorageFull: The kept file's disk is full.
    """
    kept = decoded(facts["kept"])
    for one in facts["files"]:
        source, target = decoded(one["from"]), decoded(one["to"])
        try:
            clear_partial(target)
            if os.path.lexists(source) and not os.path.lexists(target):
                known = seen(source)
                if known.sha256 != one["sha256"]:
                    raise Changed(f"its sidecar {shown(source)} has changed")
                with naming_full_disk(Path(os.fsdecode(target))):
                    copy(source, target, known, on_step)
        except OSError as error:
            raise Changed(f"{shown(source)} cannot be put beside the kept file: {error.strerror}") from error
        on_step("united")
    left = _add_tags(kept, facts.get("tags") or {})
    on_step("tagged")
    _set_time(kept, facts.get("times"))
    on_step("dated")
    return left


def take_back(facts: Mapping[str, Any], on_step: OnStep) -> None:
    """Take from the kept file what a step added to it, where that is still as it was added."""
    kept = decoded(facts["kept"])
    for one in facts["files"]:
        source, target = decoded(one["from"]), decoded(one["to"])
        clear_partial(target)
        if os.path.lexists(target) and os.path.lexists(source) and _same(source, target, one["sha256"]):
            drop(target)
            on_step("taken back")
    for name, value in (facts.get("tags") or {}).items():
        if _tags(kept).get(name) == decoded(value):
            os.removexattr(kept, name)
    if facts.get("times"):
        _set_time(kept, facts["times"][::-1])


def _same(source: bytes, target: bytes, sha256: str) -> bool:
    try:
        return seen(source).sha256 == seen(target).sha256 == sha256
    except Changed:
        return False


def _kind(path: bytes) -> bytes:
    ending = os.path.splitext(path)[1].lower()
    return ending if ending in ENDINGS else b"video"


def _holds_edits(path: bytes) -> bool:
    ending = _kind(path)
    if ending == b".xmp":
        try:
            with open(path, "rb") as file:
                text = file.read(_LOOKED_AT)
        except OSError:
            return False
        return any(mark in text for mark in _EDITS)
    return ending == b".aae"


def _tags(path: bytes) -> dict[str, bytes]:
    """Return the tags that a desktop keeps with a file, by name; none where there are no such."""
    try:
        names = [name for name in os.listxattr(path) if name.startswith(_TAGS)]
        return {name: os.getxattr(path, name) for name in names}
    except (OSError, AttributeError):
        return {}


def _add_tags(kept: bytes, tags: Mapping[str, str]) -> list[tuple[bytes, str]]:
    known, left = _tags(kept), []
    for name, value in tags.items():
        if name in known:
            continue
        try:
            os.setxattr(kept, name, decoded(value), os.XATTR_CREATE)
        except OSError as error:
            if error.errno not in _NO_TAGS:
                raise
            left.append((kept, f"its disk or folder takes no {name}: {error.strerror}"))
    return left


def _set_time(kept: bytes, times: Sequence[int] | None) -> None:
    """Give a file the second of two times, where it has the first."""
    if times and os.path.lexists(kept):
        status = os.stat(kept)
        if status.st_mtime_ns == times[0]:
            os.utime(kept, ns=(status.st_atime_ns, times[1]))
