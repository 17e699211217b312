"""A right to erasure: after a purge no byte of any file of the library tells of what was removed."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simsearch.errors import InputError
from simsearch.library import Library
from simsearch.library.format.layout import MANIFEST
from tests.fake import FakeExtractor
from tests.library.helpers import HERE, album, make
from tests.library.test_own_names import tree


def traces(folder: Path, *words: bytes) -> list[str]:
    """Which files hold one of the words, as it is or as roots are written."""
    forms = [form for word in words for form in (word, base64.b64encode(word))]
    return [str(path) for path in folder.rglob("*") if path.is_file() and any(f in path.read_bytes() for f in forms)]


class World:
    """Anna's and Ben's photographs, some of them broken, in several segments with an index over them."""

    def __init__(self, place: Path) -> None:
        self.folder, self.secret, self.open = place / "library", place / "anna-secret", place / "open"
        album(self.secret / "deep-secret", range(3))
        album(self.open, range(10, 40))
        (self.secret / "secret-broken.jpg").write_bytes(b"no picture")
        (self.open / "broken.jpg").write_bytes(b"no picture")
        self.library = make(self.folder)
        self.library.add(self.secret, settings=HERE)
        self.library.add(self.open, settings=HERE)
        self.library.optimize(recall=0.01, kind="flat")
        self.library.add(album(self.secret, range(3, 6)), settings=HERE)
        assert traces(self.folder, b"secret")

    def rows(self) -> list[bytes]:
        snapshot = self.library.snapshot
        places = [place for place, path in snapshot.paths() if b"secret" in (path or b"")]
        return [np.asarray(snapshot.row(place, "fake")).tobytes() for place in places]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def left(world: World, *words: bytes) -> None:
    assert traces(world.folder, b"secret", bytes(world.secret), *words) == []
    info = world.library.info()
    assert (info.items, info.rejected, info.roots) == (30, 1, {2: str(world.open)})
    assert world.library.verify(deep=True) == []
    assert world.library.search_rows(np.ones((1, 192), np.float32), k=5)[0].matches


def test_a_folder_with_its_rejected_files_roots_and_index(world: World) -> None:
    rows = world.rows()
    assert world.library.remove(world.secret, purge=True) == 6
    assert world.library.last_purge is not None
    assert (world.library.last_purge.rejects, world.library.last_purge.indexes) == (1, 1)
    left(world, *rows)
    assert world.library.info().indexes == ()


def test_the_name_of_a_rejected_file_alone(world: World) -> None:
    name = world.secret / "secret-broken.jpg"
    with pytest.raises(InputError, match="not in the library"):
        world.library.remove(name)
    assert world.library.remove(name, purge=True) == 0
    assert traces(world.folder, b"secret-broken") == []
    assert len(world.library) == 36


def test_what_was_removed_before(world: World) -> None:
    world.library.remove(world.secret)
    assert traces(world.folder, b"secret")
    assert world.library.remove(world.secret, purge=True) == 0
    left(world)
    with pytest.raises(InputError):
        world.library.remove(world.secret, purge=True)


def test_what_was_removed_and_optimized_away_before(world: World) -> None:
    rows = world.rows()
    world.library.remove(world.secret)
    world.library.optimize()
    world.library.remove(world.secret, purge=True)
    left(world, *rows)


def test_what_repair_put_aside(world: World) -> None:
    world.library.close()
    (world.folder / MANIFEST).write_bytes((world.folder / MANIFEST).read_bytes()[:-4096] + b"noise")
    (world.folder / MANIFEST).write_bytes(bytes(world.secret) * 100)
    kept = Library.repair(world.folder).kept
    assert kept is not None
    world.library = Library.open(world.folder, extractor=FakeExtractor(), device="cpu")
    world.library.remove(world.secret, purge=True)
    assert world.library.last_purge is not None
    assert world.library.last_purge.aside == (kept,)
    assert traces(world.folder, b"secret", bytes(world.secret)) == []


def test_all_traces_of_an_owner(tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", range(6))
    names = [*sorted(photos.iterdir()), photos / "of-anna.jpg", photos / "of-ben.jpg"]
    for name in names[6:]:
        name.write_bytes(b"no picture")
    lines = [f"{path},{'Anna Ophelia' if i % 2 == 0 else 'Ben'},trip {i}" for i, path in enumerate(names)]
    (tmp_path / "list.csv").write_text("\n".join(["path,owner,note", *lines]))
    library = make(tmp_path / "library")
    library.add(from_list=tmp_path / "list.csv", settings=HERE)
    assert library.would_remove(owner="Ben") == [bytes(path) for path in names[1:6:2]]
    with pytest.raises(InputError, match="Carl"):
        library.remove(owner="Carl")
    with pytest.raises(InputError, match="nothing is named"):
        library.remove()
    assert library.remove(names[0], owner="Anna Ophelia") == 1
    with pytest.raises(InputError, match="Ben"):
        library.remove(names[2], owner="Ben")
    assert library.remove(owner="Anna Ophelia", purge=True) == 2
    words = [b"Anna", b"Ophelia", *(bytes(path.name.encode()) for path in names[0:6:2]), b"trip 2"]
    assert traces(tmp_path / "library", *words) == []
    assert library.verify(deep=True) == []
    assert len(library) == 3


def test_the_owner_of_a_rejected_file_is_known_and_survives_merging(tmp_path: Path) -> None:
    from dataclasses import replace

    from simsearch.errors import RejectCode
    from simsearch.images.source import Rejected, Source
    from simsearch.library.write.ingest import Intake
    from simsearch.library.write.writer import Writer

    library = make(tmp_path / "library")
    with Writer(tmp_path / "library") as writer:
        intake = Intake(writer, settings=HERE, runtime=lambda _: {})
        source = Source(b"/photos", b"x", b"/photos/x", 0, 1, 1)
        for name, owner in ((b"secret-1", "Anna"), (b"two", "Ben"), (b"three", None)):
            intake.reject(Rejected(replace(source, name=name, owner=owner), RejectCode.EMPTY, f"{owner}: empty"))
            intake.flush()
    library.refresh()
    library.optimize()
    assert len(library.snapshot.segments) == 1
    assert library.remove(owner="Anna", purge=True) == 0
    assert traces(tmp_path / "library", b"secret-1", b"Anna") == []
    assert library.info().rejected == 2
    assert library.remove(owner="Ben", purge=True) == 0
    assert library.info().rejected == 1


def test_a_dry_run_changes_nothing(world: World) -> None:
    before = tree(world.folder)
    library = world.library
    assert library.remove(world.secret, dry_run=True) == 6
    assert library.remove(world.secret, purge=True, dry_run=True) == 6
    assert len(library.would_remove(world.secret, purge=True)) == 7
    (world.open / "0010.png").unlink()
    extra: dict[str, Any] = {"settings": HERE, "prune": True}
    assert library.would_prune(world.open) == [bytes(world.open / "0010.png")]
    assert library.add(world.open, dry_run=True, **extra).pruned == 1
    with pytest.raises(InputError, match="prune"):
        library.add(world.open, dry_run=True)
    with pytest.raises(InputError):
        library.remove(world.secret / "nothing", dry_run=True)
    assert tree(world.folder) == before
    assert library.add(world.open, **extra).pruned == 1


@pytest.mark.parametrize("how", ["link", "dots"])
def test_a_purge_by_another_name_of_the_folder_erases_as_much(world: World, tmp_path: Path, how: str) -> None:
    (tmp_path / "alias").symlink_to(world.secret)
    other = tmp_path / "alias" if how == "link" else world.open / ".." / world.secret.name
    assert world.library.would_remove(other, purge=True)
    world.library.remove(other, purge=True)
    left(world)
