"""Checking a library: the manifest, the files, and their agreement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from simsearch.errors import LibraryDamaged, SimsearchError
from simsearch.images.source import printable
from simsearch.library.calibration.store import problems as calibration_problems
from simsearch.library.format.atomic_files import fault
from simsearch.library.format.cards import card_digest, kept_card
from simsearch.library.format.channel import POINTS, Channel
from simsearch.library.format.commit import SegmentRecord, State
from simsearch.library.format.items import content_keys, path_keys
from simsearch.library.format.layout import CALIBRATIONS, INDEXES, LISTS, MODELS, SEGMENTS, is_segment_name, require_own
from simsearch.library.format.manifest import Manifest
from simsearch.library.format.row_checks import bad_row
from simsearch.library.format.segment import CONTENTS, KEYS, Segment
from simsearch.library.format.snapshot import Place, Snapshot, open_recorded
from simsearch.library.indexes import store
from simsearch.library.lists.store import problems as list_problems
from simsearch.library.read.neighbours import nearest
from simsearch.library.read.search_plan import SearchPlan
from simsearch.library.repair.survey import is_newer
from simsearch.library.verdicts.log import read

_SAMPLED = 64
_TRIES = 5  # while a writer replaces segments


def verify(folder: Path, *, deep: bool = False, device: str = "auto") -> list[str]:
    """Return the faults of the library in a folder, one line each; none for a sound one.

    All problems are collected; none is raised.

    Args:
        folder: The library's folder.
        deep: Also read every file whole: checksums, keys, rows, and a sample of rows that must find themselves.
        device: Of that search.
    """
    for _ in range(_TRIES):
        problems: list[str] = []
        seen = _state(folder, problems)
        if seen is None:
            break
        _check_state(folder, seen, problems, deep=deep, device=device)
        newer = _state(folder, []) if problems else None
        if newer is None or newer.generation == seen.generation:
            break
    return list(dict.fromkeys(problems))


@contextmanager
def _collecting(problems: list[str], what: object) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # damage may break the checks themselves
        line = (str(error).splitlines() or [""])[0]
        problems.append(line if isinstance(error, SimsearchError) else f"{what}: {type(error).__name__}: {line[:200]}")


def _state(folder: Path, problems: list[str]) -> State | None:
    """Return the state of the manifest, and add its faults."""
    manifest, state = Manifest(folder), None
    with _collecting(problems, folder):
        require_own(folder)
        state = manifest.read()
    with _collecting(problems, manifest.path):
        problems += manifest.check()
        read(manifest)
    return state


def _check_state(folder: Path, state: State, problems: list[str], *, deep: bool, device: str) -> None:
    opened: list[tuple[SegmentRecord, Segment]] = []
    with _collecting(problems, folder / SEGMENTS):
        problems += _unnamed(folder, state)
    for record in state.segments:
        home = folder / SEGMENTS / record.uuid
        wrong: list[str] = []
        with _collecting(wrong, home):
            wrong += _wrong_files(home, record, deep=deep)
        if not wrong:
            with _collecting(wrong, home):
                segment = open_recorded(home, record, state)
                wrong += _wrong_keys(segment) if deep else []
                opened.append((record, segment))
        problems += wrong
    sound = replace(state, segments=tuple(record for record, _ in opened))
    snapshot = Snapshot(sound, tuple(segment for _, segment in opened))
    with _collecting(problems, folder):
        problems += _wrong_identities(snapshot)
    with _collecting(problems, folder / INDEXES):
        problems += store.problems(folder, snapshot, deep=deep)
    with _collecting(problems, folder / CALIBRATIONS):
        problems += calibration_problems(folder)
    with _collecting(problems, folder / LISTS):
        problems += list_problems(folder)
    if deep:
        for channel in state.channels:
            with _collecting(problems, f"{folder}, channel {channel.name}"):
                problems += _wrong_card(folder, channel)
                rows = list(_wrong_rows(snapshot, channel))
                problems += rows or _lost_rows(snapshot, channel, device)


def _unnamed(folder: Path, state: State) -> Iterator[str]:
    """Yield segments of later commits than the manifest's, as after an older one was put back."""
    named = {record.uuid for record in state.segments}
    for path in sorted((folder / SEGMENTS).iterdir()):
        if is_segment_name(path.name) and path.name not in named and is_newer(path, state.generation):
            yield f"{path} is newer than the manifest, which does not name it: `simsearch repair --library {folder}`"


def _wrong_files(home: Path, record: SegmentRecord, *, deep: bool) -> Iterator[str]:
    for file in record.files:
        try:
            wrong = fault(home / file.name, file.bytes, file.sha256, deep=deep)
        except (OSError, LibraryDamaged) as error:
            wrong = f"{home / file.name}: {error}"
        if wrong:
            yield wrong
    if home.is_dir():
        known = {file.name for file in record.files}
        yield from (f"{path} does not belong to the library" for path in home.iterdir() if path.name not in known)


def _wrong_keys(segment: Segment) -> Iterator[str]:
    for name, found, wanted in ((KEYS, segment.keys, path_keys), (CONTENTS, segment.contents, content_keys)):
        if not np.array_equal(found, wanted(segment.items)):
            yield f"{segment.folder / name} does not belong to the items"


def _wrong_identities(snapshot: Snapshot) -> Iterator[str]:
    ids = snapshot.ids()
    if len(np.unique(ids)) != len(ids):
        yield f"{len(ids) - len(np.unique(ids))} ids are given twice"
    paths = Counter(path for _, path in snapshot.paths() if path is not None)
    yield from (f"{printable(path)} is there {count} times" for path, count in paths.items() if count > 1)


def _wrong_card(folder: Path, channel: Channel) -> Iterator[str]:
    if channel.card is not None and card_digest(kept_card(folder, channel.name)) != channel.card:
        yield f"{folder / MODELS / channel.name} is not the card that was copied: its SHA-256 differs"


def _wrong_rows(snapshot: Snapshot, channel: Channel) -> Iterator[str]:
    for segment in snapshot.segments:
        if wrong := bad_row(segment, channel):
            yield wrong
        if not np.array_equal(np.unique(segment.channels[channel.name].item), np.arange(len(segment))):
            yield f"{segment.folder}: channel {channel.name} does not give every item a row"


def _lost_rows(snapshot: Snapshot, channel: Channel, device: str) -> Iterator[str]:
    """Yield rows that do not find themselves, out of a sample spread evenly over the library."""
    if channel.dtype == POINTS:  # of a blank picture there are none, and nothing has the distance 0
        return
    places = [Place(s, int(p)) for s in range(len(snapshot.segments)) for p in snapshot.live(s)]
    chosen = places[:: max(1, len(places) // _SAMPLED)]
    rows = [row for place in chosen if (row := snapshot.row(place, channel.name)) is not None]
    if not rows:
        return
    found = nearest(np.stack(rows), SearchPlan(snapshot, channel, 1, channel.metric, device=device))
    for place, one in zip(chosen, found, strict=True):
        if not one.matches or one.matches[0].distance != 0:
            yield f"item {snapshot.id(place)} does not find itself at distance 0 in channel {channel.name}"
