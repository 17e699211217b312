"""Laws of FAISS's GPU indexes, on GPUs that are not there: they answer as the CPU does, within their limits."""

from __future__ import annotations

import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from simsearch.errors import IndexFailed
from simsearch.search.approximate_search import approximate
from simsearch.search.exact import knn
from simsearch.search.indexes.faiss_float import lent
from simsearch.search.indexes.faiss_gpu import FaissGpu
from simsearch.search.indexes.faiss_process import FaissChild
from simsearch.search.indexes.gpu_limits import Gpus, gpus_of, refused
from simsearch.search.indexes.index import Index, build, read
from simsearch.search.indexes.spec import GPU_KINDS, KINDS, IndexSpec, spec_for
from tests.search.gpu_fake import CODE_BYTES, REAL, AnyGpus, Machine, StandardGpuResources
from tests.search.rows import clustered

N, D = 600, 16
ROOMY = 1 << 30


@pytest.fixture(scope="module")
def rows() -> NDArray[np.float16]:
    return clustered(N, D, seed=3)


@pytest.fixture(autouse=True)
def _rotations_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simsearch.search.indexes.faiss_float._OPQ_ROUNDS", 1)
    monkeypatch.setattr("simsearch.search.indexes.faiss_float._PQ_ROUNDS", 1)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(3)
    made.install(monkeypatch.setattr)
    return made


def of_kind(kind: str, metric: str = "js") -> IndexSpec:
    return spec_for(N, D, metric, kind=kind, bytes_a_row=4 if kind == "ivf_pq" else None, gpu_room=ROOMY)


def here(spec: IndexSpec, rows: NDArray[Any], gpus: Gpus) -> Index:
    return build(spec, [rows[:250], rows[250:]], device=gpus, where="process")


def same(a: Index, b: Index, rows: NDArray[Any], kept: int = 20) -> None:
    assert (a.spec, a.count, a.efforts()) == (b.spec, b.count, b.efforts())
    for effort in a.efforts():
        ours, theirs = (np.sort(one.candidates(rows[:9], kept, effort), axis=1) for one in (a, b))
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "spec",
    [
        of_kind(kind, metric)
        for kind in GPU_KINDS
        for metric in ("js", "cosine", "l2")
        if kind != "ivf_pq" or metric == "js"
    ],
    ids=lambda spec: f"{spec.kind}-{spec.metric}",
)
@pytest.mark.parametrize("layout", ["one", "replicas", "shards"])
def test_what_gpus_build_and_hold_answers_as_on_the_cpu(
    rows: NDArray[np.float16], machine: Machine, tmp_path: Path, spec: IndexSpec, layout: str
) -> None:
    room = N * spec.row_bytes // 2 if layout == "shards" else ROOMY
    gpus = Gpus((0,) if layout == "one" else (0, 1, 2), room)
    built = here(spec, rows, gpus)
    assert built.on == "cuda"
    built.write(tmp_path / "file")
    plain, moved = (read(tmp_path / "file", spec, device=where, where="process") for where in ("cpu", gpus))
    same(built, plain, rows)
    same(moved, plain, rows)
    assert {"move", "search"} <= set(machine.names())
    assert (layout in machine.names()) == (layout != "one")
    if spec.lists:
        assert f"reserve {N // 3 if layout == 'shards' else N}" in machine.calls
    asked = {call.split()[-1] for call in machine.calls if call.startswith("search")}
    assert asked == {str(number) for number in gpus.numbers}
    for index in (built, moved):
        index.close()
    assert machine.held() == []


@pytest.mark.parametrize(
    ("device", "numbers", "room"), [("auto", (0, 1, 2), 50), ("cuda", (0, 1, 2), 50), ("cuda:1", (1,), 100)]
)
def test_a_device_of_torch_stands_for_gpus_of_faiss(
    monkeypatch: pytest.MonkeyPatch, device: str, numbers: tuple[int, ...], room: int
) -> None:
    free = [100, 200, 300]
    monkeypatch.setattr("simsearch.runtime.device.choose_device", lambda _device: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda number: (free[number], 999))
    assert gpus_of(device) == Gpus(numbers, room), "half of the least that is free"
    assert gpus_of("cpu") is None


