"""What would make a plan fit that does not: each remedy is a plan of its own, which fits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from simsearch.distance import METRICS
from simsearch.scale.planner.plan import Plan, cheaper_codes, planned
from simsearch.scale.planner.request import PlanRequest
from simsearch.scale.planner.sizes import size
from simsearch.search.indexes.choice import LEAST_CODE
from simsearch.search.indexes.spec import GPU_CODE_BYTES

BITS = (256, 96)
"""Of codes that mini's own quantisers make."""
_MOST_MACHINES = 1 << 20


def plan(request: PlanRequest) -> Plan:
    """Return the plan for a request; where something does not fit, with all that would make it fit.

    Raises:
        InputError: There is no such kind of index, or no such size of a code.
        MetricError: No index serves the metric, and exact search was not asked for.

    Example:
        >>> from simsearch.scale.planner.request import Machine, Rows
        >>> rows = Rows("mini", 512, "js", 1024, 0.169)
        >>> plan(PlanRequest(1_000_000, rows, Machine(memory=8 << 30))).fits
        True
        >>> small = plan(PlanRequest(1_000_000_000, rows, Machine(memory=24 << 30)))
        >>> [problem.what for problem in small.problems]
        ['memory while searching', 'memory while building']
    """
    found = planned(request)
    return found if found.fits else replace(found, remedies=tuple(_remedies(found)))


def _remedies(found: Plan) -> Iterator[str]:
    request = found.request
    for problem in found.problems:
        if problem.what.startswith("memory while") or problem.what == "disk":
            kind = "disk" if problem.what == "disk" else "memory"
            yield f"{size(problem.needed)} of {kind}, for {problem.what}"
    if not METRICS[request.rows.metric].of_codes and request.recall < 1:
        yield from _by_codes(request)
    yield from _by_bits(request)
    if not request.on_disk and planned(replace(request, on_disk=True)).fits:
        yield "lists that stay on the disk (--on-disk): built in pieces and merged there, each query then reads from it"
    machines = least_machines(request)
    if machines is not None and machines > request.machines:
        share = replace(request, machines=machines).share
        yield f"{machines:,} such machines as shards of {share:,} images each (--machines {machines})"
    if request.recall >= 1 and planned(replace(request, recall=0.95)).fits:
        yield "an index in place of exact search (--recall 0.95)"


def _by_codes(request: PlanRequest) -> Iterator[str]:
    """Yield the longest codes that fit."""
    quarters = tuple(range(max(LEAST_CODE, request.rows.dimension // 4), LEAST_CODE - 1, -8))
    ways = [("ivf_pq", tuple(code for code in sorted(GPU_CODE_BYTES, reverse=True) if code >= LEAST_CODE))]
    if not request.machine.gpus:
        ways = [("rabitq", quarters), ("ivf_pq", quarters)]
    for kind, codes in ways:
        cheaper = cheaper_codes(request, kind, codes)
        if cheaper is not None and (request.kind, request.bytes_a_row) != (kind, cheaper.bytes_a_row):
            name = "product codes" if kind == "ivf_pq" else "fewer bits a row"
            yield f"{name}: --kind {kind} --bytes {cheaper.bytes_a_row}, at a recall that must be measured"


def _by_bits(request: PlanRequest) -> Iterator[str]:
    """Yield the longest codes of a library of bits that fits."""
    for bits in BITS if request.rows.bits is None else ():
        codes = replace(request.rows, dimension=bits // 8, metric="hamming", bytes=bits // 8, bits=bits)
        if planned(replace(request, rows=codes, kind="auto", bytes_a_row=None)).fits:
            yield f"{bits} bits an image in place of rows (--bits {bits}), which find fewer copies (docs/bits.md)"
            return


def least_machines(request: PlanRequest) -> int | None:
    """Return how many machines of that size hold the images in shards; None where no number does."""
    fits = 1
    while not planned(replace(request, machines=fits)).fits:
        fits *= 2
        if fits > min(_MOST_MACHINES, request.images):
            return None
    low = fits // 2
    while fits - low > 1:
        middle = (low + fits) // 2
        low, fits = (low, middle) if planned(replace(request, machines=middle)).fits else (middle, fits)
    return fits
