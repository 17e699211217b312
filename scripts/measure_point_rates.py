"""Count the rates of keypoints of another size, as of `points(bytes=8192)`, in one go: samples, rates, recall.

Runs `measure_pairs.py` over the photographs for rates, as they are and once edited, and over some others in all edits;
then `measure_fused.py`, which puts the rates beside those that the package has. A sample that is there is not made
again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_HERE = Path(__file__).parent
_PACKAGE = _HERE.parent / "simsearch" / "decide" / "rates.json"
_RESULTS = _HERE.parent / "results" / "spatial"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photographs", type=Path, help="a tar whose strangers are counted: strangers/calibration.tar")
    parser.add_argument("others", type=Path, help="a tar of whose edited copies recall is told: strangers/test.tar")
    parser.add_argument("--bytes", type=int, default=8192, help="of keypoints of a photograph")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--count", type=int, default=60, help="of the others that are edited")
    parser.add_argument("--copies", type=Path, help="as of measure_fused.py")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once")
    parser.add_argument("--samples", type=Path, required=True, help="a folder for samples, a gigabyte or so")
    parser.add_argument("--keep", type=Path, default=_PACKAGE, help="where rates are put")
    parser.add_argument("--output", type=Path, help="of the record  [default: results/spatial/fused-BYTES.json]")
    arguments = parser.parse_args()
    arguments.samples.mkdir(parents=True, exist_ok=True)
    size = ["--bytes", str(arguments.bytes), "--model", arguments.model]

    def sample(tar: Path, name: str, more: list[str]) -> str:
        path = arguments.samples / f"{name}-{arguments.bytes}.npz"
        if not path.exists():
            half = path.with_name(f"half-{path.name}")
            run("measure_pairs.py", str(tar), *size, *more, "--output", str(half))
            half.rename(path)
        return str(path)

    shards = [f"{i}/{arguments.jobs}" for i in range(arguments.jobs)]
    work = [(arguments.photographs, f"rates{i}", ["--edits", "2", "--shard", s]) for i, s in enumerate(shards)]
    some = ["--count", str(arguments.count)]
    work += [(arguments.others, f"test{i}", [*some, "--shard", s]) for i, s in enumerate(shards)]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        made = list(pool.map(lambda one: sample(*one), work))
    output = arguments.output or _RESULTS / f"fused-{arguments.bytes}.json"
    copies = [] if arguments.copies is None else ["--copies", str(arguments.copies)]
    counted, tested = made[: arguments.jobs], made[arguments.jobs :]
    kept = ["--keep", str(arguments.keep), "--output", str(output)]
    run("measure_fused.py", "--rates", *counted, "--test", *tested, *copies, *kept)


def run(script: str, *arguments: str) -> None:
    """Run a script of this folder."""
    subprocess.run([sys.executable, str(_HERE / script), *arguments], check=True)


if __name__ == "__main__":
    main()
