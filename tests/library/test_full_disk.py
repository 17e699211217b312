"""P5: a full disk has a name in every command, loses nothing, and every lock and descriptor is given back."""

from __future__ import annotations

import errno
import io
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from simsearch.errors import IndexFailed, LibraryLocked, StorageFull
from simsearch.library import Library
from simsearch.library.format.atomic_files import naming_full_disk
from simsearch.library.format.layout import LOCK
from tests.library.full_disks import COMMANDS, descriptors, opened, require_let_go, small_disk, trial
from tests.library.helpers import HERE, album, make

NO_CHILD = [command for command in COMMANDS if command != "index"]


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is such a place: flushing costs nothing there."""
    shared = Path("/dev/shm")
    parent = shared if shared.is_dir() and os.access(shared, os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=parent) as place:
        yield Path(place)


@pytest.fixture
def mountable(tmp_path: Path) -> Path:
    try:
        with small_disk(tmp_path / "disk"):
            return tmp_path
    except PermissionError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("room", [0, 36_000])
@pytest.mark.parametrize("command", NO_CHILD)
def test_a_disk_that_is_full(mountable: Path, command: str, room: int) -> None:
    assert trial(mountable, command, room) == "StorageFull"


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_disk_with_any_room(tmp_path: Path, mountable: Path, command: str) -> None:
    assert mountable == tmp_path
    for room in range(0, 400_000, 8192):
        place = tmp_path / str(room)
        place.mkdir()
        assert trial(place, command, room) in {"StorageFull", "done"}


class Faults:
    """Lets the n-th call of the system's functions that need room fail, as on a full disk."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.at = -1
        self.calls = 0
        self.full = False
        for module, name in (
            *((os, name) for name in ("open", "pwrite", "fsync", "rename", "mkdir", "statvfs")),
            (io, "open"),
            (shutil, "copyfile"),
        ):
            patch.setattr(module, name, self._wrapped(getattr(module, name), name))
        connect, faults = sqlite3.connect, self

        class Connection(sqlite3.Connection):
            def execute(self, *arguments: Any) -> Any:
                faults._step(_sqlite_error)
                return super().execute(*arguments)

        patch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, factory=Connection, **k))

    def _wrapped(self, real: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if name == "statvfs" and self.full:
                return SimpleNamespace(f_bavail=0, f_frsize=4096)
            if name != "statvfs" and (name != "open" or _writes(arguments)):
                self._step(lambda: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            return real(*arguments, **options)

        return call

    def _step(self, error: Callable[[], Exception]) -> None:
        if self.at < 0:
            return
        self.calls += 1
        if self.calls == self.at:
            self.full = True
            raise error()

    @contextmanager
    def failing(self, at: int) -> Iterator[None]:
        self.at, self.calls, self.full = at, 0, False
        try:
            yield
        finally:
            self.at, self.full = -1, False


def _writes(arguments: tuple[Any, ...]) -> bool:
    """Whether a call of an `open` is for writing: by flags or by mode."""
    how = arguments[1] if len(arguments) > 1 else "r"
    if isinstance(how, int):
        return bool(how & (os.O_CREAT | os.O_WRONLY | os.O_RDWR))
    return bool(set(how) & set("wxa+"))


def _sqlite_error() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    return error


@pytest.mark.parametrize("command", NO_CHILD)
@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 11])
def test_any_step_may_fail(memory: Path, monkeypatch: pytest.MonkeyPatch, command: str, every: int) -> None:
    photos = album(memory / "photos", range(8))
    album(memory / "more", range(20, 22))
    whole = memory / "whole" / "library"
    with make(whole) as library:
        for end in (4, 8):
            library.add([photos / f"{i:04d}.png" for i in range(end)], settings=HERE)
        library.remove(photos / "0007.png")
    held = {0, 1, 2, 4, 5, 6}
    faults = Faults(monkeypatch)
    at = 1
    while True:
        place = memory / f"{at}"
        folder = shutil.copytree(whole, place / "library")
        with opened(folder):
            pass
        before = descriptors()
        ended = "done"
        with faults.failing(at):
            try:
                COMMANDS[command](folder, photos)
            except StorageFull:
                ended = "StorageFull"
            reached = faults.calls >= at
        require_let_go(folder, before)
        COMMANDS[command](folder, photos)
        with opened(folder) as library:
            assert held <= set(library.snapshot.ids().tolist())
            assert library.verify(deep=True) == [], f"{at}: {ended}"
        shutil.rmtree(place)
        if not reached:
            assert ended == "done"
            break
        at += every
    assert at > 10


@pytest.mark.parametrize(
    "code", ["SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC", "SQLITE_CANTOPEN"]
)
def test_sqlite_and_faiss_on_a_full_disk_are_named_and_on_another_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = getattr(sqlite3, code)
    for wrong in (error, IndexFailed("it cannot be written")):
        with pytest.raises(type(wrong)), naming_full_disk(tmp_path):
            raise wrong
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=3, f_frsize=4096))
    for wrong in (error, IndexFailed("it cannot be written")):
        with pytest.raises(StorageFull, match="make room"), naming_full_disk(tmp_path / "manifest.sqlite"):
            raise wrong


def test_an_index_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from simsearch.search.indexes.index import Index

    def write(_index: Index, path: Path) -> None:
        path.write_bytes(b"half")
        monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=0, f_frsize=4096))
        raise IndexFailed("write error")

    library = make(tmp_path / "library")
    library.add(album(tmp_path / "photos", range(4)), settings=HERE)
    monkeypatch.setattr(Index, "write", write)
    with pytest.raises(StorageFull):
        library.optimize(recall=0.01, kind="flat")
    assert list((tmp_path / "library" / "indexes").iterdir()) == []


def test_a_lock_that_could_not_be_written_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = make(tmp_path / "library")
    library.add(album(tmp_path / "photos", range(2)), settings=HERE)
    (tmp_path / "library" / LOCK).unlink()
    before = descriptors()

    def full(*_arguments: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        for _ in range(3):
            with pytest.raises(StorageFull):
                library.remove("id:0")
    assert descriptors() == before
    assert library.remove("id:0") == 1
    with pytest.raises(LibraryLocked), Library.open(tmp_path / "library")._writing():
        library.optimize()
