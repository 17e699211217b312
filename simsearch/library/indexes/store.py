"""The folder `indexes` of a library: FAISS files and their records; a cache that can always be rebuilt.

An index is two files: the index itself, and a JSON file of the same name, written last: channel, metric, the segments
that it was built over in their order, size and SHA-256, and the curve of its recall. What no JSON file names does not
exist. Removed items stay in an index and are skipped by a search; items that came later are
searched beside it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from simsearch.errors import IndexFailed, InputError, LibraryDamaged, SimsearchError
from simsearch.library.format.atomic_files import HALF, digest, fault, naming_full_disk, read_file, sync
from simsearch.library.format.layout import INDEXES, is_index_name, require_file, require_folder
from simsearch.library.format.snapshot import Snapshot
from simsearch.library.indexes.record import IndexRecord

if TYPE_CHECKING:
    from simsearch.search.indexes.gpu_limits import Gpus
    from simsearch.search.indexes.index import Index

_SUFFIX, _TOLD = ".faiss", ".json"
_MAPPED_FROM = 4 << 30  # bytes above which an index is memory-mapped


def records(folder: Path) -> tuple[IndexRecord, ...]:
    """Return the indexes in a library's folder whose record can be read, the newest first.

    Raises:
        LibraryDamaged: A link or the like has the name of one of our files.
    """
    found = []
    told = [path for path in _ours(folder) if path.suffix == _TOLD]
    for path in sorted(told, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        try:
            found.append(_read(path))
        except SimsearchError:
            continue  # reported by `problems`
    return tuple(found)


def opened(folder: Path, record: IndexRecord, gpus: Gpus | None = None) -> Index:
    """Open an index, its SHA-256 checked; of a very large one only its size, and on a CPU it is memory-mapped.

    Raises:
        IndexFailed: It is missing or damaged; `simsearch optimize` builds it again.
    """
    from simsearch.search.indexes.index import read

    path = folder / INDEXES / record.file
    mapped = record.bytes >= _MAPPED_FROM
    if wrong := damage(folder, record, deep=not mapped):
        raise IndexFailed(f"{wrong}; `simsearch optimize` builds it again")
    index = read(path, record.spec, device=gpus, mapped=mapped)
    if index.count != record.rows:
        index.close()
        raise IndexFailed(f"{path} holds {index.count} rows, not {record.rows}; `simsearch optimize` builds it again")
    return index


def damage(folder: Path, record: IndexRecord, *, deep: bool) -> str | None:
    """Return what is wrong with an index's file, None for nothing; read whole if `deep`, else for its size alone."""
    return fault(folder / INDEXES / record.file, record.bytes, record.sha256, deep=deep)


def discard(folder: Path, record: IndexRecord) -> None:
    """Remove an index."""
    for name in (_told_name(record.file), record.file):
        (folder / INDEXES / name).unlink(missing_ok=True)


def problems(folder: Path, snapshot: Snapshot, *, deep: bool) -> Iterator[str]:
    """Yield the faults of the indexes, one line each; `simsearch optimize` repairs all of them."""
    for path in (path for path in _ours(folder) if path.suffix == _TOLD):
        try:
            record = _read(path)
        except SimsearchError as error:
            yield f"{path} cannot be read as the description of an index: {error}; `simsearch optimize` removes it"
            continue
        if wrong := damage(folder, record, deep=deep):
            yield f"{wrong}; `simsearch optimize` builds it again"
        elif record.covers(snapshot) and not record.fits(snapshot):
            yield f"{path} does not fit the segments that it names; `simsearch optimize` builds it again"


def sweep(folder: Path) -> list[str]:
    """Remove the leftovers of interrupted builds and records that cannot be read, and return their names."""
    kept = {name for record in records(folder) for name in (record.file, _told_name(record.file))}
    gone = [path for path in _ours(folder) if path.name not in kept]
    for path in gone:
        path.unlink(missing_ok=True)
    return [f"{INDEXES}/{path.name}" for path in gone]


def keep(folder: Path, index: Index, record: IndexRecord) -> IndexRecord:
    """Write an index and then its record, each atomically; remove older ones for channel and metric.

    Args:
        folder: The library's.
        index: To be written.
        record: Of the index; its file's name, size and SHA-256 are filled in.
    """
    home = folder / INDEXES
    require_folder(home)
    name = f"{record.channel}-{record.metric}-{uuid.uuid4().hex[:12]}{_SUFFIX}"
    if not is_index_name(name):
        raise LibraryDamaged(f"no file can be called {name[:60]!r}: channel or metric are none of ours")
    path, told = home / name, home / _told_name(name)
    half, half_told = path.with_name(name + HALF), told.with_name(told.name + HALF)
    try:
        with naming_full_disk(folder):
            home.mkdir(exist_ok=True)
            index.write(half)
            sync(half)
            kept = replace(record, file=name, bytes=half.stat().st_size, sha256=digest(half))
            half_told.write_text(json.dumps(kept.as_json(), indent=1) + "\n", encoding="utf-8")
            sync(half_told)
            half.rename(path)
            half_told.rename(told)
            sync(home)
    except BaseException:
        for left in (half, half_told, *(() if told.exists() else (path,))):
            left.unlink(missing_ok=True)
        raise
    for old in records(folder):
        if (old.channel, old.metric) == (kept.channel, kept.metric) and old.file != kept.file:
            discard(folder, old)
    return kept


def _ours(folder: Path) -> list[Path]:
    """Return our files among the indexes, in order; other names are ignored."""
    require_folder(folder / INDEXES)
    found = [path for path in sorted((folder / INDEXES).glob("*")) if is_index_name(path.name)]
    for path in found:
        require_file(path)
    return found


def _told_name(file: str) -> str:
    return file.removesuffix(_SUFFIX) + _TOLD


def _read(path: Path) -> IndexRecord:
    try:
        values = json.loads(read_file(path))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(str(error)) from error
    record = IndexRecord.of_json(values)
    if _told_name(record.file) != path.name or not is_index_name(record.file):
        raise InputError(f"it speaks of {record.file}")
    return record
