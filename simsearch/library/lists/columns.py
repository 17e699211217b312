"""All entries of a list as columns: read and written as one Arrow table, changed as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simsearch.errors import LibraryDamaged
from simsearch.library.lists.codes import DIGESTS, PDQ, PDQ_BYTES, Code, is_channel_type
from simsearch.library.lists.entries import Entry, from_json

SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("type", pa.large_string(), nullable=False),
        pa.field("value", pa.large_binary(), nullable=False),
        pa.field("quality", pa.int16(), nullable=False),
        pa.field("withdrawn", pa.bool_(), nullable=False),
        pa.field("since", pa.int64(), nullable=False),
        pa.field("sources", pa.large_string(), nullable=False),
    ]
)
UNKNOWN = -1
"""Quality of a hash whose quality is not known."""


@dataclass(slots=True)
class Columns:
    """The entries of a list.

    Attributes:
        id: Of each, ascending.
        type: Of its code.
        value: Of its code.
        quality: -1 where it is not known.
        withdrawn: Whether all of its sources took it back.
        since: Pictures that had been checked when it was listed.
        sources: Its source records as JSON.
    """

    id: list[int] = field(default_factory=list)
    type: list[str] = field(default_factory=list)
    value: list[bytes] = field(default_factory=list)
    quality: list[int] = field(default_factory=list)
    withdrawn: list[bool] = field(default_factory=list)
    since: list[int] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, table: pa.Table) -> Columns:
        """Return the columns of a table."""
        return cls(*(table.column(name).to_pylist() for name in SCHEMA.names))

    def table(self) -> pa.Table:
        """Return them as a table."""
        arrays = [pa.array(getattr(self, each.name), each.type) for each in SCHEMA]
        return pa.table(arrays, schema=SCHEMA)

    def entry(self, at: int) -> Entry:
        """Return one entry."""
        quality = None if self.quality[at] == UNKNOWN else self.quality[at]
        code = Code(self.type[at], self.value[at])
        return Entry(self.id[at], code, quality, from_json(self.sources[at]), self.withdrawn[at])

    def __len__(self) -> int:
        return len(self.id)


def rows_of(table: pa.Table, kind: str) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return the places (n,) and values (n, bytes) of the active entries of a type, which are all as long."""
    import pyarrow.compute as pc

    wanted = pc.and_(pc.equal(table.column("type"), kind), pc.invert(table.column("withdrawn")))
    places = np.flatnonzero(wanted.to_numpy(zero_copy_only=False))
    if not len(places):
        return places, np.empty((0, 1), np.uint8)
    values = table.column("value").filter(wanted).combine_chunks()
    _, offsets, data = values.buffers()
    first, end = np.frombuffer(offsets, np.int64)[[values.offset, values.offset + len(values)]]
    return places, np.frombuffer(data, np.uint8)[first:end].reshape(len(places), -1)


def require_sound(table: pa.Table, dimensions: dict[str, int]) -> None:
    """Make sure that values are of their types.

    Args:
        table: Of a file.
        dimensions: Bytes of the rows of each channel.

    Raises:
        LibraryDamaged: One is not.
    """
    import pyarrow.compute as pc

    ids = table.column("id").to_numpy()
    if (np.diff(ids) <= 0).any() or (ids < 0).any():
        raise LibraryDamaged("its ids do not ascend")
    sizes = {**DIGESTS, PDQ: PDQ_BYTES, **dimensions}
    lengths = pc.binary_length(table.column("value"))
    for kind in pc.unique(table.column("type")).to_pylist():
        if kind not in sizes:
            what = "a channel that it does not describe" if is_channel_type(kind) else f"the type {kind[:40]!r}"
            raise LibraryDamaged(f"it holds codes of {what}")
        right = pc.equal(lengths.filter(pc.equal(table.column("type"), kind)), sizes[kind])
        if not pc.all(right).as_py():
            raise LibraryDamaged(f"a code of type {kind} is not {sizes[kind]} bytes long")
