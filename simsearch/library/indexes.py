"""The folder `indexes` of a library: FAISS files and what each covers; a cache that can always be rebuilt.

An index is two files: the index itself, and a JSON file of the same name, written last, that says what it is: channel,
metric, the segments that it was built over in their order, size and SHA-256, and the curve of its recall. What no JSON
file names does not exist. Removed items stay in an index and are skipped by a search; items that came later are
searched beside it.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import IndexFailed, InputError, SimsearchError
from simsearch.library.channel import Channel
from simsearch.library.snapshot import Snapshot
from simsearch.library.storage import digest, fault, naming_full_disk, sync_file, sync_folder
from simsearch.library.tune import Curve, tune
from simsearch.search.index_spec import IndexSpec, spec_for

if TYPE_CHECKING:
    from simsearch.search.index import Index

INDEXES = "indexes"
FORMAT = 1
ASKED = 1000
"""Rows of the library that an index is measured by."""
_SUFFIX, _TOLD = ".faiss", ".json"
_HALF = ".half"
_SEED = 0
_MAPPED_FROM = 4 << 30  # bytes from which an index is left in its file


@dataclass(frozen=True, slots=True)
class IndexRecord:
    """An index that lies in a library's folder.

    Attributes:
        file: Its name.
        channel: Whose rows.
        metric: Whose neighbours it finds.
        spec: What it is.
        segments: Names of the segments that it was built over, in the order of its rows.
        rows: How many.
        bytes: Size of the file.
        sha256: Of the file, in hex.
        curve: What it finds, measured.
    """

    file: str
    channel: str
    metric: str
    spec: IndexSpec
    segments: tuple[str, ...]
    rows: int
    bytes: int
    sha256: str
    curve: Curve

    def as_json(self) -> dict[str, Any]:
        """JSON types only."""
        return {"format": FORMAT, **asdict(self), "segments": list(self.segments)}

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> IndexRecord:
        """The record that `as_json` told.

        Raises:
            InputError: It is none, or of a later version.
        """
        try:
            told = dict(values)
            if told.pop("format") != FORMAT:
                raise InputError("it is of another version of simsearch")
            spec, curve = IndexSpec.of_json(told["spec"]), Curve.of_json(told["curve"])
            return cls(**{**told, "spec": spec, "curve": curve, "segments": tuple(told["segments"])})
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"it describes no index: {error}") from error

    def covers(self, snapshot: Snapshot) -> bool:
        """Whether all that it was built over is still there."""
        return set(self.segments) <= set(snapshot.uuids)


def records(folder: Path) -> tuple[IndexRecord, ...]:
    """The indexes in a library's folder whose description can be read, the newest first."""
    found = []
    for path in sorted((folder / INDEXES).glob(f"*{_TOLD}"), key=lambda path: path.stat().st_mtime_ns, reverse=True):
        try:
            found.append(_read(path))
        except SimsearchError:
            continue  # told by `problems`
    return tuple(found)


def opened(folder: Path, record: IndexRecord, *, device: str = "cpu") -> Index:
    """Open an index, its SHA-256 checked; a very large one stays in its file, and of it only the size is checked.

    Raises:
        IndexFailed: It is missing or damaged; `simsearch optimize` builds it again.
    """
    from simsearch.search.index import read

    path = folder / INDEXES / record.file
    mapped = record.bytes >= _MAPPED_FROM
    wrong = _wrong(path, record, deep=not mapped)
    if wrong:
        raise IndexFailed(f"{wrong}; `simsearch optimize` builds it again")
    return read(path, record.spec, device=device, mapped=mapped)


def intact(folder: Path, record: IndexRecord) -> bool:
    """Whether the file is what was written."""
    return _wrong(folder / INDEXES / record.file, record, deep=True) is None


def discard(folder: Path, record: IndexRecord) -> None:
    """Remove an index."""
    for name in (_told_name(record.file), record.file):
        (folder / INDEXES / name).unlink(missing_ok=True)


