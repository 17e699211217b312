"""Files beside images are told apart, in folders, tars and lists; what is an image stays one under any name."""

from __future__ import annotations

import io
import os
import socket
import struct
import tarfile
import zlib
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from simsearch.images import Rejected, Source, find
from simsearch.images.sidecars import Skipped, is_meant_as_image, kind_of_other
from tests.images.pictures import encoded, scene

ISO = b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41"
BESIDE = {
    "1.jpg.json": (b'{"title": "1.jpg"}', "json"),
    "1.XMP": (b"<?xpacket begin=''?>", "xmp"),
    "read me.txt": (b"BM is how this note begins, and it is no BMP", "txt"),
    "empty.cls": (b"", "cls"),
    "Thumbs.db": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "db"),
    "clip.mp4": (ISO, "mp4"),
    "clip": (ISO, "mp4"),
    "IMG_1.MOV": (b"\0\0\0\x14ftypqt  ", "mov"),
    "old.avi": (b"RIFF\0\0\0\0AVI LIST", "avi"),
    "sound": (b"RIFF\0\0\0\0WAVEfmt ", "wave"),
    "album.zip": (b"PK\3\4" + bytes(40), "zip"),
    "backup": (b"PK\3\4" + bytes(40), "zip"),
    "scan.pdf": (b"%PDF-1.7\n", "pdf"),
    "x.webm": (b"\x1a\x45\xdf\xa3" + bytes(9), "webm"),
    "page": (b"<?xml version='1.0'?><album/>", "xml"),
    "desktop.ini": (b"[.ShellClassInfo]", "ini"),
    "drawing.svg": (b"<svg/>", "svg"),
    "drawing.SVGZ": (b"\x1f\x8b\x08\0", "svgz"),
    "drawing": (b"<?xml version='1.0'?><svg/>", "svg"),
    "Makefile": (b"all:\n\tcc\n", "text"),
    "unknown.xyz": (b"no known kind", "text"),
    "long": ("é".encode() * 400, "text"),
    "odd": (b"a" + "é".encode() * 400, "text"),
    "setup.exe": (b"MZ\x90\0" + bytes(60), "exe"),
    "setup": (b"MZ\x90\0" + bytes(60), "executable"),
    "tool": (b"\x7fELF\2\1\1" + bytes(60), "executable"),
    "a.dll": (b"", "dll"),
    "screen.icc": (b"\0\0\2\x0c", "icc"),
    "screen.ICM": (b"", "icm"),
    "profile": (b"\0\0\2\x0clcms" + bytes(28) + b"acsp", "icc"),
    "a.jpg.part": (bytes(99), "part"),
    "a.png.crdownload": (b"", "crdownload"),
    "a.tmp": (b"\1\2", "tmp"),
    "IMG_1.AAE": (b"<?xml version='1.0'?>", "aae"),
}
INPUTS = {  # rejects, so that they are told: meant as images, or of no kind that is known
    "zip.jpg": b"PK\3\4" + bytes(40),
    "video.heic": ISO,
    "no-picture.png": b"{}",
    "empty.webp": b"",
    "one word": b"content",
    "note.jpg": b"some text",
    "program.png": b"MZ\x90\0",
    "unknown.dat": b"\1text",
    "empty.xyz": b"",
    "pgm": b"P5 1 1 255 x",
    "unknown": b"\1\2\3\4" * 200,
    "raw.cr3": b"\0\0\0\x18ftypcrx ",
    "p.pgm": b"P5 1 1 255 x",
}
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")


def found(*paths: Path, **options: object) -> tuple[list[str], Counter[str]]:
    kinds: Counter[str] = Counter()
    inputs = list(find(paths, skipped=lambda other: kinds.update([other.kind]), **options))  # type: ignore[arg-type]
    names = [os.fsdecode(one.name if isinstance(one, Source) else one.source.name) for one in inputs]
    return sorted(name.split("::")[-1] for name in names), kinds


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mixed").mkdir()
    for name, data in ({name: data for name, (data, _) in BESIDE.items()} | INPUTS).items():
        (tmp_path / "mixed" / name).write_bytes(data)
    return tmp_path / "mixed"


def in_tar(folder: Path) -> Path:
    with tarfile.open(folder.with_suffix(".tar"), "w") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)
    return folder.with_suffix(".tar")


KINDS = Counter(kind for _, kind in BESIDE.values())


