"""Doing what a plan says: each step is in the journal first, and both files are read again before one goes."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simsearch.act.duplicates import links
from simsearch.act.duplicates.journal import Journal, Record, begun, continued, read
from simsearch.act.duplicates.moving import Changed, OnStep, Seen, finish, move, nothing, seen
from simsearch.act.duplicates.names import decoded, encoded, free_names
from simsearch.act.duplicates.notes import drop_note, write_note
from simsearch.act.duplicates.plan import Plan, Unit
from simsearch.act.duplicates.trash import FILES, INFO, NOTE, note_of, trash_for
from simsearch.act.duplicates.unite import facts_of, take_back, unite
from simsearch.errors import InputError, StorageFull, shown
from simsearch.library.format.atomic_files import naming_full_disk
from simsearch.library.format.lock import writer_lock
from simsearch.runtime.files import user_state

LOCK = "acting.lock"
_TRIES = 100  # names that others may take in the moment before us


@dataclass(frozen=True, slots=True)
class ActReport:
    """What was done.

    Attributes:
        journal: By which it can be undone, or gone on with.
        done: Pictures that went, or came back.
        left: Those that were left alone, and why.
        frees: Bytes of the pictures that went; where they were moved on the same disk nothing is free yet.
    """

    journal: Path
    done: int
    left: tuple[tuple[bytes, str], ...]
    frees: int = 0


def new_journal() -> Path:
    """Return a free name for a journal among this user's."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
    folder = user_state() / "journals"
    names = (
        folder / f"duplicates-{stamp}-{os.getpid()}{suffix}.jsonl" for suffix in ("", *map("-{}".format, range(99)))
    )
    return next(name for name in names if not name.exists())


def perform(
    plan: Plan, journal: Path, *, facts: Mapping[str, Any] | None = None, on_step: OnStep = nothing
) -> ActReport:
    """Do what a plan says, and return what became of it.

    Before each step its files are read again: one that changed since it was planned, or whose kept file is no longer
    there with the same bytes, is left alone and told.

    Args:
        plan: Of the action.
        journal: Where the journal is written; a new file.
        facts: What else its head tells.
        on_step: Called at every step; for tests.

    Raises:
        InputError: The journal is there already.
        LibraryLocked: Another process of this user is at work.
        StorageFull: The disk is full; `resume` goes on.
    """
    with alone(), begun(journal, plan, facts or {}) as writing:
        on_step("planned")
        return _Work(plan, writing, on_step).run(range(len(plan.units)))


def resume(journal: Path, *, on_step: OnStep = nothing) -> ActReport:
    """Go on with an action that was broken off, and return what became of the rest.

    Raises:
        InputError: It is no journal, or that action was undone.
    """
    record = read(journal)
    if "undone" in record.ended.values():
        raise InputError(f"{shown(str(journal))} tells of an action that was undone: plan it anew")
    with alone(), continued(journal, record) as writing:
        work = _Work(record.plan, writing, on_step)
        if not record.complete:
            return work.report
        return work.run([i for i in range(len(record.plan.units)) if i not in record.ended], record)


@contextmanager
def alone() -> Iterator[None]:
    """Keep other processes of this user from acting: two that keep each other's files would lose both."""
    folder = user_state()
    folder.mkdir(parents=True, exist_ok=True)
    with writer_lock(folder / LOCK):
        yield


