"""FAISS's GPU classes where there is no GPU: they compute by its CPU indexes, write down what is asked of them, and
throw where the real ones would.

Each limit names the file of FAISS's sources below faiss/gpu that holds it; its message is in the library of the wheel
too, faiss-gpu 1.15.1. `Machine.install` puts the classes in the places of FAISS's own in this process, and `AnyGpus`
does so in a child that it is sent to.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import WeakSet

import faiss
import numpy as np

from simsearch.search.indexes.gpu_limits import Gpus

MOST = 2048  # utils/DeviceDefs.cuh: GPU_MAX_SELECTION_K
CODE_BYTES = {1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 96}  # impl/IVFPQ.cu: isSupportedPQCodeLength
SHARED = 49152  # utils/DeviceUtils.cu: getMaxSharedMemPerBlock, of every GPU that CUDA 12 serves
REAL = {
    name: getattr(faiss, name)
    for name in (
        *("get_num_gpus", "StandardGpuResources", "GpuIndexFlatL2", "GpuParameterSpace"),
        *("index_cpu_to_gpu_multiple_py", "index_gpu_to_cpu"),
    )
}


class Setter(Protocol):
    """`pytest.MonkeyPatch.setattr`, or `setattr`."""

    def __call__(self, target: object, name: str, value: object, /) -> None: ...


@dataclass(eq=False)
class Machine:
    """A machine with GPUs.

    Attributes:
        gpus: How many.
        memory: Bytes of each.
        calls: What was asked of them.
        alive: Resources and indexes that were not freed.
        breaks: What a search throws.
    """

    gpus: int = 1
    memory: int = 1 << 30
    calls: list[str] = field(default_factory=list)
    alive: WeakSet[Any] = field(default_factory=WeakSet)
    breaks: str | None = None

    def install(self, setter: Setter) -> None:
        """Put the classes in the places of FAISS's own."""
        setter(faiss, "get_num_gpus", lambda: self.gpus)
        setter(faiss, "StandardGpuResources", lambda: StandardGpuResources(self))
        setter(faiss, "GpuIndexFlatL2", lambda *arguments: GpuIndexFlatL2(self, *arguments))
        setter(faiss, "GpuParameterSpace", GpuParameterSpace)
        setter(faiss, "index_cpu_to_gpu_multiple_py", self._cpu_to_gpu)
        setter(faiss, "index_gpu_to_cpu", lambda index: index.cpu())

    def names(self) -> list[str]:
        """What was asked, without numbers."""
        return [call.split()[0] for call in self.calls]

    def taken(self, gpu: int) -> int:
        """Bytes in use on one of them."""
        return sum(one.bytes for one in self.alive if isinstance(one, GpuIndex) and one.gpu == gpu)

    def held(self) -> list[str]:
        """What is alive."""
        gc.collect()
        return sorted(type(one).__name__ for one in self.alive)

    def _cpu_to_gpu(self, resources: Any, index: Any, co: Any = None, gpus: Any = None) -> Any:
        """GpuCloner.cpp: a transform stays on the CPU; one GPU, shards by position modulo, or replicas."""
        numbers = range(len(resources)) if gpus is None else gpus
        if len(numbers) > 1:
            layout = "shards" if co.shard else "replicas"
            self.calls.append(f"{layout} {len(numbers)}")
        if isinstance(index, faiss.IndexPreTransform):
            inner = self._cpu_to_gpu(resources, faiss.downcast_index(index.index), co, gpus)
            return IndexPreTransform(index, inner)
        if len(numbers) == 1:
            return self._one(resources[0], numbers[0], index, co)
        count = len(numbers)
        parts = [_part(index, count, i) for i in range(count)] if co.shard else [index] * count
        made = [self._one(res, number, part, co) for res, number, part in zip(resources, numbers, parts, strict=True)]
        return IndexShards(made, index) if co.shard else IndexReplicas(made)

    def _one(self, resources: StandardGpuResources, gpu: int, index: Any, co: Any) -> GpuIndex:
        kinds = {
            faiss.IndexFlatL2: GpuIndexFlat,
            faiss.IndexFlat: GpuIndexFlat,
            faiss.IndexIVFFlat: GpuIndexIVFFlat,
            faiss.IndexIVFPQ: GpuIndexIVFPQ,
            faiss.IndexIVFScalarQuantizer: GpuIndexIVFScalarQuantizer,
        }
        if type(index) not in kinds:
            raise RuntimeError("This index type is not implemented on GPU.")  # GpuCloner.cpp: ToGpuCloner::clone_Index
        self.calls.append(f"move {index.ntotal} to {gpu}")
        if co.reserveVecs > 0 and index.ntotal == 0 and not isinstance(index, faiss.IndexFlat):
            self.calls.append(f"reserve {co.reserveVecs if not co.shard else -(-co.reserveVecs // self.gpus)}")
        return kinds[type(index)](resources, gpu, index, co)


