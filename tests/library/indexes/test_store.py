"""Laws of a library's indexes: a cache that answers as exact search does, mends itself, and is never wrong."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from simsearch import distance
from simsearch.errors import IndexFailed, InputError, MetricError
from simsearch.library import Library
from simsearch.library.format.layout import INDEXES
from simsearch.library.format.snapshot import Snapshot
from simsearch.library.indexes.curve import Curve
from simsearch.library.indexes.recall import tune
from simsearch.library.indexes.store import IndexRecord, discard, records
from simsearch.search.indexes.index import build, held_out
from simsearch.search.indexes.spec import spec_for
from tests.library.rows import grow, library_of_rows
from tests.search.rows import clustered

N, D = 1500, 24


@pytest.fixture(autouse=True)
def _few_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small library is measured by fewer rows."""
    monkeypatch.setattr("simsearch.library.indexes.held_out.ASKED", 200)


@pytest.fixture
def rows() -> NDArray[np.float16]:
    return clustered(N, D, seed=0)


@pytest.fixture
def library(tmp_path: Path, rows: NDArray[np.float16]) -> Library:
    return library_of_rows(tmp_path / "rows.library", rows)


def near(rows: NDArray[np.float16], n: int = 30, seed: int = 9) -> NDArray[np.float32]:
    """Rows near some of these."""
    rng = np.random.default_rng(seed)
    chosen = rows[rng.choice(len(rows), n, replace=False)].astype(np.float32)
    return np.asarray(chosen * rng.uniform(0.95, 1.05, chosen.shape), np.float32)


def test_an_index_answers_with_exact_distances_and_its_recall(library: Library, rows: NDArray[np.float16]) -> None:
    exact = library.search(near(rows), k=5)
    assert all(one.certified and one.recall is None for one in exact)
    [record] = library.optimize(recall=0.9, kind="rabitq")
    found = library.search(near(rows), k=5)
    share = record.curve.share(5)
    for one, true in zip(found, exact, strict=True):
        assert not one.certified
        assert one.recall is not None
        assert (one.recall.value, one.recall.low, one.recall.high) == share
        assert one.recall.k == 5
        assert one.recall.low >= 0.9
        by_id = {match.id: match.distance for match in true.matches}
        assert all(by_id.get(match.id, match.distance) == match.distance for match in one.matches)
    same = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(found.ids, exact.ids, strict=True)])
    assert same > 0.85
    np.testing.assert_array_equal(library.search(near(rows), k=5, exact=True).ids, exact.ids)
    assert library.search(near(rows), k=5, exact=True)[0].certified
    assert library.search(near(rows), k=5, metric="cosine")[0].certified, "there is no index for cosine"


def test_the_order_is_told_and_can_be_asked_for(library: Library, rows: NDArray[np.float16]) -> None:
    how: dict[str, Any] = {"k": 5, "metric": "cosine"}
    exact = library.search(near(rows), **how)
    assert {(one.order, one.certified) for one in exact} == {("exact", True)}
    [record] = library.optimize(recall=0.9, kind="rabitq", metric="cosine")
    told, single, full = (library.search_rows(near(rows), order=order, **how) for order in (None, "float32", "exact"))
    assert [{one.order for one in found} for found in (told, single, full)] == [{"float32"}, {"float32"}, {"exact"}]
    np.testing.assert_array_equal(told.ids, single.ids)
    assert record.order == "float32"
    assert {one.recall for one in full} == {told[0].recall}, "exact order finds no less, and tells that"
    assert not any(one.certified for found in (told, single, full) for one in found)
    assert [line["order"] for line in told.to_list()] == ["float32"] * len(told)
    for found in (told, full):  # what is reported is what `compare` would say
        for query, one in zip(near(rows), found, strict=True):
            ours = np.array([rows[int(match.path.rsplit("/", 1)[1])] for match in one.matches])
            official = distance.cosine(query[None].astype(np.float16), ours)[0].astype(np.float32)
            np.testing.assert_array_equal([match.distance for match in one.matches], official)
    with pytest.raises(InputError, match="leave order out"):
        library.search(near(rows), k=5, exact=True, order="exact")
    with pytest.raises(InputError, match="'exact', 'float32'"):
        library.search(near(rows), k=5, order="fast")


def test_js_is_in_exact_order_unless_float32_is_asked_for(library: Library, rows: NDArray[np.float16]) -> None:
    [record] = library.optimize(recall=0.9, kind="rabitq", metric="js")
    told, single = (library.search_rows(near(rows), k=5, order=order)[0] for order in (None, "float32"))
    assert (record.order, told.order, single.order) == ("exact", "exact", "float32")
    assert told.recall is not None
    assert single.recall is None, "it was measured in exact order"


def test_an_index_that_was_measured_in_exact_order_is_asked_so_and_tells_nothing_of_float32(
    library: Library, rows: NDArray[np.float16]
) -> None:
    [record] = library.optimize(recall=0.9, kind="rabitq", metric="cosine")
    told = (library.path / INDEXES / record.file).with_suffix(".json")
    values = {name: value for name, value in record.as_json().items() if name not in ("order", "seal")}
    told.write_text(json.dumps(values))  # as releases before this wrote it, but for the seal
    with Library.open(library.path, device="cpu") as older:
        found, single = (older.search(near(rows), k=5, metric="cosine", order=order) for order in (None, "float32"))
    assert (found[0].order, found[0].recall is None) == ("exact", False)
    assert (single[0].order, single[0].recall) == ("float32", None)


