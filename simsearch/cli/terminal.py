"""What reaches the user: results on stdout, everything else on stderr; names escaped, markup never interpreted."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def tolerate_any_name() -> None:
    """Let both streams write any character, escaped where the terminal's encoding lacks it."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def escaped(text: str) -> str:
    r"""Return text on one line without control characters.

    Example:
        >>> escaped("two\nlines [red]x")
        'two\\nlines [red]x'
    """
    from simsearch.images.source import printable

    return printable(os.fsencode(text))


def show(line: str = "") -> None:
    """Print one line of a result."""
    print(escaped(line))


def note(line: str) -> None:
    """Print one line that is no result, on stderr."""
    print(escaped(line), file=sys.stderr, flush=True)


def note_swept(names: Iterable[str]) -> None:
    """Say on stderr what a command removed because an interrupted one had left it."""
    for name in names:
        note(f"removed {name}, which an interrupted command had left")


def show_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object as one line of ASCII, its first key the schema's version."""
    print(json.dumps({"schema": 1, **value}, allow_nan=False))


def show_columns(rows: Iterable[Sequence[object]], *, indent: int = 2, right: Sequence[int] = ()) -> None:
    """Print rows as aligned columns; those numbered in `right` are set flush right."""
    cells = [[escaped(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = [
            cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        print((" " * indent + "  ".join(padded)).rstrip())


def path_fields(key: str, path: str | bytes | None) -> dict[str, str | None]:
    r"""Return a path for JSON: itself where it is UTF-8; else a printable form, and the bytes as `<key>_b64`.

    Example:
        >>> path_fields("path", b"a/\xff.jpg")
        {'path': 'a/\\xff.jpg', 'path_b64': 'YS//LmpwZw=='}
    """
    if path is None:
        return {key: None}
    raw = os.fsencode(path)
    try:
        return {key: raw.decode()}
    except UnicodeDecodeError:
        return {key: escaped(os.fsdecode(raw)), f"{key}_b64": base64.b64encode(raw).decode()}


def size(count: float) -> str:
    """Return a number of bytes for people.

    Example:
        >>> size(1536)
        '1.5 KiB'
    """
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
