from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from simsearch.errors import InputError, RejectCode
from simsearch.images import Rejected, Source, find


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "b.jpg").write_bytes(b"b")
    (tmp_path / "a.jpg").write_bytes(b"a")
    (tmp_path / "lists" / 'odd \udcff,\n"x".jpg').write_bytes(b"o")
    return tmp_path


def test_a_text_list_keeps_its_order_and_its_roots(folder: Path) -> None:
    path = folder / "lists" / "list.txt"
    path.write_bytes(b"b.jpg\r\n\n./../a.jpg\n" + os.fsencode(folder / "a.jpg") + b"\nmissing.jpg")
    found = list(find([], from_list=path))
    root = os.fsencode(folder)
    sources = [one if isinstance(one, Source) else one.source for one in found]
    assert [(source.root, source.name) for source in sources] == [
        (root + b"/lists", b"b.jpg"),
        (b"/", root[1:] + b"/a.jpg"),
        (b"/", root[1:] + b"/a.jpg"),
        (root + b"/lists", b"missing.jpg"),
    ]
    assert [type(one) for one in found] == [Source, Source, Source, Rejected]
    assert found[3].code is RejectCode.IO_ERROR  # type: ignore[union-attr]
    assert sources[2].path == root + b"/a.jpg"
    assert {source.owner for source in sources} == {source.attributes for source in sources} == {None}


def test_a_csv_keeps_its_other_columns(folder: Path) -> None:
    path = folder / "lists" / "list.CSV"
    text = 'owner,path,licence,year\nann,b.jpg,"CC, BY",2020\n,"odd \udcff,\n""x"".jpg",,\nbob,gone.jpg,x,y\n'
    path.write_bytes(b"\xef\xbb\xbf" + text.encode(errors="surrogateescape"))
    first, second, gone = find([], from_list=path)
    assert isinstance(first, Source)
    assert first.owner == "ann"
    assert json.loads(first.attributes or "") == {"licence": "CC, BY", "year": "2020"}
    assert isinstance(second, Source)
    assert second.name == b'odd \xff,\n"x".jpg'
    assert second.owner is None
    assert isinstance(gone, Rejected)
    assert gone.source.owner == "bob"


def test_a_csv_of_paths_alone_has_no_attributes(folder: Path) -> None:
    (folder / "list.csv").write_text("path\na.jpg\n")
    (source,) = find([], from_list=folder / "list.csv")
    assert isinstance(source, Source)
    assert source.attributes is None


def test_folders_and_names_with_zero_bytes_in_a_list(folder: Path) -> None:
    (folder / "list.txt").write_bytes(b"lists\nbad\0name\n")
    found = list(find([], from_list=folder / "list.txt"))
    names = [one.name if isinstance(one, Source) else one.source.name for one in found]
    assert names == [b"lists/b.jpg", b'lists/odd \xff,\n"x".jpg', b"bad\0name"]
    assert isinstance(found[-1], Rejected)


@pytest.mark.parametrize(("name", "text"), [("l.csv", "file\nx\n"), ("l.csv", ""), ("l.csv", 'path\n"open\n')])
def test_lists_that_are_none_are_refused_at_once(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(InputError):
        find([], from_list=folder / name)


def test_a_missing_list_is_refused_at_once(folder: Path) -> None:
    with pytest.raises(InputError, match="cannot read the list"):
        find([], from_list=folder / "none.txt")
