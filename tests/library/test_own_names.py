"""What is the user's is never touched: a library is made where nothing is, sweeps its own names, follows no link."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from simsearch.errors import LibraryDamaged, LibraryExists, LibraryLocked, LibraryNotFound, SimsearchError
from simsearch.library import Library
from simsearch.library.format.layout import INDEXES, LOCK, LOGS, MANIFEST, MODELS, SEGMENTS
from simsearch.library.format.lock import writer_lock
from simsearch.library.write.writer import Writer
from tests.fake import FakeExtractor
from tests.library.helpers import HERE, album, make
from tests.library.rows import library_of_rows
from tests.search.rows import clustered


def tree(folder: Path) -> dict[str, object]:
    """All that a folder holds: contents of files, targets of links."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        found[name] = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else None
    return found


def filled(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"precious")


USERS_OWN: dict[str, Callable[[Path], object]] = {
    "folder in segments": lambda f: filled(f / SEGMENTS / "train" / "mask.png"),
    "file in segments": lambda f: filled(f / SEGMENTS / "mask.png"),
    "32 digits in segments": lambda f: filled(f / SEGMENTS / uuid4().hex / "mask.png"),
    "half-made name in segments": lambda f: filled(f / SEGMENTS / f"{uuid4().hex}.partial" / "mask.png"),
    "segments is a file": lambda f: filled(f / SEGMENTS),
    "segments is a link": lambda f: (f / SEGMENTS).symlink_to(f.parent),
    "empty folder of models": lambda f: (f / MODELS).mkdir(),
    "models": lambda f: filled(f / MODELS / "mini" / "model.toml"),
    "indexes": lambda f: filled(f / INDEXES / "index.faiss"),
    "index of our name": lambda f: filled(f / INDEXES / "mini-js-0123456789ab.faiss"),
    "manifest of another program": lambda f: filled(f / MANIFEST),
    "lock of another program": lambda f: filled(f / LOCK),
    "log without a manifest": lambda f: filled(f / LOGS[0]),
    "any file": lambda f: filled(f / "thesis.tex"),
    "hidden file": lambda f: filled(f / ".keep"),
    "any folder": lambda f: (f / "photos").mkdir(),
    "lock is a link": lambda f: (f / LOCK).symlink_to(f.parent / "profile"),
}


