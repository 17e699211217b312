"""Laws of the whole family of perceptual hashes, and what each one's values mean."""

from __future__ import annotations

import doctest
import importlib
import io
import pickle
import tarfile
from dataclasses import fields

import numpy as np
import pytest
from PIL import Image

from simsearch import distance
from simsearch.errors import DependencyMissing, InputError
from simsearch.extract.hashes import ahash, base, dhash, haar, opencv, pdq, phash, whash
from simsearch.extract.hashes import isometry as hashes_isometric
from simsearch.extract.hashes.ahash import AHash
from simsearch.extract.hashes.base import BitHash
from simsearch.extract.hashes.dhash import DHash
from simsearch.extract.hashes.formats import floats_from_base64, floats_to_base64, from_hex, to_hex
from simsearch.extract.hashes.haar import Haar
from simsearch.extract.hashes.isometry import Isometry, turn_image
from simsearch.extract.hashes.opencv import BlockMean, ColourMoments, MarrHildreth
from simsearch.extract.hashes.pdq import Pdq, PdqFloat
from simsearch.extract.hashes.phash import PHash, PHashFloat
from simsearch.extract.hashes.whash import WHash
from simsearch.extract.zoo.golden import check_golden, write_golden

imagehash = pytest.importorskip("imagehash")
cv2 = pytest.importorskip("cv2")
pytest.importorskip("pdqhash")

LENGTHS = {  # bits, or dimensions of a row
    AHash: ({}, 64),
    DHash: ({}, 64),
    PHash: ({}, 64),
    WHash: ({}, 64),
    PHashFloat: ({}, 63),
    Pdq: ({}, 256),
    PdqFloat: ({}, 256),
    MarrHildreth: ({}, 576),
    BlockMean: ({}, 256),
    ColourMoments: ({}, 42),
    Haar: ({}, 4096),
}
ODD = (
    (AHash, {"size": 11}, 121),
    (DHash, {"size": 13}, 169),
    (PHash, {"size": 5, "factor": 3, "first": False, "shift": 2}, 24),
    (PHash, {"size": 11, "factor": 1, "shift": 1}, 121),
    (PHashFloat, {"size": 3, "first": True}, 9),
    (WHash, {"size": 2}, 4),
    (WHash, {"size": 16, "scale": 64}, 256),
    (WHash, {"mode": "db4", "scale": 64}, 196),
    (MarrHildreth, {"alpha": 1, "scale": 2}, 576),
    (BlockMean, {"mode": 1}, 961),
    (Haar, {"side": 16, "count": 60, "weights": "painted"}, 1792),
)
CASES = (*((kind, *case) for kind, case in LENGTHS.items()), *ODD)
every_hash = pytest.mark.parametrize(
    ("kind", "parameters", "length"), CASES, ids=lambda x: getattr(x, "__name__", None)
)


def photographs(count=6, size=(240, 160)):
    """Smooth coloured pictures with clear structure at several scales, and a little of everything."""
    rng = np.random.default_rng(256)
    for _ in range(count):
        picture = np.zeros((*size[::-1], 3))
        for side in (3, 6, 12):
            coarse = Image.fromarray(rng.integers(0, 256, (side, side + 1, 3), dtype=np.uint8))
            picture += np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), float) / side
        yield Image.fromarray((picture / picture.max() * 255).astype(np.uint8))


@pytest.fixture(scope="module")
def photos():
    return list(photographs())


def apart(extractor, a, b):
    if isinstance(extractor, BitHash):
        return distance.hamming(a, b, bits=extractor.bits)
    return distance.by_name(extractor.metric)(a, b)


