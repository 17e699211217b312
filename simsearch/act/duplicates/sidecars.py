"""Files beside a picture that belong to it and go where it goes: its sidecars, and the video of a live photograph."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import IO

from simsearch.images.sidecars import is_meant_as_image

ENDINGS = (b".xmp", b".json", b".aae", b".txt")
VIDEOS = (b".mov", b".mp4", b".mp")
MOST_SECONDS = 10.0
"""Of a live photograph's video, which has three: a longer one is a recording of its own, and stays."""

_SUPPLEMENT = b".supplemental-metadata"  # Google's, cut off where the name would be too long
_MOTION = re.compile(rb"\.mp(~\d+)?$", re.IGNORECASE)
_BOXES = 1000  # of a video that are looked at


def sidecars_of(picture: bytes) -> list[bytes]:
    """Return the sidecars of a picture: `a.jpg.xmp`, and `a.xmp` where no other picture has that stem.

    None where the folder cannot be read.
    """
    return [path for path, ending in _belonging(picture) if ending in ENDINGS]


def live_videos_of(picture: bytes) -> list[bytes]:
    """Return the videos of a few seconds that belong to a live photograph: `a.mov` of `a.heic`, `a.MP` of `a.MP.jpg`.

    None where another picture has that stem.
    """
    return [path for path, ending in _belonging(picture) if ending in VIDEOS and _is_short(path)]


def place_for(beside: bytes, picture: bytes, other: bytes) -> bytes | None:
    """Return the path that a file beside a picture has beside another one; None where none would be that one's alone.

    Example:
        >>> place_for(b"/a/one.jpg.xmp", b"/a/one.jpg", b"/b/two.png"), place_for(b"/a/1.xmp", b"/a/1.jpg", b"/b/2.png")
        (b'/b/two.png.xmp', b'/b/2.xmp')
    """
    name, own = os.path.basename(picture), os.path.basename(beside)
    folder, new = os.path.split(other)
    stem, new_stem = os.path.splitext(name)[0], os.path.splitext(new)[0]
    if own.startswith(name):
        return os.path.join(folder, new + own[len(name) :])
    alone = not _shares_stem(new, _files(folder))
    rest = own[len(stem) :] or (b"" if _MOTION.search(new_stem) else b".MP")
    if not alone and _ending(own) in VIDEOS:
        return None
    return os.path.join(folder, (new_stem if alone else new) + rest)


def _belonging(picture: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the files that belong to a picture by their names, and their endings."""
    folder, name = os.path.split(picture)
    files = _files(folder)
    stem, shared = os.path.splitext(name)[0], _shares_stem(name, files)
    for other in files:
        before, ending = os.path.splitext(other)
        ending = ending.lower()
        if ending == b".json" and before.startswith(name + b".") and _SUPPLEMENT.startswith(before[len(name) :]):
            before = name
        if other == stem and _MOTION.search(other):
            before, ending = stem, b".mp"
        if other != name and (before == name or (before == stem and not shared)):
            yield os.path.join(folder, other), ending


def _files(folder: bytes) -> list[bytes]:
    try:
        with os.scandir(folder or b".") as entries:
            return sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
    except OSError:
        return []


def _shares_stem(name: bytes, files: list[bytes]) -> bool:
    stem = os.path.splitext(name)[0]
    return any(other != name and os.path.splitext(other)[0] == stem and is_meant_as_image(other) for other in files)


def _ending(name: bytes) -> bytes:
    return b".mp" if _MOTION.search(name) else os.path.splitext(name)[1].lower()


def _is_short(path: bytes) -> bool:
    """Return whether a file is a video of a few seconds, by its header; false where none is found."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            seconds = _seconds(file, 0, os.fstat(file.fileno()).st_size)
    except OSError:
        return False
    return seconds is not None and 0 < seconds <= MOST_SECONDS


def _seconds(file: IO[bytes], start: int, end: int) -> float | None:
    """Return how long a film of ISO base media (mov, mp4) is; None where its header is missing or damaged.

    Reference:
        ISO/IEC 14496-12: boxes moov and mvhd.
    """
    for _ in range(_BOXES):
        file.seek(start)
        head = file.read(16)
        if len(head) < 8:
            return None
        size, kind, skip = int.from_bytes(head[:4], "big"), head[4:8], 8
        if size == 1:
            size, skip = int.from_bytes(head[8:], "big"), 16
        size = size or end - start
        if kind == b"mvhd":
            file.seek(start + skip)
            return _of_header(file.read(32))
        if size < skip or start + size > end:
            return None
        if kind == b"moov":
            return _seconds(file, start + skip, start + size)
        start += size
    return None


def _of_header(header: bytes) -> float | None:
    long = header[:1] == b"\1"
    at, width = (20, 8) if long else (12, 4)
    scale, duration = header[at : at + 4], header[at + 4 : at + 4 + width]
    whole = len(duration) == width and any(scale)
    return int.from_bytes(duration, "big") / int.from_bytes(scale, "big") if whole else None
