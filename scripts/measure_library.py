"""Measure what removing costs in a large library (goal G28), what an index costs to open, and how threads are answered.

A library of clustered rows is made of segments as workers hand them over; a hundred items are removed, beside FAISS's
own `remove_ids` from a flat index of as many rows; then a tenth of all, and searches are timed before and after.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import faiss
import numpy as np
import torch

from goals import judge
from measure_js import clustered, spread
from simsearch.library import Library, write_segment
from simsearch.library.format.channel import Channel
from simsearch.library.format.commit import Change
from simsearch.library.format.items import Item, items_batch, rejects_batch
from simsearch.library.format.manifest import Manifest
from simsearch.library.format.segment import ChannelRows, SegmentDraft
from simsearch.runtime.provenance import write_record

LARGE, DIMENSION, SEGMENT = 1_000_000, 512, 1 << 18
REMOVED, REMOVALS = 100, 9
QUERIES = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows; below 1 to try the script")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("results/library.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    faiss.omp_set_num_threads(arguments.threads)
    task = clustered(int(LARGE * arguments.scale), DIMENSION, QUERIES)
    with tempfile.TemporaryDirectory(dir=Path.cwd() / "runs" if Path("runs").is_dir() else None) as folder:
        library = made(Path(folder) / "rows.library", task.rows)
        values = measure(library, task.rows, task.queries.astype(np.float32), arguments.rounds)
    over = values["removed_over_faiss"]
    share = values["seconds_to_remove"]["commit"]["median"] / values["seconds_to_remove"]["library"]["median"]
    note = f"{share:.0%} of it is a commit that outlasts a power cut, which FAISS's index in memory has not; "
    note += f"10 % removed: exact search x {values['slower_exact']}, by index x {values['slower_index']}"
    goal = judge("G28", over, note=note)
    values["goals"] = [goal.to_dict()] if arguments.scale == 1 else []
    values["load_after"] = os.getloadavg()[0]
    verdict = f"removing {REMOVED} of {len(task.rows):,}: {over:.0f} times FAISS's remove_ids; {goal.note}"
    write_record(arguments.output, values, verdict=verdict)
    print(verdict)


def made(folder: Path, rows: np.ndarray, *, dtype: str = "float16", metric: str = "js") -> Library:
    """A library that holds these rows, the i-th as `/rows/i`."""
    (folder / "segments").mkdir(parents=True)
    Manifest(folder).create([Channel("rows", "nobody", "r0", rows.shape[1], dtype, metric, metric == "js")])
    library = Library.open(folder, device="cpu")
    for start in range(0, len(rows), SEGMENT):
        part = rows[start : start + SEGMENT]
        items = [Item(b"/rows", str(start + i).encode(), None, n_bytes=1, mtime_ns=1) for i in range(len(part))]
        incoming = folder.parent / uuid4().hex
        write_segment(
            incoming,
            SegmentDraft(items_batch(items), {"rows": ChannelRows.whole(part)}, rejects_batch([])),
            library.channels,
        )
        library.adopt(incoming)
    return library


def measure(library: Library, rows: np.ndarray, queries: np.ndarray, rounds: int) -> dict[str, Any]:
    """All figures."""
    began = time.perf_counter()
    [record] = library.optimize(recall=0.95, kind="rabitq")
    values: dict[str, Any] = {
        "rows": len(rows),
        "dimension": rows.shape[1],
        "seconds_to_optimize": time.perf_counter() - began,
    }
    with Library.open(library.path, device="cpu") as opened:
        values["opened_in"] = {"library": opened.opened_in, "index": opened.prepare(), "index_bytes": record.bytes}
    rng = np.random.default_rng(0)
    ways: dict[str, Callable[[], Any]] = {
        "exact": lambda: library.search_rows(queries, exact=True),
        "index": lambda: library.search_rows(queries),
    }
    values["threads"] = together(library, queries)
    before = {name: _timed(work, rounds) for name, work in ways.items()}
    tenth, *hundreds = np.split(rng.permutation(len(rows)), len(rows) // 10 + REMOVED * np.arange(REMOVALS + 2))[:-1]
    values["seconds_to_remove"] = ours = removals(library, rows, hundreds)
    library.remove([f"/rows/{i}" for i in tenth])
    after = {name: _timed(work, rounds) for name, work in ways.items()}
    values["seconds_of_searches"] = {"queries": len(queries), "before": before, "after_a_tenth_was_removed": after}
    for name in ways:
        values[f"slower_{name}"] = round(after[name]["median"] / before[name]["median"], 3)
    return {**values, "removed_over_faiss": round(ours["faiss"]["median"] / ours["library"]["median"], 1)}


def removals(library: Library, rows: np.ndarray, hundreds: Sequence[np.ndarray]) -> dict[str, Any]:
    """Seconds of each removal: by the library, of a commit that removes nothing, by FAISS."""
    flat: Any = faiss.IndexFlatL2(rows.shape[1])
    for start in range(0, len(rows), SEGMENT):
        flat.add(rows[start : start + SEGMENT].astype(np.float32))

    os.sync()  # what was written before is not to be waited for
    took: dict[str, list[float]] = {"library": [], "commit": [], "faiss": []}
    for hundred in hundreds:
        names = [f"/rows/{i}" for i in hundred]
        took["library"].append(_seconds(partial(library.remove, names)))
        unchanged = Change(library.snapshot.state.next_id)
        took["commit"].append(_seconds(partial(Manifest(library.path).commit, unchanged)))
    for hundred in hundreds:
        took["faiss"].append(_seconds(partial(flat.remove_ids, np.sort(hundred))))
    first = {name: seconds[0] for name, seconds in took.items()}  # it also imports and touches pages
    return {"first": first, **{name: spread(seconds[1:], 6) for name, seconds in took.items()}}


def together(library: Library, queries: np.ndarray) -> dict[str, float]:
    """Queries a second of single calls one after the other, and of as many from sixteen threads, by exact search."""
    few = queries[:64]
    began = time.perf_counter()
    for query in few:
        library.search_rows(query, exact=True)
    alone = len(few) / (time.perf_counter() - began)
    with ThreadPoolExecutor(16) as pool:
        began = time.perf_counter()
        list(pool.map(lambda query: library.search_rows(query, exact=True), few))
        sixteen = len(few) / (time.perf_counter() - began)
    return {"one_thread": round(alone, 1), "sixteen_threads": round(sixteen, 1)}


def _timed(work: Callable[[], Any], rounds: int) -> dict[str, Any]:
    work()
    return spread([_seconds(work) for _ in range(rounds)])


def _seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
