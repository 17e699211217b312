"""Building a library's indexes: the requested one, and those that went stale."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from simsearch.errors import IndexFailed, InputError
from simsearch.library.format.channel import Channel
from simsearch.library.format.row_checks import naming_damage
from simsearch.library.format.snapshot import Snapshot
from simsearch.library.indexes.curve import Curve
from simsearch.library.indexes.held_out import ASKED, HeldOut
from simsearch.library.indexes.recall import FIRST_CONFIDENCE, KS, tune
from simsearch.library.indexes.record import IndexRecord
from simsearch.library.indexes.store import damage, discard, keep, records
from simsearch.runtime.cpu import available_memory
from simsearch.search.arguments import Order
from simsearch.search.indexes.choice import index_for
from simsearch.search.indexes.spec import IndexSpec

if TYPE_CHECKING:
    from simsearch.search.indexes.gpu_limits import Gpus
    from simsearch.search.indexes.index import Index

_TRAINED_ON = 256  # rows: the values of a byte of a product code

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class IndexRequest:
    """The request for an index.

    Attributes:
        channel: Whose rows.
        metric: Whose neighbours it finds: `js`, `cosine` or `l2`.
        recall: Of the ten nearest and of the nearest of them, to be reached at the lower end of its interval.
        kind: As for `spec_for`.
        bytes_a_row: As for `spec_for`.
    """

    channel: Channel
    metric: str
    recall: float
    kind: str = "auto"
    bytes_a_row: int | None = None


def rebuild(
    folder: Path, snapshot: Snapshot, request: IndexRequest | None, *, device: str, progress: Progress
) -> tuple[IndexRecord, ...]:
    """Build the requested index, and rebuild stale or damaged ones; return what was built.

    Args:
        folder: The library's.
        snapshot: The commit to build over.
        request: Beside what is stale.
        device: Where to train and build.
        progress: Called with the stage, what is done of it and of how much.

    Raises:
        IndexFailed: An index cannot be built or does not reach its recall.
        LibraryDamaged: A stored row is damaged; it is named.
    """
    jobs = [] if request is None else [request]
    by_name = {channel.name: channel for channel in snapshot.state.channels}
    for record in records(folder):
        if not len(snapshot):
            discard(folder, record)
            continue
        asked = any((job.channel.name, job.metric) == (record.channel, record.metric) for job in jobs)
        if record.channel in by_name and (not record.fits(snapshot) or damage(folder, record, deep=True)):
            shown = _shown(HeldOut.of(snapshot, record.channel))
            if shown < record.curve.wanted:  # so few rows are left that exact search is as fast
                discard(folder, record)
                if not asked:
                    warnings.warn(_left_out(record, shown), RuntimeWarning, stacklevel=2)
            elif not asked:
                code = record.spec.code_bytes or None
                jobs.append(
                    IndexRequest(by_name[record.channel], record.metric, record.curve.wanted, record.spec.kind, code)
                )
    built = []
    for job in jobs:
        with naming_damage(snapshot, job.channel, removed=True):
            built.append(build_index(folder, snapshot, job, device=device, progress=progress))
    return tuple(record for record in built if record is not None)


def build_index(
    folder: Path, snapshot: Snapshot, request: IndexRequest, *, device: str, progress: Progress
) -> IndexRecord | None:
    """Build, measure and keep an index over all rows of a channel.

    It is measured by rows that it was not trained on. They are masked in every search, which is as if they were not
    in it, but in a graph: their links would lead to what is near them. So a graph is built without them first, to be
    measured, and then with them.

    Returns:
        Its record; None where the library is so small that exact search is as fast, and no kind was requested.

    Raises:
        IndexFailed: FAISS cannot build it, the memory does not hold it, or it does not reach the recall; nothing was
            kept.
        InputError: A setting is out of range, or the library is empty.
        MetricError: No index serves the metric.
    """
    from simsearch.search.indexes.gpu_limits import gpus_of

    channel, metric = request.channel, request.metric
    count = sum(len(segment.channels[channel.name].row) for segment in snapshot.segments)
    if not count:
        raise InputError("the library is empty; index images first")
    kind, room, gpus = request.kind, request.bytes_a_row, gpus_of(device)
    gpu_room = None if gpus is None else gpus.total
    how: dict[str, Any] = {"kind": kind, "bytes_a_row": room, "gpu_room": gpu_room}
    spec = index_for(count, channel.dimension, metric, memory=available_memory(), **how)
    if spec.kind == "flat" and kind == "auto":
        return None
    rows = HeldOut.of(snapshot, channel.name)
    _require_enough(rows, spec, request.recall)
    index, curves = _measured(spec, rows, gpus, recall=request.recall, device=device, progress=progress)
    curve = curves[0]
    try:
        if curve.chosen is None:
            best = max(curve.points, key=lambda point: point.low)
            raise IndexFailed(
                f"the index of kind {spec.kind} finds {best.recall:.3f} ({best.low:.3f}-{best.high:.3f}) of the true "
                f"neighbours at most, {request.recall:g} was asked for; ask for less, for more --bytes, or for "
                "--kind ivf_flat"
            )
        names = tuple(segment.uuid for segment in snapshot.segments)
        measured = (curve, index.on, curves[1:], rows.count, order_of(spec))
        return keep(folder, index, IndexRecord("", channel.name, metric, spec, names, count, 0, "", *measured))
    finally:
        index.close()


def _measured(
    spec: IndexSpec, rows: HeldOut, gpus: Gpus | None, *, recall: float, device: str, progress: Progress
) -> tuple[Index, tuple[Curve, ...]]:
    """Return the index and its curves, measured on its device; on the CPU, with a warning, where the GPUs fail."""
    from simsearch.search.indexes.index import build

    index = None

    def built(blocks: Sequence[NDArray[Any]]) -> Index:
        return build(spec, blocks, device=gpus, progress=lambda done, of: progress("build", done, of))

    def told(index: Index, rows: HeldOut) -> tuple[Curve, ...]:
        how: dict[str, Any] = {"recall": recall, "ks": KS, "live": rows.live, "device": device, "order": order_of(spec)}
        return tune(index, rows.blocks, rows.queries, **how, progress=lambda n: progress("measure", n, 0))

    try:
        if spec.kind == "hnsw":
            apart = rows.apart()
            index = built(apart.blocks[:-1])
            curves = told(index, apart)
            index.close()
            index = None
            return built(rows.blocks), curves
        index = built(rows.blocks)
        return index, told(index, rows)
    except BaseException as error:
        if index is not None:
            index.close()
        if gpus is None or not isinstance(error, IndexFailed):
            raise
        warnings.warn(f"{error}; building on the CPU", RuntimeWarning, stacklevel=2)
    return _measured(spec, rows, None, recall=recall, device=device, progress=progress)


def _left_out(record: IndexRecord, shown: float) -> str:
    return (
        f"the {record.metric} index of kind {record.spec.kind} no longer fits the library and was removed: so few rows "
        f"are left that a recall of {record.curve.wanted:g} could not be shown, {shown:.3f} at most; they are searched "
        "exactly, which is as fast. To have an index all the same, ask for less: simsearch optimize --recall R --kind "
        f"{record.spec.kind}"
    )


def order_of(spec: IndexSpec) -> Order:
    """Return the default order of an index's candidates.

    Codes are counted, not rounded, and for js float32 is no faster (results/search/recall.json).
    """
    return "float32" if spec.metric in ("cosine", "l2") else "exact"


def _require_enough(rows: HeldOut, spec: IndexSpec, recall: float) -> None:
    """Refuse early an index that so few rows cannot train or measure.

    Raises:
        IndexFailed: There are too few; exact search needs no index there.
    """
    from simsearch.search.indexes.index import held_out as held_out_rows

    count, shown = sum(map(len, rows.blocks)), _shown(rows)
    if shown < recall:
        few = len(rows.queries) < 2 * ASKED
        problem = f"{count:,} rows are too few" if few else f"a measurement by {ASKED:,} rows is too coarse"
        raise IndexFailed(
            f"{problem} to show a recall of {recall:g}: were all neighbours found, it would be said to lie between "
            f"{shown:.3f} and 1; ask for less, or leave the index out, since exact search finds all"
        )
    needed = max(spec.lists, _TRAINED_ON if spec.kind == "ivf_pq" else 1)
    if count - len(held_out_rows(count, spec.seed)) < needed:
        raise IndexFailed(
            f"an index of kind {spec.kind} is trained on {needed:,} rows at least, and of {count:,} not so many are "
            "left; leave it out: exact search of so few is as fast"
        )


def _shown(rows: HeldOut) -> float:
    """Return the highest recall that these rows can show."""
    from simsearch.decide.intervals import clopper_pearson

    asked = len(rows.queries) // 2
    return clopper_pearson(asked, asked, FIRST_CONFIDENCE).low if asked else 0.0
