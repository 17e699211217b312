"""From images to the rows that are searched: a content that the library has uses its stored row."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import ImageRejected
from simsearch.extract.extractor import Extractor
from simsearch.extract.inputs import are_several, as_rgb
from simsearch.extract.pipeline import Embedded, default_workers, embed_sources
from simsearch.extract.quantised import margins_of
from simsearch.images.find import find
from simsearch.images.rejected import Rejected
from simsearch.images.source import Source
from simsearch.library.intake import problem_of
from simsearch.library.matches import Matches, QueryMatches, as_text
from simsearch.library.neighbours import Found, SearchPlan, checked_rows, nearest
from simsearch.library.report import AddSettings
from simsearch.library.selection import PathLike, is_path

Search = Callable[[NDArray[Any], SearchPlan], Sequence[Found]]

_NOWHERE = Source(b"", b"", b"", 0, 0, 0)
_FEW = 32  # images that are decoded in this process: starting decoders would take longer


@dataclass(frozen=True, slots=True)
class Query:
    """One query: its path if it has one, and its row or why there is none."""

    path: bytes | None
    row: NDArray[Any] | None
    rejected: Rejected | None = None


def as_sequence(queries: Any) -> Sequence[Any]:
    """Return one query or several as several."""
    return queries if are_several(queries) else [queries]


class QueryEmbedder:
    """Makes rows of query images for a plan."""

    def __init__(self, plan: SearchPlan, extractor: Extractor, settings: AddSettings) -> None:
        """Make it.

        Args:
            plan: What will be searched; its snapshot's rows are used again where they are what is asked with.
            extractor: Of the library.
            settings: How images are read.

        Raises:
            MetricError: The plan asks with margins, and the extractor has none.
        """
        self._snapshot = plan.snapshot
        self._channel = plan.asked
        self._reuse = plan.asked is plan.channel
        self._extractor = extractor if self._reuse else margins_of(extractor)
        self._settings = settings

    def embed(self, queries: Sequence[Any], *, from_list: PathLike | None = None) -> list[Query]:
        """Return one query an image, in order; folders and tars give one for each image in them, a `Source` one.

        Raises:
            InputError: a path does not exist, or a value is no image.
        """
        found: list[Query] = []
        for on_disk, group in itertools.groupby(queries, key=_is_on_disk):
            run = list(group)
            found += self._from_sources(_sources(run)) if on_disk else self._from_memory(run)
        return found + self._from_sources(list(find([], from_list=from_list)))

    def _from_sources(self, sources: Sequence[Source | Rejected]) -> list[Query]:
        workers = self._settings.workers
        if workers is None:
            workers = 0 if len(sources) < _FEW else min(default_workers(), len(sources))
        outcomes = embed_sources(
            self._extractor,
            sources,
            batch_size=self._settings.batch_size,
            workers=workers,
            limits=self._settings.limits,
            known=lambda sha256: self._stored(sha256) is not None,
        )
        return [self._query(outcome) for outcome in outcomes]

    def _query(self, outcome: Embedded | Rejected) -> Query:
        path = outcome.source.path
        if isinstance(outcome, Rejected):
            return Query(path, None, outcome)
        stored = self._stored(outcome.sha256)
        if stored is None and outcome.row is not None:
            return self._checked(outcome.source, self._channel.round(outcome.row))
        return Query(path, stored)

    def _stored(self, sha256: bytes) -> NDArray[Any] | None:
        place = self._snapshot.by_content(sha256) if self._reuse else None
        return None if place is None else self._snapshot.row(place, self._channel.name)

    def _checked(self, source: Source, row: NDArray[Any]) -> Query:
        problem = problem_of(row, self._channel, f"the row of {source.printable}")
        rejected = None if problem is None else Rejected(source, *problem)
        return Query(source.path, row if rejected is None else None, rejected)

    def _from_memory(self, images: Iterable[Any]) -> list[Query]:
        pictures, answers = [], list[Query | None]()
        for image in images:
            try:
                pictures.append(as_rgb(image, self._extractor.preprocessing))
                answers.append(None)
            except ImageRejected as error:
                answers.append(Query(None, None, Rejected(_NOWHERE, error.code, error.message)))
        rows = iter(self._channel.round(self._extractor.embed(pictures)))
        return [self._of_picture(next(rows)) if answer is None else answer for answer in answers]

    def _of_picture(self, row: NDArray[Any]) -> Query:
        problem = problem_of(row, self._channel, "the row of the query image")
        return Query(None, row) if problem is None else Query(None, None, Rejected(_NOWHERE, *problem))


def _is_on_disk(value: Any) -> bool:
    return isinstance(value, Source | Rejected) or is_path(value)


def _sources(values: Iterable[Any]) -> list[Source | Rejected]:
    sources: list[Source | Rejected] = []
    for value in values:
        sources += [value] if isinstance(value, Source | Rejected) else find([value])
    return sources


def queries_of(rows: NDArray[Any], plan: SearchPlan) -> list[Query]:
    """Return rows as queries, in the channel's dtype.

    Raises:
        RowError: a row is NaN, infinite, zero-sum or of the wrong dimension; it is named.
        MetricError: the metric is not defined on these rows.
    """
    return [Query(None, row) for row in checked_rows(rows, plan.asked, plan.metric)]


def answer(queries: Sequence[Query], plan: SearchPlan, search: Search = nearest) -> Matches:
    """Return the matches of every query, in order; a rejected one has none.

    Args:
        queries: Images or rows.
        plan: What is searched.
        search: Gives what is found for each row, given the rows (q, d) and the plan.
    """
    asked = plan.asked
    rows = [query.row for query in queries if query.row is not None]
    found = iter(search(np.array(rows, asked.numpy_dtype).reshape(len(rows), asked.dimension), plan))
    answers = []
    for query in queries:
        text, encoded = (None, None) if query.path is None else as_text(query.path)
        one = Found((), certified=False) if query.row is None else next(found)
        answers.append(QueryMatches(text, one.matches, one.certified, query.rejected, encoded, one.recall))
    return Matches(tuple(answers), plan.k, len(plan.snapshot), plan.channel.name, plan.metric)
