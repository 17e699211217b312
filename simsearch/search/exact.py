"""Exact k nearest neighbours by brute force: fast scores for all rows, float64 distances for the few left.

The answer is that of `simsearch.distance` over all rows, ties to the lower position, and proved: a score has a known
error and never says that a row is farther than it is, so that a row whose score is above what the k-th best distance
allows is farther. A query whose candidates do not prove it (many ties, near-equal scores) is searched again, measuring
every row that the scores leave open.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsearch.distance import METRICS, Rows, by_name, check_rows
from simsearch.errors import RowError
from simsearch.runtime.device import type_of
from simsearch.search.arguments import SearchRequest, checked_k, checked_limit
from simsearch.search.hamming.code_length import CodeScale, radius_of
from simsearch.search.results import Neighbours
from simsearch.search.scan.deletion_mask import check_live

if TYPE_CHECKING:
    import torch

    from simsearch.search.metrics.base import Doubles, Prepared
    from simsearch.search.refine.pairs import Positions
    from simsearch.search.scan.blocks import Block, Live, Scan

_SLACK = 54  # candidates kept beyond k
_BUDGET = 256 << 20
_GPU_BUDGET = 8 << 30
_UPLOAD_SHARE = 0.5  # of a GPU's free memory that rows may take


def knn(
    queries: Block,
    blocks: Sequence[Block],
    *,
    k: int,
    metric: str,
    live: Live | None = None,
    max_distance: float | None = None,
    device: str = "auto",
    budget: int | None = None,
    bits: int | None = None,
    rounded: bool = False,
) -> Neighbours:
    """Return the k nearest rows of each query, exactly.

    Args:
        queries: (q, d) float, or (q, bytes) uint8 for hamming; an array, or a tensor on the device.
        blocks: Arrays (n_i, d), float16, float32 or uint8, often memory-mapped, or tensors on the device; their
            concatenation is searched. A GPU is given arrays once where they fit into half of its free memory.
        k: Neighbours a query.
        metric: A name of `simsearch.distance.METRICS`.
        live: For each block which rows are live (n_i,), or None for all.
        max_distance: Rows farther than this, once both are rounded to float32, are left out; by default none.
        device: "cpu", "cuda", "cuda:1" or "auto" (a GPU when there is one).
        budget: Bytes of memory to work in, beside the arguments and the answer; by default 256 MiB, on a GPU a quarter
            of what is free there and at most 8 GiB.
        bits: Length of a hamming code that does not fill its last byte, as in `simsearch.distance.hamming`.
        rounded: Distances that are equal once rounded to float32 are ties too, not only those equal in float64.

    Returns:
        Distances, the same as `simsearch.distance` rounded to float32, and positions; ties to the lower position. A row
        whose distance is beyond the range of a float is found at infinity, behind all others.

    Raises:
        RowError: A query or live row is not finite, is all zeros or has the wrong dimension; it is named.
        MetricError: The metric does not exist or is not defined on these rows.
        InputError: K, max_distance, a mask or the device is not usable.

    Example:
        >>> found = knn(np.array([[1.0, 0.0]]), [np.eye(2), np.eye(2)], k=3, metric="js", device="cpu")
        >>> found.positions, found.distances
        (array([[0, 2, 1]]), array([[0., 0., 1.]], dtype=float32))
    """
    by_name(metric)
    k = checked_k(k)
    limit = checked_limit(max_distance)
    if bits is not None:
        scale = CodeScale.of(queries, metric, bits)
        limit = scale.padded(limit)
        whole = knn(queries, blocks, k=k, metric=metric, live=live, max_distance=limit, device=device, budget=budget)
        return replace(whole, distances=scale.true(whole.distances))
    codes = as_codes(queries, blocks, metric=metric, live=live, device=device)
    scan = None if codes else open_scan(queries, blocks, metric=metric, live=live, device=device, budget=budget)
    distances = np.full((len(queries), k), np.inf, np.float32)
    positions = np.full((len(queries), k), -1, np.int64)
    measured = np.zeros(len(queries), np.int64)
    request = SearchRequest(min(k, sum(map(len, blocks))), limit, rounded)  # what is beyond the rows stays padding

    def fill(group: slice, best_distances: Doubles, best_positions: Positions) -> None:
        with np.errstate(over="ignore"):
            distances[group, : request.k] = best_distances
        positions[group, : request.k] = best_positions

    if codes and request.k:
        fill(slice(None), *_by_codes(queries, blocks, live, request))
    elif scan is not None:
        for group in query_groups(scan, len(queries)):
            best_distances, best_positions, measured[group] = _search(scan, queries[group], request)
            fill(group, best_distances, best_positions)
    return Neighbours(distances, positions, np.ones(len(queries), bool), measured)


def as_codes(queries: Any, blocks: Sequence[Block], *, metric: str, live: Live | None, device: str) -> bool:
    """Check codes, and tell whether the Hamming search of a CPU is the way to compare them."""
    if not METRICS[metric].of_codes or not all(isinstance(rows, np.ndarray) for rows in (queries, *blocks)):
        return False
    if type_of(device) != "cpu":
        return False
    _check_blocks(blocks, live, metric)
    check_rows(queries, dimension=blocks[0].shape[1] if blocks else None, metric=metric, what="query")
    return True


def _by_codes(
    queries: Any, blocks: Sequence[Any], live: Live | None, request: SearchRequest
) -> tuple[Doubles, Positions]:
    """Return distances and positions (q, k)."""
    from simsearch.search.hamming.plain import nearest_plainly
    from simsearch.search.hamming.search import FEW, MANY, SLICED, nearest_codes, pays

    k, bits = request.k, 8 * queries.shape[1]
    radius = radius_of(request.limit, bits)
    pairs, many = len(queries) * sum(map(len, blocks)), len(queries) >= SLICED
    sliced = many and pays(MANY, pairs, queries.shape[1])
    if sliced or pays(FEW, pairs, queries.shape[1]):
        counts, positions = nearest_codes(queries, blocks, k=k, live=live, radius=radius, sliced=sliced)
    else:
        counts, positions = nearest_plainly(queries, blocks, k=k, live=live, radius=radius)
    return _shares(counts, positions, bits), positions


def _shares(counts: NDArray[Any], positions: Positions, bits: int) -> Doubles:
    """Return distances of codes that differ in so many bits; infinite where there is no position."""
    return np.where(positions < 0, np.inf, counts / bits)


def _by_code_kernel(scan: Scan, queries: torch.Tensor, k: int, limit: float) -> tuple[Doubles, Positions, Positions]:
    from simsearch.search.hamming.gpu import nearest

    bits = 8 * scan.dimension
    counts, positions = nearest(scan, queries, k=k, radius=radius_of(limit, bits))
    return _shares(counts, positions, bits), positions, np.zeros(len(positions), np.int64)


def open_scan(
    queries: Block, blocks: Sequence[Block], *, metric: str, live: Live | None, device: str, budget: int | None
) -> Scan | None:
    """Return a scan of checked blocks for checked queries; None where there are no queries or no rows."""
    _check_blocks(blocks, live, metric)
    dimension = blocks[0].shape[1] if blocks else None
    if isinstance(queries, np.ndarray):
        check_rows(queries, dimension=dimension, metric=metric, what="query")
    else:
        from simsearch.search.scan.blocks import check_tensor

        check_tensor(queries, dimension=dimension, metric=metric, what="query")
    if not len(queries) or not any(len(block) for block in blocks):
        return None
    from simsearch.runtime.device import choose_device
    from simsearch.search.metrics import SEARCH_METRICS
    from simsearch.search.scan.blocks import Scan

    chosen = choose_device(device)
    masks = [None] * len(blocks) if live is None else live
    score = SEARCH_METRICS[metric].score(blocks[0].shape[1], chosen)
    return Scan(_uploaded(blocks, chosen), masks, metric, chosen, score, _budget(chosen) if budget is None else budget)


def query_groups(scan: Scan, count: int) -> list[slice]:
    """Return batches of queries whose prepared form takes a sixteenth of the budget."""
    step = max(1, scan.budget // (16 * scan.coordinates))
    return [slice(start, start + step) for start in range(0, count, step)]


def as_array(rows: Block) -> Rows:
    """Return the rows as an array of the same values."""
    if isinstance(rows, np.ndarray):
        return rows
    from simsearch.search.scan.blocks import to_numpy

    return to_numpy(rows)


def _uploaded(blocks: Sequence[Block], device: torch.device) -> Sequence[Block]:
    """Return the blocks, moved to a GPU where they fit."""
    if device.type != "cuda":
        return blocks
    from simsearch.runtime.device import free_memory
    from simsearch.search.scan.blocks import upload

    size = sum(block.nbytes for block in blocks if isinstance(block, np.ndarray))
    if size and size > _UPLOAD_SHARE * free_memory(device):
        return blocks
    return [upload(block, device) for block in blocks]


def _budget(device: torch.device) -> int:
    if device.type != "cuda":
        return _BUDGET
    from simsearch.runtime.device import free_memory

    return min(_GPU_BUDGET, free_memory(device) // 4)


def _check_blocks(blocks: Sequence[Block], live: Live | None, metric: str) -> None:
    for i, block in enumerate(blocks):
        if block.ndim != 2 or block.shape[1] != blocks[0].shape[1]:
            raise RowError(
                f"block {i} has shape {block.shape}, block 0 {blocks[0].shape}; were both made by one model?"
            )
        check_rows(as_array(block[:0]), metric=metric, what=f"row of block {i}")
    check_live(live, blocks)


def _search(scan: Scan, queries: Block, request: SearchRequest) -> tuple[Doubles, Positions, Positions]:
    """Return distances and positions (q, k), and how many rows were measured (q,)."""
    from simsearch.runtime.transfers import to_device
    from simsearch.search.few_queries.gpu_scores import direct_scan
    from simsearch.search.few_queries.scores import serves
    from simsearch.search.few_queries.search import search
    from simsearch.search.refine.pairs import Measured, PairDistances, measure, official, settle
    from simsearch.search.refine.second_pass import flat, widen

    if serves(scan, queries):
        return search(scan, np.asarray(queries), request)
    rows = to_device(queries, scan.device)
    if scan.score.own_kernel:
        return _by_code_kernel(scan, rows, request.k, request.limit)
    pairs = PairDistances(scan, rows)
    kept = min(request.k + _SLACK, scan.rows)
    first, prepared, resident = direct_scan(scan, rows)
    scores, candidates, error = _candidates(first, prepared, request.k, kept, resident)
    measured = measure(pairs, first, scores, candidates, request, error=error)
    distances, positions = settle(measured, candidates, official(scan, rows), request)
    counts = (measured.distances < np.inf).sum(axis=1)
    worst = scores[:, -1]  # no row that was left out scores lower
    farthest = request.no_farther(distances[:, -1])
    left = np.flatnonzero((worst < np.inf) & (worst <= first.score.of(farthest) + error))
    if len(left) and kept < scan.rows:
        import torch

        subset = rows[torch.from_numpy(left).to(scan.device)]
        known = Measured(measured.distances[left], measured.errors[left]), candidates[left]
        distances[left], positions[left], more = widen(scan, subset, farthest[left], request, flat(*known))
        counts[left] += more
    return distances, positions, counts


def _candidates(scan: Scan, queries: Prepared, k: int, kept: int, resident: int) -> tuple[Doubles, Positions, float]:
    """Return the best scores (q, kept), best first, their positions, padded with -1, and the largest error of a score.

    Where one row, stored over and over, fills the places of a query, only the first k of it are kept.
    """
    import torch

    from simsearch.search.refine.equal_rows import Repeats
    from simsearch.search.scan.blocks import to_numpy

    best = torch.full((len(queries.term), kept), torch.inf, device=scan.device)
    best_positions = torch.full((len(queries.term), kept), -1, dtype=torch.int64, device=scan.device)
    error, repeats = 0.0, defaultdict[int, Repeats](lambda: Repeats(k))
    for chunk in scan.chunks(resident):
        rows, dead = scan.prepare(chunk)
        error = max(error, scan.error(queries, rows, dead))
        for part, scores in scan.scores(queries, rows, dead):
            before = best[part], best_positions[part]
            now, positions = _with_lowest(*before, scores, chunk.start)
            full = now[:, -1] < torch.inf  # else rows that do not count would be met
            crowded = full & (now[:, -1] <= now[:, k - 1] + 2 * error) & (now[:, k:] == now[:, :-k]).any(dim=1)
            if crowded.any():
                among = (scores[crowded] <= now[crowded, -1:]).any(dim=0).nonzero()[:, 0]
                beyond = repeats[part.start].beyond(to_numpy(chunk.rows[among]))
                scores[:, among[torch.from_numpy(beyond).to(scan.device)]] = torch.inf
                now, positions = _with_lowest(*before, scores, chunk.start)
            best[part], best_positions[part] = now, positions
    best_positions.masked_fill_(best == torch.inf, -1)
    return best.double().cpu().numpy(), best_positions.cpu().numpy(), error


def _with_lowest(
    best: torch.Tensor, best_positions: torch.Tensor, scores: torch.Tensor, start: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the best scores and positions (q, kept), merged with those of more rows (q, n) from `start` on."""
    import torch

    from simsearch.search.scan.top_k import lowest

    low, columns = lowest(scores, best.shape[1], best[:, -1])
    low, columns = torch.cat([best, low], 1), torch.cat([best_positions, columns.add_(start)], 1)
    low, order = torch.topk(low, best.shape[1], dim=1, largest=False)
    return low, torch.gather(columns, 1, order)
