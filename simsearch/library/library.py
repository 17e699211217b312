"""A library of images on disk: the public interface of this package."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsearch.errors import InputError
from simsearch.extract.extractor import Extractor
from simsearch.extract.runner import Runner
from simsearch.images.input_lists import ListEntry
from simsearch.images.sidecars import Skipped
from simsearch.images.source import Found
from simsearch.library.format.atomic_files import OnStep, naming_full_disk, nothing
from simsearch.library.format.channel import ASYMMETRIC, POINTS, Channel, only
from simsearch.library.format.manifest import Manifest
from simsearch.library.indexes.build import IndexRequest
from simsearch.library.indexes.record import IndexRecord
from simsearch.library.read import arguments as checks
from simsearch.library.read.lazy_extractor import LazyExtractor
from simsearch.library.reader import Reader
from simsearch.library.reports import AddReport, Progress, ReembedReport
from simsearch.library.select_items import PathLike, as_paths
from simsearch.library.settings import AddSettings
from simsearch.library.write.create import create, requested_channel
from simsearch.library.write.ingest import Intake, Runtime
from simsearch.library.write.writer import Writer

if TYPE_CHECKING:
    from simsearch.decide.calibration import Origin
    from simsearch.library.calibration.calibrate import CalibrationReport, EditedCopies
    from simsearch.library.channels.count_fused import FusedReport
    from simsearch.library.lists.calibrate import ListCalibration
    from simsearch.library.lists.image_list import ImageList
    from simsearch.library.lists.open_lists import ListedPictures
    from simsearch.library.repair.repair import RepairReport
    from simsearch.library.verdicts.verdict import Verdict
    from simsearch.library.write.purge import Purged
    from simsearch.library.write.review import JudgedPair

Tell = Callable[[Progress], None]


class Library(Reader):
    """Images and their rows in a folder; opened at one commit, which `refresh` moves to the newest.

    Make one with `Library.create` or `Library.open`. Searching is safe from several threads; one process at a time
    writes, and readers never wait for it.

    Attributes:
        swept: Leftovers of a dead writer that the last write removed or put aside, as names below the folder.
        last_purge: The result of the last purge.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        extractor: Extractor | Sequence[Extractor] | None = None,
        channel: str | None = None,
        device: str = "auto",
        on_step: OnStep = nothing,
    ) -> None:
        super().__init__(path, extractor=extractor, channel=channel, device=device)
        self._on_step = checks.function(on_step, "on_step")
        self._made = False
        self.swept: tuple[str, ...] = ()
        self.last_purge: Purged | None = None

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        model: str | Path | Extractor | Sequence[str | Path | Extractor] = "mini",
        dtype: str | None = None,
        device: str = "auto",
        on_step: OnStep = nothing,
    ) -> Library:
        """Return the library in a folder, created if there is none.

        Args:
            path: The folder, which need not exist.
            model: Its extractor: a name, a model folder, `module:Class`, or an object; or several, each of which makes
                a channel of rows. The first one's is searched.
            dtype: Of stored rows, float16 (the default) or float32; packed bits are always stored as bits.
            device: Of embedding and search.
            on_step: Called at every step of a write; for tests.

        Raises:
            LibraryExists: There is one of other models or another dtype, or the folder holds anything else.
            ModelNotFound: There is no such model.
            InputError: A model is given twice, or gives several rows an image.
        """
        folder = checks.folder(path, "path of a library")
        models: list[Any] = [*model] if isinstance(model, (list, tuple)) else [model]
        for one in models:
            checks.instance(one, (str, Path, Extractor), "model", "a name, the Path of a model folder, or an extractor")
        dtype = None if dtype is None else checks.text(dtype, "dtype")
        extractors, channel, made = create(folder, models, dtype=dtype, device=checks.text(device, "device"))
        library = cls(path, extractor=extractors, channel=channel, device=device, on_step=on_step)
        library._made = made
        return library

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        extractor: Extractor | Sequence[Extractor] | None = None,
        channel: str | None = None,
        device: str = "auto",
        prepare: bool = False,
        on_step: OnStep = nothing,
    ) -> Library:
        """Return the library in a folder at its newest commit.

        The channel is the one that is searched, by default that of the extractor, or the first. Extractors that are
        not given are the models of the channels, loaded when an image needs them. With `prepare` it is ready for
        searches by the channel's metric, as by the method of that name.

        Raises:
            LibraryNotFound: There is none.
            LibraryDamaged: A file does not hold what the manifest says.
            FingerprintMismatch: An extractor is none of those that made the rows.
            InputError: There is no such channel.
        """
        library = cls(path, extractor=extractor, channel=channel, device=device, on_step=on_step)
        if checks.flag(prepare, "prepare"):
            library.prepare()
        return library

    @staticmethod
    def repair(path: str | Path) -> RepairReport:
        """Make the manifest of the library in a folder again from its segments, unless it is sound.

        Nothing is deleted. The report lists what could not be known, such as which images had been removed.

        Raises:
            LibraryNotFound: There is no library, damaged or not.
            LibraryDamaged: No segment can be used; nothing was changed.
        """
        from simsearch.library.repair.repair import repair

        return repair(checks.folder(path, "path of a library"))

    def add(
        self,
        paths: Any = (),
        *,
        from_list: PathLike | Sequence[ListEntry] | None = None,
        settings: AddSettings | None = None,
        prune: bool = False,
        prune_empty: bool = False,
        dry_run: bool = False,
        rescan: bool = False,
        progress: Tell | None = None,
        found: Iterable[Found] = (),
        runner: Runner | None = None,
    ) -> AddReport:
        """Add every image under `paths` and return the outcomes; when it returns, all of it is on disk.

        An image is read once for all channels, and has a row in each or, where one of them cannot be kept, is rejected.
        Files of the same path, size and time are not read again; known files are copied, not embedded. A picture
        from memory becomes an item without a path, `id:N`, once: its content is that of its file, or of its pixels.

        Args:
            paths: Files, folders, tars; pictures in any form that `Extractor.embed` takes; or an iterable of these,
                which is consumed lazily where it is no list.
            from_list: A list of more or its entries, see `simsearch.images.find`.
            settings: Of reading and committing.
            prune: Remove items in the folders and tars among `paths` that are no longer there.
            prune_empty: Prune also a path that is empty now, or gone itself.
            dry_run: With `prune`: change nothing, and return a report that counts what would be pruned.
            rescan: Read also files that seem unchanged.
            progress: Called with the progress so far; maybe from another thread, never concurrently.
            found: More inputs, as `simsearch.images.find` yields them: of object storage, by `simsearch.scale`.
            runner: Where inputs become rows; None is this process.

        Raises:
            InputError: A path is empty or does not exist, a value is no image, or a path of which the library holds
                items is to be pruned and nothing is found in it (as on an unmounted disk); nothing was done, but
                leading items of an iterator may have been added.
            LibraryLocked: Another process is writing.
            StorageFull: The disk is full; what was committed is kept.
        """
        from simsearch.library.inputs import outside, own_files, sources_of
        from simsearch.library.write.add_images import add
        from simsearch.library.write.prune import require_found

        chosen, rescan, prune = checks.settings(settings), checks.flag(rescan, "rescan"), checks.flag(prune, "prune")
        empty_too = checks.flag(prune_empty, "prune_empty")
        if checks.flag(dry_run, "dry_run"):
            if not prune:
                raise InputError("dry_run goes with prune: it says what pruning would remove")
            return AddReport(pruned=len(self.would_prune(paths, from_list=from_list, prune_empty=empty_too)))
        own, others = own_files(self.path), Counter[str]()

        def skip(other: Skipped) -> None:
            others[other.kind] += not other.path.startswith(own)

        def there(roots: Sequence[PathLike]) -> Sequence[PathLike]:
            return require_found(self.snapshot, roots, empty_too=empty_too) if prune else roots

        how: dict[str, Any] = {
            "preprocessings": lambda: [each.preprocessing for each in self.extractors],
            "limits": chosen.limits,
        }
        inputs, given = sources_of(paths, there=there, skipped=skip, from_list=from_list, **how)
        sources, runs = outside(self.path, itertools.chain(inputs, found)), runner or Runner()

        def runtime(channel: Channel) -> Mapping[str, str]:
            return runs.runtime(self._extractor(channel))

        with self._intake(chosen, progress, runtime, runs.settled) as intake:
            pruned = given if prune else ()
            told: dict[str, Any] = {"settings": chosen, "rescan": rescan, "prune": pruned, "runner": runs}
            report = add(intake, lambda: self.extractors, sources, **told)
        kinds = +others
        return replace(report, skipped=kinds.total(), skipped_by_kind=dict(kinds.most_common()))

    def add_rows(
        self, path: str | Path, *, settings: AddSettings | None = None, progress: Tell | None = None
    ) -> AddReport:
        """Add every row of a Parquet file that `simsearch embed` wrote and return the outcomes.

        All rows are checked before any is committed: first the leading new ones, of up to eight segments, at once;
        then the others, segment by segment.

        Raises:
            FingerprintMismatch: Another model made the rows.
            RowError: A row is NaN, infinite, zero-sum or of the wrong dimension; it is named and nothing was done.
            LibraryLocked: Another process is writing.
            LibraryError: The library has several channels, and an item needs a row of each.
        """
        from simsearch.library.write.rows.add_rows import add_rows, check_file

        file, chosen = checks.folder(path, "path of a file"), checks.settings(settings)
        check_file(file, only(self.channels))
        with self._intake(chosen, progress, lambda _: {}) as intake:
            add_rows(intake, file)
            return intake.report

    def would_prune(
        self,
        paths: PathLike | Iterable[PathLike],
        *,
        from_list: PathLike | Sequence[ListEntry] | None = None,
        prune_empty: bool = False,
    ) -> list[bytes]:
        """Return the paths of the items that `add` with `prune` would remove; nothing is changed, no image is read.

        Raises:
            InputError: Nothing is found any more in a path that holds items, and `prune_empty` is not set.
        """
        from simsearch.images.find import find
        from simsearch.library.inputs import outside
        from simsearch.library.write.prune import SeenInputs, require_found

        given, seen = as_paths(paths), SeenInputs()
        there = require_found(self.snapshot, given, empty_too=prune_empty)
        seen.note(outside(self.path, find(there, from_list=from_list)))
        return [self.snapshot.path(place) or b"" for place in seen.gone(self.snapshot, given)]

    def would_remove(
        self, paths: PathLike | Iterable[PathLike] = (), *, owner: str | None = None, purge: bool = False
    ) -> list[bytes]:
        """Return the paths of the items that `remove` would remove, `id:N` for one without; nothing is changed.

        With `purge` followed by the names of rejected inputs that would be erased.
        """
        from simsearch.library.write.remove import planned

        owner = None if owner is None else checks.text(owner, "owner")
        removal = planned(self.snapshot, self.path, as_paths(paths), owner=owner, purge=checks.flag(purge, "purge"))
        return removal.names(self.snapshot) + (list(removal.rejects) if purge else [])

    def remove(
        self,
        paths: PathLike | Iterable[PathLike] = (),
        *,
        owner: str | None = None,
        purge: bool = False,
        dry_run: bool = False,
    ) -> int:
        """Return how many items were removed.

        Args:
            paths: Files, folders (all below), tars, members (`shard.tar::member`), or `id:N`.
            owner: Remove only what belongs to this owner; of the whole library where there are no paths.
            purge: Also rewrite the files at once, so that nothing of what was removed stays on disk, and erase the
                names of rejected inputs below the paths, or of the owner. Indexes with a removed row go, as does
                all that `repair` put aside; `last_purge` lists them.
            dry_run: Change nothing, and return how many would be removed; `would_remove` names them.

        Raises:
            InputError: The library has no such item; nothing was removed.
        """
        from simsearch.library.write.purge import purge as erase
        from simsearch.library.write.remove import planned, remove

        given, purge = as_paths(paths), checks.flag(purge, "purge")
        owner = None if owner is None else checks.text(owner, "owner")
        if checks.flag(dry_run, "dry_run"):
            return len(planned(self.snapshot, self.path, given, owner=owner, purge=purge).places)
        with self._writing() as writer:
            removal = planned(writer.snapshot, self.path, given, owner=owner, purge=purge)
            count = remove(writer, removal)
            if purge:
                self.last_purge = erase(writer, removal)
        self._resident.look()
        return count

    def reembed(
        self,
        model: str | Path | Extractor,
        *,
        dtype: str | None = None,
        settings: AddSettings | None = None,
        progress: Callable[[int, int], None] = lambda _done, _of: None,
    ) -> ReembedReport:
        """Give the library a further channel, of every item's image, while searches go on by the others.

        Rows are made from the image files and kept beside the library until every item has one; then one commit makes
        them its channel. An interrupted call is gone on from by the next. While an item's file is gone, changed or
        cannot be used, the channel is not switched in: the report names it. Segments are written anew, without removed
        items, so that indexes no longer fit: `optimize` builds them again.

        Args:
            model: As of `create`.
            dtype: Of stored rows, as of `create`.
            settings: Of reading, and of how often rows are kept.
            progress: Called with how many images have a row, and of how many.

        Raises:
            InputError: The extractor gives several rows an image.
            LibraryLocked: Another process is writing.
            StorageFull: The disk is full; what was kept before stays.
        """
        from simsearch.library.channels.agreement import agreement
        from simsearch.library.write.reembed import ChannelFilling

        checks.instance(model, (str, Path, Extractor), "model", "a name, the Path of a model folder, or an extractor")
        checks.function(progress, "progress")
        extractor, channel = requested_channel(model, dtype=dtype, device=self.device)
        extractor.admit()
        filling = ChannelFilling(self.path, extractor, channel, settings=checks.settings(settings), progress=progress)
        self.refresh()
        while (found := self._channel_like(channel)) is None:
            if missing := filling.fill(self.snapshot):
                return ReembedReport(None, len(self), filling.embedded, missing)
            with self._writing() as writer:  # where items came meanwhile, they are embedded first
                if self._channel_like(channel) is None and not any(filling.places_without_row(writer.snapshot)):
                    filling.switch(writer)
        filling.discard()
        self._resident.look()
        self._lazy[found.name] = LazyExtractor(found, extractor, self.device)
        same = found == self.channel
        alone = same or found.dtype == POINTS  # keypoints have no nearest rows to agree on
        shared = None if alone else agreement(self.snapshot, (self.channel, found), device=self.device)
        return ReembedReport(found.name, len(self), filling.embedded, {}, *(shared or (None, 0)))

    def _channel_like(self, channel: Channel) -> Channel | None:
        """Return the library's channel of the same rows, None where it has none."""
        alike = (one for one in self.channels if one.fingerprint == channel.fingerprint)
        return next(alike, None)

    def adopt(self, segment: str | Path) -> AddReport:
        """Take over a segment that a worker wrote with `write_segment`, and return the outcomes of its items."""
        from simsearch.library.write.adopt import adopt

        taken = checks.folder(segment, "path of a segment")
        with self._writing() as writer, naming_full_disk(self.path):
            return adopt(writer, taken)

    def calibrate(
        self,
        *,
        negatives: Iterable[Any] | PathLike | None = None,
        queries: Iterable[Any] | PathLike | None = None,
        channel: str | None = None,
        metric: str | None = None,
        seed: int = 0,
        settings: AddSettings | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> CalibrationReport:
        """Count how often strangers are near items of this library, and keep the rates: searches judge by them.

        Without arguments its own items are compared, those of different folders where it has several. Pairs that look
        like copies are left out and reported; look at them. `refresh` takes up a calibration made elsewhere.

        Args:
            negatives: Images of which none is in the library: folders, tars, or as of `search`.
            queries: Images that are asked of the library, the strongest evidence of all.
            channel: Whose rows; by default the searched one.
            metric: By default the channel's.
            seed: Of samples.
            settings: Of reading images.
            progress: Called with queries compared and their number.

        Raises:
            InputError: There are too few pairs of strangers, both kinds of images are given, or the channel has no
                distances.
            StorageFull: The disk is full; an older calibration is kept.
        """
        from simsearch.extract.image_input import are_several
        from simsearch.library.calibration.calibrate import calibrated
        from simsearch.library.calibration.store import keep
        from simsearch.library.read.query import QueryEmbedder

        given, origin = _given(negatives, queries)
        chosen = self.channel if channel is None else self.snapshot.channel(checks.text(channel, "channel"))
        name = _measured(chosen, metric)
        asked = None
        if given is not None:
            plan = self._plan(1, name, None, channel=chosen, exact=False, order=None, group_copies=False, min_quality=0)
            embedder = QueryEmbedder(plan, self._extractor(chosen), checks.settings(settings), library=self.path)
            asked = embedder.embed(given if are_several(given) else [given])
        report = calibrated(
            self.snapshot, chosen, name, queries=asked, origin=origin, seed=seed, progress=progress
        )  # fmt: skip
        keep(self.path, chosen, report.calibration)
        self._rates = {}
        return report

    def calibrate_fused(
        self,
        *,
        negatives: Iterable[Any] | PathLike | None = None,
        queries: Iterable[Any] | PathLike | None = None,
        pairs: int = 500_000,
        seed: int = 0,
        settings: AddSettings | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> FusedReport:
        """Count how often all channels together take strangers for copies, and keep the rates for `search_fused`.

        Each image is compared with items drawn from the library, keypoints included, about 3,000 pairs a second on one
        core: half a million pairs say what happens once in 100,000. Without images those of the library are read again.

        Args:
            negatives: Images of which none is in the library, as of `calibrate`.
            queries: Images that are asked of the library.
            pairs: To compare, about.
            seed: Of the pairs.
            settings: Of reading images.
            progress: Called with images compared and their number.

        Raises:
            InputError: There are too few pairs, both kinds of images are given, or the library has one channel.
            StorageFull: The disk is full; older rates are kept.
        """
        from simsearch.extract.image_input import are_several
        from simsearch.library.calibration.store import keep_fused
        from simsearch.library.channels.count_fused import count_fused, some_files
        from simsearch.library.read.query import QueryEmbedder, embed_together

        if len(self.channels) < 2:
            raise InputError(
                f"{self.path} has one channel: calibrate that, or index with a second one, as `--model points`"
            )
        given, origin = _given(negatives, queries)
        most = int(checks.number(pairs, "pairs", low=1, high=1 << 31))
        images = some_files(self.snapshot, seed) if given is None else given if are_several(given) else [given]
        plain: dict[str, Any] = {"exact": False, "order": None, "group_copies": False, "min_quality": 0}
        plans = [self._plan(1, None, None, channel=channel, **plain) for channel in self.channels]
        embedders = [
            QueryEmbedder(plan, self._extractor(plan.channel), checks.settings(settings), library=self.path)
            for plan in plans
        ]
        asked = embed_together(embedders, images)
        report = count_fused(plans, asked, pairs=most, origin=origin, seed=seed, progress=progress)
        keep_fused(self.path, report.rates)
        self._fused = {}
        return report

    def create_list(self, name: str, kind: str, *, prevalence: float | None = None) -> ImageList:
        """Return a new list in the library's folder.

        Args:
            name: Letters, digits, `_` and `-`.
            kind: "block" or "allow".
            prevalence: Share of checked pictures in which one entry may truly be met, 0.001 where nothing is said: an
                entry that is met more often than that and chance explain is set aside.

        Raises:
            InputError: There is one of that name, or an argument is none.
        """
        from simsearch.library.lists.flood import PREVALENCE
        from simsearch.library.lists.image_list import ImageList

        share = PREVALENCE if prevalence is None else checks.number(prevalence, "prevalence", low=0, high=1)
        return ImageList.create(self.path, checks.text(name, "name of a list"), kind, prevalence=share)

    def add_to_list(
        self, name: str, images: Any, *, tags: Sequence[str] = (), settings: AddSettings | None = None
    ) -> ListedPictures:
        """List images by their codes: SHA-256, PDQ where it is installed, and a row of each channel.

        Neither the picture nor its path is kept. One that shows too little is listed by its SHA-256 alone.

        Raises:
            InputError: There is no such list, or a path does not exist.
        """
        from simsearch.library.inputs import outside
        from simsearch.library.lists.open_lists import add_pictures, inputs_of, types_listed

        one, given, models = self.list(name), checks.settings(settings), self.list_models()
        inputs = inputs_of(images, types_listed(models), models, given)
        return add_pictures(one, outside(self.path, inputs), models, settings=given, tags=tags)

    def calibrate_list(
        self,
        name: str,
        *,
        negatives: Any = None,
        settings: AddSettings | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[ListCalibration]:
        """Count how often photographs come near a list's entries, for each of its types of code but digests.

        The rates are kept with the list, and checks judge by them.

        Args:
            name: Of the list.
            negatives: Photographs that are strangers to it, as paths; None for a sample of the library's own.
            settings: Of reading.
            progress: Called with photographs compared and their number.

        Raises:
            InputError: There are too few photographs or entries for a rate, or the list holds only digests.
        """
        from simsearch.images.find import find
        from simsearch.library.lists.open_lists import calibrate_list

        paths = None if negatives is None else find(as_paths(negatives))
        one, given = self.list(name), checks.settings(settings)
        return calibrate_list(one, self.list_models(), paths, self.snapshot, settings=given, progress=progress)

    def edited_copies(
        self, images: int, *, channel: str | None = None, metric: str | None = None, seed: int = 0
    ) -> EditedCopies:
        """Edit some of the library's images as people do, and return how far the copies lie from their originals.

        With `simsearch.decide.steps` they tell what a threshold would find.

        Raises:
            InputError: No image can be read, or the channel has no distances.
        """
        from simsearch.library.calibration.calibrate import edited_copies

        chosen = self.channel if channel is None else self.snapshot.channel(checks.text(channel, "channel"))
        name = _measured(chosen, metric)
        count = int(checks.number(images, "images", low=1, high=1 << 31))
        return edited_copies(self.snapshot, chosen, name, self._extractor(chosen), images=count, seed=seed)

    def review(self, a: PathLike, b: PathLike, decision: str, *, by: str) -> Verdict:
        """Keep what somebody decided of two contents, and return it; `duplicates` does not show the pair again.

        A verdict is on contents, by their SHA-256: it holds after a move, a rescan, a merge, and in every channel. Only
        `remove` with `purge` erases it, with its content. A second one on a pair takes the place of the first, which
        stays in the log. Images may be added meanwhile.

        Args:
            a: A file, `id:N`, or a SHA-256 of 64 hexadecimal digits.
            b: The other one; the same content for two files with the same bytes.
            decision: "confirm": they are copies of one picture. "reject": they are not. "undo": the last one no longer
                counts.
            by: Who decided.

        Raises:
            InputError: There is no such file or decision, nobody is named, or there is nothing to undo.
            LibraryDamaged: The log is not what was written.
            StorageFull: The disk is full; nothing changed.
        """
        from simsearch.library.verdicts.log import append
        from simsearch.library.verdicts.verdict import standing, verdict
        from simsearch.library.write.review import content_named, distance_between

        one, other = (content_named(self.snapshot, name) for name in (a, b))
        apart = distance_between(self.snapshot, self.channel, one, other)
        made = verdict(one, other, decision, by=by, distance=apart, channel=self.channel.name)
        if decision == "undo" and made.pair not in standing(self.verdicts()):
            raise InputError("nothing stands of that pair that could be undone")
        append(Manifest(self.path), [made])
        return made

    def keep_verdicts(self, verdicts: Sequence[Verdict]) -> None:
        """Keep verdicts that were made elsewhere, all or none, as of a file of decisions.

        Raises:
            LibraryDamaged: The log is not what was written.
            StorageFull: The disk is full; nothing changed.
        """
        from simsearch.library.verdicts.log import append

        append(Manifest(self.path), verdicts)

    def judged_pairs(self) -> list[JudgedPair | None]:
        """Return the verdicts that stand as pairs of files, with their distances in the searched channel.

        None stands for one of which the library has not two files any more.
        """
        from simsearch.library.verdicts.verdict import standing
        from simsearch.library.write.review import judged_pairs

        return list(judged_pairs(self.snapshot, self.channel, standing(self.verdicts()).values()))

    def optimize(
        self,
        *,
        recall: float | None = None,
        metric: str | None = None,
        kind: str = "auto",
        bytes_a_row: int | None = None,
        progress: Callable[[str, int, int], None] = lambda _what, _done, _of: None,
    ) -> tuple[IndexRecord, ...]:
        """Merge segments, drop what was removed, and build indexes; ids stay.

        Without a recall, existing indexes are rebuilt where they no longer cover the segments or are damaged.

        Args:
            recall: Build an index with that recall at 10, measured by held-out rows.
            metric: Whose neighbours it finds; by default the channel's.
            kind: `flat`, `ivf_flat`, `ivf_sq8`, `ivf_pq`, `hnsw`, `rabitq`, or `auto`, by the device.
            bytes_a_row: The largest code of a row, for `ivf_pq` and `rabitq`.
            progress: Called with the stage, what is done of it and of how much.

        Returns:
            The indexes that were built.

        Raises:
            IndexFailed: The index cannot be built, or does not reach the recall; it was not kept.
            MetricError: No index serves the metric.
        """
        from simsearch.library.indexes.build import rebuild
        from simsearch.library.indexes.code_tables import keep_tables
        from simsearch.library.indexes.store import sweep
        from simsearch.library.write.merge import optimize

        chosen = self.channel.choose_metric(metric)
        recall = None if recall is None else checks.number(recall, "recall", low=0, high=1)
        if bytes_a_row is not None:
            bytes_a_row = int(checks.number(bytes_a_row, "bytes_a_row", low=1, high=1 << 20))
        checks.text(kind, "kind")
        checks.function(progress, "progress")
        with self._writing() as writer:
            optimize(writer)
            wanted = None if recall is None else IndexRequest(self.channel, chosen, recall, kind, bytes_a_row)
            writer.swept += sweep(self.path)
            built = rebuild(self.path, writer.snapshot, wanted, device=self.device, progress=progress)
            keep_tables(self.path, writer.snapshot)
        self._resident.look()
        return built

    @contextmanager
    def _writing(self) -> Iterator[Writer]:
        with Writer(self.path, previous=self.snapshot, on_step=self._on_step, sweeps=not self._made) as writer:
            self._snapshot = writer.snapshot
            try:
                yield writer
            finally:
                self._snapshot = writer.snapshot
                self.swept = tuple(writer.swept)

    @contextmanager
    def _intake(
        self,
        settings: AddSettings,
        progress: Tell | None,
        runtime: Runtime,
        settled: Callable[[], None] = lambda: None,
    ) -> Iterator[Intake]:
        if progress is not None:
            checks.function(progress, "progress")
        with self._writing() as writer:
            yield Intake(writer, settings=settings, runtime=runtime, progress=progress, settled=settled)


def _given(negatives: Any, queries: Any) -> tuple[Any, Origin]:
    """Return the images that a calibration is of, None for the library's own, and what they are.

    Raises:
        InputError: Both kinds are given.
    """
    if negatives is not None and queries is not None:
        raise InputError("negatives and queries are two calibrations: give one of them")
    if negatives is not None:
        return negatives, "negatives"
    return queries, "library" if queries is None else "queries"


def _measured(channel: Channel, metric: str | None) -> str:
    """Return a distance between stored rows.

    Raises:
        InputError: The channel or the metric has none.
    """
    name = channel.choose_metric(metric)
    if channel.dtype == POINTS or name == ASYMMETRIC:
        raise InputError(f"{name} has no distances between stored rows: calibrate another channel or metric")
    return name
