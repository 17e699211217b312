"""Makes a golden library of the format that the simsearch on the path writes: `python make.py FOLDER`.

Run once for each version of the format, with the simsearch that introduced it, and committed; never made again. Rows
are `rows(n)`, so that a test can tell whether what is read is what was written.
"""

from __future__ import annotations

import sys
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import RejectCode
from simsearch.images.source import Rejected, Source
from simsearch.library import Library
from simsearch.library.format.channel import Channel
from simsearch.library.format.items import Item, items_batch, rejects_batch
from simsearch.library.format.manifest import Manifest
from simsearch.library.format.segment import ChannelRows, SegmentDraft, write_segment

DIMENSION = 16
NAMES = (b"a.png", b"b.png", b"deep/c.png", b"caf\xe9.png", b"\xc3\xa9.png", b"f.png", b"g.png", b"h.png")


def rows(count: int = len(NAMES)) -> NDArray[np.float16]:
    """The row of each item, (n, 16)."""
    return np.random.default_rng(0).integers(1, 1000, (count, DIMENSION)).astype(np.float16)


def _adopt(library: Library, first: int, end: int, scratch: Path) -> None:
    items = [
        Item(
            b"/photos",
            NAMES[i],
            bytes([i]) * 32,
            n_bytes=100 + i,
            mtime_ns=1,
            width=10,
            height=20,
            quality=50,
            owner="Anna" if i % 2 else None,
            attributes='{"album": "one"}' if i % 2 else None,
        )
        for i in range(first, end)
    ]
    broken = Source(b"/photos", b"broken-%d.jpg" % first, b"/photos/broken.jpg", 0, 9, 1)
    rejects = rejects_batch([Rejected(broken, RejectCode.EMPTY, "it is empty")])
    write_segment(
        scratch,
        SegmentDraft(items_batch(items), {"rows": ChannelRows.whole(rows()[first:end])}, rejects),
        library.channels,
    )
    library.adopt(scratch)


def make(folder: Path) -> None:
    """Three segments, an index over the first, the items 2 and 6 removed."""
    (folder / "segments").mkdir(parents=True)
    Manifest(folder).create([Channel("rows", "nobody", "r0", DIMENSION, "float16", "js", True)])
    library = Library.open(folder, device="cpu")
    _adopt(library, 0, 4, folder.parent / uuid4().hex)
    library.optimize(recall=0.01, kind="flat")
    _adopt(library, 4, 7, folder.parent / uuid4().hex)
    _adopt(library, 7, 8, folder.parent / uuid4().hex)
    library.remove(["id:2", "id:6"])
    library.close()


if __name__ == "__main__":
    make(Path(sys.argv[1]))
