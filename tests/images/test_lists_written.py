"""Lists as tools write them: encodings, line ends, separators, pipes; each is read exactly once."""

from __future__ import annotations

import codecs
import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simsearch.errors import InputError
from simsearch.images import Rejected, find
from simsearch.images.input_lists import ListEntry, entries_of, read_list

FOLDER = b"/photos/2024"
NAMES = ["a.jpg", "sub/b c.png", "#not a comment.jpg", '"quoted".jpg', "naïve 写真.png", "-dash", "a\\b", "x,y;z.jpg"]
# What a name can hold: no zero byte, no line ends, no marks at the start; never blank.
PLAIN = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=12)
ENCODINGS = {
    "utf-8": b"",
    "utf-8-sig": b"",
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
}


def paths(entries: list[ListEntry]) -> list[bytes]:
    return [(entry.root.rstrip(b"/") + b"/" + entry.name).rstrip(b"/") for entry in entries]


def expected(names: list[str], folder: bytes = FOLDER) -> list[bytes]:
    return [os.path.normpath(folder + b"/" + name.encode()) for name in names]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@settings(max_examples=25, deadline=None)
@given(st.lists(PLAIN.filter(lambda name: name[0] not in "/\ufeff"), min_size=1, max_size=5), st.booleans())
def test_every_encoding_and_line_end_gives_the_same_names(
    encoding: str, end: str, names: list[str], last: bool
) -> None:
    names = [f"{name}.jpg" for name in names]
    text = (end + end).join(names) + end * last  # blank lines between
    data = ENCODINGS[encoding] + text.encode(encoding)
    assert paths(entries_of(data, "l", folder=FOLDER)) == expected(names)


LATIN = st.text("abcXYZ 0123-_éß", min_size=1, max_size=12).map(lambda name: f"d/{name.strip()}.jpg")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@settings(max_examples=25, deadline=None)
@given(st.lists(LATIN, min_size=1, max_size=5), st.booleans(), st.booleans())
def test_utf_16_without_its_mark_is_read(encoding: str, end: str, names: list[str], last: bool, whole: bool) -> None:
    names = [f"/{name}" if whole else name for name in [*names, "d/写真.jpeg"]]
    data = (end.join(names) + end * last).encode(encoding)
    wanted = [name.encode() for name in names] if whole else expected(names)
    assert paths(entries_of(data, "l", folder=FOLDER)) == wanted


@pytest.mark.parametrize("mark", [codecs.BOM_UTF8, *(mark for mark in ENCODINGS.values() if mark)])
def test_a_mark_alone_is_an_empty_list(mark: bytes) -> None:
    assert entries_of(mark, "l", folder=FOLDER) == []


@pytest.mark.parametrize(
    "names", [["a", "b"], ["x"], ["/", "/bin", "/etc"], [".", "./a", "./b"], ["./写真.jpg", "./猫.jpg"]]
)
def test_names_apart_by_zero_bytes_are_no_utf_16(names: list[str]) -> None:
    listed = entries_of("".join(f"{name}\0" for name in names).encode(), "l", folder=FOLDER)
    whole = [
        os.path.normpath(name if name[:1] == "/" else f"/photos/2024/{name}").encode().rstrip(b"/") for name in names
    ]
    assert paths(listed) == whole


@pytest.mark.parametrize("data", [b"a\0/\0xyz\0", b"/\0b\0c", b"\0a\0/\0\xff\xd8\0"])
def test_no_list_that_is_split_wrongly_starts_at_the_root(data: bytes) -> None:
    with pytest.raises(InputError, match="UTF-16"):
        entries_of(data, "l", folder=FOLDER)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=12).map(lambda name: b"x" + name.replace(b"\0", b"")), min_size=1))
def test_names_apart_by_zero_bytes_hold_any_byte(names: list[bytes]) -> None:
    listed = entries_of(b"\0".join(names) + b"\0", "l", folder=FOLDER)
    assert paths(listed) == [os.path.normpath(FOLDER + b"/" + name) for name in names]
    assert [entry.line for entry in listed] == list(range(1, len(names) + 1))


