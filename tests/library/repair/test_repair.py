"""`repair`: a lost or damaged manifest is made again from the segments, and what is not known is said."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simsearch.errors import LibraryDamaged, LibraryNotFound, LibraryTooNew
from simsearch.library import Library
from simsearch.library.format.atomic_files import Step
from simsearch.library.format.layout import LOGS, MANIFEST, SEGMENTS
from simsearch.library.format.snapshot import Place
from tests.fake import FakeExtractor
from tests.library.helpers import HERE, album, live_paths, make, paint
from tests.library.test_own_names import tree

GOLDEN = Path(__file__).parents[1] / "golden"


def lose(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def flip(folder: Path) -> None:
    data = bytearray((folder / MANIFEST).read_bytes())
    data[data.find(b"tablemetameta") + 6] ^= 1
    (folder / MANIFEST).write_bytes(data)


LOSSES: dict[str, Callable[[Path], object]] = {
    "missing": lose,
    "empty": lambda f: (f / MANIFEST).write_bytes(b""),
    "one byte": lambda f: (f / MANIFEST).write_bytes(b"S"),
    "cut": lambda f: (f / MANIFEST).write_bytes((f / MANIFEST).read_bytes()[:5000]),
    "zeros": lambda f: (f / MANIFEST).write_bytes(bytes(20000)),
    "noise": lambda f: (f / MANIFEST).write_bytes(np.random.default_rng(0).bytes(20000)),
    "flipped": flip,
    "of another program": lambda f: _foreign(f / MANIFEST),
}


def _foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE notes (text)")


def _row(library: Library, place: Place) -> bytes:
    return np.asarray(library.snapshot.row(place, library.channel.name)).tobytes()


def facts(library: Library) -> dict[str, Any]:
    """What must survive: ids, paths, labels and rows of all live items."""
    snapshot = library.snapshot
    items = [
        (snapshot.id(place), path, snapshot.stamp(place), snapshot.labels(place), _row(library, place))
        for place, path in snapshot.paths()
    ]
    return {
        "items": sorted(items),
        "next_id": snapshot.state.next_id,
        "channels": library.channels,
        "roots": set(snapshot.state.roots),
        "order": [segment.uuid for segment in snapshot.segments],
    }


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """A library with replaced, touched and merged items, rejects, and nothing that was only removed."""
    photos = album(tmp_path / "photos", range(8))
    (photos / "broken.jpg").write_bytes(b"no picture")
    library = make(tmp_path / "library")
    library.add(photos, settings=HERE)
    paint(photos / "0001.png", 101)
    library.add(photos, settings=HERE)  # replaced: a new id for its path
    (photos / "0002.png").touch()
    library.add(photos, settings=HERE, rescan=True)  # touched: the same id in a newer segment
    library.optimize()
    paint(photos / "0003.png", 103)
    (photos / "0004.png").touch()
    library.add(album(photos, range(20, 23)), settings=HERE)
    library.close()
    return tmp_path / "library"


def opened(folder: Path) -> Library:
    return Library.open(folder, extractor=FakeExtractor(), device="cpu")


@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_is_deleted_and_all_comes_back(used: Path, loss: str) -> None:
    with opened(used) as library:
        before = facts(library)
    LOSSES[loss](used)
    left = tree(used / SEGMENTS)
    for call in (Library.open, make):
        with pytest.raises(LibraryDamaged, match="simsearch repair") as caught:
            call(used)
        assert "simsearch index" not in str(caught.value)
        assert tree(used / SEGMENTS) == left
    old = (used / MANIFEST).read_bytes() if (used / MANIFEST).exists() else None
    report = Library.repair(used)
    assert (report.made, report.items, report.aside) == (True, 11, {})
    assert any("removed" in sentence for sentence in report.unknown) or loss in {"cut", "flipped"}
    assert tree(used / SEGMENTS) == left
    assert old is None if report.kept is None else (used / report.kept).read_bytes() == old
    with opened(used) as library:
        assert facts(library) == before
        assert library.verify(deep=True) == []
        assert library.add(used.parent / "photos", settings=HERE).unchanged == 11
        assert library.add(album(used.parent / "more", range(50, 52)), settings=HERE).added == 2
        assert min(library.snapshot.ids()[-2:]) >= before["next_id"]
        assert library.verify(deep=True) == []


def test_a_sound_library_is_left_as_it_is(used: Path) -> None:
    before = tree(used)
    report = Library.repair(used)
    assert (report.made, report.items) == (False, 11)
    assert {name: held for name, held in tree(used).items() if name not in {*LOGS, "writer.lock"}} == {
        name: held for name, held in before.items() if name not in {*LOGS, "writer.lock"}
    }


def test_what_was_removed_comes_back_and_that_is_said_unless_the_old_manifest_tells(used: Path) -> None:
    with opened(used) as library:
        library.remove(used.parent / "photos" / "0000.png")
        before = facts(library)
    kept = shutil.copytree(used, used.with_name("kept"))
    with closing(sqlite3.connect(kept / MANIFEST)) as db, db:
        db.execute("DROP TABLE files")
        db.execute("DROP TABLE roots")
    assert not any("removed:" in sentence for sentence in Library.repair(kept).unknown)
    with opened(kept) as library:
        assert facts(library) == before
    lose(used)
    report = Library.repair(used)
    assert report.items == 11
    assert any("removed" in sentence for sentence in report.unknown)
    with opened(used) as library:
        assert bytes(used.parent / "photos" / "0000.png") in live_paths(library)


@pytest.mark.parametrize("known", [True, False], ids=["manifest readable", "manifest lost"])
@pytest.mark.parametrize("file", ["items.arrow", "fake.arrow", "rejects.arrow", "keys.npy", "contents.npy", "ids.npy"])
@pytest.mark.parametrize("how", ["cut", "missing"])
def test_a_segment_that_cannot_be_read_is_left_aside_by_name(used: Path, file: str, how: str, *, known: bool) -> None:
    with opened(used) as library:
        bad, good = library.snapshot.segments[0].folder, library.snapshot.segments[1]
        expected = len(good)
    data = (bad / file).read_bytes()
    (bad / file).unlink()
    if how == "cut":
        (bad / file).write_bytes(data[: len(data) // 3])
    if not known:
        lose(used)
    left = tree(bad)
    report = Library.repair(used)
    [(name, why)] = report.aside.items()
    assert bad.name in name
    assert why
    assert tree(used / name) == left
    with opened(used) as library:
        assert len(library) == report.items == expected
        library.remove(f"id:{library.snapshot.ids()[0]}")
        assert tree(used / name) == left, "no later writer sweeps it"
        assert library.verify(deep=True) == []
    assert not Library.repair(used).made


def test_a_half_written_segment_is_left_aside(used: Path) -> None:
    half = used / SEGMENTS / f"{'0' * 32}.partial"
    half.mkdir()
    (half / "items.arrow").write_bytes(b"half")
    lose(used)
    assert [name for name in Library.repair(used).aside if half.name in name]
    assert opened(used).verify(deep=True) == []


def test_what_a_merge_replaced_does_not_come_back(tmp_path: Path) -> None:
    """A writer that dies between the commit of a merge and deleting what it merged leaves both."""

    def die(step: Step) -> None:
        if step is Step.MERGE_COMMITTED:
            raise KeyboardInterrupt

    photos = album(tmp_path / "photos", range(4))
    make(tmp_path / "library").add(photos, settings=HERE)
    library = Library.open(tmp_path / "library", extractor=FakeExtractor(), on_step=die, device="cpu")
    library.remove(photos / "0001.png")
    with pytest.raises(KeyboardInterrupt):
        library.optimize()
    assert len(list((tmp_path / "library" / SEGMENTS).iterdir())) == 2
    lose(tmp_path / "library")
    report = Library.repair(tmp_path / "library")
    assert (report.items, [why for why in report.aside.values() if "merged" in why] != []) == (3, True)
    assert opened(tmp_path / "library").verify(deep=True) == []


@pytest.mark.parametrize("version", sorted(path.name for path in GOLDEN.glob("v*") if path.is_dir()))
def test_segments_of_every_version_are_enough(tmp_path: Path, version: str) -> None:
    """In the oldest the model stands nowhere: what is taken for it is said, and giving the model works."""
    folder = shutil.copytree(GOLDEN / version, tmp_path / "library")
    with Library.open(folder, device="cpu") as library:
        before = facts(library)
    lose(folder)
    report = Library.repair(folder)
    assert (report.items, len(report.aside)) == (8, 0)
    assert any("which model" in sentence for sentence in report.unknown)
    with Library.open(folder, device="cpu") as library:
        assert set(facts(library)["items"]) >= set(before["items"])
        assert (library.channel.fingerprint, library.channel.metric, library.channel.non_negative) == ("r0", "js", True)
        assert library.verify(deep=True) == []
        assert library.search_rows(np.ones((1, 16), np.float16), k=1)


def test_a_card_in_the_library_tells_the_model(tmp_path: Path) -> None:
    from simsearch.extract.load import load_extractor

    library = Library.create(tmp_path / "library", model="mini", device="cpu")
    library.add(album(tmp_path / "photos", range(2)), settings=HERE)
    channel, segment = library.channel, library.snapshot.segments[0]
    lose(tmp_path / "library")
    for path in segment.folder.glob("mini.arrow"):  # as an older simsearch wrote it
        import pyarrow as pa

        with pa.memory_map(str(path)) as source:
            batch = pa.ipc.open_file(source).get_batch(0)
        metadata = {key: value for key, value in batch.schema.metadata.items() if key != b"manifest"}
        path.unlink()
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema.with_metadata(metadata)) as writer:
            writer.write_batch(batch.replace_schema_metadata(metadata))
    report = Library.repair(tmp_path / "library")
    assert not [sentence for sentence in report.unknown if "model" in sentence]
    again = Library.open(tmp_path / "library", device="cpu")
    assert again.channel == channel
    assert again.extractor.fingerprint == load_extractor("mini", device="cpu").fingerprint


def test_an_older_manifest_that_was_put_back_costs_nothing(used: Path) -> None:
    """A writer would take what came later for a dead one's leftovers."""
    older = (used / MANIFEST).read_bytes()
    with opened(used) as library:
        library.add(album(used.parent / "more", range(60, 62)), settings=HERE)
        library.add(album(used.parent / "most", range(70, 72)), settings=HERE)
        before = facts(library)
    (used / MANIFEST).write_bytes(older)
    left = tree(used / SEGMENTS)
    assert sum("newer than the manifest" in line for line in Library.open(used).verify()) == 1, (
        "the first may be a dead one's"
    )
    with pytest.raises(LibraryDamaged, match="simsearch repair"), opened(used) as library:
        library.remove("id:0")
    assert tree(used / SEGMENTS) == left
    assert Library.repair(used).items == 15
    with opened(used) as library:
        assert facts(library) == before
        assert library.verify(deep=True) == []


