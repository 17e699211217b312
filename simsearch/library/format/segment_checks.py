"""Checks of a segment's arrays, so that later readers need none.

Each is checked once, when the segment is opened; a damaged one is never indexed with. That reads a few bytes an item;
rows and names are only checked by their SHA-256.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simsearch.errors import LibraryDamaged, RejectCode, first_line
from simsearch.library.format.atomic_files import mappable
from simsearch.library.format.items import REJECTS, SCHEMA, Keys, known, numbers, roots_of

_CODES = frozenset(map(str, RejectCode))


def read_batch(path: Path) -> pa.RecordBatch:
    """Return the one record batch of an Arrow file, memory-mapped; no array in it points out of the file.

    Raises:
        LibraryDamaged: The file is none, or torn.
        FileNotFoundError: There is none.
    """
    try:
        with mappable(path) as name, pa.memory_map(name) as source:
            reader = pa.ipc.open_file(source)
            if reader.num_record_batches != 1:
                raise LibraryDamaged(f"{path} holds {reader.num_record_batches} record batches and must hold one")
            batch = reader.get_batch(0)
            batch.validate(full=True)
            return batch
    except (FileNotFoundError, LibraryDamaged):
        raise
    except Exception as error:  # a damaged header can ask for any type and any number of bytes
        raise LibraryDamaged(f"{path} is no whole Arrow file: {first_line(error)}; run `simsearch verify`") from error


def check_items(batch: pa.RecordBatch, path: Path) -> None:
    """Refuse items with other columns or unknown roots.

    Raises:
        LibraryDamaged: They do.
    """
    _check_schema(batch, SCHEMA, path)
    try:
        roots = len(roots_of(batch.schema))
    except Exception as error:
        raise damaged(path, f"its list of roots cannot be read ({type(error).__name__})") from error
    column = batch.column("root")
    named = numbers(column)[known(column)]
    if len(named) and not 0 <= named.min() <= named.max() < roots:
        raise damaged(path, f"an item has root {named.max() if named.min() >= 0 else named.min()} of {roots}")


def check_rejects(batch: pa.RecordBatch, path: Path) -> None:
    """Refuse rejected inputs without a path, or with an unknown code.

    Raises:
        LibraryDamaged: There are such.
    """
    _check_schema(batch, REJECTS, path)
    if batch.column("path").null_count or not _CODES.issuperset(batch.column("code").to_pylist()):
        raise damaged(path, "a rejected input has no path or no known code")


def check_ids(ids: NDArray[np.int64], n_items: int, path: Path) -> None:
    """Refuse ids that are not one for each item, ascending.

    Raises:
        LibraryDamaged: They are not.
    """
    if ids.shape != (n_items,):
        raise damaged(path, f"it has shape {ids.shape} for {n_items} items")
    if n_items and (ids[0] < 0 or not (ids[1:] > ids[:-1]).all()):
        raise damaged(path, "its ids do not ascend from 0")


def check_keys(keys: Keys, n_items: int, path: Path) -> None:
    """Refuse keys that are not in pairs with positions of items.

    Raises:
        LibraryDamaged: They are not.
    """
    if keys.ndim != 2 or len(keys) != 2 or keys.shape[1] > n_items:
        raise damaged(path, f"it has shape {keys.shape} for {n_items} items")
    if keys.shape[1] and keys[1].max() >= n_items:
        raise damaged(path, f"it names item {keys[1].max()} of {n_items}")


def check_row_numbers(
    item: NDArray[np.uint32], part: NDArray[np.uint16], largest: int, n_items: int, path: Path
) -> None:
    """Refuse rows that are not in order of (item, part), or more than `largest` of an item.

    Raises:
        LibraryDamaged: They are not.
    """
    if not len(item):
        return
    if int(item[-1]) >= n_items:
        raise damaged(path, f"it names item {int(item[-1])} of {n_items}")
    new = item[1:] > item[:-1]
    if largest == 1 and not new.all():
        raise damaged(path, "its items do not ascend")
    if largest > 1:
        starts = np.flatnonzero(np.concatenate([[True], new, [True]]))
        if not (new | ((item[1:] == item[:-1]) & (part[1:] > part[:-1]))).all() or np.diff(starts).max() > largest:
            raise damaged(path, f"its rows do not ascend by item and part, at most {largest} an item")


def facts_of(batch: pa.RecordBatch, path: Path) -> tuple[Mapping[str, str], Mapping[str, str], int]:
    """Return the metadata of a channel's file, its runtime, and the largest number of rows of an item.

    Raises:
        LibraryDamaged: They cannot be read.
    """
    try:
        facts = {key.decode(): value.decode() for key, value in (batch.schema.metadata or {}).items()}
        runtime, largest = json.loads(facts.get("runtime", "{}")), int(facts.get("parts", 1))
        texts = [*runtime.keys(), *runtime.values()]
    except (ValueError, AttributeError, RecursionError) as error:
        raise damaged(path, f"its metadata cannot be read ({type(error).__name__})") from error
    if largest < 1 or not all(isinstance(text, str) for text in texts):
        raise damaged(path, "its metadata is not of a kind that a library writes")
    return facts, runtime, largest


def damaged(path: Path, what: str) -> LibraryDamaged:
    """Return the error for a damaged file."""
    return LibraryDamaged(f"{path} is damaged: {what}; run `simsearch verify --deep`")


def names_in(schema: pa.Schema) -> str:
    """Return the names of a schema's columns, for a message; damaged ones may be no text."""
    try:
        return ", ".join(schema.names)[:100]
    except UnicodeDecodeError:
        return "of names that are no text"


def _check_schema(batch: pa.RecordBatch, schema: pa.Schema, path: Path) -> None:
    if not batch.schema.equals(schema, check_metadata=False):
        raise damaged(path, f"its columns are {names_in(batch.schema)} or of other types than they must be")
