"""Measure exact search by Jensen-Shannon on the CPU (goals G1, G2 and G6), and write a JSON record.

Beside FAISS's flat js index on the same rows (made positive, since FAISS answers wrongly where a row holds a zero), and
beside our own cosine. Both sides get the same number of threads and take turns; a ratio is the median over the turns.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import faiss
import numpy as np
import torch

from goals import judge
from simsearch import distance, load_extractor
from simsearch.extract.pipeline import embed_sources
from simsearch.images.find import find
from simsearch.images.perturb import paper
from simsearch.images.source import Rejected, Source
from simsearch.runtime.provenance import write_record
from simsearch.search.exact import knn
from simsearch.search.results import Neighbours
from simsearch.training.data.images import load_pictures

K = 10
TARS = ("strangers/dev.tar", "strangers/calibration.tar", "train/train-0.tar", "train/train-1.tar", "train/train-2.tar")


class Task(NamedTuple):
    """Rows to search and queries to ask, float16 as libraries keep them, with exact zeros."""

    rows: np.ndarray
    queries: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with the photographs")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows; below 1 to try the script")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("results/search/js.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    faiss.omp_set_num_threads(arguments.threads)
    tasks = {
        "clustered 512-d": clustered(int(100_000 * arguments.scale), 512, 500),
        "clustered 2048-d": clustered(int(50_000 * arguments.scale), 2048, 300),
        "independent 512-d": independent(int(50_000 * arguments.scale), 512, 300),
    }
    if arguments.data.is_dir():
        real = tasks[f"{arguments.model} 512-d"] = photographs(arguments.model, arguments.data, arguments.scale, 300)
        tasks[f"{arguments.model} 512-d, edited"] = edited(real, arguments.model, arguments.data)
    loads = [os.getloadavg()[0]]
    zeros = {name: right_with_zeros(task) for name, task in tasks.items()}
    over_faiss = {name: against_faiss(task, arguments.rounds) for name, task in tasks.items()}
    over_cosine = {name: against_cosine(task, arguments.rounds) for name, task in tasks.items()}
    loads.append(os.getloadavg()[0])
    values = {
        "k": K,
        "threads": arguments.threads,
        "seconds_are": "of CPU time, over all threads",
        "rows": {name: _described(task) for name, task in tasks.items()},
        "with_zeros": zeros,
        "over_faiss": over_faiss,
        "over_cosine": over_cosine,
        "goals": [goal.to_dict() for goal in _goals(zeros, over_faiss, over_cosine)] if arguments.scale == 1 else [],
        "load_before_and_after": loads,
    }
    told = [f"{name} {each['ratio']['median']:.0f} x" for name, each in over_faiss.items()]
    beside = [f"{name} {each['ratio']['median']:.2f}" for name, each in over_cosine.items()]
    verdict = f"exact js over FAISS: {', '.join(told)}; over our cosine: {', '.join(beside)}; all answers certified"
    write_record(arguments.output, values, verdict=verdict)
    print(verdict)


def clustered(count: int, dimension: int, queries: int) -> Task:
    """Fifty rows around each of many sparse centres, and a noisy copy of some."""
    rng = np.random.default_rng(0)
    centres = rng.standard_gamma(0.4, (max(1, count // 50), dimension), np.float32)
    centres[rng.random(centres.shape, np.float32) < 0.1] = 0
    rows = np.repeat(centres, 50, axis=0) * rng.uniform(0.5, 1.5, (50 * len(centres), dimension)).astype(np.float32)
    asked = rows[rng.integers(0, len(rows), queries)] * rng.uniform(0.8, 1.25, (queries, dimension))
    return Task(rows[rng.permutation(len(rows))].astype(np.float16), asked.astype(np.float16))


def independent(count: int, dimension: int, queries: int) -> Task:
    """Sparse Dirichlet rows without any structure, the hardest case of a certificate."""
    rng = np.random.default_rng(1)
    rows = rng.standard_gamma(0.3, (count + queries, dimension), np.float32)
    rows[rng.random(rows.shape, np.float32) < 0.1] = 0
    return Task(rows[queries:].astype(np.float16), rows[:queries].astype(np.float16))


def photographs(model: str, data: Path, scale: float, queries: int) -> Task:
    """Rows of a model for photographs, some of them held out as queries."""
    sources = [source for source in find([data / name for name in TARS]) if isinstance(source, Source)]
    order = np.random.default_rng(2).permutation(len(sources))[: max(queries + 100, int(scale * len(sources)))]
    embedded = embed_sources(load_extractor(model, device="cpu"), [sources[i] for i in order], workers=1)
    rows = np.stack([each.row for each in embedded if not isinstance(each, Rejected)]).astype(np.float16)
    return Task(rows[queries:], rows[:queries])


def edited(task: Task, model: str, data: Path) -> Task:
    """The same rows, asked with those of copies edited by the paper's edits in turn, of photographs of one tar."""
    pictures, _ = load_pictures([data / TARS[2]], side=256, most=len(task.queries), seed=2)
    edits = paper()
    copies = [edits[i % len(edits)].apply(pictures.image(i), np.random.default_rng(i)) for i in range(len(pictures))]
    return Task(task.rows, load_extractor(model, device="cpu").embed(copies).astype(np.float16))


