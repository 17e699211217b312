"""Two pictures of a page, one of which stays, as values that a template and its script can show."""

from __future__ import annotations

import base64
import datetime
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_from_bytes

from simsearch.images.source import printable

Data = bytes  # `PageSide` has an attribute of that name


@dataclass(frozen=True, slots=True)
class PageSide:
    """One picture.

    Attributes:
        path: Printable where it is not UTF-8.
        path_b64: Its bytes in base64 where they are not UTF-8.
        sha256: Of the file's bytes, in hex; None where it is not known, and then nothing can be decided of it.
        width: Pixels; 0 where it is not known.
        height: Pixels.
        bytes: Size of the file.
        format: As `JPEG`; empty where it is not known.
        quality: 0 (blank) to 100; -1 where it is not known.
        modified: When the file was changed, in nanoseconds since 1970; 0 where it is not known.
        preview: A small JPEG; None where there is none.
        fixed: Why it cannot be removed; empty where it can.
    """

    path: str
    path_b64: str | None
    sha256: str | None
    width: int
    height: int
    bytes: int
    format: str
    quality: int
    modified: int
    preview: Data | None
    fixed: str = ""

    @property
    def raw(self) -> Data:
        """The path as the file system has it."""
        return self.path.encode(errors="surrogateescape") if self.path_b64 is None else base64.b64decode(self.path_b64)

    @property
    def shown(self) -> str:
        """The path on one line: controls, what is not UTF-8 and what turns the direction of writing are escaped."""
        return safe(self.path)

    @property
    def name(self) -> str:
        """The last part of the path, as it is shown."""
        return self.shown.rpartition("/")[2] or self.shown

    @property
    def folder(self) -> str:
        """What stands before the name, as it is shown."""
        return self.shown.removesuffix(self.name)

    @property
    def source(self) -> str:
        """The preview as a data URI; empty where there is none."""
        return data_uri(self.preview)

    @property
    def address(self) -> str:
        """The file's own address, for a link; empty for a path that is not absolute."""
        return f"file://{quote_from_bytes(self.raw)}" if self.path.startswith("/") else ""

    @property
    def facts(self) -> dict[str, Any]:
        """What the script of a page is told of it."""
        told: dict[str, Any] = {"path": self.path, "path_b64": self.path_b64, "sha256": self.sha256}
        told |= {"shown": self.shown, "name": self.name, "folder": self.folder, "fixed": self.fixed}
        told |= {"pixels": self.pixels, "area": self.width * self.height, "bytes": self.bytes}
        return told | {"format": self.format, "quality": self.grade, "modified": self.date, "address": self.address}

    @property
    def pixels(self) -> str:
        """Width and height in words."""
        return f"{self.width:,} × {self.height:,} pixels" if self.width and self.height else ""

    @property
    def grade(self) -> str:
        """How much the picture shows, in words; empty where that is not known."""
        return f"{self.quality} of 100" if self.quality >= 0 else ""

    @property
    def date(self) -> str:
        """When it was changed, in UTC; empty where that is not known."""
        if self.modified <= 0:
            return ""
        epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
        try:
            return f"{epoch + datetime.timedelta(microseconds=self.modified // 1000):%Y-%m-%d %H:%M}"
        except OverflowError:
            return ""


@dataclass(frozen=True, slots=True)
class PagePair:
    """A picture that is kept, and another.

    Attributes:
        kept: The one that stays.
        other: The one that could go.
        distance: Between them, 0 for exact copies; None where it is not within the limit.
        worth: What the distance is worth, in words; None where no rates are known.
        exact: Whether the bytes are the same.
        view: In which view of the other one the two are as near; None or "plain" as it is.
        group: Number of the group that they are of.
        chained: Whether they are only linked by others of the group.
        why: Why the first one is kept, in words.
        same_file: Whether both are one file by two names.
    """

    kept: PageSide
    other: PageSide
    distance: float | None
    worth: str | None
    exact: bool
    view: str | None
    group: int
    chained: bool
    why: str = ""
    same_file: bool = False

    @property
    def facts(self) -> dict[str, Any]:
        """What the script of a page is told of it beside its pictures."""
        view = "" if self.view in (None, "plain") else self.view
        return {
            "distance": None if self.distance is None else float(self.distance),
            "worth": self.worth or "",
            "exact": self.exact,
            "view": view,
            "chained": self.chained,
            "why": self.why,
            "same_file": self.same_file,
        }


def safe(text: str) -> str:
    r"""Return text on one line, without characters that are not seen or that turn the direction of writing.

    Example:
        >>> safe("a\u202egpj.exe\n")
        'a\\u202egpj.exe\\n'
    """
    return printable(text.encode(errors="surrogateescape"))


def data_uri(jpeg: bytes | None) -> str:
    """Return a JPEG as a data URI; nothing for none."""
    return "" if jpeg is None else "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
