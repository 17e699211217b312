"""The measured part of the page on duplicates: beside other tools, and how long it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from simsearch.benchmark.report.labels import edit_title
from simsearch.benchmark.report.markdown import cell, table

Record = Mapping[str, Any]


def duplicates_page(peers: Record, speed: Record) -> list[str]:
    """Return the lines between the page's markers.

    Args:
        peers: `results/act/peers.json`.
        speed: `results/act/duplicates.json`.
    """
    return [*_beside(peers), "", *_by_edit(peers), "", *_speed(speed)]


def _beside(record: Record) -> Iterator[str]:
    any_run = next(iter(record["runs"].values()))
    yield (
        f"**Beside other tools** (`scripts/measure_duplicates_peers.py`): {record['files']:,} files, photographs of "
        f"BSDS500 with {any_run['true']:,} edited copies of them, and strangers. Found: the share of copies that "
        "come into one group with their original; right: the share of the pairs shown that are copies. Seconds are of "
        "two CPU cores, start, decoding and embedding included; the numbers behind the names are limits."
    )
    yield ""
    runs = record["runs"].items()
    lines = [
        [cell(name), f"{run['found']:.3f}", f"{run['precision']:.4f}", str(run["wrong"]), f"{run['seconds']:.1f}"]
        for name, run in runs
    ]
    yield from table(["", "found", "right", "wrong pairs", "seconds"], lines)


def _by_edit(record: Record) -> Iterator[str]:
    names = [name for name in record["runs"] if name in _SHOWN]
    yield "Share found by edit:"
    yield ""
    lines = [
        [cell(edit_title(edit)), *(f"{record['runs'][name]['by_edit'][edit]:.2f}" for name in names)]
        for edit in record["edits"]
    ]
    yield from table(["edit", *names], lines)


def _speed(record: Record) -> Iterator[str]:
    before, after = record["load_before_and_after"]
    cores = record["measured"]["machine"]["cores"]
    busy = f" Codes were measured beside other work (load {before:.1f} to {after:.1f} on {cores} cores)."
    busy = busy if before > cores else ""
    yield f"**How long it takes** (`scripts/measure_duplicates.py`): {record['verdict']}.{busy}"
    if "planned" in record:
        plan = record["planned"]
        yield ""
        hours, memory = f"{plan['hours']:.2g} hours", f"{plan['peak_mib']:,} MiB"
        yield f"Planned from it, not measured: {plan['codes']:,} codes {hours} and {memory} of memory."


_SHOWN = (
    "simsearch mini",
    "simsearch mini, 0.3",
    "simsearch mini, flips",
    "imagededup PHash:10",
    "perception PHash:0.2",
)
