"""Disks that fill up under every command: trials for test_full_disk, and `python -m tests.library.full_disks` for more.

A small file system is mounted in memory, which needs the right to mount; a library on it is left with so much room as a
trial says, and one command is run. It ends well or with `StorageFull`; then nothing that was committed is lost, no lock
and no descriptor is kept, and with room again the same command ends well.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from simsearch.errors import StorageFull
from simsearch.library import Library
from simsearch.library.format.layout import LOCK, MANIFEST
from tests.fake import FakeExtractor
from tests.library.helpers import HERE, album, make

_SIZE = "2m"
_BLOCK = 512


def opened(folder: Path) -> Library:
    return Library.open(folder, extractor=FakeExtractor(), device="cpu")


def _open_and(act: Callable[[Library, Path], object]) -> Callable[[Path, Path], None]:
    def run(folder: Path, photos: Path) -> None:
        with opened(folder) as library:
            act(library, photos)

    return run


def _lose_and_repair(folder: Path, _photos: Path) -> None:
    (folder / MANIFEST).unlink(missing_ok=True)
    Library.repair(folder)


def _without_lock(folder: Path, _photos: Path) -> None:
    (folder / LOCK).unlink(missing_ok=True)
    with opened(folder) as library:
        library.optimize()


def _create(folder: Path, _photos: Path) -> None:
    make(folder.with_name("new")).close()


def _remove(folder: Path, photos: Path, *, purge: bool) -> None:
    with opened(folder) as library:
        name = photos / "0003.png"
        if library.snapshot.by_path(bytes(name)) is not None or purge:
            with suppress(ValueError):  # the retry of a purge that got so far
                library.remove(name, purge=purge)


COMMANDS: dict[str, Callable[[Path, Path], None]] = {
    "create": _create,
    "add": _open_and(lambda library, photos: library.add(photos.with_name("more"), settings=HERE)),
    "remove": lambda folder, photos: _remove(folder, photos, purge=False),
    "purge": lambda folder, photos: _remove(folder, photos, purge=True),
    "merge": _open_and(lambda library, _photos: library.optimize()),
    "merge without a lock": _without_lock,
    "index": _open_and(lambda library, _photos: library.optimize(recall=0.01, kind="flat")),
    "repair": _lose_and_repair,
}


@contextmanager
def small_disk(place: Path, size: str = _SIZE) -> Iterator[Path]:
    """A file system of that size.

    Raises:
        PermissionError: nothing can be mounted here.
    """
    place.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        raise PermissionError("no tmpfs can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(path: Path, room: int) -> None:
    """Write until so many bytes are left."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        with suppress(OSError):
            while True:
                os.write(descriptor, bytes(_BLOCK))
        os.ftruncate(descriptor, max(0, os.fstat(descriptor).st_size - room))
    finally:
        os.close(descriptor)


def descriptors() -> list[str]:
    """The files that are open, by name; pipes belong to processes that earlier tests keep or let go of."""
    gc.collect()
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one by which this folder was read
            found.append(str(descriptor.readlink()))
    return sorted(name for name in found if name.startswith("/"))


def require_let_go(folder: Path, before: list[str]) -> None:
    """Whatever happened, the lock can be had and the files that are open are those of before."""
    assert descriptors() == before, "a descriptor was kept"
    if (folder / LOCK).exists():
        descriptor = os.open(folder / LOCK, os.O_RDWR)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)


def trial(place: Path, command: str, room: int) -> str:
    """Return how a command ends on a disk with so much room: `done` or `StorageFull`.

    Raises:
        AssertionError: something was lost or kept.
    """
    photos = album(place / "photos", range(8))
    album(place / "more", range(20, 24))
    with small_disk(place / "disk") as disk:
        folder = disk / "library"
        with make(folder) as library:
            for end in (4, 8):
                library.add([photos / f"{i:04d}.png" for i in range(end)], settings=HERE)
            library.remove(photos / "0007.png")
        held = {0, 1, 2, 4, 5, 6} if command in {"remove", "purge"} else set(range(7))
        fill(disk / "ballast", room)
        before = descriptors()
        try:
            COMMANDS[command](folder, photos)
            ended = "done"
        except StorageFull as error:
            ended = "StorageFull" if "no room left" in str(error) else str(error)
        require_let_go(folder, before)
        if (folder / MANIFEST).exists():
            with opened(folder) as library:
                assert held <= set(library.snapshot.ids().tolist()), "something was lost"
        (disk / "ballast").unlink()
        COMMANDS[command](folder, photos)
        with opened(folder) as library:
            assert held <= set(library.snapshot.ids().tolist())
            assert library.verify(deep=True) == []
    return ended


def run(commands: Sequence[str], rooms: Sequence[int]) -> dict[str, dict[str, int]]:
    """Return how often each command ended in which way, over disks with so much room each."""
    counts: dict[str, Counter[str]] = {command: Counter() for command in commands}
    for command in commands:
        for room in rooms:
            with tempfile.TemporaryDirectory() as place:
                try:
                    counts[command][trial(Path(place), command, room)] += 1
                except Exception as error:
                    counts[command][f"{type(error).__name__}: {error}"[:100]] += 1
    return {command: dict(found) for command, found in counts.items()}


if __name__ == "__main__":
    step = int(sys.argv[1]) if len(sys.argv) > 1 else 4096
    print(json.dumps(run(list(COMMANDS), range(0, 400_000, step)), indent=1))
