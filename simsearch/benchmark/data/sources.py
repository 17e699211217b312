"""Where photographs come from, and which of them are known to be copies of each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from simsearch.runtime.user_files import read_csv

_MEMBER = "::"
_NUMBERED = re.compile(r"(?=.*[^\d\-_ .])(?P<prefix>.+?)[-_ .]*\d+")


def source_of(name: str, folder: str, listed: Mapping[str, str]) -> str:
    """The source of a photograph.

    What a CSV says comes first, then the first folder of its name, then what stands before the number in the name of a
    tar's member, then the folder or tar that was given.

    Args:
        name: Below the folder or tar, as `cities/1.jpg` or `shard.tar::scene_01.jpg`.
        folder: What was given, by its last name.
        listed: Sources by name, as `read_sources` gives them.

    Example:
        >>> [source_of(name, "mine", {}) for name in ("a/b/1.jpg", "x.tar::dtd10_007.jpg", "1.jpg")]
        ['a', 'dtd10', 'mine']
    """
    _, is_member, member = name.rpartition(_MEMBER)
    for key in (name, member, Path(member).name):
        if key in listed:
            return listed[key]
    first, has_folder, _ = member.partition("/")
    if has_folder:
        return first
    numbered = _NUMBERED.fullmatch(Path(member).stem) if is_member else None
    return numbered["prefix"] if numbered else folder


def read_sources(path: Path) -> dict[str, str]:
    """Sources by name, from a CSV with the columns name and source.

    Raises:
        InputError: It cannot be read or lacks a column.
    """
    return {row["name"]: row["source"] for row in read_csv(path, ("name", "source"))}


def read_copies(path: Path) -> tuple[tuple[str, str], ...]:
    """Pairs of names, from a CSV with the columns one and other.

    Raises:
        InputError: It cannot be read or lacks a column.
    """
    return tuple((row["one"], row["other"]) for row in read_csv(path, ("one", "other")))


def known_copies(names: Sequence[str], pairs: Iterable[tuple[str, str]]) -> list[tuple[int, int]]:
    """Positions of the pairs of which both are there.

    Args:
        names: Of the photographs; a pair may name one in full, as a tar's member, or without folder and ending.
        pairs: Of names.

    Example:
        >>> known_copies(["x.tar::a_1.jpg", "b/2.png"], [("a_1", "2"), ("a_1", "c")])
        [(0, 1)]
    """
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        member = name.rpartition(_MEMBER)[2]
        for key in {name, member, Path(member).name, Path(member).stem}:
            places.setdefault(key, []).append(place)
    found = {
        (min(a, b), max(a, b))
        for one, other in pairs
        for a in places.get(one, ())
        for b in places.get(other, ())
        if a != b
    }
    return sorted(found)


def spread_evenly(sources: Sequence[str], count: int) -> list[int]:
    """Up to that many positions, in order, taken from the sources in turn until each has given all that it has.

    Example:
        >>> spread_evenly(["a", "a", "a", "b", "a"], 3)
        [0, 1, 3]
    """
    waiting: dict[str, list[int]] = {}
    for place, source in enumerate(sources):
        waiting.setdefault(source, []).append(place)
    turns = max(map(len, waiting.values()), default=0)
    order = [places[turn] for turn in range(turns) for places in waiting.values() if turn < len(places)]
    return sorted(order[:count])