def test_without_a_gpu_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpus_of("auto") is None


def test_one_gpu_is_one_gpu(rows: NDArray[np.float16], machine: Machine) -> None:
    index = here(of_kind("ivf_flat"), rows, Gpus((2,), ROOMY))
    index.candidates(rows[:3], 5, 4)
    assert {call.split()[-1] for call in machine.calls if call[:4] in ("move", "clus", "add ", "sear")} == {"2"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_cpu_asks_nothing_of_gpus(rows: NDArray[np.float16], machine: Machine, tmp_path: Path, kind: str) -> None:
    index = build(of_kind(kind), [rows], device="cpu")
    index.candidates(rows[:3], 5, 1)
    index.write(tmp_path / "file")
    assert (read(tmp_path / "file", index.spec).on, index.on) == ("cpu", "cpu")
    assert machine.calls == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in GPU_KINDS])
def test_kinds_that_gpus_lack_stay_on_the_cpu(rows: NDArray[np.float16], machine: Machine, kind: str) -> None:
    index = here(of_kind(kind), rows, Gpus((0,), ROOMY))
    index.candidates(rows[:3], 5, 1)
    assert (index.on, machine.calls) == ("cpu", [])
    assert f"no {kind}" in (refused(index.spec, Gpus((0,), ROOMY), N) or "")


