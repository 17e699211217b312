"""A segment: a folder of immutable, memory-mapped files with some of a library's items and their rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simsearch.library.format.atomic_files import load_array, save_array, sync
from simsearch.library.format.channel import Channel, Row
from simsearch.library.format.items import (
    Keys,
    content_keys,
    contents_of,
    full_paths,
    join,
    numbers,
    path_keys,
    roots_of,
    starting_with,
)
from simsearch.library.format.layout import ITEMS
from simsearch.library.format.segment_checks import (
    check_ids,
    check_items,
    check_keys,
    check_rejects,
    check_row_numbers,
    damaged,
    facts_of,
    names_in,
    read_batch,
)

FORMAT = "1"
COMMIT = b"commit"
REJECTS = "rejects.arrow"
KEYS = "keys.npy"
CONTENTS = "contents.npy"
IDS = "ids.npy"
_FEW = 1000  # paths are joined one by one in less time than Arrow's functions take to load


@dataclass(frozen=True, slots=True)
class ChannelRows:
    """The rows of one channel in one segment, in order of (item, part).

    Attributes:
        item: Position of the item in the segment, (r,) uint32.
        part: 0 for the whole image, (r,) uint16.
        row: (r, d) in the channel's dtype.
        runtime: Device, dtype and versions that made the rows.
        parts: The largest number of rows of an item.
    """

    item: NDArray[np.uint32]
    part: NDArray[np.uint16]
    row: NDArray[Any]
    runtime: Mapping[str, str] = field(default_factory=dict)
    parts: int = 1

    @classmethod
    def whole(cls, row: NDArray[Any], runtime: Mapping[str, str] | None = None) -> ChannelRows:
        """Return the rows of items that have one each, in order."""
        n = len(row)
        return cls(np.arange(n, dtype=np.uint32), np.zeros(n, np.uint16), row, runtime or {})

    @classmethod
    def of(cls, rows: Sequence[Row], channel: Channel, runtime: Mapping[str, str] | None = None) -> ChannelRows:
        """Return the rows of items, in order, each (d,) or (p, d)."""
        counts = np.array([1 if row.ndim == 1 else len(row) for row in rows], np.int64)
        flat = [row.reshape(-1, channel.dimension) for row in rows]
        joined = np.concatenate([np.empty((0, channel.dimension), channel.numpy_dtype), *flat])
        if (counts == 1).all():
            return cls.whole(joined, runtime)
        item = np.repeat(np.arange(len(rows), dtype=np.uint32), counts)
        part = np.arange(len(item)) - np.repeat(np.cumsum(counts) - counts, counts)
        return cls(item, part.astype(np.uint16), joined, runtime or {}, int(counts.max()))


@dataclass(frozen=True, slots=True)
class SegmentDraft:
    """The contents of a segment to be written.

    Attributes:
        items: Record batch in the items' schema, n items.
        rows: Rows of each channel, by its name.
        rejects: Record batch of rejected inputs.
        ids: (n,) int64, -1 where the committer assigns a new one; None for all.
        keys: The `path_keys` of the items; None where not yet computed.
    """

    items: pa.RecordBatch
    rows: Mapping[str, ChannelRows]
    rejects: pa.RecordBatch
    ids: NDArray[np.int64] | None = None
    keys: Keys | None = None


@dataclass(frozen=True, slots=True)
class CommitRecord:
    """A segment's record of its commit, from which a lost manifest can be made again.

    Attributes:
        generation: The number of the commit.
        rank: In the order of segments.
        next_id: The first id that is still free after it.
        replaces: Segments that it was merged from, whose removed items it leaves out.
    """

    generation: int
    rank: int
    next_id: int
    replaces: tuple[str, ...] = ()


def write_segment(
    folder: Path, draft: SegmentDraft, channels: Sequence[Channel], *, commit: CommitRecord | None = None
) -> None:
    """Write all files of a segment but its ids into a new folder and flush them to disk.

    For workers; the library takes the folder over with `adopt`.

    Raises:
        FileExistsError: The folder is there already.
    """
    folder.mkdir(parents=True)
    common = {b"simsearch": FORMAT.encode()}
    record = {} if commit is None else {COMMIT: json.dumps(asdict(commit)).encode()}
    _write_batch(folder / ITEMS, draft.items, common | record)
    _write_batch(folder / REJECTS, draft.rejects, common)
    for position, channel in enumerate(channels):
        rows = draft.rows[channel.name]
        facts = common | _described(channel, rows, position)
        _write_batch(folder / f"{channel.name}.arrow", _rows_batch(rows, channel), facts)
    save_array(folder / KEYS, path_keys(draft.items) if draft.keys is None else draft.keys)
    save_array(folder / CONTENTS, content_keys(draft.items))


def _described(channel: Channel, rows: ChannelRows, position: int) -> dict[bytes, bytes]:
    facts = {
        "channel": channel.name,
        "fingerprint": channel.fingerprint,
        "dtype": channel.dtype,
        "parts": str(rows.parts),
        "runtime": json.dumps(dict(rows.runtime)),
        "manifest": json.dumps({"position": position, **asdict(channel)}),  # read by `repair` alone
    }
    return {key.encode(): value.encode() for key, value in facts.items()}


def _rows_batch(rows: ChannelRows, channel: Channel) -> pa.RecordBatch:
    flat = pa.array(np.ascontiguousarray(rows.row, channel.numpy_dtype).reshape(-1))
    row = pa.FixedSizeListArray.from_arrays(flat, channel.dimension)
    return pa.RecordBatch.from_arrays([pa.array(rows.item), pa.array(rows.part), row], names=["item", "part", "row"])


def _write_batch(path: Path, batch: pa.RecordBatch, metadata: Mapping[bytes, bytes]) -> None:
    batch = batch.replace_schema_metadata({**(batch.schema.metadata or {}), **metadata})
    with path.open("xb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    sync(path)


@dataclass(frozen=True, eq=False)
class Segment:
    """A segment opened for reading; its arrays are views of the files.

    Attributes:
        uuid: Its name.
        folder: Its folder.
        items: Record batch in the items' schema.
        channels: Rows of each channel, by its name.
        keys: Sorted path keys above positions, (2, m) uint64.
        contents: Sorted content keys above positions, (2, m) uint64.
        ids: (n,) int64, ascending; empty in a segment that was not adopted yet.
        rejects: Record batch of rejected inputs.
    """

    uuid: str
    folder: Path
    items: pa.RecordBatch
    channels: Mapping[str, ChannelRows]
    keys: Keys
    contents: Keys
    ids: NDArray[np.int64]
    rejects: pa.RecordBatch

    def __len__(self) -> int:
        return int(self.items.num_rows)

    @cached_property
    def roots(self) -> tuple[bytes, ...]:
        """The roots, numbered by the column `root`."""
        return roots_of(self.items.schema)

    @cached_property
    def sha256(self) -> NDArray[np.uint8]:
        """The content of each item, (n, 32) uint8; zeros where it is null."""
        return contents_of(self.items.column("sha256"))

    @cached_property
    def _names(self) -> tuple[pa.Array, pa.Array]:
        """Roots and the names below them."""
        return self.items.column("root"), self.items.column("path")

    @cached_property
    def stamps(self) -> NDArray[np.int64]:
        """Size and mtime_ns of each item, (2, n) int64; -1 where they are null."""
        return np.stack([numbers(self.items.column("bytes")), numbers(self.items.column("mtime_ns"))])

    @cached_property
    def climbing(self) -> NDArray[np.intp]:
        """Positions of the items whose name leads out of their root; only the first libraries have any."""
        return np.flatnonzero(starting_with(self.items.column("path"), b"../"))

    @property
    def arrays(self) -> Iterator[NDArray[Any]]:
        """All that is memory-mapped of its files but the rejects."""
        yield from (self.keys, self.contents, self.ids)
        for rows in self.channels.values():
            yield from (rows.item, rows.part, rows.row)
        buffers = (buffer for column in self.items.columns for buffer in column.buffers())
        yield from (np.frombuffer(buffer, np.uint8) for buffer in buffers if buffer is not None)

    @property
    def files(self) -> list[Path]:
        """Its files, in order of their names."""
        names = {ITEMS, REJECTS, KEYS, CONTENTS, IDS, *(f"{name}.arrow" for name in self.channels)}
        return [self.folder / name for name in sorted(names)]

    def path(self, position: int) -> bytes | None:
        """Return the full path of an item, None when it has none."""
        root, name = (column[position].as_py() for column in self._names)
        return None if root is None or name is None else join(self.roots[root], name)

    def paths(self, positions: NDArray[np.intp] | None = None) -> list[bytes | None]:
        """Return the full path of every item, or of those at some positions (m,)."""
        if positions is None:
            return full_paths(self.items)
        if len(positions) <= _FEW:
            return [self.path(position) for position in positions.tolist()]
        return full_paths(self.items.select(["path", "root"]).take(pa.array(positions)))

    def content(self, position: int) -> bytes | None:
        """Return the SHA-256 of an item's bytes, None when it is not known."""
        content: bytes | None = self.items.column("sha256")[position].as_py()
        return content

    def row_of(self, channel: str, position: int) -> NDArray[Any] | None:
        """Return the first row of an item, (d,), None when the channel has none."""
        rows = self.rows_of(channel, position)
        return rows[0] if len(rows) else None

    def rows_of(self, channel: str, position: int) -> NDArray[Any]:
        """Return all rows of an item, (p, d)."""
        rows = self.channels[channel]
        first = int(np.searchsorted(rows.item, position))
        end = first
        while end < len(rows.item) and rows.item[end] == position:
            end += 1
        return rows.row[first:end]