def test_what_was_removed_and_what_came_later_counts_at_once(library: Library, rows: NDArray[np.float16]) -> None:
    library.optimize(recall=0.9, kind="rabitq")
    query = rows[17].astype(np.float32)
    assert library.search(query, k=1)[0].matches[0].path == "/rows/17"
    library.remove(["/rows/17"])
    assert "/rows/17" not in library.search(query, k=20).paths[0]
    grow(library, rows[17:18], start=N)
    first = library.search(query, k=1)[0]
    assert (first.matches[0].path, first.matches[0].distance) == (f"/rows/{N}", 0)
    assert not first.certified
    [told] = library.info().indexes
    assert (told.rows, told.fresh, told.usable) == (N, 1, True)


def test_an_index_whose_segments_are_gone_is_not_asked_and_built_again(
    library: Library, rows: NDArray[np.float16]
) -> None:
    library.optimize(recall=0.9, kind="ivf_flat")
    library.remove(["/rows/3"], purge=True)
    assert library.search(near(rows), k=3)[0].certified
    assert library.info().indexes == (), "it knew the row"
    grow(library, rows[3:4], start=3)
    library.optimize(recall=0.9, kind="ivf_flat")
    library.remove(["/rows/3"])
    [record] = library.optimize()
    assert (record.spec.kind, record.rows, record.curve.wanted) == ("ivf_flat", N - 1, 0.9)
    assert not library.search(near(rows), k=3)[0].certified
    assert library.optimize() == (), "nothing is built twice"


def test_an_index_that_can_no_longer_show_its_recall_is_removed_and_that_is_told(
    library: Library, rows: NDArray[np.float16]
) -> None:
    library.optimize(recall=0.9, kind="ivf_flat")
    library.remove([f"/rows/{i}" for i in range(20, N)])
    with pytest.warns(RuntimeWarning, match=r"js index of kind ivf_flat .* was removed.*optimize --recall R") as told:
        assert library.optimize() == ()
    assert len(told) == 1
    assert records(library.path) == ()
    assert library.search(near(rows), k=3)[0].certified
    library.optimize()  # told once: a second warning would be an error here


@pytest.mark.parametrize("harm", ["cut", "changed", "gone", "no words", "other words"])
def test_a_damaged_index_is_told_and_never_asked(library: Library, rows: NDArray[np.float16], harm: str) -> None:
    [record] = library.optimize(recall=0.9, kind="rabitq")
    exact = library.search(near(rows), k=5, exact=True)
    path = library.path / INDEXES / record.file
    told = path.with_suffix(".json")
    data = path.read_bytes()
    if harm == "cut":
        path.write_bytes(data[:-7])
    elif harm == "changed":
        path.write_bytes(data[:900] + bytes([data[900] ^ 1]) + data[901:])
    elif harm == "gone":
        path.unlink()
    elif harm == "no words":
        told.write_text("{")
    else:
        told.write_text(json.dumps({**record.as_json(), "format": 3}))
    with Library.open(library.path, device="cpu") as again:
        if harm in ("cut", "changed", "gone"):
            with pytest.warns(RuntimeWarning, match="searching exactly"):
                found = again.search(near(rows), k=5)
        else:
            found = again.search(near(rows), k=5)
        np.testing.assert_array_equal(found.ids, exact.ids)
        assert found[0].certified
        problems = again.verify(deep=True)
        assert len(problems) == 1
        assert "optimize" in problems[0]
        again.search(near(rows), k=5)  # told once: a second warning would be an error here
        again.optimize(recall=0.9, kind="rabitq")
        assert again.verify(deep=True) == []
        assert not again.search(near(rows), k=5)[0].certified


def test_a_broken_off_build_leaves_nothing(library: Library, rows: NDArray[np.float16]) -> None:
    home = library.path / INDEXES
    home.mkdir()
    (home / "rows-js-123.faiss.half").write_bytes(b"half")
    (home / "rows-js-123.faiss").write_bytes(b"not yet described")
    assert library.search(near(rows), k=5)[0].certified
    library.optimize()
    assert list(home.iterdir()) == []


def test_what_cannot_be_reached_is_refused_and_not_kept(library: Library) -> None:
    with pytest.raises(IndexFailed, match="ask for less"):
        library.optimize(recall=1.0, kind="rabitq")  # no interval of a thousand rows ends at 1
    assert records(library.path) == ()
    with pytest.raises(InputError, match="no kind"):
        library.optimize(recall=0.9, kind="tree")
    with pytest.raises(MetricError, match="l1"):
        library.optimize(recall=0.9, metric="l1")
    assert library.optimize(recall=0.9) == (), "so few rows are searched exactly"


