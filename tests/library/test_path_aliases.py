"""One file has one identity however it is named; what is removed by any of its names is gone under all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from simsearch.errors import InputError
from simsearch.library import AddReport, Library
from tests.library.helpers import HERE, CountingExtractor, album, live_paths, make

Name = Callable[[Path], object]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pictures in `p/deep`, links to folders of every kind around them, and the current folder beside."""
    album(tmp_path / "p" / "deep", range(2))
    (tmp_path / "beside" / "lists").mkdir(parents=True)
    (tmp_path / "q").symlink_to("p")
    (tmp_path / "r").symlink_to(tmp_path / "q")
    (tmp_path / "outer").mkdir()
    (tmp_path / "outer" / "in").symlink_to(tmp_path / "p" / "deep")
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "down").symlink_to(tmp_path / "p" / "deep")
    monkeypatch.chdir(tmp_path / "beside")
    return tmp_path


def a_list(world: Path, line: object, name: str = "list") -> dict[str, object]:
    (world / "beside" / "lists" / name).write_text(f"path\n{line}\n" if name.endswith("csv") else f"{line}\n")
    return {"from_list": world / "beside" / "lists" / name}


FOLDERS: list[Name] = [
    lambda w: w / "p" / "deep",
    lambda w: f"{w}/p/./deep/",
    lambda w: f"//{w}//p//deep",
    lambda w: f"{w}/beside/../p/deep",
    lambda w: "../p/deep",
    lambda w: ".././beside/../p//deep/.",
    lambda w: os.fsencode(w / "q" / "deep"),
    lambda w: "../r/deep",
    lambda w: w / "outer" / "in",
    lambda w: f"{w}/far/down/../deep",  # the parent of what `down` leads to
]
FILE = "0000.png"


@pytest.mark.parametrize("second", range(len(FOLDERS)))
@pytest.mark.parametrize("seed", range(2))
def test_a_file_of_any_two_names_is_one_item_and_goes_by_a_third(world: Path, second: int, seed: int) -> None:
    rng = np.random.default_rng(100 * seed + second)
    first, third, fourth = (FOLDERS[i](world) for i in rng.permutation(len(FOLDERS))[:3])
    again = FOLDERS[second](world)
    library = make(world / "library", extractor := CountingExtractor())
    assert library.add(first, settings=HERE) == AddReport(added=2)
    assert library.add(again, settings=HERE) == AddReport(unchanged=2)
    assert library.add([first, again, fourth], settings=HERE, rescan=True) == AddReport(unchanged=6)
    assert (extractor.embedded, len(library)) == (2, 2)
    assert library.remove(os.path.join(os.fsdecode(third), FILE)) == 1  # type: ignore[arg-type]  # noqa: PTH118
    assert library.remove(fourth, purge=True) == 1
    assert (len(library), library.info().segments) == (0, 0)


def test_a_single_call_knows_names_that_come_later(world: Path) -> None:
    for order in (FOLDERS, FOLDERS[::-1]):
        library = make(world / f"library-{order is FOLDERS}")
        report = library.add([name(world) for name in order], settings=HERE)
        assert report == AddReport(added=2, unchanged=2 * len(FOLDERS) - 2)
        assert report.same_file == 0


@pytest.mark.parametrize("kind", ["list", "list.csv"])
@pytest.mark.parametrize(
    "line", ["../../p/deep/0000.png", "../../q/deep/0000.png", "./../../outer/in//0000.png", "{w}/r/deep/0000.png"]
)
def test_a_list_and_a_folder_mean_the_same_file(world: Path, kind: str, line: str) -> None:
    given = a_list(world, line.format(w=world), kind)
    for list_first in (True, False):
        library = make(world / f"library-{list_first}")
        adds = [given, {"paths": world / "p"}] if list_first else [{"paths": world / "p"}, given]
        for add in adds:
            library.add(**add, settings=HERE)  # type: ignore[arg-type]
        assert len(library) == 2
        assert library.remove("../q") == 2


def test_names_are_shown_as_they_were_given(world: Path) -> None:
    library = make(world / "library")
    library.add(world / "outer", settings=HERE)
    assert live_paths(library) == [bytes(world / "outer" / "in" / f"000{i}.png") for i in range(2)]
    library.remove(world / "outer")
    library.add("../q", settings=HERE)
    assert live_paths(library) == [bytes(world / "q" / "deep" / f"000{i}.png") for i in range(2)]


