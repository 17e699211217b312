"""One process without torch that searches random codes with FAISS's flat binary index, and prints how fast as JSON."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

K = 10
_ENOUGH = 10.0  # seconds that the batch may take


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codes", type=int, required=True)
    parser.add_argument("--queries", type=int, required=True)
    parser.add_argument("--bits", type=int, required=True)
    parser.add_argument("--cpu", action="store_true", help="no GPU: FAISS on the CPU, to rehearse")
    arguments = parser.parse_args()
    import faiss

    if not arguments.cpu and not faiss.get_num_gpus():
        print("this FAISS sees no GPU", file=sys.stderr)
        return 3
    index: Any = (
        faiss.IndexBinaryFlat(arguments.bits)
        if arguments.cpu
        else faiss.GpuIndexBinaryFlat(faiss.StandardGpuResources(), arguments.bits)
    )
    rng = np.random.default_rng(0)
    index.add(rng.integers(0, 256, (arguments.codes, arguments.bits // 8), np.uint8))
    queries = rng.integers(0, 256, (arguments.queries, arguments.bits // 8), np.uint8)
    index.search(queries[:1], K)
    one = min(_seconds(lambda: index.search(queries[:1], K)) for _ in range(3))
    few = queries[: max(1, len(queries) // 64)]
    each = _seconds(lambda: index.search(few, K)) / len(few)
    count = int(min(len(queries), max(len(few), _ENOUGH / each)))
    many = _seconds(lambda: index.search(queries[:count], K))
    facts = {"one_seconds": one, "batch_queries": count, "batch_seconds": many}
    print(json.dumps({**facts, "batch_gpairs": count * arguments.codes / many / 1e9, "faiss": faiss.__version__}))
    return 0


def _seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
