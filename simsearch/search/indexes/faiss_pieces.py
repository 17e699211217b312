"""FAISS's part of an index that is built in pieces: rows added under their own ids, and lists merged on the disk.

Ids are 64 bits. Merging reads the pieces through memory maps and writes each list once, so that it takes no more memory
than the caches of the system, whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simsearch.errors import IndexFailed, InputError
from simsearch.search.indexes.faiss_float import FaissIndex, Features, Positions, faiss, faiss_errors, named, read_whole
from simsearch.search.indexes.spec import IndexSpec


class FaissPiece(FaissIndex):
    """An index whose rows have ids of their own, on the CPU."""

    @classmethod
    def of_trained(cls, path: Path, spec: IndexSpec) -> FaissPiece:
        """Read a trained index without rows.

        Raises:
            IndexFailed: The file is missing or damaged, or has rows.
        """
        piece = cls(spec, read_whole(path, spec))
        if piece.count:
            raise IndexFailed(f"{path} holds {piece.count:,} rows and is no trained index without any")
        return piece

    def add_as(self, features: Features, ids: Positions) -> None:
        """Add rows (n, d) under their ids (n,).

        Raises:
            InputError: There are not as many.
        """
        if len(features) != len(ids):
            raise InputError(f"{len(features)} rows cannot be added under {len(ids)} ids")
        with faiss_errors(f"{len(features)} rows cannot be added"):
            self._index.add_with_ids(np.ascontiguousarray(features, np.float32), np.ascontiguousarray(ids, np.int64))


def merge_lists(spec: IndexSpec, trained: Path, pieces: Sequence[Path], *, lists: Path, index: Path) -> int:
    """Write the lists of some pieces, one piece behind the other, as one file, and an index that reads them there.

    Args:
        spec: Of all of them.
        trained: The index without rows that they were made from.
        pieces: Their files.
        lists: Where the lists go.
        index: Where the index goes, in the same folder.

    Returns:
        How many rows there are.

    Raises:
        IndexFailed: A file is missing or damaged, or the disk is full.
    """
    module = faiss()
    with faiss_errors(f"{len(pieces)} pieces cannot be merged into {lists}"), named(lists) as name:
        merged = read_whole(trained, spec)
        held = [read_whole(path, spec, mapped=True) for path in pieces]
        found = module.InvertedListsPtrVector()
        for one in held:
            found.push_back(module.extract_index_ivf(one).invlists)
        inverted = module.extract_index_ivf(merged)
        on_disk = module.OnDiskInvertedLists(inverted.nlist, inverted.code_size, name)
        count = int(on_disk.merge_from_multiple(found.data(), found.size()))
        inverted.replace_invlists(on_disk, True)
        on_disk.this.disown()
        inverted.ntotal = merged.ntotal = count
        with named(index) as written:
            module.write_index(merged, written)
    return count


def read_merged(path: Path, spec: IndexSpec, *, moved: bool) -> FaissIndex:
    """Open an index that `merge_lists` wrote: its lists stay in their file.

    Args:
        path: The index.
        spec: What it is.
        moved: Whether the lists may lie elsewhere than when they were written, beside the index; FAISS prints that.

    Raises:
        IndexFailed: A file is missing or damaged.
    """
    module: Any = faiss()
    flags = module.IO_FLAG_READ_ONLY | (module.IO_FLAG_ONDISK_SAME_DIR if moved else 0)
    with faiss_errors(f"{path} cannot be read as an index of kind {spec.kind}"), named(path) as name:
        index = module.read_index(name, flags)
    if index.d != spec.dimension:
        raise IndexFailed(f"{path} holds rows of {index.d} dimensions, not {spec.dimension}; merge the pieces again")
    return FaissIndex(spec, index)
