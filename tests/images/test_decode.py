from __future__ import annotations

import contextlib
import importlib.util
import random
import struct
import threading
import warnings
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile, JpegImagePlugin

from simsearch.errors import ImageRejected, RejectCode
from simsearch.images import Limits, decode
from simsearch.images.decode import DRAFT_MARGIN
from simsearch.images.formats.jpeg_header import ORIENTATION
from tests.images.pictures import apart, array, encoded, png, scene

WRITTEN = {
    "JPEG": {"quality": 95},
    "PNG": {},
    "WEBP": {"lossless": True},
    "GIF": {},
    "BMP": {},
    "TIFF": {"compression": "tiff_lzw"},
    "AVIF": {"quality": 90},
}


def code_of(data: bytes, **options: object) -> RejectCode:
    with pytest.raises(ImageRejected) as caught:
        decode(data, **options)
    return caught.value.code


@pytest.mark.parametrize("kind", WRITTEN)
def test_every_allowed_format_is_told_by_content_and_decodes_to_the_picture(kind: str) -> None:
    decoded = decode(encoded(scene(), kind, **WRITTEN[kind]))
    assert (decoded.format, decoded.width, decoded.height, decoded.image.mode) == (kind, 60, 40, "RGB")
    assert apart(decoded.image, scene()) < 8


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_is_the_picture(kind: str) -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "blue", "green")]
    decoded = decode(encoded(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert apart(decoded.image, frames[0]) < 2


@pytest.mark.parametrize("kind", ["JPEG2000", "ICO", "PPM", "TGA", "PDF", "EPS", "PCX"])
def test_other_formats_are_refused_though_pillow_could_read_them(kind: str) -> None:
    code = code_of(encoded(scene(), kind))
    # A TGA has no mark of its own and begins as a Windows cursor does.
    assert code is (RejectCode.UNKNOWN_FORMAT if kind == "PCX" else RejectCode.FORMAT_NOT_ALLOWED)


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("compression", [None, "tga_rle"])
def test_a_format_is_called_by_its_name(mode: str, compression: str | None) -> None:
    data = encoded(scene().convert(mode), "TGA", **({"compression": compression} if compression else {}))
    for each in (data, data.replace(b"TRUEVISION-XFILE.\0", b"")):  # older ones end without a mark
        with pytest.raises(ImageRejected, match="TGA"):
            decode(each)
    with pytest.raises(ImageRejected, match="icon"):
        decode(encoded(scene(), "ICO"))
    with pytest.raises(ImageRejected, match="cursor"):
        decode(struct.pack("<HHHBB", 0, 2, 1, 32, 32) + bytes(60))


def test_heic_needs_its_plugin() -> None:
    if importlib.util.find_spec("pillow_heif") is not None:
        pytest.skip("pillow-heif is installed")
    with pytest.raises(ImageRejected, match="pip install pillow-heif"):
        decode(struct.pack(">I4s4sI4s", 24, b"ftyp", b"heic", 0, b"mif1") + bytes(50))


def test_empty_and_foreign_bytes_have_codes() -> None:
    assert code_of(b"") is RejectCode.EMPTY
    assert code_of(b"hello, world") is RejectCode.UNKNOWN_FORMAT
    assert code_of(b"RIFF\0\0\0\0AVI ") is RejectCode.FORMAT_NOT_ALLOWED


def test_pixels_are_capped_by_the_header_alone() -> None:
    for width, height in ((12_000, 12_000), (100_000_001, 1), (2**31 - 1, 2**31 - 1)):
        with pytest.raises(ImageRejected, match=f"{width * height:,}|{width} x {height}") as caught:
            decode(png(width, height, b""))
        assert caught.value.code is RejectCode.TOO_MANY_PIXELS
        assert "--max-pixels" in caught.value.message
        assert "bomb" not in caught.value.message


def test_limits_are_inclusive() -> None:
    data = encoded(scene(60, 40))
    assert decode(data, limits=Limits(max_pixels=2400)).width == 60
    assert code_of(data, limits=Limits(max_pixels=2399)) is RejectCode.TOO_MANY_PIXELS
    assert code_of(data, limits=Limits(max_bytes=len(data) - 1)) is RejectCode.TOO_MANY_BYTES
    assert decode(data, limits=Limits(max_bytes=len(data))).width == 60


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_file_cut_short_is_refused(kind: str) -> None:
    data = encoded(scene(200, 150), kind, **WRITTEN[kind])
    for share in (0.3, 0.6, 0.9):
        assert code_of(data[: int(len(data) * share)]) in (RejectCode.TRUNCATED, RejectCode.DECODE_ERROR)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_half_a_file_is_called_truncated(kind: str) -> None:
    data = encoded(scene(200, 150), kind, **WRITTEN[kind])
    assert code_of(data[: len(data) // 2]) is RejectCode.TRUNCATED


def test_the_settings_of_the_host_program_neither_matter_nor_change(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(scene(200, 150), "JPEG")
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 7)
    assert code_of(data[: len(data) // 2]) is RejectCode.TRUNCATED
    assert decode(data).width == 200
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True
    assert Image.MAX_IMAGE_PIXELS == 7


@pytest.mark.parametrize("kind", WRITTEN)
def test_flipped_bytes_end_as_a_picture_or_a_reject_without_warnings(kind: str) -> None:
    chance = random.Random(1)
    good = encoded(scene(), kind, **WRITTEN[kind])
    for _ in range(150):
        data = bytearray(good)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        with contextlib.suppress(ImageRejected):
            assert decode(bytes(data), at_least=8).image.mode == "RGB"


RAISED = [
    SyntaxError, struct.error, ValueError, MemoryError, OverflowError, KeyError, ZeroDivisionError, RecursionError,
    IndexError, TypeError, AttributeError, AssertionError, EOFError, OSError, NotImplementedError, UnicodeDecodeError,
]  # fmt: skip


@pytest.mark.parametrize("error", RAISED)
def test_whatever_pillow_raises_becomes_a_reject(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise error("utf-8", b"", 0, 1, "planted") if error is UnicodeDecodeError else error("planted")

    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "load_prepare", broken)
    expected = RejectCode.TRUNCATED if error is EOFError else RejectCode.DECODE_ERROR
    assert code_of(encoded(scene(), "JPEG")) is expected


def test_interrupts_are_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "load_prepare", interrupted)
    with pytest.raises(KeyboardInterrupt):
        decode(encoded(scene(), "JPEG"))


def test_pillows_warnings_do_not_leak_and_the_callers_filters_come_back() -> None:
    before = list(warnings.filters)
    odd = encoded(scene(), "TIFF", tiffinfo={ORIENTATION: 1})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        decode(odd)
        with pytest.raises(ImageRejected):
            decode(odd[:60])
    assert caught == []
    assert list(warnings.filters) == before


def test_threads_share_the_guard() -> None:
    data, errors = encoded(scene(300, 200), "PNG"), list[Exception]()

    def work() -> None:
        try:
            for _ in range(20):
                decode(data)
        except ImageRejected as error:
            errors.append(error)

    before = (Image.MAX_IMAGE_PIXELS, list(warnings.filters))
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_tag_is_obeyed_in_every_format(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    decoded = decode(encoded(scene(), kind, exif=exif, **WRITTEN[kind]))
    upright = {
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2), 6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a, 1),
    }[orientation](array(scene()))  # fmt: skip
    assert (decoded.height, decoded.width) == upright.shape[:2]
    assert np.abs(array(decoded.image) - upright).mean() < 8


def test_the_orientation_tag_can_be_left_alone() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    decoded = decode(encoded(scene(), "JPEG", exif=exif, quality=95), exif=False)
    assert decoded.image.size == (decoded.width, decoded.height) == (60, 40)


def test_a_damaged_exif_block_does_not_condemn_the_picture() -> None:
    for exif in (b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM", b"Exif\0\0" + bytes(40)):
        assert decode(encoded(scene(), "JPEG", exif=exif)).width == 60


@pytest.mark.parametrize("shape", ["Landscape", "Portrait"])
def test_eight_orientations_are_one_picture(data: object, shape: str) -> None:
    folder = data / "near_duplicates" / "exif-orientation"  # type: ignore[operator]
    pictures = [decode((folder / f"{shape}_{i}.jpg").read_bytes()) for i in range(9)]
    assert {(p.width, p.height) for p in pictures} == {(1800, 1200) if shape == "Landscape" else (1200, 1800)}
    small = [p.image.resize((64, 64), Image.Resampling.BOX) for p in pictures]
    assert max(apart(small[1], other) for other in small) < 4


@pytest.mark.parametrize("side", [8, 24, 50, 96])
@pytest.mark.parametrize("size", [(640, 480), (479, 1000), (97, 3000)])
def test_a_reduced_jpeg_is_never_smaller_than_the_margin_and_reports_its_full_size(
    side: int, size: tuple[int, int]
) -> None:
    decoded = decode(encoded(scene(*size), "JPEG", quality=90), at_least=side)
    assert (decoded.width, decoded.height) == size
    assert min(decoded.image.size) >= min(side * DRAFT_MARGIN, *size)
    assert min(decoded.image.size) < max(4 * side * DRAFT_MARGIN, min(size) / 8 + 1)
    back = decoded.image.resize(size, Image.Resampling.BICUBIC)
    assert apart(back, scene(*size)) < 8


def test_orientation_is_obeyed_in_a_reduced_jpeg() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    decoded = decode(encoded(scene(800, 600), "JPEG", exif=exif, quality=95), at_least=24)
    assert (decoded.width, decoded.height) == (600, 800)
    assert decoded.image.size == (75, 100)
    assert apart(decoded.image, scene(800, 600).transpose(Image.Transpose.ROTATE_270).resize((75, 100))) < 4


def test_multi_picture_jpegs_are_jpegs() -> None:
    frames = [scene(seed=0), scene(seed=1)]
    decoded = decode(encoded(frames[0], "MPO", save_all=True, append_images=frames[1:], quality=95))
    assert decoded.format == "JPEG"
    assert apart(decoded.image, frames[0]) < 5


def _asked(**changes: Any) -> Any:
    return {"at_least": 40, "exif": True, "alpha": "white", "icc": "ignore"} | changes


@pytest.mark.parametrize("side", [39, 40, 79, 80, 159, 160, 319, 321, 640, 1300])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "profile", "turned", "clear", "grey"])
def test_a_decoded_picture_serves_only_what_would_see_the_same(side: int, kind: str) -> None:
    how: dict[str, Any] = {}
    image = scene(side * 4 // 3, side)
    if kind == "profile":
        how["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    if kind == "turned":
        how["exif"] = Image.Exif()
        how["exif"][0x0112] = 6
    if kind == "clear":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    data = encoded(
        image.convert("L") if kind == "grey" else image, "PNG" if kind in {"PNG", "clear"} else "JPEG", **how
    )
    asked = [_asked(), _asked(at_least=10), _asked(at_least=79), _asked(at_least=160), _asked(exif=False)]
    asked += [_asked(alpha="contrast"), _asked(icc="srgb"), _asked(at_least=45, alpha="contrast", icc="srgb")]
    decoded = [decode(data, **each) for each in asked]
    served = 0
    for one, first in zip(asked, decoded, strict=True):
        for other, second in zip(asked, decoded, strict=True):
            if first.serves(one, other):
                served += 1
                assert first.image.tobytes() == second.image.tobytes()
                assert first.image.size == second.image.size
    assert served >= len(asked)
    if kind in {"PNG", "JPEG"}:
        assert decoded[0].serves(_asked(), _asked(alpha="contrast", icc="srgb"))
    if kind == "JPEG":
        sizes = [one.image.size for one in decoded[:4]]
        serve = [[one.serves(a, b) for b in asked[:4]] for one, a in zip(decoded[:4], asked[:4], strict=True)]
        assert serve == [[x == y for y in sizes] for x in sizes]