def test_pruning_by_another_name_finds_what_is_gone(world: Path) -> None:
    library = make(world / "library")
    library.add("../q", settings=HERE)
    (world / "p" / "deep" / FILE).unlink()
    assert library.add(world / "p", settings=HERE, prune=True) == AddReport(unchanged=1, pruned=1)
    assert library.add(world / "outer", settings=HERE, prune=True) == AddReport(unchanged=1)
    assert len(library) == 1


def test_a_replaced_file_stays_one_item(world: Path) -> None:
    library = make(world / "library")
    library.add("../q", settings=HERE)
    album(world / "p" / "deep", [7]).joinpath("0007.png").replace(world / "p" / "deep" / FILE)
    assert library.add(world / "p", settings=HERE) == AddReport(unchanged=1, replaced=1)
    assert len(library) == 2


def test_links_and_hard_links_to_a_file_are_told(world: Path) -> None:
    deep = world / "p" / "deep"
    os.link(deep / FILE, deep / "hard.png")
    (deep / "soft.png").symlink_to(FILE)
    shutil.copy2(deep / FILE, deep / "copy.png")
    library = make(world / "library")
    report = library.add(world / "p", settings=HERE)
    assert (report, report.same_file) == (AddReport(added=2, exact_copies=3), 2)
    assert library.add([world / "p", deep], settings=HERE).same_file == 2
    assert library.remove(deep / "soft.png") == 1  # the link alone


def test_a_moved_folder_is_told(world: Path) -> None:
    library = make(world / "library")
    library.add(world / "p", settings=HERE)
    (world / "p").rename(world / "moved")
    report = library.add(world / "moved", settings=HERE)
    assert (report, report.copies_of_gone) == (AddReport(exact_copies=2), 2)
    assert library.add(world / "p", settings=HERE, prune=True, prune_empty=True) == AddReport(pruned=2)
    assert len(library) == 2


@pytest.mark.parametrize("empty", ["", b"", Path(), [""], ["p", b""]])
def test_an_empty_path_removes_nothing(world: Path, empty: object) -> None:
    os.chdir(world)
    library = make(world / "library")
    library.add("p", settings=HERE)
    with pytest.raises(InputError, match="empty path"):
        library.remove(empty)  # type: ignore[arg-type]
    if not isinstance(empty, Path):
        for wrong in (lambda: library.add(empty, settings=HERE), lambda: library.search(empty, settings=HERE)):  # type: ignore[arg-type]
            with pytest.raises(InputError, match="empty path"):
                wrong()
    with pytest.raises(InputError, match="empty"):
        library.add(from_list="")
    assert library.remove(".") == 2


def empty_folder(root: Path) -> None:
    shutil.rmtree(root)
    root.mkdir()


def side_cars_alone(root: Path) -> None:
    empty_folder(root)
    (root / ".hidden").touch()
    (root / "Thumbs.db").touch()
    (root / "lost+found").mkdir()


@pytest.mark.parametrize(
    ("spoil", "name"),  # a link to nothing is a reject, and what cannot be read stays
    [(spoil, name) for spoil in (empty_folder, side_cars_alone) for name in ("p", "q", "both")]
    + [(shutil.rmtree, "p"), (shutil.rmtree, "both")],
)
def test_pruning_refuses_a_root_in_which_nothing_is_found(
    world: Path, spoil: Callable[[Path], None], name: str
) -> None:
    library = make(world / "library")
    album(world / "other", range(5, 7))
    library.add([world / "p", world / "other"], settings=HERE)
    spoil(world / "p")
    album(world / "other", [9])
    given = [world / "other", world / "p"] if name == "both" else [world / name]
    with pytest.raises(InputError):
        library.add(given, settings=HERE, prune=True)
    assert len(library) == 4  # nothing was done
    assert library.add(given, settings=HERE, prune=True, prune_empty=True).pruned == 2
    with pytest.raises(InputError, match="existing path"):
        library.add(world / "mistyped", settings=HERE, prune=True, prune_empty=True)


def unreadable_alone(root: Path) -> None:
    empty_folder(root)
    (root / "lost+found").symlink_to(root / "lost+found")  # a loop cannot be read even by root


def a_file(root: Path) -> None:
    shutil.rmtree(root)
    root.write_bytes(b"\1\2\3")


def others_alone(root: Path) -> None:
    side_cars_alone(root)
    (root / "broken.jpg").write_bytes(b"broken")


