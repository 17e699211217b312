"""A library that FAISS serves on the device: built, opened and searched there, beside the same library on the CPU."""

from __future__ import annotations

import shutil
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from measure_library import made
from proof.js_faiss_child import positive_queries, positive_rows
from proof.stage import Finding, Run, Stage, is_measured
from simsearch.library import Library
from simsearch.library.indexes.record import IndexRecord
from simsearch.library.read.matches import Matches

K, RECALL = 10, 0.95
KINDS = ("auto", "ivf_flat", "ivf_sq8", "ivf_pq")
_SECONDS = 25.0  # of a kind


def work(run: Run) -> Finding:
    """Each kind by itself."""
    rows = positive_rows(run.size(300_000, 2000), run.size(256, 16)).astype(np.float16)
    queries = positive_queries(run.size(1000, 20), rows.astype(np.float32))
    folder = run.state / "rows.library"
    shutil.rmtree(folder, ignore_errors=True)
    made(folder, rows).close()
    kinds = {kind: run.part(kind, _SECONDS, lambda kind=kind: _kind(run, folder, queries, kind)) for kind in KINDS}
    told = "; ".join(f"{kind}: {_told(found)}" for kind, found in kinds.items())
    return Finding(told, {"rows": list(rows.shape), "queries": len(queries), "recall": RECALL, "kinds": kinds})


def _kind(run: Run, folder: Path, queries: np.ndarray, kind: str) -> dict[str, Any]:
    """Build it on the device, and search by it there and on the CPU; warnings say what gave way to the CPU."""
    device = "cpu" if run.device.type == "cpu" else "cuda"
    chosen = "ivf_flat" if run.toy and kind == "auto" else kind  # so few rows would get no index
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        began = time.perf_counter()
        with Library.open(folder, device=device) as library:
            [record] = library.optimize(recall=0.8 if run.toy else RECALL, kind=chosen)
        built = time.perf_counter() - began
        there, here = (_searched(folder, name, queries) for name in (device, "cpu"))
        with Library.open(folder, device=device) as library:
            exact = library.search(queries, k=K, exact=True)
    return {
        **_facts(record),
        "seconds_to_build": round(built, 2),
        "device": {**there[1], "recall": _same(there[0], exact)},
        "cpu": {**here[1], "recall": _same(here[0], exact)},
        "same_ids_as_on_the_cpu": _same(there[0], here[0]),
        "told": [str(warning.message)[:300] for warning in caught if warning.category is RuntimeWarning],
    }


def _facts(record: IndexRecord) -> dict[str, Any]:
    return {"spec": record.spec.as_json(), "measured_on": record.device, "chosen": record.as_json()["curve"]["chosen"]}


def _searched(folder: Path, device: str, queries: np.ndarray) -> tuple[Matches, dict[str, Any]]:
    """All queries at once, then one by one, on a library opened anew."""
    with Library.open(folder, device=device) as library:
        opened = library.prepare()
        served = {ready.index.on for ready in library._resident._open.values() if ready is not None}
        found = library.search(queries, k=K)
        batch = min(_seconds(library, queries) for _ in range(3))
        single = float(np.median([_seconds(library, query[None]) for query in queries[:100]]))
        facts = {
            "served_on": sorted(served),
            "seconds_to_open": round(opened, 3),
            "queries_a_second": round(len(queries) / batch, 1),
            "seconds_for_one_query": round(single, 6),
        }
        return found, facts


def _seconds(library: Library, queries: np.ndarray) -> float:
    began = time.perf_counter()
    library.search(queries, k=K)
    return time.perf_counter() - began


def _same(a: Matches, b: Matches) -> float:
    return round(float(np.mean([len(set(x) & set(y)) / K for x, y in zip(a.ids, b.ids, strict=True)])), 4)


def _told(found: dict[str, Any]) -> str:
    if not is_measured(found):
        return str(found["not_measured"])
    there, here = found["device"], found["cpu"]
    return (
        f"{found['spec']['kind']} served on {', '.join(there['served_on'])}, {there['queries_a_second']:.0f} queries/s "
        f"at recall {there['recall']:.3f}, the CPU {here['queries_a_second']:.0f} at {here['recall']:.3f}, "
        f"{found['same_ids_as_on_the_cpu']:.3f} of the ids the same"
    )


STAGE = Stage(
    "serve",
    "Does a library build, open and search its index on FAISS's GPU, and find there what it finds on the CPU?",
    "a library of 300,000 rows of 256 dimensions; the kind chosen, lists, scalar and product codes",
    minutes=2,
    value=95,
    work=work,
    faiss=True,
)
