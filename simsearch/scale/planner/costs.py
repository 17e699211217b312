"""What embedding, building and searching cost: pure functions of sizes, scaled from what was measured."""

from __future__ import annotations

import math

from simsearch.distance import METRICS
from simsearch.errors import InputError
from simsearch.scale.planner import rates
from simsearch.scale.planner.figures import Figure, How
from simsearch.scale.planner.request import PlanRequest
from simsearch.scale.planner.sizes import size
from simsearch.search.indexes.footprint import footprint, sample_rows
from simsearch.search.indexes.spec import GPU_KINDS, IndexSpec, spec_for

_ROUNDS = 10  # of k-means, as FAISS trains the lists of an index
_LINKED = 1.15  # by how much more than the rows a graph's time grows
_GPU_READ = 0.5  # of the memory's rate, that reading lists reaches
_BILLION = 1e9


def embedding(request: PlanRequest) -> Figure:
    """Return the time to read and embed all images."""
    machine, gmac = request.machine, request.rows.gmac
    cores = machine.cores / rates.CORES
    if request.rows.model == "mini" and not machine.gpus:
        rate, how = rates.PIPELINE.value * cores, "extrapolated"
        said = f"{rates.PIPELINE.value:.0f} a second on {rates.CORES}"
        sources: tuple[str, ...] = (rates.PIPELINE.source,)
    else:
        network = math.inf if gmac is None else _network(request, gmac)
        decode = rates.DECODE.value * cores
        rate = min(network, decode) if machine.gpus else 1 / (1 / network + 1 / decode)
        told = "no network" if gmac is None else f"the network gives {network:,.0f} images/s, at {gmac:g} GMAC"
        said = f"{told}; decoding gives {decode:,.0f}"
        how, sources = ("published" if machine.gpus else "extrapolated"), (rates.DECODE.source, rates.RESNET.source)
    value = request.share / rate
    text = f"{request.share:,} images / {rate:,.0f} a second; {said}, {machine.cores} cores"
    return Figure("embedding", value, "seconds", how, text, sources)  # type: ignore[arg-type]


def _network(request: PlanRequest, gmac: float) -> float:
    """Return images a second of the network alone."""
    machine = request.machine
    if machine.gpus:
        return machine.gpus * rates.SHARE_OF_GPU * rates.MATRIX_OF_GPU / (2 * _BILLION * gmac)
    alone = rates.MINI.value if request.rows.model == "mini" else rates.RESNET.value * rates.RESNET_GMAC.value / gmac
    return alone * machine.cores / rates.CORES


def library_bytes(request: PlanRequest) -> Figure:
    """Return the bytes of the library on disk."""
    item = _item_bytes()
    value = request.share * (request.rows.bytes + item)
    text = f"{request.share:,} x ({request.rows.bytes} bytes of a row + {item:.0f} of an item: path, SHA-256, ids)"
    return Figure("library on disk", value, "bytes", "computed", text, (rates.LIBRARY_BYTES.source,))


def _item_bytes() -> float:
    """Return the bytes of an item beside its row."""
    return rates.LIBRARY_BYTES.value / rates.LIBRARY_ROWS.value - 2 * rates.DIMENSION


def operations(spec: IndexSpec, count: int) -> float:
    """Return the multiply-adds, counted twice, of training the lists, turning the rows and finding their lists."""
    kept = spec.reduced or spec.dimension
    turned = 2.0 * spec.dimension * spec.reduced * (count + sample_rows(spec, count))
    return turned + 2.0 * kept * spec.lists * (_ROUNDS * sample_rows(spec, count) + count)


def build(spec: IndexSpec, request: PlanRequest) -> Figure:
    """Return the time to train and build the index."""
    count, cores = request.share, request.machine.cores / rates.CORES
    if spec.kind in GPU_KINDS and request.machine.gpus and spec.lists:
        done = operations(spec, count)
        value = done / (rates.FLOAT32_OF_GPU * request.machine.gpus)
        text = f"{done:.2g} operations / {rates.FLOAT32_OF_GPU:.0e} a second of each GPU; no GPU has run it yet"
        return Figure("index built in", value, "seconds", "published", text)
    if not spec.lists and spec.kind != "hnsw":
        return Figure("index built in", 0.0, "seconds", "computed", "every row is looked at: there is nothing to build")
    if spec.kind == "hnsw":
        value = rates.GRAPH_SECONDS.value * (count / rates.INDEX_ROWS) ** _LINKED * spec.dimension / rates.DIMENSION
        text = f"{rates.GRAPH_SECONDS.value:g} s of a million rows on {rates.CORES} cores, to the power of {_LINKED:g}"
        return Figure("index built in", value / cores, "seconds", "extrapolated", text, (rates.GRAPH_SECONDS.source,))
    done, known = operations(spec, count), _measured_operations("rabitq")
    value, books = rates.INDEX_SECONDS.value * done / known, 0.0
    if spec.kind == "ivf_pq":
        least = rates.PRODUCT_SECONDS.value - rates.INDEX_SECONDS.value * _measured_operations("ivf_pq") / known
        books = least * spec.code_bytes / 64
    text = f"{done:.2g} operations, {known / rates.INDEX_SECONDS.value:.2g} a second on {rates.CORES} cores"
    text += f", and {books:.0f} s for codebooks" if books else ""
    sources = (rates.INDEX_SECONDS.source,)
    return Figure("index built in", (value + books) / cores, "seconds", _as_measured(request), text, sources)


