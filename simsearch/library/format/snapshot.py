"""A snapshot: the segments of one commit, opened; immutable, and safe for threads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import InputError, LibraryDamaged, shown
from simsearch.library.format.atomic_files import fault
from simsearch.library.format.channel import Channel, Rows
from simsearch.library.format.commit import Mask, SegmentRecord, State
from simsearch.library.format.items import Keys, keys_of_contents, keys_of_paths
from simsearch.library.format.layout import SEGMENTS, require_folder, require_own
from simsearch.library.format.manifest import Manifest
from simsearch.library.format.manifest_values import MOST_ID
from simsearch.library.format.segment import Segment, open_segment

_NONE = np.empty(0, np.intp)


class Place(NamedTuple):
    """The place of an item: the segment's number in the snapshot and the position in it."""

    segment: int
    position: int


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The contents of a library at one commit.

    Attributes:
        state: Of the manifest.
        segments: The open segments, in the manifest's order.
    """

    state: State
    segments: tuple[Segment, ...]

    def __len__(self) -> int:
        return sum(record.items for record in self.state.segments) - sum(
            int(mask.sum()) for mask in self.removed if mask is not None
        )

    @cached_property
    def removed(self) -> tuple[Mask | None, ...]:
        """Of each segment, which items were removed; None for none."""
        return tuple(record.removed for record in self.state.segments)

    def channel(self, name: str | None = None) -> Channel:
        """Return the channel of that name, by default the first.

        Raises:
            InputError: There is none.
        """
        by_name = {channel.name: channel for channel in self.state.channels}
        if name is None:
            return self.state.channels[0]
        if name not in by_name:
            raise InputError(f"no channel {shown(name)} in this library; it has {', '.join(by_name)}")
        return by_name[name]

    def is_live(self, place: Place) -> bool:
        """Return whether the item was not removed."""
        mask = self.removed[place.segment]
        return mask is None or not mask[place.position]

    def live(self, segment: int) -> NDArray[np.intp]:
        """Return the positions of a segment's items that were not removed, ascending."""
        mask = self.removed[segment]
        return np.arange(len(self.segments[segment])) if mask is None else np.flatnonzero(~mask)

    def live_rows(self, segment: int, channel: str) -> Mask | None:
        """Return which rows of a channel belong to live items, (r,) bool; None for all."""
        mask = self.removed[segment]
        return None if mask is None else ~mask[self.segments[segment].channels[channel].item]

    def by_path(self, path: bytes) -> Place | None:
        """Return the live item of a path."""
        return self.by_paths([path])[0]

    def contents(self, sha256: bytes) -> list[Place]:
        """Return the live items whose bytes have this SHA-256, in order."""
        return self.by_contents([sha256])[0]

    def by_content(self, sha256: bytes) -> Place | None:
        """Return the first live item whose bytes have this SHA-256."""
        return next(iter(self.contents(sha256)), None)

    def by_contents(self, sha256: Sequence[bytes]) -> list[list[Place]]:
        """Return the result of `contents` for each SHA-256, in one pass over the segments."""
        if not sha256:  # as of rows without images
            return []
        whole = np.frombuffer(b"".join(sha256), np.uint8).reshape(-1, 32)
        keys, order = _ascending(keys_of_contents(whole))
        found: list[list[Place]] = [[] for _ in sha256]
        for s, segment in enumerate(self.segments):
            at, positions = self._live_below(s, segment.contents, keys)
            if not len(at):
                continue
            indices = order[at]
            same = (segment.sha256[positions] == whole[indices]).all(axis=1)
            for i, position in sorted(zip(indices[same].tolist(), positions[same].tolist(), strict=True)):
                found[i].append(Place(s, position))
        return found

    def by_id(self, number: int) -> Place | None:
        """Return the live item of an id."""
        if not 0 <= number < MOST_ID:
            return None
        for s, segment in enumerate(self.segments):
            at = int(np.searchsorted(segment.ids, number))
            if at < len(segment) and segment.ids[at] == number and self.is_live(Place(s, at)):
                return Place(s, at)
        return None

    def by_paths(self, paths: Sequence[bytes]) -> list[Place | None]:
        """Return the live item of each path, in one pass over the segments."""
        found: list[Place | None] = [None] * len(paths)
        keys, order = _ascending(keys_of_paths(paths if self.segments else ()))
        for s, segment in enumerate(self.segments):
            at, positions = self._live_below(s, segment.keys, keys)
            if not len(at):
                continue
            names = segment.paths(positions)
            for i, position, name in zip(order[at].tolist(), positions.tolist(), names, strict=True):
                if found[i] is None and name == paths[i]:
                    found[i] = Place(s, position)
        return found

    def may_hold(self, paths: NDArray[np.uint64], contents: NDArray[np.uint64]) -> bool:
        """Return whether any live item has one of these path keys or content keys."""
        paths, contents = np.sort(paths), np.sort(contents)
        tables = (
            (s, t, k) for s, seg in enumerate(self.segments) for t, k in ((seg.keys, paths), (seg.contents, contents))
        )
        return any(len(self._live_below(s, table, keys)[0]) for s, table, keys in tables)

    def _live_below(
        self, segment: int, table: Keys, wanted: NDArray[np.uint64]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return indices of the keys, which rise, in a segment's table, and their live positions: (m,) each."""
        keys = table[0]
        first = keys.searchsorted(wanted)
        if not len(keys) or not (keys[np.minimum(first, len(keys) - 1)] == wanted).any():  # as mostly: few are known
            return _NONE, _NONE
        found = (end := keys.searchsorted(wanted, "right")) - first
        indices = np.repeat(np.arange(len(wanted)), found)
        at = np.arange(len(indices)) + np.repeat(end - np.cumsum(found), found)
        positions = table[1, at].astype(np.intp)
        mask = self.removed[segment]
        live = slice(None) if mask is None else ~mask[positions]
        return indices[live], positions[live]

    def path(self, place: Place) -> bytes | None:
        """Return the full path of an item, None when it has none."""
        return self.segments[place.segment].path(place.position)

    def id(self, place: Place) -> int:
        """Return the id of an item."""
        return int(self.segments[place.segment].ids[place.position])

    def stamp(self, place: Place) -> tuple[int, int]:
        """Return size and mtime_ns as they were when the item was read; -1 where they are not known."""
        size, mtime = self.segments[place.segment].stamps[:, place.position]
        return int(size), int(mtime)

    def labels(self, place: Place) -> tuple[str | None, str | None]:
        """Return owner and attributes of an item."""
        items = self.segments[place.segment].items
        return items.column("owner")[place.position].as_py(), items.column("attributes")[place.position].as_py()

    def paths(self) -> Iterator[tuple[Place, bytes | None]]:
        """Yield every live item with its full path."""
        for s, segment in enumerate(self.segments):
            paths = segment.paths()
            for position in self.live(s).tolist():
                yield Place(s, position), paths[position]

    def row(self, place: Place, channel: str) -> NDArray[Any] | None:
        """Return the first stored row of an item, (d,)."""
        return self.segments[place.segment].row_of(channel, place.position)

    def parts(self, place: Place, channel: str) -> NDArray[Any]:
        """Return all stored rows of an item, (p, d)."""
        return self.segments[place.segment].rows_of(channel, place.position)

    def has_parts(self, channel: str) -> bool:
        """Return whether any item may have several rows in a channel."""
        return any(segment.channels[channel].parts > 1 for segment in self.segments)

    def row_count(self, channel: str) -> int:
        """Return how many rows the live items have in a channel."""
        if not self.has_parts(channel):
            return len(self)
        masks = [self.live_rows(s, channel) for s in range(len(self.segments))]
        held = [len(segment.channels[channel].item) for segment in self.segments]
        return sum(n if mask is None else int(mask.sum()) for mask, n in zip(masks, held, strict=True))

    def rows(self, place: Place) -> Rows | None:
        """Return the stored rows of an item, (d,) or (p, d) of each channel; None where a channel has none."""
        found = [self.parts(place, channel.name) for channel in self.state.channels]
        return tuple(rows[0] if len(rows) == 1 else rows for rows in found) if all(map(len, found)) else None

    def ids(self) -> NDArray[np.int64]:
        """Return the ids of all live items, in order."""
        parts = [segment.ids[self.live(s)] for s, segment in enumerate(self.segments)]
        return np.concatenate([np.empty(0, np.int64), *parts])

    @cached_property
    def uuids(self) -> Mapping[str, int]:
        """The number of each segment, by its uuid."""
        return {segment.uuid: s for s, segment in enumerate(self.segments)}


def load_snapshot(folder: Path, previous: Snapshot | None = None) -> Snapshot:
    """Return the newest commit of the library in a folder; segments that `previous` has open are shared.

    Raises:
        LibraryNotFound: There is no library.
        LibraryDamaged: A file does not hold what the manifest says.
        FingerprintMismatch: A segment's rows are of another model than its channel's.
    """
    require_own(folder)
    manifest = Manifest(folder)
    state = manifest.read(previous.state if previous is not None else None)
    while True:
        try:
            return of_state(folder, state, previous)
        except FileNotFoundError as error:
            # A writer may have merged and dropped a segment since the manifest was read.
            newer = manifest.read()
            if newer.generation == state.generation:
                raise LibraryDamaged(f"a file is missing: {error}; run `simsearch verify`") from error
            state = newer


def of_state(folder: Path, state: State, previous: Snapshot | None = None) -> Snapshot:
    """Return the snapshot of a state that was read; segments that `previous` has open are shared.

    Raises:
        FileNotFoundError: A file is missing.
        LibraryDamaged: A file does not hold what the manifest says.
        FingerprintMismatch: A segment's rows are of another model than its channel's.
    """
    if previous is not None and state is previous.state:
        return previous
    known = {} if previous is None else {segment.uuid: segment for segment in previous.segments}
    segments = []
    for record in state.segments:
        home = folder / SEGMENTS / record.uuid
        segment = known.get(record.uuid) or open_recorded(home, record, state)
        if not home.is_dir():
            raise FileNotFoundError(f"{home} is gone")
        segments.append(segment)
    return Snapshot(state, tuple(segments))


def open_recorded(home: Path, record: SegmentRecord, state: State) -> Segment:
    """Return a committed segment, opened and compared with the manifest, but for checksums.

    Raises:
        FileNotFoundError: A file is missing.
        LibraryDamaged: A file does not hold what the manifest says.
        FingerprintMismatch: Its rows are of another model than its channel's.
    """
    require_folder(home)
    for file in record.files:
        if wrong := fault(home / file.name, file.bytes, file.sha256, deep=False):
            if not (home / file.name).exists():
                raise FileNotFoundError(wrong)
            raise LibraryDamaged(f"{wrong}; run `simsearch verify --deep`")
    segment = open_segment(home, state.channels)
    if len(segment) != record.items:
        raise LibraryDamaged(f"{home} holds {len(segment)} items and the manifest says {record.items}")
    if len(segment) and segment.ids[-1] >= state.next_id:
        raise LibraryDamaged(f"{home} holds id {segment.ids[-1]} and the manifest says that ids end at {state.next_id}")
    return segment


def _ascending(keys: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
    """Return keys in order, which are found faster, and where each stood."""
    order = np.argsort(keys)
    return keys[order], order
