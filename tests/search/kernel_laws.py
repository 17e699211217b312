"""Laws of the compiled kernels, on whatever device: a GPU, or the CPU under Triton's interpreter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from simsearch.distance import METRICS
from simsearch.errors import InputError
from simsearch.search.exact import knn
from simsearch.search.few_queries import gpu_scores
from simsearch.search.metrics import SEARCH_METRICS, base, hamming, js
from simsearch.search.metrics.hamming_triton import BLOCK, as_int32, bit_counts, keys_of, lowest_keys
from simsearch.search.metrics.js_log_sums import _by_torch
from simsearch.search.metrics.js_triton import Tile, fused_log_sums

DEAD = 10_000


def codes_of(rng, n, width):
    """Codes near a few centres: there are ties, and equal ones."""
    centres = rng.integers(0, 256, (5, width), np.uint8)
    return centres[rng.integers(0, 5, n)] ^ np.packbits(rng.random((n, 8 * width)) < 0.05, axis=1)


def counted(a, b):
    return np.bitwise_count(a[:, None] ^ b[None]).sum(axis=2, dtype=np.int64)


def laid_out(values, device):
    """The same values (n, d) in memory in other ways: by columns, turned, with gaps, from the middle of others."""
    n, d = values.shape
    wide = np.zeros((n, 2 * d + 3), values.dtype)
    wide[:, 3 : d + 3] = values
    gaps = np.zeros((2 * n, 2 * d), values.dtype)
    gaps[::2, ::2] = values
    long = np.zeros((n + 2, d), values.dtype)
    long[1:-1] = values
    flat = np.zeros(n * d + 1, values.dtype)
    flat[1:] = values.ravel()
    yield torch.from_numpy(np.asfortranarray(values)).to(device)
    yield torch.from_numpy(np.ascontiguousarray(values.T)).to(device).T
    yield torch.from_numpy(wide).to(device)[:, 3 : d + 3]
    yield torch.from_numpy(gaps).to(device)[::2, ::2]
    yield torch.from_numpy(long).to(device)[1:-1]
    yield torch.from_numpy(flat).to(device)[1:].view(n, d)


def sums_are_those_of_torch(device):
    torch.manual_seed(0)
    for q, n, d in ((1, 1, 1), (3, 40, 17), (33, 5, 16)):
        p, r = (((torch.rand(m, d) * (torch.rand(m, d) > 0.3) + 1e-30) / d).to(device) for m in (q, n))
        for tile in (Tile(), Tile(16, 8, 4, 4)):
            torch.testing.assert_close(fused_log_sums(p, r, tile), _by_torch(p, r), rtol=1e-5, atol=1e-6)
    assert fused_log_sums(p[:0], r).shape == (0, len(r))


def how_rows_lie_in_memory_does_not_matter(device):
    rng = np.random.default_rng(0)
    kinds = [(hamming.BitKernel(width), codes_of(rng, 11, width)) for width in (7, 12)]
    kinds += [(js.JensenShannonScore(), rng.gamma(0.5, size=(11, 19)).astype(kind)) for kind in ("f4", "f8", "f2")]
    for score, values in kinds:
        plain = score.prepare(torch.from_numpy(values).to(device))
        expected = score.between(plain, plain)
        for rows in laid_out(values, device):
            ready = score.prepare(rows)
            assert torch.equal(score.between(plain, ready), expected)
            assert torch.equal(score.between(ready, plain), expected)
            part = base.Prepared(ready.rows[3:7], ready.term[3:7])  # as a scan takes queries, group by group
            assert torch.equal(score.between(part, plain), expected[3:7])


def what_does_not_lie_row_by_row_is_refused(device):
    words = torch.zeros((4, 6), dtype=torch.int32, device=device)
    for wrong in (words.T, words[:, ::2], words[:, :3]):
        right = wrong.contiguous()
        for a, b in ((wrong, right), (right, wrong)):
            for call in (bit_counts, fused_log_sums, lambda a, b: lowest_keys(a, b, 2)):
                with pytest.raises(InputError, match=r"contiguous\(\)"):
                    call(a, b)


def bits_are_those_that_differ(device):
    rng = np.random.default_rng(1)
    for q, n, width in ((1, 1, 1), (9, 300, 12), (3, 257, 33)):
        a, b = codes_of(rng, q, width), codes_of(rng, n, width)
        found = bit_counts(*(as_int32(torch.from_numpy(each).to(device)) for each in (a, b)))
        np.testing.assert_array_equal(found.cpu().numpy(), counted(a, b))


def lowest_keys_are_those_of_counting_every_bit(device):
    rng = np.random.default_rng(2)
    cases = [(1, 2 * BLOCK + 7, 12, 10), (9, BLOCK + 1, 12, 3), (2, BLOCK + 9, 5, BLOCK + 5), (3, BLOCK, 1, 1)]
    lengths = [(1, 70, 4 * words, 5) for words in range(1, 33)] + [(1, 3, 252, 5)]
    for q, n, width, k in cases + lengths:
        a, b = codes_of(rng, q, width), codes_of(rng, n, width)
        for live in (rng.random(n) < 0.5, None, np.zeros(n, bool))[: 3 if n > BLOCK else 1]:
            counts = counted(a, b)
            if live is not None:
                counts[:, ~live] = DEAD
            order = np.argsort(counts, axis=1, kind="stable")[:, :k]
            mask = None if live is None else torch.from_numpy(live.astype(np.uint8)).to(device)
            there = (as_int32(torch.from_numpy(each).to(device)) for each in (a, b))
            found = keys_of(lowest_keys(*there, k, live=mask, start=1 << 33).cpu().numpy())
            expected = np.take_along_axis(counts, order, 1)
            alive = expected != DEAD
            np.testing.assert_array_equal(found.found, alive)
            np.testing.assert_array_equal(found.counts[alive], expected[alive])
            np.testing.assert_array_equal(found.positions[alive], order[alive] + (1 << 33))


def pooled(rng, n, d):
    """Float16 rows with exact zeros, in clusters; some are equal."""
    rows = rng.gamma(0.4, size=(1 + n // 4, d))[rng.integers(0, 1 + n // 4, n)] * rng.uniform(0.7, 1.4, (n, d))
    rows[rng.random((n, d)) < 0.2] = 0
    rows[:, 0] += 0.01
    rows[n // 2] = rows[0]
    return rows.astype(np.float16)


def scores_of_a_few_queries_are_as_near_to_exact_as_stated(device):
    rng = np.random.default_rng(4)
    for metric, q, n, d in (
        (m, *shape) for m in gpu_scores._METRICS for shape in ((1, 1, 1), (1, 33, 130), (5, 18, 20))
    ):
        rows, queries = pooled(rng, n, d), pooled(rng, q, d).astype(np.float32)
        queries[0] = rows[0]
        score = gpu_scores.DirectScore(metric)
        prepared = score.prepare(torch.from_numpy(rows).to(device))
        asked = score.prepare_queries(torch.from_numpy(queries).to(device))
        found = score.between(asked, prepared).double().cpu().numpy()
        error = score.error(d, (float(asked.term.max()), float(prepared.term.max())))
        exact = [METRICS[metric](line[None].astype(np.float64), rows.astype(np.float64))[0] for line in queries]
        if metric == "js":  # of which the score is a bound
            p, r = (x.astype(np.float64) / x.sum(axis=1, keepdims=True, dtype=np.float64) for x in (queries, rows))
            bound = -score._weight * (np.sqrt(p) @ np.sqrt(r).T)
            assert (found <= score.of(np.array(exact)) + error).all()
        else:
            bound = score.of(np.array(exact))
        assert np.abs(found - bound).max() <= error
        assert error < 1e-4 * max(1, np.abs(bound).max())
    rows = torch.tensor([[1.0, 0], [0, 0], [2, -1], [torch.nan, 1], [torch.inf, 1], [0, 3]]).half().to(device)
    for metric, expected in (("js", [0, 1, 1, 1, 1, 0]), ("cosine", [0, 1, 0, 1, 1, 0]), ("l2", [0, 1, 0, 1, 1, 0])):
        score = gpu_scores.DirectScore(metric)
        assert score.suspects(rows, score.prepare(rows)).tolist() == [bool(one) for one in expected]


def a_search_of_a_few_queries_is_exact(device):
    rng = np.random.default_rng(5)
    rows, queries = pooled(rng, 260, 24), pooled(rng, 3, 24)
    queries[0] = rows[7]
    live = [None, rng.random(160) < 0.7]
    alive = np.concatenate([np.ones(100, bool), live[1]])
    there = [torch.from_numpy(part).to(device) for part in (rows[:100], rows[100:])]
    for metric in gpu_scores._METRICS:
        exact = np.array([METRICS[metric](line[None], rows)[0] for line in queries])
        near = np.where(alive, exact, np.inf)
        order = np.argsort(near, axis=1, kind="stable")[:, :6]
        asked = torch.from_numpy(queries).to(device)
        for budget in (None, 50_000):
            found = knn(asked, there, k=6, metric=metric, live=live, device=device, budget=budget)
            np.testing.assert_array_equal(found.positions, order)
            expected = np.take_along_axis(near, order, 1).astype(np.float32)
            np.testing.assert_array_equal(found.distances, expected)
            assert found.certified.all()


def a_search_of_codes_is_that_of_counting_every_bit(device):
    rng = np.random.default_rng(3)
    queries, codes = codes_of(rng, 3, 12), codes_of(rng, 2500, 12)
    queries[0] = codes[2100]
    blocks = [codes[:0], codes[:1200], codes[1200:1201], codes[1201:]]
    live = [None, rng.random(1200) < 0.6, np.array([True]), None]
    alive = np.concatenate([np.ones(len(b), bool) if m is None else m for b, m in zip(blocks, live, strict=True)])
    there = [torch.from_numpy(block).to(device) for block in blocks]
    for masks, budget, k in ((None, None, 5), (live, 400_000, 5), (live, 100_000, 1100)):
        counts = counted(queries, codes)
        if masks is not None:
            counts[:, ~alive] = DEAD
        for limit in (None, 17 / 96)[: 2 if k < 100 else 1]:
            near = counts if limit is None else np.where(counts <= limit * 96, counts, DEAD)
            order = np.argsort(near, axis=1, kind="stable")[:, :k]
            found_there = np.take_along_axis(near, order, 1) != DEAD
            expected = np.full((len(queries), k), -1)
            expected[:, : order.shape[1]] = np.where(found_there, order, -1)
            for given in (there, blocks)[: 1 if limit else 2]:
                asked = torch.from_numpy(queries).to(device)
                options = {"k": k, "metric": "hamming", "live": masks, "max_distance": limit, "budget": budget}
                found = knn(asked, given, device=device, **options)
                np.testing.assert_array_equal(found.positions, expected)
                shares = np.where(expected < 0, np.inf, np.take_along_axis(near, np.maximum(expected, 0), 1) / 96)
                np.testing.assert_array_equal(found.distances, shares.astype(np.float32))
                assert found.certified.all()


LAWS = (
    *(sums_are_those_of_torch, how_rows_lie_in_memory_does_not_matter, what_does_not_lie_row_by_row_is_refused),
    *(bits_are_those_that_differ, lowest_keys_are_those_of_counting_every_bit),
    *(scores_of_a_few_queries_are_as_near_to_exact_as_stated, a_search_of_a_few_queries_is_exact),
    a_search_of_codes_is_that_of_counting_every_bit,
)


def main() -> None:
    """All of them on the CPU, as on a GPU, under the interpreter."""
    SEARCH_METRICS["hamming"] = replace(SEARCH_METRICS["hamming"], score=lambda width, device: hamming.BitKernel(width))
    gpu_scores.serves = lambda scan, queries: scan.metric in gpu_scores._METRICS
    for law in LAWS:
        law("cpu")


if __name__ == "__main__":
    main()
