"""The reading half of a library: one commit, searched."""

from __future__ import annotations

import builtins
import copy
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import InputError, LibraryError, shown
from simsearch.extract.extractor import Extractor
from simsearch.library.calibration.known import calibration_of, most_of, require_fresh, require_usable
from simsearch.library.format.channel import POINTS, Channel
from simsearch.library.format.manifest import Manifest
from simsearch.library.format.snapshot import Snapshot, load_snapshot
from simsearch.library.info import LibraryInfo
from simsearch.library.read import arguments
from simsearch.library.read.lazy_extractor import LazyExtractor
from simsearch.library.read.matches import Matches, QueryMatches
from simsearch.library.read.neighbours import nearest
from simsearch.library.read.open_indexes import FEW, OpenIndexes
from simsearch.library.read.search_plan import SearchPlan
from simsearch.library.select_items import PathLike
from simsearch.library.settings import AddSettings
from simsearch.runtime.coalesce import Coalescer
from simsearch.runtime.device import type_of
from simsearch.search.arguments import Order, checked_k, checked_limit, checked_order
from simsearch.spatial.witness import PLACES

if TYPE_CHECKING:
    import pyarrow as pa

    from simsearch.decide.calibration import Calibration
    from simsearch.decide.known_rates import KnownRates
    from simsearch.library.calibration.expectation import Judge
    from simsearch.library.duplicates.report import Duplicates
    from simsearch.library.lists.comparison import Thresholds
    from simsearch.library.lists.found import Checked
    from simsearch.library.lists.image_list import ImageList
    from simsearch.library.lists.open_lists import Models
    from simsearch.library.read.query import Query
    from simsearch.library.verdicts.verdict import Verdict


