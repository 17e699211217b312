"""Some rows of a Parquet file with what is known of their images, as columns, each cell looked at."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from simsearch.errors import InputError, RowError, shortened

_LONGEST_SIDE = 2**31 - 1
_SHOWN = 80  # characters of a cell in a message


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Some rows of a file, with what is known of their images; null is what is not known.

    Attributes:
        first: Number of the first row in the file.
        path: Bytes of the path, large_binary.
        sha256: 32 bytes, binary(32).
        width: Pixels, int32.
        height: Pixels, int32.
        quality: 0 to 100, int16.
        rows: (n, d) float32, or uint8 for packed bits.
    """

    first: int
    path: pa.Array
    sha256: pa.Array
    width: pa.Array
    height: pa.Array
    quality: pa.Array
    rows: NDArray[Any]

    @property
    def paths(self) -> list[bytes | None]:
        """The paths, None for a row without one."""
        return list(self.path.to_pylist())


def row_batch(batch: pa.RecordBatch, first: int, dimension: int, path: Path) -> RowBatch:
    """Return a record batch as rows of a length, by the number of its first row in the file.

    Raises:
        InputError: A cell is unusable; the row is named.
        RowError: A row is null, holds a null or is of another length; it is named.
    """
    rows = _rows(batch.column("embedding"), first, dimension, path)
    content = _contents(batch, first, path)
    width, height, quality = (
        _numbers(batch, name, most, first, path)
        for name, most in (("width", _LONGEST_SIDE), ("height", _LONGEST_SIDE), ("quality", 100))
    )
    return RowBatch(first, path_column(batch, first, path), content, width, height, quality, rows)


def _rows(column: pa.Array, first: int, dimension: int, path: Path) -> NDArray[Any]:
    if column.null_count:
        raise RowError(f"row {first + _first_of(column.is_null())} of {path} is null; leave it out")
    if not pa.types.is_fixed_size_list(column.type):
        other = pc.not_equal(pc.list_value_length(column), dimension)
        if (at := _first_of(other)) is not None:
            length = pc.list_value_length(column)[at]
            raise RowError(f"row {first + at} of {path} holds {length} values, and the first row {dimension}")
    flat = column.flatten()
    if flat.null_count:
        at = _first_of(flat.is_null())
        raise RowError(f"row {first + at // dimension} of {path} holds a null; leave it out")
    rows = flat.to_numpy(zero_copy_only=False).reshape(-1, dimension)
    with np.errstate(over="ignore"):  # a number too large for float32 becomes infinite, which is refused by its row
        return rows if rows.dtype == np.uint8 else np.ascontiguousarray(rows, np.float32)


def _first_of(found: pa.Array) -> Any:
    """Return the position of the first true value, None where there is none."""
    at = pc.index(found, True).as_py()
    return None if at < 0 else at


def path_column(batch: pa.RecordBatch, first: int, path: Path) -> pa.Array:
    """Return the paths of a batch as bytes, null where there is none.

    Raises:
        InputError: A path is none; the row is named.
    """
    text, encoded = _column(batch, "path"), _column(batch, "path_b64")
    if encoded.null_count == len(encoded) and _is_text(text) and sys.getfilesystemencoding() == "utf-8":
        text.validate(full=True)
        paths = text.cast(pa.large_binary())
        length = pc.binary_length(paths)
        if not pc.any(pc.greater_equal(pc.find_substring(paths, "\0"), 0)).as_py():
            return pc.if_else(pc.equal(length, 0), None, paths) if pc.min(length).as_py() == 0 else paths
    cells = zip(text.to_pylist(), encoded.to_pylist(), strict=True)
    found = [_path(text, encoded, number, path) for number, (text, encoded) in enumerate(cells, start=first)]
    return pa.array(found, pa.large_binary())


def _path(text: Any, encoded: Any, number: int, file: Path) -> bytes | None:
    found: Any = text
    if encoded is not None:
        try:
            found = base64.b64decode(encoded, validate=True)
        except (ValueError, TypeError) as error:
            raise InputError(
                f"row {number} of {file} has path_b64 {_told(encoded)}; give base64 text, or null"
            ) from error
    if found is None or found in ("", b""):
        return None
    if not isinstance(found, str | bytes) or (raw := os.fsencode(found)).count(b"\0"):
        raise InputError(f"row {number} of {file} has path {_told(found)}; give text, or null")
    return raw


def _contents(batch: pa.RecordBatch, first: int, path: Path) -> pa.Array:
    column = _column(batch, "sha256")
    found = _unhexed(column) if _is_text(column) else None
    if found is not None:
        return found
    return _each(column, lambda cell, number: _content(cell, number, path), first, pa.binary(32))


def _unhexed(column: pa.Array) -> pa.Array | None:
    """Return the bytes that 64 hex digits a cell spell; None where a cell has others."""
    if pc.any(pc.not_equal(pc.binary_length(column), 64)).as_py():
        return None
    known = column.is_valid().to_numpy(zero_copy_only=False)
    content = np.zeros((len(column), 32), np.uint8)
    texts = column.drop_null().to_pylist()
    try:  # white space, which is passed over, leaves too few bytes
        content[known] = np.frombuffer(bytes.fromhex("".join(texts)), np.uint8).reshape(len(texts), 32)
    except ValueError:
        return None
    buffers = [pa.py_buffer(np.packbits(known, bitorder="little")), pa.py_buffer(content)]
    return pa.Array.from_buffers(pa.binary(32), len(column), buffers)


def _content(cell: Any, number: int, path: Path) -> bytes | None:
    try:
        content = bytes.fromhex(cell) if isinstance(cell, str) else cell
    except ValueError:
        content = b""
    if content is not None and not (isinstance(content, bytes) and len(content) == 32):
        raise InputError(f"row {number} of {path} has sha256 {_told(cell)}; give 64 hex digits, or null")
    return content


def _numbers(batch: pa.RecordBatch, name: str, most: int, first: int, path: Path) -> pa.Array:
    column, kind = _column(batch, name), pa.int16() if name == "quality" else pa.int32()
    if column.null_count == len(column):
        return pa.nulls(len(column), kind)
    if pa.types.is_integer(column.type):
        ends = pc.min_max(column).as_py()
        if ends["min"] is None or 0 <= ends["min"] <= ends["max"] <= most:
            return column.cast(kind)
    return _each(column, lambda cell, number: _whole(cell, name, most, number, path), first, kind)


def _whole(cell: Any, name: str, most: int, number: int, path: Path) -> int | None:
    """Return a whole number from 0 to `most`; pandas makes floats of whole numbers among which one is missing."""
    if cell is None or cell != cell:  # noqa: PLR0124 - NaN, which pandas writes for a missing number
        return None
    if isinstance(cell, bool) or not isinstance(cell, int | float) or cell != int(cell) or not 0 <= cell <= most:
        raise InputError(f"row {number} of {path} has {name} {_told(cell)}; give 0 to {most}, or null")
    return int(cell)


def _each(column: pa.Array, value: Callable[[Any, int], Any], first: int, kind: pa.DataType) -> pa.Array:
    """Return a column whose cells are not of the usual type, cell by cell."""
    return pa.array([value(cell, number) for number, cell in enumerate(column.to_pylist(), start=first)], kind)


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    return batch.column(name) if name in batch.schema.names else pa.nulls(batch.num_rows, pa.string())


def _is_text(column: pa.Array) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def _told(cell: Any) -> str:
    return shortened(repr(cell), _SHOWN)
