from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from simsearch.errors import ImageRejected, InputError, RejectCode
from simsearch.images import Rejected, Source, find, load_bytes
from tests.images.pictures import encoded, scene

ODD_NAMES = [
    b"plain.jpg", b"not utf-8 \xff\xfe.jpg", b"two\nlines.jpg", b"<img src=x onerror=alert(1)>.jpg", b"tab\there",
    "naïve 写真.png".encode(), b"-rf", b"a::b.jpg", b"%s{0}$HOME`id`;&", b" leading and trailing ", b"\x1b[31mred.jpg",
    "\u202egpj.xyz".encode(), b"back\\slash", b'"quoted"', b"no suffix", b"x" * 255,
]  # fmt: skip


def names(paths: object, **options: object) -> list[bytes]:
    return [found.name if isinstance(found, Source) else found.source.name for found in find(paths, **options)]


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    def make(*files: str) -> Path:
        for name in files:
            path = tmp_path / "root" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(name.encode())
        return tmp_path / "root"

    return make


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_is_found_kept_and_readable(tmp_path: Path, name: bytes) -> None:
    root = os.fsencode(tmp_path)
    Path(os.fsdecode(root + b"/" + name)).write_bytes(b"content")
    (source,) = find([tmp_path])
    assert isinstance(source, Source)
    assert (source.root, source.name, source.file, source.path) == (root, name, root + b"/" + name, root + b"/" + name)
    assert load_bytes(source, 100) == b"content"
    assert source.printable.isprintable()
    assert source.printable.encode()  # no lone surrogates: it can be written anywhere


def test_printable_forms_of_different_odd_names_differ() -> None:
    forms = {Source(b"/", name, b"", 0, 0, 0).printable for name in ODD_NAMES}
    assert len(forms) == len(ODD_NAMES)


def test_a_folder_is_searched_in_byte_order_of_whole_paths(tree: Callable[..., Path]) -> None:
    files = ["b/1", "a/z/1", "a-b", "a.xyz", "a/0", "B", "c", "b!", "é/1", "b0"]
    root = tree(*files)
    assert names([root]) == sorted(name.encode() for name in files)
    assert names([root]) == names([str(root)]) == names([os.fsencode(root)]) == names([f"{root}//b/.."])


def test_dotfiles_are_skipped_below_a_root_but_not_when_named(tree: Callable[..., Path]) -> None:
    root = tree("a", ".hidden", ".cache/b", "c/.d")
    assert names([root]) == [b"a"]
    assert names([root / ".hidden"]) == [b".hidden"]
    assert names([root / ".cache"]) == [b"b"]


def test_a_files_root_is_its_folder(tree: Callable[..., Path]) -> None:
    root = tree("sub/a.jpg")
    (source,) = find([root / "sub" / "a.jpg"])
    assert isinstance(source, Source)
    assert (source.root, source.name) == (os.fsencode(root / "sub"), b"a.jpg")
    status = (root / "sub" / "a.jpg").stat()
    assert (source.offset, source.size, source.mtime_ns) == (0, status.st_size, status.st_mtime_ns)


