"""FAISS's indexes for packed codes, with the face of `FaissIndex`: all codes, codes in lists, hash tables of chunks.

Codes are padded to whole 64-bit words, since FAISS compares 12 bytes several times slower than 16.
"""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import IndexFailed
from simsearch.search.indexes.faiss_float import Positions, faiss, named, told
from simsearch.search.indexes.spec import IndexSpec

Codes = NDArray[Any]
_MOST_FLIPS = 4  # of a chunk's bits: the tables that a look-up visits grow by the binomial


class FaissCodes:
    """One index of FAISS over padded codes; on the CPU.

    Attributes:
        spec: What it is.
    """

    def __init__(self, spec: IndexSpec, index: Any) -> None:
        self.spec = spec
        self._index = index
        self._lock = threading.Lock()  # the effort is a property of the index, not of a search

    @classmethod
    def train(cls, spec: IndexSpec, sample: Codes) -> FaissCodes:
        """An empty index, its lists trained on a sample of padded codes (m, bytes).

        Raises:
            IndexFailed: FAISS cannot make it.
        """
        with told(f"an index of kind {spec.kind} cannot be trained on {len(sample)} codes"):
            index = _made(spec)
            if spec.lists:
                index.cp.seed = spec.seed + 1
                index.cp.min_points_per_centroid = 1
            index.train(np.ascontiguousarray(sample))
            return cls(spec, index)

    @classmethod
    def read(cls, path: Path, spec: IndexSpec, *, mapped: bool = False) -> FaissCodes:
        """An index from its file; as `FaissIndex.read`.

        Raises:
            IndexFailed: The file is missing, damaged, or another index.
        """
        lists = mapped and spec.lists > 0
        with told(f"{path} cannot be read as an index of kind {spec.kind}"), named(path) as name:
            flags = faiss().IO_FLAG_MMAP | faiss().IO_FLAG_READ_ONLY if lists else 0
            index = faiss().read_index_binary(name, flags)
        if index.d != 8 * spec.code_width:
            raise IndexFailed(f"{path} holds codes of {index.d} bits, not {8 * spec.code_width}; build it again")
        return cls(spec, index)

    @property
    def count(self) -> int:
        """Codes that were added."""
        with told("the index was closed"):
            return int(self._index.ntotal)

    @property
    def most(self) -> int:
        """Candidates of a query that it can name."""
        return self.count

    def add(self, features: Codes) -> None:
        """Add codes (n, bytes) behind those that are there."""
        with told(f"{len(features)} codes cannot be added"):
            self._index.add(np.ascontiguousarray(features))

    def search(self, features: Codes, kept: int, effort: int) -> Positions:
        """Positions (q, kept) of the nearest that the index looks at, nearest first; -1 where none is left.

        Args:
            features: Padded codes (q, bytes).
            kept: How many for each.
            effort: One of `efforts`: lists looked into, or one more than the bits of a chunk that may differ.
        """
        with told("the index cannot be searched"), self._lock:
            if self.spec.lists:
                self._index.nprobe = effort
            elif self.spec.kind == "multi_hash":
                self._index.nflip = effort - 1
            found = self._index.search(np.ascontiguousarray(features), kept)[1]
            return np.asarray(found, np.int64)

    def efforts(self) -> tuple[int, ...]:
        """The ladder of efforts: powers of two up to all lists, or up to five for tables."""
        if self.spec.lists:
            return (*(2**i for i in range(int(math.log2(self.spec.lists)))), self.spec.lists)
        return tuple(range(1, _MOST_FLIPS + 2)) if self.spec.kind == "multi_hash" else (1,)

    def write(self, path: Path) -> None:
        """Write the index to a file."""
        with told(f"the index cannot be written to {path}"), named(path) as name:
            faiss().write_index_binary(self._index, name)

    def close(self) -> None:
        """Let go of it."""
        self._index = None


def _made(spec: IndexSpec) -> Any:
    """The untrained index."""
    module, bits = faiss(), 8 * spec.code_width
    if spec.kind == "flat":
        return module.IndexBinaryFlat(bits)
    if spec.kind == "multi_hash":
        return module.IndexBinaryMultiHash(bits, spec.links, spec.bits)
    quantiser = module.IndexBinaryFlat(bits)
    index = module.IndexBinaryIVF(quantiser, bits, spec.lists)
    index.own_fields = True
    quantiser.this.disown()
    return index
