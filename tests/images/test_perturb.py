"""Laws of the perturbations: names, sizes, statistics, identity strengths, determinism."""

from __future__ import annotations

import collections
import doctest
import io
import math
import pickle
import sys

import numpy as np
import pytest
from PIL import Image, ImageFont
from scipy import ndimage

from simsearch.errors import DependencyMissing, InputError
from simsearch.images import perturb
from simsearch.images.perturb import PAPER, by_name
from simsearch.images.perturb.edits import geometry, median, text

WIDTH, HEIGHT = 481, 321
UNCHANGED_BY_CHANCE = ("noise", "text")


@pytest.fixture
def photo():
    """Smooth colour patches of mid tones with some texture, as large as a BSDS500 photograph."""
    source = np.random.default_rng(5)
    coarse = source.integers(40, 215, (12, 18, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.float32)
    return Image.fromarray(np.clip(image + source.normal(0, 4, image.shape), 0, 255).astype(np.uint8))


def grey(value, size=(WIDTH, HEIGHT)):
    return Image.new("RGB", size, (value, value, value))


def array(image):
    return np.asarray(image, np.float64)


def edited(name, image, seed=0):
    return by_name(name).apply(image, np.random.default_rng(seed))


def test_the_paper_has_58_of_15_families_in_its_order():
    assert len(PAPER) == 58
    assert len({p.name for p in PAPER}) == 58
    counts = collections.Counter(p.family for p in PAPER)
    assert list(counts.values()) == [3, 3, 3, 3, 3, 3, 4, 5, 5, 5, 4, 4, 4, 4, 5]
    assert [PAPER[i].name for i in (0, 3, 9, 14, 15, 18, 26, 27, 34, 38, 57)] == [
        "gaussian_noise_0.01",
        "s&p_noise_0.05",
        "gaussian_filter_3x3",
        "median_filter_7x7",
        "jpg_compression_10",
        "scaling_0.4",
        "cropping_60_and_rescaling",
        "rotation_5_and_rescaling",
        "shearing_5",
        "contrast_enhancement_0.66",
        "text_length_50",
    ]


@pytest.mark.parametrize("perturbation", PAPER, ids=lambda p: p.name)
def test_every_edit_is_deterministic_and_keeps_its_promises(perturbation, photo):
    before = photo.tobytes()
    once = perturbation.apply(photo, np.random.default_rng(7))
    again = perturbation.apply(photo, np.random.default_rng(7))
    assert once.tobytes() == again.tobytes()
    assert photo.tobytes() == before
    assert once.mode == "RGB"
    ratio = perturbation.parameters.get("ratio", 1)
    assert once.size == (round(WIDTH * ratio), round(HEIGHT * ratio))
    if ratio == 1:
        assert once.tobytes() != before
    other = perturbation.apply(photo, np.random.default_rng(8))
    assert (other.tobytes() != once.tobytes()) == any(word in perturbation.name for word in UNCHANGED_BY_CHANCE)
    assert by_name(perturbation.name) == perturbation
    assert pickle.loads(pickle.dumps(perturbation)) == perturbation
    assert len({perturbation, by_name(perturbation.name)}) == 1


@pytest.mark.parametrize("perturbation", PAPER, ids=lambda p: p.name)
def test_every_edit_takes_greyscale_and_portrait_images(perturbation, photo):
    image = photo.convert("L").rotate(90, expand=True)
    out = perturbation.apply(image, np.random.default_rng(0))
    assert out.mode == "L"
    assert perturbation.family == "scaling" or out.size == (HEIGHT, WIDTH)


@pytest.mark.parametrize(
    "name",
    [
        "gaussian_noise_0",
        "s&p_noise_0",
        "speckle_noise_0",
        "gaussian_filter_1x1",
        "median_filter_1x1",
        "scaling_1",
        "cropping_0_and_rescaling",
        "rotation_0_and_rescaling",
        "shearing_0",
        "contrast_enhancement_1",
        "color_enhancement_1",
        "brightness_enhancement_1",
        "sharpness_enhancement_1",
    ],
)
@pytest.mark.parametrize("size", [(WIDTH, HEIGHT), (64, 48)])
def test_strength_zero_changes_nothing(name, size, photo):
    image = photo.resize(size)
    assert edited(name, image).tobytes() == image.tobytes()


@pytest.mark.parametrize("variance", [0.01, 0.02, 0.05])
def test_gaussian_noise_has_the_variance_of_its_name(variance):
    noise = array(edited(f"gaussian_noise_{variance}", grey(128))) / 255 - 128 / 255
    sigma = math.sqrt(variance)
    edge = (127 / 255) / sigma  # clipping takes something from the tails
    drawn = np.clip(np.random.default_rng(1).normal(0, sigma, noise.shape), -edge * sigma, edge * sigma)
    assert noise.var() == pytest.approx(drawn.var(), rel=0.02)
    assert abs(noise.mean()) < 0.003
    channels = np.corrcoef(noise.reshape(-1, 3).T)
    assert np.abs(channels - np.eye(3)).max() < 0.02


@pytest.mark.parametrize("variance", [0.01, 0.02, 0.05])
def test_speckle_noise_grows_with_the_value(variance):
    for value in (50, 100):
        noise = array(edited(f"speckle_noise_{variance}", grey(value))) / value - 1
        assert noise.var() == pytest.approx(variance, rel=0.03)
        assert abs(noise.mean()) < 0.005
    assert (array(edited("speckle_noise_0.05", grey(0))) == 0).all()


@pytest.mark.parametrize("amount", [0.05, 0.1, 0.15])
def test_salt_and_pepper_hit_the_share_of_their_name(amount):
    out = array(edited(f"s&p_noise_{amount}", grey(128)))
    hit = out != 128
    n = hit.size
    assert abs(hit.mean() - amount) < 4 * math.sqrt(amount * (1 - amount) / n)
    assert set(np.unique(out)) == {0, 128, 255}
    assert abs((out[hit] == 255).mean() - 0.5) < 4 * 0.5 / math.sqrt(hit.sum())
    per_pixel = hit.sum(axis=-1)  # elements are hit apart, so specks are coloured
    assert (per_pixel == 1).mean() == pytest.approx(3 * amount * (1 - amount) ** 2, rel=0.03)


@pytest.mark.parametrize(
    ("name", "mode", "strength"),
    [
        ("gaussian_noise_0.02", "gaussian", {"var": 0.02}),
        ("speckle_noise_0.05", "speckle", {"var": 0.05}),
        ("s&p_noise_0.1", "s&p", {"amount": 0.1}),
    ],
)
def test_noise_is_distributed_as_skimage_makes_it(name, mode, strength, photo):
    util = pytest.importorskip("skimage.util")
    theirs = np.rint(util.random_noise(np.asarray(photo), mode, rng=3, **strength) * 255)
    ours = array(edited(name, photo))
    edges = np.linspace(0, 256, 33)
    left, right = (np.histogram(values, edges)[0] / values.size for values in (ours, theirs))
    assert np.abs(left - right).max() < 0.002
    gaps = [np.histogram(values - array(photo), 32, (-255, 255))[0] / values.size for values in (ours, theirs)]
    assert np.abs(gaps[0] - gaps[1]).max() < 0.002


@pytest.mark.parametrize(("size", "sigma"), [(3, 1.0), (5, 1.6), (7, 2.2)])
def test_gaussian_filter_is_the_two_dimensional_one(size, sigma, photo):
    offsets = np.arange(size) - size // 2
    kernel = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * sigma**2))
    kernel /= kernel.sum()
    planes = [ndimage.correlate(array(photo)[..., c], kernel, mode="mirror") for c in range(3)]
    assert np.abs(array(edited(f"gaussian_filter_{size}x{size}", photo)) - np.stack(planes, -1)).max() <= 0.501


