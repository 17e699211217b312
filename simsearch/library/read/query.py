"""The query rows of images: a content that the library has uses its stored row."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import ItemNotFound, MetricError
from simsearch.extract.extractor import Extractor
from simsearch.extract.image_input import is_path, is_tensor
from simsearch.extract.pipeline import Embedded, embed_sources
from simsearch.extract.quantise.extractor import margins_of
from simsearch.extract.views import Viewed, Viewer, Views, embed_views
from simsearch.images.find import find
from simsearch.images.source import Rejected, Source, as_text
from simsearch.images.views import PLAIN
from simsearch.library.format.channel import problem_of
from simsearch.library.format.items import numbers
from simsearch.library.format.manifest_values import MOST_ID
from simsearch.library.format.snapshot import Snapshot
from simsearch.library.inputs import given_source, outside
from simsearch.library.path_aliases import names_of
from simsearch.library.read import arguments
from simsearch.library.read.group_copies import with_same_files
from simsearch.library.read.matches import Match, Matches, QueryMatches
from simsearch.library.read.nearest_view import nearest_view
from simsearch.library.read.neighbours import checked_rows
from simsearch.library.read.search_plan import SearchPlan
from simsearch.library.select_items import PathLike
from simsearch.library.settings import AddSettings
from simsearch.runtime.cpu import default_workers
from simsearch.spatial.points import Points

Search = Callable[[SearchPlan, NDArray[Any]], Sequence[QueryMatches]]

_FEW = 32  # images that are decoded in this process: starting decoders would take longer
_HELD = 256  # pictures from memory of a batch


@dataclass(frozen=True, slots=True)
class Query:
    """One query: its path and content, and its row or why there is none.

    Attributes:
        path: None for an image or row from memory.
        row: In the dtype of queries, the first of several; None for one that cannot be used.
        rejected: Why it cannot be used.
        sha256: Of its content; None for a row.
        views: Rows of its further views; None where no views are asked for.
        size: Width and height of the picture, upright; None for a row.
        quality: Of the picture, 0 (blank) to 100; None for a row.
        id: Of the item that it is, where it was asked for by its id.
        parts: All its rows (p, d), where it has several.
    """

    path: bytes | None
    row: NDArray[Any] | None
    rejected: Rejected | None = None
    sha256: bytes | None = None
    views: Views | None = None
    size: tuple[int, int] | None = None
    quality: int | None = None
    id: int | None = None
    parts: NDArray[Any] | None = None

    @property
    def rows(self) -> Views:
        """Its row and those of its further views or parts, by their names; empty for one that cannot be used."""
        if self.parts is not None:
            return {f"part {i}": row for i, row in enumerate(self.parts)}
        return {} if self.row is None else {PLAIN: self.row, **(self.views or {})}


def as_rows(queries: Any) -> NDArray[Any] | None:
    """Return queries that are rows, a float array or tensor (d,) or (q, d), as an array; None for images."""
    if is_tensor(queries) and queries.is_floating_point() and queries.ndim <= 2:
        queries = queries.detach().cpu().float().numpy()
    if isinstance(queries, np.ndarray) and queries.dtype.kind == "f" and queries.ndim in (1, 2):
        return queries
    return None


def as_embedded(queries: Any) -> list[Query] | None:
    """Return queries that were embedded before as a list; None for others."""
    if isinstance(queries, list) and queries and all(isinstance(one, Query) for one in queries):
        return queries
    return None


class QueryEmbedder:
    """The embedder of query images for a plan.

    Attributes:
        extractor: Of query rows.
        settings: How images are read.
        library: The library's folder.
        views: Names of the views that are embedded, the whole picture's first; none for the picture alone.
    """

    def __init__(
        self,
        plan: SearchPlan,
        extractor: Extractor,
        settings: AddSettings,
        *,
        library: Path,
        views: Sequence[str] = (),
    ) -> None:
        """Make it.

        Args:
            plan: Of the search; its snapshot's rows are reused where queries have their form.
            extractor: Of the library.
            settings: How images are read.
            library: The library's folder.
            views: Names of the views that are embedded, the whole picture's first; none for the picture alone.

        Raises:
            MetricError: The plan needs margins, and the extractor has none.
        """
        self._snapshot = plan.snapshot
        self._channel = plan.asked
        self._reuse = plan.asked is plan.channel
        self.extractor = extractor if self._reuse else _of_queries(extractor)
        self.settings = settings
        self.library = library
        self.views = views

    def embed(self, queries: Iterable[Any], *, from_list: PathLike | None = None) -> list[Query]:
        """Return one query an image, in order, for each image in folders and tars, and for a `Source`.

        The library's own files are left out, where a folder or list contains them.

        Raises:
            InputError: A path does not exist, or a value is no image.
        """
        return embed_together([self], queries, from_list=from_list)[0]

    @property
    def viewer(self) -> Viewer:
        """What it makes of images."""
        return Viewer(self.extractor, self.views or (PLAIN,), self.is_stored)

    def is_stored(self, sha256: bytes) -> bool:
        """Return whether the library has a row of this content that a query uses."""
        return self._stored(sha256) is not None

    def query(self, outcome: Embedded | Rejected, views: Views) -> Query:
        """Return the query of an image, given the rows of its further views."""
        query = self._query(outcome)
        return replace(query, views=self._usable(views)) if self.views else query

    def _usable(self, views: Views) -> Views:
        """Return the rows of further views, rounded, without those that the metric cannot compare."""
        rounded = {view: self._channel.round(row) for view, row in views.items()}
        return {view: row for view, row in rounded.items() if problem_of(row, self._channel, view) is None}

    def _query(self, outcome: Embedded | Rejected) -> Query:
        source = outcome.source
        path = source.path if source.has_path else None
        if isinstance(outcome, Rejected):
            return Query(path, None, outcome)
        rows = self._stored(outcome.sha256)
        if rows is None and outcome.row is not None:
            rows = self._channel.round(outcome.row)
            problem = problem_of(rows, self._channel, f"the row of {source.printable}")
            if problem is not None:
                return Query(path, None, Rejected(source, *problem))
        row, parts = _first(rows)
        size = outcome.width, outcome.height
        return Query(path, row, sha256=outcome.sha256, size=size, quality=outcome.quality, parts=parts)

    def _stored(self, sha256: bytes) -> NDArray[Any] | None:
        place = self._snapshot.by_content(sha256) if self._reuse else None
        return None if place is None else self._snapshot.parts(place, self._channel.name)


def _first(rows: NDArray[Any] | None) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
    """Return the first of an image's rows, (d,) or (p, d), and all of them where they are several."""
    if rows is None or rows.ndim == 1:
        return rows, None
    return (rows[0] if len(rows) else None), (rows if len(rows) > 1 else None)


