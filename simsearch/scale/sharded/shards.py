"""Several libraries, or services, searched as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import InputError, ItemNotFound, LibraryError, MetricError
from simsearch.extract.extractor import Extractor
from simsearch.extract.image_input import are_several, is_path
from simsearch.images.find import find
from simsearch.images.source import as_text
from simsearch.library import Library
from simsearch.library.calibration.known import most_of
from simsearch.library.read import arguments
from simsearch.library.read.query import Query
from simsearch.library.reader import Reader
from simsearch.library.select_items import PathLike
from simsearch.scale.sharded.answer import answered
from simsearch.scale.sharded.matches import ShardMatches, ShardState, sizes_of
from simsearch.scale.sharded.panel import Panel
from simsearch.scale.sharded.scatter import Failure
from simsearch.scale.sharded.shard import Asked, FolderShard, Service, ServiceShard, Shard, require_for_services

_OF_ROWS = frozenset({"metric", "max_distance", "exact", "order", "group_copies", "min_quality"})
_OF_ITEMS = _OF_ROWS | {"exclude_self"}
_OF_IMAGES = _OF_ITEMS | {"views", "for_query", "normalise"}


class Shards:
    """Several libraries of one model, searched as one that holds the items of all, shard behind shard; reads only.

    A match is the item `id` of the library that `shard` numbers, and is expected by chance as often as in all of them
    together. What a shard that fails, or does not answer in time, would have found is missing: the answer says so, in
    `shards` and by not being certified. Safe for threads.
    """

    def __init__(self, shards: Sequence[Shard], *, timeout_s: float = 30.0, owned: Sequence[Reader] = ()) -> None:
        self._panel = Panel(shards, arguments.number(timeout_s, "timeout_s", low=1e-3, high=1e6))
        self._owned = tuple(owned)

    @classmethod
    def open(
        cls,
        shards: Iterable[PathLike | Reader | Service],
        *,
        extractor: Extractor | None = None,
        channel: str | None = None,
        device: str = "auto",
        timeout_s: float = 30.0,
    ) -> Shards:
        """Return libraries as one; a service that does not answer yet is asked again by each search.

        Args:
            shards: Folders of libraries, open libraries, or clients of services (`simsearch.Client`). Folders are
                opened here and closed by `close`.
            extractor: What made the rows; by default the model that the folders name.
            channel: Whose rows, where they have those of several models; of open libraries their own counts.
            device: Of searches in folders.
            timeout_s: Seconds after which a shard's answer is not waited for any more.

        Raises:
            InputError: There are none.
            LibraryNotFound: A folder holds no library.
            FingerprintMismatch: They are of different models.
        """
        given = [*shards]
        if not given:
            raise InputError("no shard is given: name the folders of libraries, or clients of services")
        owned, made = list[Reader](), list[Shard]()
        how: dict[str, Any] = {"extractor": extractor, "channel": channel, "device": device}
        try:
            for one in given:
                if isinstance(one, (str, bytes, Path)) or is_path(one):
                    owned.append(Library.open(arguments.folder(one), **how))
                    made.append(FolderShard(owned[-1]))
                else:
                    made.append(FolderShard(one) if isinstance(one, Reader) else ServiceShard(_service(one), channel))
            opened = cls(made, timeout_s=timeout_s, owned=owned)
            for number, outcome in opened._panel.describe().items():
                if isinstance(outcome, Failure) and number in opened._panel.folders:
                    raise LibraryError(f"{made[number].name} cannot be searched: {outcome.reason}")
            opened._panel.require_one_model()
        except BaseException:
            for library in owned:
                library.close()
            raise
        return opened

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Shards({len(self._panel.shards)} libraries, {len(self):,} images)"

    def __len__(self) -> int:
        """Return the number of items of all shards, as they last told it."""
        return sizes_of(self._panel.states({}))

    def close(self) -> None:
        """Close the libraries that were opened here."""
        for library in self._owned:
            library.close()

    def require(self, fingerprint: str, whose: str) -> None:
        """Refuse rows of another model than that of the shards.

        Raises:
            FingerprintMismatch: The fingerprints differ.
        """
        self._panel.require(fingerprint, whose)

    def refresh(self) -> tuple[ShardState, ...]:
        """Move the libraries in folders to their newest commits, and return which shards answer, with their items."""
        for library in self._panel.folders.values():
            library.refresh()
        return self._panel.states(self._panel.describe(again=True))

    def search(
        self,
        images: Any = (),
        *,
        from_list: PathLike | None = None,
        k: int | None = 10,
        max_expected: float | None = None,
        max_fpr: float | None = None,
        settings: Any = None,
        **how: Any,
    ) -> ShardMatches:
        """Return the k nearest items of every image in all shards, nearest first, ties by shard and then by id.

        An image is embedded once for all folders; if one of them holds it, its stored row is used. Services get the
        bytes of its file.

        Args:
            images: One image or an iterable of them, as of `Library.search`.
            from_list: A list of more paths.
            k: Matches a query; None for all within `max_distance`, where no shard is a service.
            max_expected: Decide: a match is one where at most so many items of all shards would be as near by chance.
            max_fpr: The same by the probability that a query of a stranger has any match.
            settings: Of reading images.
            how: As of `Library.search`: metric, max_distance, exact, order, group_copies, exclude_self, min_quality,
                views, for_query, normalise.

        Raises:
            InputError: A path does not exist, or a shard takes no such argument.
            LibraryError: No shard answers.
        """
        _require_known(how, _OF_IMAGES)
        require_for_services({**how, "k": k}, self._panel.shards)
        pictures = _pictures(images, from_list)
        queries = self._embedded(pictures, how, settings)
        asked = Asked(len(pictures), queries, pictures, None, how)
        return answered(self._panel, asked, k, most_of(max_expected, max_fpr))

    def search_rows(
        self,
        rows: NDArray[Any],
        *,
        k: int | None = 10,
        max_expected: float | None = None,
        max_fpr: float | None = None,
        **how: Any,
    ) -> ShardMatches:
        """Return the k nearest items of every row (q, d) or (d,), as `search` does.

        Raises:
            RowError: A row is NaN, infinite, zero-sum or of the wrong dimension; it is named.
        """
        _require_known(how, _OF_ROWS)
        require_for_services({**how, "k": k}, self._panel.shards)
        array = np.atleast_2d(arguments.rows(rows))
        return answered(self._panel, Asked(len(array), {}, None, array, how), k, most_of(max_expected, max_fpr))

    def search_items(
        self,
        items: Sequence[tuple[int, int]],
        *,
        k: int | None = 10,
        max_expected: float | None = None,
        max_fpr: float | None = None,
        **how: Any,
    ) -> ShardMatches:
        """Return the k nearest items of every item, named by shard and id, by its stored row.

        Raises:
            ItemNotFound: A shard has no item of an id.
            InputError: The shard is a service, which tells nobody its rows.
            MetricError: The metric does not compare stored rows with each other.
        """
        _require_known(how, _OF_ITEMS)
        own = [self._item(*item, how.get("metric")) for item in items]
        others = [Query(None, query.row, quality=query.quality) for query in own]
        queries = {
            number: [
                query if shard == number else other for (shard, _), query, other in zip(items, own, others, strict=True)
            ]
            for number in self._panel.folders
        }
        rows = np.stack([query.row for query in own if query.row is not None]) if own else None
        found = answered(self._panel, Asked(len(own), queries, None, rows, how), k, most_of(max_expected, max_fpr))
        named = []
        for query, answer in zip(own, found, strict=True):
            text, encoded = (None, None) if query.path is None else as_text(query.path)
            named.append(replace(answer, query=text, query_b64=encoded))
        return replace(found, queries=tuple(named))

    def _embedded(self, pictures: Sequence[Any], how: Mapping[str, Any], settings: Any) -> dict[int, list[Query]]:
        """Return the pictures as queries of all folders, embedded once."""
        folders = self._panel.folders
        libraries = [library for library in folders.values() if library.is_open]
        if not (libraries and pictures):
            return {number: [] for number in folders}
        first, metric = libraries[0], how.get("metric")
        queries = first.queries(pictures, metric=metric, views=how.get("views", ()), settings=settings)
        if first.channel.asked(first.channel.choose_metric(metric)) is first.channel:
            queries = [_by_stored_row(query, libraries) for query in queries]
        return dict.fromkeys(folders, queries)

    def _item(self, shard: int, number: int, metric: str | None) -> Query:
        """Return an item as a query."""
        folders = self._panel.folders
        where = int(arguments.number(shard, "shard", low=0, high=len(self._panel.shards) - 1))
        if where not in folders:
            raise InputError(f"shard {where} is a service, which tells nobody its rows: search by the picture")
        library = folders[where]
        channel, snapshot = library.channel, library.snapshot
        if channel.asked(channel.choose_metric(metric)) is not channel:
            raise MetricError(f"{metric} compares stored rows with images alone: give an image, or another metric")
        place = snapshot.by_id(int(arguments.number(number, "id", low=0, high=1 << 62)))
        row = None if place is None else snapshot.row(place, channel.name)
        if place is None or row is None:
            raise ItemNotFound(f"shard {where} has no item {number}")
        segment = snapshot.segments[place.segment]
        quality = segment.items.column("quality")[place.position].as_py()
        known = None if quality is None or quality < 0 else int(quality)
        return Query(snapshot.path(place), row, sha256=segment.content(place.position), quality=known, id=int(number))


def _by_stored_row(query: Query, libraries: Sequence[Reader]) -> Query:
    """Return a query by the row of the first library that holds its content."""
    for library in libraries if query.sha256 is not None and query.row is not None else ():
        place = library.snapshot.by_content(query.sha256 or b"")
        if place is not None:
            return replace(query, row=library.snapshot.row(place, library.channel.name))
    return query


def _pictures(images: Any, from_list: PathLike | None) -> list[Any]:
    """Return each picture by itself: a `Source` of a file, also of one in a folder or tar, and others as they are."""
    found = list[Any]()
    for image in images if are_several(images) else [images]:
        found += list(find([image])) if is_path(image) else [image]
    return found + ([] if from_list is None else list(find([], from_list=from_list)))


def _service(value: Any) -> Service:
    missing = [name for name in ("search", "search_rows", "info") if not callable(getattr(value, name, None))]
    if missing:
        raise InputError(f"a {type(value).__name__} is no shard: give a folder, a Library, or a simsearch.Client")
    return value  # type: ignore[no-any-return]


def _require_known(how: Mapping[str, Any], known: frozenset[str]) -> None:
    """Refuse arguments that a search of shards has not.

    Raises:
        InputError: There is one.
    """
    if unknown := sorted(set(how) - known):
        raise InputError(f"a search of shards takes no {', '.join(unknown)}; it takes {', '.join(sorted(known))}")
