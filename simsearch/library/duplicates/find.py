"""The duplicates of a library, or between two: exact copies, near pairs, and the groups that they make."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from simsearch.images.source import as_text
from simsearch.library.duplicates.contents import Contents
from simsearch.library.duplicates.encoding import encodings
from simsearch.library.duplicates.groups import Links, around, grouped
from simsearch.library.duplicates.keep import KeepRule
from simsearch.library.duplicates.limit import Limit
from simsearch.library.duplicates.near import Near
from simsearch.library.duplicates.report import Duplicate, Group, Kind, Picture
from simsearch.library.duplicates.views import inverse
from simsearch.library.path_aliases import split_member
from simsearch.library.verdicts.verdict import Pair, Verdict, pair_of

Decided = Mapping[Pair, Verdict]


@dataclass(frozen=True, slots=True)
class Choice:
    """What becomes of the pairs that were found.

    Attributes:
        keep: Which file of a group stays.
        grouping: How pairs are grouped.
        limit: Of a pair.
        views: Names of the views that `Near.views` numbers.
        decided: The standing verdicts of people.
        confirmed: Whether only pairs that somebody confirmed are wanted; else only those that nobody decided.
        all_decided: Whether confirmed pairs are wanted beside those that nobody decided.
    """

    keep: KeepRule
    grouping: str
    limit: Limit
    views: Sequence[str]
    decided: Decided = field(default_factory=dict)
    confirmed: bool = False
    all_decided: bool = False

    def wants(self, pair: Pair | None) -> bool:
        """Return whether a pair of contents is wanted."""
        found = None if pair is None else self.decided.get(pair)
        if found is None:
            return not self.confirmed
        return found.decision == "confirm" and (self.confirmed or self.all_decided)


@dataclass(slots=True)
class Files:
    """The files of items, as they are on the disk now; the items of a second library are numbered behind the first.

    Attributes:
        contents: Of the library, and of the one that it is held against.
        gone: Files that are no longer there.
        changed: Files that changed since they were indexed.
    """

    contents: tuple[Contents, ...]
    gone: int = 0
    changed: int = 0

    def content(self, number: int) -> bytes | None:
        """Return the SHA-256 of an item."""
        contents, own = self._of(number)
        return contents.content(own)

    def picture(self, number: int) -> Picture | None:
        """Return the file of an item; None, counted, for one that is gone or changed."""
        contents, own = self._of(number)
        snapshot, place = contents.snapshot, contents.place(own)
        segment = snapshot.segments[place.segment]
        path = segment.path(place.position)
        size, mtime = snapshot.stamp(place)
        kind, status = _on_disk(path)
        if path is not None and status is None:
            self.gone += 1
            return None
        if status is not None and kind != "member" and (status.st_size, status.st_mtime_ns) != (size, mtime):
            self.changed += 1
            return None
        sha256 = contents.content(own)
        columns = {name: segment.items.column(name)[place.position].as_py() for name in ("width", "height", "quality")}
        root = segment.items.column("root")[place.position].as_py()
        text, encoded = (f"id:{snapshot.id(place)}", None) if path is None else as_text(path)
        return Picture(
            snapshot.id(place),
            text,
            encoded,
            b"" if root is None else segment.roots[root],
            None if sha256 is None else sha256.hex(),
            max(size, 0),
            max(mtime, 0),
            columns["width"] or 0,
            columns["height"] or 0,
            -1 if columns["quality"] is None else columns["quality"],
            kind,
            None if status is None else (status.st_dev, status.st_ino),
            contents is self.contents[0],
        )

    def copies(self) -> dict[int, list[int]]:
        """Return the items of each content that several items of both libraries have, by the first."""
        found: dict[int, list[int]] = {}
        by_content: dict[bytes, int] = {}
        if len(self.contents) == 1:
            return {int(items[0]): items.tolist() for items in self.contents[0].groups()}
        own, other = self.contents
        offset = int(own.starts[-1])
        for items in _all_contents(own):
            content = own.content(items[0])
            if content is not None:
                by_content[content] = items[0]
                found[items[0]] = items
        wanted = list(by_content)
        for content, items in zip(wanted, other.items_of(wanted), strict=True):
            found[by_content[content]] += [offset + item for item in items]
        return {first: items for first, items in found.items() if items[-1] >= offset}

    def _of(self, number: int) -> tuple[Contents, int]:
        offset = int(self.contents[0].starts[-1])
        return (self.contents[0], number) if number < offset else (self.contents[1], number - offset)


def _all_contents(contents: Contents) -> Iterable[list[int]]:
    """Yield the items of each content of a library."""
    several = {int(items[0]): items.tolist() for items in contents.groups()}
    inside = set(contents.copies.tolist())
    yield from several.values()
    for s, segment in enumerate(contents.snapshot.segments):
        for position in contents.snapshot.live(s).tolist():
            number = int(contents.starts[s]) + position
            if number not in inside and segment.sha256[position].any():
                yield [number]


@dataclass(slots=True)
class Groups:
    """Groups made of pairs.

    Attributes:
        groups: Of files.
        decided: Pairs of contents that were left out, as decided.
    """

    groups: tuple[Group, ...]
    decided: int


def groups_of(near: Near, files: Files, choice: Choice) -> Groups:
    """Return the groups of files that near pairs and exact copies make.

    Args:
        near: Pairs of contents; of two libraries `right` is of the second, numbered behind the first.
        files: Of the items.
        choice: What is kept and how groups are made.
    """
    near, decided = _wanted(near, files, choice)
    copies, left_out = _wanted_copies(files, choice)
    nodes = np.unique(np.concatenate([near.left, near.right, np.array(sorted(copies), np.int64)]))
    held = [_files(files, copies.get(node, [node]), choice.keep) for node in nodes.tolist()]
    there = np.array([bool(pictures) for pictures in held], bool)
    left, right = np.searchsorted(nodes, near.left), np.searchsorted(nodes, near.right)
    kept = there[left] & there[right] if len(near) else np.zeros(0, bool)
    near = near.some(kept)
    links = Links(len(nodes), left[kept], right[kept], near.distances)
    two = len(files.contents) > 1
    if two:
        centres = np.array([any(not one.own for one in pictures) for pictures in held], bool)
        made = around(links, centres)
    else:
        made = grouped(links, _ranks(held, choice.keep), choice.grouping)
    in_groups = {node for group in made for node in group}
    alone = [[node] for node, pictures in enumerate(held) if node not in in_groups and len(pictures) > 1]
    found = [_group(nodes_of, held, links, near, choice) for nodes_of in [*made, *alone]]
    groups = [group for group in found if group is not None and group.others]
    groups.sort(key=lambda group: (-group.frees, group.kept.raw))
    return Groups(tuple(groups), decided + left_out)


def _wanted(near: Near, files: Files, choice: Choice) -> tuple[Near, int]:
    """Return the pairs that are asked for, and how many others people decided."""
    if not choice.decided and not choice.confirmed:
        return near, 0
    keys = [_key(files, a, b) for a, b in zip(near.left.tolist(), near.right.tolist(), strict=True)]
    wanted = np.array([choice.wants(key) for key in keys], bool)
    return near.some(wanted), sum(not want and key in choice.decided for want, key in zip(wanted, keys, strict=True))


def _wanted_copies(files: Files, choice: Choice) -> tuple[dict[int, list[int]], int]:
    copies, left_out = {}, 0
    for first, items in files.copies().items():
        key = _key(files, first, first)
        if choice.wants(key):
            copies[first] = items
        else:
            left_out += key in choice.decided
    return copies, left_out


def _key(files: Files, a: int, b: int) -> Pair | None:
    contents = files.content(a), files.content(b)
    return None if contents[0] is None or contents[1] is None else pair_of(contents[0], contents[1])


def _files(files: Files, numbers: Sequence[int], keep: KeepRule) -> list[Picture]:
    """Return the files of one content, the one to keep first: that of the other library, where there are two."""
    there = [picture for number in numbers if (picture := files.picture(number)) is not None]
    ranked = keep.ranked(there, encodings)
    return sorted(ranked, key=lambda picture: picture.own)


def _ranks(held: Sequence[Sequence[Picture]], keep: KeepRule) -> Any:
    """Return the place of each node by the first of its files; encodings are compared within groups only."""
    plain = replace(keep, looks=False)
    first = [pictures[0] for pictures in held if pictures]
    places = {picture.raw: i for i, picture in enumerate(plain.ranked(first, encodings))}
    return np.array([places[pictures[0].raw] if pictures else len(held) for pictures in held], np.int64)


def _group(
    nodes: Sequence[int], held: Sequence[Sequence[Picture]], links: Links, near: Near, choice: Choice
) -> Group | None:
    """Return the group of some nodes, or None where nothing of it is left beside the kept file."""
    best = _best(nodes, held, links, choice)
    kept = held[best][0]
    others = [_duplicate(kept, picture, 0.0, "plain", choice, exact=True) for picture in held[best][1:] if picture.own]
    for node in nodes:
        if node == best:
            continue
        pair = links.pair(best, node)
        distance = None if pair is None else float(links.distances[pair])
        view = "plain" if pair is None or not choice.views else choice.views[int(near.views[pair])]
        view = inverse(view) if pair is not None and links.left[pair] == best else view
        others += [_duplicate(kept, picture, distance, view, choice) for picture in held[node] if picture.own]
    far = float("inf")
    others.sort(key=lambda one: (not one.exact, far if one.distance is None else one.distance, one.picture.raw))
    return Group(kept, tuple(others)) if others else None


def _best(nodes: Sequence[int], held: Sequence[Sequence[Picture]], links: Links, choice: Choice) -> int:
    """Return the node whose file is kept: the best of those that are near all that the first is near."""
    if not held[nodes[0]][0].own or len(nodes) == 1:
        return nodes[0]
    if choice.grouping == "pairs":  # whoever takes the first's place must be near all others, which may be apart
        able = [node for node in nodes if all(other == node or links.pair(node, other) is not None for other in nodes)]
    else:
        able = list(nodes)
    by_path = {held[node][0].raw: node for node in able or nodes[:1]}
    best = choice.keep.ranked([held[node][0] for node in able or nodes[:1]], encodings)[0]
    return by_path[best.raw]


def _duplicate(
    kept: Picture, picture: Picture, distance: float | None, view: str, choice: Choice, *, exact: bool = False
) -> Duplicate:
    same = kept.file_id is not None and kept.file_id == picture.file_id and "member" not in (kept.kind, picture.kind)
    key = None
    if kept.sha256 is not None and picture.sha256 is not None:
        key = pair_of(bytes.fromhex(kept.sha256), bytes.fromhex(picture.sha256))
    verdict = None if key is None else choice.decided.get(key)
    expected = None if exact or distance is None else choice.limit.of(distance)
    confirmed = verdict is not None and verdict.decision == "confirm"
    return Duplicate(picture, distance, exact, view, expected, same, confirmed)


def _on_disk(path: bytes | None) -> tuple[Kind, os.stat_result | None]:
    """Return what a path is, and the status of the file that it leads to; None for one that is gone."""
    if path is None:
        return "none", None
    file, member = split_member(path)
    try:
        status = os.stat(file)  # noqa: PTH116 - a name of bytes
        link = stat.S_ISLNK(os.lstat(file).st_mode)
    except (OSError, ValueError):
        return "file", None
    if not stat.S_ISREG(status.st_mode):
        return "file", None
    return "member" if member else "link" if link else "file", status
