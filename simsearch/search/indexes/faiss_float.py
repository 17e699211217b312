"""FAISS on the CPU: numpy in and out, squared Euclidean distances, positions.

FAISS is imported when an index is first made or read. Its conventions (metrics, parameters of a search, transforms
before an index) end here, those of its GPU classes in `faiss_gpu`.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import DependencyMissing, IndexFailed, SimsearchError
from simsearch.search.indexes.spec import IndexSpec

if TYPE_CHECKING:
    from types import ModuleType

Features = NDArray[Any]
Positions = NDArray[np.int64]

POINTS_A_LIST = 48
"""Rows of the training sample for each list; FAISS warns below 39."""
_OPQ_ROUNDS, _PQ_ROUNDS, _OPQ_POINTS = 8, 4, 1 << 14  # FAISS's own 50, 4 and 65,536 take minutes for little
_BUILD_EFFORT = 80  # of the graph
_QUERY_BITS = 8  # of a query's coordinate against RaBitQ codes


class FaissIndex:
    """One index of FAISS over features of a fixed length, on the CPU.

    Attributes:
        spec: What it is.
    """

    def __init__(self, spec: IndexSpec, index: Any) -> None:
        self.spec = spec
        self._index = index

    @classmethod
    def train(cls, spec: IndexSpec, sample: Features) -> FaissIndex:
        """Train an empty index on a sample of features, float32 (m, d).

        Raises:
            IndexFailed: FAISS cannot make it from this sample.
        """
        return cls(spec, trained(spec, sample))

    @classmethod
    def read(cls, path: Path, spec: IndexSpec, *, mapped: bool = False) -> FaissIndex:
        """Read an index from its file.

        Args:
            path: What `write` wrote.
            spec: What it is.
            mapped: Leave lists in the file, and read those that a search probes.

        Raises:
            IndexFailed: The file is missing, damaged, or another index.
        """
        return cls(spec, read_whole(path, spec, mapped=mapped))

    @property
    def count(self) -> int:
        """Rows that were added."""
        with faiss_errors("the index was closed"):
            return int(self._index.ntotal)

    @property
    def max_candidates(self) -> int:
        """Candidates of a query that it can name."""
        return self.count

    def add(self, features: Features) -> None:
        """Add rows (n, d) behind those that are there."""
        with faiss_errors(f"{len(features)} rows cannot be added"):
            self._index.add(np.ascontiguousarray(features, np.float32))

    def search(self, features: Features, kept: int, effort: int) -> Positions:
        """Return positions (q, kept) of the nearest by the index's own distances, nearest first, padded with -1.

        Args:
            features: Float32 (q, d).
            kept: How many for each.
            effort: One of `efforts`: lists probed, or nodes of the graph kept open.
        """
        with faiss_errors("the index cannot be searched"):
            wanted = np.ascontiguousarray(features, np.float32)
            found = self._index.search(wanted, kept, params=_parameters(self.spec, effort, kept))[1]
            return np.asarray(found, np.int64)

    def efforts(self) -> tuple[int, ...]:
        """Return the ladder of efforts: powers of two up to all lists, or up to a sixteenth of the rows for a graph."""
        return efforts_of(self.spec)

    def write(self, path: Path) -> None:
        """Write the index to a file."""
        with faiss_errors(f"the index cannot be written to {path}"), named(path) as name:
            faiss().write_index(self._index, name)

    def close(self) -> None:
        """Free the index."""
        self._index = None


def trained(spec: IndexSpec, sample: Features, clustering: Any = None) -> Any:
    """Train FAISS's index, empty, on a sample of features, float32 (m, d).

    Args:
        spec: What to make.
        sample: Float32 (m, d).
        clustering: An index that assigns rows to centroids while lists are trained, maybe on a GPU.

    Raises:
        IndexFailed: FAISS cannot make it from this sample.
    """
    with faiss_errors(f"an index of kind {spec.kind} cannot be trained on {len(sample)} rows"):
        index = _made(spec)
        ivf = faiss().try_extract_index_ivf(index)
        if ivf is not None:
            ivf.cp.seed = spec.seed + 1
            ivf.cp.min_points_per_centroid = 1
        with lent(ivf, clustering):
            index.train(np.ascontiguousarray(sample, np.float32))
        return index


@contextmanager
def lent(ivf: Any, clustering: Any) -> Iterator[None]:
    """Lend an index to train the lists of another and keep it: SWIG gives it away, and nobody would free it."""
    if clustering is None:
        yield
        return
    ivf.clustering_index = clustering
    try:
        yield
    finally:
        ivf.clustering_index = None
        clustering.this.own(True)


def read_whole(path: Path, spec: IndexSpec, *, mapped: bool = False) -> Any:
    """Read FAISS's index from its file; `mapped` leaves lists there.

    Raises:
        IndexFailed: The file is missing, damaged, or another index.
    """
    lists = mapped and spec.lists > 0
    with faiss_errors(f"{path} cannot be read as an index of kind {spec.kind}"), named(path) as name:
        index = faiss().read_index(name, faiss().IO_FLAG_MMAP | faiss().IO_FLAG_READ_ONLY if lists else 0)
    if index.d != spec.dimension:
        raise IndexFailed(f"{path} holds rows of {index.d} dimensions, not {spec.dimension}; build it again")
    return index


def efforts_of(spec: IndexSpec) -> tuple[int, ...]:
    """Return the values of an index's search parameter on the CPU, ascending."""
    if spec.lists:
        return (*(2**i for i in range(int(math.log2(spec.lists)))), spec.lists)
    return tuple(16 * 2**i for i in range(8)) if spec.kind == "hnsw" else (1,)