@pytest.mark.parametrize("spoil", [empty_folder, side_cars_alone, unreadable_alone, a_file, others_alone])
@pytest.mark.parametrize("kept", ["", "p"])
def test_absence_is_not_deletion(world: Path, spoil: Callable[[Path], None], kept: str) -> None:
    """The whole root is spoilt, or the topmost, a deeper or a linked folder of it beside others."""
    if not kept:
        cases = [(world / "p", world / "p")]
    else:
        cases = [(world / "p" / name, world / "p") for name in ("disk", "a/disk", "disk/b/c")]
        cases += [(world / "p" / "disk", world / "q")]
    for number, (folder, root) in enumerate(cases):
        library = make(world / f"library{number}")
        album(folder, range(20, 23))
        library.add(world / "p", settings=HERE)
        size = len(library)
        spoil(folder)
        if kept and spoil in (a_file, others_alone):  # it was replaced, not unmounted
            assert library.add(root, settings=HERE, prune=True).pruned == 3
        else:
            with pytest.raises(InputError, match=f"{folder}.*mounted.*--prune-empty"):
                library.add(root, settings=HERE, prune=True)
            with pytest.raises(InputError, match="mounted"):
                library.would_prune(root)
            assert len(library) == size
            assert library.add(root, settings=HERE, prune=True, prune_empty=True).pruned == (3 if kept else size)
        shutil.rmtree(folder) if folder.is_dir() else folder.unlink()


def test_deleted_folders_and_changed_files_are_no_absence(world: Path) -> None:
    library = make(world / "library")
    album(world / "p" / "a" / "b", range(20, 23))
    library.add(world / "p", settings=HERE)
    shutil.rmtree(world / "p" / "a")
    assert library.add(world / "p", settings=HERE, prune=True) == AddReport(unchanged=2, pruned=3)
    (world / "p" / "deep" / FILE).unlink()
    (world / "p" / "deep" / "0001.png").write_bytes(b"changed")
    report = library.add(world / "p", settings=HERE, prune=True)
    assert (report.rejected, report.pruned) == (1, 1)


def test_pruning_refuses_a_tar_without_members(world: Path) -> None:
    import tarfile

    with tarfile.open(world / "s.tar", "w") as tar:
        tar.add(world / "p" / "deep" / FILE, "a.png")
    library = make(world / "library")
    library.add(world / "s.tar", settings=HERE)
    tarfile.open(world / "s.tar", "w").close()
    with pytest.raises(InputError, match="mounted"):
        library.add(world / "s.tar", settings=HERE, prune=True)
    assert library.add(world / "s.tar", settings=HERE, prune=True, prune_empty=True).pruned == 1


@pytest.mark.parametrize(("root", "name"), [("q", b"deep/"), ("beside/lists", b"../../q/deep/")])
def test_libraries_of_earlier_versions_go_on(world: Path, root: str, name: bytes) -> None:
    """As they stored it: the path as given, `..` of a list and all."""
    from dataclasses import replace

    from simsearch.images import find

    library = make(world / "library")
    old = [replace(found, root=bytes(world / root), name=name + found.name, link=None) for found in find(["../q/deep"])]  # type: ignore[union-attr]
    from simsearch.library.write.add_images import add

    with library._intake(HERE, None, lambda _: {}) as intake:
        add(intake, lambda: library.extractor, old, settings=HERE)
    assert library.add(world / "p", settings=HERE) == AddReport(unchanged=2)
    assert library.add(world / "q", settings=HERE) == AddReport(unchanged=2)
    (world / "p" / "deep" / "0001.png").unlink()
    assert library.add(world / "p", settings=HERE, prune=True) == AddReport(unchanged=1, pruned=1)
    album(world / "p" / "deep", [1])
    assert library.add(world / "q", settings=HERE) == AddReport(unchanged=1, added=1)
    assert library.remove(world / "p" / "deep" / FILE) == 1
    assert library.remove(world / "p") == 1


def test_opened_again_it_still_knows_all_names(world: Path) -> None:
    with make(world / "library") as library:
        library.add(world / "outer", settings=HERE)
    with Library.open(world / "library", extractor=CountingExtractor(), device="cpu") as library:
        library.optimize()
        assert library.add(world / "p", settings=HERE) == AddReport(unchanged=2)
        assert library.remove(world / "p") == 2
