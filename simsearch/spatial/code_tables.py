"""Candidates by local codes: the items that most of a query's keypoints find again, looked up in tables of keys.

Several tables hold all codes by some of their bits each. A code of the query finds those whose key differs from its
own in one bit at most; the ones that are near in all bits vote for their item, the more the fewer are so near, and an
item has the votes that agree on how the query lies in it.

Reference:
    Indyk, Motwani, "Approximate nearest neighbors: towards removing the curse of dimensionality", 1998 (sampled bits);
    Lv et al., "Multi-probe LSH", 2007; Jégou, Douze, Schmid, "Hamming embedding and weak geometric consistency", 2008.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import IndexFailed, InputError, first_line
from simsearch.runtime.files import published
from simsearch.runtime.threads import pool, thread_count
from simsearch.spatial.second_look import unpacked
from simsearch.spatial.witness import POINT, Witness

TABLES = 8
_LEAST_BITS, _MOST_BITS = 8, 24  # of a key
_MORE_BITS = -1  # than the logarithm of the number of codes
_MOST_CODES = 1 << 32
_MOST_POINTS = (1 << 16) - 1  # of a query
_SHARE = 16  # points of a query that a thread looks up at a time
_ROOM = 1 << 14  # hits of one pass
_SEED, _BITS = 20261130, 128  # of a descriptor
_FILES = ("keys", "starts", "codes", "items")

Blocks = Sequence[NDArray[np.void]]


class Tables(NamedTuple):
    """Tables as the passes take them.

    Attributes:
        samples: Which bits of a descriptor are a table's key (t, b).
        starts: Where the codes of each key begin (t, 2^b + 1).
        order: The numbers of codes, item x room + place, by key (t, codes).
    """

    samples: NDArray[np.uint8]
    starts: NDArray[np.uint32]
    order: NDArray[np.uint32]


class CodeTables:
    """Tables of the codes of many items: 4 bytes a code and table, and 4 a key of each."""

    def __init__(self, blocks: Blocks, tables: Tables) -> None:
        """Take what `build` made or `open` read."""
        self._blocks, self._tables = blocks, tables  # the passes know blocks by their addresses: they must live on
        addresses = np.array([block.ctypes.data for block in blocks], np.uint64)
        firsts = np.cumsum([0, *(block.size for block in blocks)])
        self._layout = addresses, firsts, _room(blocks)

    @property
    def items(self) -> int:
        """How many items there are, those without points among them."""
        return sum(map(len, self._blocks))

    @property
    def nbytes(self) -> int:
        """Bytes of the tables, the points not counted."""
        return sum(table.nbytes for table in self._tables)

    @classmethod
    def build(cls, blocks: Blocks, *, tables: int = TABLES, threads: int | None = None) -> Self:
        """Return the tables of the points of items, which are numbered from block to block.

        Args:
            blocks: (n, room) of `POINT` each, padded with points of size 0; kept, not copied.
            tables: How many.
            threads: By default one a core.

        Raises:
            InputError: A block is no such array, they differ in room, there is room for 2^32 points or more, or there
                are fewer than one table or thread.
        """
        from simsearch.spatial.code_tables_kernels import count_keys, sort_codes

        _check(blocks)
        codes = sum(int(np.count_nonzero(block["size"])) for block in blocks)
        bits = min(max(round(math.log2(max(codes, 1))) + _MORE_BITS, _LEAST_BITS), _MOST_BITS)
        samples = _samples(tables, bits)
        starts, order = np.zeros((tables, (1 << bits) + 1), np.uint32), np.empty((tables, codes), np.uint32)
        firsts = itertools.accumulate((block.size for block in blocks), initial=0)
        parts = list(zip(map(_bytes, blocks), firsts, strict=False))

        def fill(table: int) -> None:
            for points, _ in parts:
                count_keys(points, samples[table], starts[table])
            np.cumsum(starts[table], out=starts[table])
            places = starts[table, :-1].copy()
            for points, first in parts:
                sort_codes(points, samples[table], first, places, order[table])

        deque(pool(thread_count(threads)).map(fill, range(tables)), maxlen=0)
        return cls(blocks, Tables(samples, starts, order))

    def candidates(
        self,
        views: Mapping[str, Witness],
        k: int = 100,
        *,
        live: NDArray[np.bool_] | None = None,
        threads: int | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the items with most votes in any view, best first, and their votes; of equals the lower item first.

        Args:
            views: The query's points by the name of the view, as `query_witnesses` gives them.
            k: Most items that are wanted.
            live: Which items (n,) may be found; by default all.
            threads: By default one a core.

        Raises:
            InputError: k or threads is below 1, `live` has another shape, or the query has 65,536 points or more.
        """
        from simsearch.spatial.code_tables_kernels import vote

        count = thread_count(threads)
        if k < 1:
            raise InputError(f"k is {k} and must be at least 1")
        if live is not None and live.shape != (self.items,):
            raise InputError(f"live has shape {live.shape} and must be one-dimensional, of {self.items} items")
        points = np.concatenate([np.zeros(0, POINT), *views.values()])
        if len(points) > _MOST_POINTS:
            raise InputError(f"the query has {len(points)} points in all views; {_MOST_POINTS} are the most")
        some = np.zeros(0, np.bool_) if live is None else live
        starts = range(0, len(points), _SHARE)
        parts = pool(count).map(lambda first: self._hits(points, first, some), starts)
        hits = _distinct(np.concatenate([np.zeros(0, np.uint64), *parts]))
        view_numbers = np.repeat(np.arange(len(views)), [len(view) for view in views.values()])
        items, votes = np.empty(len(hits), np.int64), np.empty(len(hits))
        found = vote(hits, self._layout, (unpacked(points), view_numbers), items, votes)
        best = np.argsort(-votes[:found], kind="stable")[:k]
        return items[best], votes[best]

    def _hits(self, points: Witness, first: int, live: NDArray[np.bool_]) -> NDArray[np.uint64]:
        """Return the codes near some of a query's points, from the first of them on; see `probe`."""
        from simsearch.spatial.code_tables_kernels import probe

        packed = _bytes(points[: first + _SHARE])
        parts, room = list[NDArray[np.uint64]](), _ROOM
        while first < len(packed):
            hits = np.empty(room, np.uint64)
            stop, length = probe(self._tables, self._layout, live, (packed, first), hits)
            parts.append(hits[:length])
            room = room if stop > first else 2 * room  # one point has more hits than that
            first = stop
        return np.concatenate(parts)

    def save(self, folder: Path) -> None:
        """Write the tables, without the points, into a folder, which is created."""
        folder.mkdir(parents=True, exist_ok=True)
        files: list[NDArray[Any]] = [*self._tables, np.array([self.items, _room(self._blocks)])]
        for name, values in zip(_FILES, files, strict=True):
            with published(folder / f"{name}.npy") as path, path.open("wb") as file:
                np.save(file, values)

    @classmethod
    def open(cls, folder: Path, blocks: Blocks) -> Self:
        """Return saved tables, memory-mapped.

        Args:
            folder: Where they were saved.
            blocks: The points that they were built from.

        Raises:
            InputError: A block is no array of points, or they differ in room.
            IndexFailed: A file is missing or damaged, or the tables are those of other blocks.
        """
        _check(blocks)
        samples, starts, order, shape = (_read(folder / f"{name}.npy") for name in _FILES)
        if shape.dtype != np.int64 or shape.tolist() != [sum(map(len, blocks)), _room(blocks)]:
            raise IndexFailed(f"{folder}: tables of other items, {shape.tolist()[:2]}; build them again")
        tables, bits = samples.shape if samples.ndim == 2 else (0, 0)
        kinds = [values.dtype for values in (samples, starts, order)] == [np.uint8, np.uint32, np.uint32]
        shapes = bits <= _MOST_BITS and starts.shape == (tables, (1 << bits) + 1) and order.ndim == 2
        if not (
            kinds
            and shapes
            and samples.max(initial=0) < _BITS
            and len(order) == tables > 0
            and (starts[:, -1] == order.shape[1]).all()
        ):
            raise IndexFailed(f"{folder}: the tables do not fit each other; build them again")
        return cls(blocks, Tables(samples, starts, order))


