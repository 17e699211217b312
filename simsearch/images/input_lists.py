"""Lists of inputs: paths by lines or by zero bytes, or a CSV whose other columns are kept; each list is read once."""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from simsearch.errors import InputError, shown
from simsearch.images.paths import PathLike, absolute, is_remote, raw
from simsearch.images.source import reason

# UTF-32 first: its mark begins as that of UTF-16 does.
_WIDE = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_SEPARATORS = (",", ";", "\t")  # spreadsheets write what their country is used to
_TABLES = (b".csv", b".tsv")
_DESCRIPTORS = (b"/dev/", b"/proc/")  # a list of such a name lies in no folder that a path could be relative to


@dataclass(frozen=True, slots=True)
class ListEntry:
    """One line of a list.

    Attributes:
        root: The list's folder, or `/` for a path that does not lie below it; of an object its bucket, as `s3://photos`.
        name: The path below the root, normalised; empty for the root itself.
        owner: The `owner` column, or None.
        attributes: The other columns, as JSON, or None when there are none.
        line: Where it stands in the list, from 1.
    """

    root: bytes
    name: bytes
    owner: str | None = None
    attributes: str | None = None
    line: int = 0


def read_list(path: PathLike) -> list[ListEntry]:
    """Return the entries of a list in its own order; blank lines are skipped, no character but line ends is special.

    Relative paths are relative to the folder of the list; in a pipe, a fifo or a file of `/dev` to the current folder.

    Raises:
        InputError: The list cannot be read, or a CSV has no `path` column or a line without a path; the list and the
            line are named.
    """
    name = absolute(raw(path, "name of a list"))
    try:
        data, regular = _read(name)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the list {shown(name)}: {reason(error)}") from error
    if not regular or name.startswith(_DESCRIPTORS):
        return entries_of(data, shown(name))
    folder = os.path.dirname(name)  # noqa: PTH120
    return entries_of(data, shown(name), folder=folder, is_csv=name.lower().endswith(_TABLES))


def read_stdin() -> list[ListEntry]:
    """Return the entries of the list on standard input, its paths relative to the current folder.

    Raises:
        InputError: As `read_list`.
    """
    return entries_of(sys.stdin.buffer.read(), "standard input")


def _read(name: bytes) -> tuple[bytes, bool]:
    """Return the bytes of a list, and whether it is a regular file; a pipe is opened and read only once."""
    with open(name, "rb") as file:  # noqa: PTH123
        status = os.fstat(file.fileno())
        device = stat.S_ISBLK(status.st_mode) or stat.S_ISCHR(status.st_mode)
        if device and not (file.isatty() or status.st_rdev == os.stat(os.devnull).st_rdev):  # noqa: PTH116
            raise InputError(f"{shown(name)} is a device, not a list; give a file or a pipe")
        return file.read(), stat.S_ISREG(status.st_mode)


def entries_of(data: bytes, name: str, *, folder: bytes | None = None, is_csv: bool | None = None) -> list[ListEntry]:
    """Return the entries of a list's bytes.

    Args:
        data: UTF-8 or any other bytes, which paths are kept as; or UTF-16.
        name: What messages call the list.
        folder: What relative paths are relative to; None is the current one.
        is_csv: Whether it has columns; None tells it from a first line of several, one of them `path`.

    Raises:
        InputError: A CSV has no `path` column, a line without a path, or quotes that do not end.
    """
    data = _narrow(data)
    folder = absolute(b".") if folder is None else folder
    text = data.decode(errors="surrogateescape")
    if not (_has_columns(text) if is_csv is None else is_csv):
        lines = enumerate(_lines(data, name), 1)
        return [_entry(folder, line, number) for number, line in lines if line.strip()]
    try:
        return list(_csv_entries(text, name, folder))
    except csv.Error as error:
        raise InputError(f"cannot read the list {name}: {error}") from error


