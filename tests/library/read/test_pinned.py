"""A view of one commit, and searches by id."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from simsearch.errors import InputError, ItemNotFound, MetricError
from simsearch.library import Library
from tests.fake import FakeExtractor, OtherExtractor
from tests.library.helpers import HERE, album, make, paint


def test_a_view_stays_where_it_is_and_the_library_moves_on(tmp_path: Path) -> None:
    with make(tmp_path / "library") as writer:
        writer.add(album(tmp_path / "album", range(4)), settings=HERE)
        with Library.open(tmp_path / "library", extractor=FakeExtractor(), device="cpu") as library:
            view = library.pinned()
            writer.add(paint(tmp_path / "more" / "new.png", 50), settings=HERE)
            writer.remove("id:0")
            writer.optimize()
            library.refresh()
            row = np.ones(FakeExtractor.dimension, np.float32)
            assert sorted(match.id for match in view.search_rows(row)[0].matches) == [0, 1, 2, 3]
            assert sorted(match.id for match in library.search_rows(row)[0].matches) == [1, 2, 3, 4]
            assert (len(view), len(library)) == (4, 4)


def test_a_view_is_searched_by_another_channel(tmp_path: Path) -> None:
    extractors = [FakeExtractor(), OtherExtractor()]
    with Library.create(tmp_path / "library", model=extractors, device="cpu") as library:
        library.add(album(tmp_path / "album", range(3)), settings=HERE)
        assert [library.pinned(name).channel.name for name in ("other", "fake", None)] == ["other", "fake", "fake"]
        assert library.channel.name == "fake"
        with pytest.raises(InputError, match="no channel"):
            library.pinned("nothing")


def test_an_item_is_searched_by_its_row(tmp_path: Path) -> None:
    folder = album(tmp_path / "album", range(6))
    (folder / "copy.png").write_bytes((folder / "0002.png").read_bytes())
    with make(tmp_path / "library") as library:
        library.add(folder, settings=HERE)
        ids = library.snapshot.ids().tolist()
        rows = np.concatenate([rows for _, rows in library.rows()])
        by_id, by_row = library.search_items(ids, k=4), library.search_rows(rows, k=4)
        assert [one.matches for one in by_id] == [one.matches for one in by_row]
        assert [one.query for one in by_id] == [path for _, raw in library.snapshot.paths() for path in [raw.decode()]]
        for number, one in zip(ids, library.search_items(ids, k=6, exclude_self=True), strict=True):
            found = {each.id for match in one.matches for each in (match, *match.copies)}
            assert found == {*ids} - {number}
        with pytest.raises(ItemNotFound):
            library.search_items([0, 99])


def test_keypoints_and_margins_are_not_compared_with_stored_rows(tmp_path: Path) -> None:
    library = Library.create(tmp_path / "library", model=["dhash", "points"], device="cpu")
    with library, pytest.raises(MetricError):
        library.pinned("points").search_items([0])


def test_threads_that_search_all_channels_while_the_library_is_refreshed_see_no_error(tmp_path: Path) -> None:
    models = ["pdq", "phash", "dhash"]
    with Library.create(tmp_path / "library", model=models, device="cpu") as library:
        library.add(album(tmp_path / "album", range(5)), settings=HERE)
        views, stop = [library.pinned(channel.name) for channel in library.channels], threading.Event()

        def search(view: Library) -> int:
            count = 0
            while not stop.is_set() or not count:
                found = view.search_items([0], k=2)
                assert found.calibration is not None
                count += 1
            return count

        with ThreadPoolExecutor(4) as pool:
            under_way = [pool.submit(search, view) for view in (*views, library)]
            for _ in range(200):
                library.refresh()
            stop.set()
            assert all(one.result() for one in under_way)
