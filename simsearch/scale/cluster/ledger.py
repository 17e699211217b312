"""The ledger: what shards of a job are done, each a file that its content names; whatever dies, it says the truth.

A worker writes a shard's outcomes as `<job>/<shard>-<SHA-256 of the bytes>.arrow`, whole or not at all. Who was killed
left nothing; who was killed after it, or was thought dead and was not, left the file, and whoever does the shard again
writes another name or the same bytes. The driver takes each input from the first file that has it, and removes a file
once its outcomes are committed. So no step needs a lock, and none can lose or double a row.
"""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from simsearch.errors import InputError, LibraryDamaged, shown
from simsearch.images.paths import is_remote
from simsearch.runtime.files import sync

_NAME = re.compile(r"[0-9a-f]{32}-([0-9a-f]{64})\.arrow")
_HALF = re.compile(r"\.[0-9a-f]{32}\.half")


class Place(Protocol):
    """Where files of a ledger lie: a folder that all machines see, or a bucket."""

    def put(self, name: str, data: bytes) -> None:
        """Write a file, whole or not at all."""

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""

    def names(self) -> Sequence[str]:
        """Return the names that are there."""

    def remove(self, name: str) -> None:
        """Remove a file; one that is gone is fine."""

    def leave(self) -> None:
        """Remove the place itself where nothing of anybody is in it."""


class FolderPlace:
    """A folder; on a file system that all machines share, where several take part."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, name: str, data: bytes) -> None:
        """Write a file under another name, flush it to disk and rename it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        half = self._folder / f".{uuid.uuid4().hex}.half"
        try:
            with half.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            half.rename(self._folder / name)
            sync(self._folder)
        finally:
            half.unlink(missing_ok=True)

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""
        return (self._folder / name).read_bytes()

    def names(self) -> list[str]:
        """Return the names that are there, in order."""
        return sorted(path.name for path in self._folder.iterdir()) if self._folder.is_dir() else []

    def remove(self, name: str) -> None:
        """Remove a file; one that is gone is fine."""
        (self._folder / name).unlink(missing_ok=True)

    def leave(self) -> None:
        """Remove what killed writers left, the folder and the one above it, where these are empty then."""
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if _HALF.fullmatch(path.name):
                    path.unlink(missing_ok=True)
        for folder in (self._folder, self._folder.parent):
            with suppress(OSError):
                folder.rmdir()


class Ledger:
    """The files of one job."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def put(self, shard: str, data: bytes) -> str:
        """Write the outcomes of a shard, and return the name of the file."""
        name = f"{shard}-{hashlib.sha256(data).hexdigest()}.arrow"
        self._place.put(name, data)
        return name

    def names(self) -> Sequence[str]:
        """Return the files that are there; whatever else lies beside them is left alone."""
        return [name for name in self._place.names() if _NAME.fullmatch(name)]

    def read(self, name: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            InputError: It is not there, though a worker wrote it: the place is not shared.
            LibraryDamaged: They are not those that were written.
        """
        try:
            data = self._place.read(name)
        except FileNotFoundError as error:
            raise InputError(
                f"{shown(name)} was written to the ledger and is not seen here: machines do not share that folder; "
                "give --ledger FOLDER on a file system that all of them mount, or s3://, gs:// or az://"
            ) from error
        told = _NAME.fullmatch(name)
        if told is None or hashlib.sha256(data).hexdigest() != told[1]:
            raise LibraryDamaged(f"{shown(name)} in the ledger is not what was written; it is left aside")
        return data

    def remove(self, name: str) -> None:
        """Remove a file whose outcomes are committed."""
        self._place.remove(name)

    def clear(self) -> None:
        """Remove all files, and the place where nothing else is in it."""
        for name in self.names():
            self._place.remove(name)
        self._place.leave()


def open_ledger(place: str, job: str) -> Ledger:
    """Return the ledger of a job in a folder, or below an address in object storage."""
    if is_remote(os.fsencode(place)):
        from simsearch.scale.objects.store import BucketPlace

        return Ledger(BucketPlace(f"{place.rstrip('/')}/{job}"))
    return Ledger(FolderPlace(Path(place).absolute() / job))
