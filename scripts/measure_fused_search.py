"""Ask a library of keypoints for edited copies through `search_fused`, and write what is found, and what it costs.

The library holds the photographs of a tar, which are edited, among many others (`simsearch index TAR FOLDER ... --model
mini --model points`, then `optimize`). Unlike in `measure_fused`, a copy must first be among the candidates.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from measure_pairs import edits_of, read
from simsearch.library import AddSettings, Library
from simsearch.runtime.provenance import write_record

_HERE = AddSettings(workers=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", type=Path)
    parser.add_argument("photographs", type=Path, help="a tar that the library holds, such as strangers/test.tar")
    parser.add_argument("--config", type=Path, default=Path("configs/today.yaml"))
    parser.add_argument("--count", type=int, default=20, help="photographs that are edited")
    parser.add_argument("--output", type=Path, default=Path("results/spatial/fused_search.json"))
    arguments = parser.parse_args()
    photographs = list(read(arguments.photographs))
    chosen = np.random.default_rng(0).permutation(len(photographs))[: arguments.count].tolist()
    found: dict[str, dict[str, list[tuple[bool, bool, bool]]]] = defaultdict(lambda: defaultdict(list))
    milliseconds, false = list[float](), 0
    with Library.open(arguments.library) as library:
        library.search_fused([photographs[chosen[0]][1]], settings=_HERE)  # compiles, opens tables
        for i in chosen:
            name, image = photographs[i]
            for group, edit in edits_of(arguments.config):
                copy = edit.apply(image, np.random.default_rng((i, len(edit.name))))
                began = time.perf_counter()
                (answer,) = library.search_fused([copy], settings=_HERE)
                milliseconds.append(1000 * (time.perf_counter() - began))
                right = [match for match in answer.matches if match.path.endswith(f"::{name}")]
                sure = [match for match in answer.matches if (match.expected_false_matches or 0) <= 1]
                false += len(sure) - len([match for match in right if match in sure])
                first = bool(answer.matches and right and answer.matches[0] is right[0])
                found[group][edit.name].append((bool(right), first, any(match in sure for match in right)))
        record = told(library, found, milliseconds, false)
    everything = sum(path.stat().st_size for path in arguments.library.rglob("*") if path.is_file())
    record["bytes_an_image"] = round(everything / record["images"])
    verdict = (
        f"In a library of {record['images']:,} photographs, {record['found']['today']['expected_at_most_1']:.1%} of "
        f"today's copies and {record['found']['paper']['expected_at_most_1']:.1%} of the paper's are found with at "
        f"most one chance match expected; a query takes {record['milliseconds']['median']:.0f} ms."
    )
    write_record(arguments.output, record, verdict=verdict)
    print(verdict)


def told(library: Library, found: Any, milliseconds: list[float], false: int) -> dict[str, Any]:
    """Return the means over edits, the times and the false matches."""
    names = ("among_ten", "first", "expected_at_most_1")
    shares = {}
    for group, edits in found.items():
        means = np.mean([np.mean(lines, axis=0) for lines in edits.values()], axis=0).round(4).tolist()
        shares[group] = dict(zip(names, means, strict=True))
    low, middle, high = np.quantile(milliseconds, (0.05, 0.5, 0.99)).round(1).tolist()
    return {
        "images": len(library),
        "queries": len(milliseconds),
        "found": shares,
        "false_matches": {"expected_at_most": len(milliseconds), "counted": false},
        "milliseconds": {"low": low, "median": middle, "p99": high},
    }


if __name__ == "__main__":
    main()
