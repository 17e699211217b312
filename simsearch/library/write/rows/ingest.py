"""Taking rows in by thousands: each has the outcome that it would have alone, and segments their final size at once."""

from __future__ import annotations

from collections import Counter

import numpy as np

from simsearch.extract.embeddings.batch import RowBatch
from simsearch.library.write.ingest import Intake
from simsearch.library.write.rows.draft import RowsDraft, room_of
from simsearch.library.write.rows.paths import located
from simsearch.library.write.rows.pending import HeldRows


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
        self._most = room_of(channel)
        self._held = HeldRows(intake, np.empty((self._most, channel.dimension), channel.numpy_dtype))
        self._items = RowsDraft()

    def take(self, batch: RowBatch) -> None:
        """Take rows in, all of which the channel can keep."""
        intake, count = self._intake, len(batch.rows)
        if len(self._held) and (len(self._held) + count > self._most or intake.late):
            self.flush()
        if count > len(self._held.rows):  # one batch is more than a segment
            self._held = HeldRows(intake, np.empty((count, intake.channel.dimension), intake.channel.numpy_dtype))
        places = located(batch.path, self._folder)
        rows = intake.channel.round(batch.rows)
        outcomes = self._held.take(rows, places.paths, batch.sha256.to_pylist())
        self._items.add(batch, places, np.array(list(outcomes), np.int64))
        for outcome, number in Counter(outcomes.values()).items():
            intake.count(outcome, number)
        if len(outcomes) < count:
            intake.count("unchanged", count - len(outcomes))

    def flush(self) -> None:
        """Commit what is held."""
        held, n = self._held, len(self._held)
        draft = own = None
        if n:
            draft = self._items.draft(self._intake.channel, held.rows[:n])
            if held.superseded:
                own = np.zeros(n, bool)
                own[held.superseded] = True
        self._intake.commit(draft, list(held.removed), own)
        self._held, self._items = HeldRows(self._intake, held.rows), RowsDraft()
