"""Rows in Parquet, as `simsearch embed` writes them: path, sha256, width, height, quality, embedding."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import InputError, RowError, shortened, shown
from simsearch.images.source import Rejected, as_text
from simsearch.runtime.files import published

if TYPE_CHECKING:
    import pyarrow as pa

    from simsearch.extract.embeddings.batch import RowBatch
    from simsearch.extract.pipeline import Embedded

T = TypeVar("T")

_MODEL, _FINGERPRINT = b"model", b"fingerprint"
_ROWS_AT_ONCE = 4096
_LONGEST_ROW = 1 << 20
# Else a whole row group is held, of which a file may have one.
_READING: Any = {"page_checksum_verification": True, "pre_buffer": False, "buffer_size": 1 << 20}
_BYTES_AT_ONCE = 1 << 23  # of float32
_AHEAD = 3  # batches


@dataclass(frozen=True, slots=True)
class RowsInfo:
    """The header of a file of rows.

    Attributes:
        model: Name of the model that made them.
        fingerprint: Its hard identity.
        dimension: Length of a row.
        rows: How many there are.
        values: Arrow's name of the type of their numbers.
    """

    model: str
    fingerprint: str
    dimension: int
    rows: int
    values: str = field(default="", compare=False)


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
        RowError: A row has another length; nothing is written.
    """
    import pyarrow as pa

    stream = iter(embedded)
    first = next(stream, None)
    dtype = np.dtype(np.float32) if first is None or first.row is None else first.row.dtype
    row = pa.list_(pa.from_numpy_dtype(dtype), dimension)
    told = {_MODEL: model, _FINGERPRINT: fingerprint}
    schema = pa.schema([*_item_fields(), ("embedding", row)], told)
    whole = itertools.chain([] if first is None else [first], stream)
    return _write_table(path, schema, whole, lambda chunk: _columns(chunk, schema, dimension))


def write_items(path: Path, embedded: Iterable[Embedded], *, model: str, fingerprint: str) -> int:
    """Write what `write_rows` does but the rows themselves, and return how many; for rows kept in another file."""
    import pyarrow as pa

    schema = pa.schema(_item_fields(), {_MODEL: model, _FINGERPRINT: fingerprint})
    return _write_table(path, schema, iter(embedded), _item_columns)


def write_npy(path: Path, rows: Sequence[NDArray[Any]]) -> None:
    """Write rows of one length as a numpy file (n, d); it appears whole or not at all."""
    with published(path) as temporary, temporary.open("wb") as file:
        np.save(file, np.stack(rows))


def write_rejected(path: Path, rejected: Iterable[Rejected]) -> int:
    """Write rejected inputs (path, path_b64, code, message) and return how many."""
    import pyarrow as pa

    schema = pa.schema([(name, pa.string()) for name in ("path", "path_b64", "code", "message")])

    def columns(chunk: list[Rejected]) -> list[Any]:
        texts = [as_text(entry.source.path) for entry in chunk]
        codes = [str(entry.code) for entry in chunk]
        messages = [entry.message.encode(errors="replace").decode() for entry in chunk]
        return [[text for text, _ in texts], [encoded for _, encoded in texts], codes, messages]

    return _write_table(path, schema, iter(rejected), columns)


def rows_info(path: Path) -> RowsInfo:
    """Return the model, dimension and length of a file of rows.

    Raises:
        InputError: The file is no such Parquet.
    """
    with _opened(path) as file:
        return _info(file, path)


def rows_identity(path: Path) -> tuple[str, str, int]:
    """Return model, fingerprint and length of a file of rows, or of their items without the rows.

    Raises:
        InputError: The file is no such Parquet.
    """
    with _opened(path) as file:
        return (*_identity(file, path), file.metadata.num_rows)


