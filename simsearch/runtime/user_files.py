"""Files that a user hands over: settings and flags in YAML, tables in CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simsearch.errors import InputError

_MOST_BYTES = 1 << 20
_MOST_VALUES = 100_000  # an alias within an alias within ... has more, in a few lines


def one_is_a_list(value: Any) -> Any:
    """Return a single name, number or path as a list of one, anything else as it is: for settings that take several."""
    return (value,) if isinstance(value, str | int | float | Path) else value


def read_yaml(path: Path) -> dict[Any, Any]:
    """Return the keys and values of a YAML file; an empty one has none.

    Raises:
        InputError: The file cannot be read, is no YAML, nested too deep or too large, or holds anything but keys.
    """
    import yaml

    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise InputError(f"{path} has more than {_MOST_BYTES:,} bytes; settings are shorter")
        found = yaml.safe_load(text.decode("utf-8-sig"))
        many = _values(found, {}) > _MOST_VALUES
    except RecursionError as error:
        raise InputError(f"{path} cannot be read as YAML: it is nested too deep") from error
    except (OSError, yaml.YAMLError, ValueError) as error:  # a date or a number that is none is a ValueError
        told = error if isinstance(error, InputError) else f"{path} cannot be read as YAML: {_line(error)}"
        raise InputError(str(told)) from error
    if many:
        raise InputError(f"{path} holds more than {_MOST_VALUES:,} values; settings are fewer")
    if found is not None and not isinstance(found, dict):
        raise InputError(f"{path} holds a {type(found).__name__}; write `setting: value` lines")
    return found or {}


def read_csv(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Return the lines of a CSV by its columns, which may be more than those asked for.

    Raises:
        InputError: The file cannot be read, or lacks a column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            names, rows = reader.fieldnames or (), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV: {error}") from error
    if lacking := [column for column in columns if column not in names]:
        raise InputError(f"{path} has no column {', '.join(lacking)}; its first line must name {', '.join(columns)}")
    return rows


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _values(value: Any, known: dict[int, int]) -> int:
    """Return how many values there are, each counted wherever an alias repeats it."""
    if not isinstance(value, Mapping | list):
        return 1
    if id(value) not in known:
        known[id(value)] = _MOST_VALUES + 1  # for one that holds itself
        inner = list(value.values()) if isinstance(value, Mapping) else value
        known[id(value)] = 1 + sum(_values(one, known) for one in inner)
    return known[id(value)]
