"""The folder `lists` of a library: each list is one Arrow file with a seal, replaced as a whole."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa

from simsearch.errors import InputError, LibraryDamaged, LibraryLocked, SimsearchError, first_line, shown
from simsearch.library.format.atomic_files import HALF, mappable, naming_full_disk, read_file, replacing
from simsearch.library.format.channel import DTYPES
from simsearch.library.format.layout import LISTS, is_list_file, require_file, require_folder
from simsearch.library.format.lock import writer_lock
from simsearch.library.format.seal import sealed, unsealed
from simsearch.library.lists.codes import CHANNEL
from simsearch.library.lists.columns import SCHEMA, require_sound

Kind = Literal["block", "allow"]
FORMAT = 1
LOCK = "writer.lock"
ENTRIES, SEEN, RATES = ".arrow", ".seen.json", ".rates.json"
"""Suffixes of a list's files: its entries, how often they were seen, and its own rates of strangers."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_HEADER, _SEAL = b"simsearch.list", b"simsearch.seal"
_WAIT_S, _STEP_S = 20.0, 0.05  # for another process that changes a list


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """What a list keeps of a channel, so that its rows can be compared without the library.

    Attributes:
        model: The extractor's name.
        dimension: Values of a row, or bytes of a code.
        dtype: Of the rows.
        metric: The distance.
        bits: Of a code that does not fill its last byte.
    """

    model: str
    dimension: int
    dtype: str
    metric: str
    bits: int | None = None

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.dimension * np.dtype(DTYPES[self.dtype]).itemsize


@dataclass(frozen=True, slots=True)
class Header:
    """What a list is.

    Attributes:
        kind: Whether it accuses or excuses.
        prevalence: Share of checked pictures in which one entry may truly be met, above chance.
        next_id: Of the next entry.
        channels: Facts of the channels whose rows it holds, by fingerprint.
    """

    kind: Kind
    prevalence: float
    next_id: int = 0
    channels: Mapping[str, ChannelFacts] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        channels = {
            key: {
                "model": one.model,
                "dimension": one.dimension,
                "dtype": one.dtype,
                "metric": one.metric,
                "bits": one.bits,
            }
            for key, one in sorted(self.channels.items())
        }
        facts = {"kind": self.kind, "prevalence": self.prevalence, "next_id": self.next_id, "channels": channels}
        return {"format": FORMAT, **facts}


def require_name(name: str) -> str:
    """Return the name of a list.

    Raises:
        InputError: It is none.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(f"{shown(name)} is no name of a list: use letters, digits, _ and -, at most 64")
    return name


def names(folder: Path) -> list[str]:
    """Return the names of a library's lists, in order."""
    home = folder / LISTS
    require_folder(home)
    found = (path.name for path in home.glob(f"*{ENTRIES}"))
    return sorted(name.removesuffix(ENTRIES) for name in found if is_list_file(name))


@contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """Hold the lock of a library's lists, and yield their folder; another process is waited for, some seconds.

    Raises:
        LibraryLocked: It goes on.
        StorageFull: The disk is full; the lists are as before.
    """
    home = folder / LISTS
    with naming_full_disk(folder):
        require_folder(home)
        home.mkdir(exist_ok=True)
        until = time.monotonic() + _WAIT_S
        while True:
            try:
                with writer_lock(home / LOCK):
                    for path in home.iterdir():
                        if path.name.endswith(HALF) and is_list_file(path.name) and not path.is_symlink():
                            path.unlink()  # of a dead writer: what was purged must not stay
                    yield home
                return
            except LibraryLocked:
                if time.monotonic() > until:
                    raise
                time.sleep(_STEP_S)


def write_entries(home: Path, name: str, header: Header, table: pa.Table) -> None:
    """Put a list's entries in place of older ones."""
    facts = json.dumps(header.to_dict(), sort_keys=True)
    metadata = {_HEADER: facts.encode(), _SEAL: _seal(facts, table).encode()}
    schema, path = SCHEMA.with_metadata(metadata), home / f"{name}{ENTRIES}"
    with replacing(path) as half, half.open("xb") as file, pa.ipc.new_file(file, schema) as writer:
        writer.write_table(table.cast(SCHEMA).replace_schema_metadata(metadata))


def write_json(home: Path, file: str, fields: dict[str, Any]) -> None:
    """Put a sealed JSON file in place of an older one."""
    with replacing(home / file) as half:
        half.write_text(json.dumps(sealed({"format": FORMAT, **fields})) + "\n", encoding="utf-8")


