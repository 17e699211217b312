"""The sources of photographs, and known copies among them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from simsearch.runtime.user_files import read_csv

_MEMBER = "::"
_NUMBERED = re.compile(r"(?=.*[^\d\-_ .])(?P<prefix>.+?)[-_ .]*\d+")


def source_of(name: str, folder: str, listed: Mapping[str, str]) -> str:
    """Return the source of a photograph.

    In order of precedence: the CSV's, the first folder of its name, the prefix before the number in the name of a
    tar's member, the folder or tar that was given.

    Args:
        name: Below the folder or tar, as `cities/1.jpg` or `shard.tar::scene_01.jpg`.
        folder: The last name of the path given.
        listed: Sources by name, as of `read_sources`.

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
    """Read sources by name from a CSV with the columns name and source.

    Raises:
        InputError: It cannot be read or lacks a column.
    """
    return {row["name"]: row["source"] for row in read_csv(path, ("name", "source"))}


def read_copies(path: Path) -> tuple[tuple[str, str], ...]:
    """Read pairs of names from a CSV with the columns one and other.

    Raises:
        InputError: It cannot be read or lacks a column.
    """
    return tuple((row["one"], row["other"]) for row in read_csv(path, ("one", "other")))


def known_copies(names: Sequence[str], pairs: Iterable[tuple[str, str]]) -> list[tuple[int, int]]:
    """Return the positions of the pairs of which both are present.

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
    """Return up to that many positions, in order, drawn from the sources in turn until they are exhausted.

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
