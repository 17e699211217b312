"""Damage is told, never made to look sound, never a crash: by kind."""

from __future__ import annotations

import json
import shutil
import sqlite3
import struct
import warnings
import zlib
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from simsearch.errors import InputError, LibraryDamaged, LibraryError, ModelError
from simsearch.library import AddReport, Library
from simsearch.library.verify import verify
from simsearch.library.write import merge as merging
from tests.fake import FakeExtractor
from tests.library.helpers import HERE, album, make
from tests.library.mutants import DIMENSION, K, make_sound, rows

DATA = ("rows.arrow", "items.arrow", "rejects.arrow", "ids.npy", "keys.npy", "contents.npy")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "library"
    make_sound(path)
    return path


@pytest.fixture
def folder(tmp_path: Path, sound: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "library"))


def edit(folder: Path, statement: str, *values: object) -> None:
    """Change the manifest by hand, as no library does."""
    with closing(sqlite3.connect(folder / "manifest.sqlite")) as db, db:
        db.execute("DELETE FROM meta WHERE key = 'seal'")
        db.execute(statement, values)


def flip_row(folder: Path, number: int, value: float, *, segment: int = 0) -> Path:
    """Put a value into a stored row of a segment, and return the file."""
    with Library.open(folder, device="cpu") as library:
        home = library.snapshot.segments[segment].folder
        stored = np.array(library.snapshot.segments[segment].channels["rows"].row)
    path = home / "rows.arrow"
    data = bytearray(path.read_bytes())
    at = data.find(stored.tobytes())
    assert at > 0
    stored[number, 3] = value
    data[at : at + stored.nbytes] = stored.tobytes()
    path.write_bytes(data)
    return path


def flip_unseen(path: Path, rng: np.random.Generator) -> bool:
    """Flip one bit such that the library still opens; False where none of many tries does."""
    data = path.read_bytes()
    for _ in range(200):
        changed = bytearray(data)
        changed[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        try:
            Library.open(path.parents[2], device="cpu").close()
            return True
        except (LibraryError, ModelError):
            continue
    path.write_bytes(data)
    return False


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("way", ["optimize", "purge"])
def test_a_merge_never_makes_damage_look_sound(folder: Path, rng: np.random.Generator, name: str, way: str) -> None:
    with Library.open(folder, device="cpu") as library:
        path = library.snapshot.segments[-1].folder / name
    if not flip_unseen(path, rng):
        pytest.skip("any change of this file is seen when it is opened")
    with Library.open(folder, device="cpu") as library:
        rewrite = library.optimize if way == "optimize" else partial(library.remove, "/rows/95", purge=True)
        with pytest.raises(LibraryDamaged, match=name):
            rewrite()
        assert path.exists(), "what is damaged is kept"
        assert any(name in problem for problem in library.verify(deep=True))


def test_what_is_sound_is_purged_beside_what_is_damaged(folder: Path) -> None:
    flip_row(folder, 2, 0.5, segment=1)
    with Library.open(folder, device="cpu") as library:
        with pytest.raises(LibraryDamaged, match="SHA-256"):
            library.remove(["/rows/10", "/rows/40", "/rows/95"], purge=True)
        removed = [mask for mask in library.snapshot.removed if mask is not None]
        assert len(removed) == 1, "one of two was rewritten"
        wanted = [f"/rows/{i}" for i in range(90, 120) if i not in (95, 100)]
        library.remove(wanted, purge=True)
        assert library.verify(deep=True) == [], "nothing is copied of a segment whose items are all removed"


@pytest.mark.parametrize("name", ["fake.arrow", "items.arrow"])
def test_an_add_goes_on_and_leaves_a_damaged_segment_unmerged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator, name: str
) -> None:
    monkeypatch.setattr(merging, "MANY_SMALL", 3)
    library = make(tmp_path / "library")
    for i in range(3):
        library.add(album(tmp_path / f"{i}", [i]), settings=HERE)
    path = library.snapshot.segments[1].folder / name
    assert flip_unseen(path, rng)
    library = Library.open(tmp_path / "library", extractor=FakeExtractor(), device="cpu")
    with pytest.warns(RuntimeWarning, match=f"not merged.*{name}") as told:
        assert library.add(album(tmp_path / "more", [7, 8, 9, 10]), settings=HERE) == AddReport(added=4)
    assert len(told) == 1
    assert len(library) == 7
    assert path.exists()
    assert any(name in problem for problem in library.verify(deep=True))


