"""The manifest: the small SQLite file that says what a library holds; what is not in it does not exist."""

from __future__ import annotations

import sqlite3
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from simsearch.errors import LibraryDamaged, LibraryNotFound, shown
from simsearch.library.channel import Channel
from simsearch.library.state import Change, FileRecord, Mask, SegmentRecord, State
from simsearch.library.storage import naming_full_disk, sync_folder

FORMAT = 1
NAME = "manifest.sqlite"
_PATIENCE_S = 30.0  # a crashed writer's log is replayed under a short exclusive lock
_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value);
CREATE TABLE roots (number INTEGER PRIMARY KEY, path BLOB UNIQUE NOT NULL);
CREATE TABLE channels (position INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, model TEXT NOT NULL,
    fingerprint TEXT NOT NULL, dimension INTEGER NOT NULL, dtype TEXT NOT NULL, metric TEXT NOT NULL,
    non_negative INTEGER NOT NULL, card TEXT, bits INTEGER);
CREATE TABLE segments (uuid TEXT PRIMARY KEY, rank INTEGER NOT NULL, items INTEGER NOT NULL, removed BLOB);
CREATE TABLE files (segment TEXT NOT NULL REFERENCES segments(uuid), name TEXT NOT NULL, bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL, PRIMARY KEY (segment, name));
"""
_READ_ONLY = {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
}


class Manifest:
    """Reads and commits the manifest of the library in a folder; every call opens and closes the file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    def create(self, channels: Sequence[Channel]) -> None:
        """Write the manifest of an empty library."""
        with naming_full_disk(self.path), self._connect("rwc") as db:
            db.execute("PRAGMA journal_mode = WAL")
            with _transaction(db):
                for statement in filter(str.strip, _TABLES.split(";")):
                    db.execute(statement)
                facts = {"format": FORMAT, "uuid": uuid.uuid4().hex, "generation": 0, "next_id": 0}
                db.executemany("INSERT INTO meta VALUES (?, ?)", list(facts.items()))
                db.executemany(
                    "INSERT INTO channels VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    [(i, *_channel_columns(channel)) for i, channel in enumerate(channels)],
                )
        sync_folder(self.path.parent)

    def exists(self) -> bool:
        """Whether a library was ever committed here."""
        try:
            self.read()
        except LibraryNotFound:
            return False
        return True

    def read(self, known: State | None = None) -> State:
        """Return the newest committed state.

        Args:
            known: What was read before; given back as it is when nothing was committed since.

        Raises:
            LibraryNotFound: there is none.
            LibraryDamaged: the file is no manifest, or of a later version.
        """
        with self._reading() as db:
            try:
                db.execute("BEGIN")
                return _read_state(db, self.path, known)
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):
                    raise _not_found(self.path) from error
                raise
            except (sqlite3.DatabaseError, zlib.error, KeyError, TypeError) as error:
                raise LibraryDamaged(f"{self.path} cannot be read: {error}") from error

    def files(self, segment: str) -> tuple[FileRecord, ...]:
        """Return the files of a committed segment."""
        with self._reading() as db:
            rows = db.execute("SELECT name, bytes, sha256 FROM files WHERE segment = ? ORDER BY name", (segment,))
            return tuple(FileRecord(*row) for row in rows)

    def check(self) -> list[str]:
        """Return what SQLite itself finds wrong with the file."""
        with self._reading() as db:
            try:
                found = [str(row[0]) for row in db.execute("PRAGMA integrity_check")]
            except sqlite3.DatabaseError as error:
                return [f"{self.path}: {error}"]
        return [f"{self.path}: {line}" for line in found if line != "ok"]

    def commit(self, change: Change) -> State:
        """Make a change durable, all of it or none, and return the state after it.

        Raises:
            StorageFull: there is no room; nothing changed.
        """
        with naming_full_disk(self.path), self._connect("rw") as db:
            self._apply(db, change)
            return _read_state(db, self.path)

    def _apply(self, db: sqlite3.Connection, change: Change) -> None:
        with _transaction(db):
            for root in change.roots:
                db.execute("INSERT OR IGNORE INTO roots (path) VALUES (?)", (root,))
            for segment, files in change.new:
                row = (segment.uuid, segment.rank, segment.items, _packed(segment.removed))
                db.execute("INSERT INTO segments VALUES (?, ?, ?, ?)", row)
                rows = [(segment.uuid, file.name, file.bytes, file.sha256) for file in files]
                db.executemany("INSERT INTO files VALUES (?, ?, ?, ?)", rows)
            for name, mask in change.removed.items():
                db.execute("UPDATE segments SET removed = ? WHERE uuid = ?", (_packed(mask), name))
            for name in change.dropped:
                db.execute("DELETE FROM files WHERE segment = ?", (name,))
                db.execute("DELETE FROM segments WHERE uuid = ?", (name,))
            db.execute("UPDATE meta SET value = ? WHERE key = 'next_id'", (change.next_id,))
            db.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")

    @contextmanager
    def _connect(self, mode: str) -> Iterator[sqlite3.Connection]:
        with closing(self._opened(f"mode={mode}")) as db:
            db.execute("PRAGMA synchronous = FULL")
            yield db

    def _opened(self, options: str) -> sqlite3.Connection:
        address = f"{self.path.absolute().as_uri()}?{options}"
        return sqlite3.connect(address, uri=True, timeout=_PATIENCE_S, isolation_level=None)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        if not self.path.is_file():
            raise _not_found(self.path)
        with closing(self._readable()) as db:
            yield db

    def _readable(self) -> sqlite3.Connection:
        """A connection for reading; on a full or read-only disk it will do if no log waits to be replayed."""
        db = self._opened("mode=rw")
        try:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return db
        except sqlite3.OperationalError as error:
            db.close()
            if error.sqlite_errorcode & 0xFF not in _READ_ONLY or self._log_waits():
                raise
        except sqlite3.DatabaseError as error:
            db.close()
            raise LibraryDamaged(f"{self.path} is no manifest: {error}") from error
        return self._opened("mode=ro&immutable=1")

    def _log_waits(self) -> bool:
        log = self.path.with_name(self.path.name + "-wal")
        return log.exists() and log.stat().st_size > 0


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite itself rolls back on a full disk
            db.execute("ROLLBACK")
        raise


