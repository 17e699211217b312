"""The manifest: the small SQLite file of a library's contents; what is not in it does not exist."""

from __future__ import annotations

import sqlite3
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple
from pathlib import Path

import numpy as np

from simsearch.errors import LibraryDamaged, LibraryError, LibraryLocked, LibraryNotFound, LibraryTooNew, shown
from simsearch.library.format.atomic_files import naming_full_disk, sqlite_code, sync
from simsearch.library.format.channel import Channel
from simsearch.library.format.commit import Change, Mask, State
from simsearch.library.format.layout import LOGS, MANIFEST, data_in, is_half_made, require_alone, require_file
from simsearch.library.format.manifest_values import ManifestValues
from simsearch.library.format.seal import is_broken, seal

FORMAT = 1
"""The version written, and the newest that is read; a manifest without one is of the first."""
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
_MOST_VALUE = 1 << 28  # bytes of one value: a bitmap of 2^31 items
_PROGRAMS = "SELECT name FROM sqlite_master WHERE type IN ('view', 'trigger') OR sql LIKE 'CREATE VIRTUAL%'"
_READ_ONLY = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}

_UNSEALED = "does not say what was committed: its seal differs"


class Manifest:
    """The manifest of the library in a folder; every call opens and closes the file."""

    def __init__(self, folder: Path, name: str = MANIFEST) -> None:
        self.path = folder / name

    def create(self, channels: Sequence[Channel], *, generation: int = 0) -> None:
        """Write the manifest of an empty library; after a repair commits continue from a generation."""
        with naming_full_disk(self.path), self._connect("rwc") as db:
            db.execute("PRAGMA journal_mode = WAL")
            with _transaction(db):
                for statement in filter(str.strip, _TABLES.split(";")):
                    db.execute(statement)
                facts = {"format": FORMAT, "uuid": uuid.uuid4().hex, "generation": generation, "next_id": 0}
                db.executemany("INSERT INTO meta VALUES (?, ?)", list(facts.items()))
                for channel in channels:
                    _add_channel(db, channel)
                seal(db)
        sync(self.path.parent)

    def exists(self) -> bool:
        """Return whether a library was ever committed here."""
        with suppress(LibraryNotFound):
            self.read()
            return True
        return False

    def read(self, known: State | None = None) -> State:
        """Return the newest committed state.

        Args:
            known: The state read before; returned as it is when nothing was committed since.

        Raises:
            LibraryNotFound: There is none, nor anything that it would name.
            LibraryDamaged: The file is no manifest, holds a value that no library writes, or is lost while segments are
                there.
            LibraryTooNew: It is of a later version.
        """
        with self.reading() as db:
            try:
                db.execute("BEGIN")
                return _read_state(db, self.path, known)
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):
                    raise self._nothing_in(db) from error
                raise

    def check(self) -> list[str]:
        """Return SQLite's faults of the file, and whether it holds what was committed.

        Raises:
            LibraryDamaged: SQLite cannot read it at all.
        """
        with self.reading() as db:
            found = [str(row[0]) for row in db.execute("PRAGMA integrity_check")]
            problems = [f"{self.path}: {line}" for line in found if line != "ok"]
            if not problems and is_broken(db):
                problems.append(f"{self.path} {_UNSEALED}")
        return problems

    def require_sealed(self) -> None:
        """Require that the manifest holds what was committed.

        Raises:
            LibraryDamaged: It does not; nothing may be changed on its word.
        """
        with self.reading() as db:
            _require_sealed(db, self.path)

    def dropped(self) -> frozenset[str]:
        """Return the segments that the last dropping commit dropped: their folders may be deleted."""
        with self.reading() as db:
            row = db.execute("SELECT value FROM meta WHERE key = 'dropped'").fetchone()
        return frozenset() if row is None else frozenset(str(row[0]).split())

    def commit(self, change: Change) -> State:
        """Make a change durable, all of it or none, and return the state after it.

        Raises:
            StorageFull: There is no room; nothing changed.
            LibraryDamaged: What is there cannot be read; nothing changed.
        """
        with _naming_faults(self.path), self._connect("rw") as db:
            self._apply(db, change)
            return _read_state(db, self.path)

    def _apply(self, db: sqlite3.Connection, change: Change) -> None:
        with _transaction(db):
            _require_sealed(db, self.path)  # a commit would seal what was damaged
            for root in change.roots:
                db.execute("INSERT OR IGNORE INTO roots (path) VALUES (?)", (root,))
            for root in change.unrooted:
                db.execute("DELETE FROM roots WHERE path = ?", (root,))
            if change.channel is not None:
                _add_channel(db, change.channel)
            for segment in change.new:
                row = (segment.uuid, segment.rank, segment.items, _packed(segment.removed))
                db.execute("INSERT INTO segments VALUES (?, ?, ?, ?)", row)
                rows = [(segment.uuid, file.name, file.bytes, file.sha256) for file in segment.files]
                db.executemany("INSERT INTO files VALUES (?, ?, ?, ?)", rows)
            for name, mask in change.removed.items():
                db.execute("UPDATE segments SET removed = ? WHERE uuid = ?", (_packed(mask), name))
            for name in change.dropped:
                db.execute("DELETE FROM files WHERE segment = ?", (name,))
                db.execute("DELETE FROM segments WHERE uuid = ?", (name,))
            if change.dropped:
                db.execute("INSERT OR REPLACE INTO meta VALUES ('dropped', ?)", (" ".join(change.dropped),))
            db.execute("UPDATE meta SET value = ? WHERE key = 'next_id'", (change.next_id,))
            db.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
            seal(db)

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Give a transaction for what the manifest keeps beside the segments; durable when the block ends, or undone.

        Raises:
            StorageFull: There is no room; nothing changed.
            LibraryDamaged: What is there cannot be read; nothing changed.
            LibraryLocked: Another program holds it for too long.
        """
        self.read()
        with _naming_faults(self.path), self._connect("rw") as db, _transaction(db):
            yield db

    def erase(self) -> None:
        """Erase from disk what the manifest no longer holds.

        Raises:
            StorageFull: There is no room for that; the current state is kept.
            LibraryLocked: A reader holds an old state of it for too long.
        """
        with naming_full_disk(self.path), self._connect("rw") as db:
            db.execute("VACUUM")
            busy, *_ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise LibraryLocked(f"{self.path} is being read, and its log cannot be erased; run the same command again")

    @contextmanager
    def _connect(self, mode: str) -> Iterator[sqlite3.Connection]:
        self._require_own()
        require_alone(self.path)
        with closing(self._opened(f"mode={mode}")) as db:
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA secure_delete = ON")
            yield db

    def _opened(self, options: str) -> sqlite3.Connection:
        address = f"{self.path.absolute().as_uri()}?{options}"
        db = sqlite3.connect(address, uri=True, timeout=_PATIENCE_S, isolation_level=None)
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_VALUE)
        return db

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection for reading.

        Raises:
            LibraryNotFound: There is no manifest, nor anything that it would name.
            LibraryDamaged: It cannot be read, or holds a view or a trigger.
        """
        self._require_own()
        if not self.path.exists():
            raise self._nothing_in(None)
        try:
            with _naming_faults(self.path), closing(self._readable()) as db:
                if program := db.execute(_PROGRAMS).fetchone():  # it may never end, and no library has one
                    name = str(program[0])[:60]
                    raise LibraryDamaged(f"{self.path} is damaged: it holds the view or trigger {name!r}")
                yield db
        except LibraryTooNew:
            raise
        except LibraryDamaged as error:
            cure = f"`simsearch repair --library {self.path.parent}`"
            if cure in str(error) or not data_in(self.path.parent):
                raise
            raise LibraryDamaged(f"{error}; {cure} makes it again from the segments") from error

    def _require_own(self) -> None:
        for name in (MANIFEST, *LOGS):
            require_file(self.path.with_name(name))

    def _nothing_in(self, db: sqlite3.Connection | None) -> LibraryError:
        """Return the error for a missing or empty manifest: damage wherever a library was."""
        empty = db is None or (is_half_made(self.path) and not db.execute("SELECT 1 FROM sqlite_master").fetchone())
        lost = data_in(self.path.parent)
        if empty and not lost:
            where = shown(str(self.path.parent), 150)
            return LibraryNotFound(
                f"there is no library in {where}; make one with `simsearch index PATH --library DIR`"
            )
        what = "is missing" if db is None else "is empty" if empty else "is no manifest of a library"
        cure = f"; `simsearch repair --library {self.path.parent}` makes it again from them" if lost else ""
        held = f", and {len(lost)} segments and index files are there" if lost else ""
        return LibraryDamaged(f"{self.path} {what}{held}{cure}")

    def _readable(self) -> sqlite3.Connection:
        """Return a connection for reading, also on a full or read-only disk if no log waits to be replayed."""
        db = self._opened("mode=rw")
        try:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return db
        except BaseException as error:
            db.close()
            log = self.path.with_name(self.path.name + "-wal")
            waits = log.exists() and log.stat().st_size > 0
            if waits or not isinstance(error, sqlite3.OperationalError) or sqlite_code(error) not in _READ_ONLY:
                raise
        return self._opened("mode=ro&immutable=1")


