"""The part of the page on a billion images that is computed or measured: what it costs, what does not fit, how true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from measure_plan import GIB, MINI, REFUSED
from simsearch.benchmark.report.markdown import cell, table
from simsearch.scale import Machine, Plan, PlanRequest, Rows, plan

Record = Mapping[str, Any]
BILLION, MILLION = 10**9, 10**6
CODES = Rows("mini", 12, "hamming", 12, MINI.gmac, 96)
LARGE = Rows("simclr_v1_r50_1x", 2048, "js", 4096, 4.087)
SERVER, H200 = Machine(16, 128 * GIB), Machine(16, 128 * GIB, None, 1, 139 * GIB)
ASKED = {
    "rows of mini, a server": PlanRequest(BILLION, MINI, SERVER),
    "rows of mini, an H200": PlanRequest(BILLION, MINI, H200),
    "96 bits of mini, two cores and 24 GiB": PlanRequest(BILLION, CODES, Machine(2, 24 * GIB)),
    "rows of mini, four machines of 24 GiB": PlanRequest(BILLION, MINI, Machine(2, 24 * GIB), machines=4),
    "rows of SimCLR's ResNet-50, an H200, product codes": PlanRequest(
        BILLION, LARGE, H200, kind="ivf_pq", bytes_a_row=64
    ),
}
SHOWN = (
    "bytes a row",
    "library on disk",
    "index on disk",
    "memory while searching",
    "memory of the GPUs while searching",
    "memory while building",
    "embedding",
    "rows taken in",
    "index built in",
    "recall measured in",
    "queries",
)


def billion_page(checked: Record, rows: Record, codes: Record) -> list[str]:
    """Return the lines between the page's markers.

    Args:
        checked: `results/scale/plan.json`.
        rows: `results/search/billion_rows.json`.
        codes: `results/search/billion.json`.
    """
    return [
        "## What it costs",
        "",
        *_costs({name: plan(request) for name, request in ASKED.items()}),
        "",
        "## What does not fit, and what would",
        "",
        *_refusals(),
        "",
        "## How true that is",
        "",
        *_checked(checked),
        "",
        f"`scripts/measure_billion.py --part rows`: {rows['verdict']}. {_spectrum(rows)}",
        "",
        f"`scripts/measure_billion.py`: {codes['verdict']}.",
    ]


def _costs(plans: Mapping[str, Plan]) -> Iterator[str]:
    yield (
        "`simsearch plan` for a billion images, or the share of one of several machines; a server has 16 cores and "
        "128 GiB, an H200 139 GiB beside these. c: computed from sizes; m: measured at this size; e: extrapolated from "
        "a measurement; p: from what is published of a GPU, since none has run it."
    )
    yield ""
    lines = [["index", *(_index(found) for found in plans.values())]]
    for name in SHOWN:
        lines.append([cell(name), *(_figure(found, name) for found in plans.values())])
    lines.append(["a million images embedded", *(_embedded(found) for found in plans.values())])
    lines.append(["a million images on disk", *(_on_disk(found) for found in plans.values())])
    lines.append(["fits", *("yes" if found.fits else "no" for found in plans.values())])
    yield from table(["", *map(cell, plans)], lines)


def _figure(found: Plan, name: str) -> str:
    return next((f"{one.text} {one.how[0]}" for one in found.figures if one.name == name), "")


def _index(found: Plan) -> str:
    return f"{found.spec.kind}, {'GPU' if found.on_gpu else 'CPU'}"


def _embedded(found: Plan) -> str:
    seconds = found.figure("embedding").value * MILLION / found.request.share
    machine = found.request.machine
    of_gpus = f", {seconds * machine.gpus:,.0f} GPU-seconds" if machine.gpus else ""
    return f"{seconds * machine.cores:,.0f} core-seconds{of_gpus}"


def _on_disk(found: Plan) -> str:
    total = sum(one.value for one in found.figures if one.name.endswith("on disk"))
    return f"{total * MILLION / found.request.share / 1e6:,.0f} MB"


def _refusals() -> Iterator[str]:
    lines = []
    for name, request in REFUSED.items():
        found = plan(request)
        said = "; ".join(one.text for one in found.problems) or "it fits"
        lines.append([cell(name), cell(said), cell("; ".join(found.remedies) or "nothing that was looked at")])
    yield from table(["asked", "does not fit", "would"], lines)


def _checked(record: Record) -> Iterator[str]:
    yield (
        f"`scripts/measure_plan.py`, rows of {record['dimension']} values, planned over measured; time is CPU time on "
        f"{record['cores']} cores. The goal is 0.9 to 1.1 for memory and 0.5 to 2 for time, at 1e5, 1e6 and 1e7 rows; "
        "what is not in the table was not measured yet."
    )
    yield ""
    lines = [
        [rows, kind, *(f"{one[name]:.2f}" for name in ("file", "memory", "building", "time"))]
        for rows, kinds in record["sizes"].items()
        for kind, one in kinds.items()
    ]
    yield from table(["rows", "index", "file", "memory, searching", "memory, building", "time"], lines)


def _spectrum(record: Record) -> str:
    found, planted = record["spectrum"], record["planted_among_the_ten_nearest"]
    return (
        f"The rows have full rank: the first direction holds {found['first'][0]:.1%} of the variance, the first 32 "
        f"{found['first_32']:.0%}, the last {found['last']:.2%}; {found['effective_directions']:.0f} of "
        f"{record['dimension']} count alike. Of the ten nearest of a query {planted:.1%} are its planted copies."
    )
