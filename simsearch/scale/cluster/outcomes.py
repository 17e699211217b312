"""The outcomes of a shard as one Arrow file, without pickle: what a worker leaves behind and the driver takes in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simsearch.errors import LibraryDamaged, RejectCode, first_line
from simsearch.extract.pipeline import Embedded
from simsearch.extract.runner import Outcome
from simsearch.images.source import Rejected, Source
from simsearch.scale.cluster.shard import EmbedJob, Shard, keys_of

_FORMAT = 1
_FACTS = (
    ("key", pa.binary(16)),
    ("code", pa.string()),
    ("message", pa.string()),
    ("sha256", pa.binary(32)),
    ("bytes", pa.int64()),
    ("width", pa.int32()),
    ("height", pa.int32()),
    ("quality", pa.int16()),
    ("more", pa.bool_()),
    ("size", pa.int64()),
    ("mtime_ns", pa.int64()),
)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The outcomes of a shard's inputs, in their order.

    Attributes:
        keys: Of the inputs.
        facts: The columns of the file but its rows, by name.
        rows: Of each extractor, (m, d), one for each input that is not rejected.
        places: Which row an input has, (n,); -1 for none.
        runtimes: Device and versions that made the rows of each extractor.
    """

    keys: list[bytes]
    facts: Mapping[str, list[Any]]
    rows: tuple[NDArray[Any], ...]
    places: NDArray[np.int64]
    runtimes: tuple[Mapping[str, str], ...]

    def of(self, position: int, source: Source) -> Outcome:
        """Return the outcome at a position, of an input that is known here."""
        fact = {name: column[position] for name, column in self.facts.items()}
        if fact["code"] is not None:
            return Rejected(source, RejectCode(fact["code"]), fact["message"])
        rows = tuple(each[self.places[position]] for each in self.rows)
        found = _as_fetched(source, fact["size"], fact["mtime_ns"])
        names = ("sha256", "bytes", "width", "height", "quality", "more")
        return Embedded(found, rows, *(fact[name] for name in names))


def _as_fetched(source: Source, size: int, mtime_ns: int) -> Source:
    same = (source.size, source.mtime_ns) == (size, mtime_ns)
    return source if same else replace(source, size=size, mtime_ns=mtime_ns)


def encode(job: EmbedJob, shard: Shard, outcomes: Sequence[Outcome], runtimes: Sequence[Mapping[str, str]]) -> bytes:
    """Return a shard's outcomes, one an input and in their order, as an Arrow file."""
    embedded = [one for one in outcomes if isinstance(one, Embedded)]
    columns = [pa.array(values, kind) for values, (_, kind) in zip(_columns(shard, outcomes), _FACTS, strict=True)]
    facts = pa.RecordBatch.from_arrays(columns, schema=pa.schema(_FACTS))
    told = {"format": _FORMAT, "job": job.digest, "shard": shard.key, "runtimes": [dict(one) for one in runtimes]}
    made = [[_row(one, i) for one in embedded] for i in range(len(job.models))]
    sink = pa.BufferOutputStream()
    for batch in (facts, *map(_rows_batch, made)):
        noted = batch.replace_schema_metadata({b"simsearch.outcomes": json.dumps(told).encode()})
        with pa.ipc.new_stream(sink, noted.schema) as writer:
            writer.write_batch(noted)
    return bytes(sink.getvalue().to_pybytes())


def _row(one: Embedded, number: int) -> NDArray[Any]:
    if one.rows is None:
        raise ValueError(f"{one.source.printable} came back without its rows")
    return one.rows[number]


def _columns(shard: Shard, outcomes: Sequence[Outcome]) -> list[list[Any]]:
    rejected = [one if isinstance(one, Rejected) else None for one in outcomes]
    taken = [one if isinstance(one, Embedded) else None for one in outcomes]
    return [
        keys_of(shard.sources),
        [one and str(one.code) for one in rejected],
        [one and one.message.encode(errors="replace").decode() for one in rejected],
        [one and one.sha256 for one in taken],
        [one and one.n_bytes for one in taken],
        [one and one.width for one in taken],
        [one and one.height for one in taken],
        [one and one.quality for one in taken],
        [one is not None and one.more for one in taken],
        [one.source.size for one in outcomes],
        [one.source.mtime_ns for one in outcomes],
    ]


def _rows_batch(rows: Sequence[NDArray[Any]]) -> pa.RecordBatch:
    if not rows:
        return pa.RecordBatch.from_arrays([pa.array([], pa.list_(pa.float32(), 1))], names=["row"])
    flat = pa.array(np.concatenate(rows))
    return pa.RecordBatch.from_arrays([pa.FixedSizeListArray.from_arrays(flat, len(rows[0]))], names=["row"])


def decode(data: bytes, job: EmbedJob, *, whose: str) -> Outcomes:
    """Return the outcomes that `encode` wrote for this job.

    Args:
        data: The bytes of the file.
        job: What it must be of.
        whose: What messages call the file.

    Raises:
        LibraryDamaged: It is none of this job.
    """
    try:
        stream = pa.BufferReader(data)
        facts, told = _read(stream)
        rows = [_read(stream)[0].column("row") for _ in job.models]
        if (told["format"], told["job"]) != (_FORMAT, job.digest):
            raise ValueError("it is of another job")
        columns = {name: facts.column(name).to_pylist() for name, _ in _FACTS}
        taken = np.array([code is None for code in columns["code"]], bool)
        arrays = tuple(_values(row, int(taken.sum())) for row in rows)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise LibraryDamaged(f"{whose} holds no outcomes of this job: {first_line(error)}; remove it") from error
    places = np.where(taken, np.cumsum(taken) - 1, -1)
    keys = columns.pop("key")
    return Outcomes(keys, columns, arrays, places, tuple(told["runtimes"]))


def _read(stream: Any) -> tuple[pa.RecordBatch, dict[str, Any]]:
    reader = pa.ipc.open_stream(stream)
    batch = reader.read_next_batch()
    for _ in reader:
        raise ValueError("there is more than one batch")
    return batch, json.loads(batch.schema.metadata[b"simsearch.outcomes"])


def _values(column: pa.FixedSizeListArray, count: int) -> NDArray[Any]:
    if len(column) != count:
        raise ValueError(f"there are {len(column)} rows of {count} images")
    values: NDArray[Any] = column.flatten().to_numpy(zero_copy_only=False)
    return values.reshape(count, column.type.list_size)
