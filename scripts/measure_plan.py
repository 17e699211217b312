"""Measure what `simsearch plan` says against indexes that are built: memory within a tenth, time within a factor of 2.

Each index is built, and read again, in a process of its own over rows of 512 values in a mapped file. Memory is what
the process takes that is no file's; time is CPU time over the cores, so that a machine that does other things too
measures the same. Beside that stand machines that do not hold a number of images, and what the planner offers.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from billion_rows import anonymous, anonymous_memory, cpu_seconds
from generated_rows import BLOCK, Generated
from simsearch.runtime.provenance import write_record
from simsearch.scale import Machine, PlanRequest, Rows, plan
from simsearch.search.indexes.index import build, read
from simsearch.search.indexes.spec import IndexSpec, spec_for

DIMENSION, CORES = 512, 2
KINDS: dict[str, int | None] = {"rabitq": None, "ivf_pq": 64}
GIB = 1 << 30
MINI = Rows("mini", DIMENSION, "js", 2 * DIMENSION, 0.169)
REFUSED = {
    "1e8 images, 4 GiB": PlanRequest(10**8, MINI, Machine(2, 4 * GIB)),
    "1e9 images, 24 GiB": PlanRequest(10**9, MINI, Machine(2, 24 * GIB)),
    "1e9 images, 24 GiB, 1 TB of disk": PlanRequest(10**9, MINI, Machine(2, 24 * GIB, 10**12)),
    "1e9 images, a GPU of 80 GiB": PlanRequest(10**9, MINI, Machine(16, 128 * GIB, None, 1, 80 * GIB)),
    "1e9 images, 128 GiB, 1,000 queries/s": PlanRequest(10**9, MINI, Machine(16, 128 * GIB), queries_per_second=1000),
    "1e7 images, 8 GiB, exact search": PlanRequest(10**7, MINI, Machine(2, 8 * GIB), recall=1.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=float, nargs="+", default=[1e5, 1e6, 1e7])
    parser.add_argument("--output", type=Path, default=Path("results/scale/plan.json"))
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(child(*arguments.child)))
        return
    sizes = {f"{int(count):,}": measured(int(count)) for count in arguments.rows}
    worst = {
        name: max((max(one[name], 1 / one[name]) for size in sizes.values() for one in size.values()), default=0.0)
        for name in ("file", "memory", "building", "time")
    }
    refused = {name: told(request) for name, request in REFUSED.items()}
    verdict = (
        f"{len(sizes)} sizes, {len(KINDS)} kinds: the planner is off by a factor of {worst['memory']:.2f} at most in "
        f"memory while searching, {worst['building']:.2f} while building, {worst['file']:.3f} in the file, "
        f"{worst['time']:.2f} in time"
    )
    values = {"dimension": DIMENSION, "cores": CORES, "sizes": sizes, "worst": worst, "refused": refused}
    write_record(arguments.output, {**values, "load_after": os.getloadavg()[0]}, verdict=verdict)
    print(verdict)


def measured(count: int) -> dict[str, Any]:
    """Each kind of index over so many rows: what was planned, what it took, and the one over the other."""
    found = {}
    with tempfile.TemporaryDirectory(dir=Path.cwd() / "runs" if Path("runs").is_dir() else None) as folder:
        rows = written(Path(folder) / "rows.npy", count)
        for kind, room in KINDS.items():
            spec = spec_for(count, DIMENSION, "l2", kind=kind, bytes_a_row=room)
            index = Path(folder) / f"{kind}.faiss"
            took = {**run("build", spec, rows, index), **run("read", spec, rows, index)}
            asked = PlanRequest(count, Rows("mini", DIMENSION, "l2", 2 * DIMENSION), Machine(CORES), 0.9, kind, room)
            said = {one.name: one.value for one in plan(asked).figures}
            ratios = {
                "file": said["index on disk"] / took["bytes"],
                "memory": said["memory while searching"] / took["memory"],
                "building": said["memory while building"] / took["peak"],
                "time": said["index built in"] * CORES / took["cpu_seconds"],
            }
            found[kind] = {"took": took, "planned": said, **{name: round(value, 3) for name, value in ratios.items()}}
            print(f"{count:,} {kind}: planned over measured {ratios}", flush=True)
            index.unlink()
    return found


def written(path: Path, count: int) -> Path:
    """A file of so many rows in float16."""
    made = Generated(count, DIMENSION, torch.device("cpu"), queries=1)
    rows = np.lib.format.open_memmap(path, "w+", np.float16, (count, DIMENSION))
    for start in range(0, count, BLOCK):
        rows[start : start + BLOCK] = made[start : min(count, start + BLOCK)]
    rows.flush()
    return path


def run(what: str, spec: IndexSpec, rows: Path, index: Path) -> dict[str, float]:
    """Run a step in a process of its own."""
    given = json.dumps({"what": what, "spec": spec.as_json()})
    command = [sys.executable, __file__, "--child", given, str(rows), str(index)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def child(given: str, rows: str, index: str) -> dict[str, float]:
    """Build an index and write it, or read it; what that takes."""
    asked = json.loads(given)
    spec, path = IndexSpec.of_json(asked["spec"]), Path(index)
    values = np.load(rows, mmap_mode="r")
    warm = build(spec_for(300, DIMENSION, "l2", kind="ivf_flat"), [values[:300]], device="cpu")  # threads and libraries
    warm.close()
    before, began, cpu = anonymous(), time.perf_counter(), cpu_seconds()
    if asked["what"] == "read":
        opened = read(path, spec)
        opened.candidates(np.asarray(values[:1], np.float32), 1, 1)
        return {"memory": anonymous() - before, "bytes": path.stat().st_size}
    with anonymous_memory() as peak:
        made = build(spec, [values], device="cpu")
    took = {"cpu_seconds": cpu_seconds() - cpu, "seconds": time.perf_counter() - began, "peak": peak[0]}
    made.write(path)
    return took


def told(request: PlanRequest) -> dict[str, Any]:
    """What does not fit, and what would."""
    found = plan(request)
    return {"problems": [one.text for one in found.problems], "remedies": list(found.remedies)}


if __name__ == "__main__":
    main()
