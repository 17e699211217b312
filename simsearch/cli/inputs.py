"""What a command was given to read: at least something, and how much it is."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer


def require_inputs(*given: object) -> None:
    """Refuse a command without any input.

    Raises:
        typer.BadParameter: neither a path, a list nor anything else was given.
    """
    if not any(given):
        raise typer.BadParameter("nothing to read: give a PATH or --from-list FILE")


@contextmanager
def counted(paths: Sequence[Path], from_list: Path | None) -> Iterator[Callable[[], int | None]]:
    """Count the inputs beside the work, so that the time left can be told; the block gets None until it is known."""
    from simsearch.errors import InputError
    from simsearch.images import find

    stopped = threading.Event()
    total: list[int] = []

    def count() -> None:
        with contextlib.suppress(InputError):  # the command itself meets the same error and tells it
            number = 0
            for _ in find(paths, from_list=from_list):
                number += 1
                if stopped.is_set():
                    return
            total.append(number)

    thread = threading.Thread(target=count, name="simsearch-counter", daemon=True)
    thread.start()
    try:
        yield lambda: total[0] if total else None
    finally:
        stopped.set()
        thread.join()