def _narrow(data: bytes) -> bytes:
    """Return the list in UTF-8 or whatever bytes it holds, without a mark."""
    if data in _WIDE:
        return b""
    for mark, encoding in _WIDE.items():
        # A name may begin with the bytes of the mark; a list of such names has no zero bytes, UTF-16 is full of them.
        if data.startswith(mark) and b"\0" in data:
            return data.decode(encoding, "replace").encode()
    unmarked = _unmarked(data)
    return data.decode(unmarked).encode() if unmarked else data.removeprefix(codecs.BOM_UTF8)


def _unmarked(data: bytes) -> str | None:
    """Decode UTF-16 without a mark: most second bytes are zero, and those beside them are of paths or lines.

    Names of one letter, each ended by a zero byte, look so too; but no such name is a slash, a dot or a line end.
    """
    for low, encoding in ((0, "utf-16-le"), (1, "utf-16-be")):
        high = data[1 - low :: 2]
        marks = {mark for mark, zero in zip(data[low::2], high, strict=False) if zero == 0}
        enough = 0.5 if marks & set(b"\r\n") else 0.75  # `find -print0` may give one of `.`, `./a`: two thirds
        if len(data) % 2 or high.count(0) <= enough * len(high) or 0 in marks or not marks & set(b"/.\r\n"):
            continue
        try:
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return None


def _by_zero(data: bytes, name: str) -> list[bytes]:
    names = data.split(b"\0")
    if b"/" in names and any(path and not path.startswith(b"/") for path in names):
        line = names.index(b"/") + 1
        raise InputError(f"{name}, name {line}: `/` alone among relative names; is it UTF-16? convert it to UTF-8")
    return names


def _lines(data: bytes, name: str) -> Iterable[bytes]:
    """Return names separated by zero bytes, as by `find -print0`, by line ends, or by the CR of old tools."""
    if data.endswith(b"\0") or (b"\0" in data and b"\n" not in data):
        return _by_zero(data, name)
    if b"\n" not in data:
        return data.split(b"\r")
    return (line.removesuffix(b"\r") for line in data.split(b"\n"))


def _entry(folder: bytes, path: bytes, line: int, owner: str | None = None, attributes: str | None = None) -> ListEntry:
    whole = absolute(path, folder)
    if is_remote(whole):
        scheme, mark, rest = whole.partition(b"://")
        bucket, _, name = rest.partition(b"/")
        return ListEntry(scheme + mark + bucket, name, owner, attributes, line)
    above = folder.rstrip(b"/") + b"/"
    root = folder if (whole + b"/").startswith(above) else b"/"
    return ListEntry(root, whole[len(root.rstrip(b"/")) + 1 :], owner, attributes, line)


def _csv_entries(text: str, name: str, folder: bytes) -> Iterator[ListEntry]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, delimiter=_separator(text))
    try:
        if "path" not in (reader.fieldnames or ()):
            raise InputError(f"{name} has no column `path`; its first line must name the columns")
        for row in reader:
            if not any(row.values()):  # as spreadsheets write empty rows
                continue
            path = row.pop("path")
            if not path:
                raise InputError(f"{name}, line {reader.line_num}: no path")
            row.pop(None, None)
            owner = _kept(row.pop("owner", None)) or None
            rest = {_kept(key): _kept(value) for key, value in row.items()}
            attributes = json.dumps(rest, sort_keys=True) if rest else None
            yield _entry(folder, path.encode(errors="surrogateescape"), reader.line_num, owner, attributes)
    except csv.Error as error:
        raise csv.Error(f"the row from line {reader.line_num + 1}: {error}") from error


def _separator(text: str) -> str:
    """Return the delimiter: a comma, unless the first line has a column `path` only by another."""
    return next((mark for mark in _SEPARATORS if "path" in _heads(text, mark)), ",")


def _has_columns(text: str) -> bool:
    return any("path" in heads and len(heads) > 1 for heads in (_heads(text, mark) for mark in _SEPARATORS))


def _heads(text: str, mark: str) -> list[str]:
    first = re.split(r"[\r\n]", text, maxsplit=1)[0]
    return [head.strip('"') for head in first.split(mark)]


def _kept(value: str | None) -> str | None:
    """Return a cell as text that can be kept anywhere; bytes that are not UTF-8 are escaped."""
    return None if value is None else value.encode(errors="surrogateescape").decode(errors="backslashreplace")
