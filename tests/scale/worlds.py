"""Items with rows and contents, kept as one library or split over several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from simsearch.library import Library
from simsearch.library.format.channel import Channel
from simsearch.library.format.items import Item, items_batch, rejects_batch
from simsearch.library.format.manifest import Manifest
from simsearch.library.format.segment import ChannelRows, SegmentDraft, write_segment

DIMENSION = 6
ROOT = b"/rows"


@dataclass(frozen=True)
class World:
    """Rows (n, d) of items, and the content of each, 0 for none that is known; the i-th item is `/rows/i`."""

    rows: NDArray[np.float16]
    contents: tuple[int, ...]

    def library(self, path: Path, start: int = 0, end: int | None = None) -> Library:
        """A library of some of the items."""
        (path / "segments").mkdir(parents=True)
        Manifest(path).create([Channel("rows", "nobody", "r0", self.rows.shape[1], "float16", "js", True)])
        library = Library.open(path, device="cpu")
        chosen = range(len(self.rows))[start:end]
        if len(chosen):
            contents = [bytes([self.contents[i]]) * 32 if self.contents[i] else None for i in chosen]
            items = [
                Item(ROOT, str(i).encode(), content, n_bytes=1, mtime_ns=1, quality=50)
                for i, content in zip(chosen, contents, strict=True)
            ]
            draft = SegmentDraft(
                items_batch(items), {"rows": ChannelRows.whole(self.rows[start:end])}, rejects_batch([])
            )
            folder = path.parent / uuid4().hex
            write_segment(folder, draft, library.channels)
            library.adopt(folder)
        return library

    def split(self, folder: Path, ends: Sequence[int]) -> list[Library]:
        """Libraries of the items up to each end, from the one before."""
        starts = [0, *ends]
        return [
            self.library(folder / f"shard-{i}", start, end)
            for i, (start, end) in enumerate(zip(starts, [*ends, len(self.rows)], strict=True))
        ]


def world(seed: int, count: int, *, kinds: int = 1000, contents: int = 0) -> World:
    """Items of which many are equal where there are few kinds of rows; items of one content have one row."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(1, 5, (min(kinds, count), DIMENSION)).astype(np.float16)
    of = rng.integers(0, len(rows), count)
    known = rng.integers(0, contents + 1, count) if contents else np.zeros(count, int)
    of = np.where(known > 0, known % len(rows), of)
    return World(rows[of], tuple(known.tolist()))
