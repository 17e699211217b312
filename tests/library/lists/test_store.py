"""A list on disk: whole or as before at every step, sealed, and without what was purged."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from simsearch.errors import InputError, LibraryDamaged, LibraryLocked, SimsearchError, StorageFull
from simsearch.library import Library
from simsearch.library.format import atomic_files
from simsearch.library.format.layout import LISTS
from simsearch.library.lists import store
from simsearch.library.lists.codes import Code
from simsearch.library.lists.entries import Change, Listed
from simsearch.library.lists.image_list import ImageList
from tests.library.helpers import make

SECRET = bytes(range(100, 116))
LASTS = Change("x", "lasts", (Listed(Code("md5", bytes(16))),))
GOES = Change("x", "secret-id", (Listed(Code("md5", SECRET)),), tags=("secret tag",))


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return make(tmp_path / "library")


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def state(folder: Path, name: str = "one") -> list[tuple[int, str, bool]]:
    return [
        (entry.id, str(entry.code), entry.withdrawn) for entry in ImageList.open(folder, name).entries(withdrawn=True)
    ]


def test_what_is_written_is_read(library: Library, rng: np.random.Generator) -> None:
    one = library.create_list("one", "allow", prevalence=0.5)
    codes = [Code("sha256", rng.bytes(32)) for _ in range(3000)]
    assert one.apply([Change("x", str(i), (Listed(code),), "t", ("a",)) for i, code in enumerate(codes)]).added == 3000
    again = library.list("one")
    assert (again.kind, again.prevalence, len(again)) == ("allow", 0.5, 3000)
    assert list(again.entries()) == list(one.entries())
    assert again.coded("sha256").values.tobytes() == b"".join(code.value for code in codes)
    assert library.lists() == ("one",)
    assert library.verify(deep=True) == []


def test_a_purge_leaves_nothing_on_the_disk(library: Library) -> None:
    one = library.create_list("one", "block")
    one.apply([LASTS, GOES])
    assert SECRET in on_disk(library.path)
    one.remove([1])
    assert SECRET in on_disk(library.path)  # a tombstone, until the purge
    assert one.purge() == 1
    left = on_disk(library.path)
    assert not any(secret in left for secret in (SECRET, b"secret-id", b"secret tag", SECRET.hex().encode()))
    assert state(library.path) == [(0, f"md5:{'00' * 16}", False)]


def test_what_an_exchange_wants_erased_is_gone_at_once(library: Library) -> None:
    one = library.create_list("one", "block")
    one.apply([LASTS, GOES])
    one.apply([Change("x", "secret-id", withdrawn=True, erase=True)])
    assert SECRET not in on_disk(library.path)


class Killed(BaseException):
    """Stands for the end of the process."""


def stopping_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """End the process before the n-th thing that it does to a disk."""
    done = 0

    def counted(function: Any) -> Any:
        def run(*arguments: Any, **more: Any) -> Any:
            nonlocal done
            done += 1
            if done > step:
                raise Killed
            return function(*arguments, **more)

        return run

    monkeypatch.setattr(atomic_files, "sync", counted(atomic_files.sync))
    for name in ("rename", "unlink", "write_text"):
        monkeypatch.setattr(Path, name, counted(getattr(Path, name)))
    monkeypatch.setattr(pa.ipc, "new_file", counted(pa.ipc.new_file))


def test_killed_at_any_step_a_list_is_as_before_or_as_after(library: Library) -> None:
    one, steps, killed = library.create_list("one", "block"), 0, True
    while killed:
        one.apply([LASTS, GOES])
        before = state(library.path)
        with pytest.MonkeyPatch.context() as patch:
            stopping_at(patch, steps)
            try:
                one.remove([before[-1][0]], purge=True)
                killed = False
            except Killed:
                steps += 1
        assert state(library.path) in (before, before[:1])
        one = library.list("one")
        one.remove([entry.id for entry in one.entries() if entry.id], purge=True)
        assert SECRET not in on_disk(library.path)
        assert library.verify() == []
    assert steps > 3


CHILD = """
import sys
from pathlib import Path
from simsearch.library.lists.codes import Code
from simsearch.library.lists.entries import Change, Listed
from simsearch.library.lists.image_list import ImageList
one = ImageList.open(Path(sys.argv[1]), "one")
print("ready", flush=True)
for i in range(10**6):
    one.apply([Change("x", str(i), (Listed(Code("sha256", i.to_bytes(32, "big"))),))])
    print(i, flush=True)
