"""Rows that are all new, as those of most files: written while the file is checked, committed at its end."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from simsearch.extract.embeddings.batch import RowBatch
from simsearch.library.format.atomic_files import remove_folder
from simsearch.library.format.commit import FileRecord
from simsearch.library.format.items import contents_of, keys_of_contents, keys_of_paths, known, sorted_keys
from simsearch.library.write.ingest import Intake
from simsearch.library.write.rows.draft import RowsDraft, room_of
from simsearch.library.write.rows.paths import Located

_MOST_SEGMENTS = 8  # an interruption of a longer file costs no more than these

Written = tuple[Path, tuple[FileRecord, ...]]


class NewRows:
    """The leading rows of a file, up to one that may not be new or up to some segments.

    One segment is written in a thread while the next is filled. Uncommitted ones are removed when the block ends.

    Attributes:
        taken: How many rows it has.
        full: Whether it takes no more because it has as many segments as it may.
    """

    def __init__(self, intake: Intake) -> None:
        self.taken, self.full = 0, False
        self._intake = intake
        self._room = room_of(intake.channel)
        self._open = True
        self._pool = ThreadPoolExecutor(1)
        self._written: list[Future[Written]] = []
        self._met = set[int](), set[int]()  # the keys of paths, and of contents
        self._begin(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        for written in self._written:
            if not written.cancelled() and written.exception() is None:
                remove_folder(written.result()[0])

    def take(self, batch: RowBatch, places: Located) -> bool:
        """Take in rows, all of them valid in the channel; none after one that may not be new. Return whether it did."""
        count = len(batch.rows)
        if not self._open or not count:
            return self._open
        if self._held and self._held + count > self._room:
            self._end()
        named = [path for path in places.paths if path is not None]
        paths, contents = keys_of_paths(named), keys_of_contents(contents_of(batch.sha256)[known(batch.sha256)])
        self.full = len(self._written) >= _MOST_SEGMENTS
        self._open = not self.full and self._are_new(paths, contents)
        if not self._open:
            return False
        if count > len(self._rows):  # one batch is more than a segment
            self._begin(count)
        self._rows[self._held : self._held + count] = self._intake.channel.round(batch.rows)
        self._items.add(batch, places)
        at = np.flatnonzero(known(places.names))
        self._keys.append(np.stack([paths, (self._held + at).astype(np.uint64)]))
        self._held += count
        self.taken += count
        self._intake.count("added", count)
        return True

    def commit(self) -> None:
        """Commit all of them at once."""
        if self._held:
            self._end()
        written = dict(future.result() for future in self._written)
        if written:
            self._intake.commit_written(written)
            self._written = []

    def _are_new(self, paths: NDArray[np.uint64], contents: NDArray[np.uint64]) -> bool:
        """Return whether no path and no content is in the library, and none came before or comes twice."""
        if self._intake.writer.snapshot.may_hold(paths, contents):
            return False
        for committed_items, keys in zip(self._met, (paths, contents), strict=True):
            before = len(committed_items)
            committed_items.update(keys.tolist())
            if len(committed_items) < before + len(keys):
                return False
        return True

    def _begin(self, count: int) -> None:
        channel = self._intake.channel
        self._held = 0
        self._rows = np.empty((max(count, self._room), channel.dimension), channel.numpy_dtype)
        self._items = RowsDraft()
        self._keys: list[NDArray[np.uint64]] = []

    def _end(self) -> None:
        """Start writing the full segment; at most one waits in memory."""
        if self._written:
            self._written[-1].result()
        writer = self._intake.writer
        keys = sorted_keys(*np.concatenate(self._keys, axis=1))
        draft = self._items.draft(self._intake.channel, self._rows[: self._held], keys)
        first = writer.snapshot.state.next_id + self.taken - self._held
        self._written.append(self._pool.submit(writer.write, draft, first=first))
        self._begin(0)