class _Work:
    """The steps of one plan."""

    def __init__(self, plan: Plan, journal: Journal, on_step: OnStep) -> None:
        self._plan = plan
        self._journal = journal
        self._on_step = on_step
        self._done = self._frees = 0
        self._left = list(plan.left)

    @property
    def report(self) -> ActReport:
        return ActReport(self._journal.path, self._done, tuple(self._left), self._frees)

    def run(self, numbers: Sequence[int], record: Record | None = None) -> ActReport:
        for number in numbers:
            unit = self._plan.units[number]
            try:
                with naming_full_disk(Path(os.fsdecode(unit.path))):
                    if record is not None and number in record.begun:
                        self._finish(unit, record.begun[number])
                    else:
                        self._do(number, unit)
            except StorageFull:
                raise
            except (Changed, OSError) as error:
                why = str(error) if isinstance(error, Changed) else (error.strerror or str(error))
                self._left.append((unit.path, why))
                self._journal.say(left=number, why=why)
                continue
            self._done += 1
            self._frees += unit.size
            self._journal.say(done=number)
            self._on_step("done")
        return self.report

    def _do(self, number: int, unit: Unit) -> None:
        known = _require_spare(unit)
        if self._plan.action == "link":
            facts = links.facts_of(unit.path, unit.kept, number)
            self._journal.say(begin=number, link=facts)
            self._on_step("begun")
            links.link(unit.path, unit.kept, number, unit.sha256, self._on_step)
            return
        facts = facts_of(unit.path, unit.kept, unit.copies, unit.unite)
        for _ in range(_TRIES):
            moves = self._moves(unit, known)
            self._journal.say(begin=number, moves=moves, unite=facts)
            self._on_step("begun")
            try:
                with self._giving(unit, facts):
                    self._move_all(moves, known)
            except FileExistsError:
                continue  # somebody took the name in this moment
            return
        raise Changed("no free name was found for it")

    @contextmanager
    def _giving(self, unit: Unit, facts: Mapping[str, Any] | None) -> Iterator[None]:
        """Give the kept file what it lacks before a picture goes; where that stays after all, take it back."""
        if facts is None:  # of a journal from before
            yield
            return
        try:
            self._left += unite(facts, self._on_step)
            yield
        except (Changed, OSError):
            if os.path.lexists(unit.path):
                take_back(facts, self._on_step)
            raise

    def _move_all(self, moves: Sequence[Mapping[str, str]], known: Seen) -> None:
        """Move a picture, then its sidecars; one of these that cannot be moved stays and is told."""
        for i, one in enumerate(moves):
            source, target = decoded(one["from"]), decoded(one["to"])
            try:
                write_note(one)
                self._on_step("noted")
                move(source, target, known if i == 0 else seen(source), self._on_step)
            except (Changed, OSError) as error:
                if not os.path.lexists(target) or os.path.lexists(source):
                    drop_note(one)
                if i == 0:
                    raise
                self._left.append((source, f"a sidecar that stays: {error}"))
            self._on_step("moved")

    def _finish(self, unit: Unit, begin: Mapping[str, Any]) -> None:
        """Bring a begun step to its end."""
        if "link" in begin:
            number = int(begin["begin"])
            links.clear(unit.path, number, unit.sha256)
            if not os.path.samefile(unit.path, unit.kept):
                _require_spare(unit)
                links.link(unit.path, unit.kept, number, unit.sha256, self._on_step)
            return
        with self._giving(unit, begin.get("unite")):
            if os.path.lexists(unit.path):
                _require_spare(unit)
            for one in begin["moves"]:
                if os.path.lexists(decoded(one["from"])):
                    drop_note(one)
                    write_note(one)
                finish(decoded(one["from"]), decoded(one["to"]), one["sha256"], self._on_step)

    def _moves(self, unit: Unit, known: Seen) -> list[dict[str, str]]:
        """Return the moves of a picture and its sidecars, to free names."""
        folder = self._folder_for(unit)
        notes = os.path.join(os.path.dirname(folder), INFO) if self._plan.action == "trash" else None

        def taken(name: bytes) -> bool:
            note = notes is not None and os.path.lexists(os.path.join(notes, name + NOTE))
            return note or os.path.lexists(os.path.join(folder, name))

        sources = (unit.path, *(path for path in unit.along if os.path.lexists(path)))
        own, *others = (os.path.basename(path) for path in sources)
        moves = []
        for i, (source, name) in enumerate(zip(sources, free_names(own, others, taken), strict=True)):
            one = {"from": encoded(source), "to": encoded(os.path.join(folder, name))}
            one["sha256"] = known.sha256 if i == 0 else seen(source).sha256
            if notes is not None:
                one["note"] = encoded(os.path.join(notes, name + NOTE))
                one["text"] = note_of(source, os.path.dirname(folder)).decode()
            moves.append(one)
        return moves

    def _folder_for(self, unit: Unit) -> bytes:
        """Return the folder that a file goes to, made where it is missing."""
        if self._plan.action == "trash":
            return os.path.join(trash_for(unit.path), FILES)
        assert self._plan.destination is not None  # a plan to move has one
        below = os.path.dirname(unit.below)
        folder = os.path.join(os.fsencode(self._plan.destination.absolute()), below)
        os.makedirs(folder, exist_ok=True)
        return folder


def _require_spare(unit: Unit) -> Seen:
    """Return a file that may go: it is as it was planned, and what is kept for it is there and another file.

    Raises:
        Changed: It must stay.
    """
    try:
        kept = seen(unit.kept, follow=True)
    except Changed as error:
        raise Changed(f"the kept file {shown(unit.kept)} cannot be relied on: {error}") from error
    if kept.sha256 != unit.kept_sha256:
        raise Changed(f"the kept file {shown(unit.kept)} has changed since it was indexed")
    known = seen(unit.path)
    if known.sha256 != unit.sha256:
        raise Changed("its content has changed since it was indexed")
    if known.file_id == kept.file_id:
        raise Changed("it is the kept file itself by another name")
    return known
