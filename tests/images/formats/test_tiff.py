"""TIFFs of any samples: the picture, within a level, or a reject that names the form; never noise."""

from __future__ import annotations

import itertools
import struct
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from simsearch.errors import ImageRejected, RejectCode
from simsearch.images import Preprocessing, decode, find, prepare
from simsearch.images.formats.tiff import has_more_pages
from tests.images.pictures import SQUASH, encoded, scene

tifffile = pytest.importorskip("tifffile")
SAMPLES = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "f2", "f4", "f8")
COLOURS = {1: "minisblack", 2: "minisblack", 3: "rgb", 4: "rgb"}
EXPECTED = {("u1", 1), ("u1", 2), ("u1", 3), ("u1", 4), ("u2", 1), ("u2", 3), ("u2", 4), ("u4", 1), ("f4", 1)}


def levels(count: int) -> NDArray[np.uint8]:
    """A picture (40, 48, count) with every level in it, opaque where it has alpha."""
    y, x = np.mgrid[0:40, 0:48]
    colours = np.stack([x * 5 % 256, y * 6 % 256, (x + y) * 3 % 256], 2)
    chosen = colours if count > 2 else colours[..., :1]
    alpha = np.full((40, 48, 1), 255)
    return np.concatenate([chosen, alpha] if count in (2, 4) else [chosen], 2).astype(np.uint8)


