"""Measure one query at a time, which is what a service and a person ask (goals S1 to S4), and write a JSON record.

S1: one query over many rows, beside FAISS's scan of float16 codes, its flat index of float32 rows, and our own cosine.
S2: small libraries, warm, as they come, idle and beside two processes that keep both cores busy. S3: codes asked one at
a time in a process that has compiled nothing, and in a second one. S4: equal rows. Sides take turns; a ratio is the
median over the turns, of CPU time; only S2 is by the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch

from goals import Measured, judge
from measure_js import alternate, clustered, spread
from measure_library import made
from simsearch.library import Library
from simsearch.runtime.provenance import write_record
from simsearch.search.exact import knn
from simsearch.search.warm_up import make_ready

K, DIMENSION, PIECE = 10, 512, 50_000
CODES, QUERIES = 300_000, 40
CHILD = """
import json, sys, time
import numpy as np
from simsearch.search import knn
codes = np.random.default_rng(0).integers(0, 256, (int(sys.argv[1]), 12), dtype=np.uint8)
took, at = [], -1
for i in range(int(sys.argv[2])):
    began = time.process_time()
    knn(codes[i : i + 1], [codes], k=10, metric="hamming", device="cpu")
    took.append(1000 * (time.process_time() - began))
    passes = sys.modules.get("simsearch.search.hamming.kernels")
    if at < 0 and passes and passes.kernels(3).nearest_of_few.signatures:
        at, misses = i, sum(passes.kernels(3).nearest_of_few.stats.cache_misses.values())
