"""Images to the rows of several views of each, by several extractors from one reading."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import InputError
from simsearch.extract.extractor import Extractor, checked_rows
from simsearch.extract.parts import prepare_looks
from simsearch.extract.pipeline import Embedded, checked, embedded, read_ahead, row_problem
from simsearch.images.source import Limits, Rejected, Source
from simsearch.images.views import PLAIN, ViewPreprocessing
from simsearch.images.workers.prepared import Prepared

Views = dict[str, NDArray[Any]]
"""Something of each view, by its name."""
Viewed = tuple[Embedded | Rejected, Views]
"""An input with its row, and the rows of its further views."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """What one extractor makes of images.

    Attributes:
        extractor: Of the rows.
        views: Names of the views that it sees, the whole picture's first.
        known: Says whether a content, by its SHA-256, needs no row; asked where there are no further views.
    """

    extractor: Extractor
    views: Sequence[str] = (PLAIN,)
    known: Callable[[bytes], bool] | None = None

    def needs(self, item: Prepared) -> bool:
        """Return whether an image needs rows."""
        return self.known is None or len(self.views) > 1 or not self.known(item.sha256)


def embed_views(
    viewers: Sequence[Viewer],
    sources: Iterable[Source | Rejected],
    *,
    batch_size: int,
    workers: int,
    limits: Limits,
) -> Iterator[tuple[Viewed, ...]]:
    """Yield for each input what each viewer makes of it: its row, as `embed_sources` does, and those of its views.

    A file is read once for all. A view that looks exactly like an earlier one, or has no usable row, is left out.

    Args:
        viewers: Extractors with what they see.
        sources: As of `find`.
        batch_size: Views that go through an extractor at once, or all those of one image.
        workers: Decoding processes; 0 is one that stays warm.
        limits: Bounds on the cost of one image.

    Raises:
        InputError: An extractor that gives several rows an image is to see further views.
        RowError: An extractor gave rows of another shape than it promises.
    """
    if several := [one.extractor.name for one in viewers if one.extractor.several and len(one.views) > 1]:
        raise InputError(f"{several[0]} gives several rows an image, and has no views: leave them out")
    looks = [
        (one.extractor, ViewPreprocessing.of(one.extractor.preprocessing, view))
        if len(one.views) > 1
        else (one.extractor, one.extractor.preprocessing)
        for one in viewers
        for view in one.views
    ]
    times = [len(one.views) for one in viewers]

    def prepared(stop: Callable[[], bool]) -> Iterator[Prepared | Rejected]:
        repeated = (_for_all(source, times) for source in sources)
        return prepare_looks(looks, repeated, workers=workers, limits=limits, stop=stop)

    with closing(read_ahead(prepared, max(1, batch_size // max(times)))) as batches:
        for batch in batches:
            yield from zip(*(_made(batch, *one) for one in zip(viewers, _slices(times), strict=True)), strict=True)


def _slices(lengths: Sequence[int]) -> list[slice]:
    return [slice(end - length, end) for length, end in zip(lengths, itertools.accumulate(lengths), strict=True)]


def _for_all(source: Source | Rejected, times: Sequence[int]) -> Source | Rejected:
    """Return an input whose pixels from memory, one picture an extractor, are given for each of its views."""
    if isinstance(source, Source) and isinstance(source.given, tuple):
        given = (picture for picture, count in zip(source.given, times, strict=True) for picture in [picture] * count)
        return replace(source, given=tuple(given))
    return source


def _made(batch: Sequence[Any], viewer: Viewer, own: slice) -> Iterator[Viewed]:
    """Yield what one viewer makes of a batch of `Prepared` and `Rejected`, given which of their squares are its own."""
    pixels = [
        _distinct(item.squares[own], viewer.views) if isinstance(item, Prepared) and viewer.needs(item) else {}
        for item in batch
    ]
    rows = iter(_rows(viewer.extractor, [square for one in pixels for square in one.values()]))
    for item, squares in zip(batch, pixels, strict=True):
        yield _viewed(item, {view: next(rows) for view in squares}, viewer.extractor)


def _distinct(squares: Sequence[NDArray[np.uint8]], views: Sequence[str]) -> Views:
    if len(views) == 1:
        return dict(zip(views, squares, strict=True))
    first: dict[bytes, str] = {}
    named = zip(views, squares, strict=True)
    return {view: square for view, square in named if first.setdefault(square.tobytes(), view) == view}


def _rows(extractor: Extractor, squares: Sequence[NDArray[Any]]) -> Iterable[NDArray[Any]]:
    if extractor.several:
        return squares
    return checked_rows(extractor, extractor.embed_pixels(np.stack(squares)), len(squares)) if squares else ()


def _viewed(item: Prepared | Rejected, rows: Mapping[str, NDArray[Any]], extractor: Extractor) -> Viewed:
    if isinstance(item, Rejected):
        return item, {}
    if not rows:
        return embedded(item, None), {}
    (_, plain), *others = rows.items()
    usable = {view: row for view, row in others if row_problem(row, extractor) is None}
    return checked(item, (plain,), [extractor]), usable
