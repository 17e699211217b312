"""What is removed is never returned, and nothing else goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simsearch.errors import InputError
from simsearch.library import AddReport, Library
from tests.library.helpers import HERE, album, live_paths, make


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = make(tmp_path / "library")
    album(tmp_path / "photos", range(3))
    album(tmp_path / "photos" / "deep", range(3, 6))
    album(tmp_path / "photos-2", range(6, 8))
    library.add([tmp_path / "photos", tmp_path / "photos-2"], settings=HERE)
    return library


def test_files_folders_and_ids(library: Library, tmp_path: Path) -> None:
    number = int(library.snapshot.ids()[-1])
    assert library.remove(tmp_path / "photos" / "0001.png") == 1
    assert library.remove(tmp_path / "photos" / "deep") == 3
    assert library.remove(f"id:{number}") == 1
    assert live_paths(library) == sorted(
        bytes(p)
        for p in (
            tmp_path / "photos" / "0000.png",
            tmp_path / "photos" / "0002.png",
            tmp_path / "photos-2" / "0006.png",
        )
    )
    assert library.remove(tmp_path / "photos") == 2
    assert library.remove(tmp_path) == 1
    assert len(library) == 0
    assert library.verify() == []


def test_removed_items_are_never_returned(library: Library, tmp_path: Path) -> None:
    row = library.snapshot.row(library.snapshot.by_paths([bytes(tmp_path / "photos" / "0001.png")])[0], "fake")  # type: ignore[arg-type]
    assert row is not None
    library.remove(tmp_path / "photos" / "0001.png")
    found = library.search_rows(np.asarray(row), k=50)[0].matches
    assert len(found) == 7
    assert str(tmp_path / "photos" / "0001.png") not in [match.path for match in found]


def test_an_unknown_path_is_named_and_nothing_goes(library: Library, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        library.remove([tmp_path / "photos", tmp_path / "nowhere"])
    for wrong in ("id:99", "id:-1", "id:x", tmp_path / "photos" / "000"):
        with pytest.raises(InputError):
            library.remove(wrong)
    assert len(library) == 8


def test_a_file_that_is_gone_from_disk_can_be_removed(library: Library, tmp_path: Path) -> None:
    (tmp_path / "photos" / "0000.png").unlink()
    assert library.remove(tmp_path / "photos" / "0000.png") == 1


def test_ids_are_never_reused(library: Library, tmp_path: Path) -> None:
    before = set(library.snapshot.ids().tolist())
    library.remove(tmp_path / "photos")
    library.optimize()
    assert library.add(tmp_path / "photos", settings=HERE) == AddReport(added=6)
    assert not before - {6, 7} & set(library.snapshot.ids().tolist())
    assert library.snapshot.ids().tolist() == [6, 7, *range(8, 14)]


def test_purge_leaves_no_byte_of_the_row(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "photos" / "0001.png"
    place = library.snapshot.by_path(bytes(path))
    assert place is not None
    row = np.array(library.snapshot.row(place, "fake")).tobytes()
    files = [file for file in (tmp_path / "library").rglob("*") if file.is_file()]
    assert any(row in file.read_bytes() for file in files)
    library.remove(path, purge=True)
    assert not any(row in file.read_bytes() for file in (tmp_path / "library").rglob("*") if file.is_file())
    assert library.info().removed == 0
    assert library.verify(deep=True) == []
    library.remove(tmp_path, purge=True)
    assert (len(library), library.info().segments) == (0, 0)
