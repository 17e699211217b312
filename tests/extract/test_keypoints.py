"""Keypoints are OpenCV's with its defaults, survive mild edits, and tell strangers apart."""

from __future__ import annotations

import doctest
import importlib
import pickle

import numpy as np
import pytest
from PIL import Image, ImageDraw

from simsearch.errors import DependencyMissing, InputError
from simsearch.extract import keypoints
from simsearch.extract.keypoints import Daisy, Keypoints, Latch, Orb, Sift
from simsearch.search.multi_vector.distances import image_distances

cv2 = pytest.importorskip("cv2")
METHODS: list[type[Keypoints]] = [Sift, Orb, Daisy, Latch]
SHAPES = {Sift: (128, np.float32), Orb: (32, np.uint8), Daisy: (200, np.float32), Latch: (32, np.uint8)}


def textured(seed, width=240, height=160):
    """Rectangles of all sizes: many corners, at several scales."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (width, height), tuple(rng.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for _ in range(60):
        x, y, w, h = (rng.random(4) * (width, height, width / 3, height / 3)).astype(int).tolist()
        draw.rectangle((x, y, x + w, y + h), fill=tuple(rng.integers(0, 256, 3).tolist()))
    return image


def by_matcher(one, other, norm):
    """The distance as the paper computed it: OpenCV's brute-force matcher, sorted."""
    return sorted(match.distance for match in cv2.BFMatcher(norm, crossCheck=False).match(one, other))


@pytest.fixture(scope="module")
def pictures():
    return [textured(seed) for seed in range(5)]


@pytest.mark.parametrize("method", METHODS)
def test_every_image_has_its_own_number_of_rows(method, pictures):
    extractor = method(count=20)
    parts = extractor.parts([*pictures, Image.new("RGB", (240, 160), "teal")])
    width, dtype = SHAPES[method]
    assert extractor.several
    assert extractor.dimension == width
    assert {(part.shape[1], part.dtype.type) for part in parts} == {(width, dtype)}
    assert [15 <= len(part) <= 25 for part in parts] == [True] * 5 + [False]
    assert len(parts[-1]) == 0
    assert extractor.parts([]) == []


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1), (2, 2), (2, 3000), (9, 9), (33, 33)])
def test_the_smallest_pictures_have_few_rows_or_none(method, size):
    (rows,) = method().parts([textured(0).resize(size)])
    assert rows.shape[1] == SHAPES[method][0]


@pytest.mark.parametrize("method", METHODS)
def test_copies_are_nearer_than_strangers(method, pictures):
    extractor = method()
    copies = [picture.crop((2, 2, 238, 158)) for picture in pictures]
    distances = image_distances(extractor.parts(copies), extractor.parts(pictures), metric=extractor.metric)
    assert (distances.argmin(axis=1) == np.arange(5)).all()
    assert np.diag(image_distances(*[extractor.parts(pictures)] * 2, metric=extractor.metric)).max() == 0


@pytest.mark.parametrize("cutoff", [1, 5, 30, 35])
@pytest.mark.parametrize("method", METHODS)
def test_image_distances_are_those_of_opencvs_matcher(method, cutoff, pictures):
    extractor = method(cutoff=cutoff)
    parts = extractor.parts(pictures)
    found = image_distances(parts[:2], parts[2:], metric=extractor.metric, cutoff=extractor.cutoff)
    binary = extractor.metric == "hamming"
    norm, scale = (cv2.NORM_HAMMING, 8 * extractor.dimension) if binary else (cv2.NORM_L2, 1)
    for i, j in np.ndindex(found.shape):
        nearest = by_matcher(parts[i], parts[2 + j], norm)
        expected = nearest[cutoff - 1] / scale if len(nearest) >= cutoff else np.inf
        assert found[i, j] == pytest.approx(expected, rel=1e-5)


def test_each_method_is_the_one_of_its_name(pictures):
    grey = np.asarray(pictures[0].convert("L"))
    corners = cv2.ORB_create(nfeatures=30).detect(grey)
    expected = {
        Sift: cv2.SIFT_create(nfeatures=30).detectAndCompute(grey, None)[1],
        Orb: cv2.ORB_create(nfeatures=30).detectAndCompute(grey, None)[1],
        Daisy: cv2.xfeatures2d.DAISY_create().compute(grey, corners)[1],
        Latch: cv2.xfeatures2d.LATCH_create().compute(grey, corners)[1],
    }
    for method, rows in expected.items():
        np.testing.assert_array_equal(method().parts([pictures[0]])[0], rows)


@pytest.mark.parametrize("method", METHODS)
def test_rows_depend_on_neither_threads_nor_company(method, pictures):
    extractor = pickle.loads(pickle.dumps(method()))  # as a worker process gets it
    together = extractor.parts(pictures)
    for one, picture in zip(together, pictures, strict=True):
        cv2.setNumThreads(4)
        np.testing.assert_array_equal(extractor.parts([picture])[0], one)
        assert cv2.getNumThreads() == 1


def test_more_points_are_asked_for_by_count(pictures):
    counts = [len(Sift(count=count).parts(pictures[:1])[0]) for count in (10, 60)]
    np.testing.assert_allclose(counts, [10, 60], atol=3)


def test_names_and_fingerprints_tell_parameters_apart():
    made = [method(**given) for method in METHODS for given in ({}, {"count": 100}, {"count": 100, "cutoff": 5})]
    assert [one.name for one in made[:3]] == ["sift", "sift(count=100)", "sift(count=100,cutoff=5)"]
    assert len({one.name for one in made}) == len({one.fingerprint for one in made}) == 12
    assert (made[2].count, made[2].cutoff, made[0].cutoff) == (100, 5, 1)
    assert made[0].runtime()["opencv"] == cv2.__version__


@pytest.mark.parametrize("wrong", [{"count": 0}, {"count": 30.0}, {"cutoff": 0}, {"cutoff": True}])
def test_parameters_out_of_range_are_named(wrong):
    with pytest.raises(InputError, match=f"orb: {next(iter(wrong))}="):
        Orb(**wrong)


def test_one_row_an_image_is_refused(pictures):
    with pytest.raises(InputError, match=r"orb gives several rows an image.*parts\(images\)"):
        Orb().embed(pictures)


def test_a_missing_opencv_is_named(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(DependencyMissing, match=r'latch needs OpenCV.*pip install -e "\.\[benchmark\]"'):
        Latch()


def test_the_examples_hold():
    assert doctest.testmod(keypoints).failed == 0