print(json.dumps({"milliseconds": took, "before_it": at, "compiled": misses}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows; below 1 to try the script")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2, help="of S1 and S4")
    parser.add_argument("--output", type=Path, default=Path("results/search/one_query.json"))
    arguments = parser.parse_args()
    loads = [os.getloadavg()[0]]
    small = small_libraries()  # first, as threads are by default
    torch.set_num_threads(arguments.threads)
    faiss.omp_set_num_threads(arguments.threads)
    large = one_of_many(int(1_000_000 * arguments.scale), arguments.rounds)
    codes, equal = codes_one_at_a_time(), equal_rows(arguments.rounds)
    loads.append(os.getloadavg()[0])
    goals = _goals(large, small, codes, equal)
    values = {
        "k": K,
        "threads": arguments.threads,
        "one_of_many": large,
        "small_libraries": small,
        "codes_one_at_a_time": codes,
        "equal_rows": equal,
        "goals": [goal.to_dict() for goal in goals] if arguments.scale == 1 else [],
        "load_before_and_after": loads,
    }
    verdict = "; ".join(f"{goal.goal} {goal.part}: {goal.value:.3g}" for goal in goals)
    write_record(arguments.output, values, verdict=verdict)
    print(verdict)


def rows_of(count: int) -> np.ndarray:
    """Clusters of five hundred rows, float16, piece by piece."""
    rng = np.random.default_rng(0)
    centres = rng.standard_gamma(0.4, (max(1, count // 500), DIMENSION), np.float32)
    centres[rng.random(centres.shape, np.float32) < 0.1] = 0
    rows = np.empty((count, DIMENSION), np.float16)
    for start in range(0, count, PIECE):
        part = centres[rng.integers(0, len(centres), len(rows[start : start + PIECE]))]
        rows[start : start + PIECE] = part * rng.uniform(0.5, 1.5, part.shape).astype(np.float32) + np.float32(1e-3)
    return rows


def one_of_many(count: int, rounds: int) -> dict[str, Any]:
    """CPU seconds of one query by us and by FAISS, and their ratios."""
    rows = rows_of(count)
    query = (rows[:1] * np.random.default_rng(1).uniform(0.8, 1.25, (1, DIMENSION))).astype(np.float16)
    wide = query.astype(np.float32)
    for metric in ("js", "cosine", "l2"):
        make_ready(metric, rows)

    def ours(metric: str) -> Callable[[], Any]:
        return lambda: knn(query, [rows], k=K, metric=metric, device="cpu")

    half, d = faiss.ScalarQuantizer.QT_fp16, DIMENSION
    peers: dict[str, tuple[str, Callable[[], Any], Any]] = {
        "cosine over FAISS's float16 scan": (
            "cosine",
            lambda: faiss.IndexScalarQuantizer(d, half, faiss.METRIC_INNER_PRODUCT),
            wide,
        ),
        "l2 over FAISS's float16 scan": ("l2", lambda: faiss.IndexScalarQuantizer(d, half, faiss.METRIC_L2), wide),
        "cosine over IndexFlatIP": ("cosine", lambda: faiss.IndexFlatIP(d), wide),
    }
    out: dict[str, Any] = {"rows": count, "dimension": DIMENSION}
    for name, (metric, make, asked) in peers.items():
        index = _filled(make(), rows, unit=metric == "cosine")
        if (theirs := index.search(asked, 1)[1][0, 0]) != (mine := ours(metric)().positions[0, 0]):
            raise SystemExit(
                f"{name}: the nearest row is {theirs} for FAISS and {mine} for us; the times would say nothing"
            )
        out[name] = _beside(ours(metric), lambda index=index, asked=asked: index.search(asked, K), rounds)
    out["js over our own cosine"] = _beside(ours("js"), ours("cosine"), rounds)
    out["js_rows_measured"] = int(ours("js")().measured[0])
    return out


def _filled(index: Any, rows: np.ndarray, *, unit: bool) -> Any:
    for start in range(0, len(rows), PIECE):
        part = rows[start : start + PIECE].astype(np.float32)
        part = part / np.linalg.norm(part, axis=1, keepdims=True) if unit else part
        if not index.is_trained:
            index.train(part)
        index.add(part)
    return index


def _beside(one: Callable[[], Any], other: Callable[[], Any], rounds: int) -> dict[str, Any]:
    one(), other()
    took = alternate({"one": one, "other": other}, rounds)
    ratios = [a / b for a, b in zip(took["one"], took["other"], strict=True)]
    return {"ratio": spread(ratios), "cpu_seconds": {name: spread(each, 4) for name, each in took.items()}}


def small_libraries() -> dict[str, Any]:
    """Milliseconds of one query by the clock, with default threads, idle and busy."""
    out: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in (330, 10_000):
            task = clustered(count + 50, DIMENSION, 30)  # whole clusters
            rows = task.rows[:count]
            library = made(Path(folder) / f"{count}", rows)
            out[f"{count:,} rows"] = _asked(library, task.queries, exact=True)
            library.optimize(recall=0.8, kind="ivf_flat")
            out[f"{count:,} rows, by index"] = _asked(library, task.queries, exact=False)
            codes = np.packbits(rows[:, :96] > 0.2, axis=1)
            bits = made(Path(folder) / f"{count}-bits", codes, dtype="bits", metric="hamming")
            out[f"{count:,} rows, Hamming"] = _asked(bits, codes[:30], exact=True)
    return out


def _asked(library: Library, queries: np.ndarray, *, exact: bool) -> dict[str, Any]:
    library.prepare()

    def took() -> dict[str, Any]:
        wall, cpu = [], []
        for query in queries:
            began, spent = time.perf_counter(), time.process_time()
            library.search_rows(query, k=K, exact=exact)
            wall.append(1000 * (time.perf_counter() - began))
            cpu.append(1000 * (time.process_time() - spent))
        return {"milliseconds": spread(wall), "cpu_milliseconds": spread(cpu)}

    took()
    idle = took()
    with both_cores_busy():
        return {"idle": idle, "busy": took()}


@contextmanager
def both_cores_busy() -> Iterator[None]:
    """As many processes as there are cores that do nothing but loop."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        time.sleep(0.5)
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def codes_one_at_a_time() -> dict[str, Any]:
    """A process that finds no compiled pass on disk, and one that finds those of the first."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "XDG_CACHE_HOME": cache}
        runs = []
        for _ in range(2):
            command = [sys.executable, "-c", CHILD, str(CODES), str(QUERIES)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            runs.append(json.loads(done.stdout))
    for run in runs:
        run["milliseconds"] = [round(each, 2) for each in run["milliseconds"]]
        run["median_before"] = statistics.median(run["milliseconds"][: run["before_it"]])
        run["median_after"] = statistics.median(run["milliseconds"][run["before_it"] + 1 :])
    return {"codes": CODES, "bits": 96, "first_process": runs[0], "second_process": runs[1]}


def equal_rows(rounds: int) -> dict[str, Any]:
    """CPU time of queries near a row that half of the rows are equal to, over that without them."""
    rng, count = np.random.default_rng(3), 20_000
    rows = rows_of(count)
    equal = rows.copy()
    equal[rng.choice(count, count // 2, replace=False)] = rows[0]
    queries = (rows[:1] * rng.uniform(0.9, 1.1, (20, DIMENSION))).astype(np.float16)
    out = {}
    for metric in ("js", "cosine"):
        ways = [lambda m=metric, some=some: knn(queries, [some], k=K, metric=m, device="cpu") for some in (equal, rows)]
        out[metric] = _beside(*ways, rounds)
    return out


def _goals(
    large: dict[str, Any], small: dict[str, Any], codes: dict[str, Any], equal: dict[str, Any]
) -> list[Measured]:
    of_large = [judge("S1", each["ratio"]["median"], part=name) for name, each in large.items() if " over " in name]
    of_small = [
        judge("S2", each[how]["milliseconds"]["median"], part=name + ("" if how == "idle" else ", both cores busy"))
        for name, each in small.items()
        for how in ("idle", "busy")
    ]
    first, second = codes["first_process"], codes["second_process"]
    note = f"before it {first['median_before']:.2g} ms; compiled or read in {max(first['milliseconds']):.0f} and "
    note += f"{max(second['milliseconds']):.0f} ms of CPU"
    return [
        *of_large,
        *of_small,
        judge("S3", first["before_it"], part="queries until a compiled pass"),
        judge("S3", first["median_after"], part="milliseconds of a query after it", note=note),
        judge("S3", second["compiled"], part="passes that a second process compiles"),
        *(judge("S4", each["ratio"]["median"], part=metric) for metric, each in equal.items()),
    ]


if __name__ == "__main__":
    main()
