"""Checking a library against itself: the manifest, the files, and what they say of each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from simsearch.distance import check_rows
from simsearch.errors import LibraryError, ModelError, RowError
from simsearch.images.source import printable
from simsearch.library import indexes
from simsearch.library.channel import Channel
from simsearch.library.items import content_keys, path_keys
from simsearch.library.layout import SEGMENTS
from simsearch.library.manifest import Manifest
from simsearch.library.neighbours import SearchPlan, nearest
from simsearch.library.segment import CONTENTS, KEYS, Segment
from simsearch.library.snapshot import Place, Snapshot, load_snapshot
from simsearch.library.storage import fault

_SAMPLED = 64
_ROWS_AT_ONCE = 1 << 16


def verify(folder: Path, *, deep: bool = False, device: str = "auto") -> list[str]:
    """Return what is wrong with the library in a folder, one line each; nothing for a sound one.

    Args:
        folder: The library's folder.
        deep: Also read every file whole: checksums, keys, rows, and a sample of rows that must find themselves.
        device: Where the sample is searched.
    """
    manifest = Manifest(folder)
    try:
        problems = manifest.check()
        state = manifest.read()
        for record in state.segments:
            problems += _wrong_files(folder / SEGMENTS / record.uuid, manifest, deep=deep)
        if problems:
            return problems
        snapshot = load_snapshot(folder)
    except (LibraryError, ModelError) as error:
        return [str(error)]
    for segment in snapshot.segments:
        problems += _wrong_items(segment, state.next_id, deep=deep)
    problems += _wrong_identities(snapshot)
    problems += indexes.problems(folder, snapshot, deep=deep)
    if deep and not problems:
        for channel in state.channels:
            problems += _wrong_rows(snapshot, channel)
            problems += _lost_rows(snapshot, channel, device) if not problems else []
    return problems


def _wrong_files(folder: Path, manifest: Manifest, *, deep: bool) -> Iterator[str]:
    known = {file.name: file for file in manifest.files(folder.name)}
    for name, file in known.items():
        if wrong := fault(folder / name, file.bytes, file.sha256, deep=deep):
            yield wrong
    if folder.is_dir():
        yield from (f"{path} does not belong to the library" for path in folder.iterdir() if path.name not in known)


def _wrong_items(segment: Segment, next_id: int, *, deep: bool) -> Iterator[str]:
    ids = segment.ids
    if len(ids) and not (ids[0] >= 0 and (np.diff(ids) > 0).all() and ids[-1] < next_id):
        yield f"{segment.folder}: ids are not ascending below {next_id}"
    if not deep:
        return
    for name, found, wanted in (
        (KEYS, segment.keys, path_keys),
        (CONTENTS, segment.contents, content_keys),
    ):
        if not np.array_equal(found, wanted(segment.items)):
            yield f"{segment.folder / name} does not belong to the items"


def _wrong_identities(snapshot: Snapshot) -> Iterator[str]:
    ids = snapshot.ids()
    if len(np.unique(ids)) != len(ids):
        yield f"{len(ids) - len(np.unique(ids))} ids are given twice"
    paths = Counter(path for _, path in snapshot.paths() if path is not None)
    yield from (f"{printable(path)} is there {count} times" for path, count in paths.items() if count > 1)


def _wrong_rows(snapshot: Snapshot, channel: Channel) -> Iterator[str]:
    for segment in snapshot.segments:
        rows = segment.channels[channel.name]
        for start in range(0, len(rows.row), _ROWS_AT_ONCE):
            try:
                check_rows(rows.row[start : start + _ROWS_AT_ONCE])
            except RowError as error:
                yield f"{segment.folder}, channel {channel.name}, from row {start}: {error}"
        if not np.array_equal(np.unique(rows.item), np.arange(len(segment))):
            yield f"{segment.folder}: channel {channel.name} does not give every item a row"


def _lost_rows(snapshot: Snapshot, channel: Channel, device: str) -> Iterator[str]:
    """Rows that do not find themselves, out of a sample spread evenly over the library."""
    places = [Place(s, int(p)) for s in range(len(snapshot.segments)) for p in snapshot.live(s)]
    chosen = places[:: max(1, len(places) // _SAMPLED)]
    rows = [row for place in chosen if (row := snapshot.row(place, channel.name)) is not None]
    if not rows:
        return
    found = nearest(np.stack(rows), SearchPlan(snapshot, channel, 1, channel.metric, device=device))
    for place, one in zip(chosen, found, strict=True):
        if not one.matches or one.matches[0].distance != 0:
            yield f"item {snapshot.id(place)} does not find itself at distance 0"
