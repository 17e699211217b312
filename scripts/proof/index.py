"""Indexes for js on the device: training, building and searching by FAISS's GPU classes, beside the same on the CPU."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from goals import Measured, judge
from proof.js_faiss_child import positive_queries, positive_rows
from proof.stage import Finding, Run, Stage, is_measured
from simsearch.library.indexes.build import order_of
from simsearch.library.indexes.recall import tune
from simsearch.search.approximate_search import approximate
from simsearch.search.indexes.index import Index, build, features, held_out, read
from simsearch.search.indexes.spec import spec_for

K, RECALL = 10, 0.95
SECONDS = {"ivf_flat": 30, "ivf_pq": 40, "ivf_sq8": 30, "flat": 15, "rabitq": 40}
BYTES = {"ivf_pq": 64}


def work(run: Run) -> Finding:
    """Each kind by itself, FAISS in a process of its own."""
    rows = positive_rows(run.size(500_000, 2000), run.size(512, 16)).astype(np.float16)
    queries = positive_queries(run.size(1000, 20), rows.astype(np.float32)).astype(np.float16)
    kinds = {
        kind: run.part(kind, seconds, lambda k=kind: _kind(run, rows, queries, k)) for kind, seconds in SECONDS.items()
    }
    goals = _judged(run, kinds)
    told = [f"{kind}: {_told(found)}" for kind, found in kinds.items()]
    values = {"rows": list(rows.shape), "queries": len(queries), "recall": RECALL, "kinds": kinds}
    return Finding("; ".join(told), values, goals)


def _judged(run: Run, kinds: dict[str, Any]) -> tuple[Measured, ...]:
    found = kinds["ivf_flat"]
    if run.toy or not is_measured(found):
        return ()
    return (
        judge(
            "G20",
            found["over_bare_faiss"],
            part="GPU",
            note="ivf_flat, js, float32 order, candidates compared on the CPU",
        ),
    )


def _told(found: dict[str, Any]) -> str:
    if not is_measured(found):
        return str(found["not_measured"])
    chosen = found["chosen"]
    where = "on the GPU" if found["on_gpu"] else "on the CPU"
    if chosen is None:
        return f"built {where} in {found['seconds_to_build']:.1f} s, never sure of the recall"
    return (
        f"built {where} in {found['seconds_to_build']:.1f} s, {chosen['rate']:.0f} queries/s at {chosen['recall']:.3f}"
    )


def _kind(run: Run, rows: np.ndarray, queries: np.ndarray, kind: str) -> dict[str, Any]:
    """Build, measure, write, and read again one kind."""
    room = 4 if run.toy and kind in BYTES else BYTES.get(kind)
    spec = spec_for(len(rows), rows.shape[1], "js", kind=kind, bytes_a_row=room)
    device = "cpu" if run.device.type == "cpu" else "cuda"
    began = time.perf_counter()
    index = build(spec, [rows], device=device, where="child")
    built = time.perf_counter() - began
    try:
        own = held_out(len(rows), spec.seed)[: 2 * run.size(500, 20)]
        (tuned,) = tune(index, [rows], own, recall=RECALL, ks=(K,), order=order_of(spec), device="cpu")
        curve = tuned.as_json()
        path = run.output / f"{kind}.faiss"
        began = time.perf_counter()
        index.write(path)
        wrote, size = time.perf_counter() - began, path.stat().st_size
        again = read(path, spec, device="cpu", where="child")
        effort = index.efforts()[-1] if run.toy else 16 if spec.lists else 1
        same = _same(index.candidates(queries, K, effort), again.candidates(queries, K, effort))
        again.close()
        path.unlink()
        return {
            "on_gpu": index.on == "cuda",
            "bytes_a_row": spec.row_bytes,
            "seconds_to_build": round(built, 2),
            "seconds_to_write": round(wrote, 2),
            "bytes": size,
            "same_candidates_as_read_on_the_cpu": same,
            "over_bare_faiss": _over_bare(index, rows, queries, effort),
            **curve,
        }
    finally:
        index.close()


def _same(a: np.ndarray, b: np.ndarray) -> float:
    return round(float(np.mean([len(set(x) & set(y)) / len(x) for x, y in zip(a, b, strict=True)])), 4)


def _over_bare(index: Index, rows: np.ndarray, queries: np.ndarray, effort: int) -> float:
    """Queries a second in the default order, over those of the index alone; the best of three each."""
    mapped, depth, order = features(index.spec, queries), 2 * K, order_of(index.spec)

    def seconds(work: Any) -> float:
        took = []
        for _ in range(3):
            began = time.perf_counter()
            work()
            took.append(time.perf_counter() - began)
        return min(took)

    bare = seconds(lambda: index.engine.search(mapped, depth, effort))
    ours = seconds(lambda: approximate(queries, [rows], index, k=K, effort=effort, depth=depth, order=order))
    return round(bare / ours, 4)


STAGE = Stage(
    "faiss",
    "Which index finds 95 % of the true neighbours by js fastest, when FAISS trains, builds and searches on the GPU?",
    "500,000 rows of 512 dimensions; flat, lists, product codes on the GPU, RaBitQ on the CPU",
    minutes=2,
    value=80,
    work=work,
    faiss=True,
)