def embed_together(
    embedders: Sequence[QueryEmbedder], queries: Iterable[Any], *, from_list: PathLike | None = None
) -> list[list[Query]]:
    """Return what each embedder's `embed` would of the same images, each of which is read and decoded once for all.

    Raises:
        InputError: A path does not exist, or a value is no image.
    """
    first, found = embedders[0], [list[Query]() for _ in embedders]
    hows, limits = [one.extractor.preprocessing for one in embedders], first.settings.limits

    def take(sources: Sequence[Source | Rejected]) -> None:
        for told in _outcomes(embedders, sources):
            for embedder, of_channel, outcome in zip(embedders, found, told, strict=True):
                of_channel.append(embedder.query(*outcome))

    for on_disk, group in itertools.groupby(queries, key=_is_on_disk):
        while run := list(itertools.islice(group, None if on_disk else _HELD)):
            take(_sources(run, first.library) if on_disk else [given_source(image, hows, limits) for image in run])
    if from_list is not None:
        take(list(outside(first.library, find([], from_list=from_list))))
    return found


def _outcomes(embedders: Sequence[QueryEmbedder], sources: Sequence[Source | Rejected]) -> Iterator[tuple[Viewed, ...]]:
    settings = embedders[0].settings
    workers = settings.workers
    if workers is None:
        workers = 0 if len(sources) < _FEW else min(default_workers(), len(sources))
    how: dict[str, Any] = {"batch_size": settings.batch_size, "limits": settings.limits, "workers": workers}
    if len(embedders) > 1 or embedders[0].views:
        return embed_views([one.viewer for one in embedders], sources, **how)
    outcomes = embed_sources(embedders[0].extractor, sources, known=embedders[0].is_stored, **how)
    return (((outcome, {}),) for outcome in outcomes)


def _of_queries(extractor: Extractor) -> Extractor:
    """Return the extractor of query rows that have another form than stored ones."""
    return extractor.of_queries if isinstance(extractor, Points) else margins_of(extractor)


def _is_on_disk(value: Any) -> bool:
    return isinstance(value, Source | Rejected) or is_path(value)


def _sources(values: Iterable[Any], library: Path) -> list[Source | Rejected]:
    sources: list[Source | Rejected] = []
    for value in values:
        sources += [value] if isinstance(value, Source | Rejected) else outside(library, find([value]))
    return sources


