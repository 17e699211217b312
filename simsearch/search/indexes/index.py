"""An index over the rows of blocks: candidates for a query, to be measured exactly afterwards.

Rows become features, whose squared Euclidean distance is that of the metric or a bound of it: for js the roots of
distributions (the Hellinger map), for cosine rows of length 1, for l2 the rows as they are. An index knows rows by
their position in the concatenation of the blocks that it was built over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from simsearch.distance import Rows, check_rows
from simsearch.errors import IndexFailed, InputError, RowError
from simsearch.search.indexes.engine import read_engine, trained_engine
from simsearch.search.indexes.faiss_float import POINTS_A_LIST, Features, Positions
from simsearch.search.indexes.faiss_process import FaissChild
from simsearch.search.indexes.gpu_limits import Gpus, gpus_of, refused
from simsearch.search.indexes.spec import IndexSpec, checked
from simsearch.search.packing import padded

STEP = 1 << 15
"""Rows that are mapped and added at once."""
LEAST_SAMPLE = 1 << 14
"""Rows that an index with lists is trained on at least."""
_HELD_OUT = 2000

Where = Literal["auto", "process", "child"]
Progress = Callable[[int, int], None]


class Engine(Protocol):
    """The holder of the features: FAISS in this process, or in a child."""

    spec: IndexSpec

    @property
    def count(self) -> int:
        """Rows in it."""

    @property
    def max_candidates(self) -> int:
        """Candidates of a query that it can name."""

    def add(self, features: Features) -> None:
        """Add rows behind the others."""

    def search(self, features: Features, kept: int, effort: int) -> Positions:
        """Return positions of the nearest (q, kept), padded with -1."""

    def efforts(self) -> tuple[int, ...]:
        """Return the values of its search parameter, ascending."""

    def write(self, path: Path) -> None:
        """Write it to a file."""

    def close(self) -> None:
        """Free it."""


@dataclass(frozen=True, slots=True)
class Index:
    """An index over rows.

    Attributes:
        spec: What it is.
        engine: What holds the features.
        on: Where it is searched: "cpu", or "cuda" for FAISS's GPUs.
    """

    spec: IndexSpec
    engine: Engine
    on: str = "cpu"

    @property
    def count(self) -> int:
        """Rows that it was built over, removed ones included."""
        return self.engine.count

    @property
    def max_candidates(self) -> int:
        """Candidates of a query that it can name: all its rows on the CPU, 2,048 on a GPU."""
        return self.engine.max_candidates

    def candidates(self, rows: Rows, kept: int, effort: int) -> Positions:
        """Return positions (q, kept) of candidates, nearest first by the index's own estimate, padded with -1.

        Args:
            rows: Queries (q, d), as they would be compared.
            kept: How many for each.
            effort: One of `efforts`; more visits more rows.

        Raises:
            RowError: A query is not finite, all zeros, or of another dimension.
            IndexFailed: The index cannot be searched.
        """
        return self.engine.search(features(self.spec, rows), kept, effort)

    def efforts(self) -> tuple[int, ...]:
        """Return the values of its search parameter, ascending: lists probed, or nodes kept open."""
        return self.engine.efforts()

    def write(self, path: Path) -> None:
        """Write it to a file, which `read` reads.

        Raises:
            IndexFailed: The file cannot be written.
        """
        self.engine.write(path)

    def close(self) -> None:
        """Free it; it must not be searched after."""
        self.engine.close()


def build(
    spec: IndexSpec,
    blocks: Sequence[Rows],
    *,
    device: str | Gpus | None = "auto",
    where: Where = "auto",
    progress: Progress = lambda _done, _of: None,
) -> Index:
    """Train an index on a sample of rows and add all of them, piece by piece in bounded memory.

    The sample has none of the rows that `held_out` names.

    Args:
        spec: What to build.
        blocks: Arrays (n_i, d), often memory-mapped; removed rows keep their place.
        device: "cpu" (or None), or where FAISS's GPUs are used for what they serve: "cuda" and "auto" for all
            of them, "cuda:1" for one, or `Gpus`.
        where: FAISS in this process, or in a child, which torch's CUDA libraries cannot disturb; by default in a
            child where a GPU is used.
        progress: Called with rows added, and rows.

    Raises:
        InputError: There are no rows, the blocks are of another dimension, or there is no such device.
        IndexFailed: FAISS cannot build it.
    """
    count = _counted(spec, blocks)
    gpus = _serving(spec, device, count)
    engine = _trained(spec, blocks, count, gpus, where)
    try:
        for done, rows in pieces(blocks):
            engine.add(features(spec, rows))
            progress(done, count)
    except BaseException:
        engine.close()
        raise
    return Index(spec, engine, "cpu" if gpus is None else "cuda")


def trained_on(spec: IndexSpec, blocks: Sequence[Rows], *, device: str | Gpus | None = "auto") -> Index:
    """Train an index on a sample of rows and return it without any, as `build` would before it adds rows.

    Raises:
        InputError: There are no rows, the blocks are of another dimension, or there is no such device.
        IndexFailed: FAISS cannot train it.
    """
    count = _counted(spec, blocks)
    gpus = _serving(spec, device, 0)
    return Index(spec, _trained(spec, blocks, count, gpus, "auto"), "cpu" if gpus is None else "cuda")


def held_out(count: int, seed: int) -> Positions:
    """Return positions, unordered, of rows held out of every index's training, by which it can be measured."""
    return np.random.default_rng([seed, 1]).choice(count, min(_HELD_OUT, max(count // 4, 2), count - 1), replace=False)


def read(
    path: Path,
    spec: IndexSpec,
    *,
    device: str | Gpus | None = "cpu",
    mapped: bool = False,
    where: Where = "auto",
) -> Index:
    """Read what `Index.write` wrote.

    Args:
        path: The file.
        spec: What it is.
        device: As for `build`.
        mapped: Leave lists in the file, and read those that a search probes; not for GPUs, which hold all.
        where: As for `build`.

    Raises:
        IndexFailed: The file is missing, damaged, or another index.
    """
    checked(spec)
    if not path.is_file():
        raise IndexFailed(f"{path} is missing; build the index again")
    gpus = _serving(spec, device, 0)
    if _apart(where, gpus):
        return Index(spec, FaissChild.read(path, spec, gpus, mapped=mapped), "cpu" if gpus is None else "cuda")
    return Index(spec, read_engine(path, spec, gpus, mapped), "cpu" if gpus is None else "cuda")


def features(spec: IndexSpec, rows: Rows) -> Any:
    """Return the features of rows (n, d), near where the metric is small: float32, or padded codes, uint8.

    Raises:
        RowError: A row is not finite, is all zeros, or is of another dimension.
        MetricError: The metric is js and a row has a negative value.
    """
    from simsearch.search.metrics import SEARCH_METRICS

    check_rows(rows, dimension=spec.dimension, metric=spec.metric, what="row")
    of = SEARCH_METRICS[spec.metric].features
    if of is None:
        return padded(rows, spec.code_width)
    return _single(of(np.asarray(rows, np.float64 if _wide(rows) else np.float32)))


def _single(values: NDArray[Any]) -> Features:
    with np.errstate(over="ignore"):
        found = np.asarray(values, np.float32)
    if not np.isfinite(found).all():
        raise RowError("a row is beyond the range of float32, which an index works in; search it exactly")
    return found


def _wide(rows: Rows) -> bool:
    return rows.dtype.kind == "f" and rows.dtype.itemsize > 4


def _serving(spec: IndexSpec, device: str | Gpus | None, rows: int) -> Gpus | None:
    """Return the GPUs that such an index goes to; None where it stays on the CPU, as kinds that GPUs lack do."""
    gpus = gpus_of(device) if isinstance(device, str) else device
    return None if gpus is None or refused(spec, gpus, rows) else gpus


def _counted(spec: IndexSpec, blocks: Sequence[Rows]) -> int:
    """Return the number of rows, which are of the index's dimension."""
    checked(spec)
    count = sum(len(block) for block in blocks)
    if not count:
        raise InputError("there are no rows to build an index over")
    for block in blocks:
        check_rows(block[:0], dimension=spec.dimension, metric=spec.metric, what="row")
    return count


def _trained(spec: IndexSpec, blocks: Sequence[Rows], count: int, gpus: Gpus | None, where: Where) -> Engine:
    """Return an index without rows, trained on a sample of them."""
    sample = _sample(spec, blocks, count)
    if _apart(where, gpus):
        return FaissChild.train(spec, sample, gpus, count)
    return trained_engine(spec, sample, gpus, count)


def _apart(where: Where, gpus: Gpus | None) -> bool:
    """Return whether FAISS gets a process of its own: torch wants CUDA 13, FAISS 12, not proved to work in one."""
    return where == "child" or (where == "auto" and gpus is not None)


def _sample(spec: IndexSpec, blocks: Sequence[Rows], count: int) -> Any:
    """Return features of rows drawn from all blocks but those held out, enough for the lists, in their order.

    They are read few at once, so that the features alone take memory.
    """
    held = held_out(count, spec.seed)
    wanted = max(POINTS_A_LIST * spec.lists, LEAST_SAMPLE) if spec.lists else 1
    drawn = np.random.default_rng(spec.seed).choice(count, min(count, wanted + len(held)), replace=False)
    chosen = np.sort(drawn[~np.isin(drawn, held)][:wanted])
    found, at, start = features(spec, blocks[0][:0]), 0, 0
    sample = np.empty((len(chosen), found.shape[1]), found.dtype)
    for block in blocks:
        own = chosen[(chosen >= start) & (chosen < start + len(block))] - start
        for first in range(0, len(own), STEP):
            some = own[first : first + STEP]
            sample[at : at + len(some)] = features(spec, np.asarray(block[some]))
            at += len(some)
        start += len(block)
    return sample


def pieces(blocks: Sequence[Rows]) -> Iterator[tuple[int, Rows]]:
    """Yield the rows of blocks, few at once, each with the number of rows up to its end."""
    done = 0
    for block in blocks:
        for start in range(0, len(block), STEP):
            piece = block[start : start + STEP]
            done += len(piece)
            yield done, piece