class StandardGpuResources:
    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        machine.alive.add(self)

    def setTempMemory(self, size: int) -> None:  # noqa: N802
        self.machine.calls.append(f"scratch {size}")


class GpuIndexFlatL2(faiss.IndexFlatL2):  # type: ignore[misc]
    """For the training of lists, which happens in C++: hence an index of C++ itself."""

    def __init__(self, machine: Machine, resources: StandardGpuResources, d: int, config: Any) -> None:
        _require(config.device < machine.gpus, f"Invalid GPU device {config.device}")  # GpuIndex.cu: GpuIndex
        super().__init__(d)
        machine.calls.append(f"cluster {d} on {config.device}")
        machine.alive.add(self)


class GpuIndex:
    """GpuIndex.cu: what all have in common."""

    def __init__(self, resources: StandardGpuResources, gpu: int, index: Any, co: Any) -> None:
        machine = resources.machine
        _require(gpu < machine.gpus, f"Invalid GPU device {gpu}")
        self.inner, self.resources, self.machine, self.gpu = faiss.clone_index(index), resources, machine, gpu
        self.d, self.is_trained = index.d, index.is_trained
        self.check(co)
        self._require_memory(self.bytes)
        machine.alive.add(self)

    def check(self, co: Any) -> None:
        """Throw on what its kind lacks."""

    @property
    def ntotal(self) -> int:
        return int(self.inner.ntotal)

    @property
    def bytes(self) -> int:
        return int(self.inner.ntotal) * int(self.inner.sa_code_size() + 8)

    def add(self, x: Any) -> None:
        self.add_with_ids(x, np.arange(self.ntotal, self.ntotal + len(x)))

    def add_with_ids(self, x: Any, ids: Any) -> None:
        self.machine.calls.append(f"add {len(x)} to {self.gpu}")
        _require_single(x)
        self._require_memory(len(x) * (int(self.inner.sa_code_size()) + 8))
        self.inner.add_with_ids(x, ids)

    def search(self, x: Any, k: int, params: Any = None) -> Any:
        self.machine.calls.append(f"search {len(x)} on {self.gpu}")
        if self.machine.breaks is not None:
            raise RuntimeError(self.machine.breaks)
        _require_single(x)
        # impl/IndexUtils.cu: validateKSelect
        _require(0 < k <= MOST, f"GPU index only supports min/max-K selection up to {MOST} (requested {k})")
        return self.inner.search(x, k, params=self.parameters(params))

    def parameters(self, params: Any) -> Any:
        return params

    def remove_ids(self, ids: Any) -> None:  # ../Index.cpp; no GPU class has its own
        raise RuntimeError("remove_ids not implemented for this type of index")

    def cpu(self) -> Any:
        self.machine.calls.append(f"back from {self.gpu}")
        return faiss.clone_index(self.inner)

    def _require_memory(self, more: int) -> None:
        if self.machine.taken(self.gpu) + more > self.machine.memory:  # StandardGpuResources.cpp: allocMemory
            raise RuntimeError(f"StandardGpuResources: alloc fail type IVFLists dev {self.gpu} size {more} bytes")


class GpuIndexFlat(GpuIndex):
    def add(self, x: Any) -> None:
        self.machine.calls.append(f"add {len(x)} to {self.gpu}")
        _require_single(x)
        self.inner.add(x)


