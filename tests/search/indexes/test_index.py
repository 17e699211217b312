"""Laws of indexes: what is written is read, here or in a child; more effort finds more."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from simsearch.distance import by_name
from simsearch.errors import IndexFailed, InputError, MetricError, RowError
from simsearch.search.indexes.faiss_float import FaissIndex
from simsearch.search.indexes.faiss_process import FaissChild
from simsearch.search.indexes.index import Index, Where, build, features, read
from simsearch.search.indexes.spec import KINDS, IndexSpec, checked, spec_for
from tests.search.rows import clustered

N, D = 2000, 16


@pytest.fixture(scope="module")
def rows() -> NDArray[np.float16]:
    return clustered(N, D, seed=3)


def _spec(kind: str, metric: str = "js") -> IndexSpec:
    return spec_for(N, D, metric, kind=kind, bytes_a_row=4 if kind == "ivf_pq" else None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("metric", ["js", "cosine", "l2"])
def test_features_order_rows_as_the_metric_does(rows: NDArray[np.float16], kind: str, metric: str) -> None:
    """Squared Euclidean distances of features are the metric's up to a monotonous function, or bound it (js)."""
    mapped = features(_spec(kind, metric), rows[:60]).astype(np.float64)
    squares = ((mapped[:, None] - mapped[None]) ** 2).sum(axis=2)
    exact = by_name(metric)(rows[:60], rows[:60])
    if metric == "js":
        nats = exact**2 * np.log(2)
        assert (squares * np.log(2) / 2 <= nats + 1e-6).all()
        assert (nats <= 1.4427 * squares * np.log(2) / 2 + 1e-6).all()
    else:
        np.testing.assert_allclose(squares, 4 * exact if metric == "cosine" else exact**2, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mapped", [False, True])
def test_what_is_written_is_read(rows: NDArray[np.float16], tmp_path: Path, kind: str, mapped: bool) -> None:
    spec = _spec(kind)
    index = build(spec, [rows[:500], rows[500:]], device="cpu")
    index.write(tmp_path / "file")
    again = read(tmp_path / "file", IndexSpec.of_json(json.loads(json.dumps(spec.as_json()))), mapped=mapped)
    assert (again.spec, again.count) == (spec, N)
    for effort in index.efforts():
        np.testing.assert_array_equal(again.candidates(rows[:9], 20, effort), index.candidates(rows[:9], 20, effort))


@pytest.mark.parametrize("kind", ["flat", "rabitq"])
def test_a_child_answers_as_this_process_does(rows: NDArray[np.float16], tmp_path: Path, kind: str) -> None:
    here, there = (build(_spec(kind), [rows], device="cpu", where=where) for where in ("process", "child"))
    try:
        assert (there.count, there.efforts()) == (here.count, here.efforts())
        effort = here.efforts()[-1]
        np.testing.assert_array_equal(there.candidates(rows[:9], 20, effort), here.candidates(rows[:9], 20, effort))
        there.write(tmp_path / "file")
        again = read(tmp_path / "file", here.spec, where="child")
        np.testing.assert_array_equal(again.candidates(rows[:9], 20, effort), here.candidates(rows[:9], 20, effort))
        again.close()
    finally:
        there.close()


def test_a_child_that_died_is_a_named_error(rows: NDArray[np.float16]) -> None:
    index = build(_spec("flat"), [rows], device="cpu", where="child")
    assert isinstance(index.engine, FaissChild)
    os.kill(index.engine._child.pid, signal.SIGKILL)
    with pytest.raises(IndexFailed, match=r"is gone \(SIGKILL"):
        index.candidates(rows[:1], 1, 1)
    index.close()


@pytest.mark.parametrize("kind", ["ivf_flat", "ivf_sq8", "ivf_pq", "rabitq", "hnsw"])
def test_more_effort_finds_more(rows: NDArray[np.float16], kind: str) -> None:
    index = build(_spec(kind), [rows], device="cpu")
    exact = np.argsort(by_name("js")(rows[:100], rows), axis=1, kind="stable")[:, :10]

    def found(effort: int) -> float:
        got = index.candidates(rows[:100], 200, effort)
        return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact, got, strict=True)]))

    least, *_, most = (found(effort) for effort in index.efforts())
    assert least <= most
    assert most > 0.9


