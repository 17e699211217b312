"""Items as columns: who each image is, without its row."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simsearch.images.source import Rejected

Keys = NDArray[np.uint64]

SCHEMA = pa.schema(
    [
        ("path", pa.large_binary()),
        ("root", pa.int32()),
        ("sha256", pa.binary(32)),
        ("bytes", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("quality", pa.int16()),
        ("owner", pa.large_utf8()),
        ("attributes", pa.large_utf8()),
    ]
)
REJECTS = pa.schema([("path", pa.large_binary()), ("code", pa.utf8()), ("message", pa.large_utf8())])
_KEY = 8  # bytes
_ROOTS = b"roots"
_OWNERS = b"owners"


@dataclass(frozen=True, slots=True)
class Item:
    """One image's identity: its root and the path below it, and what was read of it.

    `root` and `name` are None for rows without a path; numbers are None where they are not known.
    """

    root: bytes | None
    name: bytes | None
    sha256: bytes | None
    n_bytes: int | None = None
    mtime_ns: int | None = None
    width: int | None = None
    height: int | None = None
    quality: int | None = None
    owner: str | None = None
    attributes: str | None = None

    @property
    def path(self) -> bytes | None:
        """Root and name joined."""
        return None if self.root is None or self.name is None else join(self.root, self.name)


def join(root: bytes, name: bytes) -> bytes:
    """Return the path of a name below a root, as `Source.path` does."""
    return root.rstrip(b"/") + b"/" + name


def path_key(path: bytes) -> int:
    """Return the 64-bit key of a path."""
    return int.from_bytes(hashlib.blake2b(path, digest_size=_KEY).digest(), "big")


def keys_of_paths(paths: Iterable[bytes]) -> NDArray[np.uint64]:
    """Return the 64-bit key of each path."""
    digests = [hashlib.blake2b(path, digest_size=_KEY).digest() for path in paths]
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64)


def keys_of_contents(sha256: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return the 64-bit key of each content (n, 32)."""
    return np.ascontiguousarray(sha256[:, :_KEY]).view(">u8")[:, 0].astype(np.uint64)


def contents_of(column: pa.Array) -> NDArray[np.uint8]:
    """Return a column of contents as (n, 32) uint8; undefined where it is null."""
    whole = np.frombuffer(column.buffers()[1] or b"", np.uint8)
    return whole[32 * column.offset :][: 32 * len(column)].reshape(-1, 32)


def items_batch(items: Sequence[Item]) -> pa.RecordBatch:
    """Return items as one record batch; the roots stand once, in the schema's metadata.

    A value that does not fit its column is unknown (text: escaped), so that it costs nothing but itself.
    """
    roots = list(dict.fromkeys(item.root for item in items if item.root is not None))
    number = {root: i for i, root in enumerate(roots)}
    same = set(SCHEMA.names) - {"path", "root", "bytes"}
    columns: dict[str, list[Any]] = {name: [getattr(item, name) for item in items] for name in same}
    columns["path"] = [item.name for item in items]
    columns["root"] = [None if item.root is None else number[item.root] for item in items]
    columns["bytes"] = [item.n_bytes for item in items]
    arrays = [_column(columns[field.name], field.type) for field in SCHEMA]
    return pa.RecordBatch.from_arrays(arrays, schema=with_roots(SCHEMA, roots))


def _column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return pa.array([_fitting(value, kind) for value in values], kind)


def _fitting(value: Any, kind: pa.DataType) -> Any:
    if isinstance(value, str) and pa.types.is_large_string(kind):
        return value.encode(errors="backslashreplace").decode()
    try:
        return pa.scalar(value, kind).as_py()
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return None


def rejects_batch(rejects: Iterable[Rejected]) -> pa.RecordBatch:
    """Return rejected inputs as one record batch; their owners are in the schema's metadata."""
    listed = list(rejects)
    rows = [(r.source.path, str(r.code), r.message.encode(errors="replace").decode()) for r in listed]
    arrays = [pa.array([row[i] for row in rows], field.type) for i, field in enumerate(REJECTS)]
    return pa.RecordBatch.from_arrays(arrays, schema=with_owners(REJECTS, [r.source.owner for r in listed]))


