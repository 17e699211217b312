"""Measure the search of codes by queries that keep their margins, beside that by bits, and write a JSON record."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from measure_hamming import K, codes_of
from measure_js import alternate, spread
from simsearch.runtime.provenance import write_record
from simsearch.search.hamming.asymmetric import nearest_by_margins
from simsearch.search.hamming.search import nearest_codes

LENGTHS = (96, 256)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the codes; below 1 to try the script")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("results/search/asymmetric.json"))
    arguments = parser.parse_args()
    loads = [os.getloadavg()[0]]
    milliseconds = {str(bits): measured(bits, int(1e6 * arguments.scale), arguments.rounds) for bits in LENGTHS}
    loads.append(os.getloadavg()[0])
    told = [f"{bits} bits {one['one query']['margins']['median']:.1f} ms" for bits, one in milliseconds.items()]
    verdict = f"one query with margins over {int(1e6 * arguments.scale):,} codes: {', '.join(told)}"
    values = {"k": K, "threads": 1, "milliseconds_a_query": milliseconds, "load_before_and_after": loads}
    write_record(arguments.output, values, verdict=verdict)
    print(verdict)


def measured(bits: int, count: int, rounds: int) -> dict[str, Any]:
    """Milliseconds a query for the top 10 of queries with margins, alone and of a batch, beside bits against bits."""
    codes, margins = codes_of(count, bits, 0), np.random.default_rng(1).standard_normal((32, bits))
    told: dict[str, Any] = {"codes": count}
    for asked, name in ((len(margins), "batch of 32"), (1, "one query")):
        some, packed = margins[:asked], np.packbits(margins[:asked] > 0, axis=1)
        ways: dict[str, Callable[[], Any]] = {
            "margins": lambda some=some: nearest_by_margins(some, [codes], k=K, threads=1),
            "bits": lambda packed=packed: nearest_codes(packed, [codes], k=K, threads=1),
        }
        for way in ways.values():
            for _ in range(12):
                way()  # until it is compiled
        took = alternate(ways, rounds)
        told[name] = {way: spread([1e3 * seconds / asked for seconds in times]) for way, times in took.items()}
    print(f"{bits} bits: {told}", flush=True)
    return told


if __name__ == "__main__":
    main()
