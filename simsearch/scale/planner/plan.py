"""A plan: which index, what everything takes, whether that fits, and if not, what would."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from simsearch.distance import METRICS
from simsearch.errors import IndexFailed
from simsearch.scale.planner import costs, rates
from simsearch.scale.planner.figures import Figure
from simsearch.scale.planner.request import PlanRequest
from simsearch.scale.planner.sizes import size
from simsearch.search.indexes.choice import index_for
from simsearch.search.indexes.footprint import footprint
from simsearch.search.indexes.gpu_limits import SHARE
from simsearch.search.indexes.spec import GPU_KINDS, IndexSpec, spec_for

PART = 1 << 22
"""Rows of a piece of an index that is built piece by piece, at most."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What does not fit.

    Attributes:
        what: Of which there is too little.
        needed: How much is needed.
        there: How much there is.
        text: In words.
    """

    what: str
    needed: float
    there: float
    text: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a number of images costs on a machine, or on each of several.

    Attributes:
        request: What was asked.
        spec: Of the index.
        on_gpu: Whether GPUs hold it.
        figures: Everything that it takes.
        problems: What does not fit; empty where everything does.
        remedies: What would make it fit.
    """

    request: PlanRequest
    spec: IndexSpec
    on_gpu: bool
    figures: tuple[Figure, ...]
    problems: tuple[Problem, ...]
    remedies: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether everything fits."""
        return not self.problems

    def figure(self, name: str) -> Figure:
        """Return the figure of that name."""
        return next(one for one in self.figures if one.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        figures = [
            {
                "name": one.name,
                "value": one.value,
                "unit": one.unit,
                "how": one.how,
                "arithmetic": one.arithmetic,
                "sources": list(one.sources),
            }
            for one in self.figures
        ]
        problems = [
            {"what": one.what, "needed": one.needed, "there": one.there, "text": one.text} for one in self.problems
        ]
        return {
            "images": self.request.images,
            "machines": self.request.machines,
            "model": self.request.rows.model,
            "index": {**self.spec.as_json(), "bytes_a_row": self.spec.row_bytes, "on_gpu": self.on_gpu},
            "fits": self.fits,
            "figures": figures,
            "problems": problems,
            "remedies": list(self.remedies),
        }


def planned(request: PlanRequest) -> Plan:
    """Return the plan for a request, without remedies.

    Raises:
        InputError: There is no such kind of index, or no such size of a code.
        MetricError: No index serves the metric, and exact search was not asked for.
    """
    spec, on_gpu = _spec(request)
    figures = tuple(_figures(spec, request, on_gpu=on_gpu))
    return Plan(request, spec, on_gpu, figures, tuple(_problems(spec, request, figures, on_gpu=on_gpu)))


def _spec(request: PlanRequest) -> tuple[IndexSpec, bool]:
    """Return the index by the rule of `optimize`, and whether GPUs hold it."""
    rows, machine, count = request.rows, request.machine, request.share
    kind = "flat" if request.recall >= 1 and not METRICS[rows.metric].of_codes else request.kind
    room = None if machine.gpu_room is None else int(SHARE * machine.gpu_room)
    how: dict[str, Any] = {"kind": kind, "bytes_a_row": request.bytes_a_row, "gpu_room": room}
    if kind == "flat" and not METRICS[rows.metric].indexed:
        return IndexSpec("flat", rows.metric, rows.dimension), False
    try:
        spec = index_for(count, rows.dimension, rows.metric, memory=None if request.on_disk else machine.memory, **how)
    except IndexFailed:
        spec = spec_for(count, rows.dimension, rows.metric, **how)
    served = room is not None and spec.kind in GPU_KINDS and not METRICS[rows.metric].of_codes
    return spec, served and spec.kind != "flat" and footprint(spec, count).memory <= (room or 0)


def _figures(spec: IndexSpec, request: PlanRequest, *, on_gpu: bool) -> Iterator[Figure]:
    """Yield all figures of one of the machines."""
    found, count = footprint(spec, request.share), request.share
    exact = spec.kind == "flat" and not METRICS[spec.metric].of_codes
    yield Figure("bytes a row", 0 if exact else spec.row_bytes, "bytes", "computed", _row_text(spec, exact=exact))
    yield costs.library_bytes(request)
    if exact or spec.kind == "flat":
        text = f"{count:,} x {request.rows.bytes} in the disk's cache; what has no room there is read from the disk"
        held = count * request.rows.bytes
        yield Figure("memory while searching", held, "bytes", "computed", text)
    else:
        yield costs.file_of(spec, request)
        where = "of the GPUs " if on_gpu else ""
        kept = found.fixed if request.on_disk else found.memory
        text = f"{size(0 if request.on_disk else found.rows)} of rows, {size(found.lists)} of lists and centroids, "
        text += f"{size(found.tables)} of tables"
        yield Figure(f"memory {where}while searching", kept, "bytes", "computed", text)
        part = min(found.rows, PART * spec.row_bytes) if request.on_disk else 0 if on_gpu else found.rows
        trained = found.lists + found.tables - found.made + found.sample
        text = (
            f"the larger of {size(trained)} while it is trained and {size(found.fixed + part + found.step)} while rows"
        )
        text += " are added"
        building = found.peak(part)
        yield Figure("memory while building", building, "bytes", "computed", text)
    process = rates.PROCESS.value
    text, source = "all processes, 20,000 images by mini", rates.PROCESS.source
    yield Figure("memory while embedding", process, "bytes", "measured", text, (source,))
    yield costs.embedding(request)
    yield costs.ingest(request)
    yield costs.build(spec, request)
    yield costs.measuring(spec, request)
    yield costs.queries(spec, request)


def _row_text(spec: IndexSpec, *, exact: bool) -> str:
    if exact:
        return "no index: the rows themselves are searched"
    if spec.kind in ("rabitq", "ivf_pq"):
        bits = f", {spec.bits} bit(s) each" if spec.bits else ""
        return f"{spec.code_bytes} of a code of {spec.reduced} of {spec.dimension} coordinates{bits}, 8 of the id"
    return f"{spec.kind} over {spec.dimension} {'bytes' if METRICS[spec.metric].of_codes else 'values'}"


def _problems(spec: IndexSpec, request: PlanRequest, figures: tuple[Figure, ...], *, on_gpu: bool) -> Iterator[Problem]:
    """Yield what does not fit into one of the machines."""
    values, machine = {one.name: one.value for one in figures}, request.machine
    if machine.memory is not None:
        for name in ("searching", "building", "embedding"):
            yield from _too_much(f"memory while {name}", values.get(f"memory while {name}", 0.0), machine.memory)
    if machine.gpu_room is not None and not on_gpu and spec.kind != "flat" and not METRICS[spec.metric].of_codes:
        least = footprint(spec, request.share).memory
        room = int(SHARE * machine.gpu_room)
        if spec.kind in GPU_KINDS or least > room:
            yield from _too_much("memory of the GPUs (half of it, since lists grow)", least, room)
    if machine.disk is not None:
        total = values["library on disk"] + values.get("index on disk", 0.0)
        yield from _too_much("disk", total, machine.disk)
    if not METRICS[spec.metric].of_codes and not costs.reaches(spec.kind, request.recall):
        best = costs.point_for(spec.kind, request.recall)[0][0]
        said = f"{spec.kind} was seen to reach a recall of {best:.3f} at most, {request.recall:g} is asked for"
        yield Problem("recall", request.recall, best, said)
    wanted = request.queries_per_second
    if wanted is not None and values["queries"] < wanted:
        said = f"{values['queries']:,.3g} queries a second are answered, {wanted:,.3g} are asked for"
        yield Problem("queries a second", wanted, values["queries"], said)


def _too_much(what: str, needed: float, there: float) -> Iterator[Problem]:
    if needed > there:
        text = f"{what}: {size(needed)} are needed, {size(there)} are there: {needed / there:.3g} times as much"
        yield Problem(what, needed, there, text)


def cheaper_codes(request: PlanRequest, kind: str, codes: tuple[int, ...]) -> PlanRequest | None:
    """Return the request with the longest of some codes that fits; None where none does."""
    for code in codes:
        tried = replace(request, kind=kind, bytes_a_row=code)
        if planned(tried).fits:
            return tried
    return None
