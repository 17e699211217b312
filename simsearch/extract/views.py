"""Images to the rows of several views of each."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.extract.extractor import Extractor, checked_rows, require_one_row
from simsearch.extract.pipeline import Embedded, checked, row_problem
from simsearch.images.source import Limits, Rejected, Source
from simsearch.images.views import ViewPreprocessing
from simsearch.images.workers.pool import prepare
from simsearch.images.workers.prepared import Prepared

Views = dict[str, NDArray[Any]]
"""Something of each view, by its name."""


def embed_views(
    extractor: Extractor,
    sources: Iterable[Source | Rejected],
    views: Sequence[str],
    *,
    batch_size: int,
    workers: int,
    limits: Limits,
) -> Iterator[tuple[Embedded | Rejected, Views]]:
    """Yield each input with its row, as `embed_sources` does, and the rows of its further views.

    A file is read once for all views. One that looks exactly like an earlier view, or has no usable row, is left out.

    Args:
        extractor: Of the rows.
        sources: As of `find`.
        views: Names of views, the whole picture's first.
        batch_size: Views that go through the extractor at once, or all those of one image.
        workers: Decoding processes; 0 is one that stays warm.
        limits: Bounds on the cost of one image.

    Raises:
        InputError: The extractor gives several rows an image.
        RowError: The extractor gave rows of another shape than it promises.
    """
    require_one_row(extractor)
    each = [ViewPreprocessing.of(extractor.preprocessing, view) for view in views]
    prepared = prepare((_for_all(source, len(each)) for source in sources), each, workers=workers, limits=limits)
    while batch := list(itertools.islice(prepared, max(1, batch_size // len(each)))):
        pixels = [_distinct(item, views) if isinstance(item, Prepared) else {} for item in batch]
        rows = iter(_rows(extractor, [square for one in pixels for square in one.values()]))
        for item, squares in zip(batch, pixels, strict=True):
            yield _embedded(item, {view: next(rows) for view in squares}, extractor)


def _for_all(source: Source | Rejected, count: int) -> Source | Rejected:
    """Return an input whose pixels from memory are given for each view."""
    if isinstance(source, Source) and isinstance(source.given, tuple):
        return replace(source, given=source.given * count)
    return source


def _distinct(item: Prepared, views: Sequence[str]) -> Views:
    first: dict[bytes, str] = {}
    named = zip(views, item.squares, strict=True)
    return {view: square for view, square in named if first.setdefault(square.tobytes(), view) == view}


def _rows(extractor: Extractor, squares: Sequence[NDArray[np.uint8]]) -> Iterable[NDArray[Any]]:
    return checked_rows(extractor, extractor.embed_pixels(np.stack(squares)), len(squares)) if squares else ()


def _embedded(item: Prepared | Rejected, rows: Views, extractor: Extractor) -> tuple[Embedded | Rejected, Views]:
    if isinstance(item, Rejected):
        return item, {}
    (_, plain), *others = rows.items()
    usable = {view: row for view, row in others if row_problem(row, extractor) is None}
    return checked(item, (plain,), [extractor]), usable
