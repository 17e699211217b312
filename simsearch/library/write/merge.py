"""Merging: several segments become one without the items that were removed; ids stay."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simsearch.errors import LibraryDamaged
from simsearch.library.format.items import REJECTS, SCHEMA, reject_owners, with_owners, with_roots
from simsearch.library.format.segment import REJECTS as REJECTS_FILE
from simsearch.library.format.segment import ChannelRows, SegmentDraft
from simsearch.library.format.snapshot import Snapshot
from simsearch.library.write.writer import Writer

SMALL_ITEMS = 1 << 15
MANY_SMALL = 32
_REPORTED = 3
Forgets = Callable[[bytes, str | None], bool]
"""Whether a rejected input of that path and owner is left out."""

_MOST_ITEMS = 1 << 20
_MOST_BYTES = 1 << 29  # of rows in one segment: a merge takes about twice that in memory


def forgets_nothing(path: bytes, owner: str | None) -> bool:  # noqa: ARG001
    """Keep the record of every rejected input."""
    return False


def optimize(writer: Writer) -> None:
    """Merge all segments into as few as their bounded size allows, and drop removed items.

    Raises:
        LibraryDamaged: A segment is damaged; it was left as it is, and all others were merged.
    """
    snapshot = writer.snapshot
    groups = _groups(snapshot, range(len(snapshot.segments)))
    _merge_each(writer, [group for group in groups if len(group) > 1 or snapshot.removed[group[0]] is not None])


def purge(writer: Writer, forgets: Forgets = forgets_nothing) -> None:
    """Rewrite the segments that hold removed items, unused roots, or rejected inputs that are to be forgotten.

    Raises:
        LibraryDamaged: A segment is damaged; it was left as it is, and all others were rewritten.
    """
    snapshot = writer.snapshot
    _merge_each(writer, [[s] for s in range(len(snapshot.segments)) if _holds_traces(snapshot, s, forgets)], forgets)


def _holds_traces(snapshot: Snapshot, number: int, forgets: Forgets) -> bool:
    segment = snapshot.segments[number]
    if snapshot.removed[number] is not None or len(used_roots(snapshot, number)) < len(segment.roots):
        return True
    return any(map(forgets, segment.rejects.column("path").to_pylist(), reject_owners(segment.rejects)))


def used_roots(snapshot: Snapshot, number: int) -> list[bytes]:
    """Return the roots of a segment's live items."""
    segment = snapshot.segments[number]
    used = segment.items.column("root").take(pa.array(snapshot.live(number))).unique().to_pylist()
    return [root for i, root in enumerate(segment.roots) if i in used]


def _merge_each(writer: Writer, groups: Sequence[Sequence[int]], forgets: Forgets = forgets_nothing) -> None:
    """Merge several groups; every commit renumbers the segments, so groups are kept by name."""
    names = [[writer.snapshot.segments[number].uuid for number in group] for group in groups]
    refused: list[str] = []
    for group in names:
        try:
            merge(writer, [writer.snapshot.uuids[name] for name in group], forgets)
        except LibraryDamaged as error:
            refused.append(str(error))
    if refused:
        raise LibraryDamaged("; ".join(refused[:_REPORTED]))


def merge_small(writer: Writer) -> None:
    """Merge the newest segments when many of them are small, so that searching stays fast.

    Raises:
        LibraryDamaged: One of them is damaged; they were left as they are.
    """
    snapshot = writer.snapshot
    first = len(snapshot.segments)
    while first and len(snapshot.segments[first - 1]) < SMALL_ITEMS:
        first -= 1
    if len(snapshot.segments) - first > MANY_SMALL:
        merge(writer, _groups(snapshot, range(first, len(snapshot.segments)))[0])


def merge(writer: Writer, numbers: Sequence[int], forgets: Forgets = forgets_nothing) -> None:
    """Replace neighbouring segments by one, in one commit; files are first checked by their SHA-256.

    Raises:
        LibraryDamaged: One of them is damaged; nothing was changed. With all of its items removed it can be merged
            all the same, since nothing of it is copied.
    """
    for number in numbers:
        require_sound(writer, number)
    draft = merged(writer.snapshot, numbers, forgets)
    empty = not draft.items.num_rows and not draft.rejects.num_rows
    writer.commit(None if empty else draft, dropped=numbers)


def require_sound(writer: Writer, number: int) -> None:
    """Require that the files of a segment that are to be copied are as they were written.

    Raises:
        LibraryDamaged: One is not.
    """
    copied = None if len(writer.snapshot.live(number)) else {REJECTS_FILE}
    if wrong := writer.unsound(number, copied):
        raise LibraryDamaged(f"{wrong}; nothing of it was copied, run `simsearch verify --deep`")


