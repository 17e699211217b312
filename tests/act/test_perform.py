"""Laws of acting on duplicates: nothing is ever lost, whatever happens at whatever step."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from simsearch.act import perform, resume, undo
from simsearch.act.duplicates import moving
from simsearch.act.duplicates.plan import Action, Plan
from simsearch.errors import InputError, LibraryLocked, StorageFull
from simsearch.library.format.lock import writer_lock
from tests.act.worlds import Contents, contents, killed_at, plan_for, video, world

ACTIONS: tuple[Action, ...] = ("move", "trash", "link")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return world(tmp_path / "photos")


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without hard links, as on a memory card."""

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(moving.os, "link", refused)


@pytest.fixture
def other_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders between which nothing can be linked, but within which it can."""
    real = os.link

    def link(source: bytes, target: bytes, **how: bool) -> None:
        if os.path.dirname(source) != os.path.dirname(target):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        real(source, target, **how)

    monkeypatch.setattr(moving.os, "link", link)


def united(before: Contents) -> Contents:
    """What is left of a world: what is kept, with what its copies had beside them and it had not."""
    left = {name: data for name, data in before.items() if name.startswith(b"kept")}
    for i in range(sum(name.endswith(b".jpg") for name in left)):
        left[b"kept/%d.jpg.json" % i] = b"note on %d" % i
        if i != 1:
            left[b"kept/%d.xmp" % i] = b"stars of %d" % i
    return left | {b"kept/0.MOV": video(3)}


def planned(folder: Path, action: Action) -> Plan:
    return plan_for(folder, action, folder.parent / "moved" if action == "move" else None)


@pytest.mark.parametrize("action", ACTIONS)
def test_what_was_done_is_undone(folder: Path, tmp_path: Path, action: Action) -> None:
    before, stamps = contents(folder), {path: path.stat().st_mtime_ns for path in folder.rglob("*.jpg")}
    report = perform(planned(folder, action), tmp_path / "journal")
    assert (report.done, report.left) == (3, ())
    if action == "link":
        assert contents(folder) == before
        assert all(path.stat().st_nlink == 2 for path in (folder / "copies").glob("*.jpg"))
    else:
        assert contents(folder) == united(before)
    again = undo(tmp_path / "journal")
    assert (again.done, again.left) == (3, ())
    assert contents(folder) == before
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.jpg")} == stamps
    assert all(path.stat().st_nlink == 1 for path in folder.rglob("*.jpg"))
    assert undo(tmp_path / "journal").done == 0, "a second time there is nothing to undo"
    assert contents(folder) == before


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("disk", ["plain", "no_links", "other_disk"])
def test_a_kill_at_any_step_loses_nothing_and_can_be_gone_on_with_or_undone(
    tmp_path: Path, action: Action, disk: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if action == "link" and disk != "plain":
        pytest.skip("links are made on one disk that has them")
    if disk != "plain":
        request.getfixturevalue(disk)
    number, reached = 0, True
    while reached:
        home = tmp_path / str(number)
        monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
        folder = world(home / "photos", 2 if disk == "plain" else 1)
        before, journal = contents(folder), home / "journal"
        plan = planned(folder, action)

        def work(on_step: Callable[[str], None], plan: Plan = plan, journal: Path = journal) -> None:
            perform(plan, journal, on_step=on_step)

        reached = killed_at(number, work)
        now = {*contents(home).values()}
        assert set(before.values()) <= now, f"lost at step {number}"
        if number % 2:
            resume(journal)
            if action != "link":
                assert contents(folder) == united(before)
            leftovers = [name for name in contents(home) if b".simsearch" in name]
            assert leftovers == []
        undo(journal)
        assert contents(folder) == before, f"not undone after step {number}"
        assert [name for name in contents(home / "photos") if b".simsearch" in name] == []
        assert contents(home / "data") == contents(home / "moved") == {}
        number += 1
    assert number > 6


@pytest.mark.parametrize("action", ACTIONS)
def test_a_kill_of_undo_at_any_step_loses_nothing(
    tmp_path: Path, action: Action, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, reached = 0, True
    while reached:
        home = tmp_path / str(number)
        monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
        folder = world(home / "photos", 2)
        before, journal = contents(folder), home / "journal"
        perform(planned(folder, action), journal)

        def work(on_step: Callable[[str], None], journal: Path = journal) -> None:
            undo(journal, on_step=on_step)

        reached = killed_at(number, work)
        assert set(before.values()) <= {*contents(home).values()}, f"lost at step {number}"
        undo(journal)
        assert contents(folder) == before
        number += 1
    assert number > 3


@pytest.mark.parametrize("action", ACTIONS)
def test_a_torn_line_of_the_journal_is_no_line(folder: Path, tmp_path: Path, action: Action) -> None:
    before = contents(folder)
    perform(planned(folder, action), tmp_path / "journal")
    whole = (tmp_path / "journal").read_bytes()
    (tmp_path / "journal").write_bytes(whole[:-9])
    resume(tmp_path / "journal")
    undo(tmp_path / "journal")
    assert contents(folder) == before


@pytest.mark.parametrize("action", ACTIONS)
def test_the_last_copy_never_goes(folder: Path, tmp_path: Path, action: Action) -> None:
    plan = planned(folder, action)
    kept = [Path(os.fsdecode(unit.kept)) for unit in plan.units]
    kept[0].unlink()
    kept[1].write_bytes(b"somebody edited it")
    kept[2].unlink()
    kept[2].symlink_to(os.fsdecode(plan.units[2].path))  # which is the very file that would go
    report = perform(plan, tmp_path / "journal")
    assert report.done == 0
    assert len(report.left) == 3
    assert all(os.path.exists(unit.path) for unit in plan.units)


@pytest.mark.parametrize("action", ACTIONS)
def test_a_file_that_changed_since_the_plan_is_left_alone(folder: Path, tmp_path: Path, action: Action) -> None:
    plan = planned(folder, action)
    changed, link, gone = (Path(os.fsdecode(unit.path)) for unit in plan.units)
    changed.write_bytes(b"edited meanwhile")
    link.unlink()
    link.symlink_to(os.fsdecode(plan.units[1].kept))
    gone.unlink()
    report = perform(plan, tmp_path / "journal")
    assert report.done == 0
    assert [why for _, why in report.left] == [
        "its content has changed since it was indexed",
        "it is a link now",
        "it is no longer there",
    ]
    assert changed.read_bytes() == b"edited meanwhile"


def test_names_that_collide_are_kept_apart_with_their_sidecars(folder: Path, tmp_path: Path) -> None:
    plan = plan_for(folder, "move", tmp_path / "moved")
    (tmp_path / "moved" / "copies").mkdir(parents=True)
    (tmp_path / "moved" / "copies" / "plain.xmp").write_text("of somebody else")
    perform(plan, tmp_path / "journal")
    names = {path.name for path in (tmp_path / "moved" / "copies").glob("plain*")}
    assert names == {"plain.xmp", "plain (2).jpg", "plain (2).xmp", "plain (2).jpg.json", "plain (2).MOV"}
    assert (tmp_path / "moved" / "copies" / "plain.xmp").read_text() == "of somebody else"


def test_undo_overwrites_nothing_that_came_meanwhile(folder: Path, tmp_path: Path) -> None:
    plan = plan_for(folder, "move", tmp_path / "moved")
    perform(plan, tmp_path / "journal")
    taken = Path(os.fsdecode(plan.units[0].path))
    taken.write_bytes(b"a new picture of the old name")
    report = undo(tmp_path / "journal")
    assert (report.done, [path for path, _ in report.left]) == (2, [plan.units[0].path])
    assert taken.read_bytes() == b"a new picture of the old name"
    assert (tmp_path / "moved" / "copies" / taken.name).exists()


def test_a_folder_that_cannot_be_written_to_is_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(moving.os, "link", refused)
    before = contents(folder)
    report = perform(planned(folder, "trash"), tmp_path / "journal")
    assert all(why.endswith("Permission denied") for _, why in report.left)
    assert len(report.left) == 3
    assert contents(folder) == before
    assert contents(tmp_path / "data") == {}, "no note without a file"


def test_a_full_disk_ends_it_before_the_step(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, real, calls = contents(folder), os.fsync, 0

    def fsync(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    plan = planned(folder, "move")
    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", fsync)
        with pytest.raises(StorageFull):
            perform(plan, tmp_path / "journal")
    assert set(before.values()) <= {*contents(folder).values(), *contents(tmp_path / "moved").values()}
    undo(tmp_path / "journal")
    assert contents(folder) == before


def test_two_processes_do_not_act_at_once(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "state" / "simsearch").mkdir(parents=True)
    with writer_lock(tmp_path / "state" / "simsearch" / "acting.lock"), pytest.raises(LibraryLocked):
        perform(planned(folder, "move"), tmp_path / "journal")
    assert not (tmp_path / "journal").exists()


def test_a_journal_is_never_written_over_and_an_undone_one_not_gone_on_with(folder: Path, tmp_path: Path) -> None:
    perform(planned(folder, "move"), tmp_path / "journal")
    with pytest.raises(InputError, match="there already"):
        perform(planned(folder, "move"), tmp_path / "journal")
    undo(tmp_path / "journal")
    with pytest.raises(InputError, match="undone"):
        resume(tmp_path / "journal")
    (tmp_path / "no-journal").write_text('{"journal": 2}\n')
    with pytest.raises(InputError, match="no journal"):
        undo(tmp_path / "no-journal")


def test_what_is_written_in_the_moment_of_a_link_comes_back(folder: Path, tmp_path: Path) -> None:
    plan = planned(folder, "link")

    def meddle(step: str) -> None:
        if step == "linked":  # through a handle that was open before
            old = next((folder / "copies").glob(".simsearch-0.old"), None)
            if old is not None:
                old.write_bytes(b"written late")

    report = perform(plan, tmp_path / "journal", on_step=meddle)
    assert [path for path, _ in report.left] == [plan.units[0].path]
    assert Path(os.fsdecode(plan.units[0].path)).read_bytes() == b"written late"
    assert Path(os.fsdecode(plan.units[0].kept)).read_bytes() != b"written late"


def test_nothing_that_the_kept_file_has_is_changed(folder: Path, tmp_path: Path) -> None:
    plan = planned(folder, "move")
    taken, edited = (Path(os.fsdecode(place)) for _, place in plan.units[0].copies[:2])
    taken.write_bytes(b"somebody wrote one meanwhile")
    before = contents(folder)
    assert perform(plan, tmp_path / "journal").left == ()
    assert taken.read_bytes() == b"somebody wrote one meanwhile"
    edited.write_bytes(b"edited after it was copied")
    undo(tmp_path / "journal")
    after = contents(folder)
    assert after.pop(os.fsencode(edited.relative_to(folder))) == b"edited after it was copied"
    assert after == before


@pytest.mark.parametrize("changed", ["gone", "edited"])
def test_a_picture_stays_where_its_sidecar_cannot_be_united(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    plan, before = planned(folder, "move"), contents(folder)
    real = moving.written

    def refused(source: bytes, copy: bytes, sha256: str) -> None:
        if changed == "gone":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        Path(os.fsdecode(source)).write_text("edited in that very moment")
        real(source, copy, sha256)

    monkeypatch.setattr(moving, "written", refused)
    report = perform(plan, tmp_path / "journal")
    assert report.done == 0
    assert len(report.left) == 3
    after = contents(folder)
    assert after.keys() == before.keys(), "nothing is left beside what is kept"
    assert contents(tmp_path / "moved") == {}


def test_tags_and_times_go_to_the_kept_file_and_come_back(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags: dict[str, dict[str, bytes]] = {"listed": {}}
    plan = planned(folder, "trash")
    unit = plan.units[0]

    def of(path: bytes) -> dict[str, bytes]:
        return tags.setdefault(os.fsdecode(path), {})

    def add(path: bytes, name: str, value: bytes, flags: int = 0, **_: bool) -> None:
        assert flags == os.XATTR_CREATE
        of(path)[name] = value

    monkeypatch.setattr(os, "listxattr", lambda path, **_: list(of(path)))
    monkeypatch.setattr(os, "getxattr", lambda path, name, **_: of(path)[name])
    monkeypatch.setattr(os, "setxattr", add)
    monkeypatch.setattr(os, "removexattr", lambda path, name: of(path).pop(name))
    of(unit.path).update({"user.xdg.tags": b"holiday", "user.baloo.rating": b"8", "user.checksum": b"1"})
    of(unit.kept).update({"user.baloo.rating": b"2"})
    kept, stamp = Path(os.fsdecode(unit.kept)), Path(os.fsdecode(unit.kept)).stat().st_mtime_ns
    assert perform(plan, tmp_path / "journal").left == ()
    assert of(unit.kept) == {"user.xdg.tags": b"holiday", "user.baloo.rating": b"2"}
    assert kept.stat().st_mtime_ns == 10**18 + next(i for i in range(3) if kept.name == f"{i}.jpg")
    undo(tmp_path / "journal")
    assert of(unit.kept) == {"user.baloo.rating": b"2"}
    assert kept.stat().st_mtime_ns == stamp


def test_a_full_disk_of_the_kept_file_is_named_and_gone_on_with(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, plan = contents(folder), planned(folder, "move")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(moving, "written", full)
        with pytest.raises(StorageFull, match=r"kept/\d"):
            perform(plan, tmp_path / "journal")
    assert contents(folder) == before
    resume(tmp_path / "journal")
    assert contents(folder) == united(before)
    undo(tmp_path / "journal")
    assert contents(folder) == before


def test_what_was_added_is_taken_back_where_the_picture_stays_after_all(folder: Path, tmp_path: Path) -> None:
    before, plan = contents(folder), planned(folder, "trash")

    def stop(step: str) -> None:
        if step == "dated":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        perform(plan, tmp_path / "journal", on_step=stop)
    assert len(contents(folder)) > len(before)
    for unit in plan.units:
        Path(os.fsdecode(unit.kept)).write_bytes(b"edited")
    report = resume(tmp_path / "journal")
    assert (report.done, len(report.left)) == (0, 3)
    assert contents(folder).keys() == before.keys()
