"""A library outlives its makers: every version is opened for ever, and can be copied while it is written to."""

from __future__ import annotations

import hashlib
import re
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simsearch.errors import LibraryDamaged
from simsearch.library import Library
from simsearch.library.format.layout import MANIFEST
from simsearch.library.format.manifest import FORMAT, Manifest
from simsearch.library.verdicts.log import append
from simsearch.library.verdicts.verdict import verdict
from tests.library.golden.make import NAMES, make, rows
from tests.library.helpers import HERE, album, live_paths
from tests.library.helpers import make as make_library
from tests.library.rows import grow

GOLDEN = Path(__file__).parent / "golden"
PAGE = (Path(__file__).parents[2] / "docs" / "format.md").read_text()
VERSIONS = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir() and path.name.startswith("v"))
LIVE = [0, 1, 3, 4, 5, 7]


def check(library: Library) -> None:
    """All that `golden/make.py` put into it is there."""
    assert library.verify(deep=True) == []
    found = {library.snapshot.id(place): (place, path) for place, path in library.snapshot.paths()}
    assert sorted(found) == LIVE
    for i, (place, path) in found.items():
        assert path == b"/photos/" + NAMES[i]
        assert library.snapshot.stamp(place) == (100 + i, 1)
        assert library.snapshot.labels(place)[0] == ("Anna" if i % 2 else None)
        np.testing.assert_array_equal(library.snapshot.row(place, "rows"), rows()[i])
    answers = library.search_rows(rows(), k=1)
    assert [answers[i].matches[0].id for i in LIVE] == LIVE
    assert [answers[i].matches[0].distance for i in LIVE] == [0] * len(LIVE)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_library_of_every_version_is_read_searched_and_written_to(tmp_path: Path, version: str) -> None:
    folder = shutil.copytree(GOLDEN / version, tmp_path / "library")
    with Library.open(folder, device="cpu") as library:
        check(library)
        [index] = library.info().indexes
        assert (index.usable, index.rows) == (True, 4)
        grow(library, rows(10)[8:], start=100)
        assert library.remove("id:8") == 1
        with pytest.warns(
            RuntimeWarning, match="no longer fits the library and was removed"
        ):  # five rows show no recall
            library.optimize()
        assert library.remove("id:9", purge=True) == 1
        check(library)
    with Library.open(folder, device="cpu") as library:
        check(library)


def test_there_is_a_golden_library_of_the_present_version() -> None:
    versions = {int(re.match(r"v(\d+)", name)[1]) for name in VERSIONS}  # type: ignore[index]
    assert versions == set(range(1, FORMAT + 1))
    assert f"| {FORMAT} | " in PAGE


def test_what_is_made_today_is_what_the_golden_libraries_hold(tmp_path: Path) -> None:
    make(tmp_path / "library")
    with Library.open(tmp_path / "library", device="cpu") as library:
        check(library)


@pytest.mark.parametrize("stated", ["DELETE FROM meta", "UPDATE meta SET value = '1; no'"])
def test_a_manifest_without_a_version_is_of_the_first(tmp_path: Path, stated: str) -> None:
    folder = shutil.copytree(GOLDEN / "v1", tmp_path / "library")
    with closing(sqlite3.connect(folder / MANIFEST)) as db, db:
        db.execute(f"{stated} WHERE key = 'format'")
    if stated.startswith("DELETE"):
        check(Library.open(folder, device="cpu"))
    else:
        with pytest.raises(LibraryDamaged, match="format"):
            Library.open(folder, device="cpu")


def documented(name: str) -> Any:
    """A function of docs/format.md."""
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(block, names)
    return names[name]


