"""Files of exchanges: told apart, taken over by a list, and written from one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from simsearch.act.exchange.hma import ORIGIN as HMA
from simsearch.act.exchange.hma import read_hma, write_hma
from simsearch.act.exchange.ncmec import ORIGIN as NCMEC
from simsearch.act.exchange.ncmec import read_ncmec, write_ncmec
from simsearch.act.exchange.records import Read, read_bytes
from simsearch.act.exchange.stopncii import ORIGIN as STOPNCII
from simsearch.act.exchange.stopncii import read_stopncii, write_stopncii
from simsearch.act.exchange.tables import THREATEXCHANGE, read_csv, read_text, write_csv, write_text
from simsearch.errors import InputError, first_line, shown
from simsearch.library.lists.codes import DIGESTS, PDQ, is_channel_type
from simsearch.library.lists.editor import Changed
from simsearch.library.lists.entries import Change, Entry, require_text
from simsearch.library.lists.image_list import ImageList
from simsearch.library.lists.store import ChannelFacts, Kind

READ = ("text", "csv", NCMEC, STOPNCII, HMA)
WRITTEN = (*READ, "threatexchange")
"""Names of formats; `threatexchange` is text with the types as the package of that name calls them."""
_ORIGIN = "file"
_HEAD = 4096


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did.

    Attributes:
        format: Of the file.
        changed: What happened to entries.
        refused: How many codes were not taken over, by the reason.
        examples: Where in the file, for each reason.
        unknown_quality: PDQ hashes of which the file does not tell the quality.
    """

    format: str
    changed: Changed
    refused: Mapping[str, int]
    examples: Mapping[str, list[str]]
    unknown_quality: int


def import_list(
    one: ImageList,
    path: str | Path,
    *,
    form: str | None = None,
    origin: str | None = None,
    default: str | None = None,
    channels: Mapping[str, ChannelFacts] | None = None,
) -> ImportReport:
    """Take over what a file of an exchange says, and return what that did; a second time it does nothing.

    Args:
        one: The list.
        path: Of the file.
        form: One of text, csv, ncmec, stopncii and hma; None tells it from the content.
        origin: What source records of text and CSV call their exchange; by default "file".
        default: Type of lines of text that have none.
        channels: Facts of a library's channels, by fingerprint, whose rows may be in the file.

    Raises:
        InputError: The file cannot be read, or is none of that format; the list is as before.
        StorageFull: The disk is full; the list is as before.
    """
    name, read = read_exchange(path, form=form, origin=origin, default=default)
    known = {**one.channels, **(channels or {})}
    changes = [_described(change, known, read) for change in read.changes]
    changed = one.apply(changes, channels)
    return ImportReport(name, changed, dict(read.refused), read.examples, read.unknown_quality)


def list_of_file(
    path: str | Path, *, kind: Kind = "block", form: str | None = None, default: str | None = None
) -> tuple[ImageList, Read]:
    """Return a list in memory of what a file of an exchange says, and what was refused.

    Raises:
        InputError: The file cannot be read, is none of that format, or lists nothing that can be used.
    """
    _, read = read_exchange(path, form=form, default=default)
    changes = [_described(change, {}, read) for change in read.changes]
    if not any(change.codes for change in changes):
        why = "; ".join(f"{many:,} refused, {reason}" for reason, many in read.refused.items())
        raise InputError(
            f"{shown(str(path))} lists nothing that pictures could be compared with: {why or 'it is empty'}"
        )
    return ImageList.of(Path(os.fsdecode(path)).name, changes, kind=kind), read


