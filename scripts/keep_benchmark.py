"""Keep what the pages are made from of a benchmark's results: results/benchmark/NAME.json, a twentieth of the size.

Left out are each split's single edits (their means stay), perception's rows of single edits, and the examples, whose
thumbnails may not be ours to publish; numbers keep five decimals.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from merge_results import merged
from simsearch.benchmark.results import Results, read_results

DECIMALS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where `simsearch benchmark --output` wrote")
    parser.add_argument("name", help="of the kept file")
    parser.add_argument(
        "--merge", action="store_true", help="take the methods of this run over into the kept file, which has others"
    )
    parser.add_argument("--output", type=Path, default=Path("results/benchmark"))
    arguments = parser.parse_args()
    path = arguments.output / f"{arguments.name}.json"
    results = kept(read_results(arguments.folder))
    if arguments.merge:
        results = merged(Results.from_json(path.read_bytes()), results)
    text = json.loads(results.to_json(), parse_float=lambda digits: round(float(digits), DECIMALS))
    arguments.output.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(text, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def kept(results: Results) -> Results:
    """Return the results without what no page needs."""
    return replace(
        results,
        paper=tuple(replace(split, attacks=(), groups=()) for split in results.paper),
        perception=tuple(row for row in results.perception if row.transform == "all"),
        examples=(),
    )


if __name__ == "__main__":
    main()