def _groups(snapshot: Snapshot, numbers: Sequence[int]) -> list[list[int]]:
    """Return runs of neighbouring segments that fit into one."""
    items = max(1, sum(map(len, snapshot.segments)))
    width = sum(
        channel.dimension * channel.numpy_dtype.itemsize * -(-_rows_in(snapshot, channel.name) // items)
        for channel in snapshot.state.channels
    )
    limit = min(_MOST_ITEMS, max(1, _MOST_BYTES // max(1, width)))
    groups: list[list[int]] = []
    held = limit
    for number in numbers:
        count = len(snapshot.live(number))
        if held + count > limit or not groups:
            groups.append([])
            held = 0
        groups[-1].append(number)
        held += count
    return groups


def _rows_in(snapshot: Snapshot, channel: str) -> int:
    return sum(len(segment.channels[channel].item) for segment in snapshot.segments)


def merged(snapshot: Snapshot, numbers: Sequence[int], forgets: Forgets = forgets_nothing) -> SegmentDraft:
    """Return one segment's contents with all live items of several, in order of ids."""
    live = [snapshot.live(number) for number in numbers]
    ids = np.concatenate([snapshot.segments[number].ids[kept] for number, kept in zip(numbers, live, strict=True)])
    order = np.argsort(ids, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    rows = {
        channel.name: _merged_rows(snapshot, numbers, live, rank, channel.name) for channel in snapshot.state.channels
    }
    items = _merged_items(snapshot, numbers, live, order)
    return SegmentDraft(items, rows, _merged_rejects(snapshot, numbers, forgets), np.asarray(ids[order], np.int64))


def _merged_items(
    snapshot: Snapshot, numbers: Sequence[int], live: Sequence[NDArray[np.intp]], order: NDArray[np.intp]
) -> pa.RecordBatch:
    segments = [snapshot.segments[number] for number in numbers]
    roots = list(dict.fromkeys(root for number in numbers for root in used_roots(snapshot, number)))
    known = {root: i for i, root in enumerate(roots)}
    batches = []
    for segment, kept in zip(segments, live, strict=True):
        batch = segment.items.take(pa.array(kept)).replace_schema_metadata(None)
        renumbered = pa.array([known.get(root) for root in segment.roots], pa.int32())
        root = renumbered.take(batch.column("root")) if segment.roots else batch.column("root")
        batches.append(batch.set_column(SCHEMA.get_field_index("root"), "root", root))
    return pa.concat_batches(batches).take(pa.array(order)).cast(with_roots(SCHEMA, roots))


def _merged_rows(
    snapshot: Snapshot, numbers: Sequence[int], live: Sequence[NDArray[np.intp]], rank: NDArray[np.int64], channel: str
) -> ChannelRows:
    pieces = [snapshot.segments[number].channels[channel] for number in numbers]
    item, kept_rows, offset = [], [], 0
    for number, piece, kept in zip(numbers, pieces, live, strict=True):
        new = np.full(len(snapshot.segments[number]), -1, np.int64)
        new[kept] = rank[offset : offset + len(kept)]
        offset += len(kept)
        chosen = np.flatnonzero(new[piece.item] >= 0)
        kept_rows.append(chosen)
        item.append(new[piece.item[chosen]])
    items = np.concatenate(item).astype(np.uint32)
    parts = np.concatenate([piece.part[chosen] for piece, chosen in zip(pieces, kept_rows, strict=True)])
    order = np.lexsort((parts, items))
    rows = np.concatenate([piece.row[chosen] for piece, chosen in zip(pieces, kept_rows, strict=True)])
    in_order = bool((order == np.arange(len(order))).all())
    runtime = {key: value for piece in pieces for key, value in piece.runtime.items()}
    limit = max(piece.parts for piece in pieces)
    return ChannelRows(items[order], parts[order], rows if in_order else rows[order], runtime, limit)


def _merged_rejects(snapshot: Snapshot, numbers: Sequence[int], forgets: Forgets) -> pa.RecordBatch:
    """Return the last reject of each path, unless the path has since become an item or is forgotten."""
    rejects = [snapshot.segments[number].rejects for number in numbers]
    owners = [owner for batch in rejects for owner in reject_owners(batch)]
    whole = pa.concat_batches([batch.replace_schema_metadata(None) for batch in rejects])
    last = {path: i for i, path in enumerate(whole.column("path").to_pylist())}
    places = zip(last.items(), snapshot.by_paths(list(last)), strict=True)
    kept = [i for (path, i), place in places if place is None and not forgets(path, owners[i])]
    return whole.take(pa.array(kept, pa.int64())).cast(with_owners(REJECTS, [owners[i] for i in kept]))
