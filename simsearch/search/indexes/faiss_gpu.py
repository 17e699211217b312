"""FAISS's indexes on GPUs, with the interface of `FaissIndex`: what its GPU classes need ends here.

Each GPU holds the whole index, and answers its share of the queries, where it has room; else a part of the rows. FAISS
throws on a setting that its kernels lack, and ends the process when CUDA fails: hence `FaissChild`.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from simsearch.errors import IndexFailed
from simsearch.search.indexes.faiss_float import (
    Features,
    Positions,
    efforts_of,
    faiss,
    faiss_errors,
    named,
    read_whole,
    trained,
)
from simsearch.search.indexes.gpu_limits import MOST, Gpus
from simsearch.search.indexes.spec import IndexSpec

_SCRATCH = 512 << 20  # bytes of each GPU for intermediate results; FAISS itself would take 1.5 GiB
_TABLES = 48 << 10  # bytes of shared memory of a block, for the distances of a code's bytes to their 256 values


class FaissGpu:
    """One index of FAISS on one or more GPUs; calls from several threads are serialised.

    Attributes:
        spec: What it is.
    """

    def __init__(self, spec: IndexSpec, index: Any, gpus: Gpus, resources: tuple[Any, ...], rows: int) -> None:
        self.spec = spec
        self._index = index
        self._gpus = gpus
        self._resources = resources
        self._rows = rows
        self._moved = False
        self._lock = threading.Lock()  # nprobe is a property of the index, not of a search
        if spec.kind != "flat" or index.ntotal:
            self._move()

    @classmethod
    def train(cls, spec: IndexSpec, sample: Features, gpus: Gpus, rows: int) -> FaissGpu:
        """Train an empty index on a sample of features.

        Args:
            spec: What to make.
            sample: Float32 (m, d).
            gpus: Where to train and hold it.
            rows: How many will be added.

        Raises:
            IndexFailed: FAISS cannot make it from this sample.
        """
        resources = _resources(gpus)
        clustering = None
        if spec.lists:
            with faiss_errors(f"GPU {gpus.numbers[0]} cannot be used for training"):
                clustering = faiss().GpuIndexFlatL2(resources[0], spec.reduced or spec.dimension, _first(gpus))
        return cls(spec, trained(spec, sample, clustering), gpus, resources, rows)

    @classmethod
    def read(cls, path: Path, spec: IndexSpec, gpus: Gpus) -> FaissGpu:
        """Read an index from its file, which is read whole.

        Raises:
            IndexFailed: The file is missing, damaged, or another index; or the GPUs cannot hold it.
        """
        index = read_whole(path, spec)
        return cls(spec, index, gpus, _resources(gpus), index.ntotal)

    @property
    def count(self) -> int:
        """As `FaissIndex.count`."""
        with faiss_errors("the index was closed"):
            return int(self._index.ntotal)

    @property
    def max_candidates(self) -> int:
        """As `FaissIndex.max_candidates`."""
        return min(self.count, MOST)

    def add(self, features: Features) -> None:
        """See `FaissIndex.add`; rows of a flat index gather on the CPU, since shards take them in one piece only."""
        with faiss_errors(f"{len(features)} rows cannot be added"), self._lock:
            self._index.add(np.ascontiguousarray(features, np.float32))

    def search(self, features: Features, kept: int, effort: int) -> Positions:
        """See `FaissIndex.search`; -1 also behind the first 2,048."""
        with faiss_errors("the index cannot be searched on the GPU"), self._lock:
            if self._index is None:
                raise IndexFailed("the index was closed; open the library again")
            if not self._moved:
                self._move()
            if self.spec.lists:  # reaches into transforms, shards and replicas, which take no parameters with a search
                faiss().GpuParameterSpace().set_index_parameter(self._index, "nprobe", min(effort, MOST))
            out = np.full((len(features), kept), -1, np.int64)
            width = min(kept, MOST)
            out[:, :width] = self._index.search(np.ascontiguousarray(features, np.float32), width)[1]
            return out

    def efforts(self) -> tuple[int, ...]:
        """See `FaissIndex.efforts`, as far as GPUs go."""
        return tuple(effort for effort in efforts_of(self.spec) if effort <= MOST)

    def write(self, path: Path) -> None:
        """See `FaissIndex.write`."""
        with faiss_errors(f"the index cannot be written to {path}"), named(path) as name, self._lock:
            faiss().write_index(faiss().index_gpu_to_cpu(self._index) if self._moved else self._index, name)

    def close(self) -> None:
        """Free the GPUs' memory, once a search that is under way has ended."""
        with self._lock:
            self._index = None
            self._resources = ()

    def _move(self) -> None:
        options = faiss().GpuMultipleClonerOptions()
        options.shard = self._rows * self.spec.row_bytes > self._gpus.room
        options.common_ivf_quantizer = True
        options.reserveVecs = self._rows
        options.useFloat16 = 4 * 256 * self.spec.code_bytes > _TABLES
        with faiss_errors(f"the index cannot be moved to GPU {', '.join(map(str, self._gpus.numbers))}"):
            resources, numbers = list(self._resources), list(self._gpus.numbers)
            self._index = faiss().index_cpu_to_gpu_multiple_py(resources, self._index, options, numbers)
            self._moved = True


def _resources(gpus: Gpus) -> tuple[Any, ...]:
    """Return streams, handles and scratch memory, one of each GPU, for all that is done there.

    Raises:
        IndexFailed: FAISS does not see the GPUs.
    """
    seen = faiss().get_num_gpus()
    if seen <= max(gpus.numbers):
        raise IndexFailed(
            f"FAISS sees {seen} GPUs and not number {max(gpus.numbers)}; it wants faiss-gpu and a driver for CUDA 12"
        )
    resources = tuple(faiss().StandardGpuResources() for _ in gpus.numbers)
    for one in resources:
        one.setTempMemory(_SCRATCH)
    return resources


def _first(gpus: Gpus) -> Any:
    config = faiss().GpuIndexFlatConfig()
    config.device = gpus.numbers[0]
    return config
