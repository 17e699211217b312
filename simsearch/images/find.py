"""Finding inputs: files, folders, WebDataset tars and lists, in an order that depends on their names alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from simsearch.errors import InputError, RejectCode, shown
from simsearch.images.lists import Entry, read_list
from simsearch.images.rejected import Rejected
from simsearch.images.source import Source, name_bytes, reason
from simsearch.images.tar import BLOCK, TarError, is_tar, members

PathLike = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Found = Source | Rejected

_SHOWN = 200  # characters of a name in a message
SIDE_CARS = (b".json", b".txt", b".cls")  # WebDataset's labels beside an image
# Files with these endings are not opened to see whether they are tars: that keeps a rescan from touching every image.
IMAGE_ENDINGS = (b".jpg", b".jpeg", b".png", b".webp", b".gif", b".bmp", b".tif", b".tiff", b".avif", b".heic")


@dataclass(frozen=True, slots=True)
class _Place:
    """A path below a root, before it is known what lies there."""

    root: bytes
    name: bytes

    @property
    def path(self) -> bytes:
        return os.path.join(self.root, self.name) if self.name else self.root  # noqa: PTH118

    def rejected(self, message: str, code: RejectCode = RejectCode.IO_ERROR) -> Rejected:
        return Rejected(Source(self.root, self.name, self.path, 0, 0, 0), code, message)


def find(paths: Iterable[PathLike], *, from_list: PathLike | None = None) -> Iterator[Found]:
    """Return every input under `paths` and in a list, each as a `Source`, or as a `Rejected` when it cannot be read.

    A folder is its own root and is searched in byte order of the names; names that begin with a dot are skipped; links
    are followed, each real folder entered once. A file or a tar has its folder as root; a tar's members are inputs, as
    stored. Every regular file is an input, whatever its suffix; fifos, sockets and devices are not.

    Args:
        paths: files, folders, tars; str, bytes or path objects.
        from_list: a text file of one path a line, or a `.csv` with a `path` column; see `lists`.

    Raises:
        InputError: a path or the list does not exist, or the list is not readable as one; nothing has been yielded.
    """
    places = [_place(path) for path in paths]
    entries = [] if from_list is None else read_list(os.path.abspath(name_bytes(from_list)))  # noqa: PTH100
    return _find(places, entries)


def _place(path: PathLike) -> _Place:
    absolute = os.path.abspath(name_bytes(path))  # noqa: PTH100
    try:
        folder = stat.S_ISDIR(os.stat(absolute).st_mode)  # noqa: PTH116
    except (OSError, ValueError) as error:
        if not os.path.islink(absolute):  # noqa: PTH114
            raise InputError(
                f"cannot read {shown(absolute, _SHOWN)}: {reason(error)}; give an existing path"
            ) from error
        folder = False
    return _Place(absolute, b"") if folder else _Place(*os.path.split(absolute))


def _find(places: Iterable[_Place], entries: Iterable[Entry]) -> Iterator[Found]:
    for place in places:
        yield from _search(place)
    for entry in entries:
        for found in _search(_Place(entry.root, entry.name)):
            yield _described(found, entry)


def _described(found: Found, entry: Entry) -> Found:
    if entry.owner is None and entry.attributes is None:
        return found
    if isinstance(found, Rejected):
        return replace(found, source=replace(found.source, owner=entry.owner, attributes=entry.attributes))
    return replace(found, owner=entry.owner, attributes=entry.attributes)


def _search(start: _Place) -> Iterator[Found]:
    """Depth first without recursion, so that neither a deep tree nor a loop of links can end the search."""
    entered = set[tuple[int, int]]()
    stack = [start]
    while stack:
        place = stack.pop()
        try:
            status = os.stat(place.path)  # noqa: PTH116
            if not stat.S_ISDIR(status.st_mode):
                yield from _file(place, status)
            elif (status.st_dev, status.st_ino) not in entered:
                entered.add((status.st_dev, status.st_ino))
                stack.extend(_Place(place.root, name) for name in _listing(place))
        except (OSError, ValueError) as error:
            yield place.rejected(reason(error))


def _listing(place: _Place) -> list[bytes]:
    """Names below a folder, last first, ordered as the bytes of their whole paths are."""
    with os.scandir(place.path) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(b".")]
    names = sorted((entry.name + b"/" if _is_folder(entry) else entry.name for entry in visible), reverse=True)
    return [os.path.join(place.name, name.rstrip(b"/")) for name in names]  # noqa: PTH118


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _file(place: _Place, status: os.stat_result) -> Iterator[Found]:
    if not stat.S_ISREG(status.st_mode):
        return
    source = Source(place.root, place.name, place.path, 0, status.st_size, status.st_mtime_ns)
    if not os.access(place.path, os.R_OK):
        yield place.rejected("no permission to read it")
    elif _holds_a_tar(source):
        yield from _members(source)
    else:
        yield source


def _holds_a_tar(source: Source) -> bool:
    name = source.file.lower()
    if name.endswith(b".tar"):
        return source.size > 0
    if name.endswith(IMAGE_ENDINGS) or source.size < BLOCK:
        return False
    with Path(os.fsdecode(source.file)).open("rb", buffering=0) as file:
        return is_tar(file.read(BLOCK))


def _members(shard: Source) -> Iterator[Found]:
    seen = set[bytes]()
    try:
        with Path(os.fsdecode(shard.file)).open("rb") as file:
            for member in members(file, shard.size):
                if _skipped(member.name):
                    continue
                name = shard.name + b"::" + member.name
                source = replace(shard, name=name, offset=member.offset, size=member.size)
                if member.name in seen:
                    message = "the tar holds another member of this name before it"
                    yield Rejected(source, RejectCode.UNSUPPORTED_NAME, message)
                elif member.problem is not None:
                    yield Rejected(source, RejectCode.IO_ERROR, member.problem)
                else:
                    yield source
                seen.add(member.name)
    except (OSError, TarError) as error:
        yield Rejected(shard, RejectCode.IO_ERROR, f"the tar cannot be read any further: {reason(error)}")


def _skipped(name: bytes) -> bool:
    hidden = any(part.startswith(b".") and part not in (b".", b"..") for part in name.split(b"/"))
    return hidden or name.lower().endswith(SIDE_CARS)