class GpuIndexIVF(GpuIndex):
    nprobe = 1

    def parameters(self, params: Any) -> Any:
        """GpuIndexIVF.cu: getCurrentNProbe_."""
        if params is not None and type(params) is not faiss.SearchParametersIVF:
            raise RuntimeError("GPU IVF index: passed unhandled SearchParameters class to search function")
        nprobe = self.nprobe if params is None else params.nprobe
        # impl/IndexUtils.cu: validateNProbe
        _require(0 < nprobe <= MOST, f"GPU IVF index only supports nprobe selection up to {MOST} (requested {nprobe})")
        self.inner.nprobe = nprobe

    def reconstruct(self, key: int) -> None:  # ../Index.cpp
        raise RuntimeError("reconstruct not implemented for this type of index")

    def cpu(self) -> Any:
        self.inner.nprobe = 1
        return super().cpu()


class GpuIndexIVFFlat(GpuIndexIVF):
    pass


class GpuIndexIVFPQ(GpuIndexIVF):
    def check(self, co: Any) -> None:
        """GpuIndexIVFPQ.cu: copyFrom, verifyPQSettings_."""
        size, each = self.inner.pq.M, 2 if co is not None and co.useFloat16 else 4
        _require(self.inner.pq.nbits == 8, "GPU: only pq.nbits == 8 is supported")
        _require(self.inner.by_residual, "GPU: only by_residual = true is supported")
        _require(self.inner.polysemous_ht == 0, "GPU: polysemous codes not supported")
        _require(size in CODE_BYTES, f"Number of bytes per encoded vector / sub-quantizers ({size}) is not supported")
        _require(
            self.d % size == 0,
            f"Number of sub-quantizers ({size}) must be an even divisor of the number of dimensions ({self.d})",
        )
        _require(
            each * size * 256 <= SHARED,
            f"Device {self.gpu} has {SHARED} bytes of shared memory, while 8 bits per code and {size} sub-quantizers "
            f"requires {each * size * 256} bytes. Consider useFloat16LookupTables and/or reduce parameters",
        )


class GpuIndexIVFScalarQuantizer(GpuIndexIVF):
    def check(self, co: Any) -> None:
        """GpuIndexIVFScalarQuantizer.cu: verifySQSettings_."""
        _require(
            self.d < SHARED // 8,
            "GpuIndexIVFScalarQuantizer: Insufficient shared memory available on the GPU for QT_8bit or QT_4bit with "
            f"{self.d} dimensions; maximum dimensions possible is {SHARED // 8}",
        )


class IndexPreTransform:
    """../IndexPreTransform.cpp: the transform on the CPU, the index behind it on GPUs."""

    def __init__(self, index: Any, inner: Any) -> None:
        self.whole, self.index = faiss.clone_index(index), inner
        self.d = index.d

    @property
    def ntotal(self) -> int:
        return int(self.index.ntotal)

    def add(self, x: Any) -> None:
        self.index.add(self.whole.chain.at(0).apply(x))

    def search(self, x: Any, k: int, params: Any = None) -> Any:
        _require(params is None, "unhandled SearchParameters")
        return self.index.search(self.whole.chain.at(0).apply(x), k)

    def cpu(self) -> Any:
        whole, inner = faiss.clone_index(self.whole), self.index.cpu()
        made = faiss.IndexPreTransform(whole.chain.at(0), inner)
        made.referenced_objects = [whole, inner]  # which are not its own
        return made


