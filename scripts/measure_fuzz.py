"""Try searches at random: every route beside `simsearch.distance`, and libraries beside a dictionary.

A case that is wrong is told with the line that runs it again, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from simsearch.runtime.provenance import write_record  # noqa: E402
from tests.library import fuzzing as lives  # noqa: E402
from tests.search import fuzzing as searches  # noqa: E402

LIVES = 20  # of which one is a library's, with searches of its own
PIECE = 100
SHOWN = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path, default=Path("results/search/fuzz.json"))
    arguments = parser.parse_args()
    began, stop = time.perf_counter(), arguments.first + arguments.cases
    pieces = [range(i, min(i + PIECE, stop)) for i in range(arguments.first, stop, PIECE)]
    met, wrong = Counter[str](), list[str]()
    with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as pool:
        for counts, told in pool.map(tried, pieces):
            met += counts
            wrong += told
            for one in told:
                sys.stderr.write(f"{one}\n")
    verdict = f"{sum(met.values()):,} random cases, {len(wrong)} of them wrong."
    values = {"cases": sum(met.values()), "mismatches": len(wrong), "by_route": dict(sorted(met.items()))}
    values |= {"first_seed": arguments.first, "seconds": round(time.perf_counter() - began), "wrong": wrong[:SHOWN]}
    write_record(arguments.output, values, verdict=verdict)
    sys.stdout.write(f"{verdict}\n")
    raise SystemExit(bool(wrong))


def tried(seeds: range) -> tuple[Counter[str], list[str]]:
    """How many cases went by each route, and what went wrong."""
    found = [lives.run(seed) if seed % LIVES == 0 else searches.run(seed) for seed in seeds]
    return Counter(route for route, _ in found), [told for _, told in found if told is not None]


if __name__ == "__main__":
    main()
