"""A plan: which files go and which stay for them, before anything is done."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from simsearch.act.duplicates.sidecars import live_videos_of, sidecars_of
from simsearch.act.duplicates.unite import USUAL, copies_of, kinds_beside, ways_named
from simsearch.errors import InputError, shown
from simsearch.library.duplicates.report import Duplicate, Picture

Action = Literal["move", "trash", "link"]


@dataclass(frozen=True, slots=True)
class Unit:
    """A file that goes, with what belongs to it.

    Attributes:
        path: Of the picture.
        sha256: Of its bytes, in hex.
        size: In bytes.
        kept: Path of the file that stays for it.
        kept_sha256: Of that one.
        below: The path below the folder that was indexed, which it has again in the folder that it is moved to.
        sidecars: Paths of the files that go along.
        videos: Of a live photograph, which go along too.
        copies: Which of these are copied beside the kept file first, and where to.
        unite: What else is added to the kept file: "tags", "times".
    """

    path: bytes
    sha256: str
    size: int
    kept: bytes
    kept_sha256: str
    below: bytes
    sidecars: tuple[bytes, ...] = ()
    videos: tuple[bytes, ...] = ()
    copies: tuple[tuple[bytes, bytes], ...] = ()
    unite: tuple[str, ...] = ()

    @property
    def along(self) -> tuple[bytes, ...]:
        """All files that go along."""
        return self.sidecars + self.videos


@dataclass(frozen=True, slots=True)
class Plan:
    """What an action would do.

    Attributes:
        action: What is done with each file.
        units: The files that go, in order.
        destination: The folder that they are moved to; None for other actions.
        left: Files that stay all the same, and why.
    """

    action: Action
    units: tuple[Unit, ...]
    destination: Path | None = None
    left: tuple[tuple[bytes, str], ...] = field(default=())

    @property
    def frees(self) -> int:
        """Bytes of the pictures that go."""
        return sum(unit.size for unit in self.units)


def plan_of(
    pairs: Iterable[tuple[Picture, Duplicate]],
    action: Action,
    *,
    destination: Path | None = None,
    unite: Sequence[str] = USUAL,
) -> Plan:
    """Return the plan for pairs of a kept file and another one.

    Args:
        pairs: As `Duplicates.pairs` yields them.
        action: "move" into `destination`, "trash", or "link": put a hard link to the kept file in place of the other,
            which is for exact copies alone.
        destination: The folder of "move"; outside the folders that were looked through, or it would be found again.
        unite: What the kept file gets of one that goes, where it has none: "sidecars" (and live videos) are copied
            beside it, "tags" of the desktop are added to it, "times" gives it the older time.

    Raises:
        InputError: There is no folder to move to, or it lies in one that was looked through, or a word is none.
    """
    if action == "move" and destination is None:
        raise InputError("moving takes a folder to move to")
    units, left, roots, ways = [], [], set[bytes](), ways_named(unite)
    kinds: dict[bytes, set[bytes]] = {}
    for kept, one in pairs:
        roots.add(one.picture.root)
        why = _why_left(kept, one, action)
        if why is not None:
            left.append((one.picture.raw, why))
            continue
        units.append(_unit(kept, one, action, ways, kinds))
    if destination is not None:
        _require_outside(destination, roots)
    return Plan(action, tuple(units), destination, tuple(left))


def _unit(kept: Picture, one: Duplicate, action: Action, ways: Sequence[str], kinds: dict[bytes, set[bytes]]) -> Unit:
    """Return a file that goes, with what goes along and what the kept one gets of it."""
    path = one.picture.raw
    root = one.picture.root.rstrip(b"/") + b"/"
    below = path[len(root) :] if path.startswith(root) else b".."
    below = os.path.basename(path) if b".." in below.split(b"/") else below
    unit = Unit(path, one.picture.sha256 or "", one.picture.size, kept.raw, kept.sha256 or "", below)
    if action == "link":
        return unit
    unit = replace(unit, sidecars=tuple(sidecars_of(path)), videos=tuple(live_videos_of(path)))
    if not kept.own or kept.kind != "file":
        return unit
    copies: Sequence[tuple[bytes, bytes]] = ()
    if "sidecars" in ways and unit.along:
        if kept.raw not in kinds:
            kinds[kept.raw] = kinds_beside(kept.raw)
        copies = copies_of(path, unit.along, kept.raw, kinds[kept.raw], exact=one.exact)
    return replace(unit, copies=tuple(copies), unite=tuple(way for way in ways if way != "sidecars"))


def _why_left(kept: Picture, one: Duplicate, action: Action) -> str | None:
    """Return why a file is not acted on; None where it is."""
    if one.same_file:
        return "it is the kept file itself by another name, and frees nothing"
    if one.chained:
        return "it is not near the kept file, only linked through others: look at it"
    if not one.picture.own:
        return "it is of the library that this one is held against"
    if one.picture.kind != "file":
        return {"link": "it is a link", "member": "it is in a tar"}.get(one.picture.kind, "it has no file")
    if kept.kind not in ("file", "link"):
        return "what would be kept is no file by itself" if kept.kind == "member" else "what would be kept has no file"
    if not (one.picture.sha256 and kept.sha256):
        return "the content is not known"
    if action == "link" and not one.exact:
        return "its bytes differ from those of the kept file, and a link would lose them"
    return None


def _require_outside(destination: Path, roots: Iterable[bytes]) -> None:
    real = os.fsencode(destination.resolve())
    for root in roots:
        home = os.path.realpath(root).rstrip(b"/") if root else None
        if home is not None and (real == home or real.startswith(home + b"/")):
            raise InputError(
                f"{shown(str(destination))} lies in {shown(root)}, which is looked through: what is moved there would "
                "be found again; give a folder outside"
            )
