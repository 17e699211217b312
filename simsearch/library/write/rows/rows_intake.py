"""Ingesting rows in batches: outcomes are as one by one, and segments have their final size at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from simsearch.extract.embeddings.batch import RowBatch
from simsearch.library.write.ingest import Intake
from simsearch.library.write.rows.draft import RowsDraft, room_of
from simsearch.library.write.rows.paths import located
from simsearch.library.write.rows.pending import HeldRows


def take_rows(intake: Intake, batches: Iterable[RowBatch], folder: bytes) -> None:
    """Take in rows, all of which the channel can keep, a segment at a time.

    Args:
        intake: Counts and commits.
        batches: The rows.
        folder: What relative paths are relative to.
    """
    channel, most = intake.channel, room_of(intake.channel)
    held, items = HeldRows(intake, np.empty((most, channel.dimension), channel.numpy_dtype)), RowsDraft()
    for batch in batches:
        count = len(batch.rows)
        if len(held) and (len(held) + count > most or intake.late):
            _commit(intake, held, items)
            held, items = HeldRows(intake, held.rows), RowsDraft()
        if count > len(held.rows):  # one batch is more than a segment
            held = HeldRows(intake, np.empty((count, channel.dimension), channel.numpy_dtype))
        places = located(batch.path, folder)
        outcomes = held.take(channel.round(batch.rows), places.paths, batch.sha256.to_pylist())
        items.add(batch, places, np.array(list(outcomes), np.int64))
        for outcome, number in Counter(outcomes.values()).items():
            intake.count(outcome, number)
        if len(outcomes) < count:
            intake.count("unchanged", count - len(outcomes))
    _commit(intake, held, items)


def _commit(intake: Intake, held: HeldRows, items: RowsDraft) -> None:
    draft, superseded = None, np.zeros(len(held), bool)
    if len(held):
        draft = items.draft(intake.channel, held.rows[: len(held)])
        superseded[held.superseded] = True
    intake.commit(draft, list(held.removed), superseded if held.superseded else None)
