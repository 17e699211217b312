"""The segments of a library whose manifest is lost, seen from their own files."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from simsearch.distance import check_rows
from simsearch.errors import LibraryDamaged, LibraryError, ModelError, RowError
from simsearch.library.format.atomic_files import mappable
from simsearch.library.format.channel import DTYPES, Channel
from simsearch.library.format.items import content_keys, path_keys
from simsearch.library.format.layout import ITEMS
from simsearch.library.format.segment import COMMIT, REJECTS, CommitRecord, Segment, open_segment

_ROWS_AT_ONCE = 1 << 16
_SUFFIX = ".arrow"
_PASSING = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT}


class RowsKey(NamedTuple):
    """What all segments of a library have in common of the rows of a channel."""

    name: str
    fingerprint: str
    dtype: str
    dimension: int

    @classmethod
    def of(cls, channel: Channel) -> RowsKey:
        """Return what the files of a channel's rows say of it."""
        return cls(channel.name, channel.fingerprint, channel.dtype, channel.dimension)


RowsHeader = Mapping[RowsKey, Channel | None]
"""The rows in a segment, with the channel as the manifest had it; None from before that was written down."""


def rows_in(folder: Path) -> RowsHeader:
    """Return the headers of a segment's rows, in the order of the channels where that is known.

    Raises:
        LibraryDamaged: A file cannot be read.
    """
    files = [path for path in folder.glob(f"*{_SUFFIX}") if path.name not in {ITEMS, REJECTS}]
    placed = [_rows_of(path) for path in sorted(files)]
    return {key: channel for _, key, channel in sorted(placed, key=lambda one: one[0])}


def is_passing(error: Exception) -> bool:
    """Return whether reading failed for a reason outside the file, such as rights or too many open files."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _PASSING:
            return True
        cause = cause.__cause__
    return False


def commit_of(schema: pa.Schema) -> CommitRecord | None:
    """Return the record of the commit in the schema of a segment's items; None in older ones."""
    try:
        told = json.loads((schema.metadata or {})[COMMIT])
        numbers = int(told["generation"]), int(told["rank"]), int(told["next_id"])
        return CommitRecord(*numbers, tuple(map(str, told["replaces"])))
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def is_newer(folder: Path, generation: int) -> bool:
    """Return whether a segment was written at least two commits after a generation: no dead writer's leftover is."""
    try:
        with mappable(folder / ITEMS) as name, pa.memory_map(name) as source:
            commit = commit_of(pa.ipc.open_file(source).schema)
    except Exception:  # half-written or damaged
        return False
    return commit is not None and commit.generation > generation + 1


def examined(folder: Path, channels: Iterable[Channel]) -> Segment:
    """Return a segment, read whole and checked against itself.

    Raises:
        LibraryDamaged: It does not, or a file is missing.
    """
    try:
        segment = open_segment(folder, tuple(channels))
        faults = _faults(segment)
    except FileNotFoundError as error:
        raise LibraryDamaged(f"{Path(error.filename or folder).name} is missing") from error
    except LibraryDamaged:
        raise
    except (LibraryError, ModelError, RowError) as error:
        raise LibraryDamaged(str(error)) from error
    if faults:
        raise LibraryDamaged(faults)
    return segment


def _faults(segment: Segment) -> str:
    if not np.array_equal(segment.keys, path_keys(segment.items)):
        return "its keys are not those of its paths"
    if not np.array_equal(segment.contents, content_keys(segment.items)):
        return "its keys are not those of its contents"
    for name, rows in segment.channels.items():
        if not np.array_equal(np.unique(rows.item), np.arange(len(segment))):
            return f"channel {name} does not give every item a row"
        for start in range(0, len(rows.row), _ROWS_AT_ONCE):
            check_rows(rows.row[start : start + _ROWS_AT_ONCE])
    return ""


def _rows_of(path: Path) -> tuple[int, RowsKey, Channel | None]:
    facts, dimension = _schema(path)
    key = RowsKey(path.name.removesuffix(_SUFFIX), facts.get("fingerprint", ""), facts.get("dtype", ""), dimension)
    if key.dtype not in DTYPES or not key.fingerprint or dimension < 1:
        raise LibraryDamaged(f"{path.name} does not say which model made its rows")
    position, told = _told(facts.get("manifest", ""))
    return position, key, told if told is not None and RowsKey.of(told) == key else None


def _schema(path: Path) -> tuple[Mapping[str, str], int]:
    """Return the metadata of a channel's file, and the length of its rows."""
    try:
        with mappable(path) as name, pa.memory_map(name) as source:
            schema = pa.ipc.open_file(source).schema
            facts = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
            return facts, int(schema.field("row").type.list_size)
    except (LibraryDamaged, FileNotFoundError):
        raise
    except Exception as error:  # a damaged header can be anything
        raise LibraryDamaged(f"{path.name} is no whole Arrow file ({type(error).__name__})") from error


def _told(text: str) -> tuple[int, Channel | None]:
    try:
        values: dict[str, Any] = json.loads(text)
        position = int(values.pop("position"))
        known = {field.name for field in fields(Channel)}
        return position, Channel(**{key: value for key, value in values.items() if key in known})
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return 0, None
