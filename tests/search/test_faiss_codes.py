"""Laws of FAISS's indexes for codes: written and read, more effort finds more, removed and new codes count at once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from simsearch.errors import IndexFailed, InputError
from simsearch.library import Library
from simsearch.library.tune import tune
from simsearch.search.approximate import approximate
from simsearch.search.exact import knn
from simsearch.search.index import build, features, read
from simsearch.search.index_spec import CODE_KINDS, IndexSpec, spec_for
from tests.library.helpers import HERE, album
from tests.search.test_hamming import codes_of


@pytest.fixture(scope="module")
def codes():
    return codes_of(np.random.default_rng(3), 3000, 12)


def spec_of(kind):
    return spec_for(3000, 12, "hamming", kind=kind)


@pytest.mark.parametrize("kind", CODE_KINDS)
@pytest.mark.parametrize("where", ["process", "child"])
def test_what_is_written_is_read(codes, tmp_path: Path, kind, where):
    spec = spec_of(kind)
    index = build(spec, [codes[:500], codes[500:]], device="cpu", where=where)
    index.write(tmp_path / "file")
    again = read(
        tmp_path / "file", IndexSpec.of_json(json.loads(json.dumps(spec.as_json()))), mapped=kind == "ivf_flat"
    )
    assert (again.spec, again.count, index.count) == (spec, 3000, 3000)
    for effort in index.efforts():
        np.testing.assert_array_equal(again.candidates(codes[:9], 20, effort), index.candidates(codes[:9], 20, effort))
    index.close()


@pytest.mark.parametrize("kind", CODE_KINDS)
def test_more_effort_finds_more_and_distances_are_exact(codes, kind):
    index = build(spec_of(kind), [codes], device="cpu")
    exact = knn(codes[:60], [codes], k=5, metric="hamming", device="cpu")
    shares = []
    for effort in index.efforts():
        found = approximate(codes[:60], [codes], index, k=5, effort=effort, depth=30)
        assert not found.certified.any()
        for row, (positions, distances) in enumerate(zip(found.positions, found.distances, strict=True)):
            there = positions >= 0
            true = np.bitwise_count(codes[row] ^ codes[positions[there]]).sum(axis=1) / 96
            np.testing.assert_allclose(distances[there], true, atol=1e-7)
        shares.append((found.distances == exact.distances).mean())
    assert shares == sorted(shares)
    assert shares[-1] > 0.95
    (curve,) = tune(index, [codes], np.arange(60), recall=0.8, ks=(5,))
    assert curve.chosen is not None


def test_removed_codes_are_left_out(codes):
    blocks = [codes[:2000], codes[2000:]]
    index = build(spec_of("ivf_flat"), blocks, device="cpu")
    live = [np.ones(2000, bool), None]
    live[0][:40] = False
    effort = index.efforts()[-1]
    found = approximate(codes[:40], blocks, index, k=5, effort=effort, depth=50, live=live)
    expected = knn(codes[:40], blocks, k=5, metric="hamming", live=live, device="cpu")
    np.testing.assert_array_equal(found.distances, expected.distances)
    assert (found.positions >= 40).all()


def test_codes_are_padded_to_words_that_faiss_compares_fast():
    spec = spec_of("flat")
    assert (spec.code_width, spec.row_bytes) == (16, 16)
    assert features(spec, np.ones((2, 12), np.uint8)).shape == (2, 16)
    assert spec_for(3000, 8, "hamming", kind="flat").code_width == 8


def test_settings_that_codes_do_not_have_are_refused(codes, tmp_path: Path):
    for arguments in ({"kind": "rabitq"}, {"kind": "flat", "bytes_a_row": 4}):
        with pytest.raises(InputError):
            spec_for(3000, 12, "hamming", **arguments)
    with pytest.raises(InputError):
        spec_for(3000, 12, "js", kind="multi_hash")
    build(spec_for(3000, 16, "hamming", kind="flat"), [codes_of(np.random.default_rng(0), 9, 16)]).write(tmp_path / "f")
    with pytest.raises(IndexFailed, match="128 bits, not 64"):
        read(tmp_path / "f", spec_for(3000, 8, "hamming", kind="flat"))
    assert spec_for(3000, 12, "hamming").kind == "flat"
    assert spec_for(100_000_000, 12, "hamming").kind == "ivf_flat"


def test_a_library_of_codes_that_fill_no_byte_answers_by_its_index_as_exactly(tmp_path: Path):
    from simsearch.extract.hashes_dct import PHash

    pytest.importorskip("imagehash")
    extractor = PHash(size=11)
    album(tmp_path / "photos", range(60))
    paths = sorted((tmp_path / "photos").iterdir())[:7]
    with Library.create(tmp_path / "l", model=extractor, device="cpu") as library:
        library.add(tmp_path / "photos", settings=HERE)
        exact = library.search(paths, k=5)
        assert library.channel.bits == 121
        library.optimize(recall=0.1, kind="ivf_flat")
        found = library.search(paths, k=5)
        near = library.search(paths, k=5, max_distance=0.3)
    for one, other, close in zip(found, exact, near, strict=True):
        assert one.recall is not None
        assert [match.distance for match in one.matches][:1] == [match.distance for match in other.matches][:1] == [0]
        assert {m.distance for m in one.matches} <= {np.float32(count / 121).item() for count in range(122)}
        assert all(match.distance <= 0.3 for match in close.matches)
