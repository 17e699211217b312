"""embed's Parquet: what is written is read, a file appears whole or not at all, bad rows are named."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simsearch.errors import FingerprintMismatch, InputError, RejectCode, RowError
from simsearch.extract.embeddings import parquet
from simsearch.extract.embeddings.folder import write_folder
from simsearch.extract.embeddings.parquet import RowsInfo, read_rows, rows_info, write_npy, write_rejected, write_rows
from simsearch.extract.load import load_extractor
from simsearch.extract.pipeline import Embedded, embed_sources
from simsearch.images.find import find
from simsearch.images.source import Rejected, Source
from simsearch.library import AddReport, Library
from tests.fake import FakeExtractor
from tests.library.helpers import HERE, album, live_paths, make

FACTS = {"model": "fake", "fingerprint": FakeExtractor.fingerprint, "dimension": 192}


def embedded(folder: Path) -> list[Embedded]:
    results = embed_sources(FakeExtractor(), find([folder]), workers=0)
    return [result for result in results if isinstance(result, Embedded)]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    wanted = embedded(album(tmp_path / "photos", range(9)))
    path = tmp_path / "part-00000.parquet"
    assert write_rows(path, wanted, **FACTS) == 9
    assert rows_info(path) == RowsInfo("fake", FakeExtractor.fingerprint, 192, 9)
    (batch,) = read_rows(path)
    assert batch.paths == [entry.source.path for entry in wanted]
    assert batch.sha256.to_pylist() == [entry.sha256 for entry in wanted]
    assert batch.width.to_pylist() == [10] * 9
    assert batch.height.to_pylist() == [12] * 9
    assert batch.quality.to_pylist() == [entry.quality for entry in wanted]
    np.testing.assert_array_equal(batch.rows, np.stack([entry.row for entry in wanted if entry.row is not None]))
    table = pq.read_table(path)
    assert table.column_names == ["path", "path_b64", "sha256", "width", "height", "quality", "embedding"]
    assert table.schema.field("embedding").type == pa.list_(pa.float32(), 192)
    assert table.schema.metadata[b"model"] == b"fake"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["part-00000.parquet", "photos"]


def test_no_rows_and_names_that_are_not_utf8(tmp_path: Path) -> None:
    assert write_rows(tmp_path / "none.parquet", [], **FACTS) == 0
    assert rows_info(tmp_path / "none.parquet").rows == 0
    source = Source(b"/r", b"\xff.png", b"/r/\xff.png", 0, 1, 1)
    entry = Embedded(source, (np.ones(192, np.float32),), bytes(32), 1, 2, 3, 4)
    write_rows(tmp_path / "odd.parquet", [entry], **FACTS)
    (batch,) = read_rows(tmp_path / "odd.parquet")
    assert batch.paths == [b"/r/\xff.png"]
    assert write_rejected(tmp_path / "rejected.parquet", [Rejected(source, RejectCode.EMPTY, "no \udcff bytes")]) == 1
    row = pq.read_table(tmp_path / "rejected.parquet").to_pylist()[0]
    assert (row["path"], row["code"]) == ("/r/\\xff.png", "empty")


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    wanted = embedded(album(tmp_path / "photos", range(3)))
    write_rows(path, wanted, **FACTS)
    before = path.read_bytes()

    def breaking():  # type: ignore[no-untyped-def]
        yield wanted[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_rows(path, breaking(), **FACTS)
    with pytest.raises(RowError, match=r"0000\.png"):
        write_rows(path, wanted, model="fake", fingerprint="f", dimension=5)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["part.parquet", "photos"]


def test_a_numpy_file_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "part.npy"
    rows = [np.arange(4, dtype=np.float32) + i for i in range(3)]
    write_npy(path, rows)
    np.testing.assert_array_equal(np.load(path), np.stack(rows))
    before, save = path.read_bytes(), np.save

    def full(file, array):  # type: ignore[no-untyped-def]
        save(file, array)
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="no space"):
        write_npy(path, rows[:1])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_part_of_a_numpy_folder_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    album(tmp_path / "photos", range(3))

    def torn(file, array):  # type: ignore[no-untyped-def]
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "save", torn)
    with pytest.raises(OSError, match="no space"):
        write_folder(FakeExtractor(), find([tmp_path / "photos"]), tmp_path / "rows", form="npy", workers=0)
    assert [path.name for path in (tmp_path / "rows").iterdir()] == ["unfinished.jsonl"]


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(InputError, match=r"text\.parquet"):
        rows_info(tmp_path / "text.parquet")
    with pytest.raises(InputError, match="missing"):
        rows_info(tmp_path / "missing.parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="embedding"):
        rows_info(tmp_path / "a.parquet")
    column = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(4, np.float32)), 2)
    pq.write_table(pa.table({"embedding": column}), tmp_path / "b.parquet")
    with pytest.raises(InputError, match="fingerprint"):
        rows_info(tmp_path / "b.parquet")


def write_plain(file: Path, rows: np.ndarray, **columns: list[object]) -> Path:
    """Somebody else's file: only what has to be there."""
    column = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])
    table = pa.table({**columns, "embedding": column})
    pq.write_table(table.replace_schema_metadata({"model": "fake", "fingerprint": FakeExtractor.fingerprint}), file)
    return file


