"""FAISS's indexes for packed codes, with the interface of `FaissIndex`: flat, inverted lists, hash tables of chunks.

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
from simsearch.search.indexes.faiss_float import Positions, faiss, faiss_errors, named
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
        """Train an empty index on a sample of padded codes (m, bytes).

        Raises:
            IndexFailed: FAISS cannot make it.
        """
        with faiss_errors(f"an index of kind {spec.kind} cannot be trained on {len(sample)} codes"):
            index = _made(spec)
            if spec.lists:
                index.cp.seed = spec.seed + 1
                index.cp.min_points_per_centroid = 1
            index.train(np.ascontiguousarray(sample))
            return cls(spec, index)

    @classmethod
    def read(cls, path: Path, spec: IndexSpec, *, mapped: bool = False) -> FaissCodes:
        """Read an index from its file, as `FaissIndex.read`.

        Raises:
            IndexFailed: The file is missing, damaged, or another index.
        """
        lists = mapped and spec.lists > 0
        with faiss_errors(f"{path} cannot be read as an index of kind {spec.kind}"), named(path) as name:
            flags = faiss().IO_FLAG_MMAP | faiss().IO_FLAG_READ_ONLY if lists else 0
            index = faiss().read_index_binary(name, flags)
        if index.d != 8 * spec.code_width:
            raise IndexFailed(f"{path} holds codes of {index.d} bits, not {8 * spec.code_width}; build it again")
        return cls(spec, index)

    @property
    def count(self) -> int:
        """Codes that were added."""
        with faiss_errors("the index was closed"):
            return int(self._index.ntotal)

    @property
    def max_candidates(self) -> int:
        """Candidates of a query that it can name."""
        return self.count

    def add(self, features: Codes) -> None:
        """Add codes (n, bytes) behind those that are there."""
        with faiss_errors(f"{len(features)} codes cannot be added"):
            self._index.add(np.ascontiguousarray(features))

    def search(self, features: Codes, kept: int, effort: int) -> Positions:
        """Return positions (q, kept) of the nearest that the index visits, nearest first, padded with -1.

        Args:
            features: Padded codes (q, bytes).
            kept: How many for each.
            effort: One of `efforts`: lists probed, or one more than the bits of a chunk that may differ.
        """
        with faiss_errors("the index cannot be searched"), self._lock:
            if self.spec.lists:
                self._index.nprobe = effort
            elif self.spec.kind == "multi_hash":
                self._index.nflip = effort - 1
            found = self._index.search(np.ascontiguousarray(features), kept)[1]
            return np.asarray(found, np.int64)

    def efforts(self) -> tuple[int, ...]:
        """Return the ladder of efforts: powers of two up to all lists, or up to five for tables."""
        if self.spec.lists:
            return (*(2**i for i in range(int(math.log2(self.spec.lists)))), self.spec.lists)
        return tuple(range(1, _MOST_FLIPS + 2)) if self.spec.kind == "multi_hash" else (1,)

    def write(self, path: Path) -> None:
        """Write the index to a file."""
        with faiss_errors(f"the index cannot be written to {path}"), named(path) as name:
            faiss().write_index_binary(self._index, name)

    def close(self) -> None:
        """Free the index."""
        self._index = None


def _made(spec: IndexSpec) -> Any:
    """Return the untrained index."""
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
