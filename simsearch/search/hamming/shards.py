"""Codes of several blocks, cut into shards for threads."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_ALL = np.empty(0, np.bool_)


class Piece(NamedTuple):
    """Codes (n, bytes), which of them are live (None for all), and the position of the first."""

    codes: NDArray[np.uint8]
    live: NDArray[np.bool_] | None
    base: int


def pieces_of(blocks: Sequence[NDArray[np.uint8]], live: Sequence[NDArray[np.bool_] | None] | None) -> list[Piece]:
    """Return one piece a block; `live` as in `simsearch.search.hamming.search.nearest_codes`."""
    bases = np.cumsum([0, *(len(block) for block in blocks)])
    masks = [None] * len(blocks) if live is None else live
    return [Piece(*piece) for piece in zip(blocks, masks, bases[:-1].tolist(), strict=True)]


def shares_of(pieces: Sequence[Piece], count: int) -> list[list[Piece]]:
    """Return the pieces cut into that many shards of equal size, in order."""
    total = sum(len(piece.codes) for piece in pieces)
    bounds = [total * i // count for i in range(count + 1)]
    shares: list[list[Piece]] = [[] for _ in range(count)]
    for codes, live, base in pieces:
        for share, (low, high) in zip(shares, itertools.pairwise(bounds), strict=True):
            start, stop = max(low - base, 0), min(high - base, len(codes))
            if start < stop:
                share.append(Piece(codes[start:stop], None if live is None else live[start:stop], base + start))
    return shares


def cut(pieces: Sequence[Piece], size: int) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.bool_], int]]:
    """Yield batches of codes, their mask, (0,) for all live, and the position of the first."""
    for codes, live, base in pieces:
        for start in range(0, len(codes), size):
            stop = start + size
            alive = _ALL if live is None else np.ascontiguousarray(live[start:stop])
            yield np.ascontiguousarray(codes[start:stop]), alive, base + start