def test_where_nothing_can_be_made_nothing_is_changed(tmp_path: Path) -> None:
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(LibraryNotFound):
            Library.repair(folder)
    make(tmp_path / "library")
    (tmp_path / "library" / MANIFEST).write_bytes(b"noise" * 1000)
    before = tree(tmp_path / "library")
    with pytest.raises(LibraryDamaged, match="no segment"):
        Library.repair(tmp_path / "library")
    assert tree(tmp_path / "library") == before


def test_a_newer_library_is_refused_by_name(used: Path) -> None:
    with closing(sqlite3.connect(used / MANIFEST)) as db, db:
        db.execute("UPDATE meta SET value = 7 WHERE key = 'format'")
    before = tree(used / SEGMENTS)
    for call in (Library.open, make, Library.repair):
        with pytest.raises(
            LibraryTooNew, match="made by a newer simsearch: it has format 7 and this one reads up to 1"
        ):
            call(used)
    assert tree(used / SEGMENTS) == before


def test_a_repair_that_was_broken_off_goes_on(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(used) as library:
        library.remove(used.parent / "photos" / "0000.png")
        before = facts(library)
    with closing(sqlite3.connect(used / MANIFEST)) as db, db:
        db.execute("DROP TABLE roots")
    real, calls = Path.rename, [0]

    def rename(path: Path, target: Path) -> Path:
        if calls[0] == stop:
            raise OSError("pulled the plug")
        calls[0] += 1
        return real(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    for stop in range(3):
        calls[0] = 0
        with pytest.raises(OSError, match="plug") if stop < 2 else pytest.MonkeyPatch.context():
            Library.repair(used)
    monkeypatch.undo()
    with opened(used) as library:
        assert facts(library)["items"] == before["items"]


EDITS = (
    "DELETE FROM segments",
    "DELETE FROM segments WHERE rank = (SELECT min(rank) FROM segments)",
    "DELETE FROM segments WHERE rank = (SELECT max(rank) FROM segments)",
    "UPDATE segments SET rank = rank + 1",
    "UPDATE segments SET removed = NULL",
    "UPDATE meta SET value = value + 6 WHERE key = 'generation'",
    "UPDATE meta SET value = value - 1 WHERE key = 'generation'",
    "UPDATE meta SET value = value || ' x' WHERE key = 'dropped'",
    "UPDATE files SET sha256 = replace(sha256, 'a', 'b')",
)


@pytest.mark.parametrize("edit", EDITS)
def test_a_manifest_that_says_something_else_is_told_and_nothing_goes_by_it(used: Path, edit: str) -> None:
    with opened(used) as library:
        before = facts(library)
    with closing(sqlite3.connect(used / MANIFEST)) as db, db:
        db.execute(edit)
    there = {path.name for path in (used / SEGMENTS).iterdir()}
    assert any("seal" in line for line in Library.open(used).verify())
    for write in (lambda: opened(used).remove("id:0"), lambda: opened(used).optimize()):
        with pytest.raises(LibraryDamaged):
            write()
    assert {path.name for path in (used / SEGMENTS).iterdir()} == there
    if "sha256" in edit:
        return
    report = Library.repair(used)
    assert report.made
    assert any("seal" in line for line in report.unknown)
    held = {path.name.removesuffix(".aside") for path in (used / SEGMENTS).iterdir()}
    assert held == there, "nothing is deleted"
    with opened(used) as library:
        assert facts(library)["items"] == before["items"]


def test_a_manifest_of_one_commit_before_costs_nothing(used: Path, tmp_path: Path) -> None:
    kept = {name: (used / name).read_bytes() for name in (MANIFEST, *LOGS) if (used / name).exists()}
    with opened(used) as library:
        library.add(album(tmp_path / "later", range(70, 73)), settings=HERE)
        added = {place.segment for place, path in library.snapshot.paths() if b"later" in (path or b"")}
        [name] = [library.snapshot.segments[s].uuid for s in added]
    for log in (MANIFEST, *LOGS):
        (used / log).unlink(missing_ok=True)
    for log, data in kept.items():
        (used / log).write_bytes(data)
    with opened(used) as library:
        library.remove("id:0")
        assert library.swept == (f"{SEGMENTS}/{name}.aside",), "it is kept"
    (used / SEGMENTS / f"{name}.aside").rename(used / SEGMENTS / name)
    assert Library.repair(used).made
    with opened(used) as library:
        assert sum(b"later" in path for path in live_paths(library)) == 3
