"""The inputs of a command: required, and counted."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from simsearch.images.input_lists import ListEntry
    from simsearch.images.sidecars import Skipped


def require_inputs(*given: object) -> None:
    """Refuse a command without any input.

    Raises:
        typer.BadParameter: Neither a path, a list nor anything else was given.
    """
    if not any(given):
        raise typer.BadParameter("nothing to read: give a PATH or --from-list FILE")


def read_inputs(paths: Sequence[Path] | None, from_list: Path | None) -> Sequence[ListEntry]:
    """Return the entries of the list, `-` being standard input; it is read only here, as it may be a pipe.

    Raises:
        InputError: The list cannot be read, or one of the paths does not exist.
    """
    from simsearch.images import find
    from simsearch.images.input_lists import read_list, read_stdin

    find(paths or ())
    if from_list is None:
        return ()
    return read_stdin() if str(from_list) == "-" else read_list(from_list)


def require_listed(paths: Sequence[Path] | None, listed: Sequence[ListEntry], from_list: Path | None) -> None:
    """Refuse a list of which nothing exists, before a library or a folder of rows is created for it.

    Raises:
        InputError: There are no paths beside the list, and it names only what is missing.
    """
    from simsearch.errors import InputError, shown

    if paths or not listed:
        return
    files = (os.path.join(entry.root, entry.name) for entry in listed)  # noqa: PTH118
    if not any(os.path.lexists(file) for file in files):
        first = listed[0]
        name = "standard input" if str(from_list) == "-" else f"the list {shown(str(from_list))}"
        missing = shown(os.path.join(first.root, first.name))  # noqa: PTH118
        raise InputError(
            f"nothing that {name} names exists, first {missing} (line {first.line}); give existing paths, which are "
            "relative to the folder of the list"
        )


class OtherFiles:
    """The counts of files beside the images; each of `of` shards counts its share.

    Attributes:
        kinds: Number of each kind.
    """

    def __init__(self, first: int = 1, of: int = 1) -> None:
        self.kinds: Counter[str] = Counter()
        self._before, self._of = of - first, of

    def skip(self, other: Skipped) -> None:
        """Count one."""
        self._before += 1
        self.kinds[other.kind] += self._before % self._of == 0

    @property
    def facts(self) -> dict[str, object]:
        """The counts for JSON."""
        kinds = +self.kinds
        return {"skipped": kinds.total(), "skipped_by_kind": dict(kinds.most_common())}


def about_others(kinds: Mapping[str, int]) -> str:
    """Return one line about the files beside the images, an empty one when there were none.

    Example:
        >>> about_others({"json": 3, "xmp": 2})
        '5 other files skipped (json 3, xmp 2)'
    """
    several = +Counter(kinds)
    count, named = several.total(), ", ".join(f"{kind} {number:,}" for kind, number in several.most_common())
    return f"{count:,} other file{'s' * (count != 1)} skipped ({named})" if count else ""


@contextmanager
def counted(paths: Sequence[Path], listed: Sequence[ListEntry] | None) -> Iterator[Callable[[], int | None]]:
    """Count the inputs beside the work, for the time left; the block gets None until it is known."""
    from simsearch.errors import InputError
    from simsearch.images import find

    stopped = threading.Event()
    total: list[int] = []

    def count() -> None:
        with contextlib.suppress(InputError):  # the command itself meets the same error and reports it
            number = 0
            for _ in find(paths, from_list=listed):
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