class Reader:
    """A library opened at one commit, which `refresh` moves to the newest; safe for threads.

    Indexes stay open between searches, rows stay on a GPU, and concurrent calls are batched. Where the device is
    "auto", the first few queries are searched on the CPU, unless it was prepared for more.

    Attributes:
        opened_in: Seconds that opening took; an index is opened by the first search that uses it, or by `prepare`.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        extractor: Extractor | Sequence[Extractor] | None = None,
        channel: str | None = None,
        device: str = "auto",
    ) -> None:
        self.path = arguments.folder(path, "path of a library")
        self.device = arguments.text(device, "device")
        given = () if extractor is None else extractor if isinstance(extractor, (list, tuple)) else (extractor,)
        for one in given:
            arguments.instance(one, Extractor, "extractor", "what load_extractor returns, or an Extractor of your own")
        began = time.perf_counter()
        self._snapshot: Snapshot | None = load_snapshot(self.path)
        self._resident = OpenIndexes(self.path, device)
        self._coalescer = Coalescer[SearchPlan, QueryMatches](lambda plan, rows: nearest(rows, plan))
        self.opened_in = time.perf_counter() - began
        self._lazy = dict[str, LazyExtractor]()
        self._rates: dict[tuple[str, str], Calibration | None] = {}
        self._fused: dict[frozenset[str], KnownRates | None] = {}
        self._samples: dict[tuple[int, str], Any] = {}
        self._floors: dict[str, int] = {}
        self._backgrounds: dict[str, NDArray[Any] | None] = {}
        for one in given:
            found = next((each for each in self.channels if each.fingerprint == one.fingerprint), self.channels[0])
            self._lazy[found.name] = LazyExtractor(found, one, device)
        name = next(iter(self._lazy), None) if channel is None else arguments.text(channel, "channel")
        self.channel = self.snapshot.channel(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        name, where = type(self).__name__, shown(str(self.path))
        if self._snapshot is None:
            return f"{name}({where!r}, closed)"
        channels = ", ".join(f"{channel.name!r} by {channel.model!r}" for channel in self.channels)
        return f"{name}({where!r}, {len(self):,} images, {channels})"

    def __len__(self) -> int:
        """Return the number of items that are searched."""
        return len(self.snapshot)

    def close(self) -> None:
        """Close the files, once searches that are under way have ended."""
        self._coalescer.close()
        self._resident.close()
        self._snapshot = None

    @property
    def is_open(self) -> bool:
        """Whether it was not closed."""
        return self._snapshot is not None

    @property
    def snapshot(self) -> Snapshot:
        """The open commit.

        Raises:
            LibraryError: It was closed.
        """
        if self._snapshot is None:
            raise LibraryError(f"the library {shown(str(self.path))} was closed; open it again")
        return self._snapshot

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The library's channels."""
        return self.snapshot.state.channels

    @property
    def extractor(self) -> Extractor:
        """The extractor of the channel that is searched.

        Raises:
            FingerprintMismatch: The model of that name is not the one that made the rows.
        """
        return self._extractor(self.channel)

    @property
    def extractors(self) -> tuple[Extractor, ...]:
        """The extractor of each channel, in the order of `channels`.

        Raises:
            FingerprintMismatch: The model of that name is not the one that made the rows of a channel.
        """
        return tuple(map(self._extractor, self.channels))

    def extractor_of(self, channel: Channel) -> Extractor:
        """Return the extractor of a channel.

        Raises:
            FingerprintMismatch: The model of that name is not the one that made the rows.
        """
        return self._extractor(channel)

    def _extractor(self, channel: Channel) -> Extractor:
        return self._lazy.setdefault(channel.name, LazyExtractor(channel, None, self.device)).get()

    def refresh(self) -> None:
        """Move to the newest commit."""
        self._snapshot = load_snapshot(self.path, self.snapshot)
        self._resident.look()
        self._rates, self._fused = {}, {}

    def pinned(self, channel: str | None = None) -> Self:
        """Return this library as it is now: a view that `refresh` does not move, searched by another channel if given.

        Indexes, models and batches are shared with it, and closed with it; the view is not to be closed.

        Raises:
            InputError: There is no such channel.
        """
        view = copy.copy(self)
        if channel is not None:
            view.channel = self.snapshot.channel(arguments.text(channel, "channel"))
        return view

    def prepare(self, metric: str | None = None) -> float:
        """Open what a search by that metric needs, and return how many seconds that took.

        That is its index, or rows on a GPU, and for a CPU compiled code: read from the user's cache, or compiled in a
        few seconds and cached there. Without it early searches take longer. Of codes by the hundred thousand tables are
        made, by which searches with a small `max_distance` look at few of them; they take seconds, and as memory a copy
        of the codes and 4 bytes for each 20 bits or so. Images need the extractor too, which loads on first use.
        """
        began = time.perf_counter()
        chosen = self.channel.choose_metric(metric)
        if chosen == PLACES:
            from simsearch.library.read.by_places import make_ready as make_places_ready

            make_places_ready(self._resident, self.snapshot, self.channel)
            return time.perf_counter() - began
        device = self._resident.device(FEW + 1)  # many queries will follow
        by_index = self._resident.index(self.snapshot, self.channel.name, chosen, device) is not None
        if not by_index:
            self._resident.blocks(self.snapshot, self.channel.name, device)
        if type_of(device) != "cuda":
            from simsearch.search.warm_up import make_ready

            make_ready(chosen, np.empty((0, self.channel.dimension), self.channel.numpy_dtype), by_index=by_index)
            if chosen == "hamming":
                self._resident.make_chunks(self.snapshot, self.channel)
        return time.perf_counter() - began

    def search(
        self,
        queries: Any = (),
        *,
        from_list: PathLike | None = None,
        k: int | None = 10,
        metric: str | None = None,
        max_distance: float | None = None,
        exact: bool = False,
        order: Order | None = None,
        group_copies: bool = True,
        exclude_self: bool = False,
        min_quality: int = 0,
        views: Sequence[str] | str = (),
        max_expected: float | None = None,
        max_fpr: float | None = None,
        for_query: bool = False,
        normalise: bool = False,
        settings: AddSettings | None = None,
    ) -> Matches:
        """Return the k nearest items of every query, in the order of the queries, with what each match is worth.

        Exactly, unless `optimize` built an index for the metric: then the index's candidates are re-ranked, later items
        are searched in full, `certified` is false and `recall` is the measured recall at k; it is None where that was
        not measured, or where a tenth of the rows was removed.

        Args:
            queries: One image or an iterable of them, in any form that `Extractor.embed` takes; a folder or tar is
                one query for each image in it. A float array (d,) or (q, d) is rows, a list of what `queries` returned
                is asked as it is.
            from_list: A list of more paths.
            k: Matches a query; None for all within `max_distance`, exactly, whatever memory they take.
            metric: The distance; by default the one that the model's card recommends. On bits of a quantiser
                `asymmetric` weights a bit by the query's margin, which ranks better; a query is embedded even if the
                library has its image, since only bits are stored.
            max_distance: Leave out what is farther.
            exact: Search every row, also where there is an index.
            order: By which the nearest of an index's candidates are selected: "float32", or "exact", which takes longer
                where it differs, for rows that float32 cannot distinguish. By default as its recall was measured:
                "float32" for cosine and l2, unless an older release built it. Distances, and the order of the matches,
                are exact in both.
            group_copies: Items with the same content (SHA-256) are one match, the others its `copies`, so that k
                counts contents; else each is a match of its own.
            exclude_self: Leave out the item that the query itself is: that of the same path, and for a picture from
                memory one that was added from memory. Copies of it under other paths stay.
            min_quality: Leave out items whose quality, 0 to 100, is known to be lower: blank ones resemble anything.
            views: Kinds of views in which each image is also searched, the nearest of all counting for an item and
                named by its match: "flips" (mirrored), "turns" (by 90, 180 and 270 degrees; with flips all eight
                isometries), "crops" (parts, for a picture inside a picture) and "letterbox" (the part inside plain
                bars); also as one text, with commas.
            max_expected: Decide: a match is one where at most so many items of this library would be as near by chance,
                by the upper end of its interval, for a mean query and for this one. One of low information is never.
            max_fpr: The same by the probability that a query of a stranger has any match.
            for_query: Decide by the expectation for this query alone, which normalises a distance by how crowded the
                query's neighbourhood is: more copies are found, where the rates are those of the library.
            normalise: Let that expectation, by which then is decided, be one of distances less the query's mean to its
                3 nearest background rows of the model (Pizzi et al., 2022), of which rates were counted, too.
            settings: Of reading images; few are decoded in this process, many in worker processes.

        Raises:
            InputError: A path does not exist, a value is no image, k or max_distance is no such number, there is no
                such kind of views, or a decision is asked for and no rates of strangers are known. An image that cannot
                be used is no error: its entry has the reason in `rejected`.
            MetricError: The metric is not defined on these rows.
            LibraryDamaged: A stored row was damaged; it is named.
        """
        from simsearch.library.read.query import answer, as_embedded, as_rows, queries_of

        how: dict[str, Any] = {"exact": exact, "order": order, "group_copies": group_copies, "min_quality": min_quality}
        plan = self._plan(k, metric, max_distance, **how)
        own = arguments.flag(for_query, "for_query"), arguments.flag(normalise, "normalise")
        judge = self._judge(plan, most_of(max_expected, max_fpr), *own)
        rows, asked = as_rows(queries), as_embedded(queries)
        given = rows is not None or asked is not None
        if given and (from_list is not None or views or (exclude_self and asked is None)):
            raise InputError("rows have no path and no views: exclude_self, from_list and views are for images")
        if rows is not None:
            asked = queries_of(rows, plan)
        elif asked is None:
            asked = self._embedded(queries, plan, from_list=from_list, views=views, settings=settings)
        found = answer(asked, plan, self._coalescer, exclude_self=arguments.flag(exclude_self, "exclude_self"))
        return found if judge is None else judge.judged(found, asked, plan)

    def queries(
        self,
        images: Any = (),
        *,
        from_list: PathLike | None = None,
        metric: str | None = None,
        views: Sequence[str] | str = (),
        settings: AddSettings | None = None,
    ) -> list[Query]:
        """Return images as queries that are embedded, for `search` by that metric in several libraries of one model.

        Args:
            images: As of `search`, as are the others.
            from_list: A list of more paths.
            metric: By default the channel's.
            views: Kinds of views that are embedded too.
            settings: Of reading images.
        """
        plan = self._plan(1, metric, None, exact=False, order=None, group_copies=True, min_quality=0)
        return self._embedded(images, plan, from_list=from_list, views=views, settings=settings)

    def _embedded(
        self,
        images: Any,
        plan: SearchPlan,
        *,
        from_list: PathLike | None,
        views: Sequence[str] | str,
        settings: AddSettings | None,
    ) -> list[Query]:
        from simsearch.extract.image_input import are_several
        from simsearch.images.views import views_of_kinds
        from simsearch.library.read.query import QueryEmbedder

        names, given = views_of_kinds(views), arguments.settings(settings)
        embedder = QueryEmbedder(plan, self.extractor, given, library=self.path, views=names)
        return embedder.embed(images if are_several(images) else [images], from_list=from_list)

    def duplicates(
        self,
        *,
        against: Reader | None = None,
        channel: str | None = None,
        metric: str | None = None,
        max_distance: float | None = None,
        max_false_pairs: float | None = None,
        views: Sequence[str] | str = (),
        grouping: str = "pairs",
        keep: str = "best",
        exact: bool = False,
        confirmed: bool = False,
        max_pairs: int = 5_000_000,
        settings: AddSettings | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Duplicates:
        """Return the pictures that are several times in this library, in groups with the one to keep; do nothing.

        Exact copies are found by their SHA-256, other pairs by their rows; pictures that show too little, blank ones
        and pages of text, only as exact copies. Pairs that people decided (`review`) are not shown again. Memory grows
        with the pairs that are found.

        Args:
            against: Another library of the same model: only pairs between the two, of which its files are kept.
            channel: Whose rows; by default the searched one.
            metric: By default the channel's.
            max_distance: Of a pair.
            max_false_pairs: Pairs of strangers to expect within the distance in all, by the calibration: N(N-1)/2 times
                the rate of one pair. By default the fitted tail of the rates decides: a tenth of a pair, within one in
                3 10^7 to 10^9 pairs.
            views: Kinds of views in which each file, which is read again for them, is also compared: "flips", "turns",
                "letterbox".
            grouping: "pairs": each file is near the kept one. "complete": every two of a group are near each other.
                "components": also what is linked through others, which chains; `Duplicate.chained` says so.
            keep: Which file stays: "best" (most pixels, no transcode, finest, oldest), "largest", "oldest", "newest",
                "quality", "path:PATTERN", "format:NAME+NAME", or several by commas.
            exact: Compare all pairs, also where there is an index; `recall` says what an index finds.
            confirmed: Return only the pairs that somebody confirmed: however far apart, where no limit is given.
            max_pairs: That are held; where there are more, a distance says little.
            settings: Of reading images for their views.
            progress: Called with contents compared and their number.

        Raises:
            InputError: A value is none that there is, no rates are known and no distance is given, or there are too
                many pairs.
            FingerprintMismatch: The other library is of another model.
            LibraryDamaged: A stored row, or the log of verdicts, is not what was written.
        """
        from simsearch.library.duplicates.search import DuplicateSearch

        search = DuplicateSearch(
            self,
            self.channel if channel is None else self.snapshot.channel(arguments.text(channel, "channel")),
            metric,
            grouping=grouping,
            keep=keep,
            views=views,
            settings=arguments.settings(settings),
            most=int(arguments.number(max_pairs, "max_pairs", low=1, high=1 << 31)),
        )
        resident = None if arguments.flag(exact, "exact") else self._resident
        limits = {"max_distance": max_distance, "max_false_pairs": max_false_pairs}
        return search.found(
            against, limits, resident=resident, confirmed=arguments.flag(confirmed, "confirmed"), advance=progress
        )

    def verdicts(self) -> list[Verdict]:
        """Return what people decided of pairs of contents, oldest first, those that were taken back among them.

        Raises:
            LibraryDamaged: The log is not what was written.
        """
        from simsearch.library.verdicts.log import read

        return read(Manifest(self.path))

    def _judge(
        self, plan: SearchPlan, most: float | None, for_query: bool = False, normalise: bool = False
    ) -> Judge | None:
        """Return what the matches of a search are judged by; None where no rates of strangers are known.

        Raises:
            InputError: A decision is asked for without, or by rates of a library half as large; or distances are to be
                normalised, and there are no background rows.
        """
        from simsearch.library.calibration.expectation import Judge, sample_of

        calibration = self.calibration(channel=plan.channel.name, metric=plan.metric)
        if most is not None:
            calibration = require_usable(calibration, plan.channel, plan.metric, len(plan.snapshot))
        background = self._background(plan, calibration) if normalise else None
        if calibration is None:
            return None
        generation, name = plan.snapshot.state.generation, plan.channel.name
        if (key := (generation, name)) not in (samples := self._samples):
            newest = {old: sample for old, sample in samples.items() if old[0] >= generation}
            samples = self._samples = newest | {key: sample_of(plan.snapshot, name, plan.metric)}
        floor = self._floor(plan.channel)
        return Judge(calibration, most, for_query or normalise, samples[key], floor, background)

    def _floor(self, channel: Channel) -> int:
        """Return the quality up to which a picture shows too little to accuse anybody by this channel."""
        from simsearch.library.format.cards import information_floor

        if channel.name not in self._floors:
            self._floors[channel.name] = information_floor(self.path, channel)
        return self._floors[channel.name]

    def _background(self, plan: SearchPlan, calibration: Calibration | None) -> NDArray[Any]:
        """Return the background rows of the searched channel.

        Raises:
            InputError: There are none, or no rates of distances that are normalised by them.
        """
        from simsearch.library.calibration.background import background_of

        fingerprint = plan.channel.fingerprint
        if fingerprint not in (known := self._backgrounds):
            known[fingerprint] = background_of(plan.channel.model, fingerprint)
        rows = known[fingerprint]
        if rows is None or calibration is None or calibration.normalised is None:
            raise InputError(
                f"no rates of normalised distances are known of {plan.channel.model} by {plan.metric}: leave normalise "
                "out" + ("" if rows is None else ", or count them with `simsearch calibrate --library DIR`")
            )
        return rows

    def calibration(self, *, channel: str | None = None, metric: str | None = None) -> Calibration | None:
        """Return the rates of strangers by which matches are judged: the library's own, or those of the package.

        Args:
            channel: By default the searched one.
            metric: By default the channel's.

        Raises:
            InputError: There is no such channel.
            LibraryDamaged: The library's own are not what was written.
        """
        chosen = self.channel if channel is None else self.snapshot.channel(arguments.text(channel, "channel"))
        key = chosen.name, chosen.choose_metric(metric)
        if key not in (rates := self._rates):  # which another thread may replace
            rates[key] = calibration_of(self.path, chosen, key[1])
        return rates[key]

    @property
    def can_fuse(self) -> bool:
        """Whether `search_fused` has keypoints to look at, and rates of them and of rows."""
        seen = {one.fingerprint for one in self.channels if one.dtype == POINTS}
        if not seen:
            return False
        known = self.fused_rates()
        return known is not None and bool(seen & known.names.keys())

    def fused_rates(self) -> KnownRates | None:
        """Return the rates by which `search_fused` judges: the library's own, else the package's; None without any.

        Raises:
            LibraryDamaged: The library's own are not what was written.
        """
        from simsearch.decide.known_rates import known_rates
        from simsearch.library.calibration.store import kept_fused

        fingerprints = frozenset(one.fingerprint for one in self.channels)
        if fingerprints not in (rates := self._fused):  # which another thread may replace
            rates[fingerprints] = kept_fused(self.path, fingerprints) or known_rates(fingerprints)
        return rates[fingerprints]

    def search_fused(
        self,
        queries: Any = (),
        *,
        from_list: PathLike | None = None,
        k: int = 10,
        candidates: int = 100,
        rates: KnownRates | None = None,
        group_copies: bool = True,
        exclude_self: bool = False,
        min_quality: int = 0,
        views: Sequence[str] | str = (),
        max_expected: float | None = None,
        max_fpr: float | None = None,
        closer: bool = False,
        settings: AddSettings | None = None,
    ) -> Matches:
        """Return the k items of every query of which the fewest chance matches are expected, by all channels together.

        Every channel gives candidates, and says of each how near it is; keypoints, where the library has a channel of
        them (`points`), say on how many places it agrees with the query, and where the two overlap. A match's
        `expected_false_matches` is the number of items of this library for which chance alone would say as much:
        below 1 a chance match is less likely than not. `distance` is that of the first channel, and `evidence` what
        each one says.

        Args:
            queries: Images, as of `search`.
            from_list: A list of more paths.
            k: Matches a query.
            candidates: Items that each channel puts forward.
            rates: How often strangers are near, by the models' fingerprints; by default `fused_rates`: those that
                `calibrate_fused` counted, else the package's, for photographs compared with those of other sources.
            group_copies: As of `search`, as are the next.
            exclude_self: Leave out the item that the query itself is.
            min_quality: Leave out items whose quality is known to be lower.
            views: Kinds of views of each query for the channels of rows; keypoints see mirrored and turned ones anyway.
            max_expected: Decide, as of `search`.
            max_fpr: The same by the probability that a query of a stranger has any match.
            closer: Look at the first 20 matches once more, by four times the keypoints of both files, read again: it
                adds a witness, and overlaps that fewer keypoints do not show; order and numbers stay.
            settings: Of reading images.

        Raises:
            InputError: As of `search`, or no rates are known of any of the library's models.
        """
        from simsearch.extract.image_input import are_several
        from simsearch.images.views import views_of_kinds
        from simsearch.library.channels.closer import closer_channel, looked_closer
        from simsearch.library.channels.fused import Asked, fuse
        from simsearch.library.read.query import QueryEmbedder, answer, embed_together

        known = rates or self.fused_rates()
        if known is None:
            raise InputError(
                f"no rates of false matches are known of {', '.join(one.model for one in self.channels)}: search one "
                "channel alone, or count them with `simsearch calibrate --fused`"
            )
        names, given, limit = views_of_kinds(views), arguments.settings(settings), most_of(max_expected, max_fpr)
        if limit is not None:
            require_fresh(known, len(self.snapshot), "simsearch calibrate --fused --library DIR")
        images = queries if are_several(queries) else [queries]
        own, most = arguments.flag(exclude_self, "exclude_self"), max(checked_k(k), checked_k(candidates))
        how: dict[str, Any] = {"exact": False, "order": None, "group_copies": group_copies, "min_quality": min_quality}
        plans = [self._plan(most, None, None, channel=channel, **how) for channel in self.channels]
        embedders = [
            QueryEmbedder(
                plan,
                self._extractor(plan.channel),
                given,
                library=self.path,
                views=() if plan.channel.dtype == POINTS or self._extractor(plan.channel).several else names,
            )
            for plan in plans
        ]
        looks = arguments.flag(closer, "closer")
        if looks:
            extractor, channel = closer_channel()
            plan = self._plan(1, None, None, channel=channel, **how)
            embedders.append(QueryEmbedder(plan, extractor, given, library=self.path))
        embedded = embed_together(embedders, images, from_list=from_list)
        asked = [
            Asked(plan, found, answer(found, plan, self._coalescer, exclude_self=own))
            for plan, found in zip(plans, embedded[: len(plans)], strict=True)
        ]
        fused = fuse(asked, known, k, floor=max(map(self._floor, self.channels)), most=limit)
        return looked_closer(fused, embedded[-1], plans[0].snapshot, given.limits) if looks else fused

    def search_rows(
        self,
        rows: NDArray[Any],
        *,
        k: int | None = 10,
        metric: str | None = None,
        max_distance: float | None = None,
        exact: bool = False,
        order: Order | None = None,
        group_copies: bool = True,
        min_quality: int = 0,
        max_expected: float | None = None,
        max_fpr: float | None = None,
    ) -> Matches:
        """Return the k nearest items of every row (q, d) or (d,) of the channel's model, as `search` does.

        Rows for the metric `asymmetric` are margins (q, bits), as `margins_of` embeds them.

        Raises:
            RowError: A row is NaN, infinite, zero-sum or of the wrong dimension; it is named.
            MetricError: The metric is not defined on these rows.
        """
        from simsearch.library.read.query import answer, queries_of

        how: dict[str, Any] = {"exact": exact, "order": order, "group_copies": group_copies, "min_quality": min_quality}
        plan = self._plan(k, metric, max_distance, **how)
        judge, asked = self._judge(plan, most_of(max_expected, max_fpr)), queries_of(arguments.rows(rows), plan)
        found = answer(asked, plan, self._coalescer)
        return found if judge is None else judge.judged(found, asked, plan)

    def search_items(
        self,
        ids: Sequence[int],
        *,
        k: int | None = 10,
        metric: str | None = None,
        max_distance: float | None = None,
        exact: bool = False,
        order: Order | None = None,
        group_copies: bool = True,
        exclude_self: bool = False,
        min_quality: int = 0,
        max_expected: float | None = None,
        max_fpr: float | None = None,
    ) -> Matches:
        """Return the k nearest items of every item that is named by its id, by its stored row, as `search` does.

        Raises:
            ItemNotFound: The library has no item of an id.
            MetricError: The metric does not compare stored rows with each other.
        """
        from simsearch.library.read.query import answer, queries_of_items

        how: dict[str, Any] = {"exact": exact, "order": order, "group_copies": group_copies, "min_quality": min_quality}
        plan = self._plan(k, metric, max_distance, **how)
        judge, asked = self._judge(plan, most_of(max_expected, max_fpr)), queries_of_items(ids, plan)
        found = answer(asked, plan, self._coalescer, exclude_self=arguments.flag(exclude_self, "exclude_self"))
        return found if judge is None else judge.judged(found, asked, plan)

    def _plan(
        self,
        k: int | None,
        metric: str | None,
        max_distance: float | None,
        *,
        exact: bool,
        order: Order | None,
        group_copies: bool,
        min_quality: int,
        channel: Channel | None = None,
    ) -> SearchPlan:
        limit = None if max_distance is None else checked_limit(max_distance)
        if arguments.flag(exact, "exact") and order is not None:
            raise InputError("exact looks at every row, and asks no index: leave order out")
        return SearchPlan(
            self.snapshot,
            channel or self.channel,
            0 if k is None else checked_k(k),
            (channel or self.channel).choose_metric(metric),
            limit,
            self.device,
            bool(exact),
            self._resident,
            group_copies=arguments.flag(group_copies, "group_copies"),
            min_quality=int(arguments.number(min_quality, "min_quality", low=0, high=100)),
            order=checked_order(order),
        )

    def items(self, *, batch_size: int = 4096) -> Iterator[pa.RecordBatch]:
        """Yield the items of the open commit, without rows, in batches.

        Columns: id, path (null for an item without one), path_b64 (for names that are not UTF-8), sha256, width,
        height, bytes, mtime_ns, quality, owner, attributes (JSON). In the order in which items are stored, that of
        their ids within a segment.
        """
        from simsearch.library.read.listing import items

        return items(self.snapshot, _batch_size(batch_size))

    def rows(
        self, *, channel: str | None = None, batch_size: int = 4096
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[Any]]]:
        """Yield the rows of all items, in batches: ids (n,) and rows (n, d) in the channel's dtype, in memory.

        In the order of `items`; an item with several parts comes once for each.

        Args:
            channel: Of the rows; by default the searched one.
            batch_size: Rows of a batch at most.

        Raises:
            InputError: There is no such channel.
        """
        from simsearch.library.read.listing import rows

        chosen = self.channel if channel is None else self.snapshot.channel(arguments.text(channel, "channel"))
        return rows(self.snapshot, chosen.name, _batch_size(batch_size))

    def lists(self) -> tuple[str, ...]:
        """Return the names of the library's lists, in order."""
        from simsearch.library.lists.store import names

        return tuple(names(self.path))

    def list(self, name: str) -> ImageList:
        """Return the block or allow list of that name, as it is now.

        Raises:
            InputError: There is none.
            LibraryDamaged: A file of it is not what was written.
        """
        from simsearch.library.lists.image_list import ImageList

        return ImageList.open(self.path, arguments.text(name, "name of a list"))

    def check(
        self,
        images: Any,
        *,
        lists: Sequence[str | ImageList] | None = None,
        max_bits: int = 31,
        max_distance: float | None = None,
        max_expected: float | None = None,
        max_fpr: float | None = None,
        settings: AddSettings | None = None,
        count: bool = True,
    ) -> Checked:
        """Check images against lists, and return for each what is listed of it and what each match is worth.

        Equal digests of a file's bytes are the same file. PDQ hashes match within `max_bits`; rows of a channel within
        `max_distance`, or where at most 0.01 false matches of a check are expected. A match that is as near to an entry
        of an allow list, by the same type of code, is never reported. A picture that shows too little is accused by
        digests alone, and an entry that the flood guard set aside accuses nobody.

        Args:
            images: One or several, as of `search`; files that are no pictures are compared by their digests.
            lists: Names of lists, or lists in memory; None for all of the library's.
            max_bits: Of PDQ, of 256.
            max_distance: Of rows of a channel, by the channel's metric.
            max_expected: Decide by expected false matches of a check in one list instead, by the upper end of their
                interval; for PDQ too.
            max_fpr: The same by the probability that a stranger matches any entry.
            settings: Of reading images.
            count: Whether the flood guard counts them.

        Raises:
            InputError: There is no such list, a path does not exist, or an expected number is asked for that cannot be
                told from what was counted.
            DependencyMissing: A list holds PDQ hashes, and PDQ is not installed.
        """
        from simsearch.library.inputs import outside
        from simsearch.library.lists.open_lists import check_lists, inputs_of, looked_at

        opened, thresholds = self._against(lists, max_bits, max_distance, most_of(max_expected, max_fpr))
        given, models = arguments.settings(settings), self.list_models()
        inputs = inputs_of(images, looked_at(opened), models, given)
        return check_lists(outside(self.path, inputs), opened, models, thresholds, settings=given, count=count)

    def check_codes(
        self,
        codes: Sequence[str],
        *,
        lists: Sequence[str | ImageList] | None = None,
        max_bits: int = 31,
        max_distance: float | None = None,
        max_expected: float | None = None,
        max_fpr: float | None = None,
        count: bool = True,
    ) -> Checked:
        """Check codes against lists, each as one picture; arguments and answers are those of `check`.

        Args:
            codes: Each as `TYPE:VALUE`: md5, sha1, sha256, pdq, or `channel:FINGERPRINT` of a channel of the library.
            lists: Names of lists, or lists in memory; None for all of the library's.
            max_bits: Of PDQ, of 256.
            max_distance: Of rows of a channel.
            max_expected: Decide by expected false matches of a check in one list.
            max_fpr: The same by the probability that a stranger matches any entry.
            count: Whether the flood guard counts them.

        Raises:
            InputError: One is no code, or as of `check`.
        """
        from simsearch.library.lists.coded_pictures import check_coded, of_codes

        opened, thresholds = self._against(lists, max_bits, max_distance, most_of(max_expected, max_fpr))
        models = self.list_models()
        return check_coded(of_codes(codes, models), opened, models, thresholds, count=count)

    def check_items(
        self,
        ids: Sequence[int],
        *,
        lists: Sequence[str | ImageList] | None = None,
        max_bits: int = 31,
        max_distance: float | None = None,
        max_expected: float | None = None,
        max_fpr: float | None = None,
        count: bool = True,
    ) -> Checked:
        """Check items of the library against lists by what is stored of them, their SHA-256 and rows; no file is read.

        A list's entries of other types, as PDQ, are not compared with them; `not_compared` says so. Arguments are those
        of `check_codes`.

        Raises:
            ItemNotFound: There is no item of an id.
            InputError: As of `check`.
        """
        from simsearch.library.lists.coded_pictures import check_coded, of_items

        opened, thresholds = self._against(lists, max_bits, max_distance, most_of(max_expected, max_fpr))
        models = self.list_models()
        return check_coded(of_items(self.snapshot, ids, models), opened, models, thresholds, count=count)

    def _against(
        self,
        lists: Sequence[str | ImageList] | None,
        max_bits: int,
        max_distance: float | None,
        most: float | None,
    ) -> tuple[builtins.list[ImageList], Thresholds]:
        from simsearch.library.lists.comparison import Thresholds

        named = self.lists() if lists is None else lists
        opened = [self.list(one) if isinstance(one, str) else one for one in named]
        distance = None if max_distance is None else checked_limit(max_distance)
        bits = int(arguments.number(max_bits, "max_bits", low=0, high=256))
        return opened, Thresholds(bits, distance, most)

    def list_models(self) -> Models:
        """Return what makes codes of pictures for lists: PDQ, and this library's channels."""
        from simsearch.library.lists.open_lists import Models

        return Models(self.channels, self._extractor, lambda channel: self.calibration(channel=channel.name))

    def info(self) -> LibraryInfo:
        """Return facts about the library."""
        from simsearch.library.info import info

        return info(self.path, self.snapshot)

    def verify(self, deep: bool = False) -> builtins.list[str]:
        """Return the faults of the newest commit, one line each; `deep` reads every file whole."""
        from simsearch.library.verify import verify

        return verify(self.path, deep=arguments.flag(deep, "deep"), device=self.device)


def _batch_size(value: Any) -> int:
    return int(arguments.number(value, "batch_size", low=1, high=1 << 31))
