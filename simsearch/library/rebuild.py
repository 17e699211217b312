"""Which indexes a library is given when it is optimised: the one that was asked for, and those that went stale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from simsearch.library.channel import Channel
from simsearch.library.indexes import IndexRecord, build_index, discard, intact, records, sweep
from simsearch.library.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Wanted:
    """An index that somebody wants.

    Attributes:
        channel: Whose rows.
        metric: Whose neighbours it finds.
        recall: To be reached.
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
    progress: Callable[[str, int, int], None],
) -> tuple[IndexRecord, ...]:
    """Build what is wanted, and again what no longer covers the segments or is damaged.

    Raises:
        IndexFailed: An index cannot be built or does not reach its recall.
    """
    sweep(folder)
    jobs = [] if wanted is None else [wanted]
    by_name = {channel.name: channel for channel in snapshot.state.channels}
    for record in records(folder):
        asked = any((job.channel.name, job.metric) == (record.channel, record.metric) for job in jobs)
        if not len(snapshot):
            discard(folder, record)
            continue
        stale = not record.covers(snapshot) or not intact(folder, record)
        if not asked and stale and record.channel in by_name:
            code = record.spec.code_bytes or None
            jobs.append(Wanted(by_name[record.channel], record.metric, record.curve.wanted, record.spec.kind, code))
    built = []
    for job in jobs:
        found = build_index(
            folder,
            snapshot,
            job.channel,
            job.metric,
            recall=job.recall,
            kind=job.kind,
            bytes_a_row=job.bytes_a_row,
            device=device,
            progress=progress,
        )
        built += [] if found is None else [found]
    return tuple(built)