def read_exchange(
    path: str | Path, *, form: str | None = None, origin: str | None = None, default: str | None = None
) -> tuple[str, Read]:
    """Return the name of a file's format, and what it says.

    Raises:
        InputError: It cannot be read, or is none of that format.
    """
    if default is not None and not is_channel_type(default) and default not in {PDQ, *DIGESTS}:
        raise InputError(f"type {shown(default)} is not known; use {', '.join((PDQ, *DIGESTS))}")
    where, data = Path(os.fsdecode(path)), read_bytes(Path(os.fsdecode(path)))
    name = form or told(data)
    source = require_text(origin or _ORIGIN, "origin", 100)
    try:
        if name == NCMEC:
            return name, read_ncmec(data)
        if name == STOPNCII:
            return name, read_stopncii(data)
        if name == HMA:
            return name, read_hma(data)
        if name == "csv":
            return name, read_csv(data, origin=source)
        if name in {"text", "threatexchange"}:
            return "text", read_text(data, origin=source, default=default)
    except InputError as error:
        raise InputError(f"{shown(str(where))} cannot be read as {name}: {error}") from error
    raise InputError(f"format {shown(name)} is not known; use {', '.join(READ)}")


def told(data: bytes) -> str:
    """Return the format of a file by how it begins.

    Example:
        >>> told(b"pdq f8f8"), told(b"type,value"), told(b"<queryResult>"), told(b'{"hashRecords": []}')
        ('text', 'csv', 'ncmec', 'stopncii')
    """
    head = data[:_HEAD].removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"<"):
        return NCMEC
    if head.startswith((b"{", b"[")):
        return STOPNCII if b'"hashRecords"' in data or b'"hashValue"' in head else HMA
    columns = head.split(b"\n", 1)[0].lower().replace(b'"', b"").split(b",")
    return "csv" if {b"type", b"value"} <= {column.strip() for column in columns} else "text"


def export_list(one: ImageList, path: str | Path, *, form: str, member: str = "0") -> tuple[int, Mapping[str, int]]:
    """Write a list as a file of an exchange.

    Withdrawn entries go along where the format has a form for them (csv, ncmec, stopncii), as tombstones.

    Args:
        one: The list.
        path: A new file.
        form: text, csv, ncmec, stopncii, hma, or threatexchange (text, as that package names types).
        member: For ncmec, the id under which entries stand that do not come from there.

    Returns:
        Entries that were written, and how many were left out by their type, for which the format has no form.

    Raises:
        InputError: There is no such format, the file is there already, or cannot be written.
    """
    if form not in WRITTEN:
        raise InputError(f"format {shown(form)} is not known; use {', '.join(WRITTEN)}")
    tombstones = form in {"csv", NCMEC, STOPNCII}
    entries = list(one.entries(withdrawn=tombstones))
    if form == "csv":
        text, left = write_csv(entries), list[Entry]()
    elif form == NCMEC:
        text, left = write_ncmec(entries, member=member)
    elif form == STOPNCII:
        text, left = write_stopncii(entries)
    elif form == HMA:
        text, left = write_hma(entries)
    else:
        text, left = write_text(entries, THREATEXCHANGE if form == "threatexchange" else None)
    write_new(path, text)
    kinds = dict[str, int]()
    for entry in left:
        kinds[entry.code.type] = kinds.get(entry.code.type, 0) + 1
    return len(entries) - len(left), kinds


def write_new(path: str | Path, text: str) -> None:
    """Write a new file, whole or not at all.

    Raises:
        InputError: It is there already, or cannot be written.
    """
    where = Path(os.fsdecode(path))
    half = where.with_name(f".{where.name}.{os.getpid()}.half")
    try:
        with half.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(half, where)
    except FileExistsError as error:
        raise InputError(f"{shown(str(where))} is there already: give a new name") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{shown(str(where))} cannot be written: {first_line(error)}") from error
    finally:
        half.unlink(missing_ok=True)


def _described(change: Change, known: Mapping[str, ChannelFacts], read: Read) -> Change:
    """Return a change without rows of channels that nobody here describes, which are refused."""
    kept = []
    for listed in change.codes:
        kind = listed.code.type
        facts = known.get(kind.partition(":")[2])
        if is_channel_type(kind) and facts is None:
            read.refuse(str(listed.code)[:100], "rows of a model that is no channel of this library")
        elif is_channel_type(kind) and facts is not None and len(listed.code.value) != facts.row_bytes:
            read.refuse(str(listed.code)[:100], f"a row of {facts.model} has {facts.row_bytes} bytes")
        else:
            kept.append(listed)
    return change if len(kept) == len(change.codes) else replace(change, codes=tuple(kept))
