"""Measure what is told of indexes, and what they cost beside FAISS alone (goal G20), on the CPU; write a JSON record.

First queries a CPU second in both orders, the measuring of what is found included, over the bare FAISS call on the same
index: for as many candidates, for k alone, and for FAISS's own refinement of as many candidates by float32 rows. The
goal is judged in the default order, over the fastest of these calls that finds as much. Then the recall
that a library tells at several k beside the true one, on queries of the law of its rows that it does not hold: as
built, with nine tenths of the items removed, and built again.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch

from goals import judge
from measure_js import K, Task, alternate, clustered, spread
from measure_library import made
from simsearch.library import Library
from simsearch.library.indexes.build import order_of
from simsearch.library.indexes.curve import CurvePoint
from simsearch.library.indexes.recall import tune
from simsearch.runtime.provenance import write_record
from simsearch.search.approximate_search import approximate
from simsearch.search.exact import knn
from simsearch.search.indexes.index import Index, build, features, held_out
from simsearch.search.indexes.spec import spec_for

KS = (1, 10, 100, 1000)
WANTED = 0.9  # recall of the libraries whose table is made
INDEXES = (("rabitq", "js"), ("ivf_flat", "js"), ("rabitq", "cosine"), ("ivf_flat", "cosine"))
AS_MUCH = 0.005  # by which recalls may differ that count as equal
BARE = ("as_many_candidates", "k_alone", "refined")
GOALS = (("rabitq", "js"), ("ivf_flat", "cosine"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows; below 1 to try the script")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("results/search/recall.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    faiss.omp_set_num_threads(arguments.threads)
    task = clustered(int(200_000 * arguments.scale), 512, 500)
    beside = {f"{kind}, {metric}": over_bare(task, kind, metric, arguments.rounds) for kind, metric in INDEXES}
    told = {kind: table(int(60_000 * arguments.scale), kind) for kind in ("rabitq", "ivf_flat")}
    goals = []
    for name in (f"{kind}, {metric}" for kind, metric in GOALS):
        over = beside[name][f"over_{beside[name]['as_good']}"]["median"]
        goals.append(judge("G20", over, part="CPU", note=f"{name}, {_short(beside[name])}"))
    wrong = [line for each in told.values() for line in each if line["told"] and not line["holds"]]
    verdict = f"{len(wrong)} of the recalls that were told are wrong; " + "; ".join(
        f"{g.note}: {g.value}" for g in goals
    )
    values = {
        "k": K,
        "threads": arguments.threads,
        "rows": len(task.rows),
        "dimension": task.rows.shape[1],
        "over_bare_faiss": beside,
        "told": told,
        "goals": [goal.to_dict() for goal in goals] if arguments.scale == 1 else [],
        "load_after": os.getloadavg()[0],
    }
    write_record(arguments.output, values, verdict=verdict)
    print(verdict)


def table(count: int, kind: str) -> list[dict[str, Any]]:
    """What a library tells at several k, and what is true."""
    rng = np.random.default_rng(0)
    centres = rng.gamma(0.7, size=(300, 64))
    rows, queries = _drawn(count, rng, centres), _drawn(200, rng, centres).astype(np.float32)
    lines = []
    with tempfile.TemporaryDirectory() as folder, made(Path(folder) / "rows.library", rows) as library:
        library.optimize(recall=WANTED, kind=kind)
        lines += [_line(library, queries, k, "as built") for k in KS]
        ids = [f"id:{i}" for i in rng.permutation(count)[: count * 9 // 10]]
        library.remove(ids)
        lines += [_line(library, queries, k, "nine tenths removed") for k in KS]
        library.optimize()
        lines += [_line(library, queries, k, "built again") for k in KS[:-1]]
    return lines


def _drawn(count: int, rng: np.random.Generator, centres: np.ndarray) -> np.ndarray:
    rows = centres[rng.integers(0, len(centres), count)] * rng.gamma(4, 0.25, (count, centres.shape[1]))
    rows[rng.random(rows.shape) < 0.1] = 0
    rows[:, 0] += 0.01
    return rows.astype(np.float16)


def _line(library: Library, queries: np.ndarray, k: int, when: str) -> dict[str, Any]:
    """The true recall at k, with its standard error over the queries, and the one that is told."""
    asked = queries if k < KS[-1] else queries[:60]
    found, exact = (library.search(asked, k=k, exact=exact, group_copies=False) for exact in (False, True))
    shares = (found.distances <= exact.distances[:, -1:]).mean(axis=1)
    error, recall = float(shares.std() / np.sqrt(len(shares))), found[0].recall
    line = {"when": when, "k": k, "true": round(float(shares.mean()), 4), "standard_error": round(error, 4)}
    line |= {"certified": found[0].certified, "told": None if recall is None else asdict(recall)}
    return line | ({} if recall is None else {"holds": bool(shares.mean() + 3 * error + 1e-9 >= recall.low)})


def over_bare(task: Task, kind: str, metric: str, rounds: int) -> dict[str, Any]:
    """Our queries a CPU second over those of FAISS's calls, and what each of them finds."""
    rows, queries = task
    index = build(spec_for(len(rows), rows.shape[1], metric, kind=kind), [rows], device="cpu")
    (curve,) = tune(index, [rows], held_out(len(rows), 0)[:1000], recall=0.95, order=order_of(index.spec))
    point = curve.chosen
    assert point is not None
    truth = knn(queries, [rows], k=K, metric=metric, device="cpu").positions
    mapped = features(index.spec, queries)
    whole = faiss.IndexFlatL2(rows.shape[1])
    refined = _refined(index, rows, point, whole)
    how: dict[str, Any] = {"k": K, "effort": point.effort, "depth": point.depth}
    ways: dict[str, Callable[[], Any]] = {
        "ours": lambda: approximate(queries, [rows], index, order=order_of(index.spec), **how).positions,
        "exact_order": lambda: approximate(queries, [rows], index, order="exact", **how).positions,
        "float32_order": lambda: approximate(queries, [rows], index, order="float32", **how).positions,
        "features": lambda: features(index.spec, queries),
        "as_many_candidates": lambda: index.engine.search(mapped, point.depth, point.effort),
        "k_alone": lambda: index.engine.search(mapped, K, point.effort),
        "refined": lambda: refined.search(mapped, K)[1],
    }
    found = {name: _recall(truth, way()[:, :K]) for name, way in ways.items() if name != "features"}
    alternate(ways, 1)  # until what is compiled is compiled
    took = alternate(ways, rounds)
    single = alternate({"ours": lambda: [_one(index, rows, query, point) for query in queries[:50]]}, rounds)
    index.close()
    ratios = {
        f"{prefix}over_{name}": spread([theirs / ours for ours, theirs in zip(took[way], took[name], strict=True)])
        for prefix, way in (("", "ours"), ("exact_order_", "exact_order"), ("float32_order_", "float32_order"))
        for name in BARE
    }
    as_good = [name for name in BARE if found[name] >= found["ours"] - AS_MUCH] or ["as_many_candidates"]
    return {
        **ratios,
        "as_good": min(as_good, key=lambda name: sum(took[name])),
        "recall": found,
        "queries_per_cpu_second": {name: spread([len(queries) / each for each in took[name]]) for name in ways},
        "cpu_ms_of_one_query": spread([1000 * each / 50 for each in single["ours"]]),
        "effort": point.effort,
        "depth": point.depth,
    }


