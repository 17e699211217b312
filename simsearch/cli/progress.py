"""Progress on stderr: a bar with rate and time left on a terminal, JSON lines elsewhere."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from simsearch.cli import terminal

EVERY_SECONDS = 5.0

Advance = Callable[[int, int | None], None]
"""Called with the number of inputs done, and of all where that is known."""


def shown(command: str, *, streams: bool = False) -> AbstractContextManager[Advance]:
    """Show the progress of a command while the block runs; yield its callback.

    Args:
        command: Its name.
        streams: Whether it prints results as it goes: then no bar is drawn into them on the same terminal.
    """
    if terminal.QUIET.get() or (streams and sys.stderr.isatty() and sys.stdout.isatty()):
        return nullcontext(lambda _done, _total: None)
    return _bar(command) if sys.stderr.isatty() else _lines(command)


@contextmanager
def _bar(command: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    started = time.monotonic()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:,.1f}/s"),
        TimeRemainingColumn(),
    )
    # Redirection would send what a command prints on stdout to the bar's stream.
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as progress:
        task = progress.add_task(command, total=None, rate=0.0)

        def advance(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total, rate=done / max(time.monotonic() - started, 1e-9))

        yield advance


@contextmanager
def _lines(command: str) -> Iterator[Advance]:
    started = written = time.monotonic()
    latest: tuple[int, int | None] | None = None

    def write(done: int, total: int | None) -> None:
        seconds = time.monotonic() - started
        rate = done / seconds if seconds else 0.0
        left = round((total - done) / rate, 1) if total is not None and rate else None
        line = {"progress": command, "done": done, "total": total, "rate": round(rate, 2), "seconds_left": left}
        terminal.note(json.dumps(line))

    def advance(done: int, total: int | None) -> None:
        nonlocal written, latest
        latest = (done, total)
        if time.monotonic() - written >= EVERY_SECONDS:
            written, latest = time.monotonic(), None
            write(done, total)

    yield advance
    if latest is not None:
        write(*latest)
