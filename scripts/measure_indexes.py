"""Measure js search through indexes on the CPU (goals G7, G20 and G21), and write a JSON record with every curve.

A million clustered rows with exact zeros, and rows of a model. Each kind of index is measured against exact search on
held-out rows; beside it stands FAISS's own index for Jensen-Shannon (on rows made positive, since it answers wrongly
where a row holds a zero), and usearch's graph on the same roots of distributions where it is installed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch

from measure_js import K, alternate, clustered, distributions, photographs, spread
from simsearch.benchmark.goals import Measured, judge
from simsearch.benchmark.palette import style
from simsearch.benchmark.plots import drawing
from simsearch.benchmark.record import write_record
from simsearch.library.tune import Curve, Point, tune
from simsearch.search.approximate import approximate
from simsearch.search.exact import knn
from simsearch.search.index import Index, build, features
from simsearch.search.index_spec import spec_for

RECALL = 0.95
LARGE, DIMENSION = 1_000_000, 512
BUDGETS = (32, 64, 128)  # bytes a row


def main() -> None:
    arguments = _parser().parse_args()
    torch.set_num_threads(arguments.threads)
    faiss.omp_set_num_threads(arguments.threads)
    values, goals = measure(arguments)
    values["goals"] = [goal.to_dict() for goal in goals] if arguments.scale == 1 else []
    values["load_after"] = os.getloadavg()[0]
    verdict = "; ".join(f"{g.goal} {g.value:g} ({'met' if g.met else 'missed'}: {g.note})" for g in goals)
    write_record(arguments.output, values, verdict=verdict or "a rehearsal")
    plot(values, arguments.plot)
    print(verdict)


def plot(values: dict[str, Any], path: Path) -> None:
    """Draw recall against queries a second, for every way that was measured."""
    lines = {f"simsearch {kind}": curve["points"] for kind, curve in values["clustered"]["curves"].items()}
    lines |= {"FAISS lists by JensenShannon": values["faiss_js"]["points"]} if "faiss_js" in values else {}
    lines |= {"usearch graph, not re-ranked": values["usearch"]["points"]} if values.get("usearch") else {}
    with drawing("indexes"):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4))
        axes = figure.subplots()
        for i, (name, points) in enumerate(lines.items()):
            look = style(i, "network" if name.startswith("simsearch") else "hash")
            ordered = sorted(points, key=lambda point: point["recall"])
            at = [point["recall"] for point in ordered], [point["rate"] for point in ordered]
            axes.plot(*at, color=look.colour, linestyle=look.dash, marker=look.marker, markersize=4, label=name)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set_xlabel(f"recall of the {K} nearest by js")
        axes.set_ylabel("queries a second")
        axes.set_title(f"{values['clustered']['rows']:,} rows of {DIMENSION} values, {values['threads']} CPU cores")
        axes.legend()
        figure.savefig(path, dpi=150, bbox_inches="tight")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with the photographs")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows; below 1 to try the script")
    parser.add_argument("--asked", type=int, default=500, help="rows that every index is measured by")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--without", default="", help="parts to leave out: graph, peers, codes, photographs")
    parser.add_argument("--output", type=Path, default=Path("results/search/indexes.json"))
    parser.add_argument("--plot", type=Path, default=Path("docs/indexes.png"))
    return parser


def measure(arguments: argparse.Namespace) -> tuple[dict[str, Any], list[Measured]]:
    """All figures, and those with a goal."""
    without = arguments.without.split(",")
    rows = clustered(int(LARGE * arguments.scale), DIMENSION, 1).rows
    own = np.sort(np.random.default_rng(3).choice(len(rows), arguments.asked, replace=False))
    kinds = {"rabitq": None, "ivf_flat": None, "ivf_pq": 64} | ({} if "graph" in without else {"hnsw": None})
    values: dict[str, Any] = {"k": K, "threads": arguments.threads, "recall": RECALL}
    curves: dict[str, Any] = {}
    goals: list[Measured] = []
    for kind, room in kinds.items():
        curves[kind], index = _measured(rows, own, kind, room)
        print(f"{kind}: {_short(curves[kind])}", flush=True)
        if kind == "rabitq" and curves[kind]["chosen"] is not None:
            values["over_bare_faiss"] = over_bare(index, rows, own, curves[kind]["chosen"], arguments.rounds)
            goals.append(judge("G20", values["over_bare_faiss"]["ratio"]["median"], part="CPU", note="rabitq, js"))
        index.close()
    values["clustered"] = {"rows": len(rows), "dimension": DIMENSION, "curves": curves}
    if "peers" not in without:
        values["faiss_js"] = faiss_js(rows, own[: max(10, arguments.asked // 10)])
        values["usearch"] = usearch(rows, own)
        values["over_faiss_js"] = over = _over(curves, values["faiss_js"])
        if over is not None:
            goals.append(judge("G7", over["ratio"], note=f"{over['kind']}, both at recall {RECALL:g}"))
    if "codes" not in without:
        values["codes"] = codes(rows[: len(rows) // 5], own[own < len(rows) // 5])
        least = min(each["rabitq"]["recall"] / each["ivf_pq"]["recall"] for each in values["codes"].values())
        goals.append(judge("G21", least, note="the least of 32, 64 and 128 bytes a row"))
    if "photographs" not in without and arguments.data.is_dir():
        values["photographs"] = real_rows(arguments)
    return values, goals


def real_rows(arguments: argparse.Namespace) -> dict[str, Any]:
    """The curve of an index over a model's rows of photographs."""
    rows = photographs(arguments.model, arguments.data, arguments.scale, 1).rows
    own = np.sort(np.random.default_rng(4).choice(len(rows), min(len(rows), arguments.asked), replace=False))
    told, index = _measured(rows, own, "rabitq", None)
    index.close()
    return {"rows": len(rows), "model": arguments.model, "curves": {"rabitq": told}}


