from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from simsearch.images import decode, to_rgb
from tests.images.pictures import apart, array, chunk, encoded, png, scene


def pixel(image: Image.Image) -> tuple[int, ...]:
    return tuple(array(image)[0, 0].tolist())


@pytest.mark.parametrize(
    "mode", ["RGB", "L", "1", "P", "CMYK", "YCbCr", "HSV", "RGBX", "RGBA", "LA", "PA", "RGBa", "La"]
)
def test_opaque_pictures_keep_their_colours(mode: str) -> None:
    grey = mode in ("L", "1", "LA", "La")
    original = scene().convert("1" if mode == "1" else "L").convert("RGB") if grey else scene()
    through = original.convert("RGBA") if mode == "RGBa" else original.convert("LA") if mode == "La" else original
    through = through.convert("P", palette=Image.Palette.ADAPTIVE) if mode == "P" else through.convert(mode)
    rgb = to_rgb(through)
    assert (rgb.mode, rgb.size) == ("RGB", original.size)
    assert apart(rgb, original) < (30 if mode in ("P", "PA") else 4)


@pytest.mark.parametrize("alpha", [0, 1, 100, 254, 255])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "RGBa"])
def test_alpha_is_composited_on_white(mode: str, alpha: int) -> None:
    colour = (40, 40, 40, alpha)
    clear = Image.new("RGBA", (3, 3), colour)
    rgb = to_rgb(clear if mode == "RGBA" else clear.convert(mode))
    assert np.allclose(
        array(rgb), 255 + (40 - 255) * alpha / 255, atol=2 if mode != "RGBa" else 2 + 200 / max(alpha, 1)
    )


def test_a_clear_pixel_never_shows_its_hidden_colour() -> None:
    hidden = scene().convert("RGBA")
    hidden.putalpha(0)
    for image in (
        hidden,
        hidden.convert("LA"),
        decode(encoded(hidden, "PNG")).image,
        decode(encoded(hidden, "WEBP")).image,
    ):
        assert array(to_rgb(image)).min() == 255


def test_a_palette_with_transparency_is_laid_on_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([0, 1])
    for transparency in (0, bytes([0, 255])):
        rgb = decode(encoded(image, "PNG", transparency=transparency)).image
        assert array(rgb).tolist() == [[[255, 255, 255], [200, 100, 50]]]
    assert array(decode(encoded(image, "GIF", transparency=0)).image)[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize(("mode", "clear"), [("L", 7), ("RGB", (7, 8, 9)), ("1", 0)])
def test_a_transparent_colour_key_is_laid_on_white(mode: str, clear: int | tuple[int, ...]) -> None:
    image = Image.new(mode, (4, 4), clear)
    assert pixel(decode(encoded(image, "PNG", transparency=clear)).image) == (255, 255, 255)


def test_sixteen_bit_colour_keys() -> None:
    key = chunk(b"tRNS", struct.pack(">3H", 1000, 2000, 3000))
    raw = struct.pack(">6H", 1000, 2000, 3000, 40000, 50000, 60000)
    assert array(decode(png(2, 1, raw, depth=16, extra=key)).image).tolist() == [[[255] * 3, [156, 195, 234]]]
    key, raw = chunk(b"tRNS", struct.pack(">H", 1000)), struct.pack(">2H", 1000, 40000)
    assert array(decode(png(2, 1, raw, depth=16, colour=0, extra=key)).image).tolist() == [[[255] * 3, [156] * 3]]


def test_sixteen_bits_with_alpha() -> None:
    raw = struct.pack(">8H", 1000, 2000, 3000, 0, 40000, 50000, 60000, 65535)
    assert array(decode(png(2, 1, raw, depth=16, colour=6)).image).tolist() == [[[255] * 3, [156, 195, 234]]]
    raw = struct.pack(">4H", 1000, 0, 40000, 65535)
    assert array(decode(png(2, 1, raw, depth=16, colour=4)).image).tolist() == [[[255] * 3, [156] * 3]]


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I;16L", "I", "F"])
def test_sixteen_bit_greys_are_scaled_not_clipped(mode: str) -> None:
    ramp = np.linspace(0, 65535, 256 * 4).astype(np.uint16).reshape(16, 64)
    if mode in ("I", "F"):
        image = Image.fromarray(ramp.astype(np.int32 if mode == "I" else np.float32))
    else:
        order = ">" if mode.endswith("B") else "<"
        image = Image.frombytes(mode, (64, 16), ramp.astype(f"{order}u2").tobytes())
    assert image.mode == mode
    assert np.abs(array(to_rgb(image))[..., 1] - ramp / 257).max() <= 0.5


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_sixteen_bit_file_equals_its_eight_bit_twin(kind: str) -> None:
    grey = scene().convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    assert apart(decode(encoded(deep, kind)).image, to_rgb(grey)) == 0


@pytest.mark.parametrize("scale", [1 / 255, 1, 257])
def test_floats_are_scaled_by_the_usual_white_that_holds_them(scale: float) -> None:
    grey = scene().convert("L").point(lambda v: 255 if v > 200 else v)
    floats = Image.fromarray(np.asarray(grey).astype(np.float32) * np.float32(scale))
    assert apart(decode(encoded(floats, "TIFF")).image, to_rgb(grey)) == 0


def test_values_out_of_any_usual_range_are_stretched_and_nan_is_black() -> None:
    values = np.array([[-3.0, 0.0, 3.0, np.nan, np.inf]], dtype=np.float32)
    assert array(to_rgb(Image.fromarray(values)))[0, :, 0].tolist() == [0, 128, 255, 128, 128]
    assert array(to_rgb(Image.fromarray(np.zeros((2, 2), np.float32)))).max() == 0
    assert array(to_rgb(Image.fromarray(np.array([[-5, 10**9]], np.int32))))[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize("mode", ["I;16", "F"])  # for 8 bits and fewer Pillow does it
def test_a_tiff_whose_zero_is_white_is_turned_over(mode: str) -> None:
    grey = np.asarray(scene().convert("L"))
    levels = {"I;16": grey.astype(np.uint16) * 257, "F": grey.astype(np.float32) / 255}[mode]
    inverted = decode(encoded(Image.fromarray(levels), "TIFF", tiffinfo={262: 0})).image
    plain = decode(encoded(Image.fromarray(levels), "TIFF")).image
    assert apart(plain, Image.fromarray(grey).convert("RGB")) == 0
    assert np.abs(array(inverted) + array(plain) - 255).max() <= 1


def test_print_colours() -> None:
    for colour, expected in (((0, 0, 0, 0), (255,) * 3), ((0, 0, 0, 255), (0,) * 3), ((255, 0, 0, 0), (0, 255, 255))):
        image = Image.new("CMYK", (16, 16), colour)
        for kind in ("TIFF", "JPEG"):  # Pillow writes JPEGs as Adobe does, inverted
            assert np.abs(array(decode(encoded(image, kind)).image) - expected).max() <= 3


def test_lab_is_converted_by_colour_management() -> None:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(scene(), srgb, lab, outputMode="LAB")
    assert image is not None
    assert apart(to_rgb(image), scene()) < 3
    assert apart(decode(encoded(image, "TIFF")).image, scene()) < 3


def test_a_png_without_its_palette_still_decodes() -> None:
    assert decode(png(4, 2, bytes(range(8)), colour=3)).image.size == (4, 2)


def test_the_given_image_is_left_alone() -> None:
    image = Image.new("RGB", (2, 2), (7, 8, 9))
    image.info["transparency"] = (1800, 2050, 2310)
    to_rgb(image)
    assert image.info["transparency"] == (1800, 2050, 2310)
