"""Output to the user: results on stdout, everything else on stderr; names escaped, markup never interpreted."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, TextIO

from simsearch.cli.exit_codes import FAILED

QUIET = ContextVar("quiet", default=False)
"""Whether the command prints its results alone."""
LONGEST = 1500  # characters of an error


class ReaderGone(Exception):
    """The reader of standard output has gone, as `head` does."""


def open_streams() -> None:
    """Open both streams for any character, escaped where the terminal's encoding lacks it.

    One that the caller closed becomes a stream to nowhere: else the next file to be opened would take its number, and
    the output of a library in C would be written into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - open while we run
        reconfigure = getattr(getattr(sys, name), "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def finish(code: int) -> int:
    """Flush all results, and return the command's exit code, FAILED where they cannot be written.

    If their reader has gone they are dropped silently.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        _to_nowhere(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            note(f"error: results cannot be written: {error}")
            return FAILED
    return code


def _to_nowhere(stream: TextIO) -> None:
    """Send what a stream still holds to nowhere: it must not fail once more at exit, which Python tells by 120."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


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
    _print(escaped(line))


def flush() -> None:
    """Hand on at once the results that were printed, to whoever waits for them."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()


def note(line: str) -> None:
    """Print one line that is no result, on stderr, behind the results that came before it."""
    flush()
    try:
        print(escaped(line), file=sys.stderr, flush=True)
    except OSError:
        _to_nowhere(sys.stderr)


def hint(line: str) -> None:
    """Print a note that --quiet leaves out."""
    if not QUIET.get():
        note(line)


def failure(error: BaseException) -> None:
    """Print an error in one line of bounded length."""
    message = str(error) or type(error).__name__
    note(f"error: {message if len(message) <= LONGEST else message[:LONGEST] + ' ...'}")


def note_swept(names: Iterable[str]) -> None:
    """Print on stderr the leftovers of an interrupted command that were removed or put aside."""
    for name in names:
        if name.endswith(".aside"):
            note(f"put {name} aside, which an interrupted command had not committed; remove --purge erases it")
        else:
            note(f"removed {name}, which an interrupted command had left")


def show_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object as one line of ASCII, its first key the schema's version."""
    _print(json.dumps({"schema": 1, **value}, allow_nan=False))


def _print(line: str) -> None:
    try:
        print(line)
    except BrokenPipeError as error:
        raise ReaderGone from error
    except OSError as error:
        raise OSError(f"results cannot be written: {error}") from error


def show_columns(rows: Iterable[Sequence[object]], *, indent: int = 2, right: Sequence[int] = ()) -> None:
    """Print rows as aligned columns; those numbered in `right` are set flush right."""
    cells = [[escaped(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = [
            cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        _print((" " * indent + "  ".join(padded)).rstrip())


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
    """Return a number of bytes in a readable unit.

    Example:
        >>> size(1536)
        '1.5 KiB'
    """
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
