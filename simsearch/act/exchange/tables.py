"""Lists as text, one `type value` a line, and as CSV with a line of column names."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from simsearch.act.exchange.records import Read, short
from simsearch.errors import InputError, first_line
from simsearch.library.lists.codes import PDQ
from simsearch.library.lists.entries import Change, Entry

COLUMNS = ("type", "value", "quality", "state", "origin", "id", "time", "tags")
THREATEXCHANGE = {"pdq": "pdq", "md5": "video_md5", "sha256": "video_sha256"}
"""What the package `threatexchange` calls types."""
_LONGEST = 1 << 19  # characters of a line
_STATES = {"": False, "active": False, "withdrawn": True}


def read_text(data: bytes, *, origin: str, default: str | None = None) -> Read:
    """Return what lines say: a type and a value, or a value alone; of PDQ also its quality behind it.

    Args:
        data: Of the file.
        origin: Whose list it is.
        default: Type of lines that have none.

    Raises:
        InputError: It is no text.
    """
    read = Read()
    for number, line in enumerate(_text(data).split("\n"), 1):
        words, where = line[:_LONGEST].split(), f"line {number}"
        if not words:
            continue
        if len(words) == 1 and default is not None:
            words = [default, *words]
        pdq = words[0].lower() == PDQ
        if len(words) not in ((2, 3) if pdq else (2,)):
            read.refuse(
                where, "a line is `type value`" + ("" if default else ", or a value where --type says its type")
            )
            continue
        listed = read.listed(where, words[0], words[1], quality=words[2] if len(words) == 3 else None)
        if listed is not None:
            read.take(Change(origin, "", (listed,)))
    return read


def write_text(entries: Iterable[Entry], names: dict[str, str] | None = None) -> tuple[str, list[Entry]]:
    """Return active entries as lines, and those whose type has no name there.

    Args:
        entries: Of a list.
        names: Of types; None for ours.
    """
    lines, left = list[str](), list[Entry]()
    for entry in entries:
        name = entry.code.type if names is None else names.get(entry.code.type)
        if name is None:
            left.append(entry)
        elif not entry.withdrawn:
            lines.append(f"{name} {entry.code.value.hex()}\n")
    return "".join(lines), left


def read_csv(data: bytes, *, origin: str) -> Read:
    """Return what a CSV says by the columns type and value, and as far as there are any `COLUMNS`.

    Tags are separated by semicolons. Lines of one id and origin are one record, which lists all their codes.

    Raises:
        InputError: It is no CSV, or lacks a column.
    """
    read = Read()
    try:
        reader = csv.DictReader(io.StringIO(_text(data), newline=""), strict=True)
        rows = list(reader)
    except csv.Error as error:
        raise InputError(f"it is no CSV: {first_line(error)}") from error
    if lacking := {"type", "value"} - set(reader.fieldnames or ()):
        raise InputError(f"it has no column {', '.join(sorted(lacking))}; the first line must name type and value")
    records = dict[tuple[str, str, bool], Change]()
    for number, row in enumerate(rows, 2):
        where, cells = f"line {number}", {key: value or "" for key, value in row.items() if isinstance(value, str)}
        withdrawn = _STATES.get(cells.get("state", "").strip().lower())
        listed = read.listed(
            where, cells.get("type", ""), cells.get("value", ""), quality=cells.get("quality", "").strip()
        )
        if withdrawn is None:
            read.refuse(where, "state must be active or withdrawn")
        elif listed is not None:
            tags = tuple(tag.strip() for tag in cells.get("tags", "").split(";") if tag.strip())
            texts = [short(cells.get(name, ""), name) for name in ("origin", "id", "time")]
            change = Change(texts[0] or origin, texts[1], (listed,), texts[2], tags, withdrawn)
            key = (change.origin, change.id, withdrawn)
            if not change.id:
                read.take(change)
            elif (before := records.get(key)) is None:
                records[key] = change
            else:
                records[key] = Change(*key[:2], (*before.codes, listed), change.time, change.tags, withdrawn)
    for change in records.values():
        read.take(change)
    return read


def write_csv(entries: Iterable[Entry]) -> str:
    """Return entries as CSV, one line for each source record."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in entries:
        quality = "" if entry.quality is None else entry.quality
        for source in entry.sources:
            state = "withdrawn" if source.withdrawn else "active"
            tags = ";".join(tag.replace(";", ",") for tag in source.tags)
            cells = (entry.code.type, entry.code.value.hex(), quality, state)
            writer.writerow((*cells, source.origin, source.id, source.time, tags))
    return file.getvalue()


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise InputError(f"it is no UTF-8 text: {error}") from error
