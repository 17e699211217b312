"""Laws of the recall that a search tells: it is that of the k that was asked for, on queries that no index knew."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from simsearch.decide.intervals import clopper_pearson
from simsearch.library import Library
from simsearch.library.indexes.curve import Curve, CurvePoint, Recall
from simsearch.library.indexes.recall import tune
from simsearch.library.indexes.record import IndexRecord
from simsearch.library.indexes.search_parameters import choose_parameters
from simsearch.library.read.matches import Matches
from simsearch.search.approximate_search import approximate
from simsearch.search.indexes.index import build, held_out
from simsearch.search.indexes.spec import IndexSpec, spec_for
from tests.library.rows import library_of_rows

GOLDEN = Path(__file__).parent / "golden" / "v1"


def drawn(n: int, rng: np.random.Generator, centres: NDArray[np.float64]) -> NDArray[np.float16]:
    """Rows of one law: a centre, each of its values times a number of its own, some zero."""
    rows = centres[rng.integers(0, len(centres), n)] * rng.gamma(4, 0.25, (n, centres.shape[1]))
    rows[rng.random(rows.shape) < 0.1] = 0
    rows[:, 0] += 0.01
    return np.asarray(rows, np.float16)


def world(n: int, d: int, clusters: int) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    """Rows of a library, and others of the same law to ask with."""
    rng = np.random.default_rng(0)
    centres = rng.gamma(0.7, size=(clusters, d))
    return drawn(n, rng, centres), drawn(300, rng, centres).astype(np.float32)


def require_true(library: Library, queries: NDArray[np.float32], k: int) -> tuple[Recall | None, float]:
    """Check what is told at this k against exact search, and return it and the share that was found."""
    found = library.search(queries, k=k, group_copies=False)
    exact = library.search(queries, k=k, group_copies=False, exact=True)
    shares = [(a <= b[-1]).mean() for a, b in zip(found.distances, exact.distances, strict=True)]
    recall, share = found[0].recall, float(np.mean(shares))
    assert all(one.recall == recall for one in found)
    if recall is None:
        assert not found[0].certified or np.array_equal(found.distances, exact.distances)
        return None, share
    assert not found[0].certified
    assert recall.k == k
    true = clopper_pearson(round(sum(shares)), len(shares), 0.999)
    assert true.high >= recall.low, f"{share:.3f} of the {k} nearest were found, and {recall} was told"
    assert true.low <= recall.high
    return recall, share


def require_table(library: Library, rows: int, queries: NDArray[np.float32], ks: tuple[int, ...]) -> None:
    """Check every k: before and after nine tenths of the rows were removed, and once the index was built again."""
    assert all(require_true(library, queries, k)[0] for k in ks)
    some = np.random.default_rng(5).permutation(rows)
    library.remove([f"/rows/{i}" for i in some[: rows // 20]])
    assert all(require_true(library, queries, k)[0] for k in ks), "a twentieth changes little"
    library.remove([f"/rows/{i}" for i in some[rows // 20 : rows * 9 // 10]])
    for k in ks:
        recall, share = require_true(library, queries, k)
        assert recall is None, "what was measured is no longer there"
        assert share > 0.85, "yet it is looked for as far"
    library.optimize()
    assert all(require_true(library, queries, k)[0] for k in ks if 10 * k <= rows // 20)


@pytest.mark.parametrize("kind", ["rabitq", "ivf_flat"])
def test_what_is_told_is_true_at_every_k(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simsearch.library.indexes.held_out.ASKED", 300)
    rows, queries = world(5000, 32, 50)
    with library_of_rows(tmp_path / "rows.library", rows) as library:
        library.optimize(recall=0.9, kind=kind)
        require_table(library, len(rows), queries[:200], (1, 10, 37))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rabitq", "ivf_flat", "hnsw"])
def test_what_is_told_is_true_at_every_k_of_a_larger_library(tmp_path: Path, kind: str) -> None:
    rows, queries = world(60_000, 64, 300)
    with library_of_rows(tmp_path / "rows.library", rows) as library:
        library.optimize(recall=0.9, kind=kind)
        require_table(library, len(rows), queries, (1, 10, 100, 1000))


def test_what_the_rows_are_that_an_index_is_measured_by_changes_nothing_in_it() -> None:
    """With them left out of the answers it is the index that never saw them."""
    rows = np.random.default_rng(0).gamma(1, size=(400, 8)).astype(np.float32)
    held = held_out(400, 0)
    assert len(set(held.tolist())) == 100
    others = rows.copy()
    others[held] = 100 * rows[held] + np.arange(8)
    live = [~np.isin(np.arange(400), held)]
    spec = spec_for(400, 8, "l2", kind="ivf_flat")
    one, two = (build(spec, [some], device="cpu") for some in (rows, others))
    for effort in one.efforts():
        first, second = (
            approximate(rows[live[0]], [some], index, k=5, effort=effort, depth=300, live=live)
            for index, some in ((one, rows), (two, others))
        )
        np.testing.assert_array_equal(first.positions, second.positions)


def test_a_choice_that_others_do_not_bear_out_is_not_told() -> None:
    """The first half of the queries finds all with one list; the second half needs many."""
    rows = np.concatenate([np.eye(8)[[0] * 200], np.random.default_rng(0).random((400, 8))]).astype(np.float32)
    rows[:200] += np.random.default_rng(1).random((200, 8)).astype(np.float32) / 1000
    index = build(IndexSpec("ivf_flat", "l2", 8, lists=8), [rows], device="cpu")
    own = np.concatenate([np.arange(60), np.arange(300, 360)])
    (curve,) = tune(index, [rows], own, recall=0.9)
    assert max(curve.points, key=lambda point: point.rate).low >= 0.9
    assert curve.chosen is None or (curve.chosen.effort > 1 and curve.chosen.low >= 0.9)


class TestAsking:
    """How an index is asked for k, given what was measured."""

    EFFORTS = (1, 2, 4, 8, 16, 32, 64)

    def test_beyond_what_was_measured_more_is_looked_at_and_nothing_told(self) -> None:
        for k in (1200, 1201, 2500, 20_000):
            way = choose_parameters(record(), self.EFFORTS, k=k, rows=k, live=100_000)
            if k == 20_000:
                assert way is None, "exact search is the better way"
                continue
            assert way is not None
            assert (way.recall is None) == (k > 1200)
            assert way.depth >= 2 * k or k == 1200
            assert way.effort >= min(16 * k / 1000, 64) or k == 1200

    @pytest.mark.parametrize("live", [100_000, 95_000, 50_000, 10_000])
    def test_neither_depth_nor_effort_falls_as_k_grows(self, live: int) -> None:
        ways = [choose_parameters(record(), self.EFFORTS, k=k, rows=k, live=live) for k in range(1, 1500)]
        known = [way for way in ways if way is not None]
        assert ways[: len(known)] == known, "exact from some k on"
        for first, second in itertools.pairwise(known):
            assert first.depth <= second.depth
            assert first.effort <= second.effort
        assert known[0].depth >= record().curve.chosen.depth  # type: ignore[union-attr]

    def test_the_fewer_are_left_the_more_is_looked_at(self) -> None:
        efforts, told = [], []
        for live in (100_000, 95_000, 89_000, 50_000, 5_000, 900):
            way = choose_parameters(record(), self.EFFORTS, k=10, rows=10, live=live)
            efforts.append(64 if way is None else way.effort)
            told.append(way is not None and way.recall is not None)
        assert efforts == sorted(efforts)
        assert told == [True, True, False, False, False, False]

    def test_matches_that_are_left_out_later_change_no_figure(self) -> None:
        plain, wider = (choose_parameters(record(), self.EFFORTS, k=10, rows=n, live=100_000) for n in (10, 12))
        assert plain == wider
        assert plain is not None
        assert plain.recall == Recall(0.99, 0.98, 0.995, 10)

    def test_a_record_of_an_earlier_release_tells_its_own_k_alone(self) -> None:
        old = IndexRecord.of_json({**record(shares=False).as_json(), **{"format": 1, "wider": [], "seal": None}})
        for k in (1, 5, 10, 11, 100):
            way = choose_parameters(old, self.EFFORTS, k=k, rows=k, live=100_000)
            assert way is not None
            assert way.recall == (Recall(0.99, 0.98, 0.995, 10) if k == 10 else None)
            assert way.depth >= max(20, 2 * k)
            assert way.effort >= 4 * k / 10


def record(*, shares: bool = True) -> IndexRecord:
    """Of an index measured at 10, 100 and 1,000."""
    spec = IndexSpec("ivf_flat", "js", 8, 64)
    curves = [curve(k, effort, shares) for k, effort in ((10, 4), (100, 8), (1000, 16))]
    told = {"wider": tuple(curves[1:]), "live": 100_000}
    return IndexRecord("f", "rows", "js", spec, ("a",), 100_000, 1, "0" * 64, curves[0], **told)


def curve(k: int, effort: int, shares: bool) -> Curve:
    point = CurvePoint(effort, 2 * k, 0.99, 0.98, 0.995, 100.0)
    return Curve(k, 1000, 0.9, (point,), point, ((0.99, 0.98, 0.995),) * (k * 6 // 5) if shares else ())


def test_an_index_of_the_first_release_is_asked_and_tells_what_it_measured(tmp_path: Path) -> None:
    folder = tmp_path / "v1"
    shutil.copytree(GOLDEN, folder)
    with Library.open(folder, device="cpu") as library:
        [index] = library.info().indexes
        assert [recall.k for recall in index.recalls] == [index.curve.k] == [10]
        for k in (1, 2, 10):
            row = library.snapshot.segments[0].channels[library.channel.name].row[:1].astype(np.float32)
            recall = library.search(row, k=k, exclude_self=False)[0].recall
            assert recall is None or (recall.k == k == 10)


def test_a_recall_says_its_k_in_json_and_in_words(tmp_path: Path) -> None:
    rows, queries = world(3000, 16, 20)
    with library_of_rows(tmp_path / "rows.library", rows) as library:
        library.optimize(recall=0.9, kind="ivf_flat")
        plain = library.search(queries[:2], k=7)
        [told, _] = plain.to_list()
        assert told["recall"] == asdict(plain[0].recall)  # type: ignore[arg-type]
        assert (told["recall"]["k"], plain.k) == (7, 7)
        near = library.search(queries[:2], k=7, max_distance=0.9)
        assert near[0].recall == plain[0].recall, "whether there are more is a question of its own"
        assert str(Recall(0.98, 0.97, 0.99, 1000)) == "recall 0.980 (0.970-0.990) of the 1,000 nearest"
        assert Recall(0.98, 0.97, 0.99).k == 10
        [index] = library.info().indexes
        assert [recall.k for recall in index.recalls] == [1, 10, 100]
        assert isinstance(near, Matches)
