"""Buckets by their addresses: s3://, gs:// and az:// through obstore, with bounds, retries and errors that say what."""

from __future__ import annotations

import datetime
import importlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from simsearch.errors import DependencyMissing, ImageRejected, InputError, RejectCode, ServiceError, first_line, shown
from simsearch.images.source import require_size

SCHEMES = ("s3", "gs", "az")
_ADDRESS = re.compile(rf"({'|'.join(SCHEMES)}):/{{1,2}}([^/]+)(?:/(.*))?", re.DOTALL)  # a Path keeps one slash
_TIMEOUT = {"timeout": "60s", "connect_timeout": "10s"}
_ALLOW_HTTP = {"s3": "AWS_ALLOW_HTTP", "gs": "GOOGLE_ALLOW_HTTP", "az": "AZURE_ALLOW_HTTP"}
_NO_BUCKET = ("NoSuchBucket", "404 Not Found")  # which obstore tells of a single object alone
_RETRIES = {"max_retries": 5, "retry_timeout": datetime.timedelta(seconds=90)}


@dataclass(frozen=True, slots=True)
class Address:
    """An object, or all objects below a prefix.

    Attributes:
        scheme: s3, gs or az.
        bucket: Bucket, or container of the account that the environment names.
        key: What follows; without slashes at its ends.
    """

    scheme: str
    bucket: str
    key: str

    @property
    def root(self) -> str:
        """The bucket's own address."""
        return f"{self.scheme}://{self.bucket}"

    def __str__(self) -> str:
        return f"{self.root}/{self.key}" if self.key else self.root


def address_of(text: str | Path) -> Address | None:
    """Return the address that a path on the command line is; None for a file's.

    Example:
        >>> str(address_of(Path("s3://photos/2026/")))
        's3://photos/2026'
    """
    found = _ADDRESS.fullmatch(str(text))
    return None if found is None else Address(found[1], found[2], (found[3] or "").strip("/"))


@dataclass(frozen=True, slots=True)
class Fetched:
    """The bytes of an object as they are now, with its size and time."""

    data: bytes
    size: int
    mtime_ns: int


