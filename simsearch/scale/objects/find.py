"""Finding images in object storage: objects below a prefix, single ones, and members of tars, by the rules of folders."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, BinaryIO, cast

from simsearch.errors import ImageRejected, InputError, RejectCode, shown
from simsearch.images.sidecars import Skipped, kind_of_other
from simsearch.images.source import Found, Rejected, Source, reason
from simsearch.images.tar import TarError, members
from simsearch.scale.objects.store import Address, Bucket, bucket_at, mtime_of

Skip = Callable[[Skipped], None]

_BLOCK = 1 << 18  # bytes asked for at once while a tar's headers are read


def find_objects(addresses: Iterable[Address], *, skipped: Skip = lambda _other: None) -> Iterator[Found]:
    """Yield every input at some addresses, as `simsearch.images.find` does for paths; no image is fetched.

    An address of an object is that object, or the members of a tar; any other is a prefix, as of a folder. Names that
    begin with a dot are left out, and so is what its ending says to be no image.

    Raises:
        InputError: Nothing is at an address, or access is refused.
        ServiceError: The storage does not answer.
    """
    for address in addresses:
        bucket = bucket_at(address.root)
        meta = bucket.head(address.key) if address.key else None
        if meta is not None:
            folder, _, name = address.key.rpartition("/")
            root = f"{address.root}/{folder}" if folder else address.root
            yield from _object(bucket, root, name, meta, lambda _other: None)
            continue
        yield from _below(bucket, address, skipped)


def _below(bucket: Bucket, address: Address, skipped: Skip) -> Iterator[Found]:
    prefix, count = f"{address.key}/" if address.key else "", 0
    for meta in bucket.listing(prefix):
        count += 1
        name = str(meta["path"]).removeprefix(prefix)
        if name and not any(part.startswith(".") for part in name.split("/")):
            yield from _object(bucket, str(address), name, meta, skipped)
    if not count:
        raise InputError(f"nothing is at {shown(str(address))}; give the address of an object, or of a prefix with some")


def _object(bucket: Bucket, root: str, name: str, meta: Any, skipped: Skip) -> Iterator[Found]:
    file = f"{root}/{name}".encode()
    source = Source(root.encode(), name.encode(), file, 0, int(meta["size"]), mtime_of(meta))
    if name.lower().endswith(".tar") and source.size:
        yield from _members(bucket, str(meta["path"]), source, skipped)
        return
    kind = kind_of_other(source.name, b"")
    if kind is not None:
        skipped(Skipped(source.path, kind))
    else:
        yield source


def _members(bucket: Bucket, key: str, shard: Source, skipped: Skip) -> Iterator[Found]:
    seen = set[bytes]()
    try:
        for member in members(cast(BinaryIO, _Ranges(bucket, key, shard.size)), shard.size):
            if any(part.startswith(b".") and part not in (b".", b"..") for part in member.name.split(b"/")):
                continue
            name = shard.name + b"::" + member.name
            source = replace(shard, name=name, offset=member.offset, size=member.size)
            if (kind := kind_of_other(member.name, b"")) is not None:
                skipped(Skipped(source.path, kind))
            elif member.name in seen:
                message = "the tar holds another member of this name before it"
                yield Rejected(source, RejectCode.UNSUPPORTED_NAME, message)
            elif member.problem is not None:
                yield Rejected(source, RejectCode.IO_ERROR, member.problem)
            else:
                yield source
            seen.add(member.name)
    except (TarError, ImageRejected) as error:
        yield Rejected(shard, RejectCode.IO_ERROR, f"the tar cannot be read any further: {reason(error)}")


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
