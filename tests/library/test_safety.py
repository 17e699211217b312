"""P5 full disks, P6 one writer and many readers, P10 no file executes code, leftovers of dead writers."""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from simsearch.errors import LibraryDamaged, LibraryError, LibraryLocked, StorageFull
from simsearch.library import AddReport, AddSettings, Library
from simsearch.library.format.atomic_files import Step
from simsearch.library.write.writer import Writer
from tests.fake import FakeExtractor
from tests.library.helpers import HERE, album, live_paths, make


def test_a_second_writer_is_told_who_writes(tmp_path: Path) -> None:
    library = make(tmp_path / "library")
    photos = album(tmp_path / "photos", range(2))
    with Writer(tmp_path / "library"):
        with pytest.raises(LibraryLocked, match=f"process {os.getpid()} "):
            library.add(photos, settings=HERE)
        with pytest.raises(LibraryLocked):
            library.optimize()
        assert len(Library.open(tmp_path / "library")) == 0
    assert library.add(photos, settings=HERE) == AddReport(added=2)


def test_a_writer_in_another_process_is_named(tmp_path: Path) -> None:
    library = make(tmp_path / "library")
    code = (
        "import sys, pathlib; from simsearch.library.write.writer import Writer\n"
        "with Writer(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "library")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(LibraryLocked, match=f"process {child.pid} "):
            library.optimize()
        child.kill()
    library.optimize()


def test_a_reader_keeps_its_commit_until_it_refreshes(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", range(6))
    library = make(tmp_path / "library")
    library.add(photos, settings=HERE)
    reader = Library.open(tmp_path / "library", extractor=FakeExtractor(), device="cpu")
    rows = FakeExtractor().embed(sorted(photos.iterdir()))
    before = reader.search_rows(rows, k=6)
    library.remove(photos / "0002.png")
    library.optimize()
    library.add(album(tmp_path / "more", range(10, 13)), settings=HERE)
    assert reader.search_rows(rows, k=6) == before
    reader.refresh()
    assert len(reader) == 8
    assert 2 not in reader.search_rows(rows, k=8).ids


def test_readers_over_a_writing_library_each_see_one_commit(tmp_path: Path) -> None:
    """Items come and go in pairs, so that any commit holds an even number."""
    pairs = [album(tmp_path / f"pair-{i}", (2 * i, 2 * i + 1)) for i in range(12)]
    library = make(tmp_path / "library")
    problems: list[str] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            with Library.open(tmp_path / "library") as reader:
                paths = live_paths(reader)
                if len(paths) % 2 or len(set(paths)) != len(paths):
                    problems.append(f"{len(paths)} items")

    def guarded() -> None:
        try:
            read()
        except Exception as error:
            problems.append(repr(error))

    readers = [threading.Thread(target=guarded) for _ in range(4)]
    for reader in readers:
        reader.start()
    for i, pair in enumerate(pairs):
        library.add(pair, settings=HERE)
        if i % 3 == 2:
            library.remove(pairs[i - 1])
            library.optimize()
    stop.set()
    for reader in readers:
        reader.join()
    assert problems == []


@pytest.mark.parametrize("step", [Step.SEGMENT_WRITTEN, Step.SEGMENT_RENAMED])
def test_a_full_disk_has_a_name_and_loses_nothing(tmp_path: Path, step: Step) -> None:
    full = [False]

    def on_step(now: Step) -> None:
        if full[0] and now is step:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    photos = album(tmp_path / "photos", range(3))
    library = Library.create(tmp_path / "library", model=FakeExtractor(), device="cpu", on_step=on_step)
    library.add(photos, settings=HERE)
    full[0] = True
    with pytest.raises(StorageFull, match="make room"):
        library.add(album(tmp_path / "more", range(5, 8)), settings=HERE)
    assert len(list((tmp_path / "library" / "segments").iterdir())) == 1 + (step is Step.SEGMENT_RENAMED)
    assert (len(library), library.verify()) == (3, [])
    full[0] = False
    assert library.add(tmp_path / "more", settings=HERE) == AddReport(added=3)
    assert library.verify(deep=True) == []


@pytest.fixture
def small_disk(tmp_path: Path):  # type: ignore[no-untyped-def]
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("no tmpfs can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(path: Path) -> None:
    """Write until the disk is full."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    with suppress(OSError):
        while os.write(descriptor, bytes(512)):
            pass
    os.close(descriptor)


def test_a_disk_that_fills_up(tmp_path: Path, small_disk: Path) -> None:
    library = make(small_disk / "library")
    photos = album(tmp_path / "photos", range(40))
    library.add(photos, settings=HERE)
    held = len(library)
    ballast = small_disk / "ballast"
    fill(ballast)
    with pytest.raises(StorageFull, match="no room"):
        library.add(album(tmp_path / "more", range(100, 140)), settings=HERE)
    with Library.open(small_disk / "library", extractor=FakeExtractor(), device="cpu") as reader:
        assert len(reader) == held
        assert reader.search(photos / "0007.png", k=1).ids.tolist() == [[7]]
    ballast.unlink()
    assert library.add(tmp_path / "more", settings=HERE) == AddReport(added=40)
    assert library.verify(deep=True) == []


class Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("name", ["keys.npy", "contents.npy", "ids.npy", "items.arrow", "fake.arrow"])
@pytest.mark.parametrize("kind", ["pickle", "object array"])
def test_no_file_executes_code(tmp_path: Path, name: str, kind: str) -> None:
    library = make(tmp_path / "library")
    library.add(album(tmp_path / "photos", range(2)), settings=HERE)
    file = library.snapshot.segments[0].folder / name
    bird = tmp_path / "canary"
    file.unlink()
    if kind == "pickle":
        file.write_bytes(pickle.dumps(Canary(bird)))
    else:
        with file.open("wb") as handle:
            np.save(handle, np.array([Canary(bird), None], object), allow_pickle=True)
    with pytest.raises(LibraryDamaged):
        Library.open(tmp_path / "library")
    assert library.verify(deep=True)
    assert not bird.exists()


def test_leftovers_are_swept_by_the_next_writer_and_never_read(tmp_path: Path) -> None:
    library = make(tmp_path / "library")
    library.add(album(tmp_path / "photos", range(2)), settings=HERE)
    segments = tmp_path / "library" / "segments"
    whole, half = segments / uuid4().hex, segments / f"{uuid4().hex}.partial"
    whole.mkdir()
    for path in library.snapshot.segments[0].folder.iterdir():
        (whole / path.name).write_bytes(path.read_bytes())
    half.mkdir()
    (half / "items.arrow").write_bytes(b"half")
    library.refresh()
    assert (len(library), library.verify(deep=True)) == (2, [])
    assert whole.exists(), "a reader changes nothing"
    with Library.open(tmp_path / "library") as later:
        later.remove("id:0")
        kept = f"{whole.name}.aside"
        assert sorted(later.swept) == sorted([f"segments/{kept}", f"segments/{half.name}"])
        assert {path.name for path in segments.iterdir()} == {later.snapshot.segments[0].uuid, kept}
        later.remove("id:1", purge=True)
        assert not (segments / kept).exists(), "a purge leaves nothing"


def test_a_library_is_made_whole_or_again(tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "writer.lock").touch()
    (tmp_path / "library" / "manifest.sqlite").touch()
    with pytest.raises(LibraryError, match="no library"):
        Library.open(tmp_path / "library")
    assert make(tmp_path / "library").verify() == []


def test_a_read_only_library_can_be_searched(tmp_path: Path, small_disk: Path) -> None:
    photos = album(tmp_path / "photos", range(3))
    with make(small_disk / "library") as library:
        library.add(photos, settings=HERE)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with Library.open(small_disk / "library", extractor=FakeExtractor(), device="cpu") as reader:
        assert reader.search(photos / "0001.png", k=1).ids.tolist() == [[1]]
        assert reader.verify(deep=True) == []
        with pytest.raises(OSError, match="Read-only"):
            reader.optimize()


def test_importing_the_room_loads_nothing_heavy() -> None:
    code = (
        "import sys, simsearch.library, simsearch.extract\n"
        "from simsearch.library import Library, AddSettings\n"
        "print(sorted({'torch', 'faiss'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_codes_are_served_without_torch(tmp_path: Path) -> None:
    """Torch takes much memory; a service of hashes has no use for it."""
    with Library.create(tmp_path / "library", model="pdq", device="cpu") as library:
        library.add(album(tmp_path / "photos", range(5)), settings=HERE)
    code = (
        "import sys, numpy\n"
        "from simsearch.library import Library\n"
        "from simsearch.library.indexes import chunk_tables\n"
        "library = Library.open(sys.argv[1], device='cpu')\n"
        "library.prepare()\n"
        "assert library.search(sys.argv[2], k=2).ids[0, 0] == 1\n"
        "code = numpy.zeros((1, 32), numpy.uint8)\n"
        "library.search_rows(code, k=None, max_distance=0.12), library.search_rows(code, k=3)\n"
        "assert library.search_items([1], k=1).ids[0, 0] == 1\n"
        "chunk_tables.ChunkTables.build(library.snapshot, library.channel)\n"
        "print(sorted({'torch', 'faiss'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "library"), str(tmp_path / "photos" / "0001.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="batch_size 0"):
        AddSettings(batch_size=0)
