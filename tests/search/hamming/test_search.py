"""Laws of Hamming search: the answer of counting every bit, whatever the length, the threads, the masks and the cut."""

from __future__ import annotations

import doctest
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import binding

from simsearch.distance import hamming as share
from simsearch.errors import InputError, MetricError, RowError
from simsearch.search import exact, range_search
from simsearch.search.hamming import bit_slicing, search
from simsearch.search.hamming.bit_slicing import GROUP, counter_planes, transpose
from simsearch.search.hamming.kernels import kernels
from simsearch.search.hamming.search import codes_within, nearest_codes

WIDTHS = (1, 8, 12, 16, pytest.param(33, marks=pytest.mark.slow))  # each is compiled anew


def codes_of(rng, n, width):
    """Codes in clusters, so that there are near ones and ties."""
    centres = rng.integers(0, 256, (max(1, n // 8), width), dtype=np.uint8)
    flipped = np.packbits(rng.random((n, 8 * width)) < 0.06, axis=1)
    return centres[rng.integers(0, len(centres), n)] ^ flipped


def counted(queries, codes):
    return np.rint(share(queries, codes) * 8 * queries.shape[1]).astype(np.int32)


def oracle(queries, codes, k, live):
    counts = counted(queries, codes)
    counts[:, ~live] = 10_000
    order = np.argsort(counts, axis=1, kind="stable")[:, :k]
    near = np.take_along_axis(counts, order, 1)
    found = np.full((len(queries), k), -1), np.full((len(queries), k), -1)
    for column, values in zip(found, (near, order), strict=True):
        column[:, : order.shape[1]] = np.where(near == 10_000, -1, values)
    return found


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("q", "n", "k"), [(1, 1, 3), (3, 700, 5), (30, 3 * GROUP + 1, 10), (300, 515, 600)])
def test_the_nearest_are_those_of_counting_every_bit(rng, width, q, n, k):
    codes, queries = codes_of(rng, n, width), codes_of(rng, q, width)
    queries[: min(q, n)] = codes[: min(q, n)]
    live = rng.random(n) < 0.8
    found = nearest_codes(queries, [codes], k=k, live=[live])
    counts, positions = oracle(queries, codes, k, live)
    np.testing.assert_array_equal(found.counts, counts)
    np.testing.assert_array_equal(found.positions, positions)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("radius", [0, 3, 1000])
def test_all_within_a_radius_are_those_of_counting_every_bit(rng, width, radius):
    codes, queries = codes_of(rng, 600, width), codes_of(rng, 40, width)
    live = rng.random(600) < 0.8
    found = codes_within(queries, [codes], radius=radius, live=[live])
    counts = counted(queries, codes)
    lines, positions = np.nonzero((counts <= radius) & live)
    near = counts[lines, positions]
    order = np.lexsort((positions, near, lines))
    np.testing.assert_array_equal(found.query_ids, lines[order])
    np.testing.assert_array_equal(found.counts, near[order])
    np.testing.assert_array_equal(found.positions, positions[order])


@pytest.mark.parametrize("q", [2, 50, 600])
@pytest.mark.parametrize("threads", [1, 3])
def test_threads_and_the_cut_into_blocks_do_not_change_the_answer(rng, q, threads, monkeypatch):
    codes, queries = codes_of(rng, 1000, 12), codes_of(rng, q, 12)
    expected = nearest_codes(queries, [codes], k=9, threads=1)
    near = codes_within(queries, [codes], radius=9, threads=1)
    monkeypatch.setattr(search, "_ROWS", 300)
    blocks = [codes[:1], codes[:0], codes[1:777], codes[777:]]
    for found, wanted in (
        (nearest_codes(queries, blocks, k=9, threads=threads), expected),
        (codes_within(queries, blocks, radius=9, threads=threads), near),
    ):
        for column, other in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(column, other)


@pytest.fixture
def small_tables(monkeypatch, nothing_kept):
    """Codes of 32 bits take three tables, as long ones do; compiled anew, and forgotten afterwards."""
    monkeypatch.setattr(bit_slicing, "THREES", 4)
    kernels.cache_clear()
    yield
    kernels.cache_clear()


@pytest.mark.parametrize("radius", [None, 5])
def test_counts_that_are_added_up_table_by_table_are_those_of_counting_every_bit(rng, small_tables, radius):
    codes, queries = codes_of(rng, 3 * GROUP + 5, 4), codes_of(rng, 20, 4)
    counts = counted(queries, codes)
    found = nearest_codes(queries, [codes], k=7, radius=radius)
    wanted = np.sort(counts, axis=1)[:, :7]
    np.testing.assert_array_equal(found.counts, wanted if radius is None else np.where(wanted <= radius, wanted, -1))
    hits = codes_within(queries, [codes], radius=5)
    np.testing.assert_array_equal(np.bincount(hits.query_ids, minlength=20), (counts <= 5).sum(axis=1))


def test_more_within_the_radius_than_one_pass_holds(rng, monkeypatch):
    codes, queries = codes_of(rng, 5 * GROUP + 7, 8), codes_of(rng, 3, 8)
    monkeypatch.setattr(search, "_HITS", 1)
    found = codes_within(queries, [codes], radius=64, threads=1)
    np.testing.assert_array_equal(np.bincount(found.query_ids), [len(codes)] * 3)


def test_codes_in_falling_order_of_distance_are_all_looked_at():
    width, n = 16, 129
    codes = np.packbits(np.arange(128)[None, :] < np.arange(128, -1, -1)[:, None], axis=1)  # 128, 127, ... ones
    queries = np.zeros((5, width), np.uint8)
    found = nearest_codes(queries, [np.repeat(codes, 9, axis=0)], k=10)
    np.testing.assert_array_equal(found.counts[0], [0] * 9 + [1])
    np.testing.assert_array_equal(found.positions[0], [*range(9 * n - 9, 9 * n), 9 * n - 18])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_planes_hold_the_bits_of_the_codes(rows, words, seed):
    codes = np.random.default_rng(seed).integers(0, 2**32, (rows, words), dtype=np.uint32)
    planes = np.zeros((32 * words, GROUP // 64), np.uint64)
    transpose(codes, 0, planes)
    bits = np.unpackbits(planes.view(np.uint8), axis=1, bitorder="little")[:, :rows]
    np.testing.assert_array_equal(bits.T, np.unpackbits(codes.view(np.uint8), axis=1, bitorder="little"))


@pytest.mark.parametrize("max_distance", [None, 0.0, 0.125, 0.3, 1.0])
def test_a_search_of_a_library_gives_the_same_whether_compiled_or_not(rng, max_distance, monkeypatch):
    codes, queries = codes_of(rng, 900, 12), codes_of(rng, 20, 12)
    live = [rng.random(400) < 0.5, None]
    blocks = [codes[:400], codes[400:]]

    def both():
        limit = 1.0 if max_distance is None else max_distance
        knn = exact.knn(queries, blocks, k=8, metric="hamming", live=live, max_distance=max_distance, device="cpu")
        near = range_search.within(queries, blocks, max_distance=limit, metric="hamming", live=live, device="cpu")
        return [knn.distances, knn.positions, knn.certified, near.starts, near.distances, near.positions]

    monkeypatch.setattr(search, "pays", lambda *_: False)
    slow = both()
    monkeypatch.setattr(search, "pays", lambda *_: True)
    for column, other in zip(both(), slow, strict=True):
        np.testing.assert_array_equal(column, other)
        assert column.dtype == other.dtype


def test_bad_input_is_named(rng):
    codes = codes_of(rng, 10, 8)
    with pytest.raises(RowError, match="block 1"):
        nearest_codes(codes, [codes, codes[:, :7]], k=1)
    with pytest.raises(MetricError, match="uint8"):
        nearest_codes(codes, [codes.astype(np.float32)], k=1)
    for arguments in ({"k": 0}, {"k": 1, "radius": -1}, {"k": 1, "threads": 0}, {"k": 1, "live": [np.ones(3, bool)]}):
        with pytest.raises(InputError):
            nearest_codes(codes, [codes], **arguments)


def test_nothing_to_look_at(rng):
    codes = codes_of(rng, 4, 8)
    assert (nearest_codes(codes, [], k=2).positions == -1).all()
    assert len(codes_within(codes, [codes[:0]], radius=64).query_ids) == 0
    assert nearest_codes(codes[:0], [codes], k=2).counts.shape == (0, 2)


@pytest.mark.parametrize("width", [8, 12, 16, 20, 24, 32])  # one, odd, even, odd halves, a power of two of words
def test_few_queries_of_many_codes(rng, width):
    codes = rng.integers(0, 256, (2000, width), dtype=np.uint8)
    for asked in ([1000], [3, 1999]):
        found = nearest_codes(codes[asked], [codes], k=5, threads=1)
        counts, positions = oracle(codes[asked], codes, 5, np.ones(2000, bool))
        np.testing.assert_array_equal(found.counts, counts)
        np.testing.assert_array_equal(found.positions, positions)


def test_the_machine_code_counts_in_wide_registers(rng, nothing_kept):
    """Many codes at once, so that no popcount is needed; a few queries use that instruction, the vector one if any."""
    kernels.cache_clear()  # what was read from disk has no text
    codes = codes_of(rng, GROUP, 16)
    nearest_codes(np.repeat(codes[:1], 10, axis=0), [codes], k=1)
    nearest_codes(codes[:1], [codes], k=1)
    kinds = kernels(4)
    features = binding.get_host_cpu_features()
    sliced, plain = ("\n".join(kind.inspect_asm().values()) for kind in (kinds.nearest, kinds.nearest_of_few))
    wide = "%zmm" if features.get("avx512f") else "%ymm"
    if features.get("avx2"):
        assert sliced.count(wide) > 200
        assert sliced.count("popcnt") <= 2 * GROUP // 64  # of the marks of codes that were found
    if features.get("avx512f"):
        assert sliced.count("vpternlogq") > 100
        assert "vpscatter" not in sliced
    if features.get("avx512vpopcntdq"):
        assert "vpopcntq" in plain
        nearest_codes(codes[:1, :12], [codes[:, :12]], k=1)
        assert "vpopcntd" in "\n".join(kernels(3).nearest_of_few.inspect_asm().values())
    elif features.get("popcnt"):
        assert "popcntq" in plain


KERNEL = """
import numpy as np, torch
from simsearch.search.metrics.hamming import BitCount, BitKernel, BitProduct

rng = np.random.default_rng(0)
for q, n, width in ((1, 1, 1), (3, 300, 12), (9, 257, 8), (17, 20, 33)):
    a, b = (torch.from_numpy(rng.integers(0, 256, (m, width), np.uint8)) for m in (q, n))
    a[0], b[-1] = 0, 255
    scores = [kind(width) for kind in (BitCount, BitKernel, BitProduct)]
    found = [score.between(score.prepare(a), score.prepare(b)) for score in scores]
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])
assert scores[1].between(scores[1].prepare(a[:0]), scores[1].prepare(b)).shape == (0, len(b))
"""


def test_the_kernel_of_a_gpu_agrees_with_counting_words_in_the_interpreter():
    pytest.importorskip("triton")
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run([sys.executable, "-c", KERNEL], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.gpu
@pytest.mark.parametrize("width", [1, 12, pytest.param(33, marks=pytest.mark.slow)])
def test_codes_on_a_gpu_are_searched_there(rng, width):
    codes, queries = codes_of(rng, 5000, width), codes_of(rng, 40, width)
    live = rng.random(5000) < 0.8
    found = exact.knn(queries, [codes], k=9, metric="hamming", live=[live], device="cuda")
    expected = nearest_codes(queries, [codes], k=9, live=[live])
    np.testing.assert_array_equal(found.positions, expected.positions)
    np.testing.assert_array_equal(found.distances, (expected.counts / (8 * width)).astype(np.float32))


def test_counters_hold_a_limit_beyond_every_count():
    for bits in range(1, 600):
        assert 2 ** counter_planes(bits) > bits + 1


def test_examples():
    assert doctest.testmod(search).failed == 0
