"""Laws of bits of images: rows cut by planes, the same for any batch, never mixed up with those of other models."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from simsearch.distance import hamming
from simsearch.errors import FingerprintMismatch, InputError, MetricError, ModelError, ModelNotFound, RowError
from simsearch.extract.extractor import Extractor
from simsearch.extract.hashes.dhash import DHash
from simsearch.extract.load import load_extractor
from simsearch.extract.pipeline import embed_sources
from simsearch.extract.quantise.extractor import QuantisedExtractor, margins_of
from simsearch.extract.quantise.fit import fit_quantiser
from simsearch.images.find import find
from simsearch.library import Library
from simsearch.naming import is_class_name
from simsearch.search.hamming.asymmetric import asymmetric
from tests.fake import FakeExtractor, OtherExtractor
from tests.library.helpers import album


class Jittery(FakeExtractor):
    """Rows that depend a little on how many images are embedded at once, as those of a processor's kernels do."""

    def embed_pixels(self, pixels):
        return super().embed_pixels(pixels) * (1 + 1e-7 * len(pixels))


@pytest.fixture
def quantiser():
    rows = np.random.default_rng(5).gamma(2, size=(300, FakeExtractor.dimension))
    return fit_quantiser(rows, kind="itq", bits=21, how="hellinger", model=FakeExtractor.fingerprint)


@pytest.fixture
def file(quantiser, tmp_path):
    path = tmp_path / "q.safetensors"
    quantiser.save(path)
    return path


def test_bits_of_images_are_those_of_their_rows(rng, quantiser):
    inner = FakeExtractor()
    extractor = QuantisedExtractor(inner, quantiser)
    images = [Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)) for _ in range(11)]
    codes = extractor.embed(images)
    np.testing.assert_array_equal(codes, quantiser.encode(inner.embed(images)))
    assert (extractor.dimension, extractor.bits, extractor.metric, codes.dtype) == (3, 21, "hamming", np.uint8)
    assert extractor.embed([]).shape == (0, 3)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
@pytest.mark.parametrize("workers", [0, 2])
def test_the_code_of_an_image_is_the_same_for_any_batch_size_and_worker_count(quantiser, tmp_path, batch_size, workers):
    folder = album(tmp_path / "photos", range(13))
    extractor = QuantisedExtractor(Jittery(), quantiser)
    expected = {source.path: extractor.embed([source.path])[0] for source in find([folder])}
    for one in embed_sources(extractor, find([folder]), batch_size=batch_size, workers=workers):
        np.testing.assert_array_equal(one.row, expected[one.source.path])