@pytest.mark.parametrize("dimension", [20, 100, 192, 256, 512, 2048])
def test_every_product_code_is_refused_where_faiss_throws_and_only_there(machine: Machine, dimension: int) -> None:
    for size in range(1, min(dimension, 140) + 1):
        spec = IndexSpec("ivf_pq", "l2", dimension, 4, size, size * (dimension // size))
        index = faiss.IndexIVFPQ(faiss.IndexFlatL2(spec.reduced), spec.reduced, 4, size, 8)
        resources = StandardGpuResources(machine)
        if refused(spec, Gpus((0,), ROOMY), N) is None:
            FaissGpu(spec, index, Gpus((0,), ROOMY), (resources,), 0)
        else:
            assert size not in CODE_BYTES
            with pytest.raises(IndexFailed, match="is not supported"):
                FaissGpu(spec, index, Gpus((0,), ROOMY), (resources,), 0)


@pytest.mark.parametrize("dimension", [3, 20, 64, 100, 192, 256, 512, 2048, 4096])
@pytest.mark.parametrize("room", [None, 1, 5, 17, 63, 64, 100, 300])
def test_every_product_code_that_is_chosen_for_gpus_is_one_that_they_read(dimension: int, room: int | None) -> None:
    spec = spec_for(10**6, dimension, "js", kind="ivf_pq", bytes_a_row=room, gpu_room=1 << 40)
    assert refused(spec, Gpus((0,), 1 << 40), 10**6) is None
    assert spec.code_bytes <= (room or max(1, dimension // 8))
    assert spec.reduced % spec.code_bytes == 0


def test_scalar_codes_are_refused_where_faiss_throws(machine: Machine) -> None:
    for dimension, good in ((6143, True), (6144, False)):
        spec = IndexSpec("ivf_sq8", "l2", dimension, 2)
        index = faiss.IndexIVFScalarQuantizer(faiss.IndexFlatL2(dimension), dimension, 2, 0)
        assert (refused(spec, Gpus((0,), ROOMY), 1) is None) == good
        if not good:
            with pytest.raises(IndexFailed, match="maximum dimensions possible is 6144"):
                FaissGpu(spec, index, Gpus((0,), ROOMY), (StandardGpuResources(machine),), 0)


def test_no_more_is_asked_than_kernels_select(machine: Machine) -> None:
    many = clustered(6000, 4, seed=1)
    spec = IndexSpec("ivf_flat", "l2", 4, lists=4096)
    index = here(spec, many, Gpus((0,), ROOMY))
    assert (index.efforts()[-1], index.max_candidates) == (2048, 2048)
    found = index.candidates(many[:3], 3000, 4096)
    assert found.shape == (3, 3000)
    assert (found[:, 2048:] == -1).all()
    assert "probe 2048" in machine.calls
    room = Gpus((0,), ROOMY)
    assert "2,048 of either" in (refused(spec, room, 6000, effort=4096) or "")
    assert "2,048 of either" in (refused(spec, room, 6000, depth=4000) or "")
    assert "half of what is free" in (refused(spec, Gpus((0, 1), 5000), 6000) or "")


def test_a_query_whose_candidates_were_removed_is_searched_exactly(
    rows: NDArray[np.float16], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simsearch.search.indexes.faiss_gpu.MOST", 64)
    index = here(of_kind("ivf_flat", "l2"), rows, Gpus((0,), ROOMY))
    plain, most = build(index.spec, [rows], device="cpu"), index.efforts()[-1]
    nearest = plain.candidates(rows[5:6], 100, most)[0]
    live = np.ones(N, bool)
    live[nearest[2:]] = False  # two candidates are left, and five asked for
    live[5] = True
    queries = rows[[5, 6, 300]]
    blocks, masks = [rows[:250], rows[250:]], [live[:250], live[250:]]
    found = approximate(queries, blocks, index, k=5, effort=most, depth=10, live=masks)
    true = knn(queries, blocks, k=5, metric="l2", live=masks, device="cpu")
    np.testing.assert_array_equal(found.positions, true.positions)
    np.testing.assert_array_equal(found.distances, true.distances)
    searches = [call for call in machine.calls if call.startswith("search")]
    assert len(searches) == 4, "for 15, 30, 60 and 64 candidates, and no more"


def test_the_first_kind_that_has_room_is_chosen() -> None:
    def kind(room: int | None, count: int = 10**6, **more: Any) -> str:
        return spec_for(count, 512, "js", gpu_room=room, **more).kind

    rows = 10**6
    assert [kind(room * rows) for room in (2056, 2055, 520, 519, 72, 71)] == [
        *("ivf_flat", "ivf_sq8", "ivf_sq8", "ivf_pq", "ivf_pq", "rabitq")
    ]
    assert kind(None) == "rabitq"
    assert kind(1 << 40, count=49_999) == "flat"
    assert kind(1 << 40, bytes_a_row=40) == "ivf_pq"
    assert spec_for(rows, 8192, "js", gpu_room=rows * 8200).kind == "ivf_pq", "kernels take no scalar code so long"


@pytest.mark.parametrize("engine", ["cpu", "cuda", "codes", "child"])
def test_an_index_that_another_thread_closed_is_a_named_error(
    rows: NDArray[np.float16], machine: Machine, engine: str
) -> None:
    if engine == "codes":
        rows, spec = np.ones((9, 8), np.uint8), spec_for(9, 8, "hamming", kind="flat")  # type: ignore[assignment]
    else:
        spec = of_kind("flat")
    gpus = Gpus((0,), ROOMY) if engine == "cuda" else None
    index = build(spec, [rows], device=gpus, where="child" if engine == "child" else "process")
    index.close()
    with pytest.raises(IndexFailed):
        index.candidates(rows[:1], 1, 1)
    if engine != "child":  # which keeps count on this side
        with pytest.raises(IndexFailed):
            _ = index.count
        with pytest.raises(IndexFailed):
            _ = index.max_candidates


def test_the_page_says_how_many_rows_have_room() -> None:
    text = (Path(__file__).parents[3] / "docs" / "search.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `(ivf_\w+)` \| [^|]+ \| (\d+) million \|", text, re.MULTILINE)
    assert [kind for kind, _ in told] == ["ivf_flat", "ivf_sq8", "ivf_pq"]
    for kind, millions in told:
        chosen = [
            spec_for(int(n) * 10**6, 512, "js", gpu_room=int(141e9 / 2)).kind for n in (millions, int(millions) + 1)
        ]
        assert chosen[0] == kind != chosen[1]


@pytest.mark.parametrize("kind", GPU_KINDS)
def test_efforts_of_threads_do_not_mix(rows: NDArray[np.float16], machine: Machine, kind: str) -> None:
    index = here(of_kind(kind), rows, Gpus((0,), ROOMY))
    efforts = index.efforts() * 4
    alone = [index.candidates(rows[:2], 10, effort) for effort in efforts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda effort: index.candidates(rows[:2], 10, effort), efforts))
    np.testing.assert_array_equal(together, alone)


def test_a_gpu_without_room_is_a_named_error_and_frees_what_it_took(
    rows: NDArray[np.float16], machine: Machine, tmp_path: Path
) -> None:
    spec = of_kind("ivf_flat")
    build(spec, [rows], device="cpu").write(tmp_path / "file")
    machine.memory = 1000
    with pytest.raises(IndexFailed, match="alloc fail"):
        here(spec, rows, Gpus((0,), ROOMY))
    with pytest.raises(IndexFailed, match="alloc fail"):
        read(tmp_path / "file", spec, device=Gpus((0,), ROOMY), where="process")
    assert machine.held() == []


def test_gpus_that_faiss_does_not_see_are_a_named_error(rows: NDArray[np.float16], machine: Machine) -> None:
    with pytest.raises(IndexFailed, match="FAISS sees 3 GPUs and not number 5"):
        here(of_kind("flat"), rows, Gpus((5,), ROOMY))


def test_the_wheel_has_every_name_that_is_used() -> None:
    assert set(REAL) <= set(dir(faiss))
    options = faiss.GpuMultipleClonerOptions()
    for name in ("shard", "common_ivf_quantizer", "reserveVecs", "useFloat16"):
        setattr(options, name, getattr(options, name))
    assert not options.useFloat16CoarseQuantizer
    assert not options.usePrecomputed
    assert hasattr(faiss.GpuIndexFlatConfig(), "device")
    REAL["StandardGpuResources"]().setTempMemory(1 << 20)
    if not faiss.get_num_gpus():
        with pytest.raises(RuntimeError, match="Invalid GPU device 0"):
            faiss.GpuIndexFlatL2(faiss.StandardGpuResources(), 4, faiss.GpuIndexFlatConfig())


def test_an_index_that_trains_lists_is_freed() -> None:
    """SWIG gives away what is assigned: 30 indexes of 10 MB stayed in memory."""
    ivf = faiss.index_factory(64, "IVF1,Flat")

    def once() -> None:
        clustering = faiss.IndexFlatL2(64)
        clustering.add(np.ones((40_000, 64), np.float32))
        with lent(ivf, clustering):
            pass

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    once()
    before = resident()
    for _ in range(30):
        once()
    assert resident() - before < 50e6


@pytest.mark.parametrize("kind", ["flat", "ivf_sq8"])
def test_gpus_in_a_child_answer_as_the_cpu_does(rows: NDArray[np.float16], tmp_path: Path, kind: str) -> None:
    spec, gpus = of_kind(kind), AnyGpus((0, 1), ROOMY)
    built = build(spec, [rows], device=gpus)
    assert isinstance(built.engine, FaissChild), "by default where there are GPUs"
    built.write(tmp_path / "file")
    moved = read(tmp_path / "file", spec, device=gpus)
    assert (moved.on, moved.max_candidates) == ("cuda", N)
    same(moved, read(tmp_path / "file", spec), rows)
    same(built, moved, rows)
    os.kill(moved.engine._child.pid, signal.SIGABRT)  # type: ignore[attr-defined]  # as CUDA_VERIFY does
    with pytest.raises(IndexFailed, match=r"is gone \(SIGABRT"):
        moved.candidates(rows[:1], 1, 1)
    moved.close()
    built.close()
    with pytest.raises(IndexFailed, match="was closed"):
        built.candidates(rows[:1], 1, 1)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", GPU_KINDS)
def test_a_gpu_answers_as_the_cpu_does(rows: NDArray[np.float16], tmp_path: Path, kind: str) -> None:
    index = build(of_kind(kind), [rows], device="cuda")
    assert index.on == "cuda"
    effort = index.efforts()[-1]
    index.write(tmp_path / "file")
    again = read(tmp_path / "file", index.spec, device="cuda")
    plain = read(tmp_path / "file", index.spec)
    ours, theirs, true = (one.candidates(rows[:50], 10, effort) for one in (index, again, plain))
    index.close()
    again.close()
    for found in (ours, theirs):
        assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, true, strict=True)]) > 0.98
