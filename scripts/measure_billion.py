"""Search among a billion, made block by block from a seed: codes of 96 bits exactly (G24), rows by an index (G23).

`--part rows` builds an index over `--rows` rows: one code from a million to a billion, on the CPU (in pieces, merged on
the disk) and on a GPU (in its memory). Beside its recall stand the rows' spectrum, and what 32 directions or product
codes alone find.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from billion_rows import goals_of, measure, told
from goals import judge
from simsearch.runtime.device import choose_device
from simsearch.runtime.provenance import write_record
from simsearch.search.hamming.search import nearest_codes

K = 10
WIDTH = 12
BLOCK = 10_000_000  # codes at once: 120 MB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codes", type=float, default=1e9)
    parser.add_argument("--queries", type=int, default=32)
    parser.add_argument("--part", choices=("codes", "rows"), default="codes")
    parser.add_argument("--rows", type=float, default=1e6)
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--code", type=int, default=64, help="bytes of a row's code")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--folder", type=Path, help="for pieces, kept; by default a temporary one")
    parser.add_argument("--output", type=Path, help="by default results/search/billion.json or billion_rows.json")
    arguments = parser.parse_args()
    if arguments.part == "rows":
        rows(arguments)
    else:
        codes(arguments)


def rows(arguments: argparse.Namespace) -> None:
    """Measure an index over rows."""
    device, sizes = choose_device(arguments.device), (arguments.dimension, arguments.code)
    values = measure(int(arguments.rows), *sizes, device, folder=arguments.folder)
    goals = [goal.to_dict() for goal in goals_of(values)]
    verdict = told(values)
    write_record(
        arguments.output or Path("results/search/billion_rows.json"), {**values, "goals": goals}, verdict=verdict
    )
    print(verdict)


def codes(arguments: argparse.Namespace) -> None:
    """Measure exact search of codes."""
    total = int(arguments.codes)
    queries = np.random.default_rng(1).integers(0, 256, (arguments.queries, WIDTH), np.uint8)
    planted = np.random.default_rng(2).integers(0, total, arguments.queries)  # one copy of each query, a bit flipped
    counts = np.empty((arguments.queries, 0), np.int32)
    positions = np.empty((arguments.queries, 0), np.int64)
    searching = 0.0
    for start in track(range(0, total, BLOCK), "codes", console=Console(stderr=True)):
        found_codes = block(start, min(BLOCK, total - start), queries, planted)
        began = time.perf_counter()
        found = nearest_codes(queries, [found_codes], k=K)
        counts = np.concatenate([counts, found.counts], axis=1)
        positions = np.concatenate([positions, np.where(found.positions < 0, -1, found.positions + start)], axis=1)
        order = np.argsort(np.where(positions < 0, 1 << 20, counts), axis=1, kind="stable")[:, :K]
        counts, positions = np.take_along_axis(counts, order, 1), np.take_along_axis(positions, order, 1)
        searching += time.perf_counter() - began
    right = float((positions[:, 0] == planted).mean())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    values = {
        "codes": total,
        "bits": 8 * WIDTH,
        "queries": len(queries),
        "k": K,
        "seconds_searching": round(searching, 1),
        "billion_pairs_per_second": round(len(queries) * total / searching / 1e9, 2),
        "peak_memory_bytes": memory,
        "planted_copies_found_first": right,
        "distances_of_the_tenth": [int(counts[:, -1].min()), int(counts[:, -1].max())],
        "goals": [judge("G24", right).to_dict()] if total == int(1e9) else [],
    }
    verdict = (
        f"exact top {K} of {len(queries)} queries over {total:,} codes of {8 * WIDTH} bits: {searching:.0f} s of "
        f"searching, {memory / 2**30:.1f} GiB at most, planted copies found first {right:.0%}"
    )
    write_record(arguments.output or Path("results/search/billion.json"), values, verdict=verdict)
    print(verdict)


def block(start: int, count: int, queries: np.ndarray, planted: np.ndarray) -> np.ndarray:
    """The codes from `start` on, with the planted copies among them."""
    codes = np.frombuffer(np.random.default_rng([3, start]).bytes(count * WIDTH), np.uint8).reshape(count, WIDTH).copy()
    for query, place in zip(queries, planted.tolist(), strict=True):
        if start <= place < start + count:
            codes[place - start] = query
            codes[place - start, 0] ^= 1
    return codes


if __name__ == "__main__":
    main()
