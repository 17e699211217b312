"""Adding rows without images, from a file that `simsearch embed` wrote."""

from __future__ import annotations

import os
from pathlib import Path

from simsearch.errors import RowError
from simsearch.extract.rows_file import RowBatch, read_rows, rows_info
from simsearch.library.channel import Channel
from simsearch.library.intake import Intake, problem_of
from simsearch.library.items import Item


def check_rows_file(path: Path, channel: Channel) -> None:
    """Refuse a file with any row that the channel cannot keep, before one of them is added.

    Raises:
        FingerprintMismatch: another model made the rows.
        RowError: a row is NaN, infinite, zero-sum, of the wrong dimension, or negative where the model promises none;
            it is named.
    """
    info = rows_info(path)
    channel.require(info.fingerprint, str(path))
    if info.dimension != channel.dimension:
        raise RowError(
            f"rows of {path} have dimension {info.dimension}; channel {channel.name!r} takes {channel.dimension}"
        )
    for batch in read_rows(path):
        _check(batch, channel, path)


def _check(batch: RowBatch, channel: Channel, path: Path) -> None:
    rows = channel.round(batch.rows)
    for i, row in enumerate(rows):
        problem = problem_of(row, channel, f"row {batch.first + i} of {path}")
        if problem is not None:
            raise RowError(f"row {batch.first + i} of {path} cannot be added: {problem[1]}")


def add_rows(intake: Intake, path: Path) -> None:
    """Take in every row of a checked file."""
    folder = os.path.abspath(os.fsencode(path.parent))  # noqa: PTH100
    for batch in read_rows(path):
        rows = intake.channel.round(batch.rows)
        for i, row in enumerate(rows):
            intake.take(_item(batch, i, folder), row)
    intake.flush()


def _item(batch: RowBatch, i: int, folder: bytes) -> Item:
    path = batch.paths[i]
    root = None if path is None else b"/" if path.startswith(b"/") else folder
    name = None if path is None else path.lstrip(b"/") if root == b"/" else path
    return Item(
        root,
        name,
        batch.sha256[i],
        width=batch.width[i],
        height=batch.height[i],
        quality=batch.quality[i],
    )
