"""Measure Hamming search (goals G8, G9 and G27), and write a JSON record.

Exact top 10 beside FAISS's flat binary index, all pairs within a radius beside imagededup's `find_duplicates`, and a
radius by every code, by multi-index hashing and by a vantage-point tree. Sides take turns on one thread each.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from llvmlite import binding
from numpy.typing import NDArray

from goals import judge
from measure_js import alternate, spread
from popcount_rate import popcount_rate
from simsearch.extract.hashes.formats import to_hex
from simsearch.runtime.provenance import write_record
from simsearch.search.hamming.multi_index import MultiIndex
from simsearch.search.hamming.search import codes_within, nearest_codes
from simsearch.search.self_join import code_pairs

K = 10
LENGTHS = (64, 96, 128, 256)
RADIUS = 10  # imagededup's default, of 64 bits
Codes = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the codes; below 1 to try the script")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", default="imagededup,vptree", help="packages to measure where they are installed")
    parser.add_argument("--output", type=Path, default=Path("results/search/hamming.json"))
    arguments = parser.parse_args()
    faiss.omp_set_num_threads(1)
    peers = arguments.peers.split(",")
    loads = [os.getloadavg()[0]]
    nearest = {str(bits): top_k(bits, int(1e6 * arguments.scale), arguments.rounds) for bits in LENGTHS}
    radii = {str(bits): by_radius(bits, int(1e6 * arguments.scale), peers, arguments.rounds) for bits in (64, 96)}
    joins = join(arguments.scale, peers)
    loads.append(os.getloadavg()[0])
    ceiling = popcount_rate() if binding.get_host_cpu_features().get("avx512vpopcntdq") else None
    values = {
        "k": K,
        "threads": 1,
        "billion_words_per_second_by_vector_popcount": ceiling and round(ceiling / 1e9, 2),
        "nearest": nearest,
        "within_a_radius": radii,
        "all_pairs": joins,
        "goals": [goal.to_dict() for goal in _goals(nearest, joins, ceiling)] if arguments.scale == 1 else [],
        "load_before_and_after": loads,
    }
    told = [f"{bits} bits {each['ratio']['median']:.1f} x" for bits, each in nearest.items()]
    verdict = f"exact Hamming top 10 of a batch over FAISS: {', '.join(told)}"
    if "over_imagededup" in joins:
        verdict += f"; all pairs over imagededup: {joins['over_imagededup']['ratio']:.0f} x"
    write_record(arguments.output, values, verdict=verdict)
    print(verdict)


def codes_of(count: int, bits: int, seed: int) -> Codes:
    """Random codes; a tenth are near another one."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, (count, bits // 8), np.uint8)
    near = rng.integers(0, count, count // 10)
    flips = np.packbits(rng.random((len(near), bits)) < 0.05, axis=1)
    codes[rng.permutation(count)[: len(near)]] = codes[near] ^ flips
    return codes


def top_k(bits: int, count: int, rounds: int) -> dict[str, Any]:
    """Pairs a second of a batch of 1,024 queries and of one query, over FAISS's flat index."""
    codes, queries = codes_of(count, bits, 0), codes_of(1024, bits, 1)
    index = faiss.IndexBinaryFlat(bits)
    index.add(codes)
    found, theirs = nearest_codes(queries, [codes], k=K, threads=1), index.search(queries, K)[0]
    if not np.array_equal(found.counts, theirs):
        raise SystemExit(f"FAISS and we give different distances at {bits} bits: the figures would mean nothing")
    told: dict[str, Any] = {"codes": count}
    for asked, name in ((len(queries), ""), (1, "_of_one")):
        some, repeats = queries[:asked], 1 if asked > 1 else 20
        ways: dict[str, Callable[[], Any]] = {
            "ours": lambda some=some, n=repeats: [nearest_codes(some, [codes], k=K, threads=1) for _ in range(n)],
            "faiss": lambda some=some, n=repeats: [index.search(some, K) for _ in range(n)],
        }
        nearest_codes(some, [codes[:1000]], k=K, threads=1)  # compiled before the clock starts
        took = alternate(ways, rounds)
        pairs = repeats * asked * count
        rates = {way: [pairs / seconds / 1e9 for seconds in took[way]] for way in ways}
        told[f"ratio{name}"] = spread([a / b for a, b in zip(rates["ours"], rates["faiss"], strict=True)])
        told[f"billion_pairs_per_second{name}"] = {way: spread(rate) for way, rate in rates.items()}
    print(f"{bits} bits: {told}", flush=True)
    return told


def by_radius(bits: int, count: int, peers: list[str], rounds: int) -> list[dict[str, Any]]:
    """Microseconds a query and codes looked at, by every code and by multi-index hashing, and by a tree of few."""
    codes, queries = codes_of(count, bits, 0), codes_of(1000, bits, 1)
    queries[::10] = codes[: len(queries[::10])]
    began = time.perf_counter()
    index = MultiIndex(codes)
    built = time.perf_counter() - began
    told = []
    for radius in (2, 4, 8, 10, 12, 16):
        found, looked_at = index.within(queries, radius=radius, threads=1)
        every = codes_within(queries, [codes], radius=radius, threads=1)
        if not np.array_equal(found.positions, every.positions):
            raise SystemExit(f"both ways must answer alike, and do not at radius {radius}")
        took = alternate(
            {
                "tables": lambda radius=radius: index.within(queries, radius=radius, threads=1),
                "every": lambda radius=radius: codes_within(queries, [codes], radius=radius, threads=1),
            },
            rounds,
        )
        each = {way: 1e6 * statistics.median(seconds) / len(queries) for way, seconds in took.items()}
        told.append(
            {
                "codes": count,
                "radius": radius,
                "chunks": len(index.chunks),
                "build_seconds": round(built, 2),
                "microseconds": {way: round(value, 1) for way, value in each.items()},
                "looked_at": round(float(looked_at.mean()), 1),
                "found": round(len(found.query_ids) / len(queries), 3),
            }
        )
        print(f"{bits} bits: {told[-1]}", flush=True)
    if "vptree" in peers and bits == 64:
        told += _tree(codes[:20_000], queries[:20])
    return told


def _tree(codes: Codes, queries: Codes) -> list[dict[str, Any]]:
    """A vantage-point tree in Python, as the dHash tutorial has it; of fewer codes, since it takes long to build."""
    try:
        import vptree
    except ImportError:
        return []
    numbers = codes.copy().view(np.uint64)[:, 0]
    calls = 0

    def apart(a: np.uint64, b: np.uint64) -> int:
        nonlocal calls
        calls += 1
        return int(np.bitwise_count(a ^ b))

    tree = vptree.VPTree(numbers, apart)
    told = []
    for radius in (2, 10):
        calls, began = 0, time.process_time()
        found = [tree.get_all_in_range(query, radius + 1) for query in queries.copy().view(np.uint64)[:, 0]]
        told.append(
            {
                "codes": len(codes),
                "radius": radius,
                "microseconds": {"tree": round(1e6 * (time.process_time() - began) / len(queries), 1)},
                "looked_at": round(calls / len(queries), 1),
                "found": round(sum(map(len, found)) / len(queries), 3),
            }
        )
        print(f"tree: {told[-1]}", flush=True)
    return told


def join(scale: float, peers: list[str]) -> dict[str, Any]:
    """Seconds for all pairs within imagededup's default radius: ours for 1e5 and 1e6 codes, both for fewer."""
    told: dict[str, Any] = {"bits": 64, "radius": RADIUS}
    for count in (int(1e5 * scale), int(1e6 * scale)):
        codes = codes_of(count, 64, 2)
        began = time.perf_counter()
        pairs = sum(len(piece.left) for piece in code_pairs(codes, radius=RADIUS))
        seconds = time.perf_counter() - began
        told[f"{count}"] = {"seconds": round(seconds, 2), "pairs": pairs, "threads": "one a core"}
        print(f"all pairs of {count:,}: {told[str(count)]}", flush=True)
    if "imagededup" in peers:
        told |= _imagededup(codes_of(int(20_000 * scale), 64, 3))
    return told


def _imagededup(codes: Codes) -> dict[str, Any]:
    try:
        logging.disable(logging.INFO)
        from imagededup.methods import PHash
    except ImportError:
        return {}
    texts = {str(i): text for i, text in enumerate(to_hex(codes))}
    began = time.perf_counter()  # it works in processes of its own
    found = PHash(verbose=False).find_duplicates(
        encoding_map=texts, max_distance_threshold=RADIUS, search_method="brute_force_cython", num_dist_workers=0
    )
    theirs = time.perf_counter() - began
    took = []
    for _ in range(5):
        began = time.perf_counter()
        pairs = [
            (a, b)
            for piece in code_pairs(codes, radius=RADIUS, threads=1)
            for a, b in zip(piece.left, piece.right, strict=True)
        ]
        took.append(time.perf_counter() - began)
    both = {(int(a), int(b)) for a, near in found.items() for b in near if int(a) < int(b)}
    if both != {(int(a), int(b)) for a, b in pairs}:
        raise SystemExit("imagededup finds other pairs: the figures would mean nothing")
    ratios = [theirs / seconds for seconds in took]
    told = {"codes": len(codes), "pairs": len(both), "imagededup_seconds": round(theirs, 1)}
    told |= {"ours_seconds": spread(took), "ratio": round(statistics.median(ratios), 1)}
    print(f"imagededup: {told}", flush=True)
    return {"over_imagededup": told}


def _goals(nearest: dict[str, Any], joins: dict[str, Any], ceiling: float | None) -> list[Any]:
    goals = [judge("G8", each["ratio"]["median"], part=f"{bits} bits") for bits, each in nearest.items()]
    if ceiling is not None:
        rates = {bits: each["billion_pairs_per_second"]["ours"]["median"] for bits, each in nearest.items()}
        shares = {bits: 1e9 * rate * int(bits) / 32 / ceiling for bits, rate in rates.items()}
        told = ", ".join(f"{bits} bits {share:.2f}" for bits, share in shares.items())
        goals.append(judge("G9", min(shares.values()), note=f"{told}; of {ceiling / 1e9:.1f}e9 words a second"))
    if "over_imagededup" in joins:
        goals.append(judge("G27", joins["over_imagededup"]["ratio"]))
    return goals


if __name__ == "__main__":
    main()