def test_a_row_is_copied_only_from_a_file_that_is_what_was_written(tmp_path: Path) -> None:
    library = make(tmp_path / "library")
    photos = album(tmp_path / "photos", range(3))
    library.add(photos, settings=HERE)
    right = np.array(library.snapshot.segments[0].channels["fake"].row)
    path = library.snapshot.segments[0].folder / "fake.arrow"
    data = bytearray(path.read_bytes())
    data[data.find(right.tobytes()) + 1] ^= 2
    path.write_bytes(data)
    (tmp_path / "copies").mkdir()
    (tmp_path / "copies" / "again.png").write_bytes((photos / "0000.png").read_bytes())
    library = Library.open(tmp_path / "library", extractor=FakeExtractor(), device="cpu")
    with pytest.warns(RuntimeWarning, match=r"fake\.arrow.*no row is copied"):
        library.add(tmp_path / "copies", settings=HERE)
    [copy] = [place for place, path in library.snapshot.paths() if path is not None and path.endswith(b"again.png")]
    assert np.array_equal(library.snapshot.row(copy, "fake"), right[0]), "embedded again"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.25])
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("segment", [0, 1], ids=["indexed", "beside the index"])
def test_a_damaged_row_met_in_search_names_segment_and_item(
    folder: Path, value: float, exact: bool, segment: int
) -> None:
    path = flip_row(folder, 7, value, segment=segment)
    with Library.open(folder, device="cpu") as library:
        stored = library.snapshot.segments[segment].ids[7]
        with pytest.raises(LibraryDamaged, match=rf"{path.parent.name}.*id:{stored} ") as error:
            library.search_rows(rows().astype(np.float32), k=K, exact=exact)
        assert "\n" not in str(error.value)
    assert any(path.parent.name in problem for problem in verify(folder, deep=True, device="cpu"))


def test_a_damaged_row_is_no_fault_of_the_query_or_of_the_index_that_is_built(folder: Path) -> None:
    flip_row(folder, 4, np.nan)
    with Library.open(folder, device="cpu") as library:
        with pytest.raises(InputError, match="row 0 holds NaN"):
            library.search_rows(np.full((1, DIMENSION), np.nan, np.float32))
        library.remove(f"id:{library.snapshot.segments[0].ids[4]}")
        assert len(library.search_rows(rows()[:2].astype(np.float32), k=K, exact=True)) == 2, "removed rows are not met"


NAMES = [".", "..", "", "a/b", "../../written-outside", "/etc/x", ".hidden", "a b", "items", "rejects", "a\nb", "a\0b"]
FIRST = "WHERE rowid = (SELECT min(rowid) FROM segments)"
BAD_VALUES: list[tuple[str, object]] = [
    *(("UPDATE channels SET name = ?", name) for name in NAMES),
    *((f"UPDATE segments SET uuid = ? {FIRST}", name) for name in [*NAMES[:8], "../../other/segments/x"]),
    *(("UPDATE segments SET items = ?", n) for n in (-1, 1 << 40, (1 << 63) - 1, "x", 1.5, b"x")),
    *(("UPDATE segments SET rank = ?", n) for n in (-1, 1 << 62, "x", b"x")),
    *(
        ("UPDATE segments SET removed = ?", b)
        for b in ("x", 7, b"", b"x", zlib.compress(b""), zlib.compress(b"\0" * 9))
    ),
    *(("UPDATE meta SET value = ? WHERE key = 'next_id'", n) for n in (-1, 1, None, "x", 1 << 62, (1 << 63) - 3, 2.5)),
    *(("UPDATE meta SET value = ? WHERE key = 'generation'", n) for n in (-1, None, "x", b"x")),
    *(("UPDATE meta SET value = ? WHERE key = 'uuid'", n) for n in (None, "x", 7, "g" * 32)),
    *(("UPDATE channels SET dimension = ?", n) for n in (-1, 0, "x", 1 << 40, 1.5, 7)),
    *(("UPDATE channels SET dtype = ?", n) for n in ("", "float64", "object", b"x", 3)),
    *(("UPDATE channels SET metric = ?", n) for n in ("", "hamming", "evil", b"x", 3)),
    *(("UPDATE channels SET bits = ?", n) for n in (-1, 3, "x", 1 << 40)),
    *(("UPDATE channels SET card = ?", n) for n in ("", "x", "../x", 3, b"x")),
    *(("UPDATE channels SET non_negative = ?", n) for n in (2, -1, "x")),
    *(("UPDATE channels SET model = ?", n) for n in (b"x", "x" * 5000)),
    *(("UPDATE channels SET fingerprint = ?", n) for n in (b"x", "x" * 5000, "another")),
    *(("UPDATE roots SET number = ?", n) for n in (-1, 1 << 62)),
    ("UPDATE roots SET path = ?", "text"),
    *(
        ("UPDATE files SET name = ? WHERE rowid = (SELECT min(rowid) FROM files)", n)
        for n in ("../x", "/x", "", ".", "..", b"x", "a\0b")
    ),
    *(("UPDATE files SET bytes = ?", n) for n in (-1, 1 << 62, "x", b"x", 1.5)),
    *(("UPDATE files SET sha256 = ?", n) for n in ("", "x", "A" * 64, b"x", 7)),
    ("UPDATE files SET segment = ? WHERE rowid = (SELECT min(rowid) FROM files)", "../x"),
    ("DELETE FROM channels WHERE 1 OR ?", 1),
    ("DELETE FROM meta WHERE key = ?", "next_id"),
    ("DROP TABLE roots", None),
    ("CREATE VIEW v AS SELECT 1 AS a", None),
    ("CREATE TRIGGER t AFTER UPDATE ON meta BEGIN DELETE FROM segments; END", None),
]