def read_rows(path: Path, *, start: int = 0) -> Iterator[RowBatch]:
    """Yield the rows of a file, some thousand at once, in order; the next are decoded meanwhile.

    Args:
        path: The file.
        start: The number of the first row that is wanted.

    Raises:
        InputError: The file is no such Parquet, is damaged, or a cell is unusable; the row is named.
        RowError: A row is null, holds a null or is of another length; it is named.
    """
    from simsearch.extract.embeddings.batch import row_batch

    with _opened(path) as file:
        info = _info(file, path)
        at_once = max(1, min(_ROWS_AT_ONCE, _BYTES_AT_ONCE // (4 * info.dimension)))
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        ends = list(itertools.accumulate(sizes))
        groups = [i for i, end in enumerate(ends) if end > start]
        first = sum(sizes) - sum(sizes[i] for i in groups)
        with closing(_ahead(file.iter_batches(batch_size=at_once, row_groups=groups))) as batches:
            for batch in batches:
                wanted = batch.slice(max(0, start - first))
                if wanted.num_rows:
                    yield row_batch(wanted, max(first, start), info.dimension, path)
                first += batch.num_rows
        if first != info.rows:
            raise InputError(f"{path} is damaged: it says {info.rows:,} rows and holds {first:,}")


def _ahead(stream: Iterator[T]) -> Generator[T, None, None]:
    """Yield the same, with some items prefetched by a thread."""
    with ThreadPoolExecutor(1) as pool:
        coming = deque(pool.submit(next, stream, None) for _ in range(_AHEAD))
        while (one := coming.popleft().result()) is not None:
            coming.append(pool.submit(next, stream, None))
            yield one


def read_paths(path: Path) -> Iterator[bytes]:
    """Yield the paths in a file of rows, or of their items, in order; rows without one are left out.

    Raises:
        InputError: The file is no such Parquet, or a path is none.
    """
    yield from (cells[0] for cells in _texts(path, ()))


def read_rejected(path: Path) -> Iterator[tuple[bytes, str, str]]:
    """Yield path, code and message of what `write_rejected` wrote.

    Raises:
        InputError: The file is no such Parquet.
    """
    yield from ((cells[0], str(cells[1]), str(cells[2])) for cells in _texts(path, ("code", "message")))


def _texts(path: Path, more: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Yield the path and some other columns of each row that has a path."""
    from simsearch.extract.embeddings.batch import path_column

    with _opened(path) as file:
        first = 0
        for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=["path", "path_b64", *more]):
            found = path_column(batch, first, path).to_pylist()
            yield from (
                cells
                for cells in zip(found, *(batch.column(name).to_pylist() for name in more), strict=True)
                if cells[0] is not None
            )
            first += batch.num_rows


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
    texts = [as_text(entry.source.path) for entry in chunk]
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
    # Arrow takes an open file, since it writes names as UTF-8 and this one may not be.
    with (
        published(path) as temporary,
        temporary.open("wb") as file,
        pq.ParquetWriter(file, schema, write_page_checksum=True) as writer,
    ):
        while chunk := list(itertools.islice(entries, _ROWS_AT_ONCE)):
            arrays = [
                column if isinstance(column, pa.Array) else pa.array(column, field.type)
                for column, field in zip(columns(chunk), schema, strict=True)
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
            written += len(chunk)
    return written


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open the file for the block; turn errors of reading into InputError in one line."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as raw, pq.ParquetFile(raw, **_READING) as file:
            yield file
    except InputError:
        raise
    # A damaged file may be any of these to Arrow: KeyError a column of two, UnicodeDecodeError text that is none.
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError, NotImplementedError) as error:
        words = (isinstance(error, OSError) and error.strerror) or str(error)
        message = shortened(" ".join(words.split()), 120) or type(error).__name__
        raise InputError(
            f"cannot read {shown(path)}: {message}; give a Parquet file as `simsearch embed` writes it"
        ) from error


def _identity(file: Any, path: Path) -> tuple[str, str]:
    metadata = file.schema_arrow.metadata or {}
    if _FINGERPRINT not in metadata:
        raise InputError(f"{path} does not say which model made its rows: set `model` and `fingerprint` in its schema")
    try:
        return metadata.get(_MODEL, b"").decode(), metadata[_FINGERPRINT].decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} says `model` and `fingerprint` in bytes that are no UTF-8") from error


def _info(file: Any, path: Path) -> RowsInfo:
    import pyarrow as pa

    schema = file.schema_arrow
    kinds = [schema.field(i).type for i, name in enumerate(schema.names) if name == "embedding"]
    if len(kinds) != 1 or not (pa.types.is_fixed_size_list(kinds[0]) or _is_list(kinds[0])):
        names = ", ".join(schema.names)[:200]
        raise InputError(f"{path} has no column `embedding` of lists; it has {names}")
    value = kinds[0].value_type
    dimension = _first_length(file) if _is_list(kinds[0]) else kinds[0].list_size
    if not (pa.types.is_floating(value) or pa.types.is_integer(value)) or not 0 < dimension <= _LONGEST_ROW:
        raise InputError(f"{path} has embeddings of {str(kinds[0])[:80]}; give lists of 1 to {_LONGEST_ROW:,} numbers")
    model, fingerprint = _identity(file, path)
    return RowsInfo(model, fingerprint, dimension, file.metadata.num_rows, str(value))


def _is_list(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _first_length(file: Any) -> int:
    """Return the length of the first row, and so of all; 0 where there is none."""
    for batch in file.iter_batches(batch_size=1, columns=["embedding"]):
        return len(batch.column(0)[0].as_py() or ())
    return 0