def build_index(
    folder: Path,
    snapshot: Snapshot,
    channel: Channel,
    metric: str,
    *,
    recall: float,
    kind: str = "auto",
    bytes_a_row: int | None = None,
    device: str = "auto",
    progress: Callable[[str, int, int], None] = lambda _what, _done, _of: None,
) -> IndexRecord | None:
    """Build, measure and keep an index over all rows of a channel; older ones for the same metric go.

    Args:
        folder: The library's.
        snapshot: The commit to build over.
        channel: Whose rows.
        metric: `js`, `cosine` or `l2`.
        recall: Of the ten nearest, to be reached at the lower end of its interval.
        kind: As for `spec_for`.
        bytes_a_row: As for `spec_for`.
        device: Where to train, build and measure.
        progress: Told what is done, how much of it and of how much.

    Returns:
        What was kept; None where the library is so small that exact search is as fast, and no kind was asked for.

    Raises:
        IndexFailed: FAISS cannot build it, or it does not reach the recall; nothing was kept.
        InputError: A setting is out of range, or the library is empty.
        MetricError: No index serves the metric.
    """
    from simsearch.search.index import build

    blocks = [segment.channels[channel.name].row for segment in snapshot.segments]
    count = sum(map(len, blocks))
    if not count:
        raise InputError("the library is empty; index images first")
    spec = spec_for(count, channel.dimension, metric, kind=kind, bytes_a_row=bytes_a_row, seed=_SEED)
    if spec.kind == "flat" and kind == "auto":
        return None
    index = build(spec, blocks, device=device, progress=lambda done, of: progress("build", done, of))
    live = [snapshot.live_rows(s, channel.name) for s in range(len(blocks))]
    asked = _asked(blocks, live)
    curve = tune(index, blocks, asked, recall=recall, live=live, progress=lambda done: progress("measure", done, 0))
    if curve.chosen is None:
        best = max(curve.points, key=lambda point: point.low)
        raise IndexFailed(
            f"the index of kind {spec.kind} finds {best.recall:.3f} ({best.low:.3f}-{best.high:.3f}) of the true "
            f"neighbours at most, {recall:g} was asked for; ask for less, for more --bytes, or for --kind ivf_flat"
        )
    names = tuple(segment.uuid for segment in snapshot.segments)
    record = _keep(folder, index, IndexRecord("", channel.name, metric, spec, names, count, 0, "", curve))
    for old in records(folder):
        if (old.channel, old.metric) == (channel.name, metric) and old.file != record.file:
            discard(folder, old)
    return record


def problems(folder: Path, snapshot: Snapshot, *, deep: bool) -> Iterator[str]:
    """What is wrong with the indexes, one line each: all of it is mended by `simsearch optimize`."""
    home = folder / INDEXES
    known = set()
    for path in sorted(home.glob(f"*{_TOLD}")):
        try:
            record = _read(path)
        except SimsearchError as error:
            yield f"{path} cannot be read as the description of an index: {error}; `simsearch optimize` removes it"
            continue
        known |= {path.name, record.file}
        if wrong := _wrong(home / record.file, record, deep=deep):
            yield f"{wrong}; `simsearch optimize` builds it again"
        elif record.covers(snapshot) and record.rows != _rows_of(snapshot, record):
            yield f"{path} says {record.rows} rows and its segments hold others; `simsearch optimize` builds it again"


def sweep(folder: Path) -> None:
    """Remove what a broken-off build left, and descriptions that cannot be read."""
    home = folder / INDEXES
    kept = {name for record in records(folder) for name in (record.file, _told_name(record.file))}
    for path in home.glob("*"):
        if path.name not in kept:
            path.unlink(missing_ok=True)


def _asked(blocks: Sequence[NDArray[Any]], live: Sequence[NDArray[np.bool_] | None]) -> NDArray[np.int64]:
    """Positions of live rows drawn evenly."""
    starts = np.cumsum([0, *map(len, blocks)])
    alive = [
        start + (np.arange(len(block)) if mask is None else np.flatnonzero(mask))
        for block, start, mask in zip(blocks, starts[:-1], live, strict=True)
    ]
    every = np.concatenate(alive)
    chosen = np.random.default_rng(_SEED).choice(len(every), min(ASKED, len(every)), replace=False)
    return np.sort(every[chosen]).astype(np.int64)


def _keep(folder: Path, index: Index, record: IndexRecord) -> IndexRecord:
    """Write an index and then its description, each whole or not at all."""
    home = folder / INDEXES
    with naming_full_disk(folder):
        home.mkdir(exist_ok=True)
        name = f"{record.channel}-{record.metric}-{uuid.uuid4().hex[:12]}{_SUFFIX}"
        path, told = home / name, home / _told_name(name)
        half, half_told = path.with_name(name + _HALF), told.with_name(told.name + _HALF)
        index.write(half)
        sync_file(half)
        kept = IndexRecord(
            name,
            record.channel,
            record.metric,
            record.spec,
            record.segments,
            record.rows,
            half.stat().st_size,
            digest(half),
            record.curve,
        )
        half_told.write_text(json.dumps(kept.as_json(), indent=1) + "\n", encoding="utf-8")
        sync_file(half_told)
        half.rename(path)
        half_told.rename(told)
        sync_folder(home)
    return kept


def _told_name(file: str) -> str:
    return file.removesuffix(_SUFFIX) + _TOLD


def _read(path: Path) -> IndexRecord:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(str(error)) from error
    record = IndexRecord.of_json(values)
    if _told_name(record.file) != path.name or os.sep in record.file:
        raise InputError(f"it speaks of {record.file}")
    return record


def _wrong(path: Path, record: IndexRecord, *, deep: bool) -> str | None:
    return fault(path, record.bytes, record.sha256, deep=deep)


def _rows_of(snapshot: Snapshot, record: IndexRecord) -> int:
    segments = [snapshot.segments[snapshot.uuids[name]] for name in record.segments]
    return sum(len(segment.channels[record.channel].row) for segment in segments)
