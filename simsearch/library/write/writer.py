"""The one writer of a library: publishes segments, commits them, and removes a dead writer's leftovers."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import LibraryDamaged
from simsearch.library.format.atomic_files import (
    OnStep,
    Step,
    fault,
    naming_full_disk,
    nothing,
    publish,
    remove_folder,
    save_array,
)
from simsearch.library.format.channel import Channel
from simsearch.library.format.commit import Change, FileRecord, Mask, SegmentRecord, recorded
from simsearch.library.format.items import roots_of
from simsearch.library.format.layout import LOCK, PARTIAL, SEGMENTS, holds_only_ours, is_segment_name, require_own
from simsearch.library.format.lock import writer_lock
from simsearch.library.format.manifest import Manifest
from simsearch.library.format.segment import IDS, CommitRecord, SegmentDraft, open_segment, write_segment
from simsearch.library.format.snapshot import Place, Snapshot, load_snapshot, of_state
from simsearch.library.repair.put_aside import segment_aside
from simsearch.library.repair.survey import is_newer


class Writer:
    """The writer, which holds the lock while it is entered; `snapshot` is the last commit.

    Attributes:
        swept: A dead writer's leftovers, removed or put aside, as names below the library's folder.

    Raises:
        LibraryLocked: On entering, when another process writes.
        LibraryDamaged: On entering, when one of our names is taken by a link or the like.
    """

    def __init__(
        self, folder: Path, *, previous: Snapshot | None = None, on_step: OnStep = nothing, sweeps: bool = True
    ) -> None:
        """Make it.

        Args:
            folder: The library's.
            previous: An earlier snapshot, if known.
            on_step: Called at every step.
            sweeps: Whether a dead writer may have been here before: not where this session created the library.
        """
        self.folder = folder
        self.swept: list[str] = []
        self._sweeps = sweeps
        self.on_step = on_step
        self._manifest = Manifest(folder)
        self._segments = folder / SEGMENTS
        self._previous = previous
        self._faults: dict[tuple[str, str], str | None] = {}
        self.snapshot: Snapshot

    def __enter__(self) -> Self:
        require_own(self.folder)
        if not self._manifest.path.exists():
            load_snapshot(self.folder)  # names what is wrong, before a lock is put there
        with naming_full_disk(self.folder), ExitStack() as held:
            held.enter_context(writer_lock(self.folder / LOCK))
            self.snapshot = load_snapshot(self.folder, self._previous)
            self._manifest.require_sealed()  # before anything goes by what it says
            self._sweep()
            self._held = held.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def _sweep(self) -> None:
        """Remove a dead writer's half-written or dropped segments, and put aside those published but not committed.

        A published segment that the manifest does not name is whole. As a rule its writer died before the commit and
        reported nothing; after an older manifest was put back it is all that is left of a commit.
        """
        self._segments.mkdir(exist_ok=True)
        if not self._sweeps:
            return
        committed, dropped = set(self.snapshot.uuids), self._manifest.dropped()
        ours = (path for path in sorted(self._segments.iterdir()) if is_segment_name(path.name))
        left = [path for path in ours if path.is_dir() and not path.is_symlink() and path.name not in committed]
        if any(is_newer(path, self.snapshot.state.generation) for path in left):
            raise LibraryDamaged(
                f"{self._manifest.path} is older than segments that are there, as after putting back a copy of it; "
                f"`simsearch repair --library {self.folder}` makes it again from them"
            )
        for leftover in left:
            self.on_step(Step.RECOVERY)
            if leftover.name not in dropped and not leftover.name.endswith(PARTIAL):
                self.swept.append(segment_aside(self.folder, leftover.name))
            elif holds_only_ours(leftover):
                remove_folder(leftover)
                self.swept.append(f"{SEGMENTS}/{leftover.name}")

    def commit(
        self,
        draft: SegmentDraft | None = None,
        *,
        removed: Iterable[Place] = (),
        superseded: Mask | None = None,
        dropped: Sequence[int] = (),
        unrooted: Sequence[bytes] = (),
    ) -> None:
        """Make one segment and some removals durable, all or nothing.

        Args:
            draft: The contents of the new segment.
            removed: Items of `snapshot` that are removed.
            superseded: Which items of the new segment are removed from the start, (n,) bool.
            dropped: Numbers of segments that no longer exist; their folders are deleted afterwards.
            unrooted: Roots without items.

        Raises:
            StorageFull: There is no room; nothing changed.
        """
        temporary = self.incoming(uuid.uuid4().hex)
        with self._whole_or_gone(temporary):
            masks = self._masks(removed)
            if draft is None:
                names = self._names(dropped)
                self._apply(Change(self.snapshot.state.next_id, removed=masks, dropped=names, unrooted=unrooted))
                return
            told = self._commit_of(draft, dropped)
            write_segment(temporary, draft, self.snapshot.state.channels, commit=told)
            self._publish({temporary: ()}, draft.ids, masks, dropped, superseded)

    def write(self, draft: SegmentDraft, *, first: int) -> tuple[Path, tuple[FileRecord, ...]]:
        """Write a segment of new items without committing it; return its folder and files, for `commit_written`.

        May be called in another thread.

        Args:
            draft: Its contents; its items have no ids yet.
            first: The id of the first.

        Raises:
            StorageFull: There is no room; nothing is left of it.
        """
        temporary, state = self.incoming(uuid.uuid4().hex), self.snapshot.state
        told = CommitRecord(state.generation + 1, first, first + draft.items.num_rows)
        with self._whole_or_gone(temporary):
            write_segment(temporary, draft, state.channels, commit=told)
            return temporary, recorded(sorted(temporary.iterdir()))

    def commit_written(
        self,
        segments: Mapping[Path, Sequence[FileRecord]],
        *,
        removed: Iterable[Place] = (),
        superseded: Mask | None = None,
    ) -> None:
        """Make segments durable that `write`, or another process, wrote into folders made by `incoming`, all or none.

        Args:
            segments: What is known already of their files, by folder, in their order.
            removed: As for `commit`.
            superseded: Which items of each segment are removed from the start, (n,) bool.

        Raises:
            StorageFull: There is no room; nothing changed.
        """
        with self._whole_or_gone(*segments):
            self._publish(segments, None, self._masks(removed), (), superseded)

    def add_channel(self, channel: Channel, drafts: Iterable[SegmentDraft]) -> None:
        """Give the library a further channel, in one commit: drafts with its rows take the places of the segments.

        Raises:
            StorageFull: There is no room; nothing changed.
        """
        state = self.snapshot.state
        folders = [self.incoming(uuid.uuid4().hex) for _ in state.segments]
        with self._whole_or_gone(*folders):
            new, names = [], tuple(old.uuid for old in state.segments)
            for folder, old, draft in zip(folders, state.segments, drafts, strict=True):
                told = CommitRecord(state.generation + 1, old.rank, state.next_id, (old.uuid,))
                write_segment(folder, draft, (*state.channels, channel), commit=told)
                save_array(folder / IDS, _numbered(draft.ids, draft.items.num_rows, state.next_id)[0])
                files = recorded(sorted(folder.iterdir()))
                new.append(SegmentRecord(_name(folder), old.rank, draft.items.num_rows, None, files))
            self._switch(folders, Change(state.next_id, new=new, dropped=names, channel=channel))

    def incoming(self, name: str) -> Path:
        """Return the folder of a segment before it is published."""
        return self._segments / f"{name}{PARTIAL}"

    @contextmanager
    def _whole_or_gone(self, *folders: Path) -> Iterator[None]:
        with naming_full_disk(self.folder):
            try:
                yield
            except BaseException:
                for folder in folders:
                    remove_folder(folder)
                raise

    def _publish(
        self,
        segments: Mapping[Path, Sequence[FileRecord]],
        ids: NDArray[np.int64] | None,
        masks: Mapping[str, Mask],
        dropped: Sequence[int],
        superseded: Mask | None = None,
    ) -> None:
        """Commit segments, by their folders, with the known records of their files."""
        next_id, roots = self.snapshot.state.next_id, dict[bytes, None]()
        new: list[SegmentRecord] = []
        for temporary, known in segments.items():
            opened = open_segment(temporary, self.snapshot.state.channels, adopted=False)
            rank = self._rank(dropped) if dropped else next_id
            given, next_id = _numbered(ids, len(opened), next_id)
            save_array(temporary / IDS, given)
            files = *known, *recorded(sorted({*temporary.iterdir()} - {temporary / file.name for file in known}))
            new.append(SegmentRecord(_name(temporary), rank, len(opened), superseded, files))
            roots |= dict.fromkeys(roots_of(opened.items.schema))
        names = self._names(dropped)
        self._switch(segments, Change(next_id, new=new, roots=list(roots), removed=masks, dropped=names))

    def _switch(self, folders: Iterable[Path], change: Change) -> None:
        """Put written segments in place and commit them, all or none."""
        self.on_step(Step.SEGMENT_WRITTEN)
        for temporary, record in zip(folders, change.new, strict=True):
            publish(temporary, self._segments / record.uuid)
            self.on_step(Step.MERGE_RENAMED if change.dropped else Step.SEGMENT_RENAMED)
        try:
            self._apply(change)
        except BaseException:
            for record in change.new:
                if record.uuid not in self.snapshot.uuids:
                    remove_folder(self._segments / record.uuid)
            raise

    def _apply(self, change: Change) -> None:
        """Commit a change; however this ends, `snapshot` is what the manifest says."""
        try:
            state = self._manifest.commit(change)
            self.on_step(Step.MERGE_COMMITTED if change.dropped else Step.MANIFEST_COMMITTED)
            self.snapshot = of_state(self.folder, state, self.snapshot)
        except BaseException:
            self.snapshot = load_snapshot(self.folder, self.snapshot)
            raise
        for name in change.dropped:
            remove_folder(self._segments / name)

    def unsound(self, number: int, names: Collection[str] | None = None) -> str | None:
        """Return the fault of a segment's files, all or those of some names; None if they are as written.

        Each file is read once while the lock is held, since segments never change.
        """
        record = self.snapshot.state.segments[number]
        for file in record.files:
            key = record.uuid, file.name
            if names is not None and file.name not in names:
                continue
            if key not in self._faults:
                path = self._segments / record.uuid / file.name
                self._faults[key] = fault(path, file.bytes, file.sha256, deep=True)
            if self._faults[key] is not None:
                return self._faults[key]
        return None

    def _rank(self, dropped: Sequence[int]) -> int:
        state = self.snapshot.state
        return state.segments[dropped[0]].rank if dropped else state.next_id

    def _commit_of(self, draft: SegmentDraft, dropped: Sequence[int]) -> CommitRecord:
        state = self.snapshot.state
        _, next_id = _numbered(draft.ids, draft.items.num_rows, state.next_id)
        return CommitRecord(state.generation + 1, self._rank(dropped), next_id, tuple(self._names(dropped)))

    def _masks(self, removed: Iterable[Place]) -> dict[str, Mask]:
        masks: dict[int, Mask] = {}
        for number, position in removed:
            if number not in masks:
                old = self.snapshot.removed[number]
                masks[number] = np.zeros(len(self.snapshot.segments[number]), bool) if old is None else old.copy()
            masks[number][position] = True
        return {self.snapshot.segments[number].uuid: mask for number, mask in masks.items()}

    def _names(self, numbers: Sequence[int]) -> list[str]:
        return [self.snapshot.segments[number].uuid for number in numbers]


def _name(temporary: Path) -> str:
    return temporary.name.removesuffix(PARTIAL)


def _numbered(ids: NDArray[np.int64] | None, n: int, next_id: int) -> tuple[NDArray[np.int64], int]:
    """Return ids with new ones where they are -1, and the next free one."""
    given = np.full(n, -1, np.int64) if ids is None else ids.copy()
    new = given < 0
    count = int(new.sum())
    given[new] = np.arange(next_id, next_id + count)
    return given, next_id + count
