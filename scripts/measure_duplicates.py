"""Measure the search for duplicates, and write a JSON record: rows by index and exactly, and codes of 96 bits.

Rows: a library of clustered rows by js, and the distance at which a row has about one near another; the share of all
pairs that the index finds. Codes: a tenth of them copies of others with up to 10 bits changed; the recall on a sample
against comparing it with all. Each part runs in a process of its own, whose peak of memory is told; `--rows 0` measures
codes alone, and takes the rows of the record that is there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.runtime.provenance import write_record

RADIUS, BITS = 10, 96
GOALS = {"exact_seconds": 300.0, "by_index_seconds": 60.0, "recall": 0.99, "codes_seconds": 15.0}
_SEGMENT = 1 << 15  # items
_SAMPLE = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--codes", type=int, nargs="*", default=[1_000_000, 10_000_000])
    parser.add_argument("--plan", type=int, default=50_000_000, help="codes whose time and memory are planned")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("results/act/duplicates.json"))
    arguments = parser.parse_args()
    loads = [os.getloadavg()[0]]
    if arguments.rows:
        rows = rows_both_ways(arguments.rows, arguments.dimension, arguments.threads)
    else:
        rows = json.loads(arguments.output.read_bytes())["rows"]
    codes = {f"{count}": alone(pairs_of_codes, count, arguments.threads) for count in arguments.codes}
    values: dict[str, Any] = {"threads": arguments.threads, "rows": rows, "codes": codes, "goals_of_issue_24": GOALS}
    if len(codes) > 1:
        values["planned"] = planned(codes, arguments.plan)
    values["load_before_and_after"] = [*loads, os.getloadavg()[0]]
    verdict = (
        f"{rows['count']:,} rows of {rows['dimension']}: exactly {rows['exact']['seconds']:g} s, by index "
        f"{rows['by_index']['optimize_seconds']:g} + {rows['by_index']['seconds']:g} s with {rows['recall']:.1%} of "
        "the pairs; "
        + "; ".join(f"{int(n):,} codes {one['seconds']:g} s, recall {one['recall']:.4f}" for n, one in codes.items())
    )
    write_record(arguments.output, values, verdict=verdict)
    print(verdict)


def rows_both_ways(count: int, dimension: int, threads: int) -> dict[str, Any]:
    """Return the figures of a library of rows, by comparing all and by index."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        rows = alone(make_library, home / "library", count, dimension, threads)
        for name in ("exact", "by_index"):
            rows[name] = alone(pairs_of_rows, home / "library", rows["limit"], name == "by_index", threads)
        keys = [np.load(home / f"{name}.npy") for name in ("exact", "by_index")]
    if not np.isin(keys[1], keys[0]).all():
        raise SystemExit("the index gives pairs that are none: the figures would mean nothing")
    rows["recall"] = round(len(keys[1]) / max(1, len(keys[0])), 4)
    return rows


