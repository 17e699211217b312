"""What is made ready is what a search then uses, and all of it."""

from __future__ import annotations

import numpy as np
import pytest

from simsearch import Library
from simsearch.runtime import kernel_cache
from simsearch.search import knn
from simsearch.search.approximate_search import approximate
from simsearch.search.hamming import asymmetric_kernels
from simsearch.search.hamming.asymmetric import nearest_by_margins
from simsearch.search.hamming.kernels import kernels as of_codes
from simsearch.search.indexes.index import build
from simsearch.search.indexes.spec import spec_for
from simsearch.search.range_search import within
from simsearch.search.refine.compiled_pairs import kernels as of_pairs
from simsearch.search.scan.score_kernels import scanner
from simsearch.search.warm_up import make_ready
from tests.fake import FakeExtractor


@pytest.fixture(autouse=True)
def nothing_met(monkeypatch):
    """A process that has searched nothing."""
    monkeypatch.setattr(kernel_cache, "_met", type(kernel_cache._met)())
    for cached in (of_codes, of_pairs, scanner):
        cached.cache_clear()


def as_on_disk(codes):
    """Codes that cannot be written to, as those of a library."""
    codes.flags.writeable = False
    return codes


def compiled(*passes):
    """For what types of arguments each was compiled or loaded."""
    return [[str(types) for types in each.signatures] for each in passes]


@pytest.mark.parametrize("metric", ["js", "l2"])
def test_rows(rng, tmp_path, metric):
    np.save(tmp_path / "rows.npy", rng.random((50, 16)).astype(np.float16))
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    make_ready(metric, rows[:0], by_index=True)
    pairs = of_pairs(metric, "float16")
    passes = [scanner(metric, "float16"), pairs.measure, pairs.score, *([pairs.divergence] if metric == "js" else [])]
    ready = compiled(*passes)
    assert all(ready)
    index = build(spec_for(50, 16, metric, kind="flat"), [rows], device="cpu")
    for queries in (rows[:1], rows[:3]):
        knn(queries, [rows[:20], rows[20:]], k=3, metric=metric, live=[None, np.ones(30, bool)], device="cpu")
        for order in ("exact", "float32"):
            approximate(queries, [rows], index, k=3, effort=1, depth=9, order=order)
    assert compiled(*passes) == ready


def test_codes(rng):
    codes = as_on_disk(rng.integers(0, 256, (700, 12), dtype=np.uint8))
    make_ready("hamming", codes)
    passes = of_codes(3)
    ready = compiled(*passes)
    assert all(ready)
    for queries in (codes[:1].copy(), codes[:20].copy()):
        knn(queries, [codes], k=3, metric="hamming", live=[np.ones(700, bool)], device="cpu")
        within(queries, [codes], max_distance=0.3, metric="hamming", device="cpu")
    assert compiled(*passes) == ready


def test_margins(rng):
    codes = as_on_disk(rng.integers(0, 256, (700, 12), dtype=np.uint8))
    make_ready("asymmetric", codes)
    ready = compiled(asymmetric_kernels.nearest)
    assert ready != [[]]
    nearest_by_margins(rng.normal(size=(3, 96)), [codes], k=2)
    assert compiled(asymmetric_kernels.nearest) == ready


def test_an_open_library_is_made_ready_for_its_metric(tmp_path):
    extractor = FakeExtractor()
    Library.create(tmp_path / "library", model=extractor).close()
    with Library.open(tmp_path / "library", extractor=extractor) as library:
        metric, kind = library.channel.metric, str(library.channel.numpy_dtype)
    assert not any(label[0] == "scan" for label in kernel_cache._met)
    with Library.open(tmp_path / "library", extractor=extractor, device="cpu", prepare=True):
        assert compiled(scanner(metric, kind), of_pairs(metric, kind).measure) != [[], []]
