"""Laws of a library whose indexes GPUs serve: they are asked, answer as the CPU does, and give way to it.

The GPUs are those of `tests.search.gpu_fake`, but for the last test.
"""

from __future__ import annotations

import json
import os
import signal
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from simsearch.errors import IndexFailed
from simsearch.library import Library
from simsearch.library.index_record import IndexRecord
from simsearch.library.indexes import records
from simsearch.library.layout import INDEXES
from simsearch.library.matches import Matches
from simsearch.library.neighbours import nearest
from simsearch.library.resident import FEW
from simsearch.search.faiss_child import FaissChild
from simsearch.search.gpus import Gpus
from simsearch.search.index_spec import GPU_KINDS, KINDS
from tests.library.rows import grow, library_of_rows
from tests.library.test_indexes import near
from tests.search.gpu_fake import AnyGpus, Machine
from tests.search.rows import clustered

N, D = 1500, 24


@pytest.fixture
def rows() -> NDArray[np.float16]:
    return clustered(N, D, seed=0)


class Stage:
    """A machine with GPUs, and a library on it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path, rows: NDArray[np.float16]) -> None:
        self.machine, self.rows, self._patch = Machine(2), rows, monkeypatch
        self.machine.install(monkeypatch.setattr)
        monkeypatch.setattr("simsearch.library.held.ASKED", 120)
        monkeypatch.setattr("simsearch.search.faiss_index._OPQ_ROUNDS", 1)
        monkeypatch.setattr("simsearch.search.faiss_index._PQ_ROUNDS", 1)
        monkeypatch.setattr("simsearch.extract.device.choose_device", lambda _device: torch.device("cpu"))
        self.have(Gpus((0, 1), 1 << 30))
        library_of_rows(path, rows).close()
        self.path = path

    def have(self, gpus: Gpus, *, apart: bool = False) -> None:
        """What "cuda" stands for, and whether FAISS is used in a process of its own."""
        self._patch.setattr("simsearch.search.gpus.gpus_of", lambda device: None if device == "cpu" else gpus)
        self._patch.setattr("simsearch.search.index._apart", lambda _where, known: apart and known is not None)

    def optimize(self, device: str = "cuda", **settings: object) -> IndexRecord:
        with Library.open(self.path, device=device) as library:
            [record] = library.optimize(recall=0.8, **settings)  # type: ignore[arg-type]
        return record

    def search(self, device: str, *, told: str | None = None, k: int = 5) -> Matches:
        """By a library that is opened anew, which gives one warning, or none; asked twice."""
        with Library.open(self.path, device=device) as library, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = library.search(near(self.rows), k=k)
            np.testing.assert_array_equal(library.search(near(self.rows), k=k).ids, found.ids)
        said = [str(warning.message) for warning in caught if warning.category is RuntimeWarning]
        assert len(said) == (told is not None), said
        assert told is None or told in said[0]
        return found


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rows: NDArray[np.float16]) -> Stage:
    return Stage(monkeypatch, tmp_path / "rows.library", rows)


@pytest.mark.parametrize("kind", GPU_KINDS)
def test_a_library_on_a_gpu_is_built_measured_and_searched_there(stage: Stage, kind: str) -> None:
    record = stage.optimize(kind=kind)
    assert record.device == "cuda"
    assert stage.machine.names()[-1] == "back", "written, and not asked after that"
    asked = stage.machine.names().count("search")
    assert asked > 0
    found = stage.search("cuda")
    assert stage.machine.names().count("search") > asked, "the index on the GPU answers queries"
    calls = len(stage.machine.calls)
    np.testing.assert_array_equal(found.ids, stage.search("cpu").ids)
    assert len(stage.machine.calls) == calls, "and the CPU asks no GPU"
    assert stage.machine.held() == [], "all is freed on close"


def test_a_gpu_is_not_loaded_for_a_few_queries_where_the_choice_is_ours(stage: Stage) -> None:
    stage.optimize(kind="ivf_flat")
    calls, queries = len(stage.machine.calls), near(stage.rows)
    with Library.open(stage.path, device="cpu") as library:
        expected = library.search(queries[:1], k=5).ids
    with Library.open(stage.path, device="auto") as library:
        for asked in range(FEW):
            assert len(stage.machine.calls) == calls, asked
            np.testing.assert_array_equal(library.search(queries[:1], k=5).ids, expected)
        assert len(stage.machine.calls) == calls
        [on_cpu] = library._resident._open.values()
        np.testing.assert_array_equal(library.search(queries[:1], k=5).ids, expected)
        assert stage.machine.names()[-1] == "search", "more pay for it"
        [ready] = library._resident._open.values()
        assert ready is not None
        assert on_cpu is not None
        assert ready.index.on == "cuda"
        with pytest.raises(IndexFailed, match="closed"):
            on_cpu.index.count  # noqa: B018
    for at_once in (True, False):
        calls = len(stage.machine.calls)
        with Library.open(stage.path, device="auto" if at_once else "cuda", prepare=at_once) as library:
            np.testing.assert_array_equal(library.search(queries[:1], k=5).ids, expected)
        assert len(stage.machine.calls) > calls, "what is asked for is done"
    assert stage.machine.held() == []


def test_the_device_alone_decides_the_kind(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simsearch.search.index_spec._FLAT_BELOW", 100)
    for row, kind in ((4 * D + 8, "ivf_flat"), (D + 8, "ivf_sq8"), (3 + 8, "ivf_pq")):
        stage.have(Gpus((0,), row * N))
        assert stage.optimize().spec.kind == kind
    assert stage.optimize("cpu").spec.kind == "rabitq"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in GPU_KINDS])
def test_a_kind_that_no_gpu_serves_is_told_once(stage: Stage, kind: str) -> None:
    assert stage.optimize(kind=kind).device == "cpu"
    assert not stage.search("cuda", told=f"searched on the CPU: FAISS has {', '.join(GPU_KINDS)} for GPUs, and no")[
        0
    ].certified
    assert stage.machine.calls == []


def test_what_was_measured_beyond_the_kernels_is_not_put_on_a_gpu(stage: Stage) -> None:
    record = stage.optimize("cpu", kind="ivf_flat")
    assert record.curve.chosen is not None
    told = stage.path / INDEXES / record.file.replace(".faiss", ".json")
    beyond = replace(record.curve, chosen=replace(record.curve.chosen, effort=4096))
    told.write_text(json.dumps(replace(record, curve=beyond).as_json()))
    stage.search("cuda", told="4,096 lists, and GPUs select 2,048")
    assert stage.machine.calls == []


@pytest.mark.parametrize("harm", ["no room", "no driver"])
def test_a_gpu_that_cannot_open_it_gives_way_to_the_cpu(stage: Stage, harm: str) -> None:
    stage.optimize(kind="ivf_flat")
    expected = stage.search("cpu")
    if harm == "no room":
        stage.machine.memory = 1000
    else:
        stage.machine.gpus = 0
    found = stage.search("cuda", told="alloc fail" if harm == "no room" else "FAISS sees 0 GPUs")
    np.testing.assert_array_equal(found.ids, expected.ids)
    assert not found[0].certified
    assert stage.machine.held() == []


def test_a_gpu_that_fails_in_a_search_gives_way_to_the_cpu(stage: Stage) -> None:
    stage.optimize(kind="ivf_flat")
    expected = stage.search("cpu")
    stage.machine.breaks = "CUDA error 700 an illegal memory access was encountered"
    np.testing.assert_array_equal(stage.search("cuda", told="error 700").ids, expected.ids)
    assert stage.machine.held() == [], "what is let go of is closed"


def test_a_gpu_that_fails_in_a_build_gives_way_to_the_cpu(stage: Stage) -> None:
    stage.machine.memory = 1000
    with pytest.warns(RuntimeWarning, match="alloc fail.*building on the CPU"):
        assert stage.optimize(kind="ivf_flat").device == "cpu"
    assert stage.machine.held() == []


def test_threads_are_answered_while_a_gpu_fails(stage: Stage) -> None:
    stage.optimize(kind="ivf_flat")
    asked = near(stage.rows, 60)
    with Library.open(stage.path, device="cpu") as plain:
        expected = plain.search(asked, k=4).ids
    with Library.open(stage.path, device="cuda") as library, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        library.prepare()
        plan = library._plan(4, None, None, exact=False, order=None, group_copies=False, min_quality=0)
        rows = asked.astype(np.float16)
        with ThreadPoolExecutor(6) as pool:
            # Not by `search`, which lets one thread work at a time.
            running = [pool.submit(nearest, rows[i : i + 1], plan) for i in range(30)]
            stage.machine.breaks = "CUDA error 2 out of memory"
            running += [pool.submit(nearest, rows[i : i + 1], plan) for i in range(30, 60)]
            found = [[match.id for match in one.result()[0].matches] for one in running]
    assert len([warning for warning in caught if warning.category is RuntimeWarning]) == 1
    assert found == [list(ids) for ids in expected]
    assert stage.machine.held() == []


def test_more_neighbours_than_a_gpu_names_are_found_exactly(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.optimize(kind="ivf_flat")
    assert not stage.search("cuda", k=51)[0].certified
    monkeypatch.setattr("simsearch.search.faiss_gpu.MOST", 50)
    found = stage.search("cuda", k=51)
    assert found[0].certified
    assert len(found[0].matches) == 51


def test_an_index_that_is_replaced_is_closed(stage: Stage) -> None:
    stage.optimize(kind="ivf_flat")
    with Library.open(stage.path, device="cuda") as library:
        library.prepare()
        [first] = library._resident._open.values()
        assert first is not None
        library.optimize(recall=0.8, kind="ivf_flat")
        with pytest.raises(IndexFailed, match="closed"):
            _ = first.index.count
        assert not library.search(near(stage.rows), k=3)[0].certified, "the new one is asked"


def test_what_a_gpu_measured_is_kept_by_a_cpu_and_told_as_the_gpus(stage: Stage) -> None:
    record = stage.optimize(kind="ivf_flat")
    [told] = Library.open(stage.path, device="cpu").info().indexes
    assert (told.device, told.curve) == ("cuda", replace(record.curve, shares=()))
    old = record.as_json()
    del old["device"], old["seal"]
    assert IndexRecord.of_json(old) == replace(record, device="cpu")
    found = stage.search("cpu")
    assert found[0].recall is not None
    assert (found[0].recall.value, found[0].recall.low, found[0].recall.high) == record.curve.share(found.k)


def test_a_child_that_dies_in_a_search_gives_way_to_the_cpu(stage: Stage) -> None:
    stage.have(AnyGpus((0, 1), 1 << 30), apart=True)
    assert stage.optimize(kind="ivf_flat").device == "cuda"
    expected = stage.search("cpu")
    np.testing.assert_array_equal(stage.search("cuda").ids, expected.ids)
    with Library.open(stage.path, device="cuda") as library:
        library.prepare()
        [ready] = library._resident._open.values()
        assert ready is not None
        assert isinstance(ready.index.engine, FaissChild)
        os.kill(ready.index.engine._child.pid, signal.SIGABRT)  # as when CUDA fails
        with pytest.warns(RuntimeWarning, match=r"is gone \(SIGABRT.*; searching on the CPU"):
            found = library.search(near(stage.rows), k=5)
        np.testing.assert_array_equal(found.ids, expected.ids)
        grow(library, stage.rows[:1], start=N)
        library.search(near(stage.rows), k=5)  # told once: a second warning would be an error here


@pytest.mark.gpu
@pytest.mark.parametrize("kind", GPU_KINDS)
def test_a_library_is_served_by_a_real_gpu(
    tmp_path: Path, rows: NDArray[np.float16], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("simsearch.library.held.ASKED", 120)
    library_of_rows(tmp_path / "rows.library", rows).close()
    with Library.open(tmp_path / "rows.library", device="cuda") as library:
        library.optimize(recall=0.8, kind=kind)
        assert records(library.path)[0].device == "cuda"
        found = library.search(near(rows), k=5)
        [ready] = library._resident._open.values()
        assert ready is not None
        assert ready.index.on == "cuda"
        exact = library.search(near(rows), k=5, exact=True)
    with Library.open(tmp_path / "rows.library", device="cpu") as plain:
        expected = plain.search(near(rows), k=5)
    for other, share in ((expected, 0.95), (exact, 0.8)):
        assert np.mean([len(set(a) & set(b)) / 5 for a, b in zip(found.ids, other.ids, strict=True)]) >= share