def faiss() -> ModuleType:
    """Return FAISS's module.

    Raises:
        DependencyMissing: It is not installed.
    """
    try:
        import faiss as module
    except ImportError as error:
        raise DependencyMissing(f'indexes need FAISS ({error}): pip install "faiss-gpu>=1.15.1"') from error
    loaded: ModuleType = module
    return loaded


def _made(spec: IndexSpec) -> Any:
    """Return the untrained index."""
    module, d = faiss(), spec.dimension
    if spec.kind == "flat":
        return module.IndexFlatL2(d)
    if spec.kind == "hnsw":
        graph = module.IndexHNSWFlat(d, spec.links)
        graph.hnsw.efConstruction = _BUILD_EFFORT
        return graph
    if spec.kind in ("ivf_flat", "ivf_sq8"):
        return module.index_factory(d, f"IVF{spec.lists},{'Flat' if spec.kind == 'ivf_flat' else 'SQ8'}")
    if spec.kind == "ivf_pq":
        index = module.index_factory(d, f"OPQ{spec.code_bytes}_{spec.reduced},IVF{spec.lists},PQ{spec.code_bytes}")
        rotation = module.downcast_VectorTransform(index.chain.at(0))
        rotation.niter, rotation.niter_pq, rotation.niter_pq_0 = _OPQ_ROUNDS, _PQ_ROUNDS, 2 * _PQ_ROUNDS
        rotation.max_train_points = _OPQ_POINTS
        coded = module.downcast_index(module.extract_index_ivf(index))
        coded.do_polysemous_training = False  # half a minute for an order of codes that nothing here uses
        coded.pq.cp.min_points_per_centroid = 1
        return index
    turned = f"RR{spec.reduced}" if spec.reduced == d else f"PCAR{spec.reduced}"
    return module.index_factory(d, f"{turned},IVF{spec.lists},RaBitQ{spec.bits if spec.bits > 1 else ''}")


def _parameters(spec: IndexSpec, effort: int, kept: int) -> Any:
    """Return the parameters of one search, so that searches of different efforts can run at the same time."""
    module = faiss()
    if spec.kind == "flat":
        return None
    if spec.kind == "hnsw":
        return module.SearchParametersHNSW(efSearch=max(effort, kept))
    if spec.kind in ("ivf_flat", "ivf_sq8"):
        return module.SearchParametersIVF(nprobe=effort)
    if spec.kind == "ivf_pq":
        inner = module.IVFPQSearchParameters(nprobe=effort)
    else:
        inner = module.IVFRaBitQSearchParameters()
        inner.nprobe, inner.qb = effort, _QUERY_BITS
    return module.SearchParametersPreTransform(index_params=inner)


@contextmanager
def named(path: Path) -> Iterator[str]:
    """Yield a name of the file in UTF-8, as FAISS demands; any other goes by a descriptor."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield f"/proc/self/fd/{folder}/{path.name}"
        finally:
            os.close(folder)
    else:
        yield str(path)


@contextmanager
def faiss_errors(what: str) -> Iterator[None]:
    """Turn FAISS's exceptions into `IndexFailed`."""
    try:
        yield
    except (RuntimeError, AssertionError, AttributeError, MemoryError, TypeError, ValueError) as error:
        if isinstance(error, SimsearchError):
            raise
        said = re.sub(
            r"Error in .*? at \S+:[0-9]+: (Error: )?", "", " ".join(str(error).split())
        )  # a place in its source
        raise IndexFailed(f"{what}: {said[-300:] or type(error).__name__}") from error
