"""Measure js search through indexes on the CPU (goals G7 and G21), and write a JSON record with every curve.

A million clustered rows with exact zeros, and rows of a model. Each kind of index is measured against exact search on
held-out rows; beside it stands FAISS's own index for Jensen-Shannon (on rows made positive, since it answers wrongly
where a row holds a zero). Graphs, which take longer to build than all else, have a record of their own (`--part
graphs`): ours, and usearch's on the same roots of distributions where it is installed. The plot shows both records.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch

from goals import Measured, judge
from measure_js import K, alternate, clustered, distributions, photographs, spread
from simsearch.benchmark.report.palette import style
from simsearch.benchmark.report.plots import drawing
from simsearch.library.indexes.curve import CurvePoint
from simsearch.library.indexes.recall import tune
from simsearch.runtime.provenance import write_record
from simsearch.search.approximate_search import approximate
from simsearch.search.exact import knn
from simsearch.search.indexes.index import Index, build, held_out
from simsearch.search.indexes.spec import spec_for

RECALL = 0.95
LARGE, DIMENSION = 1_000_000, 512
BUDGETS = (32, 64, 128)  # bytes a row
NAMES = {"lists": "indexes", "graphs": "graphs"}  # of the parts' records


def main() -> None:
    arguments = _parser().parse_args()
    torch.set_num_threads(arguments.threads)
    faiss.omp_set_num_threads(arguments.threads)
    rows = clustered(int(LARGE * arguments.scale), DIMENSION, 1).rows
    own = held_out(len(rows), 0)[: 2 * arguments.asked]  # half of them choose, half tell
    values: dict[str, Any] = {"k": K, "threads": arguments.threads, "recall": RECALL, "rows": len(rows)}
    if arguments.part == "graphs":
        values |= graphs(rows, own)
        verdict = f"hnsw {_short(values['curves']['hnsw'])}"
    else:
        measured, goals = lists(arguments, rows, own)
        values |= measured
        values["goals"] = [goal.to_dict() for goal in goals] if arguments.scale == 1 else []
        verdict = "; ".join(f"{g.goal} {g.value:g} ({'met' if g.met else 'missed'}: {g.note})" for g in goals)
    values["load_after"] = os.getloadavg()[0]
    write_record(arguments.output / f"{NAMES[arguments.part]}.json", values, verdict=verdict)
    plot(arguments.output, arguments.plot)
    print(verdict)


def plot(records: Path, path: Path) -> None:
    """Draw recall against queries a second, for every way that a record of the folder tells of."""
    told = [
        json.loads((records / f"{name}.json").read_text())
        for name in NAMES.values()
        if (records / f"{name}.json").is_file()
    ]
    lines = {f"simsearch {kind}": curve["points"] for each in told for kind, curve in each["curves"].items()}
    for each in told:
        lines |= {name: peer["points"] for name, peer in each["peers"].items()}
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
        axes.set_title(f"{told[0]['rows']:,} rows of {DIMENSION} values, {told[0]['threads']} CPU cores")
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
    parser.add_argument("--part", choices=tuple(NAMES), default="lists")
    parser.add_argument("--output", type=Path, default=Path("results/search"), help="folder of the records")
    parser.add_argument("--plot", type=Path, default=Path("docs/indexes.png"))
    return parser


def lists(arguments: argparse.Namespace, rows: np.ndarray, own: np.ndarray) -> tuple[dict[str, Any], list[Measured]]:
    """All figures of lists and codes, and those with a goal."""
    curves, indexes = {}, {}
    for kind, room in {"rabitq": None, "ivf_flat": None, "ivf_pq": 64}.items():
        curves[kind], indexes[kind] = _measured(rows, own, kind, room)
        print(f"{kind}: {_short(curves[kind])}", flush=True)
    values: dict[str, Any] = {"curves": curves}
    goals: list[Measured] = []
    chosen = {kind: CurvePoint(**curve["chosen"]) for kind, curve in curves.items() if curve["chosen"]}
    values["peers"], over = faiss_js(rows, own, indexes, chosen, arguments.rounds)
    if over is not None:
        values["over_faiss_js"] = over
        goals.append(judge("G7", over["ratio"]["median"], note=f"{over['kind']}, both at recall {RECALL:g}"))
    for index in indexes.values():
        index.close()
    values["codes"] = {"clustered": codes(rows[: len(rows) // 5], own[own < len(rows) // 5])}
    print(values["codes"], flush=True)
    if arguments.data.is_dir():
        values["photographs"], values["codes"][arguments.model] = real_rows(arguments)
    for part, each in values["codes"].items():
        least = min(each.values(), key=lambda room: room["ratio"]["of"])["ratio"]
        told = f"{part}: the least of 32, 64 and 128 bytes a row, {least['low']:.3f} to {least['high']:.3f}"
        goals.append(judge("G21", least["of"], note=told))
    return values, goals


def graphs(rows: np.ndarray, own: np.ndarray) -> dict[str, Any]:
    """Ours, and usearch's."""
    told, index = _measured(rows, own, "hnsw", None)
    index.close()
    peer = usearch(rows, own)
    return {"curves": {"hnsw": told}, "peers": {} if peer is None else {"usearch graph, not re-ranked": peer}}