def right_with_zeros(task: Task) -> dict[str, float]:
    """Share of queries whose ten neighbours are those of float64, of ours and of FAISS."""
    queries = task.queries[:20]
    exact = distance.js(queries, task.rows)
    expected = np.argsort(exact, axis=1, kind="stable")[:, :K]
    ours = knn(queries, [task.rows], k=K, metric="js", device="cpu")
    index = faiss.IndexFlat(task.rows.shape[1], faiss.METRIC_JensenShannon)
    index.add(distributions(task.rows))
    theirs = index.search(distributions(queries), K)[1]
    return {
        "ours": float((ours.positions == expected).all(axis=1).mean()),
        "faiss": float((theirs == expected).all(axis=1).mean()),
        "faiss_no_answer": float((theirs < 0).all(axis=1).mean()),
        "queries": len(queries),
    }


def against_faiss(task: Task, rounds: int) -> dict[str, Any]:
    """Queries a second of exact js over FAISS's, on rows without zeros, of which FAISS is asked a few."""
    rows, queries = (distributions(values.astype(np.float32) + 1e-5) for values in task)
    few = queries[: max(4, math.ceil(2.5e8 / rows.size))]  # about five seconds on one core
    index = faiss.IndexFlat(rows.shape[1], faiss.METRIC_JensenShannon)
    index.add(rows)
    found, (theirs_distances, theirs) = _js(queries, rows), index.search(few, K)
    _same_answers(found, theirs, theirs_distances, few, rows)
    took = alternate({"ours": lambda: _js(queries, rows), "faiss": lambda: index.search(few, K)}, rounds)
    ours, peer = [len(queries) / each for each in took["ours"]], [len(few) / each for each in took["faiss"]]
    return {
        "ratio": spread([a / b for a, b in zip(ours, peer, strict=True)]),
        "queries_per_second": {"ours": spread(ours), "faiss": spread(peer)},
        "queries": {"ours": len(queries), "faiss": len(few)},
        "same_ids": float((found.positions[: len(few)] == theirs).mean()),
        "certified": bool(found.certified.all()),
        "rows_measured_per_query": {"mean": float(found.measured.mean()), "most": int(found.measured.max())},
    }


def against_cosine(task: Task, rounds: int) -> dict[str, Any]:
    """Queries a second of js over those of our own cosine on the same rows."""
    ways = {
        metric: lambda m=metric: knn(task.queries, [task.rows], k=K, metric=m, device="cpu")
        for metric in ("js", "cosine")
    }
    found = ways["js"]()
    took = alternate(ways, rounds)
    rates = {name: [len(task.queries) / each for each in took[name]] for name in ways}
    return {
        "ratio": spread([a / b for a, b in zip(rates["js"], rates["cosine"], strict=True)]),
        "queries_per_second": {name: spread(each) for name, each in rates.items()},
        "rows_measured_per_query": {"mean": float(found.measured.mean()), "most": int(found.measured.max())},
    }


def _js(queries: np.ndarray, rows: np.ndarray) -> Neighbours:
    return knn(queries, [rows], k=K, metric="js", device="cpu")


def _same_answers(
    found: Neighbours, theirs: np.ndarray, theirs_distances: np.ndarray, queries: np.ndarray, rows: np.ndarray
) -> None:
    """Refuse to time what answers differently: other rows are allowed only where they are as near within float32."""
    if not found.certified.all():
        raise SystemExit("an answer is not certified: the figures would mean nothing")
    for i, query in enumerate(queries):
        near = distance.js(query[None], rows[theirs[i]])[0]
        if np.abs(np.sort(near) - found.distances[i]).max() > 1e-5:
            raise SystemExit(f"FAISS and we answer query {i} differently: {near} and {found.distances[i]}")
        if np.abs(np.sqrt(theirs_distances[i] / math.log(2)) - near).max() > 1e-3:
            raise SystemExit(f"FAISS's divergences of query {i} are not ours")


def distributions(rows: np.ndarray) -> np.ndarray:
    """Rows of sum 1, float32."""
    rows = rows.astype(np.float32)
    return np.ascontiguousarray(rows / rows.sum(axis=1, keepdims=True))


def alternate(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each way, in turns; other programs on the machine count less by them than by the clock."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            began = time.process_time()
            work()
            took[name].append(time.process_time() - began)
    return took


def spread(values: list[float], digits: int = 3) -> dict[str, Any]:
    """A ratio or rate as its median and all turns."""
    return {"median": round(statistics.median(values), digits), "all": [round(value, digits) for value in values]}


def _described(task: Task) -> dict[str, Any]:
    return {
        "rows": len(task.rows),
        "dimension": task.rows.shape[1],
        "queries": len(task.queries),
        "zeros": round(float((task.rows == 0).mean()), 4),
    }


def _goals(zeros: dict[str, Any], over_faiss: dict[str, Any], over_cosine: dict[str, Any]) -> list[Any]:
    real = next(
        (name for name in over_cosine if "clustered" not in name and "independent" not in name), "clustered 512-d"
    )
    told = ", ".join(f"{name} {each['ratio']['median']:.2f}" for name, each in over_cosine.items())
    least = min(each["ours"] for each in zeros.values())
    peer = max(each["faiss"] for each in zeros.values())
    return [
        *(
            judge("G1", over_faiss[f"clustered {part}"]["ratio"]["median"], part=part, note="clustered rows")
            for part in ("512-d", "2048-d")
        ),
        judge("G2", least, note=f"FAISS: {peer:.2f}"),
        judge("G6", over_cosine[real]["ratio"]["median"], part="CPU", note=f"{real} rows; of all: {told}"),
    ]


if __name__ == "__main__":
    main()
