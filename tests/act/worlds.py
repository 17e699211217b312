"""A small folder with copies and sidecars, as plans see it; and a process that dies at a step."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from simsearch.act.duplicates.plan import Action, Plan, Unit
from simsearch.act.duplicates.sidecars import live_videos_of, sidecars_of
from simsearch.act.duplicates.unite import copies_of, kinds_beside

Contents = dict[str, bytes]


def world(folder: Path, count: int = 3) -> Path:
    """Write `count` pictures that are kept, an older exact copy of each with sidecars, and some with odd names.

    The first is a live photograph; the second has a sidecar where it is kept, too.
    """
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
        if i == 0:
            copy.with_suffix(".MOV").write_bytes(video(3))
        if i == 1:
            (folder / "kept" / f"{i}.jpg.xmp").write_text("stars of the kept one")
        os.utime(copy, ns=(10**18 + i, 10**18 + i))
    return folder


def plan_for(folder: Path, action: Action, destination: Path | None = None) -> Plan:
    """Plan that all copies go; each is of the kept file with the same bytes."""
    kept = {path.read_bytes(): path for path in (folder / "kept").glob("*.jpg")}
    units = []
    for copy in sorted((folder / "copies").glob("*.jpg")):
        data = copy.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        path = os.fsencode(copy)
        below, stays = os.fsencode(copy.relative_to(folder)), os.fsencode(kept[data])
        unit = Unit(path, digest, len(data), stays, digest, below)
        if action != "link":
            along = tuple(sidecars_of(path)), tuple(live_videos_of(path))
            copies = copies_of(path, (*along[0], *along[1]), stays, kinds_beside(stays), exact=True)
            unit = replace(unit, sidecars=along[0], videos=along[1], copies=tuple(copies), unite=("tags", "times"))
        units.append(unit)
    return Plan(action, tuple(units), destination)


def video(seconds: int, *, before: bytes = b"") -> bytes:
    """A film's boxes, without pictures."""
    header = b"\0" * 12 + (600).to_bytes(4, "big") + (600 * seconds).to_bytes(4, "big") + b"\0" * 80
    return b"".join([box(b"ftyp", b"qt  "), before, box(b"mdat", b"\7" * 999), box(b"moov", box(b"mvhd", header))])


def box(kind: bytes, data: bytes) -> bytes:
    """A box of ISO base media."""
    return (8 + len(data)).to_bytes(4, "big") + kind + data


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