def _measured(rows: np.ndarray, own: np.ndarray, kind: str, room: int | None) -> tuple[dict[str, Any], Index]:
    """Build an index for js and measure it; its curve, and itself."""
    began = time.perf_counter()
    spec = spec_for(len(rows), rows.shape[1], "js", kind=kind, bytes_a_row=room)
    index = build(spec, [rows], device="cpu")
    built = time.perf_counter() - began
    curve: Curve = tune(index, [rows], own, recall=RECALL, k=K)
    return {
        "spec": spec.as_json(),
        "bytes_a_row": spec.row_bytes,
        "seconds_to_build": round(built, 1),
        **curve.as_json(),
    }, index


def _short(told: dict[str, Any]) -> str:
    chosen = told["chosen"]
    found = (
        "never sure of the recall" if chosen is None else f"{chosen['recall']:.3f} at {chosen['rate']:.0f} queries/s"
    )
    return f"built in {told['seconds_to_build']} s; {found}"


def over_bare(index: Index, rows: np.ndarray, own: np.ndarray, chosen: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Our queries a second, exact re-rank included, over FAISS's call for as many candidates."""
    queries, point = rows[own], Point(**chosen)
    mapped = features(index.spec, queries)
    ways: dict[str, Callable[[], Any]] = {
        "ours": lambda: approximate(queries, [rows], index, k=K, effort=point.effort, depth=point.depth),
        "faiss": lambda: index.engine.search(mapped, point.depth, point.effort),
        "faiss_for_k": lambda: index.engine.search(mapped, K, point.effort),
    }
    took = alternate(ways, rounds)
    rates = {name: [len(own) / each for each in took[name]] for name in ways}
    return {
        "ratio": spread([a / b for a, b in zip(rates["ours"], rates["faiss"], strict=True)]),
        "queries_per_second": {name: spread(each) for name, each in rates.items()},
        "effort": point.effort,
        "depth": point.depth,
    }


def faiss_js(rows: np.ndarray, own: np.ndarray) -> dict[str, Any]:
    """FAISS's inverted lists by Jensen-Shannon: recall of its own ten nearest against queries a second."""
    d, lists = rows.shape[1], spec_for(len(rows), rows.shape[1], "js", kind="ivf_flat").lists
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(d), d, lists, faiss.METRIC_JensenShannon)
    index.cp.min_points_per_centroid = 1
    step = 1 << 16
    index.train(_positive(rows[:: max(1, len(rows) // (48 * lists))]))
    for start in range(0, len(rows), step):
        index.add(_positive(rows[start : start + step]))
    queries = _positive(rows[own])
    truth = knn(queries, [_positive(rows)], k=K + 1, metric="js", device="cpu").positions
    points = []
    for i in range(int(np.log2(lists)) + 1):
        index.nprobe = 2**i
        began = time.perf_counter()
        found = index.search(queries, K + 1)[1]
        rate = len(own) / (time.perf_counter() - began)
        shares = [len((set(a) - {o}) & (set(b) - {o})) / K for a, b, o in zip(truth, found, own, strict=True)]
        points.append({"effort": 2**i, "recall": round(statistics.fmean(shares), 4), "rate": round(rate, 2)})
        if points[-1]["recall"] >= 0.99:
            break
    return {"lists": lists, "queries": len(own), "points": points}


def usearch(rows: np.ndarray, own: np.ndarray) -> dict[str, Any] | None:
    """A graph of usearch over the same roots (float16), asked for more and more; None where it is not installed."""
    if importlib.util.find_spec("usearch") is None:
        return None
    from usearch.index import Index as Graph

    roots = np.sqrt(distributions(rows[own]))
    graph = Graph(ndim=rows.shape[1], metric="cos", dtype="f16", connectivity=16, expansion_add=64)
    began, step = time.perf_counter(), 1 << 15
    for start in range(0, len(rows), step):
        piece = np.sqrt(distributions(rows[start : start + step])).astype(np.float16)
        graph.add(np.arange(start, start + len(piece)), piece, threads=faiss.omp_get_max_threads())
    built = time.perf_counter() - began
    truth = knn(rows[own], [rows], k=K + 1, metric="js", device="cpu").positions
    points = []
    for effort in (16, 32, 64, 128, 256, 512):
        graph.expansion_search = effort
        began = time.perf_counter()
        found = graph.search(roots.astype(np.float16), K + 1, threads=faiss.omp_get_max_threads()).keys
        rate = len(own) / (time.perf_counter() - began)
        shares = [len((set(a) - {o}) & (set(b) - {o})) / K for a, b, o in zip(truth, found, own, strict=True)]
        points.append({"effort": effort, "recall": round(statistics.fmean(shares), 4), "rate": round(rate, 1)})
    version = importlib.metadata.version("usearch")
    return {"version": version, "seconds_to_build": round(built, 1), "points": points}


def codes(rows: np.ndarray, own: np.ndarray) -> dict[str, Any]:
    """Recall after exact re-rank of as many candidates from codes of as many bytes, all lists looked into."""
    found: dict[str, Any] = {}
    truth = knn(rows[own], [rows], k=K, metric="js", device="cpu")
    for room in BUDGETS:
        found[str(room)] = {}
        for kind in ("rabitq", "ivf_pq"):
            began = time.perf_counter()
            index = build(spec_for(len(rows), rows.shape[1], "js", kind=kind, bytes_a_row=room), [rows], device="cpu")
            got = approximate(rows[own], [rows], index, k=K, effort=index.efforts()[-1], depth=5 * K)
            hits = (got.distances <= truth.distances[:, -1:]).sum(axis=1) / K
            found[str(room)][kind] = {
                "recall": round(float(hits.mean()), 4),
                "bytes": index.spec.code_bytes,
                "seconds_to_build": round(time.perf_counter() - began, 1),
            }
            index.close()
    return found


def _over(curves: dict[str, Any], peer: dict[str, Any]) -> dict[str, Any] | None:
    """Our fastest compressed way at that recall over FAISS's fastest at it."""
    ours = {kind: c["chosen"] for kind, c in curves.items() if kind in ("rabitq", "ivf_pq") and c["chosen"]}
    theirs = [point["rate"] for point in peer["points"] if point["recall"] >= RECALL]
    if not ours or not theirs:
        return None
    kind = max(ours, key=lambda name: ours[name]["rate"])
    return {"kind": kind, "ratio": ours[kind]["rate"] / max(theirs), "ours": ours[kind], "faiss": max(theirs)}


def _positive(rows: np.ndarray) -> np.ndarray:
    return distributions(rows.astype(np.float32) + 1e-5)


if __name__ == "__main__":
    main()
