"""Tables that a user hands over as CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from simsearch.errors import InputError


def read_csv(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Return the lines of a CSV by its columns, which may be more than those asked for.

    Raises:
        InputError: the file cannot be read, or lacks a column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV: {error}") from error
    if lacking := [column for column in columns if column not in (reader.fieldnames or ())]:
        raise InputError(f"{path} has no column {', '.join(lacking)}; its first line must name {', '.join(columns)}")
    return rows
