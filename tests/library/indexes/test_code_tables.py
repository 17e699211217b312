"""Tables of keypoints' codes: they find what a look at everything finds, follow the segments, and can be lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simsearch.images.perturb import by_name
from simsearch.library import Library
from simsearch.library.indexes import code_tables
from simsearch.library.read import open_indexes
from tests.fake import FakeExtractor
from tests.library.helpers import HERE
from tests.spatial.pictures import picture

COUNT = 10


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (code_tables, open_indexes):
        monkeypatch.setattr(module, "TABLES_FROM", 4)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(COUNT):
        picture(i).save(photos / f"{i}.png")
    with Library.create(tmp_path / "l", model=[FakeExtractor(), "points"], device="cpu") as made:
        made.add(sorted(photos.glob("[0-4].png")), settings=HERE)
        made.add(photos, settings=HERE)
    return tmp_path / "l"


def opened(path: Path) -> Library:
    return Library.open(path, extractor=FakeExtractor(), channel="points", device="cpu")


def tables(path: Path) -> list[Path]:
    return sorted((path / "indexes").glob("*.codes"))


def require_finds(path: Path, gone: frozenset[int] = frozenset()) -> None:
    copies = [by_name("laid_on_image_50").apply(picture(i), np.random.default_rng(i)) for i in range(COUNT)]
    with opened(path) as library:
        library.prepare()
        fast, slow = library.search(copies, k=1), library.search(copies, k=1, exact=True)
        for i in set(range(COUNT)) - gone:
            assert fast[i].matches[0].path.endswith(f"/{i}.png")
            assert fast[i].matches == slow[i].matches
            assert (fast[i].certified, slow[i].certified) == (False, True)
        for i in gone:
            assert all(not match.path.endswith(f"/{i}.png") for match in fast[i].matches)


def test_a_search_through_tables_finds_what_a_look_at_everything_finds(library: Path) -> None:
    require_finds(library)
    assert tables(library) == []  # made for the search alone
    with opened(library) as writing:
        writing.optimize()
    (kept,) = tables(library)
    require_finds(library)
    assert tables(library) == [kept]


def test_tables_follow_the_library(library: Path, tmp_path: Path) -> None:
    with opened(library) as writing:
        writing.optimize()
        before = tables(library)
        writing.remove(tmp_path / "photos" / "3.png")
    require_finds(library, frozenset({3}))
    with opened(library) as writing:
        writing.optimize()
    assert len(tables(library)) == 1
    assert tables(library) != before
    require_finds(library, frozenset({3}))
    with opened(library) as writing:
        writing.remove(tmp_path / "photos" / "4.png", purge=True)
    assert tables(library) == []
    require_finds(library, frozenset({3, 4}))


def test_damaged_tables_are_made_anew(library: Path) -> None:
    with opened(library) as writing:
        writing.optimize()
    (kept,) = tables(library)
    victim = next(kept.glob("*.npy"))
    victim.write_bytes(victim.read_bytes()[:-7])
    with pytest.warns(RuntimeWarning, match="simsearch optimize"):
        require_finds(library)
    with opened(library) as writing:
        assert writing.verify(deep=True) == []
        writing.optimize()
    require_finds(library)
