"""The indexes of an open library, and on a GPU its rows, cached between searches."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsearch.errors import DependencyMissing, IndexFailed
from simsearch.library.format.channel import Channel
from simsearch.library.format.snapshot import Snapshot
from simsearch.library.indexes.chunk_tables import CHUNKS_FROM, ChunkTables
from simsearch.library.indexes.code_tables import TABLES_FROM, tables_of
from simsearch.library.indexes.record import IndexRecord
from simsearch.library.indexes.store import opened, records
from simsearch.runtime.device import type_of

if TYPE_CHECKING:
    from simsearch.search.indexes.index import Index
    from simsearch.search.scan.blocks import Block
    from simsearch.spatial.code_tables import CodeTables

FEW = 16
"""Queries in all, up to which a device of "auto" is the CPU: copying an index or rows to a GPU takes longer."""
_SHARE = 0.5  # of a GPU's free memory that a library's rows may take


@dataclass(frozen=True, slots=True)
class OpenIndex:
    """An open index.

    Attributes:
        record: Of the index.
        index: To be searched.
    """

    record: IndexRecord
    index: Index


class OpenIndexes:
    """Indexes and rows that stay open while the library is; safe for threads."""

    def __init__(self, folder: Path, device: str) -> None:
        self._folder = folder
        self._device = device
        self._lock = threading.Lock()
        self._records: tuple[IndexRecord, ...] = ()
        self._open: dict[str, OpenIndex | None] = {}
        self._failed_on_gpu = set[str]()
        self._for_few = set[str]()
        self._asked = 0
        self._rows: dict[tuple[str, str], Block] = {}
        self._tables: dict[tuple[str, ...], CodeTables] = {}
        self._chunks: dict[str, ChunkTables] = {}
        self._making = threading.Lock()
        self.look()

    def look(self) -> None:
        """Refresh the records of indexes; close those that are gone."""
        with self._lock:
            self._records = records(self._folder)
            there = {record.file for record in self._records}
            gone = [self._open.pop(file) for file in set(self._open) - there]
        _close(gone)

    def device(self, queries: int) -> str:
        """Return the device of so many further queries: the library's, or the CPU for the first few if it is "auto"."""
        with self._lock:
            self._asked += queries
            return "cpu" if self._device == "auto" and self._asked <= FEW else self._device

    def index(self, snapshot: Snapshot, channel: str, metric: str, device: str) -> OpenIndex | None:
        """Return the newest index that covers only segments of the snapshot; None where there is none.

        On GPUs where the device means some and they can serve it. A fallback is reported by a warning, once.
        """
        for record in self._records:
            if (record.channel, record.metric) == (channel, metric) and record.fits(snapshot):
                with self._lock:
                    if record not in self._records:  # closed meanwhile, by another thread
                        continue
                    gone = self._outgrown(record.file, device)
                    if record.file not in self._open:
                        self._open[record.file] = self._opened(record, device)
                    ready = self._open[record.file]
                _close(gone)
                if ready is not None:
                    return ready
        return None

    def failed(self, ready: OpenIndex, error: IndexFailed) -> None:
        """Note that an open index cannot be searched: one on a GPU is reopened on the CPU, another never used again.

        Searches of it that are under way end first.
        """
        file = ready.record.file
        with self._lock:
            if self._open.get(file) is not ready:  # noted by another search, or closed
                return
            if ready.index.on == "cpu":
                self._open[file] = None
                _warn(f"{error}; searching exactly")
            else:
                self._failed_on_gpu.add(file)
                del self._open[file]
                _warn(f"{error}; searching on the CPU")
        _close([ready])

    def blocks(self, snapshot: Snapshot, channel: str, device: str) -> list[Block]:
        """Return the rows of each segment: on a GPU as resident tensors, if they fit; else memory-mapped."""
        arrays: list[Any] = [segment.channels[channel].row for segment in snapshot.segments]
        if type_of(device) != "cuda":
            return arrays
        with self._lock:
            return self._uploaded(snapshot, channel, arrays)

    def tables(self, snapshot: Snapshot, channel: Channel) -> CodeTables | None:
        """Return the tables of a channel's keypoints, kept for the next search; None where so few need none."""
        if sum(map(len, snapshot.segments)) < TABLES_FROM:
            return None
        key = (channel.name, *(segment.uuid for segment in snapshot.segments))
        with self._lock:
            if key not in self._tables:
                self._tables = {key: tables_of(self._folder, snapshot, channel)}
            return self._tables[key]

    def chunks(self, snapshot: Snapshot, channel: str) -> ChunkTables | None:
        """Return the tables of a channel's codes; None where `make_chunks` made none, or of segments that are gone."""
        found = self._chunks.get(channel)
        return found if found is not None and found.fits(snapshot) else None

    def make_chunks(self, snapshot: Snapshot, channel: Channel) -> None:
        """Make the tables of a channel's codes, for all later searches, where there are many and none of nearly all."""
        if sum(len(segment.channels[channel.name].row) for segment in snapshot.segments) < CHUNKS_FROM:
            return
        with self._making:  # which takes seconds, while others search
            known = self._chunks.get(channel.name)
            if known is None or not known.is_new(snapshot, channel.name):
                self._chunks[channel.name] = ChunkTables.build(snapshot, channel)

    def close(self) -> None:
        """Close all indexes and free all rows."""
        with self._lock:
            held = list(self._open.values())
            self._open, self._rows, self._tables, self._chunks, self._records = {}, {}, {}, {}, ()
        _close(held)

    def _outgrown(self, file: str, device: str) -> list[OpenIndex | None]:
        """Return indexes opened on the CPU for the first few queries, which now belong on a GPU."""
        from simsearch.search.indexes.gpu_limits import gpus_of

        if device != self._device:
            self._for_few.add(file)
        elif file in self._for_few:
            self._for_few.remove(file)
            if file in self._open and gpus_of(device) is not None:
                return [self._open.pop(file)]
        return []

    def _opened(self, record: IndexRecord, device: str) -> OpenIndex | None:
        from simsearch.search.indexes.gpu_limits import gpus_of, refused

        gpus = None if record.file in self._failed_on_gpu else gpus_of(device)
        chosen, why = record.curve.chosen, None
        if gpus is not None and chosen is not None:
            why = refused(record.spec, gpus, record.rows, effort=chosen.effort, depth=chosen.depth)
        try:
            if gpus is not None and why is None:
                try:
                    return OpenIndex(record, opened(self._folder, record, gpus))
                except (IndexFailed, DependencyMissing) as error:
                    why = str(error)
            ready = OpenIndex(record, opened(self._folder, record))
        except (IndexFailed, DependencyMissing) as error:
            _warn(f"{error}; searching exactly")
            return None
        if why is not None:
            _warn(f"the index {record.file} is searched on the CPU: {why}")
        return ready

    def _uploaded(self, snapshot: Snapshot, channel: str, arrays: list[Any]) -> list[Block]:
        from simsearch.runtime.device import choose_device, free_memory
        from simsearch.search.scan.blocks import upload

        device = choose_device(self._device)
        keys = [(segment.uuid, channel) for segment in snapshot.segments]
        for key in set(self._rows) - set(keys):
            if key[1] == channel:
                del self._rows[key]
        missing = sum(a.nbytes for key, a in zip(keys, arrays, strict=True) if key not in self._rows)
        if missing > _SHARE * free_memory(device):
            return arrays
        for key, array in zip(keys, arrays, strict=True):
            if key not in self._rows:
                self._rows[key] = upload(array, device)
        return [self._rows[key] for key in keys]


def _close(held: Iterable[OpenIndex | None]) -> None:
    for ready in held:
        if ready is not None:
            ready.index.close()


def _warn(what: str) -> None:
    warnings.warn(what, RuntimeWarning, stacklevel=2)