def test_bytes_that_are_no_utf8_and_marks_in_names_stay() -> None:
    lines = [b"caf\xe9.jpg", "café.jpg".encode(), b"\xff\xfe.png", b"\xfe\xff"]
    for first in lines:
        data = b"\n".join([first, *lines])
        assert paths(entries_of(data, "l", folder=FOLDER)) == [FOLDER + b"/" + name for name in [first, *lines]]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", [*ENCODINGS, "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_table_of_any_program_keeps_every_cell_that_it_can(mark: str, encoding: str, end: str) -> None:
    rows = [("owner", "path", "title"), ("Müller", "1.jpg", 'a "b"'), ("", "", ""), ("Zoé", "é.jpg", "naïve")]
    quoted = ['"' + cell.replace('"', '""') + '"' for row in rows for cell in row]
    text = "".join(mark.join(quoted[i : i + 3]) + end for i in range(0, len(quoted), 3))
    data = ENCODINGS.get(encoding, b"") + text.encode(encoding)
    first, second = entries_of(data, "l", folder=FOLDER, is_csv=True)
    assert paths([first, second]) == [
        FOLDER + b"/1.jpg",
        FOLDER + "/é.jpg".encode("latin-1" if encoding == "latin-1" else "utf-8"),
    ]
    told = ("M\\xfcller", "Zo\\xe9", "na\\xefve") if encoding == "latin-1" else ("Müller", "Zoé", "naïve")
    assert (first.owner, second.owner) == told[:2]
    assert [json.loads(entry.attributes or "")["title"] for entry in (first, second)] == ['a "b"', told[2]]
    json.dumps([first.owner, first.attributes]).encode()
    (first.owner or "").encode()  # it can be written anywhere


@pytest.mark.parametrize(
    ("text", "line"),
    [("path,owner\na,x\n,y\n", "line 3"), ('path\n"a\nb"\n"open\n', "line 4"), ('path\na\n"b"c\n', "line 3")],
)
def test_what_is_wrong_with_a_table_is_named_with_its_line(tmp_path: Path, text: str, line: str) -> None:
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(InputError, match=rf"table\.csv.*{line}"):
        read_list(tmp_path / "table.csv")


def test_a_line_that_leads_to_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"a")
    (tmp_path / "list").write_bytes(b"a.jpg\n\ngone.jpg\n")
    rejected = [one.message for one in find([], from_list=tmp_path / "list") if isinstance(one, Rejected)]
    assert rejected == ["No such file or directory (line 3 of the list)"]


def through_fifo(folder: Path, data: bytes) -> tuple[Path, threading.Thread]:
    fifo = folder / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(data))
    writer.start()
    return fifo, writer


@pytest.mark.parametrize("csv", [False, True])
def test_a_pipe_is_relative_to_the_current_folder_and_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, csv: bool
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    fifo, writer = through_fifo(tmp_path, b"owner,path\nann,a.jpg\n" if csv else b"a.jpg\n")
    (entry,) = read_list(fifo)
    writer.join()
    assert (entry.root, entry.name, entry.owner) == (bytes(tmp_path / "here"), b"a.jpg", "ann" if csv else None)
    file = tmp_path / "list"
    file.write_bytes(b"a.jpg\n")
    assert paths(read_list(file)) == [bytes(tmp_path / "a.jpg")]
    with file.open("rb") as opened:
        assert paths(read_list(f"/dev/fd/{opened.fileno()}")) == [bytes(tmp_path / "here" / "a.jpg")]


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom"])
def test_an_endless_device_is_no_list(device: str) -> None:
    with pytest.raises(InputError, match="device"):
        read_list(device)


def test_nothing_is_an_empty_list(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert read_list("/dev/null") == read_list(tmp_path / "empty") == []
    for wrong in ("", b"", tmp_path):
        with pytest.raises(InputError):
            read_list(wrong)
