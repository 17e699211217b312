from __future__ import annotations

import io
import random

import numpy as np
import pytest
from PIL import Image, ImageCms

from simsearch.images import Limits, decode, to_rgb
from simsearch.images.formats.colour_profile import MAX_BYTES, _transform, is_srgb
from simsearch.images.formats.jpeg_header import plain_jpeg
from tests.images.pictures import apart, array, encoded, png, scene
from tests.images.profiles import ADOBE, DISPLAY_P3, PROPHOTO, SRGB, SRGB_CURVE, ink_profile, profile

RGB = {
    "adobe": profile(ADOBE, 2.19922),
    "p3": profile(DISPLAY_P3, SRGB_CURVE),
    "prophoto": profile(PROPHOTO, 1.8),
    "linear": profile(SRGB, 1.0),
    "linear that says sRGB": profile(SRGB, 1.0, name=b"sRGB IEC61966-2.1"),
}
KINDS = {
    "JPEG": {"quality": 97, "subsampling": 0},
    "PNG": {},
    "WEBP": {"lossless": True},
    "TIFF": {},
    "AVIF": {"quality": 97},
}


def opened(data: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(data))


def into(image: Image.Image, to: bytes, mode: str = "RGB") -> Image.Image:
    """A picture in sRGB as a program that works in another space stores it."""
    made = ImageCms.profileToProfile(image, ImageCms.createProfile("sRGB"), opened(to), outputMode=mode)
    assert made is not None
    return made


