"""Codes of several blocks, cut into shares for threads."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_ALL = np.empty(0, np.bool_)


class Piece(NamedTuple):
    """Codes (n, bytes), which of them count (None for all), and the position of the first."""

    codes: NDArray[np.uint8]
    live: NDArray[np.bool_] | None
    base: int


def pieces_of(blocks: Sequence[NDArray[np.uint8]], live: Sequence[NDArray[np.bool_] | None] | None) -> list[Piece]:
    """One piece a block; `live` as in `simsearch.search.hamming.search.nearest_codes`."""
    bases = np.cumsum([0, *(len(block) for block in blocks)])
    masks = [None] * len(blocks) if live is None else live
    return [Piece(*piece) for piece in zip(blocks, masks, bases[:-1].tolist(), strict=True)]


def shares_of(pieces: Sequence[Piece], count: int) -> list[list[Piece]]:
    """The pieces cut into that many shares of as many codes, in order."""
    total = sum(len(piece.codes) for piece in pieces)
    bounds = [total * i // count for i in range(count + 1)]
    shares: list[list[Piece]] = [[] for _ in range(count)]
    for codes, live, base in pieces:
        for share, (low, high) in zip(shares, itertools.pairwise(bounds), strict=True):
            start, stop = max(low - base, 0), min(high - base, len(codes))
            if start < stop:
                share.append(Piece(codes[start:stop], None if live is None else live[start:stop], base + start))
    return shares


def cut(pieces: Sequence[Piece], most: int) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.bool_], int]]:
    """At most so many codes at once, which of them count, (0,) for all, and the position of the first."""
    for codes, live, base in pieces:
        for start in range(0, len(codes), most):
            stop = start + most
            alive = _ALL if live is None else np.ascontiguousarray(live[start:stop])
            yield np.ascontiguousarray(codes[start:stop]), alive, base + start
