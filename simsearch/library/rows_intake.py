"""Taking rows in by thousands: each has the outcome that it would have alone, and segments their final size at once."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa

from simsearch.extract.rows_batch import RowBatch
from simsearch.library.held_rows import HeldRows, met
from simsearch.library.intake import Intake
from simsearch.library.items import SCHEMA, join, rejects_batch, with_roots
from simsearch.library.row_paths import Located, located
from simsearch.library.segment import ChannelRows, Draft

_MOST_ROWS = 1 << 17  # of one segment, which ends with a batch: twice what is merged as small
_MOST_BYTES = 1 << 27


class RowsIntake:
    """Holds back what becomes one segment."""

    def __init__(self, intake: Intake, folder: bytes) -> None:
        """Make it.

        Args:
            intake: Counts and commits.
            folder: What relative paths are relative to.
        """
        channel = intake.channel
        self._intake = intake
        self._folder = folder
        self._most = max(1, min(_MOST_ROWS, _MOST_BYTES // (channel.dimension * channel.numpy_dtype.itemsize)))
        self._held = HeldRows(0, channel)
        self._items: list[pa.RecordBatch] = []
        self._roots: dict[bytes, int] = {}

    def take(self, batch: RowBatch) -> None:
        """Take rows in, all of which the channel can keep."""
        intake, count = self._intake, len(batch.rows)
        if len(self._held) and (len(self._held) + count > self._most or intake.late):
            self.flush()
        if not len(self._held):
            self._held = HeldRows(max(self._most, count), intake.channel)
        places = located(batch.path, self._folder)
        paths = [None if root is None or name is None else join(root, name) for root, name in places]
        contents = batch.sha256.to_pylist()
        known = met(intake.writer.snapshot, paths, contents)
        kept: list[int] = []
        outcomes: Counter[str] = Counter()
        for i, row in enumerate(intake.channel.round(batch.rows)):
            outcome = self._held.take(intake, known, paths[i], contents[i], row)
            outcomes[outcome] += 1
            if outcome != "unchanged":
                kept.append(i)
        self._items.append(self._columns(batch, places, kept))
        for outcome, number in outcomes.items():
            intake.count(outcome, number)

    def _columns(self, batch: RowBatch, places: list[Located], kept: list[int]) -> pa.RecordBatch:
        """The items that some rows become."""
        chosen = pa.array(kept, pa.int64())
        numbers = self._roots
        roots = [
            root if root is None else numbers.setdefault(root, len(numbers))
            for root, _ in map(places.__getitem__, kept)
        ]
        columns = {
            "path": pa.array([places[i][1] for i in kept], pa.large_binary()),
            "root": pa.array(roots, pa.int32()),
            **{name: getattr(batch, name).take(chosen) for name in ("sha256", "width", "height", "quality")},
        }
        unknown = (pa.nulls(len(kept), field.type) for field in SCHEMA)
        arrays = [columns.get(field.name, null) for field, null in zip(SCHEMA, unknown, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)

    def flush(self) -> None:
        """Commit what is held."""
        held, n = self._held, len(self._held)
        draft = own = None
        if n:
            table = pa.Table.from_batches(self._items).combine_chunks()
            items = pa.RecordBatch.from_arrays(
                [column.chunk(0) for column in table.columns], schema=with_roots(SCHEMA, list(self._roots))
            )
            rows = {self._intake.channel.name: ChannelRows.whole(held.rows[:n])}
            draft = Draft(items, rows, rejects_batch([]))
            if held.superseded:
                own = np.zeros(n, bool)
                own[held.superseded] = True
        self._intake.commit(draft, list(held.removed), own)
        self._held, self._items, self._roots = HeldRows(0, self._intake.channel), [], {}
