"""Adding images: unchanged files are skipped unread, known contents are copied, the rest is embedded."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TypeAlias, cast

from simsearch.errors import LibraryError
from simsearch.extract.extractor import Extractor
from simsearch.extract.pipeline import Embedded
from simsearch.extract.runner import Runner
from simsearch.images.source import Found, Rejected, Source, source_of
from simsearch.library.format.channel import problem_of
from simsearch.library.format.items import Item
from simsearch.library.format.snapshot import Place, Snapshot
from simsearch.library.path_aliases import names_of, stored_name
from simsearch.library.reports import AddReport
from simsearch.library.select_items import PathLike
from simsearch.library.settings import AddSettings
from simsearch.library.write.ingest import Intake
from simsearch.library.write.prune import SeenInputs

Named: TypeAlias = tuple[Found, list[bytes]]
Outcome: TypeAlias = Embedded | Rejected

_LOOKED_UP_AT_ONCE = 256


class AddJob:
    """One call of `add`: sources in, outcomes into the intake."""

    def __init__(
        self,
        intake: Intake,
        extractors: Callable[[], Sequence[Extractor]],
        *,
        settings: AddSettings,
        rescan: bool,
        runner: Runner,
    ) -> None:
        self._intake = intake
        self._extractors = extractors
        self._settings = settings
        self._runner = runner
        self._rescan = rescan
        self._paths: set[bytes] = set()  # read, and neither committed nor rejected yet
        self._contents: set[bytes] = set()  # being embedded
        self._names = names_of(intake.writer.snapshot)
        self.seen = SeenInputs()

    def run(self, sources: Iterable[Found]) -> None:
        """Take every source in; what is done is committed also when the run is interrupted."""
        try:
            with closing(self._embedded(self._changed(sources), self._settings.workers, self._is_known)) as stream:
                for outcome in stream:
                    self._take(outcome)
        except LibraryError:
            raise
        except BaseException:
            self._intake.flush()
            raise
        self._intake.flush()

    def _embedded(
        self, sources: Iterable[Found], workers: int | None, known: Callable[[bytes], bool] | None = None
    ) -> Generator[Outcome, None, None]:
        first = next(stream := iter(sources), None)
        if first is None:  # nothing to read, and no network to load
            return
        outcomes = self._runner.embed(
            self._extractors,
            itertools.chain([first], stream),
            batch_size=self._settings.batch_size,
            workers=workers,
            limits=self._settings.limits,
            known=known,
        )
        yield from cast(Generator[Outcome, None, None], outcomes)

    def _changed(self, sources: Iterable[Found]) -> Iterator[Found]:
        """Yield the sources that have to be read; runs in the reader's thread."""
        stream = iter(sources)
        while chunk := _chunk(stream):
            files = [found for found in chunk if source_of(found).has_path]
            self.seen.note(files)
            named = [(found, self._names.of_source(source_of(found))) for found in files]
            fresh = self._not_as_stored(self._not_in_flight(named))
            self._paths.update(found.path for found in fresh if isinstance(found, Source))
            fresh += chunk[len(files) :]
            if len(fresh) < len(chunk):
                self._intake.skip(len(chunk) - len(fresh))
            yield from fresh

    def _not_in_flight(self, chunk: Iterable[Named]) -> list[Named]:
        """Leave out files that this call has read; what leaves one of the two sets is in the snapshot by then."""
        passed: list[Named] = []
        paths: set[bytes] = set()
        for found, names in chunk:
            in_flight = (name in held for held in (paths, self._paths, self._intake.pending.paths) for name in names)
            if isinstance(found, Rejected) or not any(in_flight):
                passed.append((found, names))
                paths.add(names[0])
        return passed

    def _not_as_stored(self, chunk: Sequence[Named]) -> list[Found]:
        """Return the sources that have to be read, under their names in the library."""
        snapshot = self._intake.writer.snapshot
        places = iter(snapshot.by_paths([name for _, names in chunk for name in names]))
        fresh: list[Found] = []
        for found, names in chunk:
            known = [place for place in itertools.islice(places, len(names)) if place is not None]
            if isinstance(found, Rejected):
                fresh.append(found)
            elif self._rescan or not _is_as_stored(snapshot, known[0] if known else None, found):
                fresh.append(_renamed(found, *stored_name(snapshot, known[0])) if known else found)
        return fresh

    def _is_known(self, sha256: bytes) -> bool:
        """Return whether the content has rows, or will have by the time of its result; runs in the reader's thread."""
        intake = self._intake
        if sha256 in self._contents or sha256 in intake.pending.rows:
            return True
        if intake.writer.snapshot.by_content(sha256) is not None:
            return True
        self._contents.add(sha256)
        return False

    def _take(self, outcome: Outcome) -> None:
        path = outcome.source.path
        if isinstance(outcome, Embedded):
            content = outcome.sha256
            if outcome.more:
                self._intake.note_first_only()
            outcome = self._taken(outcome)
            self._contents.discard(content)
        if isinstance(outcome, Rejected):
            self._intake.reject(outcome)
        self._paths.discard(path)

    def _taken(self, outcome: Embedded) -> Outcome:
        """Return the outcome once it is taken in, or the reason why it cannot be."""
        rows, channels = None, self._intake.channels
        if outcome.rows is not None:
            rows = tuple(channel.round(row) for channel, row in zip(channels, outcome.rows, strict=True))
            for channel, row in zip(channels, rows, strict=True):
                if problem := problem_of(row, channel, f"the row of {outcome.source.printable}"):
                    return Rejected(outcome.source, *problem)
        if self._intake.take(_item(outcome), rows):
            return outcome
        # The content was known when it was read, and its rows went since: the other file was replaced or rejected.
        alone = self._embedded([outcome.source], 0 if self._settings.workers == 0 else 1)
        with closing(alone) as stream:
            again = next(stream)
        return self._taken(again) if isinstance(again, Embedded) else again