def _read_state(db: sqlite3.Connection, path: Path, known: State | None = None) -> State:
    meta = dict(db.execute("SELECT key, value FROM meta").fetchall())
    if known is not None and (meta.get("uuid"), meta.get("generation")) == (known.uuid, known.generation):
        return known
    if meta.get("format") != FORMAT:
        raise LibraryDamaged(
            f"{path} has format {meta.get('format')} and this version reads {FORMAT}; update simsearch"
        )
    channels = db.execute(
        "SELECT name, model, fingerprint, dimension, dtype, metric, non_negative, card, "
        f"{_bits_column(db)} FROM channels ORDER BY position"
    )
    segments = db.execute("SELECT uuid, rank, items, removed FROM segments ORDER BY rank, rowid").fetchall()
    return State(
        uuid=meta["uuid"],
        generation=meta["generation"],
        next_id=meta["next_id"],
        roots=dict(db.execute("SELECT path, number FROM roots").fetchall()),
        channels=tuple(
            Channel(name, model, fingerprint, dimension, dtype, metric, bool(non_negative), card, bits)
            for name, model, fingerprint, dimension, dtype, metric, non_negative, card, bits in channels
        ),
        segments=tuple(
            SegmentRecord(name, rank, items, _unpacked(removed, items)) for name, rank, items, removed in segments
        ),
    )


def _channel_columns(channel: Channel) -> tuple[object, ...]:
    c = channel
    return (c.name, c.model, c.fingerprint, c.dimension, c.dtype, c.metric, c.non_negative, c.card, c.bits)


def _bits_column(db: sqlite3.Connection) -> str:
    """The column of code lengths, which the first libraries do not have."""
    names = {row[1] for row in db.execute("PRAGMA table_info(channels)")}
    return "bits" if "bits" in names else "NULL"


def _not_found(path: Path) -> LibraryNotFound:
    where = shown(str(path.parent), 150)
    return LibraryNotFound(f"there is no library in {where}; make one with `simsearch index PATH --library DIR`")


def _packed(mask: Mask | None) -> bytes | None:
    return None if mask is None or not mask.any() else zlib.compress(np.packbits(mask).tobytes(), 1)


def _unpacked(blob: bytes | None, count: int) -> Mask | None:
    if blob is None:
        return None
    return np.unpackbits(np.frombuffer(zlib.decompress(blob), np.uint8), count=count).view(bool)
