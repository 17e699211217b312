"""A library outlives its makers: every version is opened for ever, and can be copied while it is written to."""

from __future__ import annotations

import re
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simsearch.errors import LibraryDamaged
from simsearch.library import Library
from simsearch.library.layout import MANIFEST
from simsearch.library.manifest import FORMAT
from tests.library.golden.make import NAMES, make, rows
from tests.library.helpers import HERE, album, live_paths
from tests.library.helpers import make as make_library
from tests.library.rows import grow

GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).parents[2]
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
    assert f"| {FORMAT} | " in (ROOT / "docs" / "format.md").read_text()


def test_what_is_made_today_is_what_the_golden_libraries_hold(tmp_path: Path) -> None:
    make(tmp_path / "library")
    with Library.open(tmp_path / "library", device="cpu") as library:
        check(library)


@pytest.mark.parametrize("stated", ["DELETE FROM meta", "UPDATE meta SET value = '1; no'"])
def test_a_manifest_without_a_version_is_of_the_first(tmp_path: Path, stated: str) -> None:
    import sqlite3
    from contextlib import closing

    folder = shutil.copytree(GOLDEN / "v1", tmp_path / "library")
    with closing(sqlite3.connect(folder / MANIFEST)) as db, db:
        db.execute(f"{stated} WHERE key = 'format'")
    if stated.startswith("DELETE"):
        check(Library.open(folder, device="cpu"))
    else:
        with pytest.raises(LibraryDamaged, match="format"):
            Library.open(folder, device="cpu")


def documented() -> Any:
    """`copy_library` of docs/format.md."""
    [block] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "format.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)
    return names["copy_library"]


def test_a_library_is_copied_while_it_is_written_to(tmp_path: Path) -> None:
    """Items come and go in pairs, and segments merge away, under fourteen copies; each is one commit, whole."""
    copy_library, problems, stop = documented(), list[str](), threading.Event()
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
