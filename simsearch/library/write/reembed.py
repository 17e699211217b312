"""A further channel for a library that is there: filled from the image files, and switched in by one commit."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from simsearch.errors import RejectCode
from simsearch.extract.extractor import Extractor
from simsearch.extract.pipeline import Embedded, embed_sources
from simsearch.images.find import find
from simsearch.images.input_lists import ListEntry
from simsearch.images.source import Found, Rejected, Source, source_of
from simsearch.library.format.atomic_files import naming_full_disk, remove_folder
from simsearch.library.format.cards import card_digest, card_of, keep_card
from simsearch.library.format.channel import Channel, Row, problem_of
from simsearch.library.format.layout import MODELS
from simsearch.library.format.segment import ChannelRows, SegmentDraft
from simsearch.library.format.snapshot import Place, Snapshot
from simsearch.library.path_aliases import split_member
from simsearch.library.settings import AddSettings
from simsearch.library.write.channel_draft import ChannelDraft
from simsearch.library.write.merge import merged, require_sound
from simsearch.library.write.writer import Writer


class ChannelFilling:
    """A channel that is being filled; what is embedded is kept for the next run as well.

    Attributes:
        embedded: Images that this one embedded.
    """

    def __init__(
        self,
        library: Path,
        extractor: Extractor,
        channel: Channel,
        *,
        settings: AddSettings,
        progress: Callable[[int, int], None],
    ) -> None:
        self.embedded = 0
        self._library, self._extractor, self._channel = library, extractor, channel
        self._settings, self._progress = settings, progress
        self._draft = ChannelDraft(library, channel)
        self._new: dict[bytes, Row] = {}
        self._kept_at = time.monotonic()
        self._problems: dict[bytes, Rejected] = {}

    def fill(self, snapshot: Snapshot) -> dict[bytes, Rejected]:
        """Embed the image of every item without a row, and return why items have none all the same, by path."""
        lacking = self._lacking(snapshot)
        total, left = len(self._draft) + len(lacking), {content: list(paths) for content, paths in lacking.items()}
        while paths := {mine.pop(0): content for content, mine in left.items() if mine and content not in self._draft}:
            try:
                self._read(paths, total)
            finally:
                self._keep()
        return dict(self._lost(snapshot, place) for place in self.places_without_row(snapshot))

    def places_without_row(self, snapshot: Snapshot) -> Iterator[Place]:
        """Yield the live items whose content has no row yet."""
        for place, _ in snapshot.paths():
            content = snapshot.segments[place.segment].content(place.position)
            if content is None or content not in self._draft:
                yield place

    def switch(self, writer: Writer) -> Channel:
        """Make the channel one of the library's, in one commit, and return it; every item has a row.

        Raises:
            LibraryDamaged: A segment is damaged; nothing was changed.
            StorageFull: There is no room for the segments anew; nothing was changed.
        """
        taken, card = {channel.name for channel in writer.snapshot.state.channels}, card_of(self._extractor)
        names = itertools.chain([self._channel.name], (f"{self._channel.name}-{i}" for i in itertools.count(2)))
        channel = replace(self._channel, name=next(name for name in names if name not in taken), card=card_digest(card))
        with naming_full_disk(self._library):
            remove_folder(self._library / MODELS / channel.name)
            keep_card(card, self._library, channel.name)
        writer.add_channel(channel, self._segments(writer, channel))
        return channel

    def discard(self) -> None:
        """Remove what is kept for the next run: the library has it all."""
        self._draft.discard()

    def _segments(self, writer: Writer, channel: Channel) -> Iterator[SegmentDraft]:
        runtime = self._extractor.runtime()
        for number in range(len(writer.snapshot.segments)):
            require_sound(writer, number)
            draft = merged(writer.snapshot, [number])
            rows = self._draft.rows(draft.items.column("sha256").to_pylist())
            yield replace(draft, rows={**draft.rows, channel.name: ChannelRows.of(rows, channel, runtime)})

    def _lacking(self, snapshot: Snapshot) -> Mapping[bytes, list[bytes]]:
        """Return the paths of each content without a row."""
        lacking: dict[bytes, list[bytes]] = {}
        for place in self.places_without_row(snapshot):
            content, path = snapshot.segments[place.segment].content(place.position), snapshot.path(place)
            if content is not None and path is not None:
                lacking.setdefault(content, []).append(path)
        return lacking

    def _read(self, paths: Mapping[bytes, bytes], total: int) -> None:
        """Embed the images at some paths, as far as they are there with the content that the library has."""
        outcomes = embed_sources(
            self._extractor,
            self._found(paths),
            batch_size=self._settings.batch_size,
            workers=self._settings.workers,
            limits=self._settings.limits,
        )
        with closing(outcomes) as stream:  # type: ignore[type-var]
            for outcome in stream:
                problem = self._taken(outcome, paths[outcome.source.path])
                if problem is not None:
                    self._problems[outcome.source.path] = problem
                self._progress(len(self._draft) + len(self._new), total)

    def _found(self, paths: Mapping[bytes, bytes]) -> Iterator[Found]:
        files = dict.fromkeys(split_member(path)[0] for path in paths)
        entries = [ListEntry(b"/", file[1:]) for file in files]
        return (found for found in find([], from_list=entries) if source_of(found).path in paths)

    def _taken(self, outcome: Embedded | Rejected, content: bytes) -> Rejected | None:
        """Return why an outcome gives no row for a content, None where it does."""
        if isinstance(outcome, Rejected):
            return outcome
        if outcome.sha256 != content or outcome.row is None:
            return Rejected(outcome.source, RejectCode.IO_ERROR, "it is no longer what was indexed")
        row = self._channel.round(outcome.row)
        if problem := problem_of(row, self._channel, f"the row of {outcome.source.printable}"):
            return Rejected(outcome.source, *problem)
        self._new[content] = row
        late = time.monotonic() - self._kept_at >= self._settings.commit_seconds
        if late or len(self._new) >= self._settings.commit_every:
            self._keep()
        return None

    def _keep(self) -> None:
        self._draft.keep(list(self._new), list(self._new.values()))
        self.embedded += len(self._new)
        self._new, self._kept_at = {}, time.monotonic()

    def _lost(self, snapshot: Snapshot, place: Place) -> tuple[bytes, Rejected]:
        """Return the path of an item without a row, `id:N` where it has none, and why that is so."""
        path = snapshot.path(place)
        if path is None:
            message = "it came from memory, or as a row, and has no file"
            return b"id:%d" % snapshot.id(place), Rejected(Source.of(b""), RejectCode.IO_ERROR, message)
        known = snapshot.segments[place.segment].content(place.position) is not None
        message = "it is not there any more" if known else "its content was never recorded"
        gone = Rejected(Source(b"", path[1:], path, 0, 0, 0), RejectCode.IO_ERROR, message)
        return path, self._problems.get(path, gone)
