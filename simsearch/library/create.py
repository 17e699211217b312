"""Making a library, or finding that the one that is there is the one that was asked for."""

from __future__ import annotations

from pathlib import Path

from simsearch.errors import LibraryExists, shown
from simsearch.extract.extractor import Extractor, require_one_row
from simsearch.library.cards import MODELS, copy_card
from simsearch.library.channel import DEFAULT_DTYPE, Channel, channel_of
from simsearch.library.lock import WriterLock
from simsearch.library.manifest import NAME, Manifest
from simsearch.library.snapshot import SEGMENTS
from simsearch.library.storage import naming_full_disk, sync_folder
from simsearch.library.writer import LOCK

_OURS = {LOCK, MODELS, SEGMENTS, NAME, f"{NAME}-wal", f"{NAME}-shm", f"{NAME}-journal"}


def create(folder: Path, model: str | Path | Extractor, *, dtype: str | None, device: str) -> tuple[Extractor, Channel]:
    """Make an empty library unless there is one, and return the extractor and the channel that holds its rows.

    Raises:
        LibraryExists: there is one of another model or dtype, or the folder holds other files.
        InputError: the extractor gives several rows an image.
    """
    extractor, name = _model(model, device)
    require_one_row(extractor)
    wanted = channel_of(extractor, model=name, dtype=dtype or DEFAULT_DTYPE)
    _make(folder, wanted, extractor)
    return extractor, _same(folder, wanted, any_dtype=dtype is None)


def _model(model: str | Path | Extractor, device: str) -> tuple[Extractor, str]:
    """An extractor, and the name under which a later session finds it."""
    if isinstance(model, Extractor):
        return model, model.name
    from simsearch.extract.load import load_extractor

    name = str(Path(model).absolute()) if isinstance(model, Path) or "/" in model else model
    return load_extractor(model, device=device), name


def _make(folder: Path, channel: Channel, extractor: Extractor) -> None:
    manifest = Manifest(folder)
    if manifest.exists():
        return
    if folder.exists() and (not folder.is_dir() or {path.name for path in folder.iterdir()} - _OURS):
        raise LibraryExists(f"{shown(str(folder))} is there and is no library; give a new folder")
    with naming_full_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        sync_folder(folder.absolute().parent)
        with WriterLock(folder / LOCK):
            if not manifest.exists():
                (folder / SEGMENTS).mkdir(exist_ok=True)
                manifest.create([copy_card(extractor, channel, folder)])


def _same(folder: Path, wanted: Channel, *, any_dtype: bool) -> Channel:
    channels = Manifest(folder).read().channels
    for channel in channels:
        if channel.fingerprint == wanted.fingerprint and (any_dtype or channel.dtype == wanted.dtype):
            return channel
    held = ", ".join(f"{c.model} ({c.fingerprint[:16]}, {c.dtype})" for c in channels)
    raise LibraryExists(
        f"{shown(str(folder))} holds rows of {held}, not of {wanted.model} ({wanted.fingerprint[:16]}, "
        f"{wanted.dtype}); use that model or give a new folder"
    )
