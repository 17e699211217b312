"""Rows in Parquet, as `simsearch embed` writes them: path, sha256, width, height, quality, embedding."""

from __future__ import annotations

import base64
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import InputError, RowError, shortened, shown
from simsearch.images.rejected import Rejected
from simsearch.images.source import printable

if TYPE_CHECKING:
    import pyarrow as pa

    from simsearch.extract.pipeline import Embedded

_MODEL, _FINGERPRINT = b"model", b"fingerprint"
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class RowsInfo:
    """What a file of rows says about itself.

    Attributes:
        model: Name of the model that made them.
        fingerprint: Its hard identity.
        dimension: Length of a row.
        rows: How many there are.
    """

    model: str
    fingerprint: str
    dimension: int
    rows: int


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Some rows of a file, with what is known of their images.

    Attributes:
        first: Number of the first row in the file.
        paths: Bytes of the path, None for a row without one.
        sha256: 32 bytes, None where it is not known.
        width: Pixels, None where it is not known.
        height: Pixels, None where it is not known.
        quality: 0 to 100, None where it is not known.
        rows: (n, d) float32, or uint8 for packed bits.
    """

    first: int
    paths: list[bytes | None]
    sha256: list[bytes | None]
    width: list[int | None]
    height: list[int | None]
    quality: list[int | None]
    rows: NDArray[Any]


def write_rows(path: Path, embedded: Iterable[Embedded], *, model: str, fingerprint: str, dimension: int) -> int:
    """Write rows as they come, and return how many; the file appears whole or not at all.

    `path` is printable text and `path_b64` holds the bytes of names that are not UTF-8; `sha256` is hex.

    Args:
        path: The file to write; one that is there is replaced.
        embedded: Results of `embed_sources` that have a row.
        model: The extractor's name.
        fingerprint: The extractor's fingerprint.
        dimension: Length of a row.

    Raises:
        RowError: a row has another length; nothing is written.
    """
    import pyarrow as pa

    stream = iter(embedded)
    first = next(stream, None)
    dtype = np.dtype(np.float32) if first is None or first.row is None else first.row.dtype
    schema = _schema(pa.list_(pa.from_numpy_dtype(dtype), dimension)).with_metadata(
        {_MODEL: model, _FINGERPRINT: fingerprint}
    )
    whole = itertools.chain([] if first is None else [first], stream)
    return _write_table(path, schema, whole, lambda chunk: _columns(chunk, schema, dimension))


def write_items(path: Path, embedded: Iterable[Embedded], *, model: str, fingerprint: str) -> int:
    """Write what `write_rows` does but the rows themselves, and return how many; for rows kept in another file."""
    import pyarrow as pa

    schema = pa.schema(_item_fields()).with_metadata({_MODEL: model, _FINGERPRINT: fingerprint})
    return _write_table(path, schema, iter(embedded), _item_columns)


def write_npy(path: Path, rows: Sequence[NDArray[Any]]) -> None:
    """Write rows of one length as a numpy file (n, d); it appears whole or not at all."""
    with _published(path) as temporary, temporary.open("wb") as file:
        np.save(file, np.stack(rows))


def write_rejected(path: Path, rejected: Iterable[Rejected]) -> int:
    """Write rejected inputs (path, path_b64, code, message) and return how many."""
    import pyarrow as pa

    schema = pa.schema([(name, pa.string()) for name in ("path", "path_b64", "code", "message")])

    def columns(chunk: list[Rejected]) -> list[Any]:
        texts = [_as_text(entry.source.path) for entry in chunk]
        codes = [str(entry.code) for entry in chunk]
        messages = [entry.message.encode(errors="replace").decode() for entry in chunk]
        return [[text for text, _ in texts], [encoded for _, encoded in texts], codes, messages]

    return _write_table(path, schema, iter(rejected), columns)


def rows_info(path: Path) -> RowsInfo:
    """Return the model, dimension and length of a file of rows.

    Raises:
        InputError: the file is no such Parquet.
    """
    with _opened(path) as file:
        return _info(file, path)


def read_rows(path: Path) -> Iterator[RowBatch]:
    """Yield the rows of a file, some thousand at once, in order.

    Raises:
        InputError: the file is no such Parquet, or a cell is unusable.
        RowError: a row is null or holds a null; it is named.
    """
    with _opened(path) as file:
        _info(file, path)
        first = 0
        for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
            yield _batch(batch, first, path)
            first += batch.num_rows


def _schema(row: pa.DataType) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([*_item_fields(), ("embedding", row)])


def _item_fields() -> list[tuple[str, pa.DataType]]:
    import pyarrow as pa

    return [
        ("path", pa.string()),
        ("path_b64", pa.string()),
        ("sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("quality", pa.int16()),
    ]


def _item_columns(chunk: list[Embedded]) -> list[Any]:
    texts = [_as_text(entry.source.path) for entry in chunk]
    return [
        [text for text, _ in texts],
        [encoded for _, encoded in texts],
        [entry.sha256.hex() for entry in chunk],
        [entry.width for entry in chunk],
        [entry.height for entry in chunk],
        [entry.quality for entry in chunk],
    ]


def _columns(chunk: list[Embedded], schema: pa.Schema, dimension: int) -> list[Any]:
    import pyarrow as pa

    rows = [entry.row for entry in chunk]
    for entry, row in zip(chunk, rows, strict=True):
        if row is None or row.shape != (dimension,):
            shape = None if row is None else row.shape
            raise RowError(f"the row of {entry.source.printable} has shape {shape} and must have ({dimension},)")
    flat = np.concatenate([row for row in rows if row is not None])
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(flat, schema.field("embedding").type.value_type), dimension)
    return [*_item_columns(chunk), embedding]


def _write_table(path: Path, schema: pa.Schema, entries: Iterator[Any], columns: Any) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    written = 0
    with _published(path) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        while chunk := list(itertools.islice(entries, _ROWS_AT_ONCE)):
            arrays = [
                column if isinstance(column, pa.Array) else pa.array(column, field.type)
                for column, field in zip(columns(chunk), schema, strict=True)
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
            written += len(chunk)
    return written


@contextmanager
def _published(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to; what was written has the real name, on disk, once no error ended the block."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync(place: Path) -> None:
    """Bring a file or folder onto the disk."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _as_text(path: bytes) -> tuple[str, str | None]:
    try:
        return path.decode(), None
    except UnicodeDecodeError:
        return printable(path), base64.b64encode(path).decode()


