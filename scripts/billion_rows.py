"""An index over up to a billion rows that are made from a seed: how long, how large, how well it finds planted copies.

One code from a million to a billion, on the CPU and on a GPU: trained once, then on a CPU built in pieces and merged on
the disk, on a GPU built in its memory.
"""

from __future__ import annotations

import resource
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from generated_rows import Generated, K, nearest, spectrum
from goals import Measured, judge
from simsearch.errors import IndexFailed
from simsearch.scale import Machine, PlanRequest, Rows, build_piece, merge, plan, train
from simsearch.search.indexes.gpu_limits import Gpus, refused
from simsearch.search.indexes.index import Index, build
from simsearch.search.indexes.spec import IndexSpec, spec_for

DEPTHS = (10, 100)
_CONTROL = 200_000  # rows, at most, by which the controls are measured
_SPECTRUM = 20_000
_RANK = 32
_PIECE = 1 << 22
_ASKED_AT_ONCE = 10_000
_LISTS_ON_GPU = 1 << 14
_ROOM = 0.9  # of a GPU's free memory: the lists are reserved at once, and hardly grow
_MOST_BYTES, _MOST_SECONDS = 112, 600  # of goal G23


def measure(
    count: int, dimension: int, code: int, device: torch.device, *, folder: Path | None = None
) -> dict[str, Any]:
    """Build one index and ask it.

    Args:
        count: Rows.
        dimension: Of a row.
        code: Bytes of a code.
        device: Where rows are made, and where the index is built.
        folder: For pieces, on a CPU; by default a temporary one.
    """
    made = Generated(count, dimension, device)
    spec = spec_for(count, dimension, "l2", kind="ivf_pq", bytes_a_row=code, gpu_room=0 if _is_gpu(device) else None)
    if _is_gpu(device):  # finding the lists of a billion rows among four times as many would take the ten minutes alone
        spec = replace(spec, lists=min(spec.lists, _LISTS_ON_GPU))
    began = time.perf_counter()
    true = nearest(made, K)
    looked_at = time.perf_counter() - began
    values: dict[str, Any] = {
        "rows": count,
        "dimension": dimension,
        "device": str(device),
        "spec": spec.as_json(),
        "bytes_a_row": spec.row_bytes,
        "spectrum": spectrum(made[: min(_SPECTRUM, count)]),
        "seconds_of_exact_search": round(looked_at, 2),
        "planted_among_the_ten_nearest": _shared(made.planted, true),
        "controls": controls(dimension, code, device, min(count, _CONTROL)),
    }
    with building(spec, made, device, folder) as (index, told):
        values |= told | {"recall": recalls(index, made, true), "queries_per_second": rates(index, made)}
    return values | {"planned": planned(count, spec, device)}


def goals_of(values: dict[str, Any]) -> tuple[Measured, ...]:
    """The goal of a billion rows on a GPU, where this was one."""
    if values["rows"] < 10**9 or values.get("on") != "cuda":
        return ()
    small, soon = values["bytes_a_row"] <= _MOST_BYTES, values["seconds_to_build"] <= _MOST_SECONDS
    best = max(one["recall_within"]["100"] for one in values["recall"])
    note = (
        f"{values['bytes_a_row']} bytes each, built in {values['seconds_to_build'] / 60:.1f} min, candidates measured"
    )
    return (judge("G23", best if small and soon else 0.0, note=note),)


def told(values: dict[str, Any]) -> str:
    """The verdict, in one line."""
    best, control = values["recall"][-1], values["controls"]
    within = best["recall_within"]
    return (
        f"{values['rows']:,} rows of {values['dimension']} values, {values['on']}: {values['bytes_a_row']} bytes each, "
        f"built in {values['seconds_to_build']:.0f} s, {values['cpu_seconds_to_build']:.0f} s of CPU time, "
        f"{values['peak_bytes'] / 2**20:.0f} MiB at most; {within['100']:.3f} of the ten nearest are among 100 "
        f"candidates of {best['lists']} lists, {within['10']:.3f} among ten; the control of rank {_RANK} finds "
        f"{control[f'rank_{_RANK}']:.3f}, product codes alone {control['product_codes']:.3f}"
    )


def controls(dimension: int, code: int, device: torch.device, count: int) -> dict[str, Any]:
    """Recall of the ten nearest that simpler ways reach on such rows, without measuring any candidate.

    By the 32 strongest directions alone, and by product codes without lists: where these were good, the rows were easy.
    """
    made = Generated(count, dimension, device)
    rows, asked, true = made[:count], made.asked, nearest(made, K)
    _, _, directions = np.linalg.svd(rows[:_SPECTRUM] - rows[:_SPECTRUM].mean(0), full_matrices=False)
    kept = directions[:_RANK].T
    gaps = torch.cdist(torch.from_numpy(asked @ kept), torch.from_numpy(rows @ kept))
    low_rank = gaps.topk(K, largest=False).indices.numpy()
    index = build(spec_for(count, dimension, "l2", kind="ivf_pq", bytes_a_row=code), [rows], device="cpu")
    codes = index.candidates(asked, K, index.efforts()[-1])
    index.close()
    strangers = np.setdiff1d(true, made.planted.ravel())
    return {
        "rows": count,
        f"rank_{_RANK}": _shared(low_rank, true),
        "product_codes": _shared(codes, true),
        "true_neighbours_that_were_not_planted": len(strangers),
    }