def mild_edits(photo):
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=60)
    return [Image.open(buffer).convert("RGB"), photo.resize((photo.width // 2, photo.height // 2))]


@every_hash
def test_a_hash_is_a_function_of_the_picture_and_as_long_as_promised(kind, parameters, length, photos):
    extractor = kind(**parameters)
    rows = extractor.rows(photos)
    np.testing.assert_array_equal(kind(**parameters).rows([photo.copy() for photo in photos]), rows)
    np.testing.assert_array_equal(np.concatenate([extractor.rows([photo]) for photo in photos]), rows)
    if isinstance(extractor, BitHash):
        assert extractor.bits == length
        assert (rows.shape, rows.dtype) == ((6, -(-length // 8)), np.uint8)
        assert not np.unpackbits(rows, axis=1)[:, length:].any()
    else:
        assert (rows.shape, rows.dtype) == ((6, length), np.float32)
    assert extractor.dimension == rows.shape[1]
    for none in (extractor.rows([]), extractor.embed([])):
        assert (none.shape, none.dtype) == ((0, rows.shape[1]), rows.dtype)


@every_hash
def test_mild_edits_are_near_and_strangers_far(kind, parameters, length, photos):
    if length < 64:
        return  # a handful of values is no promise
    extractor = kind(**parameters)
    rows = extractor.rows(photos)
    strangers = apart(extractor, rows, rows) + np.where(np.eye(len(rows)), np.inf, 0)
    assert (np.diagonal(apart(extractor, rows, rows)) == 0).all()
    for i, photo in enumerate(photos):
        copies = apart(extractor, extractor.rows(mild_edits(photo)), rows)
        assert (copies.argmin(axis=1) == i).all()
        assert copies[:, i].max() < 0.6 * np.median(strangers[np.isfinite(strangers)])


@every_hash
def test_text_gives_the_row_again(kind, parameters, length, photos):
    extractor = kind(**parameters)
    rows = extractor.rows(photos)
    if isinstance(extractor, BitHash):
        again = from_hex(to_hex(rows), bits=extractor.bits)
    else:
        again = floats_from_base64(floats_to_base64(rows), dimension=extractor.dimension)
    np.testing.assert_array_equal(again, rows)


@every_hash
def test_every_way_of_giving_an_image_is_the_same(kind, parameters, length, photos):
    extractor = pickle.loads(pickle.dumps(kind(**parameters)))
    rows = extractor.rows(photos)
    np.testing.assert_array_equal(extractor.embed(photos), rows)
    np.testing.assert_array_equal(extractor.embed([np.asarray(photo) for photo in photos]), rows)
    pixels = np.stack([extractor.preprocessing.apply(photo) for photo in photos])
    assert (apart(extractor, extractor.embed_pixels(pixels), rows).argmin(axis=1) == np.arange(6)).all() or length < 64


@every_hash
def test_a_flat_or_tiny_picture_has_a_hash_too(kind, parameters, length):
    extractor = kind(**parameters)
    pictures = [Image.new("RGB", size, colour) for size in ((1, 1), (40, 30)) for colour in ("black", "white", "red")]
    assert np.isfinite(extractor.rows(pictures)).all()


@every_hash
def test_every_parameter_decides_the_fingerprint_and_stands_in_the_name(kind, parameters, length):
    changed = kind(**parameters)
    assert (changed.name == changed.base) == (not parameters)
    seen = {kind().fingerprint}
    for name, value in parameters.items():
        assert f"{name}={str(value).lower()}" in changed.name
        if (name, value) != ("mode", "db4"):
            seen.add(kind(**{name: value}).fingerprint)
    assert len(seen) == 1 + len(parameters) - (parameters.get("mode") == "db4")
    assert set(parameters) <= {f.name for f in fields(kind)}
    assert all(f"{{{f.name}}}" in kind.recipe for f in fields(kind))
    assert extractor_versions(changed)


def extractor_versions(extractor):
    return all(extractor.runtime().values()) and "pillow" in extractor.runtime()


# How many of the bits that are told from a row alone are those of the turned picture's hash, on average over pictures.
AGREEMENT = {
    AHash: 0.995, DHash: 0.95, PHash: 0.93, WHash: 0.995, PHashFloat: 1 - 1e-4, BlockMean: 0.999, Haar: 0.93, Pdq: 0.8,
    PdqFloat: 0.96,
}  # fmt: skip


@every_hash
def test_the_eight_forms_from_one_row_are_those_of_the_turned_picture(kind, parameters, length, photos):
    extractor = kind(**parameters)
    rows = extractor.rows(photos)
    forms = extractor.isometries(photos)
    told = [isometry for isometry in Isometry if extractor.turned_rows(rows, isometry) is not None]
    by_class = {DHash: 4, MarrHildreth: 1, ColourMoments: 1}
    assert len(told) == (1 if parameters.get("mode") == "db4" else by_class.get(kind, 8))
    for isometry in Isometry:
        exact = extractor.rows([turn_image(photo, isometry) for photo in photos])
        if isometry not in told:
            np.testing.assert_array_equal(forms[isometry], exact)
        elif length >= 64 or kind is PHashFloat:
            few_frequencies = 0.08 if kind is PHash else 0  # in these pictures, unlike in photographs
            assert agreement(extractor, forms[isometry], exact) >= AGREEMENT.get(kind, 1) - few_frequencies


def agreement(extractor, a, b):
    if isinstance(extractor, Haar):
        a, b = (np.sign(rows[:, : 3 * extractor.side**2]) for rows in (a, b))  # without the ballast
        return (a == b)[a != 0].mean()
    return 1 - np.diagonal(apart(extractor, a, b)).mean()


def test_exact_forms_are_those_of_the_turned_picture(photos):
    for isometry, rows in Pdq().isometries(photos, exact=True).items():
        np.testing.assert_array_equal(rows, Pdq().rows([turn_image(photo, isometry) for photo in photos]))


@every_hash
def test_turning_a_row_there_and_back_gives_it_again(kind, parameters, length, photos):
    extractor = kind(**parameters)
    rows = extractor.rows(photos)
    for isometry, back in zip(Isometry, inverses(), strict=True):
        turned = extractor.turned_rows(rows, isometry)
        if turned is not None:
            np.testing.assert_allclose(extractor.turned_rows(turned, back), rows, rtol=1e-6)


def inverses():
    swapped = {Isometry.ROTATE_90: Isometry.ROTATE_270, Isometry.ROTATE_270: Isometry.ROTATE_90}
    return [swapped.get(isometry, isometry) for isometry in Isometry]


@pytest.mark.parametrize(
    ("size", "bounds"),
    [
        ((192, 144), AGREEMENT | {PHash: 0.93, Haar: 0.97, Pdq: 0.82}),
        pytest.param((768, 576), {Pdq: 0.92, PdqFloat: 0.99}, marks=pytest.mark.slow),
    ],
    ids=["small", "large"],
)
def test_the_agreement_that_the_docstrings_state_holds_on_photographs(data, size, bounds):
    images = [image.resize(size) for image in members(data / "strangers" / "dev.tar", every=40, count=30)]
    for kind, bound in bounds.items():
        extractor = kind()
        rows = extractor.rows(images)
        for isometry in (Isometry.FLIP_LEFT_RIGHT, Isometry.ROTATE_180, Isometry.TRANSPOSE):
            told = extractor.turned_rows(rows, isometry)
            if told is not None:
                true = extractor.rows([turn_image(image, isometry) for image in images])
                assert agreement(extractor, told, true) >= bound, (kind, isometry)


def members(archive, *, every, count):
    with tarfile.open(archive) as tar:
        for member in [m for m in tar if m.name.endswith(".jpg")][::every][:count]:
            yield Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB")


@pytest.mark.parametrize("size", [8, 11])
@pytest.mark.parametrize(
    ("kind", "oracle"),
    [
        (AHash, "average_hash"), (DHash, "dhash"), (PHash, "phash"), (WHash, "whash"),
    ],
)  # fmt: skip
def test_bits_and_text_are_those_of_imagehash(kind, oracle, size, photos):
    if kind is WHash and size == 11:
        size = 16
    extractor = kind(size=size)
    for photo in photos:
        expected = getattr(imagehash, oracle)(photo, size)
        row = extractor.rows([photo])
        np.testing.assert_array_equal(np.unpackbits(row, count=size * size), expected.hash.ravel())
        if size % 8 == 0:
            assert to_hex(row) == [str(expected)]


def test_the_wavelet_hash_at_every_scale_is_that_of_imagehash(photos):
    for scale, mode in ((32, "haar"), (256, "haar"), (64, "db4")):
        rows = WHash(scale=scale, mode=mode).rows(photos)
        for row, photo in zip(rows, photos, strict=True):
            expected = imagehash.whash(photo, 8, scale, mode).hash
            np.testing.assert_array_equal(np.unpackbits(row, count=expected.size), expected.ravel())


def test_parameters_of_phash_take_the_coefficients_that_they_say(photos):
    def coefficient(pixels, u, v):
        n = len(pixels)
        x = (2 * np.arange(n) + 1) * np.pi / (2 * n)
        return 4 * np.cos(u * x) @ pixels @ np.cos(v * x)  # DCT-II, unnormalised along both axes

    pixels = np.asarray(photos[0].convert("L").resize((12, 12), Image.Resampling.LANCZOS), float)
    expected = np.array([[coefficient(pixels, u, v) for v in range(2, 6)] for u in range(2, 6)])
    parameters = {"size": 4, "factor": 3, "shift": 2}
    np.testing.assert_allclose(PHashFloat(first=True, **parameters).rows(photos[:1])[0], expected.ravel(), rtol=1e-5)
    np.testing.assert_allclose(PHashFloat(**parameters).rows(photos[:1])[0], expected.ravel()[1:], rtol=1e-5)
    without = np.unpackbits(PHash(first=False, **parameters).rows(photos[:1]), count=15)
    np.testing.assert_array_equal(without, expected.ravel()[1:] > np.median(expected.ravel()[1:]))


def test_brightness_and_contrast_leave_the_float_forms_alone(photos):
    muted = [photo.point(lambda level: 30 + level // 2) for photo in photos]
    for extractor in (PHashFloat(), PdqFloat()):
        assert np.diagonal(apart(extractor, extractor.rows(muted), extractor.rows(photos))).max() < 1e-3


def test_a_flat_picture_has_no_frequencies_that_rounding_made():
    flat = [Image.new("RGB", (200, 130), colour) for colour in ((127, 127, 127), (200, 30, 77), (255, 255, 255))]
    for extractor in (PHashFloat(), PHashFloat(size=11), PdqFloat()):
        assert not extractor.rows(flat).any()


def test_opencv_compares_as_we_do(photos):
    pixels = [np.ascontiguousarray(np.asarray(photo)[:, :, ::-1]) for photo in photos[:2]]
    for extractor, theirs in (
        (MarrHildreth(alpha=3, scale=2), cv2.img_hash.MarrHildrethHash.create(3, 2)),
        (BlockMean(), cv2.img_hash.BlockMeanHash.create(0)),
        (BlockMean(mode=1), cv2.img_hash.BlockMeanHash.create(1)),
        (ColourMoments(), cv2.img_hash.ColorMomentHash.create()),
    ):
        rows = extractor.rows(photos[:2])
        expected = theirs.compare(*(theirs.compute(p) for p in pixels))
        factor = extractor.bits if isinstance(extractor, BitHash) else 1
        assert apart(extractor, rows[:1], rows[1:])[0, 0] * factor == pytest.approx(expected, rel=1e-5)


def test_pdq_is_the_published_hash_with_its_quality(data):
    bridge = Image.open(data / "near_duplicates" / "pdq_bridge" / "bridge-1-original.jpg").convert("RGB")
    rows, qualities = Pdq().with_quality([bridge, Image.new("RGB", (64, 64))])
    published = from_hex(["f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22"], bits=256)
    assert distance.hamming(rows[:1], published)[0, 0] <= 10 / 256  # the authors' rule for another decoder
    assert qualities.tolist() == [100, 0]
    np.testing.assert_array_equal(Pdq().rows([bridge]), rows[:1])
    floats = PdqFloat().rows([bridge])[0]
    np.testing.assert_array_equal(np.unpackbits(rows[0]), floats > np.sort(floats)[127])


def test_an_unfilled_byte_does_not_count(photos):
    extractor = AHash(size=11)
    rows = extractor.rows(photos)
    bits = np.array([np.unpackbits(row)[:121] for row in rows])
    share = (bits[:, None] != bits[None]).mean(axis=2)
    np.testing.assert_allclose(apart(extractor, rows, rows), share)
    np.testing.assert_allclose(distance.hamming(rows, rows) * (8 * extractor.dimension / extractor.bits), share)


def test_packed_bits_have_golden_rows_too(tmp_path):
    extractor = DHash()
    write_golden(extractor, tmp_path)
    assert check_golden(extractor, tmp_path) == 0


def test_the_fingerprints_of_released_hashes_stay():
    assert DHash().fingerprint == "a3d6de9613c8215c21327b3e8390cba6f8d50605ffbbf30e8f2b4d749b752a1d"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AHash(size=1), r"size=1 must lie in 2 to 64"),
        (lambda: PHash(size=8.0), r"size=8.0 must be of type int"),
        (lambda: PHash(first=1), r"first=1 must be of type bool"),
        (lambda: WHash(size=12), r"size=12 .* powers of two"),
        (lambda: WHash(size=16, scale=8), r"powers of two, the size smaller"),
        (lambda: WHash(mode="db4"), r"add one: scale=256"),
        (lambda: WHash(mode="sym2"), r"mode='sym2' must be one of haar, db4"),
        (lambda: Haar(side=48), r"side=48 must be a power of two"),
        (lambda: BlockMean(mode=2), r"mode=2 must lie in 0 to 1"),
    ],
)
def test_parameters_out_of_range_are_named(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize("kind", [AHash, DHash, Pdq, PdqFloat, MarrHildreth, BlockMean, ColourMoments])
def test_a_missing_library_is_named(kind, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(DependencyMissing, match=r'pip install -e "\.\[benchmark\]"'):
        kind()


def test_a_plain_opencv_is_named(monkeypatch):
    monkeypatch.setattr(importlib, "import_module", lambda name: object())
    with pytest.raises(DependencyMissing, match="plain OpenCV"):
        BlockMean()


@pytest.mark.parametrize("module", [haar, ahash, dhash, whash, phash, base, hashes_isometric, opencv, pdq])
def test_the_examples_hold(module):
    assert doctest.testmod(module).failed == 0
