"""Finding images in object storage: objects below a prefix, single ones, members of tars, by the rules of folders."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, BinaryIO, cast

from simsearch.errors import InputError, shown
from simsearch.images.find import tar_members
from simsearch.images.input_lists import ListEntry
from simsearch.images.sidecars import Skipped, kind_of_other
from simsearch.images.source import Found, Rejected, Source, source_of
from simsearch.scale.objects.store import Address, Bucket, address_of, bucket_at, mtime_of

Skip = Callable[[Skipped], None]

_ASKED = 32  # objects of a list that are asked about at once
_BLOCK = 1 << 18  # bytes asked for at once while a tar's headers are read


def find_objects(
    addresses: Iterable[str | Address | ListEntry], *, skipped: Skip = lambda _other: None
) -> Iterator[Found]:
    """Yield every input at addresses or of a list's lines, as `simsearch.images.find` for paths; fetch no image.

    An address of an object is that object, or the members of a tar; any other is a prefix, as of a folder. Names that
    begin with a dot are left out, and so is what its ending says to be no image. `FetchingRunner` fetches them.

    Raises:
        InputError: Nothing is at an address, or access is refused.
        ServiceError: The storage does not answer.
    """
    with ThreadPoolExecutor(_ASKED) as pool:
        stream = iter(addresses)
        while several := list(itertools.islice(stream, _ASKED)):
            for one, (address, meta) in zip(several, pool.map(_looked_up, several), strict=True):
                for found in _at(address, meta, skipped):
                    yield _described(found, one) if isinstance(one, ListEntry) else found


def _looked_up(one: str | Address | ListEntry) -> tuple[Address, Any]:
    """Return an address, and what is known of the object there; None where there is none."""
    text, where = one, ""
    if isinstance(one, ListEntry):
        text, where = (one.root + b"/" + one.name).decode("utf-8", "replace"), f" (line {one.line} of the list)"
    address = text if isinstance(text, Address) else address_of(str(text))
    if address is None:
        raise InputError(f"{shown(str(text))}{where} is of no storage that is known; give s3://, gs:// or az://")
    return address, bucket_at(address.root).head(address.key) if address.key else None


def _at(address: Address, meta: Any, skipped: Skip) -> Iterator[Found]:
    bucket = bucket_at(address.root)
    if meta is None:
        yield from _below(bucket, address, skipped)
        return
    folder, _, name = address.key.rpartition("/")
    root = f"{address.root}/{folder}" if folder else address.root
    yield from _object(bucket, root, name, meta, lambda _other: None)


def _described(found: Found, entry: ListEntry) -> Found:
    """Return what was found with the columns of its line."""
    if entry.owner is None and entry.attributes is None:
        return found
    source = replace(source_of(found), owner=entry.owner, attributes=entry.attributes)
    return replace(found, source=source) if isinstance(found, Rejected) else source


def _below(bucket: Bucket, address: Address, skipped: Skip) -> Iterator[Found]:
    prefix, count = f"{address.key}/" if address.key else "", 0
    for meta in bucket.listing(prefix):
        count += 1
        name = str(meta["path"]).removeprefix(prefix)
        if name and not any(part.startswith(".") for part in name.split("/")):
            yield from _object(bucket, str(address), name, meta, skipped)
    if not count:
        raise InputError(
            f"nothing is at {shown(str(address))}; give the address of an object, or of a prefix with some"
        )


def _object(bucket: Bucket, root: str, name: str, meta: Any, skipped: Skip) -> Iterator[Found]:
    file = f"{root}/{name}".encode()
    source = Source(root.encode(), name.encode(), file, 0, int(meta["size"]), mtime_of(meta))
    if name.lower().endswith(".tar") and source.size:
        opened = cast(BinaryIO, _Ranges(bucket, str(meta["path"]), source.size))
        yield from tar_members(source, lambda: opened, lambda _file, member: kind_of_other(member.name, b""), skipped)
        return
    kind = kind_of_other(source.name, b"")
    if kind is not None:
        skipped(Skipped(source.path, kind))
    else:
        yield source


class _Ranges(io.RawIOBase):
    """An object as a file of which only blocks are fetched that are looked at."""

    def __init__(self, bucket: Bucket, key: str, size: int) -> None:
        self._bucket, self._key, self._size = bucket, key, size
        self._at = self._start = 0
        self._held = b""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("only from the start")
        self._at = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._at + size, self._size)
        if self._at >= end:
            return b""
        if not self._start <= self._at <= end <= self._start + len(self._held):
            length = min(max(end - self._at, _BLOCK), self._size - self._at)
            self._held, self._start = self._bucket.read_range(self._key, self._at, length), self._at
        data = self._held[self._at - self._start : end - self._start]
        self._at = end
        return data
