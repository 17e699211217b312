"""Laws of the self-join: every pair within the distance, once, whatever the way and the pieces."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from simsearch import distance
from simsearch.errors import InputError, MetricError
from simsearch.search import self_join
from simsearch.search.hamming.multi_index import cut
from simsearch.search.indexes.index import build
from simsearch.search.indexes.spec import spec_for
from simsearch.search.self_join import Pairs, code_pairs, pairs_by_index, row_pairs
from tests.search.hamming.test_search import codes_of
from tests.search.rows import clustered


def together(pieces):
    columns = [np.concatenate(column) for column in zip(*pieces, strict=True)]
    assert (np.diff(columns[0]) >= 0).all()
    return Pairs(*columns)


def oracle(rows, metric, limit):
    distances = distance.METRICS[metric](rows, rows)
    left, right = np.nonzero(np.triu(distances <= limit, 1))
    near = distances[left, right].astype(np.float32)
    order = np.lexsort((right, near, left))
    return Pairs(left[order], right[order], near[order])


def assert_same(found, expected):
    for column, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(column, other)


@pytest.mark.parametrize("radius", [0, 4, 12])
@pytest.mark.parametrize("tables", [False, True])
def test_pairs_of_codes_are_those_of_comparing_all(rng, radius, tables, monkeypatch):
    codes = codes_of(rng, 700, 12)
    monkeypatch.setattr(self_join, "_CODES", 128)
    monkeypatch.setattr(self_join, "join_chunks", lambda *_: cut(96, 6) if tables else None)
    told: list[tuple[int, int]] = []
    pieces = list(code_pairs(codes, radius=radius, advance=lambda *both: told.append(both)))
    assert all((np.diff(piece.left) >= 0).all() for piece in pieces)
    columns = [np.concatenate(column) for column in zip(*pieces, strict=True)]
    order = np.lexsort((columns[1], columns[2], columns[0]))
    assert_same(Pairs(*(column[order] for column in columns)), oracle(codes, "hamming", radius / 96))
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]


@pytest.mark.parametrize("metric", ["js", "cosine", "l2"])
def test_pairs_of_rows_are_those_of_comparing_all(metric, monkeypatch):
    rows = clustered(200, 24, seed=5)
    limit = float(np.quantile(distance.METRICS[metric](rows, rows), 0.03))
    monkeypatch.setattr(self_join, "_BYTES", 48 * 33)
    blocks = [rows[:1], rows[1:1], rows[1:90], rows[90:]]
    found = together(row_pairs(blocks, max_distance=limit, metric=metric, device="cpu"))
    assert len(found.left) > 20
    assert_same(found, oracle(rows, metric, limit))


@pytest.mark.parametrize(("metric", "depth"), [("js", 900), ("cosine", 8)])  # whose order an index has itself
def test_an_index_that_looks_everywhere_finds_every_pair_and_one_that_does_not_finds_some(metric, depth, monkeypatch):
    rows = clustered(900, 24, seed=7)
    limit = float(np.quantile(distance.METRICS[metric](rows, rows), 0.03))
    monkeypatch.setattr(self_join, "_ROWS", 128)
    blocks = [rows[:500], rows[:0], rows[500:800], rows[800:]]
    index = build(spec_for(900, 24, metric, kind="ivf_flat"), blocks, device="cpu")
    expected = oracle(rows, metric, limit)
    assert np.bincount(expected.left).max() > 8  # more than the depth at first
    asked = {"max_distance": limit, "depth": depth}
    assert_same(together(pairs_by_index(blocks, index, effort=index.efforts()[-1], **asked)), expected)
    some = together(pairs_by_index(blocks, index, effort=index.efforts()[0], **asked))
    known = {(left, right): near for left, right, near in zip(*expected, strict=True)}
    assert all(known[left, right] == near for left, right, near in zip(*some, strict=True))
    assert 0 < len(some.left) <= len(expected.left)


def test_bad_input_is_named(rng):
    with pytest.raises(InputError, match="radius"):
        next(code_pairs(codes_of(rng, 3, 8), radius=-1))
    with pytest.raises(MetricError, match="uint8"):
        next(code_pairs(np.zeros((3, 8)), radius=1))


def test_examples():
    assert doctest.testmod(self_join).failed == 0


@pytest.mark.parametrize("way", ["exact", "index"])
def test_rows_that_do_not_count_are_in_no_pair(rng, monkeypatch, way):
    monkeypatch.setattr(self_join, "_BYTES", 4096)
    monkeypatch.setattr(self_join, "_ROWS", 64)
    rows = clustered(300, 24, seed=9)
    blocks = [rows[:110], rows[110:]]
    live = [rng.random(110) < 0.6, None]
    alive = np.concatenate([live[0], np.ones(190, bool)])
    limit = float(np.quantile(distance.js(rows, rows), 0.05))
    every = oracle(rows, "js", limit)
    kept = alive[every.left] & alive[every.right]
    expected = Pairs(*(column[kept] for column in every))
    if way == "exact":
        found = row_pairs(blocks, max_distance=limit, metric="js", live=live, device="cpu")
    else:
        index = build(spec_for(len(rows), 24, "js", kind="flat"), blocks, device="cpu")
        found = pairs_by_index(blocks, index, max_distance=limit, effort=index.efforts()[-1], live=live, device="cpu")
    assert_same(together(list(found)), expected)
