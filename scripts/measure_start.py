"""Measure what a command costs from its start to its answer (performance goal S6), in CPU time of all its processes.

A library of many items is made from random rows and a few photographs; then, in turn, Python imports torch and nothing
else, `simsearch query` asks for one image that is not in the library, and `simsearch index` finds nothing changed. Byte
code is kept from the first round on, which does not count, as that of an installed package is.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from goals import judge
from measure_rows import keeping_byte_code, write
from simsearch.runtime.provenance import write_record

FILES = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("results/start.json"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ways = commands(Path(folder), arguments.items)
        environment = keeping_byte_code(Path(folder))
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(arguments.rounds + 1):
            for name, command in ways.items():
                seconds[name].append(cpu_seconds(command, environment))
    taken = {
        name: each[1:] for name, each in seconds.items()
    }  # the first reads files from the disk, and writes byte code
    median = {name: statistics.median(each) for name, each in taken.items()}
    query, bare = median["query"], median["import torch"]
    goals = [
        judge("S6", query, part="query of one image", note=f"of which a bare `import torch` takes {bare:.2f}"),
        judge(
            "S6", median["index"], part="index, nothing changed", note=f"`import numpy`: {median['import numpy']:.2f}"
        ),
    ]
    verdict = "CPU seconds: " + ", ".join(f"{name} {value:.2f}" for name, value in median.items())
    told: dict[str, Any] = {"items": arguments.items, "goals": [goal.to_dict() for goal in goals], "seconds": taken}
    write_record(arguments.output, {**told, "median": median, "load_after": os.getloadavg()[0]}, verdict=verdict)
    print(verdict)


def commands(folder: Path, items: int) -> dict[str, list[str]]:
    """A library of so many items in a folder, and what is measured on it."""
    rng = np.random.default_rng(0)
    photographs = folder / "photographs"
    photographs.mkdir()
    for i in range(FILES + 1):
        place = photographs / f"{i}.jpg" if i else folder / "query.jpg"
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8))
        coarse.resize((640, 480), Image.Resampling.BICUBIC).save(place, quality=90)
    write(folder / "rows.parquet", items - FILES)
    library = ["--library", str(folder / "start.library"), "--quiet"]
    simsearch = [sys.executable, "-m", "simsearch.cli"]
    index = [*simsearch, "index", str(photographs), *library]
    subprocess.run(
        [*simsearch, "index", "--rows", str(folder / "rows.parquet"), *library], check=True, stdout=subprocess.DEVNULL
    )
    subprocess.run(index, check=True, stdout=subprocess.DEVNULL)
    return {
        "import numpy": [sys.executable, "-c", "import numpy"],
        "import torch": [sys.executable, "-c", "import torch"],
        "query": [*simsearch, "query", str(folder / "query.jpg"), *library, "--device", "cpu"],
        "index": index,
    }


def cpu_seconds(command: list[str], environment: dict[str, str]) -> float:
    """CPU time of a command and of the processes that it waited for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
