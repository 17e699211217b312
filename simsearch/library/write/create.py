"""Making a library, or finding that the one that is there is the one that was asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from simsearch.errors import LibraryExists, shown
from simsearch.extract.extractor import Extractor, require_one_row
from simsearch.library.format.atomic_files import naming_full_disk, sync
from simsearch.library.format.cards import card_digest, card_of, keep_card
from simsearch.library.format.channel import DEFAULT_DTYPE, Channel, channel_of
from simsearch.library.format.layout import LOCK, SEGMENTS, require_free
from simsearch.library.format.lock import writer_lock
from simsearch.library.format.manifest import Manifest


def create(
    folder: Path, model: str | Path | Extractor, *, dtype: str | None, device: str
) -> tuple[Extractor, Channel, bool]:
    """Make an empty library unless there is one.

    Returns:
        The extractor, the channel that holds its rows, and whether the library was made.

    Raises:
        LibraryExists: there is one of another model or dtype, or the folder holds anything else.
        LibraryDamaged: there is one that has lost its manifest.
        InputError: the extractor gives several rows an image.
    """
    extractor, name = _model(model, device)
    require_one_row(extractor)
    wanted = channel_of(extractor, model=name, dtype=dtype or DEFAULT_DTYPE)
    made = _make(folder, wanted, extractor)
    return extractor, _same(folder, wanted, any_dtype=dtype is None), made


def _model(model: str | Path | Extractor, device: str) -> tuple[Extractor, str]:
    """An extractor, and the name under which a later session finds it."""
    if isinstance(model, Extractor):
        return model, model.name
    from simsearch.extract.load import load_extractor

    name = str(Path(model).absolute()) if isinstance(model, Path) or "/" in model else model
    return load_extractor(model, device=device), name


def _make(folder: Path, channel: Channel, extractor: Extractor) -> bool:
    """Make the library: first a manifest, so that whatever else of ours is there belongs to one."""
    manifest = Manifest(folder)
    if manifest.exists():
        return False
    try:
        require_free(folder)
    except LibraryExists:
        if manifest.exists():  # another process was faster
            return False
        raise
    with naming_full_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        sync(folder.absolute().parent)
        with writer_lock(folder / LOCK):
            if manifest.exists():
                return False
            require_free(folder)
            card = card_of(extractor)
            (folder / SEGMENTS).mkdir(exist_ok=True)
            manifest.create([replace(channel, card=card_digest(card))])
            keep_card(card, folder, channel.name)
    return True


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