def tables() -> list[list[list[str]]]:
    """The tables of docs/format.md: the cells of their lines, without heads."""
    found = re.findall(r"^\|[-|]+\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [[line.strip("|").split(" | ") for line in table.splitlines()] for table in found]


def table_of(first: str) -> dict[str, str]:
    """First and second cell of each line of the one table that begins with a name."""
    [table] = [table for table in tables() if first in table[0][0]]
    return {line[0].strip(" `"): line[1].strip() for line in table}


@pytest.fixture(params=["v1", "today"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A library that is read as docs/format.md says."""
    if request.param == "today":
        make(tmp_path / "library")
        return tmp_path / "library"
    return shutil.copytree(GOLDEN / request.param, tmp_path / "library")


def queried(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / MANIFEST)) as db:
        return db.execute(query).fetchall()


def test_a_library_is_read_without_simsearch(folder: Path) -> None:
    found = list(documented("read_library")(folder, "rows"))
    assert [(i, path) for i, path, _ in found] == [(i, b"/photos/" + NAMES[i]) for i in LIVE]
    np.testing.assert_array_equal([row for _, _, row in found], rows()[LIVE])


def test_the_page_names_every_table_and_column_of_the_manifest(folder: Path, tmp_path: Path) -> None:
    stated = table_of("meta")
    assert "verdicts" not in {name for (name,) in queried(folder, "SELECT name FROM sqlite_master")}
    shutil.copytree(folder, tmp_path / "judged")
    folder = tmp_path / "judged"
    append(Manifest(folder), [verdict(bytes([1] * 32), bytes([2] * 32), "reject", by="Anna")])
    assert set(stated) == {name for (name,) in queried(folder, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    for table, columns in stated.items():
        named = re.findall(r"`(\w+)`", columns.partition(":")[0])
        assert [row[1] for row in queried(folder, f"PRAGMA table_info({table})")] == named
    keys = set(re.findall(r"`(\w+)`", stated["meta"].partition(":")[2]))
    assert {key for (key,) in queried(folder, "SELECT key FROM meta")} <= keys


def test_the_page_names_every_column_of_a_segment(folder: Path) -> None:
    only_batch = documented("only_batch")
    for segment in (folder / "segments").iterdir():
        items, rows_of, rejects = (only_batch(segment / f"{name}.arrow") for name in ("items", "rows", "rejects"))
        assert {field.name: str(field.type) for field in items.schema} == table_of("path")
        kinds = {field.name: str(field.type).partition("<")[0] for field in rows_of.schema}
        kinds["row"] = kinds["row"].partition("[")[0]
        assert kinds == table_of("`item`")
        assert rejects.schema.names == ["path", "code", "message"]
        assert b"roots" in items.schema.metadata
        assert {b"fingerprint", b"dtype", b"runtime"} <= set(rows_of.schema.metadata)


def test_files_and_keys_are_what_the_page_says(folder: Path) -> None:
    stated = queried(folder, "SELECT segment, name, bytes, sha256 FROM files")
    for segment, name, size, digest in stated:
        data = (folder / "segments" / segment / name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (size, digest)
    assert {name for _, name, _, _ in stated} == {"items.arrow", "rows.arrow", "rejects.arrow", *table_of("ids.npy")}
    for segment in {segment for segment, *_ in stated}:
        items = documented("only_batch")(folder / "segments" / segment / "items.arrow")
        paths = [hashlib.blake2b(b"/photos/" + name, digest_size=8).digest() for name in items["path"].to_pylist()]
        contents = [content[:8] for content in items["sha256"].to_pylist()]
        for name, expected in (("keys.npy", paths), ("contents.npy", contents)):
            keys, positions = np.load(folder / "segments" / segment / name)
            assert [int(key).to_bytes(8, "big") for key in keys] == sorted(expected)
            assert [expected[i] for i in positions] == sorted(expected)
        ids = np.load(folder / "segments" / segment / "ids.npy")
        assert ids.dtype == np.int64
        assert sorted(ids) == list(ids)


def test_a_library_is_copied_while_it_is_written_to(tmp_path: Path) -> None:
    """Items come and go in pairs, and segments merge away, under fourteen copies; each is one commit, whole."""
    copy_library, problems, stop = documented("copy_library"), list[str](), threading.Event()
    library = make_library(tmp_path / "library")
    pairs = [album(tmp_path / f"pair-{i}", (2 * i, 2 * i + 1)) for i in range(6)]
    library.add(pairs[0], settings=HERE)

    def write() -> None:
        try:
            turn = 0
            while not stop.is_set():
                turn += 1
                library.add(pairs[turn % 6], settings=HERE)
                library.remove(pairs[(turn + 5) % 6], purge=turn % 3 == 0)
                if turn % 2:
                    library.optimize()
        except Exception as error:
            problems.append(repr(error))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for turn in range(14):
            folder = tmp_path / ("again" if turn % 2 else f"copy-{turn}")
            copy_library(tmp_path / "library", folder)
            with Library.open(folder, device="cpu") as copy:
                paths = live_paths(copy)
                assert len(paths) % 2 == 0
                assert paths
                assert copy.verify(deep=True) == []
    finally:
        stop.set()
        writer.join()
    assert problems == []
    with Library.open(tmp_path / "again", device="cpu") as copy:
        copy.optimize()
        assert copy.verify(deep=True) == []