def stored(values: NDArray[np.uint8], dtype: str) -> NDArray[Any]:
    """Levels as the whole range of a type; signed ones from 0 on."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return (values / 255).astype(kind)
    top = np.iinfo(kind).max
    return np.array([[[int(v) * top // 255 for v in pixel] for pixel in row] for row in values], kind)


def written(dtype: str, count: int, *, planar: bool, compression: str | None, order: str) -> bytes:
    values = stored(levels(count), dtype)
    options: dict[str, Any] = {"photometric": COLOURS[count]}
    if count in (2, 4):
        options["extrasamples"] = ["unassalpha"]
    if count > 1:
        options["planarconfig"] = "separate" if planar else "contig"
    values = np.moveaxis(values, 2, 0) if planar else values if count > 1 else values[..., 0]
    buffer = BytesIO()
    tifffile.imwrite(buffer, values, byteorder=order, compression=compression, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("dtype", SAMPLES)
@pytest.mark.parametrize("count", COLOURS)
def test_samples_are_right_or_refused_by_name(dtype: str, count: int) -> None:
    wanted = levels(count).astype(int)[..., : 3 if count > 2 else 1]
    read = 0
    for planar, compression, order in itertools.product((False, True), (None, "zlib"), "<>"):
        if planar and count == 1:
            continue
        data = written(dtype, count, planar=planar, compression=compression, order=order)
        try:
            found = np.asarray(decode(data).image).astype(int)
        except ImageRejected as error:
            said = f"x {8 * np.dtype(dtype).itemsize} bits" in error.message and "header" not in error.message
            assert (error.code, said) == (RejectCode.FORMAT_NOT_ALLOWED, True)  # noqa: PT017
            continue
        read += 1
        assert np.abs(found - wanted).max() <= 1, (planar, compression, order)
    assert (read > 0) == ((dtype, count) in EXPECTED)


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_tiles_and_other_meanings(dtype: str, tiled: bool) -> None:
    for photometric, count in (("miniswhite", 1), ("rgb", 3)):
        values = stored(levels(count), dtype)
        buffer = BytesIO()
        options: dict[str, Any] = {"tile": (16, 16)} if tiled else {}
        tifffile.imwrite(buffer, values if count > 1 else values[..., 0], photometric=photometric, **options)
        found = np.asarray(decode(buffer.getvalue()).image).astype(int)
        wanted = levels(count).astype(int)
        assert np.abs(found - (255 - wanted if photometric == "miniswhite" else wanted)).max() <= 1


def test_wide_whole_numbers() -> None:
    for top in (255, 65535, 2**32 - 1):
        values = (levels(1)[..., 0].astype(np.uint64) * top // 255).astype(np.uint32)
        buffer = BytesIO()
        tifffile.imwrite(buffer, values, photometric="minisblack")
        assert np.abs(np.asarray(decode(buffer.getvalue()).image).astype(int) - levels(1)).max() <= 1
    for low, high, code in ((0, 255, None), (0, 65535, None), (-1, 100, 1), (0, 2**31 - 1, 1)):
        values = np.array([[low, high]], np.int32)
        data = encoded(Image.fromarray(values), "TIFF")
        if code is None:
            assert np.asarray(decode(data).image)[0, :, 0].tolist() == [0, 255]
        else:
            with pytest.raises(ImageRejected, match="signed"):
                decode(data)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("top", [255, 65535])
def test_palettes_of_8_and_of_16_bits(top: int, order: str) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (3, 256))
    buffer = BytesIO()
    tifffile.imwrite(
        buffer,
        levels(1)[..., 0],
        photometric="palette",
        colormap=(colours * (top // 255)).astype(np.uint16),
        byteorder=order,
    )
    found = np.asarray(decode(buffer.getvalue()).image).astype(int)
    assert np.abs(found - colours.T[levels(1)[..., 0]]).max() <= 1


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("big", [False, True])
def test_further_samples_planes_and_large_offsets_are_right_or_refused(dtype: str, big: bool) -> None:
    values = stored(np.concatenate([levels(3)] * 2, 2), dtype)
    read = 0
    for count, planar, compression, order in itertools.product((3, 4, 5, 6), (False, True), (None, "zlib"), "<>"):
        buffer = BytesIO()
        options: dict[str, Any] = {"extrasamples": ["unspecified"] * (count - 3), "byteorder": order, "bigtiff": big}
        options["planarconfig"] = "separate" if planar else "contig"
        some = values[..., :count]
        some = np.moveaxis(some, 2, 0) if planar else some
        tifffile.imwrite(buffer, some, photometric="rgb", compression=compression, **options)
        try:
            found = np.asarray(decode(buffer.getvalue()).image).astype(int)
        except ImageRejected as error:
            said = "header" not in error.message
            assert (error.code, said) == (RejectCode.FORMAT_NOT_ALLOWED, True)  # noqa: PT017
            continue
        read += 1
        assert np.abs(found - levels(3).astype(int)).max() <= 1
    assert read >= 6


def test_uncompressed_subsampled_colours_are_refused() -> None:
    data = bytearray(encoded(scene(), "TIFF"))
    at = data.index(struct.pack("<HHIHH", 262, 3, 1, 2, 0))
    data[at + 8] = 6  # YCbCr, whose subsampling is 2 x 2 where nothing is said
    with pytest.raises(ImageRejected, match="subsampled"):
        decode(bytes(data))


def test_truly_damaged_headers_are_still_called_so() -> None:
    with pytest.raises(ImageRejected, match="header is damaged"):
        decode(encoded(scene(), "TIFF")[:20])


MANY = [Image.new("RGB", (20, 10), colour) for colour in ("red", "blue", "green")]


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "WEBP", "PNG", "AVIF"])
def test_further_pages_and_frames_are_told(kind: str, tmp_path: Any) -> None:
    several = encoded(MANY[0], kind, save_all=True, append_images=MANY[1:])
    single = encoded(MANY[0], kind)
    assert decode(several).more
    assert not decode(single).more
    for i, data in enumerate((several, single)):
        (tmp_path / f"{i}").write_bytes(data)
    how: Preprocessing = SQUASH
    for workers in (0, 1):
        found = list(prepare(find([tmp_path]), how, workers=workers))
        assert [one.more for one in found] == [True, False]  # type: ignore[union-attr]


def test_smaller_forms_of_a_page_are_no_pages_and_circles_end() -> None:
    buffer = BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(levels(3), photometric="rgb")
        writer.write(levels(3)[::2, ::2], photometric="rgb", subfiletype=1)
    assert not has_more_pages(buffer.getvalue())
    data = bytearray(encoded(scene(), "TIFF"))
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    struct.pack_into("<I", data, at + 2 + 12 * count, at)
    assert not has_more_pages(bytes(data))
    assert decode(bytes(data)).width == 60


def test_a_jpeg_with_other_forms_of_its_picture_is_one_picture() -> None:
    assert not decode(encoded(scene(), "MPO", save_all=True, append_images=[scene(seed=1)])).more
