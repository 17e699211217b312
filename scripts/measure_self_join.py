"""Measure all pairs of near rows: exactly, and through an index, with the share of pairs that it finds.

Clustered rows by js, and the distance of a pair such that a row has about one near another. JSON record.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch

from measure_js import clustered
from simsearch.library.indexes.recall import tune
from simsearch.runtime.provenance import write_record
from simsearch.search.exact import knn
from simsearch.search.indexes.index import build, held_out
from simsearch.search.indexes.spec import spec_for
from simsearch.search.self_join import Pairs, pairs_by_index, row_pairs

K = 10
RECALL = 0.95


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("results/search/self_join.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    faiss.omp_set_num_threads(arguments.threads)
    loads = [os.getloadavg()[0]]
    rows = clustered(arguments.rows, arguments.dimension, 1).rows
    some = held_out(len(rows), 0)[:1000]
    nearest = knn(rows[some], [rows], k=2, metric="js", device="cpu")
    limit = float(np.median(nearest.distances[:, 1]))
    values: dict[str, Any] = {"rows": len(rows), "dimension": arguments.dimension, "metric": "js", "limit": limit}

    began = time.perf_counter()
    exact = _together(list(row_pairs([rows], max_distance=limit, metric="js", device="cpu")))
    values["exact"] = {"seconds": round(time.perf_counter() - began, 1), "pairs": len(exact.left)}
    print(values["exact"], flush=True)

    began = time.perf_counter()
    index = build(spec_for(len(rows), arguments.dimension, "js", kind="ivf_flat"), [rows], device="cpu")
    built = time.perf_counter() - began
    began = time.perf_counter()
    (curve,) = tune(index, [rows], some, recall=RECALL, ks=(K,))
    tuned = time.perf_counter() - began
    assert curve.chosen is not None
    began = time.perf_counter()
    asked = {"max_distance": limit, "effort": curve.chosen.effort, "depth": curve.chosen.depth}
    found = _together(list(pairs_by_index([rows], index, **asked)))
    values["by_index"] = {
        "kind": "ivf_flat",
        "build_seconds": round(built, 1),
        "tune_seconds": round(tuned, 1),
        "recall_of_the_ten_nearest": round(curve.chosen.recall, 4),
        "seconds": round(time.perf_counter() - began, 1),
        "pairs": len(found.left),
    }
    keys = [pairs.left * len(rows) + pairs.right for pairs in (exact, found)]
    if not np.isin(keys[1], keys[0]).all():
        raise SystemExit("the index gives pairs that are none: the figures would mean nothing")
    values["by_index"]["share_of_pairs_found"] = round(len(keys[1]) / len(keys[0]), 4)
    index.close()
    values["load_before_and_after"] = [*loads, os.getloadavg()[0]]
    by = values["by_index"]
    verdict = (
        f"all near pairs of {len(rows):,} rows: exactly {values['exact']['seconds']:g} s; through an index "
        f"{by['build_seconds']:g} + {by['tune_seconds']:g} + {by['seconds']:g} s, "
        f"{by['share_of_pairs_found']:.1%} of them"
    )
    write_record(arguments.output, values, verdict=verdict)
    print(verdict)


def _together(pieces: list[Pairs]) -> Pairs:
    return Pairs(*(np.concatenate(column) for column in zip(*pieces, strict=True)))


if __name__ == "__main__":
    main()
