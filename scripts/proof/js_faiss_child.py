"""One process without torch that searches by js with FAISS's flat index, and prints how fast as JSON.

FAISS takes the logarithm of zero where a row has one, so that the rows here have none.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

K = 10
_STEP = 1 << 14
_ENOUGH = 15.0  # seconds that all searches together may take


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path, help=".npy for the ids")
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--dimension", type=int, required=True)
    parser.add_argument("--queries", type=int, required=True)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cpu", action="store_true", help="no GPU: FAISS on the CPU, to rehearse")
    arguments = parser.parse_args()
    import faiss

    if not arguments.cpu and not faiss.get_num_gpus():
        print("this FAISS sees no GPU", file=sys.stderr)
        return 3
    index = _index(faiss, arguments.dimension, cpu=arguments.cpu)
    rows = positive_rows(arguments.rows, arguments.dimension)
    for start in range(0, len(rows), _STEP):
        index.add(rows[start : start + _STEP])
    queries = positive_queries(arguments.queries, rows)
    few = queries[: max(1, len(queries) // 50)]
    index.search(few, K)
    each = _seconds(lambda: index.search(few, K)) / len(few)
    count = int(min(len(queries), max(len(few), _ENOUGH / each / arguments.repeats)))
    took = [_seconds(lambda: index.search(queries[:count], K)) for _ in range(arguments.repeats)]
    np.save(arguments.output, index.search(queries[:count], K)[1])
    print(json.dumps({"queries": count, "seconds": took, "faiss": faiss.__version__}))
    return 0


def positive_rows(count: int, dimension: int) -> np.ndarray:
    """Distributions (count, dimension), float32, all above zero: fifty near each of many centres."""
    centres = np.random.default_rng(0).standard_gamma(0.4, (max(1, count // 50), dimension), np.float32)
    rows = np.empty((count, dimension), np.float32)

    def fill(start: int) -> None:
        part, rng = rows[start : start + _STEP], np.random.default_rng([1, start])
        rng.random(out=part, dtype=np.float32)
        part += 0.5
        part *= centres[rng.integers(0, len(centres), len(part))]
        part += 1e-5
        part /= part.sum(axis=1, keepdims=True)

    with ThreadPoolExecutor() as threads:  # numpy lets go of the lock
        list(threads.map(fill, range(0, count, _STEP)))
    return rows


def positive_queries(count: int, rows: np.ndarray) -> np.ndarray:
    """Noisy copies of rows (count, dimension), distributions above zero."""
    rng = np.random.default_rng(1)
    queries = rows[rng.integers(0, len(rows), count)] * rng.uniform(0.8, 1.25, (count, rows.shape[1]))
    return (queries / queries.sum(axis=1, keepdims=True)).astype(np.float32)


def _index(faiss: Any, dimension: int, *, cpu: bool) -> Any:
    if cpu:
        return faiss.IndexFlat(dimension, faiss.METRIC_JensenShannon)
    resources = faiss.StandardGpuResources()
    resources.setTempMemory(1 << 30)
    return faiss.GpuIndexFlat(resources, dimension, faiss.METRIC_JensenShannon)


def _seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
