"""Creating a library, or checking that an existing one is the requested one."""

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
    """Create an empty library unless there is one.

    Returns:
        The extractor, the channel of its rows, and whether the library was created.

    Raises:
        LibraryExists: There is one of another model or dtype, or the folder holds anything else.
        LibraryDamaged: There is one that has lost its manifest.
        InputError: The extractor gives several rows an image.
    """
    extractor, name = _model(model, device)
    require_one_row(extractor)
    requested = channel_of(extractor, model=name, dtype=dtype or DEFAULT_DTYPE)
    created = _make(folder, requested, extractor)
    return extractor, _same(folder, requested, any_dtype=dtype is None), created


def _model(model: str | Path | Extractor, device: str) -> tuple[Extractor, str]:
    """Return an extractor, and the name by which a later session loads it."""
    if isinstance(model, Extractor):
        return model, model.name
    from simsearch.extract.load import load_extractor

    name = str(Path(model).absolute()) if isinstance(model, Path) or "/" in model else model
    return load_extractor(model, device=device), name


def _make(folder: Path, channel: Channel, extractor: Extractor) -> bool:
    """Create the library: first a manifest, so that whatever else of ours is there belongs to one."""
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


def _same(folder: Path, requested: Channel, *, any_dtype: bool) -> Channel:
    channels = Manifest(folder).read().channels
    for channel in channels:
        if channel.fingerprint == requested.fingerprint and (any_dtype or channel.dtype == requested.dtype):
            return channel
    held = ", ".join(f"{c.model} ({c.fingerprint[:16]}, {c.dtype})" for c in channels)
    raise LibraryExists(
        f"{shown(str(folder))} holds rows of {held}, not of {requested.model} ({requested.fingerprint[:16]}, "
        f"{requested.dtype}); use that model or give a new folder"
    )