def test_what_is_beside_images_is_told_by_kind_in_folders_tars_and_lists(folder: Path) -> None:
    assert found(folder) == (sorted(INPUTS), KINDS)
    assert found(in_tar(folder)) == (sorted(INPUTS), KINDS)
    lines = "".join(f"{name}\n" for name in [*BESIDE, *INPUTS])
    (folder / "of all.txt").write_text(lines + "of all.txt\n")  # as `find` writes it, itself among them
    assert found(from_list=folder / "of all.txt") == (sorted(INPUTS), KINDS + Counter(["txt"]))


def test_a_file_that_is_named_is_an_input_so_that_one_is_told(folder: Path) -> None:
    for name in BESIDE:
        assert found(folder / name) == ([name], Counter())


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "name", ["a.json", "b.txt", "c", "d.mp4", "h.part", "i.tmp", "j.exe", "Makefile", "e.db", "f.pdf", "g.jpg"]
)
def test_an_image_is_an_input_under_any_name(tmp_path: Path, form: str, name: str) -> None:
    data = io.BytesIO()
    Image.new("RGB", (9, 7), "red").save(data, form)
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / name).write_bytes(data.getvalue())
    assert found(tmp_path / "s") == ([name], Counter())
    assert found(in_tar(tmp_path / "s")) == ([name], Counter())


def test_kinds_are_told_apart_by_the_beginning_of_any_file() -> None:
    for name, (data, kind) in BESIDE.items():
        for cut in (len(data), min(len(data), 512)):
            assert kind_of_other(name.encode(), data[:cut]) == kind
    assert not any(is_meant_as_image(name.encode()) for name in BESIDE)
    assert all(kind_of_other(name.encode(), data[:512]) is None for name, data in INPUTS.items())


def specials(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)  # the names of sockets must be short
    os.mkfifo(folder / "a.jpg")
    os.mkfifo(folder / "b")
    for name in ("c.png", "d"):
        with socket.socket(socket.AF_UNIX) as plug:
            plug.bind(name)
    for name, device in (("e.jpg", "/dev/zero"), ("f", "/dev/null"), ("g.tar", "/dev/tty")):
        (folder / name).symlink_to(device)
    (folder / "z.png").write_bytes(encoded(scene()))


def test_fifos_sockets_and_devices_are_skipped_and_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    specials(tmp_path, monkeypatch)
    wanted = ["z.png"], Counter(fifo=2, socket=2, device=3)
    assert found(tmp_path) == wanted
    names = sorted(path.name for path in tmp_path.iterdir())
    (tmp_path.parent / "list").write_text("".join(f"{tmp_path / name}\n" for name in names))
    listed, kinds = found(from_list=tmp_path.parent / "list")
    assert ([Path(name).name for name in listed], kinds) == wanted
    assert found(*(tmp_path / name for name in names)) == wanted
    told: list[Skipped] = []
    assert list(find([tmp_path / "b"], skipped=told.append)) == []
    assert told == [Skipped(bytes(tmp_path / "b"), "fifo")]


def test_a_list_of_folders_and_what_is_in_them_gives_each_file_once(tmp_path: Path) -> None:
    for name in ("a/1.jpg", "a/.2.jpg", "a/b/3.jpg", "c/4.jpg"):
        (tmp_path / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "p" / name).write_bytes(b"x")
    everything = sorted(path for path in (tmp_path / "p").rglob("*"))  # as `find p` does
    for first in (0, 1):
        listed = [tmp_path / "p", *everything][first:]
        (tmp_path / "list").write_bytes(b"".join(bytes(path) + b"\0" for path in listed))
        files = sorted(str(path.relative_to(tmp_path)) for path in everything if path.is_file())
        assert found(from_list=tmp_path / "list")[0] == files
    (tmp_path / "list.csv").write_text("path,owner\np,\np/c/4.jpg,ann\n")
    owners = [one.owner for one in find([], from_list=tmp_path / "list.csv") if isinstance(one, Source)]
    assert owners == [None, None, None, "ann"]


def test_folders_in_a_list_are_searched(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "1.jpg").write_bytes(b"x")
    (tmp_path / "list").write_text("a\n./a/b/\na/../a//b/1.jpg\n.\n")
    found_paths = [
        one.path for one in find([], from_list=tmp_path / "list") if isinstance(one, Source) and one.size == 1
    ]
    assert found_paths == [bytes(tmp_path / "a" / "b" / "1.jpg")] * 2  # by `a`, and by `.` that comes after it


def test_a_png_with_a_foreign_ending_keeps_its_path_when_it_cannot_be_read(tmp_path: Path) -> None:
    broken = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s", 13, b"IHDR") + zlib.compress(b"")
    (tmp_path / "a.txt").write_bytes(broken)
    assert found(tmp_path) == (["a.txt"], Counter())
    assert not any(isinstance(one, Rejected) for one in find([tmp_path]))
