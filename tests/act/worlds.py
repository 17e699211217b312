"""A small folder with copies and sidecars, as plans see it; and a process that dies at a step."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from simsearch.act.duplicates.plan import Action, Plan, Unit
from simsearch.act.duplicates.sidecars import sidecars_of

Contents = dict[str, bytes]


def world(folder: Path, count: int = 3) -> Path:
    """Write `count` pictures that are kept, an exact copy of each with sidecars, and some with odd names."""
    names = ["plain", "two words", os.fsdecode(b"caf\xe9\xff"), "line\nbreak", "a%41 b"]
    for i in range(count):
        data = f"picture {i}".encode() * 50
        (folder / "kept").mkdir(parents=True, exist_ok=True)
        (folder / "copies").mkdir(exist_ok=True)
        (folder / "kept" / f"{i}.jpg").write_bytes(data)
        copy = folder / "copies" / f"{names[i % len(names)]}.jpg"
        copy.write_bytes(data)
        copy.with_suffix(".xmp").write_text(f"stars of {i}")
        copy.with_name(copy.name + ".json").write_text(f"note on {i}")
    return folder


def plan_for(folder: Path, action: Action, destination: Path | None = None) -> Plan:
    """Plan that all copies go; each is of the kept file with the same bytes."""
    kept = {path.read_bytes(): path for path in (folder / "kept").glob("*.jpg")}
    units = []
    for copy in sorted((folder / "copies").glob("*.jpg")):
        data = copy.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        path = os.fsencode(copy)
        along = () if action == "link" else tuple(sidecars_of(path))
        below = os.fsencode(copy.relative_to(folder))
        units.append(Unit(path, digest, len(data), os.fsencode(kept[data]), digest, below, along))
    return Plan(action, tuple(units), destination)


def contents(folder: Path) -> dict[bytes, bytes]:
    """The bytes of every file below a folder, by its path below it."""
    found = {}
    for base, _, names in os.walk(os.fsencode(folder)):
        for name in names:
            path = os.path.join(base, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, os.fsencode(folder))] = file.read()
    return found


def killed_at(number: int, work: Callable[[Callable[[str], None]], object]) -> bool:
    """Do some work in a process that dies without a word at its step `number`, and return whether it got there."""
    child = os.fork()
    if child == 0:
        left = number

        def on_step(_: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                os._exit(9)

        try:
            work(on_step)
        except BaseException:
            os._exit(3)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 9), "the work itself failed"
    return code == 9
