"""All items and rows come out in bounded batches, as one commit had them, whatever is written meanwhile."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from simsearch.errors import InputError
from simsearch.library import Library
from simsearch.library.format.channel import Channel
from tests.library.helpers import HERE, album, make, paint
from tests.library.rows import grow, library_of_rows


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = make(tmp_path / "l")
    library.add(album(tmp_path / "photos", range(10)), settings=HERE)
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.png"))
    odd.write_bytes(paint(tmp_path / "x.png", 50).read_bytes())
    listed = tmp_path / "list.csv"
    listed.write_text("path,owner,year\nx.png,Ann,1999\n")
    library.add([odd, (tmp_path / "photos" / "0001.png").read_bytes()], from_list=listed, settings=HERE)
    library.remove([tmp_path / "photos" / "0003.png", "id:5"])
    return library


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_items_are_all_that_is_live(library: Library, tmp_path: Path, size: int) -> None:
    batches = list(library.items(batch_size=size))
    assert all(0 < batch.num_rows <= size for batch in batches)
    table = pa.Table.from_batches(batches)
    assert table.column("id").to_pylist() == library.snapshot.ids().tolist()
    for line in table.to_pylist():
        place = library.snapshot.by_id(line["id"])
        assert place is not None
        path = library.snapshot.path(place)
        encoded = line["path_b64"]
        text = line["path"]
        assert path == (base64.b64decode(encoded) if encoded else text and text.encode())
        assert (line["owner"], line["attributes"]) == library.snapshot.labels(place)
        if path is not None:
            assert line["bytes"] == Path(os.fsdecode(path)).stat().st_size
            assert line["mtime_ns"] == Path(os.fsdecode(path)).stat().st_mtime_ns
        assert (line["width"], line["height"]) == (10, 12)
        assert library.snapshot.by_content(line["sha256"]) is not None
    assert [line for line in table.to_pylist() if line["owner"] == "Ann"]


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_rows_are_those_of_the_items(library: Library, size: int) -> None:
    batches = list(library.rows(batch_size=size))
    assert all(0 < len(ids) == len(rows) <= size for ids, rows in batches)
    ids = np.concatenate([ids for ids, _ in batches])
    rows = np.concatenate([rows for _, rows in batches])
    assert ids.tolist() == library.snapshot.ids().tolist()
    assert rows.dtype == np.float16
    found = library.search_rows(rows, k=1, group_copies=False)
    assert (found.distances == 0).all()
    for number, row in zip(ids, rows, strict=True):
        place = library.snapshot.by_id(int(number))
        assert place is not None
        np.testing.assert_array_equal(library.snapshot.row(place, "fake"), row)


def test_a_listing_is_one_commit_while_others_write(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).uniform(0, 1, (40, 8)).astype(np.float16)
    writer = library_of_rows(tmp_path / "l", rows[:20])
    reader = Library.open(tmp_path / "l", device="cpu")
    items, listed = reader.items(batch_size=3), reader.rows(batch_size=3)
    seen: list[int] = []
    values: list[NDArray[np.float16]] = []
    for step in range(7):
        if step == 1:
            grow(writer, rows[20:], start=20)
        if step == 2:
            writer.remove([f"/rows/{i}" for i in range(5)], purge=True)
        if step == 3:
            writer.optimize()
            reader.refresh()
        if step == 5:
            reader.close()
        seen += next(items).column("id").to_pylist()
        values.append(next(listed)[1])
    assert next(items, None) is None
    assert seen == list(range(20))
    np.testing.assert_array_equal(np.concatenate(values), rows[:20])
    assert len(writer) == 35
    again = np.concatenate([ids for ids, _ in writer.rows()])
    assert sorted(again.tolist()) == list(range(5, 40))


def test_an_empty_library_lists_nothing_and_channels_go_by_name(tmp_path: Path, library: Library) -> None:
    empty = make(tmp_path / "empty")
    assert list(empty.items()) == []
    assert list(empty.rows()) == []
    assert isinstance(library.channel, Channel)
    assert sum(len(ids) for ids, _ in library.rows(channel="fake")) == len(library)
    with pytest.raises(InputError, match="nosuch"):
        library.rows(channel="nosuch")