def with_owners(schema: pa.Schema, owners: Sequence[str | None]) -> pa.Schema:
    """Return the schema of rejected inputs with the owner of each in its metadata."""
    known = {str(i): owner for i, owner in enumerate(owners) if owner is not None}
    return schema.with_metadata({_OWNERS: json.dumps(known).encode()}) if known else schema


def reject_owners(batch: pa.RecordBatch) -> list[str | None]:
    """Return the owner of each rejected input, None where it is not known."""
    try:
        known = json.loads((batch.schema.metadata or {}).get(_OWNERS, b"{}"))
        return [known.get(str(i)) for i in range(batch.num_rows)]
    except (ValueError, AttributeError):  # damaged, as its SHA-256 shows; here it counts as unknown
        return [None] * batch.num_rows


def with_roots(schema: pa.Schema, roots: Sequence[bytes]) -> pa.Schema:
    """Return the schema with these roots in its metadata."""
    encoded = json.dumps([base64.b64encode(root).decode() for root in roots])
    return schema.with_metadata({**(schema.metadata or {}), _ROOTS: encoded.encode()})


def roots_of(schema: pa.Schema) -> tuple[bytes, ...]:
    """Return the roots that the column `root` numbers."""
    return tuple(base64.b64decode(root) for root in json.loads((schema.metadata or {}).get(_ROOTS, b"[]")))


def full_paths(batch: pa.RecordBatch) -> list[bytes | None]:
    """Return the full path of every item, None for rows without one."""
    roots = roots_of(batch.schema)
    below = [join(root, b"") for root in roots]
    pairs = zip(batch.column("root").to_pylist(), batch.column("path").to_pylist(), strict=True)
    return [None if name is None or root is None else below[root] + name for root, name in pairs]


def path_keys(batch: pa.RecordBatch) -> Keys:
    """Return the sorted path keys of a batch: (2, m) uint64."""
    paths = full_paths(batch)
    known = np.array([i for i, path in enumerate(paths) if path is not None], np.uint64)
    return sorted_keys(keys_of_paths([path for path in paths if path is not None]), known)


def content_keys(batch: pa.RecordBatch) -> Keys:
    """Return the sorted content keys of a batch: (2, m) uint64."""
    column = batch.column("sha256")
    positions = np.flatnonzero(known(column))
    return sorted_keys(keys_of_contents(contents_of(column)[positions]), positions.astype(np.uint64))


def sorted_keys(keys: NDArray[np.uint64], positions: NDArray[np.uint64]) -> Keys:
    """Return keys in order above the positions that they belong to, ties by position: (2, m) uint64."""
    order = np.argsort(keys, kind="stable")
    return np.stack([keys[order], positions[order]])


def numbers(column: Any) -> NDArray[np.int64]:
    """Return an integer column as int64, -1 where it is null: (n,)."""
    stored = np.frombuffer(column.buffers()[1] or b"", column.type.to_pandas_dtype())
    return np.where(known(column), stored[column.offset :][: len(column)], np.int64(-1))


def known(column: Any) -> NDArray[np.bool_]:
    """Return where a column is not null: (n,).

    Arrow's own functions for it load all others, which takes longer than all else of opening a library.
    """
    bits = column.buffers()[0]
    if bits is None:
        return np.ones(len(column), bool)
    ends = column.offset, column.offset + len(column)
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=ends[1], bitorder="little")[ends[0] :].view(bool)


def starting_with(column: pa.LargeBinaryArray, prefix: bytes) -> NDArray[np.bool_]:
    """Return which texts of a large_binary column start with a prefix: (n,)."""
    if not len(column):
        return np.zeros(0, bool)
    _, ends, text = column.buffers()
    starts = np.frombuffer(ends, np.int64)[column.offset :][: len(column) + 1]
    found = known(column) & (np.diff(starts) >= len(prefix))
    written = np.frombuffer(text or b"", np.uint8)
    for i, byte in enumerate(prefix):
        at = np.flatnonzero(found)
        found[at] = written[starts[at] + i] == byte
    return found
