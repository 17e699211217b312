"""Search is exact, sees only what is live, and a bad query costs nobody else's answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simsearch import distance
from simsearch.errors import FingerprintMismatch, InputError, LibraryError, MetricError, RejectCode, RowError
from simsearch.library import Library
from tests.fake import FakeExtractor, OtherExtractor
from tests.library.helpers import HERE, album, make, paint


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = make(tmp_path / "library")
    library.add(album(tmp_path / "photos", range(15)), settings=HERE)
    return library


@pytest.mark.parametrize("metric", ["js", "cosine", "l1", "l2"])
def test_search_is_brute_force(library: Library, tmp_path: Path, rng: np.random.Generator, metric: str) -> None:
    library.add(album(tmp_path / "more", range(20, 31)), settings=HERE)
    library.remove([tmp_path / "photos" / "0003.png", "id:20"])
    queries = rng.random((4, 192)).astype(np.float16)
    found = library.search_rows(queries, k=40, metric=metric)
    rows, ids = library.snapshot.segments, library.snapshot.ids()
    live = np.concatenate([s.channels["fake"].row[library.snapshot.live(i)] for i, s in enumerate(rows)])
    wanted = distance.METRICS[metric](queries, live)
    order = np.argsort(wanted, axis=1, kind="stable")
    np.testing.assert_array_equal(found.ids[:, :24], ids[order])
    np.testing.assert_allclose(found.distances[:, :24], np.take_along_axis(wanted, order, 1), rtol=1e-6)
    assert (found.ids[:, 24:] == -1).all()
    assert np.isinf(found.distances[:, 24:]).all()


def test_stored_content_is_at_distance_exactly_zero(library: Library, tmp_path: Path) -> None:
    for metric in ("js", "cosine", "l1", "l2"):
        matches = library.search(tmp_path / "photos", k=1, metric=metric)
        assert (matches.distances == 0).all()


def test_queries_of_every_kind(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "photos" / "0004.png"
    with Image.open(path) as image:
        image.load()
    for query in (path, str(path), bytes(path), image, np.asarray(image)):
        matches = library.search(query, k=1)
        assert matches.ids.tolist() == [[4]]
        assert matches.distances[0, 0] == 0
    rows = FakeExtractor().embed([path, image])
    assert library.search(rows, k=1).ids.tolist() == [[4], [4]]
    mixed = library.search([image, path, tmp_path / "photos"], k=1)
    assert mixed.ids[:, 0].tolist() == [4, 4, *range(15)]
    assert mixed[0].query is None


def test_a_bad_query_is_an_entry_and_no_error(library: Library, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_text("no image")
    good = tmp_path / "photos" / "0004.png"
    matches = library.search([good, bad, good], k=3)
    assert [len(query.matches) for query in matches] == [3, 0, 3]
    assert matches[1].rejected is not None
    assert matches[1].rejected.code is RejectCode.UNKNOWN_FORMAT
    assert matches[1].query == str(bad)
    assert matches.ids[1].tolist() == [-1, -1, -1]
    with pytest.raises(InputError, match=r"missing\.jpg"):
        library.search(tmp_path / "missing.jpg")


def test_the_stored_row_is_used_and_others_are_rounded(library: Library, tmp_path: Path) -> None:
    class Wobbly(FakeExtractor):
        def embed_pixels(self, pixels):  # type: ignore[no-untyped-def]
            return super().embed_pixels(pixels) * np.float32(1.37)

    with Library.open(tmp_path / "library", extractor=Wobbly(), device="cpu") as other:
        assert (other.search(tmp_path / "photos", k=1, metric="l2").distances == 0).all()
    rows = FakeExtractor().embed(tmp_path / "photos" / "0002.png")
    assert not np.array_equal(rows, rows.astype(np.float16))
    assert library.search_rows(rows, k=1, metric="l2").distances[0, 0] == 0


def test_an_empty_library_answers_with_nothing(tmp_path: Path) -> None:
    library = make(tmp_path / "library")
    matches = library.search(paint(tmp_path / "a.png", 1), k=3)
    assert (len(matches), matches[0].matches, matches.library_size) == (1, (), 0)
    assert matches.ids.tolist() == [[-1, -1, -1]]
    assert library.search([], k=3).ids.shape == (0, 3)
    library.add(tmp_path / "a.png", settings=HERE)
    library.remove(tmp_path / "a.png")
    assert library.search(tmp_path / "a.png")[0].matches == ()


def test_max_distance_leaves_out_what_is_farther(library: Library, tmp_path: Path) -> None:
    query = tmp_path / "photos" / "0004.png"
    everything = library.search(query, k=15).distances[0]
    near = library.search(query, k=15, max_distance=float(everything[5]))
    assert len(near[0].matches) == 6


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda rows: rows.__setitem__((2, 5), np.nan), "row 2"),
        (lambda rows: rows.__setitem__((1, 0), np.inf), "row 1"),
        (lambda rows: rows.__setitem__(2, 0), "row 2"),
    ],
)
def test_bad_rows_are_refused_by_name(library: Library, rng: np.random.Generator, spoil, message: str) -> None:  # type: ignore[no-untyped-def]
    rows = rng.random((3, 192), np.float32)
    spoil(rows)
    with pytest.raises(RowError, match=message):
        library.search_rows(rows)


def test_rows_of_another_shape_or_type_are_refused(library: Library) -> None:
    with pytest.raises(RowError, match="192"):
        library.search_rows(np.ones((2, 5), np.float32))
    with pytest.raises(RowError):
        library.search_rows(np.array([["a"] * 192]))
    with pytest.raises(RowError, match="float16"):
        library.search_rows(np.full((1, 192), 1e6, np.float32))
    with pytest.raises(MetricError, match="negative"):
        library.search_rows(np.full((1, 192), -1, np.float32), metric="js")


def test_metrics_are_refused_by_name(library: Library, tmp_path: Path, rng: np.random.Generator) -> None:
    row = rng.random((1, 192), np.float32)
    with pytest.raises(MetricError, match="chebyshev"):
        library.search_rows(row, metric="chebyshev")
    with pytest.raises(MetricError, match="hamming"):
        library.search_rows(row, metric="hamming")
    with pytest.raises(InputError, match="k is 0"):
        library.search_rows(row, k=0)

    class Signed(FakeExtractor):
        name, fingerprint, non_negative, metric = "signed", "51", False, "cosine"

        def embed_pixels(self, pixels):  # type: ignore[no-untyped-def]
            return super().embed_pixels(pixels) - np.float32(0.5)

    signed = make(tmp_path / "signed", Signed())
    signed.add(tmp_path / "photos", settings=HERE)
    with pytest.raises(MetricError, match="non-negative"):
        signed.search(tmp_path / "photos" / "0001.png", metric="js")
    assert signed.search(tmp_path / "photos" / "0001.png", k=1).distances[0, 0] == 0


def test_bits_are_searched_by_hamming(tmp_path: Path) -> None:
    class Bits(FakeExtractor):
        name, fingerprint, dimension, metric = "bits", "b1", 24, "hamming"

        def embed_pixels(self, pixels):  # type: ignore[no-untyped-def]
            return np.packbits(FakeExtractor().embed_pixels(pixels) > 0.5, axis=1)

    library = make(tmp_path / "library", Bits())
    library.add(album(tmp_path / "photos", range(9)), settings=HERE)
    assert library.channel.dtype == "bits"
    matches = library.search(tmp_path / "photos", k=2)
    assert matches.ids[:, 0].tolist() == list(range(9))
    assert library.verify(deep=True) == []
    with pytest.raises(MetricError, match="js"):
        library.search(tmp_path / "photos", metric="js")
    with pytest.raises(RowError, match="uint8"):
        library.search_rows(np.ones((1, 24), np.float32))


def test_the_wrong_model_is_refused_before_any_search(library: Library, tmp_path: Path) -> None:
    with pytest.raises(FingerprintMismatch, match="fake"):
        Library.open(tmp_path / "library", extractor=OtherExtractor())


def test_a_closed_library_says_so(library: Library) -> None:
    with library:
        pass
    with pytest.raises(LibraryError, match="closed"):
        library.search_rows(np.ones((1, 192)))
