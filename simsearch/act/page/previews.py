"""Previews of files and of a tar's members, made one after the other in a process that can be killed."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from simsearch.errors import ImageRejected, RejectCode
from simsearch.images.source import Limits, read_range, reason
from simsearch.images.tar import Member, TarError, members
from simsearch.library.path_aliases import MEMBER, split_member
from simsearch.library.read.thumbnails import small_jpeg

SIDE = 480  # pixels
QUALITY = 80  # of the JPEG
_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Preview:
    """A small picture of a file.

    Attributes:
        jpeg: None where the file cannot be read or shows nothing that can be decoded.
        format: Of the file, as `PNG`; empty where it is not known.
        size: Width and height of its picture; zeros where they are not known.
    """

    jpeg: bytes | None
    format: str = ""
    size: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class Previews:
    """Makes previews; it remembers the last file, and where the members of the last tar lie.

    Attributes:
        side: Pixels of the longer side, at most.
        limits: What one picture may cost.
        failed: How many could not be made.
    """

    side: int = SIDE
    limits: Limits = _LIMITS
    failed: int = 0
    _last: tuple[bytes, Preview] | None = None
    _tar: bytes = b""
    _members: dict[bytes, Member] = field(default_factory=dict)

    def of(self, path: bytes) -> Preview:
        """Return the preview of a file, or of a tar's member by `tar::member`."""
        if self._last is None or self._last[0] != path:
            self._last = path, self._made(path)
        return self._last[1]

    def _made(self, path: bytes) -> Preview:
        try:
            jpeg, decoded = small_jpeg(self._read(path), side=self.side, limits=self.limits, quality=QUALITY)
        except ImageRejected:
            self.failed += 1
            return Preview(None)
        return Preview(jpeg, decoded.format, (decoded.width, decoded.height))

    def _read(self, path: bytes) -> bytes:
        file, marked = split_member(path)
        if not marked:
            return read_range(file, offset=0, size=0, limit=self.limits.max_bytes)
        if self._tar != file:
            self._members, self._tar = _members_of(file), file
        member = self._members.get(marked.removeprefix(MEMBER))
        if member is None:
            raise ImageRejected(RejectCode.IO_ERROR, "no such member of the tar any more")
        return read_range(file, offset=member.offset, size=member.size, limit=self.limits.max_bytes)


def _members_of(tar: bytes) -> dict[bytes, Member]:
    """Return the members of a tar by their names as paths have them; those before the damage of a damaged one."""
    found: dict[bytes, Member] = {}
    try:
        with open(os.open(tar, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            length = file.seek(0, 2)
            file.seek(0)
            for member in members(file, length):
                if member.problem is None:
                    found.setdefault(member.name, member)
    except TarError:
        return found
    except OSError as error:
        raise ImageRejected(RejectCode.IO_ERROR, reason(error)) from error
    return found
