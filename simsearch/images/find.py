"""Finding inputs: files, folders, WebDataset tars and lists, in an order that depends on their names alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, cast

from simsearch.errors import ImageRejected, InputError, RejectCode, shown
from simsearch.images.input_lists import ListEntry, read_list
from simsearch.images.paths import Links, PathLike, absolute, raw
from simsearch.images.sidecars import HEAD, Skipped, is_meant_as_image, kind_of_other
from simsearch.images.source import Found, Rejected, Source, reason, source_of
from simsearch.images.tar import Member, TarError, is_tar, members

Skip = Callable[[Skipped], None]

_SHOWN = 200  # characters of a name in a message
EARLIEST_NS, LATEST_NS = -(1 << 63), (1 << 63) - 1  # what 64 bits hold: the years 1677 to 2262


@dataclass(frozen=True, slots=True)
class _Place:
    """A path below a root, before it is known what lies there; `named` for one that the caller gave by name."""

    root: bytes
    name: bytes
    link: bytes | None = None
    named: bool = False

    @property
    def path(self) -> bytes:
        return os.path.join(self.root, self.name) if self.name else self.root  # noqa: PTH118

    def rejected(self, message: str) -> Rejected:
        source = Source(self.root, self.name, self.path, 0, 0, 0, link=self.link)
        return Rejected(source, RejectCode.IO_ERROR, message)


def find(
    paths: Iterable[PathLike],
    *,
    from_list: PathLike | Sequence[ListEntry] | None = None,
    skipped: Skip = lambda _other: None,
) -> Iterator[Found]:
    """Return every input under `paths` and in a list, each as a `Source`, or as a `Rejected` when it cannot be read.

    A folder is its own root and is searched in byte order of the names; names that begin with a dot are left out; links
    are followed, each real folder entered once. A file or a tar has its folder as root; a tar's members are inputs, as
    stored. Every regular file is an input, whatever its suffix, but files that are known to be no images (side-cars,
    videos, archives; see `others`): they are told to `skipped`, as are fifos, sockets and devices, which are never
    opened. A file that is given by name is an input whatever it is.

    Args:
        paths: Files, folders, tars; str, bytes or path objects.
        from_list: A text file of one path a line, or a `.csv` with a `path` column; see `lists`; or its entries.
        skipped: Told of every file that is no input.

    Raises:
        InputError: A path or the list does not exist, or the list is not readable as one; nothing has been yielded.
    """
    places = [_place(path) for path in paths]
    return _find(places, _entries(from_list), skipped)


def _entries(from_list: PathLike | Sequence[ListEntry] | None) -> Sequence[ListEntry]:
    if from_list is None:
        return ()
    if isinstance(from_list, (list, tuple)) and all(isinstance(entry, ListEntry) for entry in from_list):
        return from_list
    return read_list(cast(PathLike, from_list))


def _place(path: PathLike) -> _Place:
    whole = absolute(raw(path))
    try:
        folder = stat.S_ISDIR(os.stat(whole).st_mode)  # noqa: PTH116
    except (OSError, ValueError) as error:
        if not os.path.islink(whole):  # noqa: PTH114
            raise InputError(f"cannot read {shown(whole, _SHOWN)}: {reason(error)}; give an existing path") from error
        folder = False
    return _Place(whole, b"") if folder else _Place(*os.path.split(whole), named=True)


def _find(places: Iterable[_Place], entries: Iterable[ListEntry], skipped: Skip) -> Iterator[Found]:
    for place in places:
        yield from _search(place, skipped)
    links, searched = Links(), set[bytes]()
    for entry in entries:
        place = _Place(entry.root, entry.name)
        if entry.owner is None and entry.attributes is None and _is_part(place.path, searched):
            continue
        last = links.last(os.path.dirname(place.path))  # noqa: PTH120
        if last is not None and len(last) > len(entry.root):
            place = replace(place, link=last)
        inside = place.path + b"/"
        for found in _search(place, skipped):
            if source_of(found).path.startswith(inside):
                searched.add(place.path)
            yield _described(found, entry, place)


def _is_part(path: bytes, searched: set[bytes]) -> bool:
    """Return whether a path was found already in a folder listed before it, as by `find` without `-type f`."""
    while searched and len(path) > 1:
        path, name = os.path.split(path)
        if name.startswith(b"."):
            return False
        if path in searched:
            return True
    return False


def _described(found: Found, entry: ListEntry, place: _Place) -> Found:
    """Return what was found with the columns of its line; a line that leads to nothing is named."""
    source = source_of(found)
    if entry.owner is not None or entry.attributes is not None:
        source = replace(source, owner=entry.owner, attributes=entry.attributes)
    if not isinstance(found, Rejected):
        return source
    message = f"{found.message} (line {entry.line} of the list)" if source.file == place.path else found.message
    return replace(found, source=source, message=message)


def _search(start: _Place, skipped: Skip) -> Iterator[Found]:
    """Walk depth first without recursion, so that neither a deep tree nor a loop of links can end the search."""
    entered = set[tuple[int, int]]()
    stack = [start]
    while stack:
        place = stack.pop()
        try:
            status = os.stat(place.path)  # noqa: PTH116
            if not stat.S_ISDIR(status.st_mode):
                yield from _file(place, status, skipped)
            elif (status.st_dev, status.st_ino) not in entered:
                entered.add((status.st_dev, status.st_ino))
                stack.extend(_listing(place))
        except (OSError, ValueError) as error:
            yield place.rejected(reason(error))


def _listing(place: _Place) -> list[_Place]:
    """Return the entries of a folder, last first, ordered by the bytes of their paths."""
    link = place.path if place.name and os.path.islink(place.path) else place.link  # noqa: PTH114
    with os.scandir(place.path) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(b".")]
    names = sorted((entry.name + b"/" if _is_folder(entry) else entry.name for entry in visible), reverse=True)
    return [_Place(place.root, os.path.join(place.name, name.rstrip(b"/")), link) for name in names]  # noqa: PTH118


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _file(place: _Place, status: os.stat_result, skipped: Skip) -> Iterator[Found]:
    if not stat.S_ISREG(status.st_mode):
        skipped(Skipped(place.path, _special(status.st_mode)))
        return
    changed = min(max(status.st_mtime_ns, EARLIEST_NS), LATEST_NS)
    same = (status.st_dev << 48 ^ status.st_ino) & ((1 << 64) - 1)
    source = Source(place.root, place.name, place.path, 0, status.st_size, changed, link=place.link, file_id=same)
    if not os.access(place.path, os.R_OK):
        yield place.rejected("no permission to read it")
        return
    head = b"" if is_meant_as_image(place.name) else _head(place.path)
    kind = None if place.named else kind_of_other(place.name, head)
    if is_tar(head) or (place.name.lower().endswith(b".tar") and source.size):
        yield from tar_members(source, lambda: open(source.file, "rb"), _kind_by_content, skipped)  # noqa: PTH123, SIM115
    elif kind is not None:
        skipped(Skipped(place.path, kind))
    else:
        yield source


def _special(mode: int) -> str:
    return "fifo" if stat.S_ISFIFO(mode) else "socket" if stat.S_ISSOCK(mode) else "device"


def _head(path: bytes) -> bytes:
    # O_NONBLOCK: a fifo put where the file was must not hang the search.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(descriptor, HEAD)
    finally:
        os.close(descriptor)


def tar_members(
    shard: Source,
    opened: Callable[[], BinaryIO],
    kind_of: Callable[[BinaryIO, Member], str | None],
    skipped: Skip,
) -> Iterator[Found]:
    """Yield the inputs in a tar, wherever it lies.

    Args:
        shard: The tar.
        opened: Opens it; what it raises as it is opened or read ends the members with a rejected one.
        kind_of: Which kind of file a member is that is known to be no image; None for an image, and for the unknown.
        skipped: Called with each that is known to be none.
    """
    seen = set[bytes]()
    try:
        with opened() as file:
            for member in members(file, shard.size):
                if _is_hidden(member.name):
                    continue
                name = shard.name + b"::" + member.name
                source = replace(shard, name=name, offset=member.offset, size=member.size)
                if (kind := kind_of(file, member)) is not None:
                    skipped(Skipped(source.path, kind))
                elif member.name in seen:
                    message = "the tar holds another member of this name before it"
                    yield Rejected(source, RejectCode.UNSUPPORTED_NAME, message)
                elif member.problem is not None:
                    yield Rejected(source, RejectCode.IO_ERROR, member.problem)
                else:
                    yield source
                seen.add(member.name)
    except (OSError, TarError, ImageRejected) as error:
        yield Rejected(shard, RejectCode.IO_ERROR, f"the tar cannot be read any further: {reason(error)}")


def _kind_by_content(file: BinaryIO, member: Member) -> str | None:
    return None if is_meant_as_image(member.name) else kind_of_other(member.name, _start(file, member))


def _start(file: BinaryIO, member: Member) -> bytes:
    file.seek(member.offset)
    return file.read(min(member.size, HEAD))


def _is_hidden(name: bytes) -> bool:
    return any(part.startswith(b".") and part not in (b".", b"..") for part in name.split(b"/"))
