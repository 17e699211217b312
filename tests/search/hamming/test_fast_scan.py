"""Laws of sums of bytes looked up by shuffles: never above what a code's distance allows, close where it counts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from llvmlite import binding
from numba import njit

from simsearch.extract.quantise.hyperplanes import packed
from simsearch.search.hamming import asymmetric as module
from simsearch.search.hamming import fast_scan
from simsearch.search.hamming.asymmetric import _tables, asymmetric, nearest_by_margins
from simsearch.search.hamming.asymmetric_kernels import bounded, every

ROOT = Path(__file__).parents[3]
needs_shuffles = pytest.mark.skipif(not fast_scan.SHUFFLES, reason="this processor has no AVX2")


@njit
def nearer(planes, shares, whole):
    return fast_scan.nearer(planes, shares, whole)


@needs_shuffles
@pytest.mark.parametrize("size", [1, 2, 5, 8, 12, 13, 15, 16, 17, 31, 32, 40])
@pytest.mark.parametrize("more", [-5, 0, 1, 20])
def test_a_plane_holds_one_nibble_of_each_code(rng, size, more):
    codes = rng.integers(0, 256, (3 + fast_scan.LANES + more, size), dtype=np.uint8)
    planes = fast_scan.empty_planes(fast_scan.planes_of(size))
    fast_scan.split(codes, 3, planes)
    there = codes[3 : 3 + fast_scan.LANES].T
    np.testing.assert_array_equal(planes[0 : 2 * size : 2, : there.shape[1]], there & 15)
    np.testing.assert_array_equal(planes[1 : 2 * size : 2, : there.shape[1]], there >> 4)
    assert not planes[: 2 * size, there.shape[1] :].any()


def let_in(margins, codes, limit):
    planes = fast_scan.empty_planes(fast_scan.planes_of(codes.shape[1]))
    shares = np.empty((len(planes), 16), np.uint8)
    fast_scan.split(codes, 0, planes)
    mask = int(nearer(planes, shares, fast_scan.tabulate(_tables(margins)[0], limit, shares)))
    return np.array([mask >> i & 1 for i in range(fast_scan.LANES)], bool)


@needs_shuffles
@pytest.mark.parametrize("bits", [3, 17, 96, 256, 1000])
@pytest.mark.parametrize("share", [1e-300, 1e-6, 0.3, 1.0, 50.0])
@pytest.mark.parametrize("power", [1, 4])
def test_no_code_below_the_limit_is_passed_over(rng, bits, share, power):
    margins = rng.standard_normal((1, bits)) ** power  # some far larger than others
    codes = packed(np.where(rng.random((fast_scan.LANES, bits)) < rng.random((fast_scan.LANES, 1)), margins, -margins))
    distances = asymmetric(margins, codes)[0]
    limit = share * float(np.median(distances))
    assert let_in(margins, codes, limit)[distances < limit].all()


@needs_shuffles
@pytest.mark.parametrize("bits", [12, 16, 24, 96])
def test_nor_one_that_is_below_it_by_the_least_there_is(rng, bits):
    """Small whole numbers make many distances that differ in their last bit only."""
    for _ in range(300):
        margins = rng.integers(1, 6, (1, bits)) * 0.1
        codes = packed(rng.standard_normal((fast_scan.LANES, bits)))
        distances = asymmetric(margins, codes)[0]
        limit = float(rng.choice(distances))
        assert let_in(margins, codes, limit)[distances < limit].all()


@needs_shuffles
@pytest.mark.parametrize("bits", [8, 17, 96, 256])
def test_few_codes_above_the_limit_are_let_in(rng, bits):
    margins, near, far = rng.standard_normal((1, bits)), 0, 0
    for _ in range(50):
        codes = packed(rng.standard_normal((fast_scan.LANES, bits)))
        distances = asymmetric(margins, codes)[0]
        limit = float(np.quantile(distances, 0.2))
        others = distances > 1.1 * limit
        near += let_in(margins, codes, limit)[others].sum()
        far += others.sum()
    assert near < 0.05 * far


@pytest.mark.parametrize("kernel", [every, pytest.param(bounded, marks=needs_shuffles)])
def test_both_passes_give_the_nearest(rng, monkeypatch, kernel):
    monkeypatch.setattr(module, "_WORTH", -1)
    monkeypatch.setattr("simsearch.search.hamming.asymmetric_kernels.nearest", kernel)
    margins, codes = rng.standard_normal((3, 44)), packed(rng.standard_normal((3000, 44)))
    found = nearest_by_margins(margins, [codes], k=7, threads=1)
    expected = np.argsort(asymmetric(margins, codes), axis=1, kind="stable")[:, :7]
    np.testing.assert_array_equal(found.positions, expected)


@needs_shuffles
def test_the_machine_code_looks_up_by_shuffles():
    planes = fast_scan.empty_planes(8)
    planes[:] = 0
    nearer(planes, np.zeros((8, 16), np.uint8), np.uint8(0))
    text = "\n".join(nearer.inspect_asm().values())
    assert "vpshufb" in text
    assert "vpaddusb" in text
    assert ("%zmm" if binding.get_host_cpu_features().get("avx512bw") else "%ymm") in text


@needs_shuffles
def test_codes_of_any_length_are_searched(rng, monkeypatch):
    monkeypatch.setattr(module, "_WORTH", -1)
    margins, codes = rng.standard_normal((2, 5120)), packed(rng.standard_normal((200, 5120)))
    found = nearest_by_margins(margins, [codes], k=3, threads=1)
    np.testing.assert_array_equal(found.positions, np.argsort(asymmetric(margins, codes), axis=1)[:, :3])
    huge = nearest_by_margins(np.full((1, 96), 1e300), [codes[:, :12].copy()], k=3, max_distance=0.0)
    assert (huge.positions == -1).all()


ELSEWHERE = """
import sys
import pytest
from simsearch.search.hamming import bit_slicing, fast_scan

assert (bit_slicing.LANES, fast_scan.LANES, fast_scan.SHUFFLES) == (4, 32, sys.argv[1] == "avx2")
chosen = "not the_machine_code and not processors and not example"
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-k", chosen, *sys.argv[2:]]))
"""
SETTINGS = {
    "avx2": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+sse4.2,+ssse3,+popcnt,+avx,+avx2,+fma,+bmi,+bmi2"},
    "no avx": {"NUMBA_ENABLE_AVX": "0"},
    "generic": {"NUMBA_CPU_NAME": "generic"},
}


@pytest.mark.parametrize("processor", SETTINGS)
@pytest.mark.parametrize("files", [["asymmetric", "fast_scan"], pytest.param(["search"], marks=pytest.mark.slow)])
@needs_shuffles
def test_processors_that_know_less_give_the_same_answers(processor, files):
    tests = [f"tests/search/hamming/test_{name}.py" for name in files]
    command = [sys.executable, "-c", ELSEWHERE, processor, *tests]
    settings = {**os.environ, **SETTINGS[processor]}
    done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
