"""Segments: merged without loss, adopted from workers, of several channels, torn ones refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from simsearch.errors import FingerprintMismatch, InputError, LibraryDamaged, ModelNotFound, RowError
from simsearch.library import AddReport, Library
from simsearch.library.format.channel import Channel
from simsearch.library.format.items import Item, items_batch, rejects_batch
from simsearch.library.format.manifest import Manifest
from simsearch.library.format.segment import ChannelRows, SegmentDraft, write_segment
from simsearch.library.write import merge
from tests.library.helpers import HERE, album, live_paths, make, paint

FAKE = Channel("fake", "fake", "f0", 4, "float32", "l2", True)
WIDE = Channel("wide", "wide", "f1", 6, "float16", "cosine", False)


def write(
    folder: Path, names: list[str], channels: list[Channel], rng: np.random.Generator, root: bytes = b"/r"
) -> SegmentDraft:
    """Write a segment as a worker would."""
    items = [Item(root, name.encode(), rng.bytes(32), n_bytes=1, mtime_ns=1) for name in names]
    rows = {c.name: ChannelRows.whole(rng.random((len(names), c.dimension)).astype(c.numpy_dtype)) for c in channels}
    draft = SegmentDraft(items_batch(items), rows, rejects_batch([]))
    write_segment(folder, draft, channels)
    return draft


def library_of(path: Path, channels: list[Channel]) -> Path:
    path.mkdir()
    (path / "segments").mkdir()
    Manifest(path).create(channels)
    return path


def everything(library: Library) -> dict[int, tuple[bytes | None, bytes | None, bytes, Any]]:
    """Each live item with its path, content, row and labels, by id."""
    snapshot = library.snapshot
    return {
        snapshot.id(place): (
            path,
            snapshot.segments[place.segment].content(place.position),
            np.asarray(snapshot.row(place, library.channel.name)).tobytes(),
            (snapshot.stamp(place), snapshot.labels(place)),
        )
        for place, path in snapshot.paths()
    }


def test_optimize_keeps_every_item_under_its_id(tmp_path: Path) -> None:
    library = make(tmp_path / "library")
    photos = album(tmp_path / "photos", range(11))
    album(tmp_path / "other", range(20, 24))
    (photos / "bad.jpg").write_text("x")
    library.add([photos, tmp_path / "other"], settings=replace(HERE, commit_every=2))
    paint(photos / "0004.png", 99)
    library.add(photos, settings=HERE)
    library.remove([photos / "0007.png", tmp_path / "other" / "0021.png"])
    before, info = everything(library), library.info()
    library.optimize()
    assert everything(library) == before
    after = library.info()
    assert (after.segments, after.removed, after.rejected, after.next_id) == (1, 0, info.rejected, info.next_id)
    assert info.segments > 1
    assert library.verify(deep=True) == []
    library.optimize()
    assert library.info().generation == after.generation, "nothing is left to do"
    assert len(list((tmp_path / "library" / "segments").iterdir())) == 1


def test_many_small_segments_merge_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "MANY_SMALL", 4)
    library = make(tmp_path / "library")
    photos = album(tmp_path / "photos", range(20))
    library.add(photos, settings=replace(HERE, commit_every=1))
    assert library.info().segments <= 5
    assert len(live_paths(library)) == 20
    assert library.snapshot.ids().tolist() == list(range(20))
    assert library.verify(deep=True) == []


def test_merges_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "_MOST_ITEMS", 6)
    library = make(tmp_path / "library")
    library.add(album(tmp_path / "photos", range(20)), settings=replace(HERE, commit_every=2))
    library.optimize()
    assert [len(segment) for segment in library.snapshot.segments] == [6, 6, 6, 2]
    assert library.verify(deep=True) == []


def test_touched_items_merge_in_the_order_of_their_ids(tmp_path: Path) -> None:
    import os

    library = make(tmp_path / "library")
    photos = album(tmp_path / "photos", range(6))
    library.add(photos, settings=HERE)
    os.utime(photos / "0003.png", ns=(7, 7))
    paint(photos / "0009.png", 9)
    library.add(photos, settings=HERE)
    before = everything(library)
    library.optimize()
    assert everything(library) == before
    assert library.snapshot.ids().tolist() == list(range(7))


def test_a_library_with_two_channels_opens(tmp_path: Path, rng: np.random.Generator) -> None:
    folder = library_of(tmp_path / "library", [FAKE, WIDE])
    draft = write(tmp_path / "one", ["a", "b", "c"], [FAKE, WIDE], rng)
    more = write(tmp_path / "two", ["d", "e"], [FAKE, WIDE], rng, root=b"/s")
    with Library.open(folder, device="cpu") as library:
        assert library.adopt(tmp_path / "one") == AddReport(added=3)
        assert library.adopt(tmp_path / "two") == AddReport(added=2)
        assert library.channel == FAKE
        assert library.search_rows(draft.rows["fake"].row, k=1).ids[:, 0].tolist() == [0, 1, 2]
        with pytest.raises(ModelNotFound, match="fake"):
            library.add(paint(tmp_path / "x.png", 1), settings=HERE)
    with Library.open(folder, channel="wide", device="cpu") as wide:
        assert wide.search_rows(more.rows["wide"].row, k=1).ids[:, 0].tolist() == [3, 4]
        wide.remove("/r/b")
        wide.optimize()
        assert wide.search_rows(draft.rows["wide"].row, k=9).ids[:, :4].min() >= 0
        assert wide.verify(deep=True) == []
    with pytest.raises(InputError, match="fake, wide"):
        Library.open(folder, channel="third")


def test_an_item_with_several_parts_is_found_once_by_its_nearest(tmp_path: Path, rng: np.random.Generator) -> None:
    folder = library_of(tmp_path / "library", [FAKE])
    items = [Item(b"/r", name, rng.bytes(32)) for name in (b"a", b"b", b"c")]
    item, part = np.array([0, 0, 0, 1, 2, 2], np.uint32), np.array([0, 1, 2, 0, 0, 1], np.uint16)
    rows = rng.random((6, 4), np.float32)
    draft = SegmentDraft(items_batch(items), {"fake": ChannelRows(item, part, rows, parts=3)}, rejects_batch([]))
    write_segment(tmp_path / "parts", draft, [FAKE])
    library = Library.open(folder, device="cpu")
    library.adopt(tmp_path / "parts")
    found = library.search_rows(rows[[2, 5]], k=3)
    assert [sorted(ids) for ids in found.ids.tolist()] == [[0, 1, 2], [0, 1, 2]]
    assert found.ids[:, 0].tolist() == [0, 2]
    assert (found.distances[:, 0] == 0).all()
    library.remove("/r/b")
    library.optimize()
    assert library.search_rows(rows[[2, 5]], k=3).ids[:, 0].tolist() == [0, 2]
    assert library.verify(deep=True) == []


def test_adopting_twice_is_safe_and_known_paths_are_replaced(tmp_path: Path, rng: np.random.Generator) -> None:
    folder = library_of(tmp_path / "library", [FAKE])
    write(tmp_path / "one", ["a", "b"], [FAKE], rng)
    shutil.copytree(tmp_path / "one", tmp_path / "kept" / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "kept" / "same")
    library = Library.open(folder, device="cpu")
    assert library.adopt(tmp_path / "one") == AddReport(added=2)
    assert not (tmp_path / "one").exists()
    assert library.adopt(tmp_path / "kept" / "one") == AddReport(unchanged=2)
    assert library.adopt(tmp_path / "kept" / "same") == AddReport(unchanged=2)
    write(tmp_path / "new", ["b", "c"], [FAKE], rng)
    assert library.adopt(tmp_path / "new") == AddReport(added=1, replaced=1)
    assert live_paths(library) == [b"/r/a", b"/r/b", b"/r/c"]
    assert library.verify(deep=True) == []


def test_a_worker_with_other_rows_is_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    library = Library.open(library_of(tmp_path / "library", [FAKE]), device="cpu")
    write(tmp_path / "stranger", ["a"], [replace(FAKE, fingerprint="ee")], rng)
    with pytest.raises(FingerprintMismatch):
        library.adopt(tmp_path / "stranger")
    items = items_batch([Item(b"/r", b"a", rng.bytes(32))])
    nan: NDArray[np.float32] = np.full((1, 4), np.nan, np.float32)
    write_segment(tmp_path / "nan", SegmentDraft(items, {"fake": ChannelRows.whole(nan)}, rejects_batch([])), [FAKE])
    with pytest.raises(RowError, match="row 0"):
        library.adopt(tmp_path / "nan")
    assert len(library) == 0


@pytest.mark.parametrize(
    "change",
    [{"fingerprint": "00"}, {"dtype": "float16"}, {"dimension": 5}, {"name": "other"}],
    ids=lambda change: next(iter(change)),
)
def test_a_segment_of_another_channel_is_refused(
    tmp_path: Path, rng: np.random.Generator, change: dict[str, Any]
) -> None:
    folder = library_of(tmp_path / "library", [FAKE])
    write(tmp_path / "one", ["a"], [FAKE], rng)
    Library.open(folder).adopt(tmp_path / "one")
    state = Manifest(folder).read()
    other = library_of(tmp_path / "other", [replace(FAKE, **change)])
    shutil.copytree(folder / "segments", other / "segments", dirs_exist_ok=True)
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(other / "manifest.sqlite")) as db, db:
        db.execute("INSERT INTO segments VALUES (?, 0, 1, NULL)", (state.segments[0].uuid,))
    with pytest.raises((FingerprintMismatch, LibraryDamaged)):
        Library.open(other)


@pytest.mark.parametrize("name", ["items.arrow", "fake.arrow", "rejects.arrow", "keys.npy", "contents.npy", "ids.npy"])
def test_damage_is_named(tmp_path: Path, name: str) -> None:
    library = make(tmp_path / "library")
    library.add(album(tmp_path / "photos", range(4)), settings=HERE)
    file = library.snapshot.segments[0].folder / name
    data = file.read_bytes()
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    file.unlink()
    file.write_bytes(flipped)
    assert any(name in problem and "SHA-256" in problem for problem in library.verify(deep=True))
    file.write_bytes(data[: len(data) // 3])
    assert any(name in problem for problem in library.verify())
    with pytest.raises(LibraryDamaged, match="verify"):
        Library.open(tmp_path / "library")
    file.unlink()
    assert any("missing" in problem for problem in library.verify())
    with pytest.raises(LibraryDamaged, match=name):
        Library.open(tmp_path / "library")


def test_the_manifest_holds_no_row_an_image(tmp_path: Path) -> None:
    library = make(tmp_path / "library")
    manifest = tmp_path / "library" / "manifest.sqlite"
    library.add(album(tmp_path / "few", range(1)), settings=HERE)
    few = manifest.stat().st_size
    library.add(album(tmp_path / "many", range(10, 120)), settings=HERE)
    library.optimize()
    assert manifest.stat().st_size <= few + 4096


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    make(tmp_path / "library")
    (tmp_path / "library" / "manifest.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(LibraryDamaged, match="manifest"):
        Library.open(tmp_path / "library")


def test_files_are_arrow_uncompressed_in_one_batch(tmp_path: Path) -> None:
    library = make(tmp_path / "library")
    library.add(album(tmp_path / "photos", range(4)), settings=HERE)
    folder = library.snapshot.segments[0].folder
    assert sorted(path.name for path in folder.iterdir()) == [
        "contents.npy",
        "fake.arrow",
        "ids.npy",
        "items.arrow",
        "keys.npy",
        "rejects.arrow",
    ]
    row = library.snapshot.segments[0].channels["fake"].row
    assert (row.shape, row.dtype, row.flags.owndata) == ((4, 192), np.float16, False)
    with pa.memory_map(str(folder / "fake.arrow")) as source:
        reader = pa.ipc.open_file(source)
        assert reader.num_record_batches == 1
        assert reader.schema.metadata[b"fingerprint"].decode() == library.channel.fingerprint
    assert np.load(folder / "keys.npy", allow_pickle=False).shape == (2, 4)
