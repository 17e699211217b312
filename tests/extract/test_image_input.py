"""Every form of one picture gives one row; what is no picture is told in one line."""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from simsearch.errors import ImageRejected, InputError, RejectCode
from simsearch.extract.image_input import are_several, is_path
from tests.fake import FakeExtractor

FORMATS = {"PNG": {}, "JPEG": {"quality": 90}, "BMP": {}, "GIF": {}, "TIFF": {}, "WEBP": {"lossless": True}}
READS: dict[str, Callable[[bytes, Path], Any]] = {
    "bytes": lambda data, _: data,
    "bytearray": lambda data, _: bytearray(data),
    "memoryview": lambda data, _: memoryview(data),
    "a part of a memoryview": lambda data, _: memoryview(b"xx" + data + b"x")[2:-1],
    "BytesIO": lambda data, _: io.BytesIO(data),
    "open file": lambda _, path: path.open("rb"),
    "unbuffered file": lambda _, path: path.open("rb", buffering=0),
    "temporary file": lambda data, _: spooled(data),
    "member of a zip": lambda data, _: zipped(data),
    "opened PIL image": lambda _, path: Image.open(path),
    "Path": lambda _, path: path,
    "bytes of a path": lambda _, path: bytes(path),
}


def spooled(data: bytes) -> Any:
    file = tempfile.SpooledTemporaryFile()  # noqa: SIM115
    file.write(data)
    file.seek(0)
    return file


def zipped(data: bytes) -> Any:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", data)
    return zipfile.ZipFile(buffer).open("a")


def draw(seed: int, height: int = 40, width: int = 33) -> np.ndarray:
    blocks = np.random.default_rng(seed).integers(0, 256, (5, 3, 3), np.uint8)
    return np.asarray(Image.fromarray(blocks).resize((width, height)))


@pytest.mark.parametrize("form", READS)
@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_is_the_same_picture_however_it_is_given(tmp_path: Path, form: str, kind: str) -> None:
    path = tmp_path / "picture"
    Image.fromarray(draw(1)).save(path, kind, **FORMATS[kind])
    extractor = FakeExtractor()
    wanted = extractor.embed(str(path))
    given_ = READS[form](path.read_bytes(), path)
    np.testing.assert_array_equal(extractor.embed(given_), wanted)
    several = [READS[form](path.read_bytes(), path) for _ in range(3)]
    np.testing.assert_array_equal(extractor.embed(several), np.repeat(wanted, 3, axis=0))
    for one in [given_, *several]:
        if hasattr(one, "close"):
            one.close()


ARRAYS: dict[str, Callable[[np.ndarray], Any]] = {
    "uint8": lambda a: a,
    "uint16": lambda a: a.astype(np.uint16) * 257,
    "big-endian": lambda a: (a.astype(np.uint16) * 257).astype(">u2"),
    "float16": lambda a: (a / 255).astype(np.float16),
    "float32": lambda a: (a / 255).astype(np.float32),
    "float64": lambda a: a / 255,
    "turned round": lambda a: a[::-1].copy()[::-1],
    "Fortran": np.asfortranarray,
    "read-only": lambda a: np.frombuffer(a.tobytes(), np.uint8).reshape(a.shape),
}


@pytest.mark.parametrize("form", ARRAYS)
@pytest.mark.parametrize("channels", [0, 1, 3, 4])
def test_an_array_is_the_same_picture_in_every_type(form: str, channels: int) -> None:
    pixels = np.dstack([draw(2), np.full((40, 33), 255, np.uint8)])[:, :, :channels] if channels else draw(2)[:, :, 0]
    wanted = FakeExtractor().embed(Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels))
    array = ARRAYS[form](np.ascontiguousarray(pixels))
    np.testing.assert_array_equal(FakeExtractor().embed(array), wanted)
    if channels:
        np.testing.assert_array_equal(FakeExtractor().embed(array[None]), wanted)
    if channels in (1, 3):
        tensor = torch.from_numpy(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("=")))).permute(2, 0, 1)
        np.testing.assert_array_equal(FakeExtractor().embed(tensor), wanted)
        np.testing.assert_array_equal(FakeExtractor().embed(tensor[None].expand(2, -1, -1, -1))[1:], wanted)


