"""Files beside a picture that belong to it, and go where it goes.

A live photograph's video is none: it is a recording of its own, of which no copy is known. It stays, and is told.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from simsearch.images.sidecars import is_meant_as_image

ENDINGS = (b".xmp", b".json", b".aae", b".txt")
VIDEOS = (b".mov", b".mp4")


def sidecars_of(picture: bytes) -> list[bytes]:
    """Return the files that belong to a picture: `a.jpg.xmp`, and `a.xmp` where no other picture has that stem.

    None where the folder cannot be read.
    """
    folder, name = os.path.split(picture)
    return [os.path.join(folder, other) for other in _belonging(folder, name, ENDINGS)]


def videos_of(picture: bytes) -> list[bytes]:
    """Return the videos of a picture's stem, which stay where they are."""
    folder, name = os.path.split(picture)
    return [os.path.join(folder, other) for other in _belonging(folder, name, VIDEOS)]


def _belonging(folder: bytes, name: bytes, endings: tuple[bytes, ...]) -> Iterator[bytes]:
    try:
        with os.scandir(folder) as entries:
            files = sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
    except OSError:
        return
    stem = os.path.splitext(name)[0]
    shared = any(other != name and os.path.splitext(other)[0] == stem and is_meant_as_image(other) for other in files)
    for other in files:
        before, ending = os.path.splitext(other)
        if ending.lower() in endings and (before == name or (before == stem and not shared)):
            yield other