@pytest.mark.parametrize("bits", [96, 256])
def test_the_code_of_a_network_is_the_same_whatever_is_beside_the_image(rng, bits):
    extractor = load_extractor(f"mini(bits={bits})", device="cpu")
    side = extractor.preprocessing.size
    pixels = rng.integers(0, 256, (19, side, side, 3), np.uint8)
    whole = extractor.floats(pixels)
    for size in (1, 2, 5, 8):
        parts = [extractor.floats(pixels[i : i + size]) for i in range(0, 19, size)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(extractor.floats(pixels[::-1])[::-1], whole)
    assert extractor.bits == bits
    extractor.admit()


def test_another_quantiser_is_another_model(quantiser):
    rows = np.random.default_rng(6).gamma(2, size=(300, FakeExtractor.dimension))
    other = fit_quantiser(rows, kind="itq", bits=21, how="hellinger", model=FakeExtractor.fingerprint)
    prints = {QuantisedExtractor(FakeExtractor(), one).fingerprint for one in (quantiser, other)}
    assert len(prints | {FakeExtractor.fingerprint}) == 3
    with pytest.raises(FingerprintMismatch, match="bits fit"):
        QuantisedExtractor(OtherExtractor(), quantiser)
    with pytest.raises(InputError, match="bits already"):
        QuantisedExtractor(DHash(), quantiser)


def test_names(file):
    name = f"tests.fake:FakeExtractor(bits={file})"
    for load in (load_extractor,):
        extractor: Extractor = load(name, device="cpu")
        assert extractor.name == "fake-21bits"
    assert is_class_name(name)  # it runs the module, so a library must not do so unasked
    assert not is_class_name(f"./folder(bits={file})")
    with pytest.raises(ModelError, match="no quantiser of 7 bits"):
        load_extractor("mini(bits=7)")
    with pytest.raises(ModelNotFound):
        load_extractor("nothing(bits=96)")
    with pytest.raises(ModelError, match="fit it again"):
        load_extractor(f"mini(bits={file.with_name('absent')})")


def test_a_library_of_bits_counts_no_unused_ones(quantiser, tmp_path):
    folder = album(tmp_path / "photos", range(9))
    extractor = QuantisedExtractor(FakeExtractor(), quantiser)
    paths = sorted(folder.iterdir())
    codes = extractor.embed(paths)
    with Library.create(tmp_path / "l", model=extractor) as library:
        library.add(folder)
        found = library.search([paths[0]], k=9).queries[0].matches
        near = library.search([paths[0]], k=9, max_distance=found[4].distance).queries[0].matches
    expected = np.sort(hamming(codes[:1], codes, bits=21)[0]).astype(np.float32)
    np.testing.assert_array_equal([match.distance for match in found], expected)
    assert len(near) == (expected <= expected[4]).sum()
    with Library.open(tmp_path / "l", extractor=extractor) as library:
        assert library.channel.bits == 21


@pytest.fixture
def library(quantiser, tmp_path):
    library = Library.create(tmp_path / "small.library", model=QuantisedExtractor(Jittery(), quantiser), device="cpu")
    library.add([album(tmp_path / "photos", range(30))])
    return library


def test_a_query_that_keeps_its_margins_is_ranked_by_them(library, quantiser, tmp_path):
    photos = sorted((tmp_path / "photos").iterdir())
    library.remove([photos[3]])
    queries = [photos[3], photos[8], tmp_path / "broken.png"]
    queries[2].write_bytes(b"no image")
    margins = margins_of(library.extractor).embed(queries[:2])
    np.testing.assert_array_equal(np.packbits(margins > 0, axis=1), library.extractor.embed(queries[:2]))
    rows = library.snapshot.segments[0].channels[library.channel.name].row
    distances = asymmetric(margins, rows)
    distances[:, 3] = np.inf
    expected = np.argsort(distances, axis=1, kind="stable")[:, :7]
    found = library.search(queries, k=7, metric="asymmetric")
    assert found.ids[:2].tolist() == expected.tolist()
    np.testing.assert_allclose(found.distances[:2], np.take_along_axis(distances, expected, 1), rtol=1e-6)
    assert (found.metric, found[1].certified, found[1].matches[0].distance) == ("asymmetric", True, 0)
    assert found[2].rejected is not None
    by_rows = library.search(margins, k=7, metric="asymmetric")
    assert by_rows.ids.tolist() == expected.tolist()
    close = library.search(queries[:2], k=7, metric="asymmetric", max_distance=float(distances[0, expected[0, 2]]))
    assert (close.ids[0] >= 0).sum() == 3


def test_margins_are_asked_only_of_a_quantiser_and_of_its_length(library, tmp_path):
    with pytest.raises(RowError, match=r"\(n, 21\)"):
        library.search(np.ones((1, 20)), metric="asymmetric")
    with pytest.raises(MetricError, match="asymmetric"):
        library.optimize(recall=0.9, metric="asymmetric")
    with pytest.raises(MetricError, match="no margins"):
        margins_of(DHash())
    floats = Library.create(tmp_path / "floats.library", model=FakeExtractor(), device="cpu")
    with pytest.raises(MetricError, match="asymmetric"):
        floats.search(np.ones((1, FakeExtractor.dimension)), metric="asymmetric")
