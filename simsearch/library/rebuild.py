"""Building a library's indexes: the one that was asked for, and those that went stale."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import IndexFailed, InputError
from simsearch.library.channel import Channel
from simsearch.library.damage import naming_damage
from simsearch.library.index_record import IndexRecord
from simsearch.library.indexes import discard, intact, keep, records, sweep
from simsearch.library.snapshot import Snapshot
from simsearch.library.tune import Curve, tune
from simsearch.search.index_spec import IndexSpec, spec_for

if TYPE_CHECKING:
    from simsearch.search.gpus import Gpus
    from simsearch.search.index import Index

_TRAINED_ON = 256  # rows: the values of a byte of a product code
ASKED = 1000
"""Rows of the library that an index is measured by."""
_SEED = 0

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """An index that somebody wants.

    Attributes:
        channel: Whose rows.
        metric: Whose neighbours it finds: `js`, `cosine` or `l2`.
        recall: Of the ten nearest, to be reached at the lower end of its interval.
        kind: As for `spec_for`.
        bytes_a_row: As for `spec_for`.
    """

    channel: Channel
    metric: str
    recall: float
    kind: str = "auto"
    bytes_a_row: int | None = None


def rebuild(
    folder: Path,
    snapshot: Snapshot,
    wanted: Wanted | None,
    *,
    device: str,
    progress: Progress,
    swept: list[str] | None = None,
) -> tuple[IndexRecord, ...]:
    """Build what is wanted, and again what no longer covers the segments or is damaged; return what was built.

    Args:
        folder: The library's.
        snapshot: The commit to build over.
        wanted: Beside what is stale.
        device: Where to train and build.
        progress: Told what is done, how much of it and of how much.
        swept: Gets the names of what a broken-off build had left, which is removed.

    Raises:
        IndexFailed: An index cannot be built or does not reach its recall.
        LibraryDamaged: A stored row was damaged; it is named.
    """
    gone = sweep(folder)
    if swept is not None:
        swept += gone
    jobs = [] if wanted is None else [wanted]
    by_name = {channel.name: channel for channel in snapshot.state.channels}
    for record in records(folder):
        if not len(snapshot):
            discard(folder, record)
            continue
        asked = any((job.channel.name, job.metric) == (record.channel, record.metric) for job in jobs)
        stale = not record.fits(snapshot) or not intact(folder, record)
        if not asked and stale and record.channel in by_name:
            code = record.spec.code_bytes or None
            jobs.append(Wanted(by_name[record.channel], record.metric, record.curve.wanted, record.spec.kind, code))
    built = []
    for job in jobs:
        with naming_damage(snapshot, job.channel, removed=True):
            built.append(build_index(folder, snapshot, job, device=device, progress=progress))
    return tuple(record for record in built if record is not None)


def build_index(
    folder: Path, snapshot: Snapshot, wanted: Wanted, *, device: str, progress: Progress
) -> IndexRecord | None:
    """Build, measure and keep an index over all rows of a channel.

    Returns:
        What was kept; None where the library is so small that exact search is as fast, and no kind was asked for.

    Raises:
        IndexFailed: FAISS cannot build it, or it does not reach the recall; nothing was kept.
        InputError: A setting is out of range, or the library is empty.
        MetricError: No index serves the metric.
    """
    from simsearch.search.gpus import gpus_of

    channel, metric = wanted.channel, wanted.metric
    blocks = [segment.channels[channel.name].row for segment in snapshot.segments]
    count = sum(map(len, blocks))
    if not count:
        raise InputError("the library is empty; index images first")
    kind, room, gpus = wanted.kind, wanted.bytes_a_row, gpus_of(device)
    gpu_room = None if gpus is None else gpus.total
    spec = spec_for(count, channel.dimension, metric, kind=kind, bytes_a_row=room, gpu_room=gpu_room)
    if spec.kind == "flat" and kind == "auto":
        return None
    _require_enough(count, spec, wanted.recall)
    live = [snapshot.live_rows(s, channel.name) for s in range(len(blocks))]
    index, curve = _measured(spec, blocks, live, gpus, recall=wanted.recall, progress=progress)
    try:
        if curve.chosen is None:
            best = max(curve.points, key=lambda point: point.low)
            raise IndexFailed(
                f"the index of kind {spec.kind} finds {best.recall:.3f} ({best.low:.3f}-{best.high:.3f}) of the true "
                f"neighbours at most, {wanted.recall:g} was asked for; ask for less, for more --bytes, or for "
                "--kind ivf_flat"
            )
        names = tuple(segment.uuid for segment in snapshot.segments)
        record = IndexRecord("", channel.name, metric, spec, names, count, 0, "", curve, index.on)
        return keep(folder, index, record)
    finally:
        index.close()


def _measured(
    spec: IndexSpec,
    blocks: Sequence[NDArray[Any]],
    live: Sequence[NDArray[np.bool_] | None],
    gpus: Gpus | None,
    *,
    recall: float,
    progress: Progress,
) -> tuple[Index, Curve]:
    """The index and what it finds, where it will be searched; on the CPU, told by a warning, where the GPUs fail."""
    from simsearch.search.index import build

    index = None
    try:
        index = build(spec, blocks, device=gpus, progress=lambda done, of: progress("build", done, of))
        asked = _drawn(blocks, live)
        return index, tune(index, blocks, asked, recall=recall, live=live, progress=lambda n: progress("measure", n, 0))
    except BaseException as error:
        if index is not None:
            index.close()
        if gpus is None or not isinstance(error, IndexFailed):
            raise
        warnings.warn(f"{error}; building on the CPU", RuntimeWarning, stacklevel=2)
    return _measured(spec, blocks, live, None, recall=recall, progress=progress)


def _require_enough(count: int, spec: IndexSpec, recall: float) -> None:
    """Refuse what so few rows cannot train, or cannot show, before time is spent on it.

    Raises:
        IndexFailed: There are too few; exact search needs no index there.
    """
    from simsearch.decide.intervals import clopper_pearson

    asked = min(ASKED, count)
    shown = clopper_pearson(asked, asked).low
    if shown < recall:
        few = f"{count:,} rows are too few" if count < ASKED else f"a measurement by {ASKED:,} rows is too coarse"
        raise IndexFailed(
            f"{few} to show a recall of {recall:g}: were all neighbours found, it would be said to lie between "
            f"{shown:.3f} and 1; ask for less, or leave the index out, since exact search finds all"
        )
    needed = max(spec.lists, _TRAINED_ON if spec.kind == "ivf_pq" else 1)
    if count < needed:
        raise IndexFailed(
            f"an index of kind {spec.kind} is trained on {needed:,} rows at least, and there are {count:,}; leave it "
            "out: exact search of so few is as fast"
        )


def _drawn(blocks: Sequence[NDArray[Any]], live: Sequence[NDArray[np.bool_] | None]) -> NDArray[np.int64]:
    """Positions of live rows drawn evenly."""
    starts = np.cumsum([0, *map(len, blocks)])
    alive = [
        start + (np.arange(len(block)) if mask is None else np.flatnonzero(mask))
        for block, start, mask in zip(blocks, starts[:-1], live, strict=True)
    ]
    every = np.concatenate(alive)
    chosen = np.random.default_rng(_SEED).choice(len(every), min(ASKED, len(every)), replace=False)
    return np.sort(every[chosen]).astype(np.int64)
