"""The way back: what a journal says was done is undone, last step first; nothing is overwritten."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simsearch.act.duplicates import links
from simsearch.act.duplicates.journal import continued, read
from simsearch.act.duplicates.moving import Changed, OnStep, clear_partial, finish, nothing, seen
from simsearch.act.duplicates.names import decoded
from simsearch.act.duplicates.notes import drop_note
from simsearch.act.duplicates.perform import ActReport, alone
from simsearch.act.duplicates.plan import Unit
from simsearch.act.duplicates.unite import take_back
from simsearch.errors import StorageFull
from simsearch.library.format.atomic_files import naming_full_disk


def undo(journal: Path, *, on_step: OnStep = nothing) -> ActReport:
    """Bring back what an action moved, put in the trash, or made a link; broken off, the same call goes on.

    A file whose old name was taken meanwhile, or that is no longer where it was put, is left where it is and told.

    Raises:
        InputError: It is no journal.
        LibraryLocked: Another process of this user is at work.
        StorageFull: The disk is full; the same call goes on.
    """
    record = read(journal)
    done, frees, left = 0, 0, list[tuple[bytes, str]]()
    with alone(), continued(journal, record) as writing:
        for number in sorted(record.begun, reverse=True):
            unit, begin = record.plan.units[number], record.begun[number]
            if record.ended.get(number) == "undone":
                continue
            try:
                with naming_full_disk(Path(os.fsdecode(unit.path))):
                    came_back = _undone(unit, begin, on_step)
            except StorageFull:
                raise
            except (Changed, OSError) as error:
                left.append((unit.path, str(error) if isinstance(error, Changed) else error.strerror or str(error)))
                continue
            done += came_back
            frees += unit.size * came_back
            writing.say(undone=number)
            on_step("undone")
    return ActReport(journal, done, tuple(left), frees)


def _undone(unit: Unit, begin: Mapping[str, Any], on_step: OnStep) -> bool:
    """Undo one step, begun or done, and return whether there was anything to undo."""
    if "link" in begin:
        own = os.path.lexists(unit.path) and os.lstat(unit.path).st_nlink > 1
        links.unlink(unit.path, begin["link"], unit.sha256, on_step)
        return own
    came_back = False
    for one in reversed(begin["moves"]):
        came_back |= _back(decoded(one["from"]), decoded(one["to"]), one["sha256"], on_step)
        drop_note(one)
    if "unite" in begin:
        take_back(begin["unite"], on_step)
    return came_back


def _back(source: bytes, target: bytes, sha256: str, on_step: OnStep) -> bool:
    """Give a file its old name again, and return whether it had another one.

    Raises:
        FileExistsError: Something else has its old name.
        Changed: It is under neither name.
    """
    clear_partial(target)
    clear_partial(source)
    if os.path.lexists(source) and not os.path.lexists(target):
        return False
    if os.path.lexists(source) and os.lstat(target).st_size == 0 and seen(source).sha256 == sha256:
        os.unlink(target)
        return False
    if not os.path.isdir(os.path.dirname(source)):
        os.makedirs(os.path.dirname(source), exist_ok=True)
    finish(target, source, sha256, on_step)
    on_step("back")
    return True