@pytest.mark.parametrize("size", [1, 3, 5, 7, 9])
@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (41, 37), (20, 31, 3)])
def test_the_median_filter_is_exact(rng, size, shape):
    for high in (4, 256):  # many ties, few ties
        values = rng.integers(0, high, shape, dtype=np.uint8)
        window = (size, size, 1)[: len(shape)]
        expected = ndimage.median_filter(values, window, mode="nearest")
        np.testing.assert_array_equal(median.median_filter(values, size), expected)


def test_strips_do_not_change_the_median(rng, monkeypatch):
    values = rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)
    whole = median.median_filter(values, 5)
    monkeypatch.setattr(median, "_STRIP_BYTES", 700)
    np.testing.assert_array_equal(median.median_filter(values, 5), whole)


@pytest.mark.parametrize("n", range(1, 10))
def test_the_network_sorts_every_pattern_of_zeros_and_ones(n):
    patterns = (np.arange(2**n)[:, None] >> np.arange(n)) & 1  # enough by the zero-one principle
    cells = [patterns[:, i].astype(np.uint8) for i in range(n)]
    np.testing.assert_array_equal(np.stack(median._sorted(cells), 1), np.sort(patterns, axis=1))


def test_jpg_compression_is_a_round_trip_at_that_quality(photo):
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=30)
    assert edited("jpg_compression_30", photo).tobytes() == Image.open(buffer).tobytes()
    errors = [np.abs(array(edited(f"jpg_compression_{q}", photo)) - array(photo)).mean() for q in (10, 50, 90)]
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize(
    ("percent", "kept"), [(60, (193, 129)), (40, (289, 193)), (20, (385, 257)), (10, (433, 289)), (5, (457, 305))]
)
def test_the_crop_keeps_a_centred_share_of_each_side(percent, kept):
    left, top, right, bottom = geometry.crop_box((WIDTH, HEIGHT), percent)
    assert (right - left, bottom - top) == kept
    assert abs(left - (WIDTH - right)) <= 1
    assert abs(top - (HEIGHT - bottom)) <= 1