@contextmanager
def _naming_faults(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into errors of the library."""
    try:
        with naming_full_disk(path):
            yield
    except sqlite3.Error as error:
        if sqlite_code(error) in _BUSY:
            raise LibraryLocked(f"{path} is held by another program: {error}; try again") from error
        if sqlite_code(error) in _READ_ONLY:
            raise LibraryError(f"{path} cannot be read or written: {error}") from error
        raise LibraryDamaged(f"{path} cannot be read: {error}; run `simsearch verify`") from error


def _require_sealed(db: sqlite3.Connection, path: Path) -> None:
    if is_broken(db):
        raise LibraryDamaged(f"{path} {_UNSEALED}; nothing was changed")


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
    _require_readable(meta.get("format", 1), path)
    segments = db.execute("SELECT uuid, rank, items, removed FROM segments ORDER BY rank, rowid").fetchall()
    values = ManifestValues(path)
    files = values.files(db.execute("SELECT segment, name, bytes, sha256 FROM files ORDER BY segment, name"))
    return values.state(
        meta,
        db.execute("SELECT path, number FROM roots"),
        db.execute(channels_query(db)),
        [(*row, files.get(row[0], ())) for row in segments],
    )


def _add_channel(db: sqlite3.Connection, channel: Channel) -> None:
    if "bits" not in _columns_of_channels(db):
        db.execute("ALTER TABLE channels ADD COLUMN bits INTEGER")
    (position,) = db.execute("SELECT count(*) FROM channels").fetchone()
    db.execute("INSERT INTO channels VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (position, *astuple(channel)))


def _columns_of_channels(db: sqlite3.Connection) -> set[str]:
    return {row[1] for row in db.execute("PRAGMA table_info(channels)")}


def _require_readable(version: object, path: Path) -> None:
    """Refuse the format of a later simsearch; there is no earlier one."""
    if not isinstance(version, int) or version < 1:
        raise LibraryDamaged(f"{path} states format {str(version)[:20]!r}, which no simsearch writes")
    if version > FORMAT:
        raise LibraryTooNew(
            f"{path} was made by a newer simsearch: it has format {version} and this one reads up to {FORMAT}; "
            "update simsearch"
        )


def channels_query(db: sqlite3.Connection) -> str:
    """Return what asks for the channels, in order; the first libraries have no column of code lengths."""
    columns = "name, model, fingerprint, dimension, dtype, metric, non_negative, card"
    return (
        f"SELECT {columns}, {'bits' if 'bits' in _columns_of_channels(db) else 'NULL'} FROM channels ORDER BY position"
    )


def _packed(mask: Mask | None) -> bytes | None:
    return None if mask is None or not mask.any() else zlib.compress(np.packbits(mask).tobytes(), 1)
