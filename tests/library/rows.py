"""Libraries made of rows alone, as workers hand them over."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from simsearch.library import Library
from simsearch.library.format.channel import Channel
from simsearch.library.format.items import Item, items_batch, rejects_batch
from simsearch.library.format.manifest import Manifest
from simsearch.library.format.segment import ChannelRows, SegmentDraft, write_segment

ROOT = b"/rows"


def library_of_rows(path: Path, rows: NDArray[np.float16], *, device: str = "cpu") -> Library:
    """A new library that holds these rows (n, d), the i-th as the path `/rows/i`."""
    (path / "segments").mkdir(parents=True)
    Manifest(path).create([Channel("rows", "nobody", "r0", rows.shape[1], "float16", "js", True)])
    library = Library.open(path, device=device)
    grow(library, rows)
    return library


def grow(library: Library, rows: NDArray[np.float16], *, start: int = 0) -> None:
    """Adopt a segment of further rows."""
    items = [Item(ROOT, str(start + i).encode(), None, n_bytes=1, mtime_ns=1) for i in range(len(rows))]
    draft = SegmentDraft(items_batch(items), {"rows": ChannelRows.whole(rows)}, rejects_batch([]))
    folder = library.path.parent / uuid4().hex
    write_segment(folder, draft, library.channels)
    library.adopt(folder)