def test_the_crop_shows_what_lies_in_the_box():
    image = grey(0)
    image.paste((255, 255, 255), geometry.crop_box(image.size, 60))
    assert (array(edited("cropping_60_and_rescaling", image)) == 255).all()


def test_rotation_holds_the_whole_image_on_black(photo):
    assert geometry.rotated(photo, 60).size == (519, 579)
    out = array(edited("rotation_60_and_rescaling", grey(255)))
    assert (out[[0, 0, -1, -1], [0, -1, 0, -1]] == 0).all()
    assert out.mean() / 255 == pytest.approx(WIDTH * HEIGHT / (519 * 579), abs=0.01)


def test_rotation_is_counter_clockwise():
    image = grey(0, (101, 101))
    image.putpixel((100, 50), (255, 255, 255))  # the middle of the right edge goes to the middle of the top
    y, x = np.unravel_index(np.argmax(array(edited("rotation_90_and_rescaling", image))[..., 0]), (101, 101))
    assert abs(x - 50) <= 1
    assert y == 0


@pytest.mark.parametrize("degrees", [1, 2, 5, 10, 20])
@pytest.mark.parametrize("size", [(WIDTH, HEIGHT), (60, 91)])
def test_shearing_is_torchvisions(degrees, size, photo):
    functional = pytest.importorskip("torchvision.transforms.functional")
    image = photo.resize(size)
    theirs = functional.affine(
        image, 0, [0, 0], 1.0, [-degrees, -degrees], functional.InterpolationMode.BICUBIC, fill=[0]
    )
    assert np.abs(array(edited(f"shearing_{degrees}", image)) - array(theirs)).max() <= 1


@pytest.mark.parametrize("factor", [0.5, 0.66, 1.5, 2.0])
def test_contrast_blends_with_the_mean_luma(factor, photo):
    mean = round(float(array(photo.convert("L")).mean()))
    expected = np.clip(mean + factor * (array(photo) - mean), 0, 255)
    assert np.abs(array(edited(f"contrast_enhancement_{factor:g}", photo)) - expected).max() <= 1


