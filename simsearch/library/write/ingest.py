"""The outcome of each input, committed along the way: shared by images and by rows without images."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from simsearch.errors import LibraryDamaged, RejectCode
from simsearch.images.paths import is_remote
from simsearch.images.source import Rejected
from simsearch.library.format.channel import Channel, Rows, only
from simsearch.library.format.commit import FileRecord, Mask
from simsearch.library.format.items import Item, items_batch, path_key, rejects_batch
from simsearch.library.format.segment import ChannelRows, SegmentDraft
from simsearch.library.format.snapshot import Place
from simsearch.library.path_aliases import split_member
from simsearch.library.reports import AddReport, Progress
from simsearch.library.settings import AddSettings
from simsearch.library.write.merge import merge_small
from simsearch.library.write.writer import Writer

_SHOWN_REJECTS = 10  # examples; all of them are in the segments
_ORIGINALS = 8  # of an exact copy that are checked on the disk


Runtime = Callable[[Channel], Mapping[str, str]]
"""The device and versions that make the rows of a channel."""


class Pending:
    """Outcomes that are decided and not yet committed."""

    def __init__(self) -> None:
        self.items: list[tuple[int, Item, Rows]] = []  # id, or -1 for a new one
        self.rejects: list[Rejected] = []
        self.removed: list[Place] = []
        self.paths: set[bytes] = set()
        self.rows: dict[bytes, Rows] = {}
        self.nameless: set[bytes] = set()

    def __len__(self) -> int:
        return len(self.items) + len(self.rejects) + len(self.removed)

    def add(self, item: Item, rows: Rows, *, number: int = -1) -> None:
        """Buffer an item, with the id that it keeps or -1."""
        self.items.append((number, item, rows))
        path = item.path
        if path is not None:
            self.paths.add(path)
        if item.sha256 is not None:
            self.rows[item.sha256] = rows
            if path is None:
                self.nameless.add(item.sha256)

    def draft(self, channels: Sequence[Channel], runtime: Runtime) -> SegmentDraft | None:
        """Return the segment to write, None when it would be empty; kept ids come first, in order."""
        if not self.items and not self.rejects:
            return None
        ordered = sorted(self.items, key=lambda entry: (entry[0] < 0, entry[0]))
        rows = {}
        for i, channel in enumerate(channels):
            told = runtime(channel) if ordered else {}
            rows[channel.name] = ChannelRows.of([each[i] for _, _, each in ordered], channel, told)
        return SegmentDraft(
            items_batch([item for _, item, _ in ordered]),
            rows,
            rejects_batch(self.rejects),
            np.array([number for number, _, _ in ordered], np.int64),
        )


class Intake:
    """The counts of inputs, each once, committed in segments of bounded size, so that an interrupted run can resume."""

    def __init__(
        self,
        writer: Writer,
        *,
        settings: AddSettings,
        runtime: Runtime,
        progress: Callable[[Progress], None] | None = None,
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        self.writer = writer
        self.channels = writer.snapshot.state.channels
        self._settings = settings
        self._runtime = runtime
        self._progress = progress
        self._settled = settled
        self._reporting = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._notes: Counter[str] = Counter()  # of inputs that are counted besides
        self._codes: Counter[str] = Counter()
        self._first_rejected: list[Rejected] = []
        self._skipped = 0  # counted in the reader's thread, all else in the writer's
        self._committed = 0
        self._committed_at = time.monotonic()
        self._known_rejects = _reject_keys(writer)
        self._merges = True
        self._warned: set[str] = set()
        self.pending = Pending()

    @property
    def channel(self) -> Channel:
        """The one channel, of rows without images.

        Raises:
            LibraryError: There are several.
        """
        return only(self.channels)

    @property
    def report(self) -> AddReport:
        """The counts so far."""
        counts = dict(self._counts)
        counts["unchanged"] = counts.get("unchanged", 0) + self._skipped
        first = tuple(self._first_rejected)
        return AddReport(**counts, **self._notes, codes=dict(self._codes), first_rejected=first, skipped_by_kind={})

    def skip(self, count: int) -> None:
        """Count inputs that were not even read; may be called from another thread."""
        self._skipped += count
        self._tell()

    def count(self, outcome: str, number: int = 1) -> None:
        """Count an outcome, and commit when enough is pending."""
        self._counts[outcome] += number
        if len(self.pending) >= self._settings.commit_every or (self.late and len(self.pending)):
            self.flush()
        self._tell()

    @property
    def late(self) -> bool:
        """Whether a commit is due, however small."""
        return time.monotonic() - self._committed_at >= self._settings.commit_seconds

    def note_first_only(self) -> None:
        """Count a file of which the first page or frame alone is taken."""
        self._notes["first_only"] += 1

    def reject(self, rejected: Rejected) -> None:
        """Count an input that cannot become a row; it is recorded once, however often it is tried."""
        key = _reject_key(rejected.source.path, rejected.code)
        if rejected.source.has_path and key not in self._known_rejects:
            self._known_rejects.add(key)
            self.pending.rejects.append(rejected)
        self._codes[str(rejected.code)] += 1
        if len(self._first_rejected) < _SHOWN_REJECTS:
            self._first_rejected.append(rejected)
        self.count("rejected")

    def take(self, item: Item, rows: Rows | None) -> bool:
        """Take an input in.

        Args:
            item: Its identity.
            rows: Of each channel, (d,) or (p, d) in its dtype; None when its content has rows already.

        Returns:
            Whether it was counted; False when there are no rows after all, and it has to be embedded.
        """
        path = item.path
        if path in self.pending.paths:
            self.flush()
        place = None if path is None else self.writer.snapshot.by_path(path)
        if place is not None and self.same(place, item.sha256, rows):
            self._touch(place, item)
            self.count("unchanged")
            return True
        if path is None and self._is_nameless_known(item):
            self.count("unchanged")
            return True
        stored = self._stored_rows(item.sha256)
        kept = rows if stored is None else stored
        if kept is None:
            return False
        if place is not None:
            self.pending.removed.append(place)
        if place is None and stored is not None and item.mtime_ns is not None:
            self._notes["copies_of_gone"] += self._is_gone(item.sha256)
        self.pending.add(item, kept)
        self.count("replaced" if place is not None else "added" if stored is None else "exact_copies")
        return True

    def same(self, place: Place, sha256: bytes | None, rows: Rows | None) -> bool:
        """Return whether an item has this content, or these rows where no content is known of either."""
        snapshot = self.writer.snapshot
        content = snapshot.segments[place.segment].content(place.position)
        if content is not None or sha256 is not None or rows is None:
            return content == sha256
        stored = snapshot.rows(place)
        return stored is not None and all(map(np.array_equal, stored, rows))

    def copied(self, place: Place) -> Rows | None:
        """Return stored rows to be copied; None, reported once, where a file of them is damaged."""
        wrong = self.writer.unsound(place.segment, {f"{channel.name}.arrow" for channel in self.channels})
        if wrong is None:
            return self.writer.snapshot.rows(place)
        self._warn(f"{wrong}; no row is copied from it")
        return None

    def _is_gone(self, sha256: bytes | None) -> bool:
        """Return whether the images of a content are known and none is in its place, as after a move of a folder."""
        snapshot = self.writer.snapshot
        places = [] if sha256 is None or sha256 in self.pending.rows else snapshot.contents(sha256)[:_ORIGINALS]
        paths = [path for path in map(snapshot.path, places) if path is not None and not is_remote(path)]
        return bool(paths) and not any(os.path.lexists(split_member(path)[0]) for path in paths)

    def _is_nameless_known(self, item: Item) -> bool:
        snapshot, content = self.writer.snapshot, item.sha256 or b""
        known = content in self.pending.nameless
        return known or any(snapshot.path(place) is None for place in snapshot.contents(content))

    def _touch(self, place: Place, item: Item) -> None:
        """Record a new time stamp or label of unchanged content; the item keeps its id."""
        snapshot = self.writer.snapshot
        stamp = (-1 if item.n_bytes is None else item.n_bytes, -1 if item.mtime_ns is None else item.mtime_ns)
        labels = (item.owner, item.attributes)
        same = stamp in {snapshot.stamp(place), (-1, -1)} and labels in {snapshot.labels(place), (None, None)}
        rows = None if same else self.copied(place)
        if rows is not None:
            self.pending.removed.append(place)
            self.pending.add(item, rows, number=snapshot.id(place))

    def _stored_rows(self, sha256: bytes | None) -> Rows | None:
        if sha256 is None:
            return None
        if sha256 in self.pending.rows:
            return self.pending.rows[sha256]
        place = self.writer.snapshot.by_content(sha256)
        return None if place is None else self.copied(place)

    def flush(self) -> None:
        """Commit what is pending."""
        pending = self.pending
        self.commit(pending.draft(self.channels, self._runtime), pending.removed)

    def commit(self, draft: SegmentDraft | None, removed: Sequence[Place], superseded: Mask | None = None) -> None:
        """Commit the outcomes of all inputs that were counted.

        Args:
            draft: The items that were added.
            removed: Those whose place they take.
            superseded: Which of the new ones are removed from the start, (n,) bool; None for none.
        """
        if draft is not None or removed:
            generation = self.writer.snapshot.state.generation
            try:
                self.writer.commit(draft, removed=removed, superseded=superseded)
            finally:  # an interrupt may come after the commit, and what is pending is committed then, too
                if self.writer.snapshot.state.generation > generation:
                    self.pending = Pending()
            self._merge_small()
        self._note_committed()

    def commit_written(self, segments: Mapping[Path, Sequence[FileRecord]]) -> None:
        """Commit segments that the writer wrote before, and with them all inputs that were counted."""
        self.writer.commit_written(segments)
        self._merge_small()
        self._note_committed()

    def _note_committed(self) -> None:
        self._committed = self._counts.total()
        self._committed_at = time.monotonic()
        self._settled()

    def _merge_small(self) -> None:
        """Merge small segments; damaged ones stay as they are, so that `verify --deep` keeps reporting them."""
        if self._merges:
            try:
                merge_small(self.writer)
            except LibraryDamaged as error:
                self._merges = False
                self._warn(f"segments are not merged: {error}")

    def _warn(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            warnings.warn(message, RuntimeWarning, stacklevel=4)

    def _tell(self) -> None:
        if self._progress is not None:
            with self._reporting:
                report = self.report
                self._progress(Progress(report.inputs, report, self._committed + self._skipped))


def _reject_key(path: bytes, code: RejectCode) -> int:
    return path_key(path + b"\0" + str(code).encode())


def _reject_keys(writer: Writer) -> set[int]:
    keys: set[int] = set()
    for segment in writer.snapshot.segments:
        paths, codes = segment.rejects.column("path").to_pylist(), segment.rejects.column("code").to_pylist()
        keys |= {_reject_key(path, RejectCode(code)) for path, code in zip(paths, codes, strict=True)}
    return keys