def open_segment(folder: Path, channels: Sequence[Channel], *, adopted: bool = True) -> Segment:
    """Return a segment's files, memory-mapped.

    Raises:
        LibraryDamaged: A file is torn or does not fit the others.
        FingerprintMismatch: Its rows are of another model than the channel's.
        FileNotFoundError: A file is missing.
    """
    items = read_batch(folder / ITEMS)
    check_items(items, folder / ITEMS)
    rows = {channel.name: _read_rows(folder, channel, items.num_rows) for channel in channels}
    rejects = read_batch(folder / REJECTS)
    check_rejects(rejects, folder / REJECTS)
    ids = np.empty(0, np.int64)
    if adopted:
        ids = load_array(folder / IDS, np.int64)
        check_ids(ids, items.num_rows, folder / IDS)
    keys, contents = load_array(folder / KEYS, np.uint64), load_array(folder / CONTENTS, np.uint64)
    check_keys(keys, items.num_rows, folder / KEYS)
    check_keys(contents, items.num_rows, folder / CONTENTS)
    return Segment(folder.name, folder, items, rows, keys, contents, ids, rejects)


def _read_rows(folder: Path, channel: Channel, n_items: int) -> ChannelRows:
    path = folder / f"{channel.name}.arrow"
    batch = read_batch(path)
    facts, runtime, parts = facts_of(batch, path)
    channel.require(facts.get("fingerprint", ""), str(path))
    expected = pa.list_(pa.from_numpy_dtype(channel.numpy_dtype), channel.dimension)
    columns = [("item", pa.uint32()), ("part", pa.uint16()), ("row", expected)]
    if facts.get("dtype") != channel.dtype or not batch.schema.equals(pa.schema(columns), check_metadata=False):
        raise damaged(path, f"it holds {names_in(batch.schema)} and must hold item, part and row as {expected}")
    item, part, row = batch.columns
    if item.null_count or part.null_count or row.null_count or row.values.null_count:
        raise damaged(path, "a value is missing")
    values = row.values.to_numpy(zero_copy_only=True).reshape(-1, channel.dimension)[row.offset :][: len(row)]
    numbers = item.to_numpy(zero_copy_only=True), part.to_numpy(zero_copy_only=True)
    check_row_numbers(*numbers, parts, n_items, path)
    return ChannelRows(*numbers, values, runtime, parts)