def pale(seed: int = 0) -> Image.Image:
    """A picture well inside of every gamut."""
    return scene(90, 64, seed=seed).point(lambda v: 64 + v // 2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", RGB)
def test_a_picture_in_another_space_is_seen_as_it_was_in_srgb(kind: str, name: str) -> None:
    data = encoded(into(pale(), RGB[name]), kind, icc_profile=RGB[name], **KINDS[kind])
    coarse = 4 if kind in ("JPEG", "AVIF") or name in ("prophoto", "linear", "linear that says sRGB") else 1.5
    assert apart(decode(data, icc="srgb").image, pale()) < coarse
    assert apart(decode(data).image, pale()) > 3 * apart(decode(data, icc="srgb").image, pale())
    assert apart(decode(data, icc="ignore").image, decode(data).image) == 0


@pytest.mark.parametrize("mode", ["RGBA", "P", "PA", "RGB"])
def test_modes_with_and_without_transparency_are_converted(mode: str) -> None:
    stored = into(pale(), RGB["p3"])
    if mode == "RGB":
        stored.info["transparency"] = (1, 2, 3)
    elif mode == "RGBA":
        stored.putalpha(255)
    else:
        stored = stored.quantize(64)
        stored = stored if mode == "P" else stored.convert("PA")
    stored.info["icc_profile"] = RGB["p3"]
    before = stored.tobytes()
    seen = to_rgb(stored, icc="srgb")
    assert (seen.mode, stored.tobytes()) == ("RGB", before)
    assert apart(into(seen, RGB["p3"]), stored.convert("RGB")) < 1
    assert apart(to_rgb(stored), seen) > 2


@pytest.mark.parametrize("mode", ["L", "LA", "I;16", "1"])
def test_greys_are_converted_by_profiles_of_grey(mode: str) -> None:
    grey = scene().convert("L")
    made = {"L": grey, "LA": grey.convert("LA"), "1": grey.convert("1")}
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    stored = made.get(mode, deep)
    curve = profile(None, 1.0)
    wanted = ImageCms.profileToProfile(
        stored.convert("L") if mode != "I;16" else grey, opened(curve), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    found = decode(encoded(stored, "PNG", icc_profile=curve), icc="srgb").image
    assert np.abs(array(found) - array(wanted)).max() <= 1  # type: ignore[arg-type]


def test_profiles_that_do_not_fit_change_nothing() -> None:
    grey, rgb = profile(None, 1.0), RGB["linear"]
    for image, other in ((scene(), grey), (scene().convert("L"), rgb), (scene().convert("CMYK"), rgb)):
        data = encoded(image, "TIFF", icc_profile=other)
        assert apart(decode(data, icc="srgb").image, decode(data).image) == 0


def test_broken_and_oversized_profiles_are_ignored_and_never_condemn() -> None:
    chance, plain = random.Random(3), decode(encoded(scene(), "PNG")).image
    good = RGB["prophoto"]
    for broken in (b"", b"junk", bytes(200), good[:100], good[:200], b"\xff" * 5000, good + bytes(MAX_BYTES)):
        for kind in ("PNG", "TIFF"):
            assert apart(decode(encoded(scene(), kind, icc_profile=broken), icc="srgb").image, plain) == 0
    for _ in range(200):
        data = bytearray(good)
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        assert decode(encoded(scene(), "PNG", icc_profile=bytes(data)), icc="srgb").image.size == (60, 40)


@pytest.mark.parametrize("name", [b"sRGB IEC61966-2.1", b"c2", b"Apple built-in"])
def test_srgb_is_known_by_what_it_does_whatever_its_name(name: str | bytes) -> None:
    assert is_srgb(profile(SRGB, SRGB_CURVE, name=bytes(name)))  # type: ignore[arg-type]
    assert is_srgb(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    assert not any(is_srgb(each) for each in RGB.values())
    assert is_srgb(None)
    assert is_srgb(b"broken" * 100)


def test_a_transform_is_made_once_a_profile() -> None:
    _transform.cache_clear()
    data = encoded(scene(), "PNG", icc_profile=RGB["p3"])
    for _ in range(5):
        decode(data, icc="srgb")
    assert _transform.cache_info().misses == 1


def test_a_reduced_jpeg_is_converted_too() -> None:
    big = pale().resize((900, 640), Image.Resampling.BICUBIC)
    data = encoded(into(big, RGB["adobe"]), "JPEG", quality=95, icc_profile=RGB["adobe"])
    reduced = decode(data, at_least=40, icc="srgb").image
    assert reduced.width < 300
    assert apart(reduced, big.resize(reduced.size, Image.Resampling.BOX)) < 3


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_print_colours_are_converted_by_their_profile(kind: str) -> None:
    inks, stored = ink_profile(), scene().convert("CMYK")
    wanted = ImageCms.profileToProfile(stored, opened(inks), ImageCms.createProfile("sRGB"), outputMode="RGB")
    data = encoded(stored, kind, icc_profile=inks, **({"quality": 97} if kind == "JPEG" else {}))
    assert apart(decode(data, icc="srgb").image, wanted) < 2  # type: ignore[arg-type]
    assert apart(decode(data).image, wanted) > 10  # type: ignore[arg-type]


def test_large_profiles_of_pngs_are_used() -> None:
    long = profile(ADOBE, 2.19922, pad=2 << 20)
    assert 2 << 20 < len(long) < MAX_BYTES
    data = encoded(into(pale(), long), "PNG", icc_profile=long)
    assert apart(decode(data, icc="srgb").image, pale()) < 1.5


def test_the_device_gets_jpegs_in_srgb_only() -> None:
    for name, made in (*RGB.items(), ("srgb", profile(SRGB, SRGB_CURVE)), ("none", b"")):
        data = encoded(scene(), "JPEG", icc_profile=made)
        assert (plain_jpeg(data, Limits(), exif=True, icc="srgb") is None) == (name in RGB)
        assert plain_jpeg(data, Limits(), exif=True) is not None


def test_the_key_colour_of_a_png_is_that_of_the_file() -> None:
    raw = bytes([200, 30, 40] * 8)
    data = encoded(Image.open(io.BytesIO(png(4, 2, raw))), "PNG", transparency=(200, 30, 40), icc_profile=RGB["p3"])
    assert array(decode(data, icc="srgb").image).min() == 255