@pytest.mark.parametrize("what", USERS_OWN)
def test_a_folder_with_anything_of_the_users_is_refused_and_stays(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    filled(tmp_path / "profile")
    USERS_OWN[what](folder)
    before = tree(tmp_path)
    for _ in range(2):
        with pytest.raises((LibraryExists, LibraryDamaged)) as caught:
            make(folder)
        assert "index" not in str(caught.value).replace(INDEXES, "").replace("index files", "").replace(".faiss", "")
        with pytest.raises(SimsearchError):
            Library.open(folder)
        assert tree(tmp_path) == before


HALF_MADE: dict[str, Callable[[Path], object]] = {
    "missing": lambda f: f.rmdir(),
    "empty": lambda _: None,
    "lock": lambda f: (f / LOCK).touch(),
    "lock of a dead process": lambda f: (f / LOCK).write_bytes(b"4711                "),
    "empty segments": lambda f: (f / SEGMENTS).mkdir(),
    "empty manifest": lambda f: (f / MANIFEST).touch(),
    "manifest without tables": lambda f: _without_tables(f / MANIFEST),
}


def _without_tables(path: Path) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")


@pytest.mark.parametrize("what", HALF_MADE)
def test_a_library_is_made_where_nothing_is_or_where_making_one_was_broken_off(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "library"
    folder.mkdir()
    HALF_MADE[what](folder)
    with pytest.raises(LibraryNotFound):
        Library.open(folder)
    assert make(folder).add(album(tmp_path / "photos", range(2)), settings=HERE).added == 2
    assert Library.open(folder).verify(deep=True) == []


FOREIGN = (
    *("train", "0123", "A" * 32, "0" * 31, "0" * 33, f"{'0' * 32}.part", f"x{'0' * 32}", f"{'0' * 32}.partial.bak"),
    f"{'0' * 32}.aside",
)


def test_sweeping_takes_our_names_alone_and_says_so(tmp_path: Path) -> None:
    make(tmp_path / "library").add(album(tmp_path / "photos", range(2)), settings=HERE)
    segments = tmp_path / "library" / SEGMENTS
    half = segments / f"{uuid4().hex}.partial"
    filled(half / "items.arrow")
    published = segments / uuid4().hex
    for path in [published, segments / f"{uuid4().hex}.partial", *(segments / name for name in FOREIGN)]:
        filled(path / "mask.png")
    filled(segments / uuid4().hex)  # a file, where ours are folders
    filled(tmp_path / "home" / "holiday.jpg")
    (segments / uuid4().hex).symlink_to(tmp_path / "home")
    aside = published.with_name(f"{published.name}.aside")
    gone = {str(half.relative_to(tmp_path)) + end for end in ("", "/items.arrow")}
    expected = {
        path.replace(published.name, aside.name) if published.name in path else path
        for path in set(tree(tmp_path)) - gone
    }
    with Library.open(tmp_path / "library", extractor=FakeExtractor(), device="cpu") as library:
        library.add(tmp_path / "photos", settings=HERE)
        assert sorted(library.swept) == sorted(f"{SEGMENTS}/{path.name}" for path in (half, aside))
        assert set(tree(tmp_path)) - set(map("library/".__add__, LOGS)) == expected
        library.add(tmp_path / "photos", settings=HERE)
        assert library.swept == ()


def test_the_session_that_made_a_library_sweeps_nothing(tmp_path: Path) -> None:
    library = make(tmp_path / "library")
    strange = tmp_path / "library" / SEGMENTS / uuid4().hex
    filled(strange / "mask.png")
    library.add(album(tmp_path / "photos", range(2)), settings=HERE)
    library.optimize()
    assert (strange / "mask.png").exists()


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with two segments, an index, a card and a lock."""
    from tests.library.rows import grow

    folder = tmp_path_factory.mktemp("indexed") / "library"
    with library_of_rows(folder, clustered(300, 16, seed=0)) as library:
        library.optimize(recall=0.3, kind="flat")
        grow(library, clustered(8, 16, seed=1), start=300)
    (folder / MODELS).mkdir()
    return folder


def places(folder: Path) -> list[Path]:
    return [*sorted(path.relative_to(folder) for path in folder.rglob("*")), *map(Path, LOGS)]


def writes(folder: Path) -> None:
    with Library.open(folder, device="cpu") as library:
        library.remove("id:0", purge=True)
        library.optimize(recall=0.3, kind="flat")


def reads(folder: Path) -> None:
    with Library.open(folder, device="cpu") as library:
        library.search_rows(library.snapshot.segments[0].channels["rows"].row[:1].copy(), k=3)


@pytest.mark.parametrize("command", [reads, writes, Library.repair])
def test_a_link_in_place_of_anything_of_ours_is_refused(
    tmp_path: Path, indexed: Path, command: Callable[[Path], object]
) -> None:
    for number, place in enumerate(places(indexed)):
        folder, home = tmp_path / f"library-{number}", tmp_path / f"home-{number}"
        shutil.copytree(indexed, folder)
        target = folder / place
        if target.exists():
            target.rename(home)
        else:
            filled(home)
        target.symlink_to(home)
        before = tree(home) if home.is_dir() else home.read_bytes()
        if command is Library.repair and len(place.parts) > 1:
            command(folder)  # puts the segment aside, the link with it
        else:
            with pytest.raises(LibraryDamaged, match="link"):
                command(folder)
        assert (tree(home) if home.is_dir() else home.read_bytes()) == before, place
        shutil.rmtree(folder)


@pytest.mark.parametrize("name", [LOCK, MANIFEST])
def test_a_file_with_a_second_name_is_not_written_to(tmp_path: Path, indexed: Path, name: str) -> None:
    folder = shutil.copytree(indexed, tmp_path / "library")
    (folder / LOCK).touch()
    os.link(folder / name, tmp_path / "other")
    before = (tmp_path / "other").read_bytes()
    reads(folder)
    with pytest.raises(LibraryDamaged):
        writes(folder)
    assert (tmp_path / "other").read_bytes() == before


def test_the_library_itself_may_be_a_link_or_lie_behind_one(tmp_path: Path, indexed: Path) -> None:
    shutil.copytree(indexed, tmp_path / "real" / "library")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "direct").symlink_to(tmp_path / "real" / "library")
    writes(tmp_path / "link" / "library")
    reads(tmp_path / "direct")
    assert Library.open(tmp_path / "direct").verify(deep=True) == []


@pytest.mark.parametrize("special", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, indexed: Path, special: Callable[[Path], None]) -> None:
    for number, place in enumerate(place for place in places(indexed) if not (indexed / place).is_dir()):
        folder = shutil.copytree(indexed, tmp_path / str(number))
        (folder / place).unlink(missing_ok=True)
        special(folder / place)
        with pytest.raises(LibraryDamaged):
            writes(folder)
        shutil.rmtree(folder)


def test_a_process_is_told_that_it_is_itself_that_writes(tmp_path: Path) -> None:
    library = make(tmp_path / "library")
    with Writer(tmp_path / "library"):
        with pytest.raises(LibraryLocked, match=f"this very process {os.getpid()} ") as caught:
            library.remove("id:0")
        assert "stop it" not in str(caught.value)
    (tmp_path / "other").mkdir()
    lock = tmp_path / "other" / LOCK
    held = os.open(lock, os.O_RDWR | os.O_CREAT)
    import fcntl

    fcntl.flock(held, fcntl.LOCK_EX)  # as in another container, where the process has the same number
    os.pwrite(held, f"{os.getpid():<20}".encode(), 0)
    with pytest.raises(LibraryLocked, match=f"^process {os.getpid()} "), writer_lock(lock):
        pass
    os.close(held)
