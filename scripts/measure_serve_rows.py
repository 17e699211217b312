"""Measure the service over loopback HTTP on rows of 512 values by js: exactly, and by an index; write a JSON record.

The rows are non-negative, of clusters, as a model's are. Half of the queries are near a row that is there. Single
look-ups (by row) and batches of 64, p50 and p99, and the memory. The goal is --rows 1000000.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from http_load import closed, post
from serve_process import command_for, resident, serving, told
from simsearch.extract import floats_to_base64, load_extractor
from simsearch.library import Library
from simsearch.runtime.provenance import write_record

BATCH, AT_ONCE, DIMENSION, CLUSTERS = 64, 1 << 15, 512, 4096


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--recall", type=float, default=0.95, help="of the index, at 10")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--lines", type=int, default=8, help="connections")
    parser.add_argument("--output", type=Path, default=Path("results/serve/rows.json"))
    arguments = parser.parse_args()
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir="runs" if Path("runs").is_dir() else None) as folder:
        asked = library_of(arguments.rows, Path(folder))
        library = Path(folder) / "rows.library"
        values: dict[str, Any] = {"rows": arguments.rows, "dimension": DIMENSION, "batch": BATCH}
        values["exact"], exact = lookups(library, asked, arguments)
        with Library.open(library, device="cpu") as opened:
            built = opened.optimize(recall=arguments.recall)
        values["index"], by_index = lookups(library, asked, arguments)
        shares = [len(one & other) / len(one) for one, other in zip(exact, by_index, strict=True)]
        kind = built[0].spec.kind if built else "none: so few rows are as fast without"
        values["index"] |= {"kind": kind, "share_of_exact": round(float(np.mean(shares)), 4)}
    values |= {"cores": sorted(os.sched_getaffinity(0)), "load_before_and_after": [load_before, os.getloadavg()[0]]}
    parts = [
        f"{name}: {found['single']['lookups_a_second']:,.0f} look-ups a second one at a time "
        f"(p99 {found['single']['p99_ms']:.0f} ms), {found['batches']['lookups_a_second']:,.0f} in batches of {BATCH}, "
        f"{found['mib_resident']:,.0f} MiB"
        for name, found in (("exact", values["exact"]), ("by index", values["index"]))
    ]
    verdict = f"{arguments.rows:,} rows of {DIMENSION} by js; {'; '.join(parts)}"
    write_record(arguments.output, values, verdict=verdict)
    print(verdict)


def library_of(count: int, folder: Path) -> np.ndarray:
    """Write a library of rows without images, and return rows to ask by."""
    rng = np.random.default_rng(0)
    centres = rng.gamma(0.4, 1.0, (CLUSTERS, DIMENSION)).astype(np.float32)
    extractor, asked = load_extractor("mini", device="cpu"), []
    names = ["path", "sha256", "embedding"]
    kinds = [pa.string(), pa.string(), pa.list_(pa.float32(), DIMENSION)]
    facts = {"model": extractor.name, "fingerprint": extractor.fingerprint}
    schema = pa.schema(list(zip(names, kinds, strict=True)), facts)
    with pq.ParquetWriter(folder / "rows.parquet", schema) as writer:
        for start in range(0, count, AT_ONCE):
            numbers = range(start, min(start + AT_ONCE, count))
            rows = centres[rng.integers(0, CLUSTERS, len(numbers))]
            rows = np.maximum(rows + rng.normal(0, 0.15, rows.shape).astype(np.float32), 0)
            asked.append(rows[:64].copy())
            columns = [
                pa.array([f"/rows/{i}" for i in numbers]),
                pa.array([hashlib.sha256(str(i).encode()).hexdigest() for i in numbers]),
                pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), DIMENSION),
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    with Library.create(folder / "rows.library", model="mini", device="cpu") as library:
        library.add_rows(folder / "rows.parquet")
    near = np.concatenate(asked)[:512]
    strangers = rng.gamma(0.4, 1.0, near.shape).astype(np.float32)
    moved = np.maximum(near + rng.normal(0, 0.05, near.shape).astype(np.float32), 0)
    return np.stack([moved, strangers], axis=1).reshape(-1, DIMENSION)


def lookups(library: Path, asked: np.ndarray, arguments: argparse.Namespace) -> tuple[dict[str, Any], list[set[int]]]:
    """Look-ups a second, and the ids of the first answers."""
    texts = floats_to_base64(asked)
    singles = [post("/v1/search", json.dumps({"row": text, "k": 10}).encode()) for text in texts]
    batches = [
        post("/v1/search/batch", json.dumps({"rows": texts[start : start + BATCH], "k": 10}).encode())
        for start in range(0, len(texts) - BATCH + 1, BATCH)
    ]
    how = {"lines": arguments.lines, "seconds": arguments.seconds}
    with serving(command_for(library, "--device", "cpu")) as (process, port):
        first = closed(port, batches[:1], lines=1, seconds=0, keep=1)
        found = {
            "single": told(closed(port, singles, **how), 1),
            "batches": told(closed(port, batches, **how), BATCH),
            "mib_resident": resident(process.pid),
            "mib_own": resident(process.pid, "RssAnon"),
        }
    answers = json.loads(first.bodies[0])["answers"]
    return found, [{match["id"] for match in answer["matches"]} for answer in answers]


if __name__ == "__main__":
    main()
