"""Duplicates as values: pictures, what is kept of each group, and what the search left out."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from simsearch.decide.calibration import Expected
from simsearch.library.indexes.curve import Recall

Kind = Literal["file", "link", "member", "none"]
"""What an item is on the disk: a file, a link to one, a tar's member, or nothing that has a path."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One file of a library.

    Attributes:
        id: Of the item.
        path: Printable where it is not UTF-8; `id:N` without one.
        path_b64: Its bytes in base64 where they are not UTF-8.
        root: The folder that was given to `index`, as bytes; empty without a path.
        sha256: Of its bytes, in hex; None where it is not known.
        size: Of the file, in bytes; 0 where it is not known.
        mtime_ns: When it was changed.
        width: Pixels; 0 where it is not known.
        height: Pixels.
        quality: 0 (blank) to 100; -1 where it is not known.
        kind: What it is on the disk.
        file_id: Device and inode of the file that it leads to.
        own: Whether it is of the library that was asked; else of the one that it is held against, and never touched.
    """

    id: int
    path: str
    path_b64: str | None
    root: bytes
    sha256: str | None
    size: int
    mtime_ns: int
    width: int
    height: int
    quality: int
    kind: Kind
    file_id: tuple[int, int] | None = None
    own: bool = True

    @property
    def raw(self) -> bytes:
        """The path as the file system has it."""
        return os.fsencode(self.path) if self.path_b64 is None else base64.b64decode(self.path_b64)

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height

    def to_dict(self) -> dict[str, Any]:
        """Return what is told of it as JSON types."""
        encoded = {} if self.path_b64 is None else {"path_b64": self.path_b64}
        size = {"bytes": self.size, "width": self.width, "height": self.height, "quality": self.quality}
        return {"id": self.id, "path": self.path, **encoded, "sha256": self.sha256, **size, "mtime_ns": self.mtime_ns}


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A file beside the one that is kept.

    Attributes:
        picture: The file.
        distance: From the kept one, 0 for an exact copy; None where the two are not within the limit, but only linked
            by others of the group.
        exact: Whether the bytes are the same.
        view: In which view of it the two are as near: "plain" as it is, "mirrored", "turned 90" and so on.
        expected: False pairs to expect within that distance in all; None where no rates are known or the bytes are
            the same.
        same_file: Whether it is the very file that is kept, by another name (a hard link, or a link).
        confirmed: Whether somebody confirmed the pair.
    """

    picture: Picture
    distance: float | None
    exact: bool = False
    view: str = "plain"
    expected: Expected | None = None
    same_file: bool = False
    confirmed: bool = False

    @property
    def chained(self) -> bool:
        """Whether it is not itself near the kept one: such a file is shown, and never acted on."""
        return self.distance is None

    @property
    def frees(self) -> int:
        """Bytes that removing it frees."""
        return 0 if self.same_file or self.chained or self.picture.kind != "file" else self.picture.size

    def to_dict(self) -> dict[str, Any]:
        """Return the file and the pair as JSON types."""
        return {
            **self.picture.to_dict(),
            "distance": self.distance,
            "exact": self.exact,
            "view": self.view,
            **_expected_fields(self.expected),
            "beyond_calibration": self.expected is not None and self.expected.beyond_calibration,
            "chained": self.chained,
            "same_file": self.same_file,
            "confirmed": self.confirmed,
        }


@dataclass(frozen=True, slots=True)
class Group:
    """Files of one picture.

    Attributes:
        kept: The one that stays, by the keep rule.
        others: The others, nearest first.
    """

    kept: Picture
    others: tuple[Duplicate, ...]

    @property
    def chained(self) -> int:
        """How many of the others are not within the limit of the kept one."""
        return sum(one.chained for one in self.others)

    @property
    def frees(self) -> int:
        """Bytes that removing the others frees."""
        return sum(one.frees for one in self.others)


@dataclass(frozen=True, slots=True)
class Duplicates:
    """The duplicates of a library, or those between two.

    Attributes:
        groups: Those with the most bytes to free first.
        library: Its folder.
        against: The folder of the library that it is held against; None for none.
        channel: Whose rows.
        metric: The distance.
        max_distance: Of a pair.
        expected: Pairs of strangers to expect within it; None where no rates are known.
        compared: Contents that were compared.
        grouping: How groups were made: pairs, complete or components.
        keep: The keep rule.
        recall: Of the index that was asked; None where all pairs were compared.
        decided: Pairs that people decided earlier, which are not shown.
        weak: Contents that show too little to be compared; only their exact copies are listed.
        gone: Files that are no longer where they were.
        changed: Files that changed since they were indexed.
        unread: Files that could not be read for their views.
    """

    groups: tuple[Group, ...]
    library: str
    channel: str
    metric: str
    max_distance: float
    compared: int
    against: str | None = None
    expected: Expected | None = None
    grouping: str = "pairs"
    keep: str = "best"
    recall: Recall | None = field(default=None, compare=False)
    decided: int = 0
    weak: int = 0
    gone: int = 0
    changed: int = 0
    unread: int = 0

    def __iter__(self) -> Iterator[Group]:
        return iter(self.groups)

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def files(self) -> int:
        """Files that could go."""
        return sum(not one.chained and not one.same_file for group in self.groups for one in group.others)

    @property
    def frees(self) -> int:
        """Bytes that could be freed."""
        return sum(group.frees for group in self.groups)

    def totals(self) -> dict[str, Any]:
        """Return what was found in all as JSON types, without where the libraries lie."""
        return {
            "groups": len(self),
            "files": self.files,
            "frees": self.frees,
            "channel": self.channel,
            "metric": self.metric,
            "max_distance": self.max_distance,
            **_expected_fields(self.expected),
            "compared": self.compared,
            "grouping": self.grouping,
            "keep": self.keep,
            "recall": None if self.recall is None else str(self.recall),
            "decided": self.decided,
            "low_information": self.weak,
            "gone": self.gone,
            "changed": self.changed,
            "unread": self.unread,
        }

    def pairs(self) -> Iterator[tuple[Picture, Duplicate]]:
        """Yield each file that could go with the one that is kept for it."""
        for group in self.groups:
            for one in group.others:
                yield group.kept, one


def _expected_fields(expected: Expected | None) -> dict[str, Any]:
    interval = None if expected is None else [expected.low, expected.high]
    return {"expected_false_pairs": None if expected is None else expected.value, "expected_interval": interval}
