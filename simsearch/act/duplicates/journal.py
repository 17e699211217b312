"""The journal of an action: JSON lines, each on disk before the step that it announces.

The first line is the head, then each unit of the plan, then `{"planned": N}`. After that `{"begin": i, ...}` names what
a step is about to do and where to; `{"done": i}`, `{"left": i, "why": ...}` and `{"undone": i}` tell how it ended.
Paths stand in base64, since they are bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from simsearch.act.duplicates.names import decoded, encoded
from simsearch.act.duplicates.plan import Plan, Unit
from simsearch.errors import InputError, shown
from simsearch.library.format.atomic_files import naming_full_disk
from simsearch.runtime.files import sync

FORMAT = 1
ACTIONS = ("move", "trash", "link")


@dataclass(slots=True)
class Record:
    """What a journal says.

    Attributes:
        plan: Of the action.
        begun: What each unit's last announced step is, by the unit's number.
        ended: How each unit ended: "done", "left" or "undone".
        whole: Bytes of the file's whole lines.
        complete: Whether the plan was written to its end; nothing was done before.
    """

    plan: Plan
    begun: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    ended: dict[int, str] = field(default_factory=dict)
    whole: int = 0
    complete: bool = False


class Journal:
    """A journal that is open for writing; every line is on the disk when `say` returns."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self.path = path
        self._file = file

    def say(self, **values: Any) -> None:
        """Write a line.

        Raises:
            StorageFull: The disk is full; the step that it announces must not be done.
        """
        self.say_all([values])

    def say_all(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Write lines at once."""
        with naming_full_disk(self.path):
            for values in lines:
                self._file.write(json.dumps(values).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())


@contextmanager
def begun(path: Path, plan: Plan, facts: Mapping[str, Any]) -> Iterator[Journal]:
    """Give the journal of a new action, with the whole plan written.

    Raises:
        InputError: There is a file of that name.
        StorageFull: The disk is full; nothing was done.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        file = path.open("xb")
    except FileExistsError as error:
        raise InputError(f"{shown(str(path))} is there already; give a new name for the journal") from error
    with file:
        journal = Journal(file, path)
        to = None if plan.destination is None else encoded(os.fsencode(plan.destination.absolute()))
        head = {"journal": FORMAT, "action": plan.action, "destination": to, **facts}
        lines = [{"unit": i, **_unit_fields(unit)} for i, unit in enumerate(plan.units)]
        journal.say_all([head, *lines, {"planned": len(lines)}])
        sync(path.parent)
        yield journal


@contextmanager
def continued(path: Path, record: Record) -> Iterator[Journal]:
    """Give the journal of an action that is gone on with or undone; a torn last line is cut off."""
    with path.open("r+b") as file:
        file.truncate(record.whole)
        file.seek(0, os.SEEK_END)
        yield Journal(file, path)


def read(path: Path) -> Record:
    """Return what a journal says.

    Raises:
        InputError: It cannot be read, or is none.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"the journal {shown(str(path))} cannot be read: {error.strerror}") from error
    whole = data.rfind(b"\n") + 1
    lines = data[:whole].splitlines()
    try:
        head, *others = [json.loads(line) for line in lines]
        if head["journal"] != FORMAT or head["action"] not in ACTIONS:
            raise ValueError("its first line is of no journal of this version")
        to = head["destination"]
        units = tuple(_unit(line) for line in others if "unit" in line)
        plan = Plan(head["action"], units, None if to is None else Path(os.fsdecode(decoded(to))))
        record = Record(plan, whole=whole)
        for line in others:
            _take(record, line)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(f"{shown(str(path))} is no journal of an action: {error}") from error
    return record


def _take(record: Record, line: Mapping[str, Any]) -> None:
    if "planned" in line:
        record.complete = line["planned"] == len(record.plan.units)
    for what in ("begin", "done", "left", "undone"):
        if what in line:
            number = int(line[what])
            if not 0 <= number < len(record.plan.units):
                raise ValueError(f"it has no unit {number}")
            if what == "begin":
                record.begun[number] = line
                record.ended.pop(number, None)
            else:
                record.ended[number] = what


def _unit_fields(unit: Unit) -> dict[str, Any]:
    return {
        "path": encoded(unit.path),
        "name": os.fsdecode(unit.path).encode("ascii", "backslashreplace").decode(),
        "sha256": unit.sha256,
        "size": unit.size,
        "kept": encoded(unit.kept),
        "kept_sha256": unit.kept_sha256,
        "below": encoded(unit.below),
        "sidecars": [encoded(path) for path in unit.sidecars],
        "videos": [encoded(path) for path in unit.videos],
        "copies": [[encoded(source), encoded(target)] for source, target in unit.copies],
        "unite": list(unit.unite),
    }


def _unit(line: Mapping[str, Any]) -> Unit:
    return Unit(
        decoded(line["path"]),
        str(line["sha256"]),
        int(line["size"]),
        decoded(line["kept"]),
        str(line["kept_sha256"]),
        decoded(line["below"]),
        tuple(map(decoded, line["sidecars"])),
        tuple(map(decoded, line.get("videos", []))),
        tuple((decoded(source), decoded(target)) for source, target in line.get("copies", [])),
        tuple(line.get("unite", [])),
    )