@contextmanager
def building(
    spec: IndexSpec, made: Generated, device: torch.device, folder: Path | None
) -> Iterator[tuple[Index, dict[str, Any]]]:
    """The index, and what building it took."""
    began, cpu = time.perf_counter(), cpu_seconds()
    with tempfile.TemporaryDirectory() as temporary, anonymous_memory() as peak:
        if _is_gpu(device):
            index = _on_gpu(spec, made)
            told: dict[str, Any] = {"on": index.on}
        else:
            index, told = _in_pieces(spec, made, folder or Path(temporary))
        told |= {
            "seconds_to_build": round(time.perf_counter() - began, 2),
            "cpu_seconds_to_build": round(cpu_seconds() - cpu, 2),
            "peak_bytes": peak[0],
        }
        if _is_gpu(device):
            free, total = torch.cuda.mem_get_info(device)
            told["gpu_bytes_in_use"] = total - free
        try:
            yield index, told
        finally:
            index.close()


def _on_gpu(spec: IndexSpec, made: Generated) -> Index:
    """In this process, where FAISS's CUDA goes beside torch's; else in one of its own."""
    number = made.device.index or 0
    gpus = Gpus((number,), int(_ROOM * torch.cuda.mem_get_info(number)[0]))
    if why := refused(spec, gpus, made.count):
        raise IndexFailed(f"no index for that GPU: {why}")
    try:
        return build(spec, [made], device=gpus, where="process")  # type: ignore[list-item]
    except IndexFailed:
        return build(spec, [made], device=gpus, where="child")  # type: ignore[list-item]


def _in_pieces(spec: IndexSpec, made: Generated, folder: Path) -> tuple[Index, dict[str, Any]]:
    began = time.perf_counter()
    training = train(folder, spec, [made], fingerprint="generated", device="cpu")  # type: ignore[list-item]
    trained = time.perf_counter()
    for start in range(0, made.count, _PIECE):
        end = min(made.count, start + _PIECE)
        build_piece(training, [made[start:end]], first=start, content=f"{start} to {end} of {made.count}")
    coded = time.perf_counter()
    index = merge(training, rows=made.count)
    parts = {"train": trained - began, "pieces": coded - trained, "merge": time.perf_counter() - coded}
    sizes = {path.name.partition("-")[0]: path.stat().st_size for path in folder.glob("merged-*.lists")}
    return index, {
        "on": "cpu",
        "seconds": {name: round(value, 2) for name, value in parts.items()},
        "pieces": -(-made.count // _PIECE),
        "bytes_of_lists": sum(sizes.values()),
    }


def recalls(index: Index, made: Generated, true: np.ndarray) -> list[dict[str, Any]]:
    """Recall of the ten nearest, by lists looked into: of the first ten, and within as many as would be measured."""
    found = []
    for effort in index.efforts():
        near = index.candidates(made.asked, max(DEPTHS), effort)
        shares = {str(depth): _shared(near[:, :depth], true) for depth in DEPTHS}
        planted = {str(depth): _shared(near[:, :depth], made.planted) for depth in DEPTHS}
        found.append({"lists": effort, "recall_within": shares, "planted_within": planted})
        if effort > 1 and shares == found[-2]["recall_within"] and effort >= index.spec.lists // 8:
            break
    return found


def rates(index: Index, made: Generated) -> list[dict[str, float]]:
    """Queries a second in a large batch, by lists looked into."""
    batch = np.resize(made.asked, (min(_ASKED_AT_ONCE, max(100, 10**9 // made.count)), made.dimension))
    told = []
    for effort in index.efforts()[:8]:
        began = time.perf_counter()
        index.candidates(batch, max(DEPTHS), effort)
        told.append({"lists": effort, "rate": round(len(batch) / (time.perf_counter() - began), 1)})
    return told


def planned(count: int, spec: IndexSpec, device: torch.device) -> dict[str, float]:
    """What the planner says of this index, on as many cores as the machine has."""
    rows = Rows("generated", spec.dimension, "l2", 4 * spec.dimension)
    gpu = {"gpus": 1, "gpu_memory": torch.cuda.mem_get_info(device)[1]} if _is_gpu(device) else {}
    machine = Machine(torch.get_num_threads(), **gpu)
    asked = PlanRequest(count, rows, machine, 0.9, "ivf_pq", spec.code_bytes, on_disk=not _is_gpu(device))
    return {one.name: one.value for one in plan(asked).figures}


@contextmanager
def anonymous_memory() -> Iterator[list[int]]:
    """The most memory of this process that is not a file's, above what it began with, in a list of one."""
    began, peak, ended = anonymous(), [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            peak[0] = max(peak[0], anonymous() - began)

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield peak
    finally:
        ended.set()
        watching.join()


def anonymous() -> int:
    """Bytes of this process that are no file's."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return 1024 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def cpu_seconds() -> float:
    """CPU time of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _shared(found: np.ndarray, wanted: np.ndarray) -> float:
    """The mean share of the wanted that were found, by queries."""
    shares = [len(set(a) & set(b)) / len(b) for a, b in zip(found.tolist(), wanted.tolist(), strict=True)]
    return round(float(np.mean(shares)), 4)


def _is_gpu(device: torch.device) -> bool:
    return device.type == "cuda"
