from __future__ import annotations

import io
import os
import random
import tarfile
from pathlib import Path

import pytest

from simsearch.errors import RejectCode
from simsearch.images import Rejected, Source, find, load_bytes

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
NAMES = ["0001.jpg", "sub/0002.png", "./0003.webp", "long/" * 30 + "0004.jpg", "naïve.jpg", "not-\udcff-utf8.jpg"]


def write(path: Path, names: list[str], kind: int = tarfile.PAX_FORMAT) -> dict[bytes, bytes]:
    content = {}
    with tarfile.open(path, "w", format=kind, encoding="utf-8", errors="surrogateescape") as tar:
        for i, name in enumerate(names):
            info = tarfile.TarInfo(name)
            info.size = 700 * i
            data = bytes([i]) * info.size
            tar.addfile(info, io.BytesIO(data))
            content[os.fsencode(name)] = data
    return content


@pytest.mark.parametrize("kind", FORMATS)
def test_members_are_inputs_as_stored_with_the_bytes_that_tarfile_reads(tmp_path: Path, kind: int) -> None:
    content = write(tmp_path / "shard.tar", NAMES, kind)
    found = list(find([tmp_path / "shard.tar"]))
    assert [one.name for one in found] == [b"shard.tar::" + name for name in content]  # type: ignore[union-attr]
    for source, data in zip(found, content.values(), strict=True):
        assert isinstance(source, Source)
        assert source.root == os.fsencode(tmp_path)
        assert source.file == os.fsencode(tmp_path / "shard.tar")
        assert source.mtime_ns == (tmp_path / "shard.tar").stat().st_mtime_ns
        assert source.size == len(data)
        assert not data or load_bytes(source, 1 << 20) == data


def test_tars_are_told_by_content_inside_folders_too(tmp_path: Path) -> None:
    write(tmp_path / "no-suffix", ["a.jpg"])
    write(tmp_path / "b.tar", ["c.jpg"])
    (tmp_path / "not.tar").write_bytes(b"hello" * 200)
    found = list(find([tmp_path]))
    names = [one.name if isinstance(one, Source) else one.source.name for one in found]
    assert names == [b"b.tar::c.jpg", b"no-suffix::a.jpg", b"not.tar"]
    assert isinstance(found[-1], Rejected)


def test_side_cars_and_dotfiles_are_not_inputs(tmp_path: Path) -> None:
    write(tmp_path / "s.tar", ["1.jpg", "1.json", "1.txt", "1.CLS", "._1.jpg", ".git/2.jpg", "./3.jpg", "../4.jpg"])
    names = [one.name for one in find([tmp_path])]  # type: ignore[union-attr]
    assert names == [b"s.tar::1.jpg", b"s.tar::./3.jpg", b"s.tar::../4.jpg"]


def test_links_and_repeated_names_are_rejected_and_folders_skipped(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        kinds = {"d": tarfile.DIRTYPE, "l": tarfile.SYMTYPE, "h": tarfile.LNKTYPE, "f": tarfile.FIFOTYPE}
        for name in "dalhfa":
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kinds.get(name, tarfile.REGTYPE), "a"
            tar.addfile(info)
    found = list(find([tmp_path]))
    assert [one.name for one in found if isinstance(one, Source)] == [b"s.tar::a"]
    rejected = [(one.source.name, one.code) for one in found if isinstance(one, Rejected)]
    assert rejected == [
        (b"s.tar::l", RejectCode.IO_ERROR),
        (b"s.tar::h", RejectCode.IO_ERROR),
        (b"s.tar::a", RejectCode.UNSUPPORTED_NAME),
    ]


def test_cut_anywhere_a_tar_gives_the_whole_members_and_one_reject(tmp_path: Path) -> None:
    content = write(tmp_path / "s.tar", [f"{i}.jpg" for i in range(5)], tarfile.USTAR_FORMAT)
    whole = (tmp_path / "s.tar").read_bytes()
    end = max(source.offset + source.size for source in find([tmp_path]) if isinstance(source, Source))
    ends = [source.offset + source.size for source in find([tmp_path]) if isinstance(source, Source)]
    for cut in [*range(100, end, 333), end]:
        (tmp_path / "s.tar").write_bytes(whole[:cut])
        found = list(find([tmp_path]))
        assert isinstance(found[-1], Rejected)
        assert found[-1].code is RejectCode.IO_ERROR
        assert found[-1].source.name == b"s.tar"
        sources = found[:-1]
        assert [one.name for one in sources] == [b"s.tar::" + name for name in list(content)[: len(sources)]]  # type: ignore[union-attr]
        assert len(sources) == sum(stop <= cut for stop in ends)


@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_tars_end_and_never_name_bytes_outside_the_file(tmp_path: Path, kind: int) -> None:
    write(tmp_path / "s.tar", NAMES, kind)
    whole, chance = (tmp_path / "s.tar").read_bytes(), random.Random(kind)
    for _ in range(200):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 20)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        (tmp_path / "s.tar").write_bytes(data)
        for one in find([tmp_path]):
            assert isinstance(one, Rejected) or one.offset + one.size <= len(data)


def test_an_empty_tar_holds_nothing_and_an_empty_file_is_still_an_input(tmp_path: Path) -> None:
    write(tmp_path / "empty.tar", [])
    assert list(find([tmp_path])) == []
    (tmp_path / "zero.tar").write_bytes(b"")
    (source,) = find([tmp_path])
    assert isinstance(source, Source)
    assert source.size == 0


def test_negative_sizes_do_not_loop(tmp_path: Path) -> None:
    header = bytearray(tarfile.TarInfo("a").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 12
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "s.tar").write_bytes(bytes(header) + bytes(1024))
    (found,) = find([tmp_path])
    assert isinstance(found, Rejected)