class IndexReplicas:
    """../IndexReplicas.cpp: each has all rows and answers some of the queries."""

    def __init__(self, parts: list[GpuIndex]) -> None:
        self.parts, self.d = parts, parts[0].d

    @property
    def ntotal(self) -> int:
        return self.parts[0].ntotal

    def add(self, x: Any) -> None:
        for part in self.parts:
            part.add(x)

    def search(self, x: Any, k: int, params: Any = None) -> Any:
        _require(params is None, "search params not supported for this index")
        each = -(-len(x) // len(self.parts))
        found = [part.search(x[i * each : (i + 1) * each], k) for i, part in enumerate(self.parts) if i * each < len(x)]
        return tuple(np.concatenate(both) for both in zip(*found, strict=True))

    def cpu(self) -> Any:
        return self.parts[0].cpu()


class IndexShards:
    """../IndexShards.cpp, ../IndexShardsIVF.cpp: each has some of the rows and answers all queries."""

    def __init__(self, parts: list[GpuIndex], index: Any) -> None:
        self.parts, self.d, self.flat = parts, index.d, isinstance(index, faiss.IndexFlat)

    @property
    def ntotal(self) -> int:
        return sum(part.ntotal for part in self.parts)

    def add(self, x: Any) -> None:
        _require(
            not self.flat or not self.ntotal,
            "when adding to IndexShards with successive_ids, only add() in a single pass is supported",
        )
        ids, n, count = np.arange(self.ntotal, self.ntotal + len(x)), len(x), len(self.parts)
        for i, part in enumerate(self.parts):
            own = slice(i * n // count, (i + 1) * n // count)
            part.add_with_ids(x[own], ids[own])

    def search(self, x: Any, k: int, params: Any = None) -> Any:
        _require(params is None or not self.flat, "params of shards")
        nprobes = {getattr(part, "nprobe", 1) for part in self.parts}
        _require(len(nprobes) == 1, "inconsistent nprobe")
        found = [part.search(x, k) for part in self.parts]
        starts = np.cumsum([0, *(part.ntotal for part in self.parts)]) if self.flat else [0] * len(self.parts)
        distances = np.concatenate([distances for distances, _ in found], axis=1)
        labels = np.concatenate(
            [np.where(own < 0, -1, own + start) for (_, own), start in zip(found, starts, strict=False)], axis=1
        )
        order = np.argsort(np.where(labels < 0, np.inf, distances), axis=1, kind="stable")[:, :k]
        return np.take_along_axis(distances, order, 1), np.take_along_axis(labels, order, 1)

    def cpu(self) -> Any:
        whole, *others = [part.cpu() for part in self.parts]
        for other in others:
            if self.flat:
                whole.add(faiss.vector_to_array(other.codes).view(np.float32).reshape(-1, self.d))
            else:
                whole.merge_from(other, 0)
        return whole


class GpuParameterSpace:
    """GpuAutoTune.cpp and ../AutoTune.cpp: reaches through transforms, shards and replicas."""

    def set_index_parameter(self, index: Any, name: str, value: float) -> None:
        _require(name == "nprobe", f"could not set parameter {name}")
        for part in getattr(index, "parts", None) or (getattr(index, "index", None),):
            if part is not None:
                self.set_index_parameter(part, name, value)
        if isinstance(index, GpuIndex):
            if not isinstance(index, GpuIndexIVF):
                raise RuntimeError(f"ParameterSpace::set_index_parameter:could not set parameter {name}")
            index.machine.calls.append(f"probe {int(value)}")
            index.nprobe = int(value)


@dataclass(frozen=True)
class AnyGpus(Gpus):
    """GPUs that are there wherever these words are read: in a child too."""

    def __reduce__(self) -> Any:
        return _with_fake, (self.numbers, self.room)


def _with_fake(numbers: tuple[int, ...], room: int) -> AnyGpus:
    Machine(len(numbers)).install(setattr)
    return AnyGpus(numbers, room)


def _part(index: Any, count: int, i: int) -> Any:
    if isinstance(index, faiss.IndexFlat):
        rows = faiss.vector_to_array(index.codes).view(np.float32).reshape(-1, index.d)
        part = faiss.IndexFlatL2(index.d)
        part.add(rows[len(rows) * i // count : len(rows) * (i + 1) // count])
        return part
    part = faiss.clone_index(index)
    part.reset()
    index.copy_subset_to(part, faiss.InvertedLists.SUBSET_TYPE_ID_MOD, count, i)
    return part


def _require(good: Any, message: str) -> None:
    if not good:
        raise RuntimeError(f"Error in faiss::gpu at /project/faiss/gpu/GpuIndex.cu:1: Error: {message}")


def _require_single(x: Any) -> None:
    if x.dtype != np.float32:  # class_wrappers.py of the wheel: replacement_search, replacement_add
        raise TypeError(f"{x.dtype} is not float32")
