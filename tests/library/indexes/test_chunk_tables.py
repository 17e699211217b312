"""A search by tables of codes answers as one that looks at all of them does."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from simsearch.library import Library
from simsearch.library.format.channel import Channel
from simsearch.library.format.items import Item, items_batch, rejects_batch
from simsearch.library.format.manifest import Manifest
from simsearch.library.format.segment import ChannelRows, SegmentDraft, write_segment
from simsearch.library.indexes import chunk_tables
from simsearch.library.read import neighbours, open_indexes
from tests.library.rows import ROOT

WIDTH = 5


@pytest.fixture
def for_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of any number of codes, used at any radius."""
    monkeypatch.setattr(open_indexes, "CHUNKS_FROM", 1)
    monkeypatch.setattr(chunk_tables, "_SHARE", 1e9)


def library_of_codes(path: Path, bits: int | None) -> Library:
    (path / "segments").mkdir(parents=True)
    Manifest(path).create([Channel("codes", "nobody", "c0", WIDTH, "bits", "hamming", False, bits=bits)])
    return Library.open(path, device="cpu")


def grow(library: Library, rng: np.random.Generator, *, count: int, parts: int, start: int = 0) -> None:
    """Adopt a segment of items of one to so many codes, from few kinds so that distances tie."""
    length = library.channel.bits or 8 * WIDTH
    kinds = rng.random((12, 8 * WIDTH)) < 0.5
    codes = np.packbits((kinds[rng.integers(0, 12, parts * count)] ^ (rng.random((parts * count, 8 * WIDTH)) < 0.1)) & (
        np.arange(8 * WIDTH) < length
    ), axis=1)  # fmt: skip
    items = [Item(ROOT, str(start + i).encode(), None, n_bytes=1, mtime_ns=1) for i in range(count)]
    rows = ChannelRows.of(
        [codes[parts * i : parts * i + rng.integers(1, parts + 1)] for i in range(count)], library.channel
    )
    folder = library.path.parent / uuid4().hex
    write_segment(folder, SegmentDraft(items_batch(items), {"codes": rows}, rejects_batch([])), library.channels)
    library.adopt(folder)


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("bits", [None, 35])
@pytest.mark.parametrize("share", [0.5, 1e9])
def test_the_answer_is_that_of_a_look_at_all(
    tmp_path: Path, for_few: None, monkeypatch: pytest.MonkeyPatch, *, bits: int | None, parts: int, share: float
) -> None:
    rng = np.random.default_rng(parts)
    library = library_of_codes(tmp_path / "library", bits)
    for start in (0, 200):
        grow(library, rng, count=200, parts=parts, start=start)
    library.prepare()
    monkeypatch.setattr(chunk_tables, "_SHARE", share)  # of the codes: some queries have too many candidates
    grow(library, rng, count=30, parts=parts, start=400)  # which the tables do not know
    library.remove([f"/rows/{i}" for i in range(0, 420, 7)])
    library.refresh()
    queries = np.concatenate([library.snapshot.segments[1].channels["codes"].row[:20], np.zeros((1, WIDTH), np.uint8)])
    radii = range(0, 12 if share > 1 else 3)
    for limit in [radius / (bits or 8 * WIDTH) for radius in radii]:
        for k in (1, 4, None):
            found = library.search_rows(queries, k=k, max_distance=limit)
            wanted = library.search_rows(queries, k=k, max_distance=limit, exact=True)
            assert [near.matches for near in found] == [near.matches for near in wanted]
            assert all(near.certified for near in found)


def test_only_what_the_tables_do_not_know_is_looked_at(
    tmp_path: Path, for_few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[list[int]] = []
    look = neighbours._looked_at
    monkeypatch.setattr(
        neighbours, "_looked_at", lambda rows, plan, numbers: looks.append(list(numbers)) or look(rows, plan, numbers)
    )
    library = library_of_codes(tmp_path / "library", None)
    grow(library, np.random.default_rng(0), count=100, parts=1)
    code = library.snapshot.segments[0].channels["codes"].row[:1]
    library.search_rows(code, k=None, max_distance=0.1)
    assert looks.pop() == [0], "before it is prepared"
    library.prepare()
    library.search_rows(code, k=None, max_distance=0.1)
    assert not looks
    grow(library, np.random.default_rng(1), count=10, parts=1, start=100)
    library.search_rows(code, k=3, max_distance=0.1)
    assert looks.pop() == [1]