@pytest.mark.parametrize("factor", [0.5, 0.66, 1.5, 2.0])
def test_brightness_and_colour_blend_with_black_and_grey(factor, photo):
    bright = array(edited(f"brightness_enhancement_{factor:g}", photo))
    assert np.abs(bright - np.clip(factor * array(photo), 0, 255)).max() <= 1
    luma = array(photo.convert("L"))[..., None]
    coloured = array(edited(f"color_enhancement_{factor:g}", photo))
    assert np.abs(coloured - np.clip(luma + factor * (array(photo) - luma), 0, 255)).max() <= 1


@pytest.mark.parametrize("length", [10, 20, 30, 40, 50])
def test_text_is_written_in_lines_of_twenty(length, photo):
    lines = text.random_letters(np.random.default_rng(0), length, 20).split("\n")
    assert [len(line) for line in lines] == [20] * (length // 20) + [10] * (length % 20 == 10)
    out = array(edited(f"text_length_{length}", photo))
    changed = (out != array(photo)).any(axis=-1)
    assert 0.0005 * length < changed.mean() < 0.02 * length
    assert (out[changed] == 255).all(axis=-1).mean() > 0.1
    assert (out[changed] == 0).all(axis=-1).mean() > 0.1
    assert not changed[0].any()
    assert not changed[:, 0].any()


def test_letters_are_drawn_evenly():
    letters = text.random_letters(np.random.default_rng(0), 62_000, 10**6)
    counts = collections.Counter(letters)
    assert len(counts) == 62
    assert max(abs(count - 1000) for count in counts.values()) < 5 * math.sqrt(1000)


@pytest.mark.parametrize(
    ("size", "font", "line"),
    [((481, 321), 38, 20), ((321, 481), 25, 20), ((90, 60), 5, 20), ((400, 100), 18, 20), ((100, 250), 12, 8)],
)
def test_text_size_follows_the_papers_rule(size, font, line):
    assert text.font_size(size) == font
    assert text.line_length(size) == line


def test_a_wide_font_is_made_smaller_until_it_fits(photo):
    font = perturb.dejavu_sans_bold()
    assert ImageFont.truetype(font, 12).getname() == ("DejaVu Sans", "Bold")
    for seed in range(5):
        out = by_name("text_length_50", font=font).apply(photo, np.random.default_rng(seed))
        changed = (array(out) != array(photo)).any(axis=(0, 2))
        assert changed.mean() > 0.6
        assert not changed[0]
    assert perturb.paper(font)[57].parameters == {"length": 50, "font": font}


def test_text_that_cannot_fit_is_refused_by_name():
    with pytest.raises(InputError, match="50 letters do not fit on an image of 8x8"):
        edited("text_length_50", grey(0, (8, 8)))


def test_a_missing_font_package_is_named(monkeypatch):
    monkeypatch.setattr(text.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DependencyMissing, match=r'pip install -e "\.\[benchmark\]"'):
        perturb.dejavu_sans_bold()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fog_3", "no perturbation 'fog_3'; the names are gaussian_noise_{}"),
        ("gaussian_filter_3x5", "no perturbation"),
        ("cropping_10", "no perturbation"),
        ("median_filter_4x4", "must be an odd number from 1 to 99"),
        ("jpg_compression_0", "must be from 1 to 100"),
        ("jpg_compression_fifty", "'fifty' is no whole number"),
        ("scaling_nan", "must be from"),
        ("rotation_x_and_rescaling", "'x' is no number"),
    ],
)
def test_a_wrong_name_is_refused(name, message):
    with pytest.raises(InputError, match=message.replace("{", r"\{")):
        by_name(name)


def test_other_modes_are_refused():
    with pytest.raises(InputError, match="mode RGBA cannot be perturbed; convert it to RGB first"):
        edited("scaling_0.5", Image.new("RGBA", (9, 9)))


def test_the_examples_hold():
    for module in (perturb, geometry, text, median):
        assert doctest.testmod(sys.modules[module.__name__]).failed == 0
