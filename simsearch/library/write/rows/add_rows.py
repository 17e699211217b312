"""Adding rows without images, from a file that `simsearch embed` wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from simsearch.errors import RowError
from simsearch.extract.embeddings.batch import RowBatch
from simsearch.extract.embeddings.parquet import RowsInfo, read_rows, rows_info
from simsearch.library.format.channel import Channel, problem_of
from simsearch.library.write.ingest import Intake
from simsearch.library.write.rows.new_rows import NewRows
from simsearch.library.write.rows.paths import folder_of, located
from simsearch.library.write.rows.rows_intake import take_rows

_LARGEST_BYTE = 255


def check_file(path: Path, channel: Channel) -> None:
    """Refuse a file whose header shows that a channel cannot store its rows.

    Raises:
        FingerprintMismatch: Another model made the rows.
        RowError: They are of the wrong dimension.
    """
    info = rows_info(path)
    channel.require(info.fingerprint, str(path))
    if info.dimension != channel.dimension:
        raise RowError(
            f"rows of {path} have dimension {info.dimension}; channel {channel.name!r} takes {channel.dimension}"
        )


def add_rows(intake: Intake, path: Path) -> None:
    """Take in every row of a file, after all of them were checked: with an invalid one, none is taken.

    The leading new rows are written while they are checked; the rest is read again, and is as quick as long as all of
    it is new.

    Raises:
        RowError: The library has several rows an image; or a row is NaN, infinite, zero-sum, of numbers that are no
            bytes where the channel stores bytes, or negative where the model declares none; or its path is no file's.
            It is named.
    """
    if intake.writer.snapshot.has_parts(intake.channel.name):
        raise RowError(
            f"{path} holds one row an image, and channel {intake.channel.name!r} several: index the images instead"
        )
    info, folder = rows_info(path), folder_of(path)
    with NewRows(intake) as new:
        for batch in read_rows(path):
            _require_bytes(batch, info, intake.channel, path)
            _check(batch, intake.channel, path)
            places = located(batch.path, folder)
            if (at := pc.index(pc.binary_length(places.names), 0).as_py()) >= 0:
                raise RowError(f"row {batch.first + at} of {path} has path '/', which is no file; give a path, or null")
            new.take(batch, places)
        new.commit()
    taken = new.taken
    while new.full and new.taken:
        new = _new_from(intake, path, taken, folder)
        taken += new.taken
    if taken < info.rows:
        take_rows(intake, read_rows(path, start=taken), folder)


def _new_from(intake: Intake, path: Path, start: int, folder: bytes) -> NewRows:
    """Take in checked rows from one on, up to one that may not be new or some segments."""
    with NewRows(intake) as new:
        for batch in read_rows(path, start=start):
            if not new.take(batch, located(batch.path, folder)):
                break
        new.commit()
    return new


def _require_bytes(batch: RowBatch, info: RowsInfo, channel: Channel, path: Path) -> None:
    """Refuse numbers that a channel of bytes would change: bits cannot be rounded."""
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
    for i in suspects(batch.rows, channel).tolist():
        problem = problem_of(channel.round(batch.rows[i]), channel, f"row {batch.first + i} of {path}")
        if problem is not None:
            raise RowError(f"row {batch.first + i} of {path} cannot be added: {problem[1]}")


def suspects(rows: NDArray[np.float32], channel: Channel) -> NDArray[np.intp]:
    """Return which rows (n, d) may be invalid in the channel, ascending; all others are valid.

    A row whose largest magnitude is a number that the channel's dtype holds and does not round to zero is neither
    infinite nor zero there.
    """
    if channel.numpy_dtype.kind != "f":
        return np.empty(0, np.intp)
    lowest, highest = rows.min(axis=1), rows.max(axis=1)
    largest = np.maximum(highest, -lowest)
    holds = np.finfo(channel.numpy_dtype)
    sure = (largest <= holds.max) & (largest >= holds.smallest_subnormal)
    if channel.non_negative:
        sure &= lowest >= 0
    return np.flatnonzero(~sure)
