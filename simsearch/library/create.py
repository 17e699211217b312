"""Making a library, or finding that the one that is there is the one that was asked for."""

from __future__ import annotations

from pathlib import Path

from simsearch.errors import LibraryExists
from simsearch.extract.extractor import Extractor
from simsearch.library.cards import MODELS, copy_card
from simsearch.library.channel import Channel
from simsearch.library.lock import WriterLock
from simsearch.library.manifest import NAME, Manifest
from simsearch.library.snapshot import SEGMENTS
from simsearch.library.storage import naming_full_disk, sync_folder
from simsearch.library.writer import LOCK

_OURS = {LOCK, MODELS, SEGMENTS, NAME, f"{NAME}-wal", f"{NAME}-shm", f"{NAME}-journal"}


def make_library(folder: Path, channel: Channel, extractor: Extractor) -> None:
    """Make an empty library with one channel, unless there is a library.

    Raises:
        LibraryExists: the folder holds other files, or is a file.
    """
    manifest = Manifest(folder)
    if manifest.exists():
        return
    if folder.exists() and (not folder.is_dir() or {path.name for path in folder.iterdir()} - _OURS):
        raise LibraryExists(f"{folder} is there and is no library; give a new folder")
    with naming_full_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        sync_folder(folder.absolute().parent)
        with WriterLock(folder / LOCK):
            if not manifest.exists():
                (folder / SEGMENTS).mkdir(exist_ok=True)
                manifest.create([copy_card(extractor, channel, folder)])


def same_channel(folder: Path, wanted: Channel, *, any_dtype: bool) -> Channel:
    """Return the library's channel that holds such rows.

    Raises:
        LibraryExists: it has none.
    """
    channels = Manifest(folder).read().channels
    for channel in channels:
        if channel.fingerprint == wanted.fingerprint and (any_dtype or channel.dtype == wanted.dtype):
            return channel
    held = ", ".join(f"{c.model} ({c.fingerprint[:16]}, {c.dtype})" for c in channels)
    raise LibraryExists(
        f"{folder} holds rows of {held}, not of {wanted.model} ({wanted.fingerprint[:16]}, {wanted.dtype}); "
        "use that model or give a new folder"
    )
