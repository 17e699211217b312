"""Lists of inputs: a text file of paths, or a CSV whose other columns are kept."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from simsearch.errors import InputError, shown
from simsearch.images.source import reason


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a list.

    Attributes:
        root: the list's folder, or `/` for an absolute path.
        name: the path below the root, normalised.
        owner: the `owner` column, or None.
        attributes: the other columns, as JSON, or None when there are none.
    """

    root: bytes
    name: bytes
    owner: str | None = None
    attributes: str | None = None


def read_list(path: bytes) -> list[Entry]:
    """Return the entries of a list in its own order; blank lines are skipped.

    Raises:
        InputError: the list cannot be read, or a CSV has no `path` column.
    """
    folder = os.path.dirname(path)  # noqa: PTH120
    try:
        if path.lower().endswith(b".csv"):
            return list(_csv_entries(path, folder))
        lines = Path(os.fsdecode(path)).read_bytes().split(b"\n")
    except (OSError, csv.Error) as error:
        raise InputError(f"cannot read the list {shown(path)}: {reason(error)}") from error
    return [_entry(folder, line.removesuffix(b"\r")) for line in lines if line.strip()]


def _entry(folder: bytes, path: bytes, owner: str | None = None, attributes: str | None = None) -> Entry:
    normal = os.path.normpath(path)
    root = b"/" if os.path.isabs(normal) else folder  # noqa: PTH117
    return Entry(root, normal.lstrip(b"/") if root == b"/" else normal, owner, attributes)


def _csv_entries(path: bytes, folder: bytes) -> Iterator[Entry]:
    with Path(os.fsdecode(path)).open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        if "path" not in (reader.fieldnames or ()):
            raise InputError(f"{shown(path)} has no column `path`; its first line must name the columns")
        for row in reader:
            name = row.pop("path")
            if not name:
                raise InputError(f"{shown(path)}, line {reader.line_num}: no path")
            row.pop(None, None)
            owner = row.pop("owner", None) or None
            attributes = json.dumps(row, sort_keys=True) if row else None
            yield _entry(folder, os.fsencode(name), owner, attributes)