"""


@contextmanager
def changing(library: Library) -> Iterator[subprocess.Popen[str]]:
    """Another process that lists one number after the other, and prints what is on the disk."""
    with subprocess.Popen([sys.executable, "-c", CHILD, str(library.path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        yield child
        child.kill()


def test_killed_for_real_what_was_acknowledged_is_there(library: Library) -> None:
    library.create_list("one", "block")
    for wait in (0.05, 0.2):
        with changing(library) as child:
            time.sleep(wait)
            child.kill()
            told = [int(line) for line in child.stdout or () if line.endswith("\n")]
        codes = {code for _, code, _ in state(library.path)}
        assert {f"sha256:{i.to_bytes(32, 'big').hex()}" for i in told} <= codes
        assert [line for line in library.verify(deep=True) if ".half" not in line] == []


def test_two_at_once_lose_nothing(library: Library) -> None:
    one = library.create_list("one", "block")
    with changing(library) as child:
        for i in range(20):
            one.apply([Change("y", str(i), (Listed(Code("md5", i.to_bytes(16, "big"))),))])
        child.kill()
        told = [line for line in child.stdout or () if line.endswith("\n")]
    types = ImageList.open(library.path, "one").types()
    assert types["md5"] == 20
    assert types.get("sha256", 0) >= len(told)


def mutants(data: bytes) -> Iterator[bytes]:
    rng = np.random.default_rng(5)
    for at in rng.integers(0, len(data), 150).tolist():
        yield data[:at] + bytes([data[at] ^ (1 << int(rng.integers(8)))]) + data[at + 1 :]
    yield from (data[:at] for at in (0, 8, len(data) // 2, len(data) - 1))


def test_a_damaged_file_is_named_or_says_the_same(library: Library) -> None:
    one = library.create_list("one", "block")
    one.apply([LASTS, GOES])
    before, path = state(library.path), library.path / LISTS / "one.arrow"
    data, refused = path.read_bytes(), 0
    for mutant in mutants(data):
        path.write_bytes(mutant)
        told = [line for line in library.verify() if "one.arrow" in line]
        if told:
            refused += 1
            with pytest.raises(LibraryDamaged, match=r"one\.arrow"):
                library.list("one")
        else:
            assert state(library.path) == before  # padding between what is said
    assert refused > 75


def test_what_is_not_ours_is_left(library: Library, tmp_path: Path) -> None:
    one = library.create_list("one", "block")
    home = library.path / LISTS
    (home / "notes.txt").write_text("mine")
    one.apply([LASTS])
    assert (home / "notes.txt").read_text() == "mine"
    (tmp_path / "elsewhere").write_bytes(b"precious")
    (home / "one.arrow").unlink()
    (home / "one.arrow").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LibraryDamaged, match="must be a file"):
        library.list("one")
    with pytest.raises(LibraryDamaged):
        one.apply([GOES])
    assert (tmp_path / "elsewhere").read_bytes() == b"precious"
    assert library.verify()


@pytest.mark.parametrize("name", ["", "a/b", "..", "é", "a.b", "x" * 65, "a b"])
def test_a_name_is_a_file_name(library: Library, name: str) -> None:
    with pytest.raises(InputError, match="no name of a list"):
        library.create_list(name, "block")


def test_wrong_arguments_are_told(library: Library) -> None:
    one = library.create_list("one", "block")
    for wrong in (
        lambda: library.create_list("one", "block"),
        lambda: library.create_list("two", "deny"),
        lambda: library.create_list("two", "block", prevalence=2),
        lambda: library.list("two"),
        lambda: one.remove([7]),
        lambda: one.remove([Code("md5", bytes(16))]),
        lambda: one.release([7]),
        lambda: list(one.entries(ids=[7])),
        lambda: one.apply([Change("x", "1", (Listed(Code(f"channel:{'0' * 64}", b"ab")),))]),
    ):
        with pytest.raises(InputError):
            wrong()


def test_a_lock_that_is_held_is_waited_for_and_then_told(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    one = library.create_list("one", "block")
    monkeypatch.setattr(store, "_WAIT_S", 0.1)
    with store.locked(library.path), pytest.raises(LibraryLocked):
        one.apply([LASTS])
    assert one.apply([LASTS]).added == 1


def test_a_full_disk_has_a_name(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    one = library.create_list("one", "block")
    one.apply([LASTS])

    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_files, "sync", full)
    with pytest.raises(StorageFull):
        one.apply([GOES])
    monkeypatch.undo()
    assert not list((library.path / LISTS).glob("*.half"))
    assert len(library.list("one")) == 1
    assert one.apply([GOES]).added == 1


def test_counts_that_were_damaged_are_told(library: Library) -> None:
    one = library.create_list("one", "block")
    one.apply([LASTS])
    one.note_checks(5, {0: 2}, lambda _: [0])
    path = library.path / LISTS / "one.seen.json"
    assert library.list("one").sightings.aside == {0}
    path.write_text(path.read_text().replace('"checks": 5', '"checks": 6'))
    with pytest.raises(SimsearchError, match="seal differs"):
        library.list("one")
    assert any("one.seen.json" in line for line in library.verify())
    path.unlink()
    assert library.list("one").sightings.checks == 0