def test_the_same_seed_builds_the_same_index(rows: NDArray[np.float16]) -> None:
    one, two = (build(_spec("rabitq"), [rows], device="cpu") for _ in range(2))
    np.testing.assert_array_equal(one.candidates(rows[:50], 30, 4), two.candidates(rows[:50], 30, 4))


@pytest.mark.parametrize(
    ("harm", "said"), [("gone", "missing"), ("cut", "cannot be read"), ("noise", "cannot be read"), ("other", "16")]
)
@pytest.mark.parametrize("where", ["process", "child"])
def test_a_damaged_file_is_a_named_error(
    rows: NDArray[np.float16], tmp_path: Path, harm: str, said: str, where: Where
) -> None:
    path = tmp_path / "file"
    index = build(_spec("rabitq"), [rows], device="cpu")
    index.write(path)
    spec = index.spec
    if harm == "gone":
        path.unlink()
    elif harm == "cut":
        path.write_bytes(path.read_bytes()[:2000])
    elif harm == "noise":
        path.write_bytes(b"nothing that FAISS wrote" * 50)
    else:
        spec = spec_for(N, D + 8, "js", kind="rabitq")
    with pytest.raises(IndexFailed, match=said):
        read(path, spec, where=where)


def test_sizes_suit_the_rows() -> None:
    assert spec_for(1000, 512, "js").kind == "flat"
    large = spec_for(10**6, 512, "js")
    assert (large.kind, large.lists, large.code_bytes, large.bits) == ("rabitq", 2048, 72, 1)
    sizes = {24: (128, 1), 40: (256, 1), 72: (512, 1), 128: (432, 2), 148: (512, 2), 212: (512, 3), 4096: (512, 8)}
    for room, size in sizes.items():
        spec = spec_for(10**6, 512, "js", bytes_a_row=room)
        assert (spec.reduced, spec.bits) == size
        assert spec.code_bytes <= room
    for room in (16, 32, 64, 128):
        assert spec_for(10**6, 512, "js", kind="ivf_pq", bytes_a_row=room).code_bytes == room
    assert spec_for(10**6, 512, "js", kind="ivf_sq8").row_bytes == 520


@pytest.mark.parametrize("room", [16, 40, 72, 76, 84, 136, 400])
def test_a_code_takes_the_bytes_that_its_spec_says(rows: NDArray[np.float16], room: int) -> None:
    wide = clustered(600, 256, seed=1)
    spec = spec_for(600, 256, "js", kind="rabitq", bytes_a_row=room)
    index = build(spec, [wide], device="cpu")
    import faiss

    assert isinstance(index.engine, FaissIndex)
    assert faiss.extract_index_ivf(index.engine._index).code_size == spec.code_bytes


def test_what_cannot_be_built_is_refused(rows: NDArray[np.float16]) -> None:
    with pytest.raises(InputError, match="no kind"):
        spec_for(10, 4, "js", kind="tree")
    with pytest.raises(MetricError, match="l1"):
        spec_for(10, 4, "l1")
    with pytest.raises(InputError, match="whole rows"):
        spec_for(10, 4, "js", kind="hnsw", bytes_a_row=8)
    with pytest.raises(InputError, match="more than 8"):
        spec_for(10, 4, "js", kind="rabitq", bytes_a_row=8)
    with pytest.raises(InputError, match="no rows"):
        build(_spec("flat"), [], device="cpu")
    with pytest.raises(RowError):
        build(_spec("flat"), [rows[:, :4]], device="cpu")
    with pytest.raises(InputError, match="no description"):
        IndexSpec.of_json({"kind": "flat", "colour": "red"})
    with pytest.raises(InputError, match="no description"):
        checked(IndexSpec("flat", "js", 0))


def test_an_index_is_what_its_spec_says(rows: NDArray[np.float16]) -> None:
    index: Index = build(_spec("ivf_flat"), [rows], device="cpu")
    assert index.efforts() == (1, 2, 4, 8, 16, 32, 64)
    assert index.spec.lists == 64
    index.close()