def _chunk(stream: Iterator[Found]) -> list[Found]:
    """Return a batch of inputs to look up; a picture from memory ends it, so that few are held."""
    chunk: list[Found] = []
    for found in itertools.islice(stream, _LOOKED_UP_AT_ONCE):
        chunk.append(found)
        if not source_of(found).has_path:
            break
    return chunk


def _renamed(source: Source, root: bytes, name: bytes) -> Source:
    return source if (source.root, source.name) == (root, name) else replace(source, root=root, name=name, link=None)


def _item(outcome: Embedded) -> Item:
    source = outcome.source
    on_disk = source.has_path
    # A link to a folder is a root of its own: its target gives aliases of the items below.
    root = source.link or source.root
    return Item(
        root if on_disk else None,
        source.path[len(root.rstrip(b"/")) + 1 :] if on_disk else None,
        outcome.sha256,
        outcome.n_bytes,
        source.mtime_ns if on_disk else None,
        outcome.width,
        outcome.height,
        outcome.quality,
        source.owner,
        source.attributes,
    )


def _is_as_stored(snapshot: Snapshot, place: Place | None, source: Source) -> bool:
    """Return whether size, time and labels agree with the library, so that the file need not be read."""
    if place is None or snapshot.stamp(place) != (source.size, source.mtime_ns):
        return False
    labels = (source.owner, source.attributes)
    return labels in {(None, None), snapshot.labels(place)}


def add(
    intake: Intake,
    extractors: Callable[[], Sequence[Extractor]],
    sources: Iterable[Found],
    *,
    settings: AddSettings,
    rescan: bool = False,
    prune: Sequence[PathLike] = (),
    runner: Runner | None = None,
) -> AddReport:
    """Add every source and return the outcomes; items under `prune` that were not found are removed at the end.

    The extractors are those of the channels, in their order; they are asked for when the first image is to be read.
    """
    job = AddJob(intake, extractors, settings=settings, rescan=rescan, runner=runner or Runner())
    job.run(sources)
    gone = job.seen.gone(intake.writer.snapshot, prune)
    if gone:
        intake.writer.commit(removed=gone)
    return replace(intake.report, pruned=len(gone), same_file=job.seen.same_file())
