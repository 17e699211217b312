"""Rows that are accepted and not yet committed: later rows are decided as if they were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from simsearch.library.format.channel import Row
from simsearch.library.format.snapshot import Place
from simsearch.library.write.ingest import Intake

_UNCHANGED = "unchanged"

Texts: TypeAlias = Sequence[bytes | None]
Holder: TypeAlias = Place | int
"""The holder of a path: a committed item, or a held one, by its number."""


class HeldRows:
    """The rows of one segment, in their order, and what they replace.

    Attributes:
        rows: A buffer (m, d), of which the first `len(self)` rows are in use.
        removed: Committed items that they replace.
        superseded: Which of them a later one has replaced.
    """

    def __init__(self, intake: Intake, rows: NDArray[Any]) -> None:
        self._intake = intake  # knows what is committed
        self.rows = rows
        self.removed: dict[Place, None] = {}
        self.superseded: list[int] = []
        self._paths: dict[bytes, int] = {}
        self._of: list[bytes | None] = []
        self._contents: dict[bytes, list[int]] = {}
        self._nameless: set[bytes] = set()
        self._committed: dict[bytes, Place] = {}  # of the paths and contents that are being taken
        self._copies: dict[bytes, list[Place]] = {}

    def __len__(self) -> int:
        return len(self._of)

    def take(self, rows: NDArray[Any], paths: Texts, contents: Texts) -> dict[int, str]:
        """Take in rows (n, d), each as `Intake.take` would, and return the numbers of those that are held.

        Args:
            rows: In the channel's dtype; the buffer has room for them.
            paths: Of each row, None for none.
            contents: Of each row, None where it is not known.
        """
        start, n = len(self), len(rows)
        self.rows[start : start + n] = rows
        self._look_up(paths, contents)
        if self._are_new(paths, contents):
            self._of += contents
            numbers = range(start, start + n)
            self._paths.update((path, i) for path, i in zip(paths, numbers, strict=True) if path is not None)
            told = [(sha, i) for sha, i in zip(contents, numbers, strict=True) if sha is not None]
            self._contents.update((sha, [i]) for sha, i in told)
            self._nameless.update(sha for sha, i in told if paths[i - start] is None)
            return dict.fromkeys(range(n), "added")
        outcomes = {}
        for i in range(n):
            outcome = self._take_one(paths[i], contents[i], self.rows[start + i])
            if outcome != _UNCHANGED:
                outcomes[i] = outcome
        return outcomes

    def _look_up(self, paths: Texts, contents: Texts) -> None:
        """Find the live items of these paths and contents; one pass over the segments for all of them."""
        snapshot = self._intake.writer.snapshot
        named = [path for path in paths if path is not None]
        places = zip(named, snapshot.by_paths(named), strict=True)
        self._committed = {path: place for path, place in places if place is not None}
        known = list({content for content in contents if content is not None})
        copies = zip(known, snapshot.by_contents(known), strict=True)
        self._copies = {content: found for content, found in copies if found}

    def _are_new(self, paths: Texts, contents: Texts) -> bool:
        """Return whether no path and no content is known, and none comes twice."""
        if self._committed or self._copies:
            return False
        for given, held in ((paths, self._paths), (contents, self._contents)):
            told = [one for one in given if one is not None]
            if len(set(told)) < len(told) or not held.keys().isdisjoint(told):
                return False
        return True

    def _take_one(self, path: bytes | None, content: bytes | None, row: Row) -> str:
        holder: Holder | None = None
        if path is not None:
            holder = self._paths.get(path, self._committed.get(path))
            unchanged = holder is not None and self._same(holder, content, row)
        else:
            unchanged = content is not None and self._is_nameless(content)
        if unchanged:
            return _UNCHANGED
        original = None if content is None else self._original(content)
        if holder is not None:
            self._replace(holder)
        self._hold(path, content, row if original is None else original)
        return "replaced" if holder is not None else "added" if original is None else "exact_copies"

    def _hold(self, path: bytes | None, content: bytes | None, row: Row) -> None:
        number = len(self)
        self.rows[number] = row  # which stands there or further behind
        self._of.append(content)
        if path is not None:
            self._paths[path] = number
        if content is not None:
            self._contents.setdefault(content, []).append(number)
            if path is None:
                self._nameless.add(content)

    def _replace(self, holder: Holder) -> None:
        if isinstance(holder, Place):
            self.removed[holder] = None
            return
        self.superseded.append(holder)
        content = self._of[holder]
        if content is not None:
            self._contents[content].remove(holder)

    def _same(self, holder: Holder, content: bytes | None, row: Row) -> bool:
        if isinstance(holder, Place):
            return self._intake.same(holder, content, (row,))
        if content is not None or self._of[holder] is not None:
            return content == self._of[holder]
        return np.array_equal(self.rows[holder], row)

    def _is_nameless(self, content: bytes) -> bool:
        snapshot = self._intake.writer.snapshot
        return content in self._nameless or any(snapshot.path(place) is None for place in self._copies.get(content, ()))

    def _original(self, content: bytes) -> Row | None:
        """Return the row of this content: of the first committed item, else of the first one held."""
        for place in self._copies.get(content, ()):
            if place not in self.removed:
                rows = self._intake.copied(place)
                return None if rows is None else rows[0]
        held = self._contents.get(content)
        return self.rows[held[0]] if held else None