def alone(work: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Do some work in a new process, and return its figures with the peak of memory."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = pool.submit(_measured, work, arguments).result()
    print(work.__name__, found, flush=True)
    return found


def _measured(work: Callable[..., dict[str, Any]], arguments: tuple[Any, ...]) -> dict[str, Any]:
    figures = work(*arguments)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {**figures, "peak_mib": round(peak / 2**20)}


def make_library(folder: Path, count: int, dimension: int, threads: int) -> dict[str, Any]:
    """Write a library of clustered rows, and return the median distance of the nearest neighbour."""
    import torch

    from measure_js import clustered
    from simsearch.library import Library
    from simsearch.library.format.items import Item, items_batch, rejects_batch
    from simsearch.library.format.segment import ChannelRows, SegmentDraft, write_segment
    from simsearch.search.exact import knn

    torch.set_num_threads(threads)
    rows = clustered(count, dimension, 1).rows.astype(np.float16)
    with Library.create(folder, model=_Rows.of(dimension), device="cpu") as library:
        for start in range(0, count, _SEGMENT):
            some = rows[start : start + _SEGMENT]
            contents = [hashlib.sha256(b"%d" % (start + i)).digest() for i in range(len(some))]
            items = items_batch([Item(None, None, content, quality=80) for content in contents])
            kept = {library.channel.name: ChannelRows.whole(some)}
            segment = folder.parent / f"segment-{start}"
            write_segment(segment, SegmentDraft(items, kept, rejects_batch([])), library.channels)
            library.adopt(segment)
    some = np.random.default_rng(0).choice(count, min(_SAMPLE, count), replace=False)
    nearest = knn(rows[np.sort(some)], [rows], k=2, metric="js", device="cpu")
    return {"count": count, "dimension": dimension, "limit": float(np.median(nearest.distances[:, 1]))}


def pairs_of_rows(folder: Path, limit: float, by_index: bool, threads: int) -> dict[str, Any]:
    """Find all near pairs of the library, and keep their numbers beside it."""
    import faiss
    import torch

    from simsearch.library import AddSettings, Library
    from simsearch.library.duplicates.search import DuplicateSearch

    torch.set_num_threads(threads)
    faiss.omp_set_num_threads(threads)
    figures: dict[str, Any] = {}
    with Library.open(folder, device="cpu") as library:
        if by_index:
            began = time.perf_counter()
            library.optimize(recall=GOALS["recall"], kind="ivf_flat")
            figures["optimize_seconds"] = round(time.perf_counter() - began, 1)
        how: dict[str, Any] = {"grouping": "pairs", "keep": "best", "views": (), "settings": AddSettings()}
        search = DuplicateSearch(library, library.channel, None, **how)
        began = time.perf_counter()
        found = search.pairs(None, {"max_distance": limit}, resident=library._resident if by_index else None)
        figures["seconds"] = round(time.perf_counter() - began, 1)
        # Merging renumbers places, ids stay.
        ids = np.concatenate([segment.ids for segment in library.snapshot.segments])
        ends = np.sort(np.stack([ids[found.near.left], ids[found.near.right]]), axis=0)
    np.save(folder.parent / ("by_index.npy" if by_index else "exact.npy"), (ends[0] << 32) | ends[1])
    return {**figures, "pairs": len(found.near), "recall_of_ten": None if found.recall is None else found.recall.value}


def pairs_of_codes(count: int, threads: int) -> dict[str, Any]:
    """Find all pairs of codes within the radius."""
    from simsearch.search.hamming.search import codes_within
    from simsearch.search.self_join import code_pairs

    codes = _codes(count)
    list(code_pairs(codes[:10_000], radius=RADIUS, threads=threads))  # which compiles
    sample = np.sort(np.random.default_rng(1).choice(count, min(_SAMPLE, count), replace=False))
    pairs, found = 0, set[tuple[int, int]]()
    began = time.perf_counter()
    for piece in code_pairs(codes, radius=RADIUS, threads=threads):
        pairs += len(piece.left)
        chosen = np.isin(piece.left, sample)
        found.update(zip(piece.left[chosen].tolist(), piece.right[chosen].tolist(), strict=True))
    seconds = time.perf_counter() - began
    true = codes_within(codes[sample], [codes], radius=RADIUS, threads=threads)
    left = sample[true.query_ids]
    expected = {(a, b) for a, b in zip(left.tolist(), true.positions.tolist(), strict=True) if b > a}
    recall = len(found & expected) / max(1, len(expected))
    return {"seconds": round(seconds, 2), "pairs": pairs, "recall": recall, "expected_in_sample": len(expected)}


def planned(codes: dict[str, dict[str, Any]], count: int) -> dict[str, Any]:
    """Return hours and memory of more codes, by how both grew from the first to the last that were measured."""
    (few, first), *_, (many, last) = ((int(n), one) for n, one in codes.items())
    power = math.log(max(last["seconds"], 0.01) / max(first["seconds"], 0.01)) / math.log(many / few)
    each = max(0.0, (last["peak_mib"] - first["peak_mib"]) / (many - few))
    return {
        "codes": count,
        "hours": round(last["seconds"] * (count / many) ** max(power, 1.0) / 3600, 2),
        "power_of_the_number": round(power, 2),
        "peak_mib": round(last["peak_mib"] + each * (count - many)),
    }


def _codes(count: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (count, BITS // 8), dtype=np.uint8)
    copies = count // 10
    codes[-copies:] = codes[rng.integers(0, count - copies, copies)]
    for _ in range(RADIUS):
        bits = rng.integers(0, BITS, copies)
        codes[np.arange(count - copies, count), bits // 8] ^= (rng.random(copies) < 0.6) * (1 << (bits % 8)).astype(
            np.uint8
        )
    return codes


class _Rows:
    """The model of rows that no image has."""

    @staticmethod
    def of(dimension: int) -> Any:
        from simsearch import Extractor
        from simsearch.images import Preprocessing

        class Rows(Extractor):
            name, fingerprint, non_negative, metric = "rows", "0" * 64, True, "js"
            preprocessing = Preprocessing(8, "squash", 8, "box", (0, 0, 0), (1, 1, 1))

            def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
                raise NotImplementedError

        Rows.dimension = dimension
        return Rows()


if __name__ == "__main__":
    main()