def measuring(spec: IndexSpec, request: PlanRequest) -> Figure:
    """Return the time in which `optimize` measures the index's recall against exact search."""
    if spec.kind == "flat":
        return Figure("recall measured in", 0.0, "seconds", "computed", "exact search finds all")
    share = request.share / rates.INDEX_ROWS * request.rows.bytes / (2 * rates.DIMENSION)
    once = rates.OPTIMIZE_SECONDS.value - rates.INDEX_SECONDS.value
    value = once * share * rates.CORES / request.machine.cores
    text = f"{once:.0f} s of a million rows of {2 * rates.DIMENSION} bytes on {rates.CORES} cores, by the rows"
    return Figure("recall measured in", value, "seconds", _as_measured(request), text, (rates.OPTIMIZE_SECONDS.source,))


def ingest(request: PlanRequest) -> Figure:
    """Return the time to write the rows into the library."""
    known = 2 * rates.DIMENSION + _item_bytes()
    value = request.share * rates.ROW_MICROSECONDS.value / 1e6 * (request.rows.bytes + _item_bytes()) / known
    text = f"{request.share:,} x {rates.ROW_MICROSECONDS.value:g} microseconds of one of {known:,.0f} bytes"
    return Figure("rows taken in", value, "seconds", "extrapolated", text, (rates.ROW_MICROSECONDS.source,))


def queries(spec: IndexSpec, request: PlanRequest) -> Figure:
    """Return how many queries a second are answered, asked in batches."""
    count, cores = request.share, request.machine.cores / rates.CORES
    if METRICS[spec.metric].of_codes:
        return _queries_of_codes(spec, request)
    if spec.kind == "flat" or request.recall >= 1:
        rate = rates.EXACT_QUERIES / rates.EXACT_SECONDS.value * cores * rates.INDEX_ROWS / count
        rate *= 2 * rates.DIMENSION / request.rows.bytes
        text = "every row is looked at: 74 a second of a million rows of 512 values on 2 cores, inversely to the rows"
        return Figure("queries", rate, "a second", _as_measured(request), text, (rates.EXACT_SECONDS.source,))
    point, source = point_for(spec.kind, request.recall)
    if request.machine.gpus and spec.kind in GPU_KINDS:
        read = point[2] * count / spec.lists * spec.row_bytes
        read_in = request.machine.gpus * _GPU_READ * rates.COPY_OF_GPU / read
        refined = rates.REFINED.value * request.machine.cores
        text = (
            f"{request.machine.cores} cores measure the candidates of {refined:,.0f}, the GPUs read {point[2]} lists, "
        )
        text += f"{size(read)}, of {read_in:,.0f}: the lesser of the two"
        sources = (source, rates.REFINED.source)
        return Figure("queries", min(read_in, refined), "a second", "published", text, sources)
    rate = point[1] * cores * math.sqrt(rates.INDEX_ROWS / count) * rates.DIMENSION / spec.dimension
    text = (
        f"{point[1]:,.0f} a second of a million clustered rows of 512 values on {rates.CORES} cores, recall at least "
        f"{point[0]:.3f}; lists and their lengths grow with the root of the rows; other rows may need more of them"
    )
    return Figure("queries", rate, "a second", _as_measured(request), text, (source,))


def _queries_of_codes(spec: IndexSpec, request: PlanRequest) -> Figure:
    bits = min(rates.CODE_PAIRS, key=lambda known: abs(known - 8 * spec.code_width))
    pairs = rates.CODE_PAIRS[bits].value * _BILLION * request.machine.cores
    rate = pairs / request.share * bits / max(bits, 8 * spec.dimension)
    text = f"every code is looked at, in batches: {pairs:.3g} comparisons a second of {request.machine.cores} cores"
    text += "; lists of codes were not measured" if spec.lists else ""
    return Figure("queries", rate, "a second", "extrapolated", text, (rates.CODE_PAIRS[bits].source,))


def point_for(kind: str, recall: float) -> tuple[rates.Point, str]:
    """Return the fastest measured point of a kind of index that reaches a recall, and its record; else its best.

    Raises:
        InputError: The kind was never measured.
    """
    known = "ivf_flat" if kind == "ivf_sq8" else kind
    if known not in rates.CURVES:
        raise InputError(f"an index of kind {kind} was never measured; there are {', '.join(rates.CURVES)}")
    record, points = rates.CURVES[known]
    enough = [point for point in points if point[0] >= recall]
    best = max(enough, key=lambda point: point[1]) if enough else max(points)
    return best, f"results/{record}"


def reaches(kind: str, recall: float) -> bool:
    """Return whether a kind of index was seen to reach a recall."""
    return kind == "flat" or point_for(kind, recall)[0][0] >= recall


def file_of(spec: IndexSpec, request: PlanRequest) -> Figure:
    """Return the bytes of the index's file."""
    found = footprint(spec, request.share)
    text = f"{request.share:,} x {spec.row_bytes} bytes of a row + {found.file - found.rows:,} of centroids and tables"
    return Figure("index on disk", found.file, "bytes", "computed", text)


def _measured_operations(kind: str) -> float:
    room = {"ivf_pq": 64}.get(kind)
    return operations(spec_for(rates.INDEX_ROWS, rates.DIMENSION, "js", kind=kind, bytes_a_row=room), rates.INDEX_ROWS)


def _as_measured(request: PlanRequest) -> How:
    same = request.share == rates.INDEX_ROWS and request.rows.dimension == rates.DIMENSION
    return "measured" if same and request.machine.cores == rates.CORES else "extrapolated"