def test_a_value_that_no_library_writes_is_refused_by_name(folder: Path) -> None:
    manifest = folder / "manifest.sqlite"
    sound = manifest.read_bytes()
    passed = []
    for statement, value in BAD_VALUES:
        manifest.write_bytes(sound)
        told = ""
        edit(folder, statement, *([value] if "?" in statement else []))
        try:
            Library.open(folder, device="cpu").close()
            passed.append((statement, value))
        except (LibraryDamaged, ModelError) as error:  # another fingerprint is another model
            told = str(error)
        assert len(told) < 500, "one short line"
        assert "\n" not in told
        assert verify(folder, device="cpu"), (statement, value)
    assert passed == []


def test_a_bitmap_is_unpacked_into_no_more_than_its_items_need(folder: Path) -> None:
    import tracemalloc

    edit(folder, "UPDATE segments SET removed = ?", zlib.compress(bytes(1 << 26), 9))
    tracemalloc.start()
    with pytest.raises(LibraryDamaged, match="bitmap"):
        Library.open(folder, device="cpu")
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()
    edit(folder, "UPDATE segments SET items = ?", 1 << 31)
    with pytest.raises(LibraryDamaged, match="items"):
        Library.open(folder, device="cpu")


@pytest.mark.parametrize("at", [0, 16, 100, 4096, 8192, 12288])
def test_bytes_of_the_manifest_that_sqlite_cannot_read_are_damage(folder: Path, at: int) -> None:
    path = folder / "manifest.sqlite"
    data = bytearray(path.read_bytes())
    data[at : at + 64] = b"\xff" * len(data[at : at + 64])
    path.write_bytes(data)
    with suppress(LibraryError):  # nothing else may come of it
        Library.open(folder, device="cpu").remove("/rows/9")
    assert any("manifest.sqlite" in problem for problem in verify(folder, deep=True, device="cpu"))


def test_a_changed_manifest_is_told_and_never_sealed_anew(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "manifest.sqlite")) as db, db:
        db.execute("UPDATE segments SET removed = NULL")
    with Library.open(folder, device="cpu") as library:
        assert any("seal" in problem for problem in library.verify(deep=True))
        with pytest.raises(LibraryDamaged, match="seal"):
            library.remove("/rows/9")
        assert any("seal" in problem for problem in library.verify(deep=True))


def offsets_at(data: bytes) -> int:
    """Where the offsets of paths `0`, `1`, ... stand in an items file: they ascend by the length of a name."""
    return data.find(struct.pack("<20q", *np.cumsum([0, *(len(str(i)) for i in range(19))])))


@pytest.mark.parametrize("value", [1 << 40, -5, 1 << 62, (1 << 63) - 1, 2])
def test_offsets_that_point_elsewhere_are_refused_when_opened(tmp_path: Path, value: int) -> None:
    from tests.library.rows import library_of_rows

    library_of_rows(tmp_path / "library", rows()).close()
    [path] = (tmp_path / "library" / "segments").rglob("items.arrow")
    data = bytearray(path.read_bytes())
    at = offsets_at(data)
    assert at > 0
    struct.pack_into("<q", data, at + 8 * 10, value)
    path.write_bytes(data)
    with pytest.raises(LibraryDamaged, match=r"items\.arrow"):
        Library.open(tmp_path / "library", device="cpu")
    assert any("items.arrow" in problem for problem in verify(tmp_path / "library", device="cpu"))


@pytest.mark.parametrize("kind", ["other length", "no header", "nested", "huge", "object", "fortran"])
@pytest.mark.parametrize("name", ["ids.npy", "keys.npy"])
def test_a_damaged_header_is_refused_when_opened(folder: Path, name: str, kind: str) -> None:
    path = next((folder / "segments").rglob(name))
    data = path.read_bytes()
    header = data[:128]
    made: dict[str, bytes] = {
        "other length": header.replace(b"(", b"(9", 1),
        "no header": b"\x93NUMPY" + b"\xff" * 122,
        "nested": header[:10] + (b"(" * 117) + b"\n",
        "huge": header.replace(b"<i8", b"<S9").replace(b"<u8", b"<S9"),
        "object": header.replace(b"'<i8'", b"'|O8'").replace(b"'<u8'", b"'|O8'"),
        "fortran": header.replace(b"False", b"0o8,a"),
    }
    path.write_bytes(made[kind][:128] + data[128:])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        with pytest.raises(LibraryDamaged, match=name):
            Library.open(folder, device="cpu")