def real_rows(arguments: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """The curve of an index over a model's rows of photographs, and how good codes are on them."""
    rows = photographs(arguments.model, arguments.data, max(0.1, arguments.scale), 1).rows  # fewer train no codes
    own = held_out(len(rows), 0)[: 2 * arguments.asked]
    told, index = _measured(rows, own, "rabitq", None)
    index.close()
    return {"rows": len(rows), "model": arguments.model, "curves": {"rabitq": told}}, codes(rows, own)


def _measured(rows: np.ndarray, own: np.ndarray, kind: str, room: int | None) -> tuple[dict[str, Any], Index]:
    """Build an index for js and measure it; its curve, and itself."""
    began = time.perf_counter()
    spec = spec_for(len(rows), rows.shape[1], "js", kind=kind, bytes_a_row=room)
    index = build(spec, [rows], device="cpu")
    built = time.perf_counter() - began
    (curve,) = tune(index, [rows], own, recall=RECALL, ks=(K,))
    return {
        "spec": spec.as_json(),
        "bytes_a_row": spec.row_bytes,
        "seconds_to_build": round(built, 1),
        **replace(curve, shares=()).as_json(),
    }, index


def _short(told: dict[str, Any]) -> str:
    chosen = told["chosen"]
    found = (
        "never sure of the recall" if chosen is None else f"{chosen['recall']:.3f} at {chosen['rate']:.0f} queries/s"
    )
    return f"built in {told['seconds_to_build']} s; {found}"


def faiss_js(
    rows: np.ndarray, own: np.ndarray, indexes: dict[str, Index], chosen: dict[str, CurvePoint], rounds: int
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """FAISS's inverted lists by Jensen-Shannon, and how much faster our fastest codes are at that recall.

    Its curve is of its own ten nearest; a few of the queries are asked, since it takes long.
    """
    few = own[: max(10, len(own) // 10)]
    index, queries = _faiss_js(rows), _positive(rows[few])
    truth = knn(queries, [_positive(rows)], k=K + 1, metric="js", device="cpu").positions
    points = []
    while not points or (points[-1]["recall"] < 0.99 and index.nprobe < index.nlist):
        index.nprobe = 2 ** len(points)
        began = time.perf_counter()
        found = index.search(queries, K + 1)[1]
        rate = len(few) / (time.perf_counter() - began)
        shares = [len((set(a) - {o}) & (set(b) - {o})) / K for a, b, o in zip(truth, found, few, strict=True)]
        points.append({"effort": index.nprobe, "recall": round(statistics.fmean(shares), 4), "rate": round(rate, 2)})
    peer = {"FAISS lists by JensenShannon": {"lists": index.nlist, "queries": len(few), "points": points}}
    enough = [point["effort"] for point in points if point["recall"] >= RECALL]
    ours = {kind: point for kind, point in chosen.items() if kind in ("rabitq", "ivf_pq")}
    if not ours or not enough:
        return peer, None
    kind = max(ours, key=lambda name: ours[name].rate)
    index.nprobe, point = enough[0], ours[kind]
    ways: dict[str, Callable[[], Any]] = {
        "ours": lambda: approximate(rows[own], [rows], indexes[kind], k=K, effort=point.effort, depth=point.depth),
        "faiss": lambda: index.search(queries, K),
    }
    took = alternate(ways, rounds)
    rates = {"ours": [len(own) / each for each in took["ours"]], "faiss": [len(few) / each for each in took["faiss"]]}
    ratios = spread([a / b for a, b in zip(rates["ours"], rates["faiss"], strict=True)])
    return peer, {
        "kind": kind,
        "ratio": ratios,
        "queries_per_cpu_second": {name: spread(each) for name, each in rates.items()},
    }


def _faiss_js(rows: np.ndarray) -> Any:
    d, count = rows.shape[1], spec_for(len(rows), rows.shape[1], "js", kind="ivf_flat").lists
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(d), d, count, faiss.METRIC_JensenShannon)
    index.cp.min_points_per_centroid = 1
    index.train(_positive(rows[:: max(1, len(rows) // (48 * count))]))
    step = 1 << 16
    for start in range(0, len(rows), step):
        index.add(_positive(rows[start : start + step]))
    return index


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
    """Recall after exact re-rank of as many candidates from codes of as many bytes, all lists looked into.

    The interval of the ratio is that of the queries, drawn again.
    """
    found: dict[str, Any] = {}
    truth = knn(rows[own], [rows], k=K, metric="js", device="cpu")
    drawn = np.random.default_rng(5).integers(0, len(own), (1000, len(own)))
    for room in BUDGETS:
        told, hits = {}, {}
        for kind in ("rabitq", "ivf_pq"):
            began = time.perf_counter()
            index = build(spec_for(len(rows), rows.shape[1], "js", kind=kind, bytes_a_row=room), [rows], device="cpu")
            took = time.perf_counter() - began
            got = approximate(rows[own], [rows], index, k=K, effort=index.efforts()[-1], depth=5 * K)
            hits[kind] = (got.distances <= truth.distances[:, -1:]).sum(axis=1) / K
            told[kind] = {
                "recall": round(float(hits[kind].mean()), 4),
                "bytes": index.spec.code_bytes,
                "seconds_to_build": round(took, 1),
            }
            index.close()
        ratios = hits["rabitq"][drawn].mean(axis=1) / hits["ivf_pq"][drawn].mean(axis=1)
        low, high = np.quantile(ratios, (0.025, 0.975))
        of = hits["rabitq"].mean() / hits["ivf_pq"].mean()
        ratio = {name: round(float(value), 4) for name, value in (("of", of), ("low", low), ("high", high))}
        found[str(room)] = {**told, "ratio": ratio}
    return found


def _positive(rows: np.ndarray) -> np.ndarray:
    return distributions(rows.astype(np.float32) + 1e-5)


if __name__ == "__main__":
    main()
