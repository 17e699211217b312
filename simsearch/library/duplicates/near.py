"""Pairs of contents within a distance: by comparing all, through the library's index, or by tables of codes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.distance import METRICS
from simsearch.errors import IndexFailed, InputError
from simsearch.library.duplicates.contents import Contents, Numbers
from simsearch.library.format.channel import Channel
from simsearch.library.format.row_checks import naming_damage
from simsearch.library.indexes.curve import Recall
from simsearch.library.indexes.search_parameters import choose_parameters
from simsearch.library.read.open_indexes import OpenIndex, OpenIndexes

MOST_PAIRS = 5_000_000
"""Pairs that are held: 21 bytes each. Where there are more, the distance says little."""
_BYTES = 32 << 20  # of rows that are compared with all at once
_NEIGHBOURS = 10  # by whose recall an index is asked
Advance = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Near:
    """Pairs of items, each once, by their numbers.

    Attributes:
        left: (m,) int64.
        right: (m,) int64.
        distances: (m,) float32.
        views: (m,) uint8, of which view of the left one that is; 0 is the picture as it is.
    """

    left: Numbers
    right: Numbers
    distances: NDArray[np.float32]
    views: NDArray[np.uint8]

    @classmethod
    def joined(
        cls, pieces: Iterable[tuple[Numbers, Numbers, NDArray[np.float32], int]], *, most: int = MOST_PAIRS
    ) -> Near:
        """Return pieces as one, each pair at its nearest, in order of the items.

        Raises:
            InputError: There are more than can be held.
        """
        held, found = 0, []
        for left, right, distances, view in pieces:
            held += len(left)
            if held > most:
                raise InputError(f"more than {most:,} pairs are that near: lower --max-distance or --max-false-pairs")
            found.append((left, right, distances, np.full(len(left), view, np.uint8)))
        empty = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.uint8))
        left, right, distances, views = (np.concatenate(column) for column in zip(empty, *found, strict=True))
        order = np.lexsort((views, distances, right, left))
        left, right = left[order], right[order]
        first = np.ones(len(left), bool)
        first[1:] = (left[1:] != left[:-1]) | (right[1:] != right[:-1])
        return cls(left[first], right[first], distances[order][first], views[order][first])

    def __len__(self) -> int:
        return len(self.left)

    def some(self, chosen: NDArray[np.bool_]) -> Near:
        """Return these pairs alone."""
        return Near(self.left[chosen], self.right[chosen], self.distances[chosen], self.views[chosen])


@dataclass(frozen=True, slots=True)
class Asking:
    """How rows are compared.

    Attributes:
        channel: Whose rows.
        metric: The distance.
        limit: The largest distance of a pair.
        device: Of the search.
        most: Pairs that are held, at most.
    """

    channel: Channel
    metric: str
    limit: float
    device: str
    most: int = MOST_PAIRS

    @property
    def of_codes(self) -> bool:
        """Whether rows are codes."""
        return METRICS[self.metric].of_codes


Piece = tuple[Numbers, Numbers, NDArray[np.float32], int]


def pairs_within(
    contents: Contents, asking: Asking, *, resident: OpenIndexes | None, advance: Advance | None = None
) -> tuple[Near, Recall | None]:
    """Return all pairs of contents within the limit, and the recall of the index that was asked; None for none.

    Args:
        contents: Of the library.
        asking: How rows are compared.
        resident: Its indexes; None to compare all.
        advance: Called with rows compared and how many there are.

    Raises:
        InputError: There are more pairs than can be held.
        LibraryDamaged: A stored row was damaged; it is named.
    """
    numbers, total = contents.items_of_rows(asking.channel), contents.count
    with naming_damage(contents.snapshot, asking.channel):
        if asking.of_codes:
            return Near.joined(_by_codes(contents, asking, numbers, advance), most=asking.most), None
        while resident is not None:
            device = resident.device(total)
            ready = resident.index(contents.snapshot, asking.channel.name, asking.metric, device)
            if ready is None:
                break
            live = contents.live_rows(asking.channel)
            left = sum(int(live[s].sum()) for s in _covered(contents, ready))
            way = choose_parameters(ready.record, ready.index.efforts(), k=_NEIGHBOURS, rows=_NEIGHBOURS, live=left)
            if way is None:
                break
            try:
                pieces = _by_index(contents, asking, numbers, ready, (way.effort, way.depth))
                return Near.joined(_told(pieces, advance, total), most=asking.most), way.recall
            except IndexFailed as error:
                resident.failed(ready, error)
        return Near.joined(_told(_by_rows(contents, asking, numbers), advance, total), most=asking.most), None


def pairs_between(asked: Contents, held: Contents, asking: Asking, *, advance: Advance | None = None) -> Near:
    """Return all pairs of a content of one library and one of another, exactly; `right` is of the other.

    Raises:
        InputError: There are more pairs than can be held.
        LibraryDamaged: A stored row was damaged; it is named.
    """
    numbers = asked.items_of_rows(asking.channel), held.items_of_rows(asking.channel)
    rows, live = _rows(asked, asking.channel), asked.live_rows(asking.channel)
    others = _rows(held, asking.channel), held.live_rows(asking.channel)
    with naming_damage(held.snapshot, asking.channel):
        pieces = cross_pairs((rows, live), others, asking)
        named = ((numbers[0][left], numbers[1][right], distances, 0) for left, right, distances in pieces)
        return Near.joined(_told(named, advance, asked.count), most=asking.most)


def cross_pairs(
    asked: tuple[Sequence[Any], Sequence[Any]], held: tuple[Sequence[Any], Sequence[Any]], asking: Asking
) -> Iterator[tuple[Numbers, Numbers, NDArray[np.float32]]]:
    """Yield the pairs of a live row of some blocks and one of others, by their positions, exactly."""
    from simsearch.search.range_search import within

    base = 0
    for block, live in zip(*asked, strict=True):
        step = max(1, _BYTES // max(1, block[:1].nbytes))
        for start in range(0, len(block), step):
            there = np.flatnonzero(live[start : start + step])
            if len(there):
                found = within(
                    np.asarray(block[start : start + step])[there],
                    held[0],
                    max_distance=asking.limit,
                    metric=asking.metric,
                    live=held[1],
                    device=asking.device,
                    bits=asking.channel.bits,
                )
                yield np.repeat(there + base + start, np.diff(found.starts)), found.positions, found.distances
        base += len(block)


def _rows(contents: Contents, channel: Channel) -> list[Any]:
    return [segment.channels[channel.name].row for segment in contents.snapshot.segments]


def _ordered(numbers: Numbers, left: Numbers, right: Numbers, distances: NDArray[np.float32]) -> Piece:
    """Return pairs of rows as pairs of items, the lower first, without those of one item."""
    a, b = numbers[left], numbers[right]
    apart = a != b
    return np.minimum(a, b)[apart], np.maximum(a, b)[apart], distances[apart], 0


def _by_rows(contents: Contents, asking: Asking, numbers: Numbers) -> Iterator[Piece]:
    from simsearch.search.self_join import row_pairs

    rows, live = _rows(contents, asking.channel), contents.live_rows(asking.channel)
    if contents.count:
        for pairs in row_pairs(rows, max_distance=asking.limit, metric=asking.metric, live=live, device=asking.device):
            yield _ordered(numbers, *pairs)


def _by_codes(contents: Contents, asking: Asking, numbers: Numbers, advance: Advance | None) -> Iterator[Piece]:
    """Yield pairs of codes, which are held in memory: 12 or 32 bytes each."""
    from simsearch.search.hamming.code_length import radius_of
    from simsearch.search.self_join import code_pairs

    if not contents.count:
        return
    live = contents.live_rows(asking.channel)
    codes = np.concatenate(
        [np.asarray(row[mask]) for row, mask in zip(_rows(contents, asking.channel), live, strict=True)]
    )
    kept = numbers[np.concatenate(live)]
    room = 8 * codes.shape[1]
    bits = asking.channel.bits or room
    radius = radius_of(min(asking.limit, 1.0), bits)
    for left, right, distances in code_pairs(codes, radius=radius, advance=advance):
        yield _ordered(kept, left, right, (distances * np.float32(room / bits)).astype(np.float32))


def _by_index(
    contents: Contents, asking: Asking, numbers: Numbers, ready: OpenIndex, way: tuple[int, int]
) -> Iterator[Piece]:
    """Yield the pairs that an index finds, and all with rows that it does not cover."""
    from simsearch.search.self_join import pairs_by_index, row_pairs

    rows, live = _rows(contents, asking.channel), contents.live_rows(asking.channel)
    effort, depth = way
    covered = _covered(contents, ready)
    offsets = np.cumsum([0, *map(len, rows)])

    def of(chosen: Sequence[int]) -> tuple[list[Any], list[Any], Numbers]:
        own = [numbers[offsets[s] : offsets[s + 1]] for s in chosen]
        return [rows[s] for s in chosen], [live[s] for s in chosen], np.concatenate([np.empty(0, np.int64), *own])

    known, known_live, known_numbers = of(covered)
    how: dict[str, Any] = {"max_distance": asking.limit, "device": asking.device}
    for pairs in pairs_by_index(known, ready.index, effort=effort, depth=depth, live=known_live, **how):
        yield _ordered(known_numbers, *pairs)
    fresh, fresh_live, fresh_numbers = of([s for s in range(len(rows)) if s not in set(covered)])
    if not fresh:
        return
    for left, right, distances in cross_pairs((fresh, fresh_live), (known, known_live), asking):
        a, b = fresh_numbers[left], known_numbers[right]
        yield np.minimum(a, b), np.maximum(a, b), distances, 0
    for pairs in row_pairs(fresh, metric=asking.metric, live=fresh_live, **how):
        yield _ordered(fresh_numbers, *pairs)


def _covered(contents: Contents, ready: OpenIndex) -> list[int]:
    """Return the segments that an index was built over, in the order of its rows."""
    return [contents.snapshot.uuids[uuid] for uuid in ready.record.segments]


def _told(pieces: Iterable[Piece], advance: Advance | None, total: int) -> Iterator[Piece]:
    done = 0
    for piece in pieces:
        yield piece
        if len(piece[0]):
            done = min(int(piece[0][-1]) + 1, total)
        if advance is not None:
            advance(done, total)
