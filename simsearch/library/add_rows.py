"""Adding rows without images, from a file that `simsearch embed` wrote."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from simsearch.errors import RowError
from simsearch.extract.rows_file import RowBatch, RowsInfo, read_rows, rows_info
from simsearch.library.channel import Channel
from simsearch.library.intake import Intake, problem_of
from simsearch.library.items import Item
from simsearch.library.selection import absolute

_LARGEST_BYTE = 255


def check_rows_file(path: Path, channel: Channel) -> None:
    """Refuse a file with any row that the channel cannot keep, before one of them is added.

    Raises:
        FingerprintMismatch: another model made the rows.
        RowError: a row is NaN, infinite, zero-sum, of the wrong dimension, of numbers that are no bytes where the
            channel keeps bytes, or negative where the model promises none; or its path is no file's. It is named.
    """
    info = rows_info(path)
    channel.require(info.fingerprint, str(path))
    if info.dimension != channel.dimension:
        raise RowError(
            f"rows of {path} have dimension {info.dimension}; channel {channel.name!r} takes {channel.dimension}"
        )
    folder = _folder(path)
    for batch in read_rows(path):
        _require_bytes(batch, info, channel, path)
        _check(batch, channel, path)
        for i in range(len(batch.rows)):
            if batch.paths[i] is not None and _place(batch.paths[i], folder)[1] == b"":
                raise RowError(f"row {batch.first + i} of {path} has path '/', which is no file; give a path, or null")


def _require_bytes(batch: RowBatch, info: RowsInfo, channel: Channel, path: Path) -> None:
    """Refuse numbers that a channel of bytes would change: bits have no nearest value to be rounded to."""
    if channel.numpy_dtype != np.uint8 or info.values == "uint8" or not len(batch.rows):
        return
    give = f"channel {channel.name!r} keeps {channel.dtype}: give uint8"
    if "int" not in info.values:
        raise RowError(f"row {batch.first} of {path} holds {info.values}; {give}")
    wrong = np.argwhere((batch.rows < 0) | (batch.rows > _LARGEST_BYTE))
    if len(wrong):
        i, j = wrong[0]
        raise RowError(
            f"row {batch.first + i} of {path} holds {info.values} {batch.rows[i, j]:.0f}; {give}, or integers from 0 "
            f"to {_LARGEST_BYTE}"
        )


def _check(batch: RowBatch, channel: Channel, path: Path) -> None:
    rows = channel.round(batch.rows)
    for i, row in enumerate(rows):
        problem = problem_of(row, channel, f"row {batch.first + i} of {path}")
        if problem is not None:
            raise RowError(f"row {batch.first + i} of {path} cannot be added: {problem[1]}")


def add_rows(intake: Intake, path: Path) -> None:
    """Take in every row of a checked file."""
    folder = _folder(path)
    for batch in read_rows(path):
        rows = intake.channel.round(batch.rows)
        for i, row in enumerate(rows):
            intake.take(_item(batch, i, folder), row)
    intake.flush()


def _item(batch: RowBatch, i: int, folder: bytes) -> Item:
    root, name = _place(batch.paths[i], folder)
    return Item(
        root,
        name,
        batch.sha256[i],
        width=batch.width[i],
        height=batch.height[i],
        quality=batch.quality[i],
    )


def _folder(path: Path) -> bytes:
    """What relative paths in a file are relative to."""
    return absolute(os.fsencode(path.parent))


def _place(path: bytes | None, folder: bytes) -> tuple[bytes | None, bytes | None]:
    """Root and name of a path, written as a library looks paths up, however the file writes it."""
    if path is None:
        return None, None
    whole = absolute(os.path.join(folder, path))  # noqa: PTH118
    inside = not path.startswith(b"/") and whole.startswith(folder.rstrip(b"/") + b"/")
    root = folder if inside else b"/"
    return root, whole[len(root.rstrip(b"/")) + 1 :]
