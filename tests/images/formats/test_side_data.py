"""What stands beside a picture never condemns it, and damage to the picture itself always does."""

from __future__ import annotations

import random
import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from simsearch.errors import ImageRejected, RejectCode
from simsearch.images import decode
from simsearch.images.formats.jpeg_end import MISSING, closed
from simsearch.images.formats.side_data import stripped
from tests.images.pictures import array, chunk, encoded, scene
from tests.images.profiles import ADOBE, profile

SIDE_CHUNKS = b"tEXt zTXt iTXt iCCP gAMA cHRM sRGB pHYs tIME bKGD eXIf acTL fcTL fdAT sBIT hIST sPLT caBX tRNS".split()
CONTENTS = (
    *(b"", b"\0", b"a\0b", b"name\0\1junk", b"name\0\0junk", bytes(1), bytes(4), bytes(9), bytes(13), b"x" * 70_000),
    *(b"a\0\0" + zlib.compress(bytes(2 << 20)), b"a\0\1\0\0\0" + zlib.compress(bytes(2 << 20))),
)
SEGMENTS = (
    *(
        b"",
        b"ICC_PROFILE\0",
        b"ICC_PROFILE\0\1",
        b"ICC_PROFILE\0\0\0",
        b"Exif\0\0",
        b"Exif\0\0II*\0",
        b"JFIF",
        b"JFIF\0",
    ),
    *(b"http://ns.adobe.com/xap/1.0/\0", b"MPF\0", b"MPF\0II*\0", b"FPXR\0", b"Adobe", b"Adobe\0", b"Ducky"),
    *(b"Photoshop 3.0\0", b"Photoshop 3.0\x008BIM", b"Photoshop 3.0\x008BIM\3\xed\0\0\0\0\0\1"),
)
MARKERS = (0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xEF, 0xFE)
BLOCKS = 32  # pixels a side of what one unit of a JPEG may touch, with the smoothing of colours


def same(data: bytes, wanted: Image.Image) -> bool:
    found = decode(data).image
    return found.size == wanted.size and bool((array(found) == array(wanted)).all())


def damaged(kind: bytes, content: bytes) -> bytes:
    made = bytearray(chunk(kind, content))
    made[-1] ^= 1
    return bytes(made)


@pytest.mark.parametrize("kind", SIDE_CHUNKS)
def test_no_side_chunk_condemns_a_png(kind: bytes) -> None:
    data, wanted = encoded(scene()), scene()
    for content in CONTENTS:
        if kind == b"tRNS" and len(content) == 6:
            continue  # a key colour that makes sense bears on the picture
        for made in (chunk(kind, content), damaged(kind, content)):
            for at in (33, data.index(b"IDAT") - 4, len(data) - 12):
                assert same(data[:at] + made + data[at:], wanted)


@pytest.mark.parametrize("kind", [b"IHDR", b"IDAT", b"PLTE"])
def test_damage_to_the_picture_counts_the_same_whatever_stands_beside_it(kind: bytes) -> None:
    data, chance = encoded(scene().quantize(16)), random.Random(6)
    at = data.index(kind)
    extra = damaged(b"tEXt", b"a\0b")
    condemned = 0
    for _ in range(30):
        broken = bytearray(data)
        broken[chance.randrange(at, at + 8 + int.from_bytes(data[at - 4 : at], "big"))] ^= 1 << chance.randrange(8)
        verdicts = list[object]()
        for each in (bytes(broken), bytes(broken[:33]) + extra + bytes(broken[33:])):
            try:
                verdicts.append(decode(each).image.tobytes())
            except ImageRejected as error:
                verdicts.append(error.code)
        assert verdicts[0] == verdicts[1]
        condemned += isinstance(verdicts[0], RejectCode)
    assert condemned > 20


def test_a_png_cut_in_its_picture_stays_cut_whatever_stands_beside_it() -> None:
    data = encoded(scene(200, 150))
    for made in (chunk(b"zTXt", CONTENTS[-2]), damaged(b"tEXt", b"a\0b")):
        for share in (0.4, 0.8, 0.95):
            with pytest.raises(ImageRejected) as caught:
                decode(data[:33] + made + data[33 : int(share * len(data))])
            assert caught.value.code in (RejectCode.TRUNCATED, RejectCode.DECODE_ERROR)


@pytest.mark.parametrize("progressive", [False, True])
def test_no_segment_condemns_a_jpeg(progressive: bool) -> None:
    data, chance = encoded(scene(), "JPEG", progressive=progressive), random.Random(4)
    wanted = decode(data).image
    for content in SEGMENTS:
        for marker in MARKERS:
            tail = chance.randbytes(chance.choice((0, 1, 2, 5, 30)))
            made = bytes((0xFF, marker)) + struct.pack(">H", len(content + tail) + 2) + content + tail
            for at in (2, 20):
                assert same(data[:at] + made + data[at:], wanted)


def test_turns_and_profiles_survive_what_is_left_out() -> None:
    made = profile(ADOBE, 2.19922)
    exif = Image.Exif()
    exif[0x0112] = 6
    bad = damaged(b"tEXt", b"a\0b")
    data = encoded(scene(), "PNG", icc_profile=made, exif=exif)
    for icc in ("ignore", "srgb"):
        whole = decode(data, icc=icc).image  # type: ignore[arg-type]
        mended = decode(data[:33] + bad + data[33:], icc=icc).image  # type: ignore[arg-type]
        assert (array(whole) == array(mended)).all()
        assert whole.size == (40, 60)


