"""All pairs of codes or rows within a distance: near-duplicates of a whole library, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simsearch.distance import Rows, check_rows
from simsearch.search.approximate_search import approximate
from simsearch.search.arguments import checked_radius
from simsearch.search.hamming.join import Advance, join_chunks, joined
from simsearch.search.hamming.search import Codes, codes_within
from simsearch.search.indexes.index import Index
from simsearch.search.range_search import within

if TYPE_CHECKING:
    from simsearch.search.scan.blocks import Live

_CODES = 4096  # compared at once with all behind them
_BYTES = 32 << 20  # of rows, likewise
_ROWS = 4096  # queries of an index's batch


class Pairs(NamedTuple):
    """Some pairs, each once, in order of their first member.

    Attributes:
        left: Position of the first, int64 (m,).
        right: Position of the second, always larger, int64 (m,); nearest first for each `left`.
        distances: Float32 (m,).
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    distances: NDArray[np.float32]


def code_pairs(
    codes: Codes, *, radius: int, threads: int | None = None, advance: Advance | None = None
) -> Iterator[Pairs]:
    """Yield all pairs of codes that differ in at most `radius` bits, piece by piece.

    Small radii go by multi-index hashing, large ones by comparing all, whichever takes less for such codes; the pairs
    are the same.

    Args:
        codes: Packed codes (n, bytes); may be memory-mapped.
        radius: Bits.
        threads: By default one a core.
        advance: Called with how much is done, and how much there is.

    Yields:
        Pairs, the pieces in any order; distances are shares of differing bits.

    Raises:
        RowError, MetricError: The codes are not (n, bytes) uint8.
        InputError: Radius is no whole number or below 0, or threads below 1.

    Example:
        >>> [piece] = code_pairs(np.array([[0b0000], [0b1111], [0b0001]], np.uint8), radius=1)
        >>> piece.left, piece.right, piece.distances
        (array([0]), array([2]), array([0.125], dtype=float32))
    """
    check_rows(codes, metric="hamming", what="code")
    bits = 8 * codes.shape[1]
    radius = checked_radius(radius, bits)
    chunks = join_chunks(codes, radius)
    if chunks is not None:
        for near in joined(codes, chunks, radius=radius, threads=threads, advance=advance):
            yield Pairs(near.left, near.right, (near.counts / bits).astype(np.float32))
        return
    for start in range(0, len(codes), _CODES):
        queries = np.asarray(codes[start : start + _CODES])
        found = codes_within(queries, [codes[start:]], radius=radius, threads=threads)
        once = found.positions > found.query_ids
        left, right = found.query_ids[once] + start, found.positions[once] + start
        yield Pairs(left, right, (found.counts[once] / bits).astype(np.float32))
        if advance is not None:
            advance(start + len(queries), len(codes))


def row_pairs(
    blocks: Sequence[Rows], *, max_distance: float, metric: str, live: Live | None = None, device: str = "auto"
) -> Iterator[Pairs]:
    """Yield all pairs of rows within a distance, exactly, piece by piece.

    Args:
        blocks: Arrays (n_i, d), often memory-mapped; positions are those in their concatenation.
        max_distance: The largest distance of a pair.
        metric: A name of `simsearch.distance.METRICS`.
        live: For each block which rows are live (n_i,), or None for all: the others are in no pair.
        device: As in `simsearch.search.exact.knn`.

    Yields:
        Pairs, with `left` rising from piece to piece.

    Raises:
        RowError, MetricError, InputError: As `knn`.

    Example:
        >>> [piece] = row_pairs([np.eye(2)[[0, 1, 0, 1]]], max_distance=0.1, metric="js", device="cpu")
        >>> piece.left, piece.right
        (array([0, 1]), array([2, 3]))
    """
    base = 0
    for number, block in enumerate(blocks):
        step = max(1, _BYTES // max(1, block[:1].nbytes))
        for start in range(0, len(block), step):
            asked = _live_places(live, number, start, min(start + step, len(block)))
            if not len(asked):
                continue
            queries = np.asarray(block[start : start + step])
            queries = queries if len(asked) == len(queries) else queries[asked]
            rest = [block[start:], *blocks[number + 1 :]]
            kept = None if live is None else [_from(live[number], start), *live[number + 1 :]]
            found = within(queries, rest, max_distance=max_distance, metric=metric, live=kept, device=device)
            left = np.repeat(asked, np.diff(found.starts))
            once = found.positions > left
            offset = base + start
            yield Pairs(left[once] + offset, found.positions[once] + offset, found.distances[once])
        base += len(block)


def pairs_by_index(
    blocks: Sequence[Rows],
    index: Index,
    *,
    max_distance: float,
    effort: int,
    depth: int = 50,
    live: Live | None = None,
    device: str = "cpu",
) -> Iterator[Pairs]:
    """Yield the pairs of rows within a distance that an index finds, piece by piece; every one is measured exactly.

    A pair is found where the search of its first row names the second among its candidates.

    Args:
        blocks: As for `row_pairs`; the index was built over them.
        index: Built for the metric.
        max_distance: The largest distance of a pair.
        effort: One of `index.efforts()`.
        depth: Candidates of each row that are measured; doubled while half of them are within the distance.
        live: As for `row_pairs`.
        device: Where candidates are measured.

    Yields:
        Pairs, with `left` rising from piece to piece.

    Raises:
        RowError, MetricError, InputError: As `simsearch.search.approximate_search.approximate`.
        IndexFailed: The index cannot be searched.
    """
    base, total = 0, sum(len(block) for block in blocks)
    for number, block in enumerate(blocks):
        for start in range(0, len(block), _ROWS):
            queries = np.asarray(block[start : start + _ROWS])
            short, k = _live_places(live, number, start, start + len(queries)), min(-(-depth // 2), total)
            if not len(short):
                continue
            parts = []
            while len(short):
                found = approximate(
                    queries[short],
                    blocks,
                    index,
                    k=k,
                    effort=effort,
                    depth=2 * k,
                    live=live,
                    max_distance=max_distance,
                    device=device,
                )
                more = (found.positions[:, -1] >= 0) & (k < total)
                query_ids, columns = np.nonzero((found.positions > (base + start + short)[:, None]) & ~more[:, None])
                pair = query_ids, columns
                parts.append(Pairs(base + start + short[query_ids], found.positions[pair], found.distances[pair]))
                short, k = short[more], min(2 * k, total)
            together = [np.concatenate(column) for column in zip(*parts, strict=True)]
            order = np.argsort(together[0], kind="stable")
            yield Pairs(*(column[order] for column in together))
        base += len(block)


def _live_places(live: Live | None, number: int, start: int, end: int) -> NDArray[np.int64]:
    """Return which rows of a block from `start` to `end` are live, counted from `start`: (m,)."""
    mask = None if live is None else live[number]
    return np.arange(end - start) if mask is None else np.flatnonzero(mask[start:end])


def _from(mask: Any, start: int) -> Any:
    return None if mask is None else mask[start:]