def queries_of(rows: NDArray[Any], plan: SearchPlan) -> list[Query]:
    """Return rows as queries, in the channel's dtype.

    Raises:
        RowError: A row is NaN, infinite, zero-sum or of the wrong dimension; it is named.
        MetricError: The metric is not defined on these rows.
    """
    return [Query(None, row) for row in checked_rows(rows, plan.asked, plan.metric)]


def queries_of_items(ids: Sequence[int], plan: SearchPlan) -> list[Query]:
    """Return items of the plan's snapshot as queries, by their stored rows.

    Raises:
        ItemNotFound: There is no item of an id.
        MetricError: The metric does not compare stored rows with each other.
    """
    if plan.asked is not plan.channel:
        raise MetricError(f"{plan.metric} compares stored rows with images alone: give an image, or another channel")
    return [_of_item(arguments.number(one, "id", low=0, high=MOST_ID), plan) for one in ids]


def _of_item(number: float, plan: SearchPlan) -> Query:
    snapshot, name = plan.snapshot, plan.channel.name
    place = snapshot.by_id(int(number))
    row, parts = (None, None) if place is None else _first(snapshot.parts(place, name))
    if place is None or row is None:
        raise ItemNotFound(f"the library has no item {int(number)}")
    segment = snapshot.segments[place.segment]
    quality = int(numbers(segment.items.column("quality").slice(place.position, 1))[0])
    content = segment.content(place.position)
    known = None if quality < 0 else quality
    return Query(snapshot.path(place), row, sha256=content, quality=known, id=int(number), parts=parts)


def answer(queries: Sequence[Query], plan: SearchPlan, search: Search, *, exclude_self: bool = False) -> Matches:
    """Return the matches of every query, in order; a rejected one has none.

    Args:
        queries: Images or rows.
        plan: Of the search.
        search: Gives what is found for each row, given the plan and the rows (q, d).
        exclude_self: Leave out the item that the query itself is.
    """
    asked = plan.asked
    most = plan.k or len(plan.snapshot)
    own = _own(queries, plan.snapshot) if exclude_self else [set[int]()] * len(queries)
    extra = max(map(len, own), default=0) + (plan.max_distance is not None)
    wider = replace(plan, spare=extra)
    rows = [row for query in queries for row in query.rows.values()]
    found = iter(search(wider, np.array(rows, asked.numpy_dtype).reshape(len(rows), asked.dimension)))
    answers = []
    for query, ids in zip(queries, own, strict=True):
        text, encoded = (None, None) if query.path is None else as_text(query.path)
        one = _found(query, found, most + extra)
        matches = _without(one.matches, ids) if exclude_self else one.matches
        more = None if plan.max_distance is None else len(matches) > most
        told = tuple(map(with_same_files, matches[:most]))
        one = replace(one, query=text, query_b64=encoded, rejected=query.rejected)
        answers.append(replace(one, matches=told, more=more))
    k = plan.k or max((len(one.matches) for one in answers), default=0)
    return Matches(tuple(answers), k, len(plan.snapshot), plan.channel.name, plan.metric)


def _found(query: Query, found: Iterator[QueryMatches], most: int) -> QueryMatches:
    """Return what is found for a query, given what is found for the rows from its own on."""
    if query.row is None:
        return QueryMatches(None, (), certified=False)
    if query.views is None and query.parts is None:
        return next(found)
    nearest = nearest_view(list(query.rows), list(itertools.islice(found, len(query.rows))), most)
    if query.parts is None:
        return nearest
    return replace(nearest, matches=tuple(replace(match, view=None) for match in nearest.matches), views=1)


def _own(queries: Sequence[Query], snapshot: Snapshot) -> list[set[int]]:
    """Return the ids of the items that each query is: by its path, or from memory by its content."""
    names, own = names_of(snapshot), []
    for query in queries:
        if query.id is not None:
            own.append({query.id})
            continue
        if query.path is not None:
            places = [place for place in snapshot.by_paths(names.of_file(query.path)) if place is not None]
        else:
            places = [place for place in snapshot.contents(query.sha256 or b"") if snapshot.path(place) is None]
        own.append({snapshot.id(place) for place in places})
    return own


def _without(matches: Sequence[Match], own: set[int]) -> tuple[Match, ...]:
    """Return the matches without some items; the first remaining copy of a match takes its place."""
    return tuple(sorted(_remaining(matches, own), key=lambda match: (match.distance, match.id)))


def _remaining(matches: Sequence[Match], own: set[int]) -> Iterator[Match]:
    for match in matches:
        copies = tuple(copy for copy in match.copies if copy.id not in own)
        if match.id not in own:
            yield replace(match, copies=copies)
        elif copies:
            first = copies[0]
            yield replace(match, id=first.id, path=first.path, path_b64=first.path_b64, copies=copies[1:])
