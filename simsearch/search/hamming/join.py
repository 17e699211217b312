"""All near pairs among codes by multi-index hashing: each chunk's table is joined with itself, in its own order.

Codes that have a value in a chunk stand beside each other in its table, and are compared with those of every value near
it. Going through the table in order, the same few stretches of memory are read again and again, where looking up one
code after another waits for memory at every value: a million codes of 96 bits within 10 bits take a second in place of
twenty. A pair is told by the first chunk that leads to it, so that none is told twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simsearch.runtime.threads import pool, thread_count
from simsearch.search.hamming.multi_index import Chunk, chunk_counts, cut, radii_of, values_near
from simsearch.search.hamming.search import Codes
from simsearch.search.packing import as_words

_PART = 1 << 14  # codes of a thread's part
_WAVE = 8  # parts a thread, between which pairs are handed on
_ROOM = 1 << 16  # pairs of one pass
_SAMPLE = 1024  # codes by which the candidates of all are judged
_FEWEST = 4096  # codes for which tables are made
# Nanoseconds of one core, measured on 2e5 and 1e6 codes of 96 bits: their ratios decide between two ways.
_PER_CODE, _PER_VALUE = 45.0, 2.0  # of making a table
_PER_LOOK, _PER_CANDIDATE = 11.0, 0.5  # of visiting a value; of counting a candidate, a word
_PER_PAIR = 0.022  # of a pair where all are compared, a word

Advance = Callable[[int, int], None]


class NearCodes(NamedTuple):
    """Some pairs of codes, in order of the first; of each nearest first.

    Attributes:
        left: Position of the first, int64 (m,).
        right: Position of the second, always larger, int64 (m,).
        counts: Differing bits, int32 (m,).
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    counts: NDArray[np.int32]


def join_chunks(codes: Codes, radius: int) -> list[Chunk] | None:
    """Return the chunks by which all pairs within a radius are found soonest; None where comparing all is sooner.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> codes = rng.integers(0, 256, (20_000, 8), dtype=np.uint8)
        >>> len(join_chunks(codes, 2)), join_chunks(codes, 20)
        (4, None)
    """
    if len(codes) < _FEWEST:
        return None
    bits, words = 8 * codes.shape[1], -(-codes.shape[1] // 4)
    every = _PER_PAIR * words * len(codes) ** 2 / 2
    ways = [cut(bits, count) for count in chunk_counts(bits)]
    best = min(ways, key=lambda chunks: _nanoseconds(chunks, len(codes), words, radius))
    if _nanoseconds(best, len(codes), words, radius) > every:
        return None
    own = [_candidates(codes, chunk, r) for chunk, r in zip(best, radii_of(radius, len(best)), strict=True)]
    return best if _nanoseconds(best, len(codes), words, radius, sum(own)) < every else None


def _nanoseconds(chunks: list[Chunk], codes: int, words: int, radius: int, candidates: float | None = None) -> float:
    """Return what a join takes; candidates of a code are those of independent bits where they are not given."""
    near = [values_near(chunk.bits, r) for chunk, r in zip(chunks, radii_of(radius, len(chunks)), strict=True)]
    if candidates is None:
        candidates = sum(each * codes / (1 << chunk.bits) for each, chunk in zip(near, chunks, strict=True))
    tables = sum(_PER_CODE * codes + _PER_VALUE * (1 << chunk.bits) for chunk in chunks)
    return tables + codes / 2 * (_PER_LOOK * sum(near) + _PER_CANDIDATE * words * candidates)


def _candidates(codes: Codes, chunk: Chunk, radius: int) -> float:
    """Return the codes within a radius of one in a chunk, the mean of some."""
    from simsearch.search.hamming.multi_index_kernels import near_values, values_of

    if radius < 0:
        return 0.0
    values = values_of(as_words(codes, np.uint32), chunk.first, chunk.bits)
    sizes = np.bincount(values, minlength=1 << chunk.bits)
    some = values[np.linspace(0, len(values) - 1, min(_SAMPLE, len(values)), dtype=np.int64)]
    flips = near_values(chunk.bits, radius, values_near(chunk.bits, radius))
    return float(sum(sizes[some ^ flip].sum() for flip in flips) / len(some))


def joined(
    codes: Codes, chunks: list[Chunk], *, radius: int, threads: int | None = None, advance: Advance | None = None
) -> Iterator[NearCodes]:
    """Yield all pairs of codes that differ in at most `radius` bits, each once, in no order of the pieces.

    Memory is one table at a time, of as many bytes as the codes, 12 a code and 8 a value, and the pieces of a wave.

    Args:
        codes: Packed codes (n, bytes), below 2^32 of them.
        chunks: Of `cut`.
        radius: Bits.
        threads: By default one a core.
        advance: Called with codes looked up in all tables, and how many that will be.
    """
    from simsearch.search.hamming.multi_index_kernels import join, table_of

    words, count = as_words(codes, np.uint32), thread_count(threads)
    radii = np.array(radii_of(radius, len(chunks)))
    done, total = 0, len(codes) * int((radii >= 0).sum())
    for number, chunk in enumerate(chunks):
        if radii[number] < 0:
            continue
        table = table_of(words, chunk.first, chunk.bits)

        def part(task: tuple[int, int], number: int = number, table: object = table) -> tuple[int, NearCodes]:
            room = _ROOM
            while True:
                found = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int32)
                stop, length = join(words.shape[1])(table, np.array(chunks), radii, (number, radius, *task), found)
                if stop > task[0]:
                    return stop, _in_order(*(column[:length] for column in found))
                room *= 2  # one code has more pairs than that

        parts = [(start, min(start + _PART, len(words))) for start in range(0, len(words), _PART)]
        while parts:
            wave, parts = parts[: _WAVE * count], parts[_WAVE * count :]
            again = []
            for (start, end), (stop, pairs) in zip(wave, pool(count).map(part, wave), strict=True):
                again += [(stop, end)] if stop < end else []
                done += stop - start
                yield pairs
                if advance is not None:
                    advance(done, total)
            parts = again + parts


def _in_order(one: NDArray[Any], other: NDArray[Any], counts: NDArray[Any]) -> NearCodes:
    left, right = np.minimum(one, other), np.maximum(one, other)
    order = np.lexsort((right, counts, left))
    return NearCodes(left[order], right[order], counts[order])