def _opened(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError, ValueError) as error:  # the last: a name that is not UTF-8
        why = shortened(str(error), 120)
        raise InputError(
            f"cannot read {shown(path)}: {why}; give a Parquet file as `simsearch embed` writes it"
        ) from error


def _info(file: Any, path: Path) -> RowsInfo:
    import pyarrow as pa

    schema = file.schema_arrow
    metadata = schema.metadata or {}
    if "embedding" not in schema.names or not pa.types.is_fixed_size_list(schema.field("embedding").type):
        raise InputError(f"{path} has no column `embedding` of fixed-size lists; it has {', '.join(schema.names)}")
    if _FINGERPRINT not in metadata:
        raise InputError(f"{path} does not say which model made its rows: set `model` and `fingerprint` in its schema")
    model, fingerprint = metadata.get(_MODEL, b"").decode(), metadata[_FINGERPRINT].decode()
    return RowsInfo(model, fingerprint, schema.field("embedding").type.list_size, file.metadata.num_rows)


def _batch(batch: pa.RecordBatch, first: int, path: Path) -> RowBatch:
    column = batch.column("embedding")
    for i, valid in enumerate(column.is_valid().to_pylist()):
        if not valid:
            raise RowError(f"row {first + i} of {path} is null; leave it out")
    flat = column.flatten()
    if flat.null_count:
        at = flat.is_null().to_pylist().index(True) // column.type.list_size
        raise RowError(f"row {first + at} of {path} holds a null; leave it out")
    rows = flat.to_numpy(zero_copy_only=False).reshape(-1, column.type.list_size)

    def cells(name: str) -> list[Any]:
        return batch.column(name).to_pylist() if name in batch.schema.names else [None] * batch.num_rows

    names = enumerate(zip(cells("path"), cells("path_b64"), strict=True), start=first)
    paths = [_path(text, encoded, number, path) for number, (text, encoded) in names]
    contents = [_content(cell, first + i, path) for i, cell in enumerate(cells("sha256"))]
    kept = rows if rows.dtype == np.uint8 else np.ascontiguousarray(rows, np.float32)
    return RowBatch(first, paths, contents, cells("width"), cells("height"), cells("quality"), kept)


def _path(text: str | bytes | None, encoded: str | None, number: int, file: Path) -> bytes | None:
    if encoded is not None:
        try:
            return base64.b64decode(encoded, validate=True)
        except ValueError as error:
            raise InputError(f"row {number} of {file} has path_b64 {encoded!r}; give base64, or null") from error
    return os.fsencode(text) if text else None


def _content(cell: str | bytes | None, number: int, path: Path) -> bytes | None:
    try:
        content = bytes.fromhex(cell) if isinstance(cell, str) else cell
    except ValueError:
        content = b""
    if content is not None and len(content) != 32:
        raise InputError(f"row {number} of {path} has sha256 {cell!r}; give 64 hex digits, or null")
    return content