def test_rows_become_items(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", range(6))
    (photos / "copy.png").write_bytes((photos / "0001.png").read_bytes())
    path = tmp_path / "part.parquet"
    write_rows(path, embedded(photos), **FACTS)
    library = make(tmp_path / "library")
    assert library.add_rows(path, settings=HERE) == AddReport(added=6, exact_copies=1)
    assert library.add_rows(path, settings=HERE) == AddReport(unchanged=7)
    assert live_paths(library) == sorted(bytes(p) for p in photos.iterdir())
    assert library.search(photos / "0003.png", k=1).paths == [[str(photos / "0003.png")]]
    assert library.add(photos, settings=HERE) == AddReport(unchanged=7)
    assert library.add(photos, settings=HERE) == AddReport(unchanged=7)
    assert library.snapshot.ids().tolist() == list(range(7))
    assert library.verify(deep=True) == []


def test_rows_without_a_path_are_ids(tmp_path: Path, rng: np.random.Generator) -> None:
    rows = rng.random((3, 192), np.float32)
    path = write_plain(tmp_path / "plain.parquet", rows, sha256=[bytes([i] * 32).hex() for i in range(3)])
    library = make(tmp_path / "library")
    assert library.add_rows(path) == AddReport(added=3)
    assert library.add_rows(path) == AddReport(unchanged=3)
    matches = library.search_rows(rows, k=1)
    assert matches.paths == [["id:0"], ["id:1"], ["id:2"]]
    assert library.remove("id:1") == 1
    library.optimize()
    assert library.search_rows(rows[1], k=3).paths[0][-2:] != ["id:1"]
    assert len(library) == 2
    assert library.verify(deep=True) == []


def test_relative_paths_belong_to_the_folder_of_the_file(tmp_path: Path, rng: np.random.Generator) -> None:
    rows = rng.random((2, 192), np.float32)
    path = write_plain(tmp_path / "plain.parquet", rows, path=["photos/a.png", "/elsewhere/b.png"])
    library = make(tmp_path / "library")
    assert library.add_rows(path) == AddReport(added=2)
    assert live_paths(library) == sorted([bytes(tmp_path / "photos" / "a.png"), b"/elsewhere/b.png"])
    assert library.add_rows(path) == AddReport(unchanged=2)
    write_plain(path, rows[::-1].copy(), path=["photos/a.png", "/elsewhere/b.png"])
    assert library.add_rows(path) == AddReport(replaced=2)


@pytest.mark.parametrize(("value", "where"), [(np.nan, 1), (np.inf, 0), (0.0, 2), (-1.0, 1)])
def test_bad_rows_are_refused_by_name_and_nothing_is_added(
    tmp_path: Path, rng: np.random.Generator, value: float, where: int
) -> None:
    rows = rng.random((3, 192), np.float32)
    rows[where] = value
    path = write_plain(tmp_path / "bad.parquet", rows)
    library = make(tmp_path / "library")
    with pytest.raises(RowError, match=f"row {where} of"):
        library.add_rows(path)
    assert len(library) == 0


def test_rows_of_another_model_or_shape_are_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    library = make(tmp_path / "library")
    path = tmp_path / "other.parquet"
    write_rows(path, embedded(album(tmp_path / "photos", range(2))), model="x", fingerprint="00", dimension=192)
    with pytest.raises(FingerprintMismatch, match=r"other\.parquet"):
        library.add_rows(path)
    write_plain(path, rng.random((2, 5), np.float32))
    with pytest.raises(RowError, match="dimension 5"):
        library.add_rows(path)
    write_plain(path, rng.random((1, 192), np.float32), sha256=["xyz"])
    with pytest.raises(InputError, match="sha256"):
        library.add_rows(path)
    write_plain(path, rng.random((1, 192), np.float32), path_b64=["no base64!"])
    with pytest.raises(InputError, match=r"row 0 of .* has path_b64 'no base64!'"):
        library.add_rows(path)


@pytest.mark.parametrize("name", [b"o\xe9", b"\xff\xfe", b"a\nb", "é".encode()])
def test_files_lie_in_folders_of_any_name(tmp_path: Path, name: bytes) -> None:
    photos = album(tmp_path / "photos", range(3))
    for form in ("parquet", "npy"):
        folder = tmp_path / os.fsdecode(name) / form / os.fsdecode(name)
        for _ in range(2):
            write_folder(FakeExtractor(), find([photos]), folder, form=form, workers=0)  # type: ignore[arg-type]
        if form == "parquet":
            assert make(tmp_path / "l").add_rows(folder / "part-00000.parquet", settings=HERE) == AddReport(added=3)


@pytest.mark.parametrize("kind", [np.int16, np.int64, np.uint16, np.float16, np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("value", [0, 255, 256, -1, 300, 0.5])
def test_bits_take_bytes_and_nothing_that_a_cast_would_change(tmp_path: Path, kind: type, value: float) -> None:
    rows = np.array([[1] * 8, [1] * 8], np.float64)
    rows[1, 5] = value
    rows = rows.astype(kind)
    library = Library.create(tmp_path / "l", model=load_extractor("dhash", device="cpu"))
    column = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), 8)
    facts = {"model": "dhash", "fingerprint": library.channel.fingerprint}
    pq.write_table(pa.table({"embedding": column}).replace_schema_metadata(facts), tmp_path / "r.parquet")
    integral = np.issubdtype(kind, np.integer)
    if integral and 0 <= rows[1, 5] <= 255:
        assert library.add_rows(tmp_path / "r.parquet") == AddReport(added=2)
        return
    with pytest.raises(RowError, match=rf"row {int(integral)} of .* holds \w+"):
        library.add_rows(tmp_path / "r.parquet")
    assert len(library) == 0


def test_a_path_is_one_item_however_it_is_written(tmp_path: Path, rng: np.random.Generator) -> None:
    def spelled(path: str) -> str:
        parts = []
        for part in path.split("/")[1:]:
            parts += [*[[".", "", "x/.."][i] for i in rng.integers(3, size=rng.integers(3))], part]
        return "/" + "/".join(parts) + "/" * int(rng.integers(2))

    library = make(tmp_path / "l")
    plain = [f"/z/{i % 3}/e{i}" for i in range(30)]
    rows = rng.random((60, 192), np.float32)
    file = write_plain(tmp_path / "r.parquet", rows, path=[spelled(path) for path in plain * 2])
    library.add_rows(file)
    assert live_paths(library) == sorted(map(os.fsencode, plain))
    for i, path in enumerate(plain):
        assert library.remove(spelled(path), purge=i % 5 == 0) == 1, path
    write_plain(file, rows[:3], path=["./p//a", "q/../b", "../c"])
    library.add_rows(file)
    for path in (tmp_path / "p/a", tmp_path / "b", tmp_path.parent / "c"):
        assert library.remove(path) == 1
    write_plain(file, rows[:1], path=["//."])
    with pytest.raises(RowError, match="no file"):
        library.add_rows(file)


@pytest.mark.parametrize("start", [0, 1, 6, 7, 8, 20, 29, 30])
def test_reading_starts_at_any_row(tmp_path: Path, start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_ROWS_AT_ONCE", 4)
    values = np.arange(60, dtype=np.float32).reshape(30, 2) + 1
    told = {"model": "m", "fingerprint": "f"}
    table = pa.table({"embedding": list(values)}).replace_schema_metadata(told)
    pq.write_table(table, tmp_path / "r.parquet", row_group_size=7)
    batches = list(read_rows(tmp_path / "r.parquet", start=start))
    assert [batch.first + i for batch in batches for i in range(len(batch.rows))] == list(range(start, 30))
    np.testing.assert_array_equal(
        np.concatenate([np.empty((0, 2)), *(batch.rows for batch in batches)]), values[start:]
    )
