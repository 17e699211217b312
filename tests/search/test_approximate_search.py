"""Laws of search through an index: distances are exact, removed rows never come back."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from simsearch.distance import by_name
from simsearch.errors import InputError, MetricError, RowError
from simsearch.search.approximate_search import approximate
from simsearch.search.exact import knn
from simsearch.search.indexes.index import Index, build
from simsearch.search.indexes.spec import KINDS, spec_for
from tests.search.rows import clustered

N, D, K = 3000, 24, 5


@pytest.fixture(scope="module")
def rows() -> NDArray[np.float16]:
    return clustered(N, D, seed=0)


@pytest.fixture(scope="module")
def queries(rows: NDArray[np.float16]) -> NDArray[np.float16]:
    rng = np.random.default_rng(1)
    chosen = rows[rng.choice(N, 40, replace=False)].astype(np.float32)
    return np.asarray(chosen * rng.uniform(0.9, 1.1, chosen.shape), np.float16)


@pytest.fixture(scope="module", params=[(kind, metric) for kind in KINDS for metric in ("js", "cosine", "l2")], ids=str)
def index(request: pytest.FixtureRequest, rows: NDArray[np.float16]) -> Index:
    kind, metric = request.param
    code = 8 if kind == "ivf_pq" else None
    return build(spec_for(N, D, metric, kind=kind, bytes_a_row=code), [rows[:1000], rows[1000:]], device="cpu")


def test_every_distance_is_that_of_the_metric(
    index: Index, rows: NDArray[np.float16], queries: NDArray[np.float16], compiled: bool
) -> None:
    found = approximate(queries, [rows], index, k=K, effort=index.efforts()[0], depth=20)
    exact = by_name(index.spec.metric)(queries, rows).astype(np.float32)
    held = found.positions >= 0
    assert held[:, 0].all()
    lines = np.nonzero(held)[0]
    np.testing.assert_array_equal(found.distances[held], exact[lines, found.positions[held]])
    assert not found.certified.any()
    assert (np.diff(np.where(held, found.distances, np.inf), axis=1)[held[:, 1:]] >= 0).all()


def test_float32_chooses_among_the_candidates_and_their_distances_are_exact(
    index: Index, rows: NDArray[np.float16], queries: NDArray[np.float16], compiled: bool
) -> None:
    """Against all candidates measured in float64: none is missing that is nearer by more than float32 can err."""
    way = {"effort": index.efforts()[-1], "depth": 60}
    found = approximate(queries, [rows], index, k=K, order="float32", **way)
    named = index.candidates(queries, way["depth"], way["effort"])
    exact = by_name(index.spec.metric)(queries, rows)
    lines = np.arange(len(queries))[:, None]
    assert (found.positions >= 0).all()
    assert all(set(mine) <= set(theirs) for mine, theirs in zip(found.positions, named, strict=True))
    np.testing.assert_array_equal(found.distances, exact[lines, found.positions].astype(np.float32))
    order = np.lexsort((found.positions, found.distances), axis=-1)
    assert (order == np.arange(K)).all(), "in exact order, ties to the lower position"
    kth = np.sort(np.where(named >= 0, exact[lines, named], np.inf), axis=1)[:, K - 1 : K]
    slack = {"js": 1e-5, "cosine": 2e-6, "l2": 2e-5 * float(exact.max())}[index.spec.metric]
    squared = (lambda d: d**2) if index.spec.metric == "js" else lambda d: d  # js errs in its divergence
    assert (squared(exact[lines, found.positions]) <= squared(kth) + slack).all()
    assert (found.measured == K).all() or not compiled, "no more than those are measured in float64"
    assert not found.certified.any()


def test_a_limit_leaves_the_choice_of_float32_as_it_is_and_a_reported_distance_finds_its_row(
    index: Index, rows: NDArray[np.float16], queries: NDArray[np.float16]
) -> None:
    way = {"k": K, "effort": index.efforts()[1 % len(index.efforts())], "depth": 30, "order": "float32"}
    for query in queries[::9, None]:
        whole = approximate(query, [rows], index, **way)
        for limit in whole.distances[0]:
            found = approximate(query, [rows], index, max_distance=float(limit), **way)
            np.testing.assert_array_equal(found.positions, np.where(whole.distances <= limit, whole.positions, -1))
            assert limit in found.distances


def test_equal_rows_are_chosen_by_the_lower_position_or_id(compiled: bool) -> None:
    rows = clustered(400, D, seed=3)
    rows[100:130] = rows[100]
    for metric in ("js", "cosine", "l2"):
        index = build(spec_for(len(rows), D, metric, kind="flat"), [rows], device="cpu")
        found = approximate(rows[100:101], [rows], index, k=7, effort=1, depth=60, order="float32")
        np.testing.assert_array_equal(found.positions, [np.arange(100, 107)])
        turned = approximate(
            rows[100:101], [rows], index, k=7, effort=1, depth=60, order="float32", ids=lambda positions: -positions
        )
        np.testing.assert_array_equal(np.sort(turned.positions), [np.arange(123, 130)])


def test_with_all_effort_and_depth_the_answer_is_the_exact_one(
    index: Index, rows: NDArray[np.float16], queries: NDArray[np.float16], compiled: bool
) -> None:
    found = approximate(queries, [rows], index, k=K, effort=index.efforts()[-1], depth=N)
    exact = knn(queries, [rows], k=K, metric=index.spec.metric, device="cpu")
    if index.spec.kind == "hnsw":  # a graph need not reach every row
        assert (found.positions == exact.positions).mean() > 0.95
        return
    np.testing.assert_array_equal(found.positions, exact.positions)
    np.testing.assert_array_equal(found.distances, exact.distances)


def test_removed_rows_are_never_found_and_k_live_ones_always(
    index: Index, rows: NDArray[np.float16], queries: NDArray[np.float16]
) -> None:
    nearest = knn(queries, [rows], k=60, metric=index.spec.metric, device="cpu").positions
    live = np.ones(N, bool)
    live[nearest.ravel()] = False  # whatever an index would name first is gone
    masks = [live[:1000], live[1000:]]
    found = approximate(queries, [rows[:1000], rows[1000:]], index, k=K, effort=index.efforts()[0], depth=K, live=masks)
    assert (found.positions >= 0).all()
    assert live[found.positions].all()


def test_however_many_are_removed_few_candidates_are_held_at_once(
    rows: NDArray[np.float16], queries: NDArray[np.float16], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = build(spec_for(N, D, "js", kind="flat"), [rows], device="cpu")
    live = np.zeros(N, bool)
    live[knn(queries, [rows], k=N, metric="js", device="cpu").positions[:, -K:]] = True  # what each would name last
    whole = approximate(queries, [rows], index, k=K, effort=1, depth=K, live=[live])
    asked = []
    ask = Index.candidates

    def told(self: Index, some: NDArray[np.float16], kept: int, effort: int) -> NDArray[np.int64]:
        asked.append((len(some), kept))
        return ask(self, some, kept, effort)

    monkeypatch.setattr(Index, "candidates", told)
    monkeypatch.setattr("simsearch.search.approximate_search._CELLS", 4 * N)
    again = approximate(queries, [rows], index, k=K, effort=1, depth=K, live=[live])
    np.testing.assert_array_equal(again.positions, whole.positions)
    assert max(kept for _, kept in asked) > N // 2
    assert max(count * kept for count, kept in asked) <= 4 * N


def test_no_more_than_the_live_ones_are_found(
    index: Index, rows: NDArray[np.float16], queries: NDArray[np.float16]
) -> None:
    live = np.zeros(N, bool)
    live[[3, 1500, 2999]] = True
    found = approximate(queries[:4], [rows], index, k=K, effort=index.efforts()[0], depth=K, live=[live])
    expected = knn(queries[:4], [rows], k=K, metric=index.spec.metric, live=[live], device="cpu")
    if index.spec.kind != "hnsw":
        np.testing.assert_array_equal(found.positions, expected.positions)
        np.testing.assert_array_equal(found.distances, expected.distances)
    assert set(np.unique(found.positions)) <= {-1, 3, 1500, 2999}


def test_what_is_too_far_is_left_out(index: Index, rows: NDArray[np.float16], queries: NDArray[np.float16]) -> None:
    wide = approximate(queries, [rows], index, k=K, effort=index.efforts()[-1], depth=50)
    limit = float(np.median(wide.distances))
    near = approximate(queries, [rows], index, k=K, effort=index.efforts()[-1], depth=50, max_distance=limit)
    kept = near.positions >= 0
    assert (near.distances[kept] <= limit).all()
    np.testing.assert_array_equal(near.positions[kept], wide.positions[wide.distances <= limit])


def test_what_cannot_be_searched_is_refused(rows: NDArray[np.float16], queries: NDArray[np.float16]) -> None:
    index = build(spec_for(1000, D, "js", kind="flat"), [rows[:1000]], device="cpu")
    with pytest.raises(InputError, match="covers 1000 rows and these are 3000"):
        approximate(queries, [rows], index, k=K, effort=1, depth=20)
    with pytest.raises(InputError, match="at least 1"):
        approximate(queries, [rows[:1000]], index, k=0, effort=1, depth=20)
    with pytest.raises(RowError):
        approximate(queries[:, :5], [rows[:1000]], index, k=1, effort=1, depth=20)
    with pytest.raises(MetricError, match="negative"):
        approximate(-queries, [rows[:1000]], index, k=1, effort=1, depth=20)
