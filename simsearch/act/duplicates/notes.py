"""The note beside a file in the trash, as the journal announced it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from simsearch.act.duplicates.names import decoded


def write_note(one: Mapping[str, str]) -> None:
    """Write the note of a move, where it has one.

    Raises:
        FileExistsError: There is something of its name.
    """
    if "note" not in one:
        return
    descriptor = os.open(decoded(one["note"]), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(one["text"].encode())
        file.flush()
        os.fsync(file.fileno())


def drop_note(one: Mapping[str, str]) -> None:
    """Remove the note of a move, whole or broken off; that of another file stays."""
    if "note" not in one or not os.path.lexists(decoded(one["note"])):
        return
    text = one["text"].encode()
    with open(decoded(one["note"]), "rb") as file:
        ours = text.startswith(file.read(len(text) + 1))
    if ours:
        os.unlink(decoded(one["note"]))