def _samples(tables: int, bits: int) -> NDArray[np.uint8]:
    """Return the bits of each table's keys (t, b): different ones for as many tables as there are bits for."""
    if tables < 1:
        raise InputError(f"tables is {tables} and must be at least 1")
    rng, each = np.random.default_rng(_SEED), _BITS // bits
    rounds = [rng.permutation(_BITS)[: each * bits].reshape(each, bits) for _ in range(-(-tables // each))]
    return np.concatenate(rounds)[:tables].astype(np.uint8)


def _distinct(hits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return each hit once, rising; `np.unique` takes much longer."""
    hits.sort()
    new = np.ones(len(hits), np.bool_)
    new[1:] = hits[1:] != hits[:-1]
    return hits[new]


def _check(blocks: Blocks) -> None:
    for block in blocks:
        if block.dtype != POINT or block.ndim != 2 or not block.flags.c_contiguous or not block.shape[1]:
            raise InputError(f"a block is {block.dtype} of shape {block.shape}; it must be points (n, room) in order")
        if block.shape[1] != _room(blocks):
            raise InputError(f"items have room for {block.shape[1]} points here and for {_room(blocks)} there")
    if sum(block.size for block in blocks) >= _MOST_CODES:
        raise InputError(f"{sum(block.size for block in blocks)} points are too many; below {_MOST_CODES} fit")


def _room(blocks: Blocks) -> int:
    return blocks[0].shape[1] if blocks else 1


def _bytes(points: NDArray[np.void]) -> NDArray[np.uint8]:
    return points.view(np.uint8).reshape(-1, POINT.itemsize)


def _read(path: Path) -> NDArray[Any]:
    try:  # copy on write: to numba, what can be written is of one type and what cannot of another
        return np.asarray(np.load(path, mmap_mode="c"))
    except (OSError, ValueError, EOFError) as error:
        raise IndexFailed(f"{path} cannot be read: {first_line(error)}; build the tables again") from error