def test_a_newer_index_takes_the_place_of_an_older_one(library: Library, rows: NDArray[np.float16]) -> None:
    library.optimize(recall=0.9, kind="rabitq")
    library.optimize(recall=0.9, kind="ivf_flat")
    library.optimize(recall=0.9, kind="ivf_flat", metric="cosine")
    assert {(r.metric, r.spec.kind) for r in records(library.path)} == {("js", "ivf_flat"), ("cosine", "ivf_flat")}
    assert len(list((library.path / INDEXES).iterdir())) == 4
    assert not library.search(near(rows), k=3, metric="cosine")[0].certified


def test_a_record_survives_json(library: Library) -> None:
    [record] = library.optimize(recall=0.9, kind="rabitq")
    assert IndexRecord.of_json(json.loads(json.dumps(record.as_json()))) == record


def test_threads_get_the_answers_of_single_calls(library: Library, rows: NDArray[np.float16]) -> None:
    asked = near(rows, 60)
    alone = [library.search(row, k=4) for row in asked]
    with ThreadPoolExecutor(12) as pool:
        together = list(pool.map(lambda row: library.search(row, k=4), asked))
    assert together == alone
    assert library.opened_in > 0
    assert library.prepare() >= 0


@pytest.mark.parametrize("way", ["close", "look"])
def test_an_index_that_another_thread_lets_go_of_is_not_opened_again(
    library: Library, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Between choosing and opening it: nobody would close it, and a file that is gone is no damage."""
    library.optimize(recall=0.9, kind="ivf_flat")
    resident, fits = library._resident, IndexRecord.fits

    def meanwhile(record: IndexRecord, snapshot: Snapshot) -> bool:
        if way == "look":
            discard(library.path, record)
        getattr(resident, way)()
        return fits(record, snapshot)

    monkeypatch.setattr(IndexRecord, "fits", meanwhile)
    assert resident.index(library.snapshot, "rows", "js", "cpu") is None
    assert not resident._open


def test_refreshing_while_others_search_is_safe(library: Library, rows: NDArray[np.float16]) -> None:
    with Library.open(library.path, device="cpu") as reader, ThreadPoolExecutor(6) as pool:
        running = [pool.submit(reader.search, row, k=3) for row in near(rows, 60)]
        for i in range(5):
            grow(library, rows[i : i + 1], start=N + i)
            reader.refresh()
        assert all(len(one.result()[0].matches) == 3 for one in running)
        assert len(reader) == N + 5


class TestCurve:
    """The measurement that an index is chosen by."""

    def test_the_chosen_point_is_the_fastest_that_is_sure(self, rows: NDArray[np.float16]) -> None:
        index = build(spec_for(N, D, "js", kind="ivf_flat"), [rows], device="cpu")
        (curve,) = tune(index, [rows], held_out(N, 0), recall=0.9)
        assert curve.chosen is not None
        assert curve.chosen.low >= 0.9
        [same] = [p for p in curve.points if (p.effort, p.depth) == (curve.chosen.effort, curve.chosen.depth)]
        assert all(point.recall < same.recall for point in curve.points if point.rate > same.rate)
        recalls = [point.recall for point in curve.points]
        assert recalls == sorted(recalls), "the fastest first, each slower one finds more"
        assert all(point.low <= point.recall <= point.high for point in curve.points)
        assert Curve.of_json(json.loads(json.dumps(curve.as_json()))) == curve

    def test_all_effort_finds_everything_but_the_row_itself(self, rows: NDArray[np.float16]) -> None:
        index = build(spec_for(N, D, "l2", kind="flat"), [rows[:700], rows[700:]], device="cpu")
        (curve,) = tune(index, [rows[:700], rows[700:]], np.arange(0, N, 15), recall=0.5, ks=(3,))
        assert curve.points[-1].recall == 1
        assert curve.points[-1].high == 1
        assert curve.points[-1].low < 1, "so few queries prove no certainty"

    def test_without_queries_or_with_an_impossible_recall_it_is_refused(self, rows: NDArray[np.float16]) -> None:
        index = build(spec_for(N, D, "js", kind="flat"), [rows], device="cpu")
        with pytest.raises(InputError, match=r"recall is 1\.5"):
            tune(index, [rows], np.arange(5), recall=1.5)
        with pytest.raises(InputError, match="2 are needed"):
            tune(index, [rows], np.arange(1), recall=0.9)


@pytest.mark.gpu
def test_rows_stay_on_a_gpu_between_searches(library: Library, rows: NDArray[np.float16]) -> None:
    expected = library.search(near(rows), k=5)
    with Library.open(library.path, device="cuda") as resident:
        assert resident.prepare() > 0
        held = resident._resident.blocks(resident.snapshot, "rows", "cuda")
        assert all(block.is_cuda for block in held)  # type: ignore[union-attr]
        np.testing.assert_array_equal(resident.search(near(rows), k=5).ids, expected.ids)
        assert all(
            a is b for a, b in zip(resident._resident.blocks(resident.snapshot, "rows", "cuda"), held, strict=True)
        )
        grow(library, rows[:3], start=N)
        resident.refresh()
        assert len(resident._resident.blocks(resident.snapshot, "rows", "cuda")) == 2