def test_verify_names_every_file_that_changed_and_does_not_stop_at_one(folder: Path, rng: np.random.Generator) -> None:
    changed = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.parent != folder and p.suffix != ".json"):
        data = bytearray(path.read_bytes())
        if not data:
            continue
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        changed.append(path)
    found = verify(folder, deep=True, device="cpu")
    named = [path for path in changed if any(path.name in f or f"models/{path.parent.name}" in f for f in found)]
    assert named == changed
    assert len(found) >= len(changed) - 1, "the two files of a card are told together"


NO_COUNTS = [1.5, "3", None, True, 0, -1, 1 << 63, 1 << 70, (1 << 63) - 1, [3], b"3", np.nan, object(), 10**5000]
NO_LIMITS = ["x", "0.5", b"1", True, [0.5], np.array([0.1, 0.2]), np.nan, -1, object(), 10**400, 1j]


@pytest.mark.parametrize("k", NO_COUNTS, ids=lambda k: type(k).__name__)
def test_k_that_is_no_number_of_neighbours_is_refused_in_one_line(folder: Path, k: Any) -> None:
    with Library.open(folder, device="cpu") as library, pytest.raises(InputError, match="k is") as error:
        library.search_rows(rows()[:1].astype(np.float32), k=k)
    assert len(str(error.value)) < 200
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("limit", NO_LIMITS, ids=lambda limit: type(limit).__name__)
def test_max_distance_that_is_no_number_is_refused_in_one_line(folder: Path, limit: Any) -> None:
    with Library.open(folder, device="cpu") as library, pytest.raises(InputError, match="max_distance is") as error:
        library.search_rows(rows()[:1].astype(np.float32), max_distance=limit)
    assert len(str(error.value)) < 200
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", [int, np.int8, np.int64, np.uint64])
@pytest.mark.parametrize("real", [float, np.float16, np.float32, np.float64])
def test_numbers_of_any_type_are_taken(folder: Path, kind: Any, real: Any) -> None:
    asked: NDArray[np.float32] = rows()[:2].astype(np.float32)
    with Library.open(folder, device="cpu") as library:
        found = library.search_rows(asked, k=kind(3), max_distance=real(0.5))
        assert found == library.search_rows(asked, k=3, max_distance=0.5)


@pytest.mark.parametrize("number", ["9" * 19, "9" * 30, "9" * 5000, str(1 << 63)])
def test_an_id_that_no_item_can_have_is_not_found(folder: Path, number: str) -> None:
    with Library.open(folder, device="cpu") as library, pytest.raises(InputError):
        library.remove(f"id:{number}")


@pytest.mark.parametrize(
    "key", ["file", "channel", "metric", "spec", "segments", "rows", "bytes", "sha256", "curve", None]
)
@pytest.mark.parametrize("value", [None, -1, 7, 1 << 70, "x", [], [[1]], {}, {"k": 0}], ids=repr)
def test_a_description_of_an_index_with_any_value_is_told_or_not_asked(
    folder: Path, key: str | None, value: Any
) -> None:
    [path] = (folder / "indexes").glob("*.json")
    told = json.loads(path.read_text())
    told.pop("seal")
    path.write_text(json.dumps(value if key is None else {**told, key: value}))
    with warnings.catch_warnings(), Library.open(folder, device="cpu") as library:
        warnings.simplefilter("ignore", RuntimeWarning)
        assert len(library.search_rows(rows()[:2].astype(np.float32), k=K)[0].matches) == K
        library.info()
        assert any("optimize" in problem for problem in library.verify())


@pytest.mark.parametrize("file", ["items.arrow", "rejects.arrow", "fake.arrow"])
def test_a_column_whose_name_is_no_text_is_damage(tmp_path: Path, file: str) -> None:
    library = make(tmp_path / "library")
    library.add(album(tmp_path / "photos", range(3)), settings=HERE)
    path = library.snapshot.segments[0].folder / file
    whole = path.read_bytes()
    for name in [*library.snapshot.segments[0].items.schema.names, "code", "item", "part", "row"]:
        data, at = bytearray(whole), whole.find(name.encode() + b"\0")
        while at >= 0:
            data[at] = 0xFF
            at = whole.find(name.encode() + b"\0", at + 1)
        path.write_bytes(data)
        if data != whole:
            with pytest.raises(LibraryDamaged):
                Library.open(tmp_path / "library")
