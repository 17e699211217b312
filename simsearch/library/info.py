"""Facts about a library and its indexes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from simsearch.distance import METRICS
from simsearch.images.source import as_text
from simsearch.library.calibration.store import kept, kept_fused
from simsearch.library.format.channel import Channel
from simsearch.library.format.snapshot import Snapshot
from simsearch.library.indexes.curve import Curve, Recall
from simsearch.library.indexes.record import IndexRecord
from simsearch.library.indexes.store import records


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """An index of a library, seen from one commit.

    Attributes:
        channel: Whose rows.
        metric: Whose neighbours it finds.
        kind: `flat`, `ivf_flat`, `ivf_sq8`, `ivf_pq`, `hnsw` or `rabitq`.
        bytes: Size of its file.
        bytes_a_row: Stored in it.
        rows: Rows that it covers, removed ones included.
        fresh: Rows that came later and are searched exactly beside it.
        usable: Whether searches use it: all that it covers is still there.
        curve: Its measured recall at 10.
        device: Where that was measured, "cpu" or "cuda": its rates are of that.
        wider: Its measured recall at larger k, ascending.
        recalls: Of a search, at 1, at 10 and at larger k, with the interval of each.
    """

    channel: str
    metric: str
    kind: str
    bytes: int
    bytes_a_row: int
    rows: int
    fresh: int
    usable: bool
    curve: Curve
    device: str
    wider: tuple[Curve, ...] = ()
    recalls: tuple[Recall, ...] = ()


@dataclass(frozen=True, slots=True)
class CalibrationInfo:
    """Rates of strangers that a library has of its own.

    Attributes:
        channel: Whose rows; "fused" for all channels together.
        metric: The distance.
        origin: Whose pairs were counted: "negatives", "queries" or "library".
        pairs: Of strangers.
        items: Of the library then.
        stale: Whether it has grown twofold since.
    """

    channel: str
    metric: str
    origin: str
    pairs: int
    items: int
    stale: bool


@dataclass(frozen=True, slots=True)
class LibraryInfo:
    """Facts about a library at one commit.

    Attributes:
        path: Its folder.
        items: Items that are searched.
        removed: Items that were removed and still lie in the files.
        rejected: Inputs that could not be used, each counted once.
        segments: Folders of rows.
        bytes: Size of those folders.
        next_id: The id of the next new item.
        generation: Number of commits.
        channels: Its channels.
        roots: The folders of the paths, by number.
        indexes: Its indexes.
        calibrations: Rates of strangers of its own.
    """

    path: str
    items: int
    removed: int
    rejected: int
    segments: int
    bytes: int
    next_id: int
    generation: int
    channels: tuple[Channel, ...]
    roots: dict[int, str]
    indexes: tuple[IndexInfo, ...] = ()
    calibrations: tuple[CalibrationInfo, ...] = ()


def _index(record: IndexRecord, snapshot: Snapshot) -> IndexInfo:
    usable = record.fits(snapshot)
    known = (segment.channels.get(record.channel) for segment in snapshot.segments)
    rows = sum(len(channel.row) for channel in known if channel is not None)
    asked = {k: curve for curve in reversed(record.curves) for k in (1, curve.k)}
    shares = {k: asked[k].share(k) for k in sorted(asked)}
    return IndexInfo(
        record.channel,
        record.metric,
        record.spec.kind,
        record.bytes,
        record.spec.row_bytes,
        record.rows,
        rows - record.rows if usable else rows,
        usable,
        replace(record.curve, shares=()),
        record.device,
        tuple(replace(curve, shares=()) for curve in record.wider),
        tuple(Recall(*share, k) for k, share in shares.items() if share is not None),
    )


def _calibrations(folder: Path, channels: tuple[Channel, ...], items: int) -> Iterator[CalibrationInfo]:
    for channel in channels:
        for metric in METRICS:
            one = kept(folder, channel, metric)
            if one is not None:
                stale = one.is_stale(items)
                yield CalibrationInfo(channel.name, metric, one.origin, one.pairs, one.items, stale)
    fused = kept_fused(folder, frozenset(channel.fingerprint for channel in channels))
    if fused is not None:
        yield CalibrationInfo("fused", "fused", fused.origin, fused.pairs, fused.items, fused.is_stale(items))


def info(folder: Path, snapshot: Snapshot) -> LibraryInfo:
    """Return the facts about a snapshot."""
    state = snapshot.state
    files = [path for segment in snapshot.segments for path in segment.folder.glob("*")]
    rejects = {path for segment in snapshot.segments for path in segment.rejects.column("path").to_pylist()}
    return LibraryInfo(
        path=str(folder),
        items=len(snapshot),
        removed=sum(record.items for record in state.segments) - len(snapshot),
        rejected=sum(place is None for place in snapshot.by_paths(list(rejects))),
        segments=len(snapshot.segments),
        bytes=sum(path.stat().st_size for path in files),
        next_id=state.next_id,
        generation=state.generation,
        channels=state.channels,
        indexes=tuple(_index(record, snapshot) for record in records(folder)),
        calibrations=tuple(_calibrations(folder, state.channels, len(snapshot))),
        roots={number: as_text(path)[0] for path, number in sorted(state.roots.items(), key=lambda root: root[1])},
    )
