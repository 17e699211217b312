"""Index a folder by a model alone and with keypoints beside it, in turns, and write how much longer that takes."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from simsearch.library import AddSettings, Library
from simsearch.runtime.provenance import write_record

_TURNS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--output", type=Path, default=Path("results/spatial/indexing.json"))
    arguments = parser.parse_args()
    sources = sorted(path for path in arguments.photographs.rglob("*") if path.is_file())[: arguments.count]
    ways = {"alone": [arguments.model], "with_points": [arguments.model, "points"]}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as scratch:
        for turn in range(-1, _TURNS):  # the first compiles, and reads the files into memory
            for name, models in ways.items():
                with Library.create(Path(scratch) / f"{name}{turn}", model=models, device="cpu") as library:
                    _ = library.extractors
                    began = time.perf_counter()
                    library.add(sources, settings=AddSettings())
                    if turn >= 0:
                        seconds[name].append(time.perf_counter() - began)
    alone, both = (float(np.median(seconds[name])) for name in ways)
    verdict = (
        f"{len(sources):,} photographs are indexed by {arguments.model} in {alone:.1f} s and with keypoints in "
        f"{both:.1f} s: keypoints are {1 - alone / both:.0%} of the time."
    )
    record = {"images": len(sources), "seconds": seconds, "share_of_points": round(1 - alone / both, 4)}
    write_record(arguments.output, record, verdict=verdict)
    print(verdict)


if __name__ == "__main__":
    main()