def _one(index: Index, rows: np.ndarray, query: np.ndarray, point: CurvePoint) -> Any:
    return approximate(
        query[None], [rows], index, k=K, effort=point.effort, depth=point.depth, order=order_of(index.spec)
    )


def _refined(index: Index, rows: np.ndarray, point: CurvePoint, whole: Any) -> Any:
    """FAISS's own second look, at float32 features of as many candidates, around the same index."""
    base = index.engine._index
    faiss.extract_index_ivf(base).nprobe = point.effort
    for start in range(0, len(rows), 1 << 15):
        whole.add(features(index.spec, rows[start : start + (1 << 15)]))
    refined = faiss.IndexRefine(base, whole)
    refined.k_factor = point.depth / K
    return refined


def _recall(truth: np.ndarray, found: np.ndarray) -> float:
    return round(float(np.mean([len(set(a) & set(b)) / K for a, b in zip(truth, found, strict=True)])), 4)


def _short(beside: dict[str, Any]) -> str:
    found, name = beside["recall"], beside["as_good"]
    told = {"as_many_candidates": "as many candidates", "k_alone": "k alone", "refined": "FAISS's own refinement"}[name]
    single, exact = (beside[f"{order}_order_over_as_many_candidates"]["median"] for order in ("float32", "exact"))
    return (
        f"the default order over {told}, recall {found['ours']} and {found[name]}; over as many candidates unranked: "
        f"float32 order {single}, exact order {exact}"
    )


if __name__ == "__main__":
    main()