def read_entries(folder: Path, name: str) -> tuple[Header, pa.Table]:
    """Return what a list is, and its entries.

    Raises:
        InputError: There is no such list.
        LibraryDamaged: The file is not what was written.
    """
    path = folder / LISTS / f"{require_name(name)}{ENTRIES}"
    require_folder(path.parent)
    require_file(path)
    if not path.exists():
        there = ", ".join(names(folder)) or "none"
        raise InputError(f"there is no list {name} in {folder}, which has {there}: `simsearch list create {name}`")
    try:
        return _read_entries(path)
    except SimsearchError as error:
        raise LibraryDamaged(
            f"{path}: {error}; put a copy back, or import the list again under another name"
        ) from error


def read_json(folder: Path, file: str) -> dict[str, Any] | None:
    """Return what a sealed JSON file says; None where there is none.

    Raises:
        LibraryDamaged: It is not what was written.
    """
    path = folder / LISTS / file
    require_folder(path.parent)
    require_file(path)
    if not path.exists():
        return None
    try:
        values: Any = json.loads(read_file(path))
    except (OSError, ValueError, RecursionError) as error:
        raise LibraryDamaged(f"{path}: {error}; remove the file, which begins the counts anew") from error
    try:
        fields = unsealed(values)
    except InputError as error:
        raise LibraryDamaged(f"{path}: {error}; remove the file") from error
    if fields.pop("format", None) != FORMAT:
        raise LibraryDamaged(f"{path}: it is of another version of simsearch; remove the file")
    return fields


def problems(folder: Path) -> Iterator[str]:
    """Yield the faults of a library's lists, one line each."""
    home = folder / LISTS
    require_folder(home)
    for path in sorted(home.glob("*")):
        if not is_list_file(path.name):
            continue
        try:
            if path.name.endswith(HALF):
                yield f"{path} was left by an interrupted command; the next change of a list removes it"
            elif path.name.endswith(ENTRIES):
                read_entries(folder, path.name.removesuffix(ENTRIES))
            elif path.name != LOCK:
                read_json(folder, path.name)
        except SimsearchError as error:
            yield str(error)


def _read_entries(path: Path) -> tuple[Header, pa.Table]:
    try:
        with mappable(path) as file, pa.memory_map(file) as source:
            table = pa.ipc.open_file(source).read_all()
        metadata = table.schema.metadata or {}
        facts = metadata[_HEADER].decode()
        if not table.schema.remove_metadata().equals(SCHEMA):
            raise LibraryDamaged("its columns are not those of a list")
        table.validate(full=True)
        seal = metadata[_SEAL].decode()
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise LibraryDamaged(f"it is no list: {first_line(error)}") from error
    if seal != _seal(facts, table):
        raise LibraryDamaged("it is not what was written: its seal differs")
    header = _header(facts)
    sizes = {f"{CHANNEL}{key}": one.row_bytes for key, one in header.channels.items()}
    require_sound(table, sizes)
    return header, table


def _header(text: str) -> Header:
    try:
        values = json.loads(text)
        if values["format"] != FORMAT or values["kind"] not in get_args(Kind):
            raise LibraryDamaged("it is of another version of simsearch")
        channels = {key: ChannelFacts(**one) for key, one in values["channels"].items()}
        return Header(values["kind"], float(values["prevalence"]), int(values["next_id"]), channels)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LibraryDamaged(f"it is no list: {first_line(error)}") from error


def _seal(facts: str, table: pa.Table) -> str:
    """Return the SHA-256 of all that a list says, however Arrow lays it out."""
    seal = hashlib.sha256(facts.encode())
    for each in SCHEMA:
        column = table.column(each.name)
        if not (pa.types.is_large_binary(each.type) or pa.types.is_large_string(each.type)):
            seal.update(np.ascontiguousarray(column.to_numpy()).tobytes())
            continue
        chunks = [chunk for chunk in column.chunks if len(chunk)]
        ends = [np.frombuffer(chunk.buffers()[1], np.int64)[chunk.offset :][: len(chunk) + 1] for chunk in chunks]
        for offsets in ends:
            seal.update(np.diff(offsets).tobytes())
        for chunk, offsets in zip(chunks, ends, strict=True):
            seal.update(memoryview(chunk.buffers()[2] or b"")[int(offsets[0]) : int(offsets[-1])])
    return seal.hexdigest()
