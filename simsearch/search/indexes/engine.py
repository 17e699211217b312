"""What holds an index in this process: FAISS on the CPU, for rows or for codes, or on GPUs."""

from __future__ import annotations

from pathlib import Path

from simsearch.distance import METRICS
from simsearch.search.indexes.faiss_binary import FaissCodes
from simsearch.search.indexes.faiss_float import FaissIndex, Features
from simsearch.search.indexes.faiss_gpu import FaissGpu
from simsearch.search.indexes.gpu_limits import Gpus
from simsearch.search.indexes.spec import IndexSpec

Held = FaissIndex | FaissCodes | FaissGpu


def trained_engine(spec: IndexSpec, sample: Features, gpus: Gpus | None, rows: int) -> Held:
    """Return an empty index trained on a sample of features, to which so many rows will be added.

    Raises:
        IndexFailed: FAISS cannot make it from this sample.
    """
    if gpus is not None:
        return FaissGpu.train(spec, sample, gpus, rows)
    return _on_cpu(spec).train(spec, sample)


def read_engine(path: Path, spec: IndexSpec, gpus: Gpus | None, mapped: bool) -> Held:
    """Read an index from its file.

    Raises:
        IndexFailed: The file is missing, damaged, or another index; or the GPUs cannot hold it.
    """
    if gpus is not None:
        return FaissGpu.read(path, spec, gpus)
    return _on_cpu(spec).read(path, spec, mapped=mapped)


def _on_cpu(spec: IndexSpec) -> type[FaissIndex] | type[FaissCodes]:
    return FaissCodes if METRICS[spec.metric].of_codes else FaissIndex