class Bucket:
    """A bucket; credentials and end points are those of the usual environment (AWS_*, GOOGLE_*, AZURE_*).

    Raises:
        DependencyMissing: Obstore is not installed.
        InputError: The environment's settings cannot be used.
    """

    def __init__(self, root: str) -> None:
        self._obstore = _obstore()
        self._root = root
        errors = importlib.import_module("obstore.exceptions")
        self._absent = (FileNotFoundError, errors.NotFoundError)
        self._refused = (PermissionError, errors.PermissionDeniedError, errors.UnauthenticatedError)
        self._any: type[Exception] = errors.BaseError
        from_url = importlib.import_module("obstore.store").from_url
        # Options given here take the place of all that the environment says of the client, of which this one matters.
        plain = os.environ.get(_ALLOW_HTTP.get(root.partition(":")[0], ""), "").lower() in ("1", "true")
        try:
            self._store = from_url(root, client_options=_TIMEOUT | {"allow_http": plain}, retry_config=_RETRIES)
        except Exception as error:  # of many kinds, by what the environment says
            raise InputError(f"{shown(root)} cannot be opened: {first_line(error)}") from error

    def head(self, key: str) -> dict[str, Any] | None:
        """Return what is known of an object (`size`, `last_modified`); None where there is none."""
        with self._told(key):
            try:
                found: dict[str, Any] = self._obstore.head(self._store, key)
            except self._absent:
                return None
        return found

    def listing(self, prefix: str) -> Iterator[dict[str, Any]]:
        """Yield all objects below a prefix in the order of the service, which is that of names on s3, gs and az."""
        with self._told(prefix):
            for chunk in self._obstore.list(self._store, prefix or None, chunk_size=1000):
                yield from chunk

    def read(self, key: str, limit: int) -> Fetched:
        """Return an object, of which no byte is asked for beyond `limit`.

        Raises:
            ImageRejected: Empty, too_many_bytes, or io_error where it is gone, refused or came short.
            ServiceError: The service cannot be reached.
        """
        with self._told(key, rejects=True):
            answer = self._obstore.get(self._store, key)
            size = int(answer.meta["size"])
            require_size(size, limit)
            data = bytes(answer.bytes())
            if len(data) != size:
                raise ImageRejected(RejectCode.IO_ERROR, f"only {len(data):,} of {size:,} bytes came")
            return Fetched(data, size, mtime_of(answer.meta))

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return some bytes of an object, as `read`."""
        with self._told(key, rejects=True):
            data = bytes(self._obstore.get_range(self._store, key, start=start, length=length))
        if len(data) != length:
            raise ImageRejected(RejectCode.IO_ERROR, f"only {len(data):,} of {length:,} bytes came")
        return data

    def put(self, key: str, data: bytes) -> None:
        """Write an object, whole or not at all."""
        with self._told(key):
            self._obstore.put(self._store, key, data)

    def get(self, key: str) -> bytes:
        """Return an object of our own.

        Raises:
            FileNotFoundError: There is none.
        """
        with self._told(key):
            try:
                return bytes(self._obstore.get(self._store, key).bytes())
            except self._absent as error:
                raise FileNotFoundError(key) from error

    def delete(self, key: str) -> None:
        """Remove an object; one that is gone is fine."""
        with self._told(key):
            try:
                self._obstore.delete(self._store, key)
            except self._absent:
                return

    @contextmanager
    def _told(self, key: str, *, rejects: bool = False) -> Iterator[None]:
        """Turn obstore's errors into ours; of one object's only where `rejects`."""
        address = f"{self._root}/{key}" if key else self._root
        try:
            yield
        except FileNotFoundError as error:
            if not rejects:
                raise
            raise ImageRejected(RejectCode.IO_ERROR, "no such object") from error
        except self._refused as error:
            if rejects:
                raise ImageRejected(RejectCode.IO_ERROR, "access to the object is refused") from error
            raise InputError(f"access to {shown(address)} is refused: {first_line(error)}; {_CREDENTIALS}") from error
        except self._any as error:
            if rejects and isinstance(error, self._absent):
                raise ImageRejected(RejectCode.IO_ERROR, "no such object") from error
            if isinstance(error, self._absent) or any(word in str(error) for word in _NO_BUCKET):
                raise InputError(f"{shown(address)} is not there: {first_line(error)}") from error
            raise ServiceError(
                f"the storage of {shown(address)} does not answer: {first_line(error)}; what is done is kept: run the "
                f"same command again. {_CREDENTIALS}"
            ) from error


_CREDENTIALS = "credentials and end points come from AWS_*, GOOGLE_* or AZURE_* variables"


@cache
def bucket_at(root: str) -> Bucket:
    """Return the bucket of an address, opened once a process."""
    return Bucket(root)


def mtime_of(meta: Any) -> int:
    """Return when an object was changed, in nanoseconds since 1970; whole seconds, which is all that an answer says."""
    return int(meta["last_modified"].timestamp()) * 1_000_000_000


class BucketPlace:
    """A place for a ledger in object storage; an object appears whole, so that nothing else is needed."""

    def __init__(self, address: str) -> None:
        found = address_of(address)
        if found is None:
            raise InputError(f"{shown(address)} is no address of object storage; give s3://, gs:// or az://")
        self._bucket, self._prefix = bucket_at(found.root), found.key + "/"

    def put(self, name: str, data: bytes) -> None:
        """Write an object."""
        self._bucket.put(self._prefix + name, data)

    def read(self, name: str) -> bytes:
        """Return the bytes of an object."""
        return self._bucket.get(self._prefix + name)

    def names(self) -> Sequence[str]:
        """Return the names below the prefix, in order."""
        return sorted(meta["path"].removeprefix(self._prefix) for meta in self._bucket.listing(self._prefix))

    def remove(self, name: str) -> None:
        """Remove an object; one that is gone is fine."""
        self._bucket.delete(self._prefix + name)

    def leave(self) -> None:
        """Do nothing: there is no folder to remove."""


def _obstore() -> Any:
    try:
        return importlib.import_module("obstore")
    except ImportError as error:
        raise DependencyMissing('object storage needs obstore: pip install -e ".[scale]"') from error