@pytest.mark.parametrize("lossless", [False, True])
def test_damaged_notes_behind_a_webp_do_not_condemn_it(lossless: bool) -> None:
    data = encoded(scene(), "WEBP", lossless=lossless, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0", xmp=b"<x/>")
    wanted = decode(data).image
    for name in (b"EXIF", b"XMP "):
        at = data.index(name)
        for size in (0, 1, 7, 1000, 2**31, 2**32 - 1):
            assert same(data[: at + 4] + struct.pack("<I", size) + data[at + 8 :], wanted)
        assert same(data[: at + 3], wanted)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "jpeg"])
def test_no_odd_tag_condemns_a_tiff(compression: str | None) -> None:
    chance = random.Random(5)
    data = encoded(scene(), "TIFF", **({"compression": compression} if compression else {}))
    wanted = decode(data).image
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    entries = [data[at + 2 + 12 * i : at + 14 + 12 * i] for i in range(count)]
    for tag in (
        269,
        270,
        271,
        272,
        282,
        296,
        305,
        306,
        315,
        316,
        318,
        330,
        700,
        33432,
        33723,
        34377,
        34665,
        34853,
        65000,
    ):
        for _ in range(12):
            kind, values = (
                chance.choice((0, 1, 2, 3, 4, 5, 7, 9, 12, 13, 16, 99)),
                chance.choice((0, 1, 3, 2**16, 2**32 - 1)),
            )
            made = struct.pack("<HHII", tag, kind, values, chance.choice((0, 1, len(data) - 2, 2**32 - 1)))
            kept = [entry for entry in entries if struct.unpack_from("<H", entry) != (tag,)]
            page = sorted([*kept, made], key=lambda entry: struct.unpack_from("<H", entry))
            moved = data[:4] + struct.pack("<I", len(data) + len(data) % 2) + data[8:] + bytes(len(data) % 2)
            assert same(moved + struct.pack("<H", len(page)) + b"".join(page) + bytes(4), wanted)


def detail(size: tuple[int, int] = (400, 300), *, seed: int = 0) -> Image.Image:
    noise = np.random.default_rng(seed).normal(0, 14, (*reversed(size), 3))
    return Image.fromarray((np.asarray(scene(*size, seed=seed)) + noise).clip(0, 255).astype(np.uint8))


def jpegs(image: Image.Image) -> dict[str, bytes]:
    return {
        "baseline": encoded(image, "JPEG", quality=85),
        "progressive": encoded(image, "JPEG", quality=85, progressive=True),
        "restarts": encoded(image, "JPEG", quality=85, restart_marker_blocks=7),
        "grey": encoded(image.convert("L"), "JPEG", quality=85),
        "full colours": encoded(image, "JPEG", quality=85, subsampling=0),
        "print": encoded(image.convert("CMYK"), "JPEG", quality=85),
    }


FORMS = list(jpegs(scene()))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("padding", [b"", bytes(500)])
def test_a_jpeg_that_lacks_its_end_mark_alone_is_taken_whole(form: str, padding: bytes) -> None:
    for seed in range(4):
        for size in ((400, 300), (61, 43), (8, 8), (1, 1)):
            data = jpegs(detail(size, seed=seed))[form]
            assert same(data[:-2] + padding, decode(data).image)
            assert same(data[:-1], decode(data).image)


@pytest.mark.parametrize("form", FORMS)
def test_a_jpeg_is_taken_while_next_to_nothing_is_missing_and_truncated_beyond(form: str) -> None:
    data = jpegs(detail())[form]
    wanted = array(decode(data).image)
    for missing in (4, 18, *range(100, 2000, 380), 5000, len(data) // 2):
        try:
            found = array(decode(data[:-missing]).image)
        except ImageRejected as error:
            ended = (error.code, missing > 18)
            assert ended == (RejectCode.TRUNCATED, True)
            continue
        away = (np.abs(found - wanted).max(axis=2) > 12).mean()
        assert away <= MISSING + BLOCKS**2 / wanted[..., 0].size
    with pytest.raises(ImageRejected, match="truncated"):
        decode(data[: len(data) * 9 // 10])


def test_a_progressive_jpeg_that_lacks_a_scan_is_truncated() -> None:
    data = encoded(detail(), "JPEG", quality=85, progressive=True)
    starts = [i for i in range(len(data)) if data[i : i + 2] == b"\xff\xda"]
    tables = [data.rfind(b"\xff\xc4", 0, start) for start in starts]
    for start, table in zip(starts[1:], tables[1:], strict=True):
        for cut in (start, table):
            with pytest.raises(ImageRejected, match="truncated"):
                decode(data[:cut])


def test_what_is_whole_is_not_mended() -> None:
    for form, data in jpegs(scene()).items():
        assert closed(data) is None, form
    for kind in ("GIF", "BMP", "AVIF"):
        assert stripped(encoded(scene(), kind), kind) is None
    for junk in (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP", b"II*\0\x08\0\0\0"):
        with pytest.raises(ImageRejected):
            decode(junk + bytes(20))


def test_an_unfinished_file_is_opened_as_before() -> None:
    with Image.open(BytesIO(encoded(scene())[:-12])) as image:
        image.load()
    assert same(encoded(scene())[:-12], scene())
