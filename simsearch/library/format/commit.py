"""The state of a manifest at one commit, and the changes of one commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simsearch.library.format.atomic_files import digest
from simsearch.library.format.channel import Channel

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file of a segment as it was committed."""

    name: str
    bytes: int
    sha256: str


def recorded(files: Iterable[Path]) -> tuple[FileRecord, ...]:
    """Return what is to be committed of files, as they are now."""
    return tuple(FileRecord(path.name, path.stat().st_size, digest(path)) for path in files)


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """One committed segment.

    Attributes:
        uuid: The name of its folder.
        rank: In the order of segments, lowest first.
        items: Items in its files, removed ones included.
        removed: (items,) bool, or None when nothing was removed.
        files: As they were committed.
    """

    uuid: str
    rank: int
    items: int
    removed: Mask | None = None
    files: tuple[FileRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """The state of the manifest at one commit."""

    uuid: str
    generation: int
    next_id: int
    roots: Mapping[bytes, int]
    channels: tuple[Channel, ...]
    segments: tuple[SegmentRecord, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One commit: all of it happens or none.

    Attributes:
        next_id: The first id that is still free afterwards.
        new: Segments that now exist, with their files.
        roots: Roots that are numbered from now on, if they are not already.
        removed: The whole new bitmap of segments, by uuid.
        dropped: Segments that no longer exist.
        unrooted: Roots without items.
        channel: A further channel, of which every segment has rows afterwards.
    """

    next_id: int
    new: Sequence[SegmentRecord] = ()
    roots: Sequence[bytes] = ()
    removed: Mapping[str, Mask] = field(default_factory=dict)
    dropped: Sequence[str] = ()
    unrooted: Sequence[bytes] = ()
    channel: Channel | None = None
