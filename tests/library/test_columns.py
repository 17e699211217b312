"""A fact that does not fit its column costs itself, never another item nor the segment."""

from __future__ import annotations

import math
import os
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simsearch.library import AddReport
from simsearch.library.format.items import (
    SCHEMA,
    Item,
    contents_of,
    full_paths,
    items_batch,
    known,
    numbers,
    starting_with,
)
from tests.library.helpers import HERE, album, live_paths, make

NUMBERS = st.one_of(
    st.none(), st.integers(), st.floats(), st.text(max_size=3),
    st.sampled_from([2**31, 2**63, -(2**63) - 1, 10**400, math.nan, math.inf, -0.5, 3.0, True]),
)  # fmt: skip
TEXTS = st.one_of(st.none(), st.text(max_size=5), st.sampled_from(["\udcff", "a\ud800b", "M\udcfcller"]), st.integers())
DIGESTS = st.one_of(st.none(), st.binary(min_size=32, max_size=32), st.binary(max_size=40), st.text(max_size=3))


def items(number: int) -> st.SearchStrategy[Item]:
    facts: Any = st.builds(
        Item, st.just(b"/root"), st.just(b"%d.jpg" % number), DIGESTS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS,
        TEXTS, TEXTS,
    )  # fmt: skip
    return facts


GOOD = Item(b"/root", b"good \xff.jpg", bytes(range(32)), 5, -(2**63), 7, 8, 100, "Zoë", '{"a": 1}')


@settings(max_examples=150, deadline=None)
@given(st.tuples(items(0), items(1)), st.integers(0, 2))
def test_any_fact_of_an_item_leaves_the_others_whole(odd: tuple[Item, Item], at: int) -> None:
    given = list(odd)
    given.insert(at, GOOD)
    batch = items_batch(given)
    batch.validate(full=True)
    assert batch.schema.names == SCHEMA.names
    kept = {name: batch.column(name)[at].as_py() for name in SCHEMA.names}
    assert [kept[name] for name in SCHEMA.names if name not in ("path", "root", "bytes")] == [
        getattr(GOOD, name) for name in SCHEMA.names if name not in ("path", "root", "bytes")
    ]
    assert kept["bytes"] == GOOD.n_bytes
    assert full_paths(batch) == [item.path for item in given]


def test_text_that_is_no_utf8_is_escaped_and_numbers_beyond_are_unknown() -> None:
    batch = items_batch([Item(b"/", b"a", None, 2**63, width=2**31, quality=40_000, owner="M\udcfcller"), GOOD])
    facts = {name: batch.column(name)[0].as_py() for name in ("bytes", "width", "quality", "owner")}
    assert facts == {"bytes": None, "width": None, "quality": None, "owner": "M\\udcfcller"}


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_columns_are_read_as_arrow_reads_them(data: Any) -> None:
    start, count = data.draw(st.tuples(st.integers(0, 9), st.integers(0, 20)))

    def drawn(kind: pa.DataType, value: st.SearchStrategy[Any]) -> Any:
        cells = data.draw(st.lists(st.none() | value, max_size=30) | st.lists(value, max_size=30))
        return pa.array(cells, kind).slice(start, count)

    for kind in (pa.int16(), pa.int32(), pa.int64()):
        column = drawn(kind, st.integers(-(2**15), 2**15 - 1))
        assert numbers(column).tolist() == [-1 if cell is None else cell for cell in column.to_pylist()]
        assert known(column).tolist() == [cell is not None for cell in column.to_pylist()]
    names = drawn(pa.large_binary(), st.text("./a", max_size=5).map(str.encode))
    prefix = data.draw(st.text("./a", max_size=3)).encode()
    assert starting_with(names, prefix).tolist() == [
        cell is not None and cell.startswith(prefix) for cell in names.to_pylist()
    ]
    shas = drawn(pa.binary(32), st.binary(min_size=32, max_size=32))
    assert [bytes(row) for row in contents_of(shas)[known(shas)]] == shas.drop_null().to_pylist()


DATES = [-(2**62), -(10**10), -1, 0, 2**31, 2**33, 10**10, 13_569_465_600]  # seconds since 1970


@pytest.mark.parametrize("in_a_tar", [False, True])
def test_a_file_of_any_date_is_taken_and_then_unchanged(tmp_path: Path, in_a_tar: bool) -> None:
    photos = album(tmp_path / "photos", range(len(DATES)))
    if in_a_tar:
        for i, path in enumerate(sorted(photos.iterdir())):
            with tarfile.open(tmp_path / f"{i}.tar", "w", format=tarfile.PAX_FORMAT) as tar:
                info = tar.gettarinfo(path, path.name)
                info.mtime = DATES[i] + 0.5
                info.pax_headers = {"mtime": "1e400", "atime": "-inf"}
                with path.open("rb") as file:
                    tar.addfile(info, file)
    dated = sorted(tmp_path.glob("*.tar")) if in_a_tar else sorted(photos.iterdir())
    for seconds, path in zip(DATES, dated, strict=True):
        try:
            os.utime(path, (seconds, seconds))
        except OverflowError:  # beyond what this system's clock knows
            continue
    library = make(tmp_path / "library")
    assert library.add(dated, settings=HERE) == AddReport(added=len(DATES))
    assert library.add(dated, settings=HERE) == AddReport(unchanged=len(DATES))
    assert library.info().generation == 1  # nothing was written again
    assert library.verify(deep=True) == []


def test_an_owner_in_latin_1_costs_nothing(tmp_path: Path) -> None:
    album(tmp_path / "p", range(3))
    table = b"path,owner,title\np/0000.png,M\xfcller,d\xfcne\np/0001.png,Anna,\np/0002.png,,\n"
    (tmp_path / "o.csv").write_bytes(table)
    library = make(tmp_path / "library")
    for report in (AddReport(added=3), AddReport(unchanged=3)):
        assert library.add(from_list=tmp_path / "o.csv", settings=HERE) == report
    places = library.snapshot.by_paths(live_paths(library))
    assert [library.snapshot.labels(place)[0] for place in places if place] == ["M\\xfcller", "Anna", None]
