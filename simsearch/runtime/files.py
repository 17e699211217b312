"""Files that are there whole or not at all, what they hold, and where those of the package and of a user lie."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder `simsearch`; beside it in a checkout, and inside it in a wheel, lie the models."""


@contextmanager
def published(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to; what was written has the real name, on disk, once no error ended the block."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync(place: Path) -> None:
    """Bring a file or folder onto the disk."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def user_cache() -> Path:
    """Return where this user's downloads are kept: below XDG_CACHE_HOME where that is set, else below ~/.cache.

    Here alone the environment is read for it, so that commands and Python find the same models.

    Reference: XDG Base Directory Specification; a relative folder is to be ignored.
    """
    return _told("XDG_CACHE_HOME", ".cache") / "simsearch"


def user_state() -> Path:
    """Return where this user's journals are kept: below XDG_STATE_HOME where that is set, else below ~/.local/state.

    Reference: XDG Base Directory Specification; a relative folder is to be ignored.
    """
    return _told("XDG_STATE_HOME", ".local/state") / "simsearch"


def user_data() -> Path:
    """Return where this user's trash and the like lie: XDG_DATA_HOME where that is set, else ~/.local/share."""
    return _told("XDG_DATA_HOME", ".local/share")


def _told(variable: str, usual: str) -> Path:
    told = os.environ.get(variable, "")
    return Path(told) if Path(told).is_absolute() else Path.home() / usual
