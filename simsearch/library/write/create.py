"""Creating a library, or checking that an existing one is the requested one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from simsearch.errors import InputError, LibraryExists, shown
from simsearch.extract.extractor import Extractor
from simsearch.library.format.atomic_files import naming_full_disk, sync
from simsearch.library.format.cards import card_digest, card_of, keep_card
from simsearch.library.format.channel import DEFAULT_DTYPE, POINTS, Channel, channel_of
from simsearch.library.format.layout import LOCK, SEGMENTS, require_free
from simsearch.library.format.lock import writer_lock
from simsearch.library.format.manifest import Manifest


def create(
    folder: Path, models: Sequence[str | Path | Extractor], *, dtype: str | None, device: str
) -> tuple[list[Extractor], str, bool]:
    """Create an empty library with a channel for each model, unless there is one.

    Returns:
        The extractors, the name of the first one's channel, and whether the library was created.

    Raises:
        LibraryExists: There is one of other models or dtype, or the folder holds anything else.
        LibraryDamaged: There is one that has lost its manifest.
        InputError: An extractor is of keypoints, there is none, or two would have the same channel.
    """
    extractors, requested = [], dict[str, Channel]()
    for model in models:
        extractor, channel = requested_channel(model, dtype=dtype, device=device)
        if channel.name in requested:
            raise InputError(f"two of the models are named {channel.name!r}; give each once")
        extractors.append(extractor)
        requested[channel.name] = channel
    if not extractors:
        raise InputError("no model is given; a library has one or several")
    if next(iter(requested.values())).dtype == POINTS:
        raise InputError("points are looked at beside rows that have distances: give another model first, such as mini")
    created = _make(folder, list(requested.values()), extractors)
    return extractors, _same(folder, list(requested.values()), any_dtype=dtype is None), created


def requested_channel(model: str | Path | Extractor, *, dtype: str | None, device: str) -> tuple[Extractor, Channel]:
    """Return an extractor and the channel of its rows, with the name by which a later session loads it.

    Raises:
        InputError: It is of keypoints or counts another than the nearest part, or the dtype cannot hold its rows.
    """
    if isinstance(model, Extractor):
        extractor, name = model, model.name
    else:
        from simsearch.extract.load import load_extractor

        name = str(Path(model).absolute()) if isinstance(model, Path) or "/" in model else model
        extractor = load_extractor(model, device=device)
    _require_nearest(extractor)
    return extractor, channel_of(extractor, model=name, dtype=dtype or DEFAULT_DTYPE)


def _require_nearest(extractor: Extractor) -> None:
    """Require that images may be as near as their nearest rows, and that these say something of an image alone.

    Raises:
        InputError: They may not.
    """
    if extractor.several and extractor.kind == "keypoints":
        raise InputError(
            f"{extractor.name} gives keypoints, any of which may agree with any picture's: a library keeps those of "
            "`points`, beside another model"
        )
    if extractor.several and extractor.cutoff != 1:
        raise InputError(
            f"{extractor.name} counts the {extractor.cutoff} nearest rows of two images, and a library searches by the "
            "nearest one: give cutoff=1"
        )


def _make(folder: Path, channels: Sequence[Channel], extractors: Sequence[Extractor]) -> bool:
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
            cards = [card_of(extractor) for extractor in extractors]
            told = [replace(channel, card=card_digest(card)) for channel, card in zip(channels, cards, strict=True)]
            (folder / SEGMENTS).mkdir(exist_ok=True)
            manifest.create(told)
            for channel, card in zip(channels, cards, strict=True):
                keep_card(card, folder, channel.name)
    return True


def _same(folder: Path, requested: Sequence[Channel], *, any_dtype: bool) -> str:
    """Return the name of the first requested channel in a library that has all of them and no others."""
    channels = Manifest(folder).read().channels

    def identity(channel: Channel) -> tuple[str, str]:
        return channel.fingerprint, "" if any_dtype else channel.dtype

    names = {identity(channel): channel.name for channel in channels}
    if names.keys() != {identity(channel) for channel in requested}:
        raise LibraryExists(
            f"{shown(str(folder))} holds rows of {_told(channels)}, not of {_told(requested)}; use what it holds or "
            "give a new folder"
        )
    return names[identity(requested[0])]


def _told(channels: Sequence[Channel]) -> str:
    return ", ".join(f"{each.model} ({each.fingerprint[:16]}, {each.dtype})" for each in channels)