def test_relative_paths_are_made_absolute(tree: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree("a", "sub/b")
    monkeypatch.chdir(root / "sub")
    assert [found.path for found in find([".", "../a"])] == [os.fsencode(root / "sub/b"), os.fsencode(root / "a")]  # type: ignore[union-attr]


def test_loops_of_links_end_and_each_folder_is_entered_once(tree: Callable[..., Path]) -> None:
    root = tree("a/1", "b/2")
    (root / "a" / "up").symlink_to("..")
    (root / "a" / "self").symlink_to(".")
    (root / "b" / "other").symlink_to(root / "a")
    (root / "z").symlink_to(root / "b")
    assert names([root]) == [b"a/1", b"b/2"]


def test_links_to_files_and_folders_are_followed(tree: Callable[..., Path], tmp_path: Path) -> None:
    root = tree("a")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x").write_bytes(b"far")
    (root / "folder").symlink_to(tmp_path / "elsewhere")
    (root / "file").symlink_to(tmp_path / "elsewhere" / "x")
    found = list(find([root]))
    assert [source.name for source in found] == [b"a", b"file", b"folder/x"]  # type: ignore[union-attr]
    assert load_bytes(found[1], 10) == b"far"  # type: ignore[arg-type]


def test_dangling_links_are_rejected_in_their_place(tree: Callable[..., Path]) -> None:
    root = tree("a", "c")
    (root / "b").symlink_to("nowhere")
    (root / "d").symlink_to("d")
    found = list(find([root]))
    assert [type(one) for one in found] == [Source, Rejected, Source, Rejected]
    assert found[1].code is found[3].code is RejectCode.IO_ERROR  # type: ignore[union-attr]
    (named,) = find([root / "b"])
    assert isinstance(named, Rejected)
    assert named.source.name == b"b"


def test_what_cannot_be_read_is_rejected(tree: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree("a", "secret", "folder/x", "z")
    refused = {os.fsencode(root / "secret")}
    # Root may read everything, so that permissions themselves prove nothing here.
    monkeypatch.setattr(os, "access", lambda path, _: path not in refused)
    real = os.scandir

    def scandir(path: bytes) -> object:
        if path.endswith(b"folder"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = list(find([root]))
    assert [type(one) for one in found] == [Source, Rejected, Rejected, Source]
    assert [one.source.name for one in found if isinstance(one, Rejected)] == [b"folder", b"secret"]
    assert {one.code for one in found if isinstance(one, Rejected)} == {RejectCode.IO_ERROR}


def test_fifos_sockets_and_devices_are_skipped_without_hanging(
    tree: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree("a")
    os.mkfifo(root / "fifo")
    monkeypatch.chdir(root)  # the names of sockets must be short
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind("socket")
    (root / "null").symlink_to("/dev/null")
    assert names([root]) == [b"a"]
    assert names([root / "fifo"]) == []


def test_a_file_that_becomes_a_fifo_does_not_hang_its_reader(tree: Callable[..., Path]) -> None:
    root = tree("a")
    (source,) = find([root])
    (root / "a").unlink()
    os.mkfifo(root / "a")
    with pytest.raises(ImageRejected, match="regular"):
        load_bytes(source, 100)  # type: ignore[arg-type]


def test_a_path_that_does_not_exist_is_an_error_before_anything_is_done(tree: Callable[..., Path]) -> None:
    root = tree("a")
    for missing in (root / "b", root / "a" / "b", "bad\0name"):
        with pytest.raises(InputError, match=r"existing path"):
            find([root, missing])


def test_a_very_deep_tree_ends_well(tmp_path: Path) -> None:
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        for _ in range(60):
            Path("d" * 100).mkdir()
            os.chdir("d" * 100)
            Path("x").write_bytes(b"x")
    finally:
        os.chdir(here)
    found = list(find([tmp_path]))
    assert sum(isinstance(one, Source) for one in found) > 30
    assert sum(isinstance(one, Rejected) for one in found) >= 1  # beyond the longest path that the system knows


def test_reading_respects_the_byte_cap_and_names_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"12345")
    (source,) = find([file])
    assert isinstance(source, Source)
    assert load_bytes(source, 5) == b"12345"
    for limit, content, code in ((4, b"12345", "too_many_bytes"), (5, b"", "empty"), (5, b"123456", "too_many_bytes")):
        file.write_bytes(content)
        with pytest.raises(ImageRejected) as caught:
            load_bytes(source, limit)
        assert caught.value.code == code
    file.unlink()
    with pytest.raises(ImageRejected) as caught:
        load_bytes(source, 5)
    assert caught.value.code is RejectCode.IO_ERROR


def test_a_grown_file_is_read_as_it_is_now(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (source,) = find([tmp_path])
    (tmp_path / "a").write_bytes(encoded(scene()))
    assert load_bytes(source, 1 << 20) == encoded(scene())  # type: ignore[arg-type]
