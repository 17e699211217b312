"""The search for duplicates in an open library."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from simsearch.errors import InputError, shown
from simsearch.library.calibration.known import calibration_of
from simsearch.library.duplicates.contents import Contents
from simsearch.library.duplicates.find import Choice, Decided, Files, groups_of
from simsearch.library.duplicates.groups import GROUPINGS
from simsearch.library.duplicates.keep import keep_rule
from simsearch.library.duplicates.limit import Limit, limit_of
from simsearch.library.duplicates.near import MOST_PAIRS, Asking, Near, pairs_between, pairs_within
from simsearch.library.duplicates.report import Duplicates
from simsearch.library.duplicates.views import ViewSearch, views_named
from simsearch.library.format.cards import information_floor
from simsearch.library.format.channel import ASYMMETRIC, POINTS, Channel
from simsearch.library.format.manifest import Manifest
from simsearch.library.read.query import QueryEmbedder
from simsearch.library.read.search_plan import SearchPlan
from simsearch.library.settings import AddSettings
from simsearch.library.verdicts.log import read
from simsearch.library.verdicts.verdict import standing
from simsearch.library.write.review import distance_between

if TYPE_CHECKING:
    from simsearch.library.indexes.curve import Recall
    from simsearch.library.read.open_indexes import OpenIndexes

Advance = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class NearPairs:
    """Pairs of contents, and what they were found by.

    Attributes:
        near: The pairs; of two libraries the second's items are numbered behind the first's.
        contents: Of each library.
        limit: Of a pair.
        recall: Of the index that was asked.
        unread: Files that could not be read for their views.
    """

    near: Near
    contents: tuple[Contents, ...]
    limit: Limit
    recall: Recall | None
    unread: int


class DuplicateSearch:
    """A search for duplicates by the rows of one channel.

    Raises:
        InputError: A channel or metric has no distances, or a word is none that there is.
    """

    def __init__(
        self,
        library: Any,
        channel: Channel,
        metric: str | None,
        *,
        grouping: str,
        keep: str,
        views: Sequence[str] | str,
        settings: AddSettings,
        most: int = MOST_PAIRS,
    ) -> None:
        self._library = library  # a Reader, which stands above
        self._channel = channel
        self._metric = channel.choose_metric(metric)
        if channel.dtype == POINTS or self._metric == ASYMMETRIC:
            raise InputError(f"{self._metric} has no distances between stored rows: name another channel or metric")
        if grouping not in GROUPINGS:
            raise InputError(f"grouping {shown(grouping)} is not known; give {', '.join(GROUPINGS)}")
        self._grouping = grouping
        self._keep = keep_rule(keep)
        self._views = views_named(views)
        self._settings = settings
        self._most = most

    def found(
        self,
        against: Any,
        limits: Mapping[str, float | None],
        *,
        resident: OpenIndexes | None,
        confirmed: bool,
        advance: Advance | None,
    ) -> Duplicates:
        """Return the duplicates in groups."""
        decided = standing(read(Manifest(self._library.path)))
        if confirmed and against is None:
            pairs = self._confirmed(decided, limits)
        else:
            pairs = self.pairs(against, limits, resident=resident, advance=advance)
        choice = Choice(self._keep, self._grouping, pairs.limit, self._views, decided, confirmed)
        files = Files(pairs.contents)
        made = groups_of(pairs.near, files, choice)
        return Duplicates(
            made.groups,
            str(self._library.path),
            self._channel.name,
            self._metric,
            pairs.limit.distance,
            pairs.contents[0].count,
            against=None if against is None else str(against.path),
            expected=pairs.limit.expected,
            grouping=self._grouping,
            keep=self._keep.text,
            recall=pairs.recall,
            decided=made.decided,
            weak=pairs.contents[0].weak,
            gone=files.gone,
            changed=files.changed,
            unread=pairs.unread,
        )

    def pairs(
        self,
        against: Any,
        limits: Mapping[str, float | None],
        *,
        resident: OpenIndexes | None,
        advance: Advance | None = None,
    ) -> NearPairs:
        """Return all pairs within the limit, before anything is decided or grouped."""
        own = Contents.of(self._library.snapshot, floor=information_floor(self._library.path, self._channel))
        held = own if against is None else self._contents(against)
        rows = own.row_count(self._channel)
        chances = rows * held.row_count(self._channel) if against is not None else rows * (rows - 1) / 2
        items = len(self._library) if against is None else len(self._library) + len(against)
        limit = self._limit(chances * max(1, len(self._views)), items, limits)
        asking = Asking(self._channel, self._metric, limit.distance, self._library.device, self._most)
        recall = None
        if against is None:
            near, recall = pairs_within(own, asking, resident=resident, advance=advance)
        else:
            near = pairs_between(own, held, asking, advance=advance)
        near, unread = self._with_views(near, own, held, asking, advance)
        if against is not None:
            near = replace(near, right=near.right + own.starts[-1])
        contents = (own,) if against is None else (own, held)
        return NearPairs(near, contents, limit, recall, unread)

    def _limit(self, chances: float, items: int, limits: Mapping[str, float | None]) -> Limit:
        rates = calibration_of(self._library.path, self._channel, self._metric)
        return limit_of(rates, self._channel, self._metric, items=items, chances=chances, **limits)

    def _confirmed(self, decided: Decided, limits: Mapping[str, float | None]) -> NearPairs:
        """Return the pairs of contents that somebody confirmed: all, or those within a limit that is given."""
        own = Contents.of(self._library.snapshot)
        pairs = [pair for pair, one in decided.items() if one.decision == "confirm" and pair[0] != pair[1]]
        items = own.items_of([half for pair in pairs for half in pair])
        left, right, distances = list[int](), list[int](), list[float]()
        for pair, a, b in zip(pairs, items[::2], items[1::2], strict=True):
            if a and b:
                apart = distance_between(own.snapshot, self._channel, *pair, self._metric)
                left.append(min(*a, *b))
                right.append(max(min(a), min(b)))
                distances.append(apart if apart is not None else decided[pair].distance or 0.0)
        limit = Limit(max(distances, default=0.0), 0.0)
        if any(value is not None for value in limits.values()):
            limit = self._limit(own.count * (own.count - 1) / 2, len(self._library), limits)
        near = Near.joined([(np.array(left, np.int64), np.array(right, np.int64), np.array(distances, np.float32), 0)])
        return NearPairs(near.some(near.distances <= np.float32(limit.distance)), (own,), limit, None, 0)

    def _contents(self, against: Any) -> Contents:
        if against.path.resolve() == self._library.path.resolve():
            raise InputError(f"{shown(str(against.path))} is the library itself: leave --against out, or give another")
        alike = [one for one in against.channels if one.fingerprint == self._channel.fingerprint]
        if not alike:
            self._channel.require(against.channel.fingerprint, f"the library {shown(str(against.path))}")
        if alike[0].name != self._channel.name or alike[0].dtype != self._channel.dtype:
            raise InputError(
                f"channel {alike[0].name!r} of {shown(str(against.path))} holds {alike[0].dtype} and this library's "
                f"{self._channel.name!r} holds {self._channel.dtype}: only channels of one name and dtype are compared"
            )
        return Contents.of(against.snapshot, floor=information_floor(against.path, alike[0]))

    def _with_views(
        self, near: Near, own: Contents, held: Contents, asking: Asking, advance: Advance | None
    ) -> tuple[Near, int]:
        if not self._views:
            return near, 0
        plan = SearchPlan(own.snapshot, self._channel, 1, self._metric, device=self._library.device)
        extractor = self._library.extractor_of(self._channel)
        embedder = QueryEmbedder(plan, extractor, self._settings, library=self._library.path, views=self._views)
        search = ViewSearch(self._views, embedder)
        pieces = list(search.pieces(own, held, asking, advance))
        plain = (near.left, near.right, near.distances, 0)
        return Near.joined([plain, *pieces], most=self._most), search.unread