def test_booleans_are_black_and_white() -> None:
    mask = draw(3)[:, :, 0] > 128
    wanted = FakeExtractor().embed(mask.astype(np.uint8) * np.uint8(255))
    for form in (mask, mask[:, :, None], torch.from_numpy(mask)[None]):
        np.testing.assert_array_equal(FakeExtractor().embed(form), wanted)


def test_iterables_of_any_kind_are_several() -> None:
    pictures = [draw(seed) for seed in range(70)]  # more than are decoded at once
    wanted = FakeExtractor().embed(pictures)
    np.testing.assert_array_equal(FakeExtractor().embed(iter(pictures)), wanted)
    np.testing.assert_array_equal(FakeExtractor().embed(tuple(pictures)), wanted)
    np.testing.assert_array_equal(FakeExtractor().embed(dict(enumerate(pictures)).values()), wanted)
    np.testing.assert_array_equal(FakeExtractor().embed(np.stack(pictures)), wanted)
    assert FakeExtractor().embed(iter([])).shape == (0, 192)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_path_or_a_picture_and_never_another_error(data: bytes) -> None:
    assert not are_several(data)
    for form in (data, io.BytesIO(data), bytearray(data)):
        with pytest.raises(InputError) as error:
            FakeExtractor().embed(form)
        assert len(str(error.value)) <= 300
        assert str(error.value).isprintable()


def test_bytes_that_name_a_file_are_its_path_unless_they_are_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (b"a.png", b"BM.png", b"P1.png", b"GIF89a", b"\xff\xd8\xff", b"<svg", b"II*.png"):
        Image.fromarray(draw(4)).save(io.BytesIO(), "PNG")
        Path(os.fsdecode(name)).write_bytes(b"")
        assert is_path(name)
    assert is_path(b"BMW.jpg"), "no file of that name, and no picture either"
    for data in (b"a\0", b"x" * 5000, b"\xff\xd8\xff\xe0", b"GIF89b"[:5] + b"a.", b"\x89PNG\r\n\x1a\n"):
        assert not is_path(data)
    with pytest.raises(InputError, match="empty path"):
        FakeExtractor().embed(b"")
    for nothing in (bytearray(), io.BytesIO(), memoryview(b"")):
        with pytest.raises(ImageRejected) as error:
            FakeExtractor().embed(nothing)
        assert error.value.code is RejectCode.EMPTY


@pytest.mark.parametrize(
    "value",
    [
        np.zeros((4, 4), np.int32),
        np.zeros((4, 4, 3), np.uint32),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((2, 2, 4, 4, 3), np.uint8),
        np.zeros(5, np.uint8),
        np.full((4, 4, 3), 1.5),
        np.full((4, 4, 3), -0.1),
        np.full((4, 4, 3), np.inf),
        np.zeros((4, 4), object),
        torch.zeros(2, 4, 4),
        torch.zeros(4, 4, 3),
        torch.zeros(4, 4),
        torch.full((3, 4, 4), 255.0),
        {"a": 1},
        {1},
        3,
        None,
        io.StringIO("x"),
    ],
)
def test_what_is_no_image_is_told_and_what_to_give(value: Any) -> None:
    for form in (value, [value]):
        with pytest.raises(InputError, match=r"give|mode 'rb'") as error:
            FakeExtractor().embed(form)
        assert not isinstance(error.value, ImageRejected)
        assert len(str(error.value)) <= 300


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    closed = io.BytesIO(b"x")
    closed.close()
    with pytest.raises(InputError, match="mode 'rb'"):
        FakeExtractor().embed(closed)
    with (tmp_path / "w").open("wb") as writing, pytest.raises(InputError, match="mode 'rb'"):
        FakeExtractor().embed(writing)
    at_the_end = io.BytesIO(b"x")
    at_the_end.read()
    with pytest.raises(ImageRejected, match="empty"):
        FakeExtractor().embed(at_the_end)
