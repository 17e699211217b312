"""Measure methods by the needle protocol: copies found at one expected false match in a library of N strangers.

    scripts/measure_needle.py --mode dev --models mini,runs/candidate/export   for choosing: prints a table
    scripts/measure_needle.py --mode test --models mini,dhash,phash,pdq        to publish: writes results/needle.json

dev edits photographs of strangers/dev and takes the rate from dev and calibration; test edits photographs of
strangers/test, which nothing was chosen on, and takes it from test and calibration. Rows and edited copies are kept
below --cache, so that another candidate costs only its own network; the edits are those of configs/today.yaml.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from simsearch.benchmark.needle_results import NeedleMethod, NeedleResults
from simsearch.benchmark.report import write_output
from simsearch.benchmark.report.needle_tables import size
from simsearch.benchmark.results import Estimate, Results, write_results
from simsearch.benchmark.run import run_benchmark
from simsearch.benchmark.settings import Settings, settings_of
from simsearch.naming import split_names
from simsearch.runtime.user_files import read_yaml

CONFIG = Path(__file__).parents[1] / "configs" / "today.yaml"
TEXTURES = ("dtd10",)
# Seen by eye: one picture in two files, or shots of one burst.
COPIES = (
    ("test.tar::imagenet-sample-1000_00186.jpg", "test.tar::imagenette160_01174.jpg"),
    ("calibration.tar::intel-scenes_00552.jpg", "test.tar::intel-scenes_00845.jpg"),
    ("calibration.tar::imagenette160_00173.jpg", "calibration.tar::imagenette160_01273.jpg"),
    ("calibration.tar::scene15_01088.jpg", "test.tar::scene15_00043.jpg"),
    ("dev.tar::imagenet-sample-1000_00526.jpg", "calibration.tar::imagenette160_01099.jpg"),
)
QUERIES = {"dev": 300, "test": 500}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=tuple(QUERIES), default="dev")
    parser.add_argument("--models", default="mini", help="names or folders of cards, with commas between them")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--queries", type=int, help="photographs that are edited; by default 300 (dev) or 500 (test)")
    parser.add_argument("--more", type=Path, nargs="*", default=[], help="more photographs that are edited; test only")
    parser.add_argument(
        "--distractors", type=Path, nargs="*", default=[], help="folders, tars or Parquet files of rows"
    )
    parser.add_argument("--bootstrap", type=int, default=1000)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--cache", type=Path, default=Path("runs/needle"), help="rows and edited copies")
    parser.add_argument("--output", type=Path, help="of test: results/needle.json; tables and plots in --cache")
    arguments = parser.parse_args()
    began = time.perf_counter()
    strangers = arguments.data / "strangers"
    results = run_benchmark(
        strangers / f"{arguments.mode}.tar",
        settings_for(arguments, strangers),
        arguments.cache / arguments.mode,
        workers=arguments.workers,
        stages=told,
        keep_copies=True,
    )
    show(results)
    print(f"{time.perf_counter() - began:.0f} s", file=sys.stderr)
    folder = arguments.cache / arguments.mode
    write_results(results, folder)
    if arguments.mode == "test":
        output = arguments.output or Path("results/needle.json")
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(results.to_json(), encoding="utf-8")
        print(f"{output}; {write_output(results, folder)}", file=sys.stderr)


def settings_for(arguments: argparse.Namespace, strangers: Path) -> Settings:
    """The committed edits, with the photographs of this mode."""
    values = read_yaml(CONFIG)
    calibration = strangers / "calibration.tar"
    values |= {
        "models": split_names(arguments.models),
        "bootstrap": arguments.bootstrap,
        "device": arguments.device,
    }
    values["needle"] |= {
        "queries": arguments.queries or QUERIES[arguments.mode],
        "more": arguments.more,
        "strangers": [calibration],
        "textures": TEXTURES,
        "known_copies": COPIES,
        "pictures": calibration,
        "distractors": arguments.distractors,
    }
    return settings_of(values)


def show(results: Results) -> None:
    """Print recalls: groups at every library at one expected false match, then every edit at the middle one."""
    needle = results.needle
    assert needle is not None
    print(
        f"{sum(one.queries for one in needle.sources)} photographs edited, "
        f"{sum(one.photographs for one in needle.sources if not one.textures):,} strangers, {needle.pairs:,} pairs; "
        "(): not supported"
    )
    head = [f"{group} {size(needle.limits[i])}" for group in needle.group_edits for i in needle.main]
    width = max(len(one.method) for one in needle.methods)
    print(" " * width, *(f"{text:>11}" for text in head))
    for one in needle.methods:
        print(f"{one.method:{width}}", *(f"{cell(group.recall[i]):>11}" for group in one.groups for i in needle.main))
    middle = needle.middle
    print(f"\neach edit at N = {size(needle.limits[middle])}:")
    for number, edit in enumerate(needle.methods[0].edits):
        print(f"{edit.name:32}", *(f"{cell(one.edits[number].recall[middle]):>8}" for one in needle.methods))
    print("\nthe first 21 of today's:", *(f"{first(needle, one, middle):.3f}" for one in needle.methods))


def first(needle: NeedleResults, one: NeedleMethod, limit: int, count: int = 21) -> float:
    """The mean of the first edits of today's, which other records hold."""
    names = needle.group_edits.get("today", ())[:count]
    found = [edit.recall[limit] for edit in one.edits if edit.name in names]
    return sum(share.value for share in found if share) / max(1, len(found))


def cell(share: Estimate | None) -> str:
    """A share, in parentheses where the strangers do not support it."""
    if share is None:
        return "-"
    text = f"{share.value:.3f}"
    return text if share.supported else f"({text})"


@contextlib.contextmanager
def told(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """Tell of a stage on stderr, at most every ten seconds."""
    began = last = time.perf_counter()

    def progress(done: int, total: int | None) -> None:
        nonlocal last
        if time.perf_counter() - last > 10:
            last = time.perf_counter()
            print(f"{name} {done:,}{f' of {total:,}' if total else ''}", file=sys.stderr, flush=True)

    yield progress
    print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
