"""The library's copy of its models' cards: small files, no weights."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path

from simsearch.extract.extractor import Extractor
from simsearch.extract.zoo.card import CARD
from simsearch.images.quality import TEXT_PAGE
from simsearch.library.format.atomic_files import publish, read_file, remove_folder, sync
from simsearch.library.format.channel import Channel
from simsearch.library.format.layout import MODELS, PARTIAL, require_folder

_SMALL = 1 << 20
_MOST = 100  # quality
_WEIGHTS = ".safetensors"
Card = Mapping[str, bytes]
"""The small files of a model's folder, by name."""


def card_of(extractor: Extractor) -> Card:
    """Return the card of a model that has one; nothing otherwise."""
    folder = getattr(extractor, "card_folder", None)
    if folder is None:
        return {}
    files = sorted(Path(folder).iterdir())
    kept = [path for path in files if path.is_file() and path.stat().st_size <= _SMALL and path.suffix != _WEIGHTS]
    return {path.name: path.read_bytes() for path in kept}


def card_digest(card: Card) -> str | None:
    """Return the SHA-256 of a card as hex, None for none."""
    digest = hashlib.sha256()
    for name, data in sorted(card.items()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(data).digest())
    return digest.hexdigest() if card else None


def keep_card(card: Card, library: Path, channel: str) -> None:
    """Write a copy of the card into a library, whole or not at all."""
    if not card:
        return
    final = library / MODELS / channel
    half = final.with_name(channel + PARTIAL)
    require_folder(final.parent)
    remove_folder(half)
    half.mkdir(parents=True)
    for name, data in card.items():
        (half / name).write_bytes(data)
        sync(half / name)
    publish(half, final)


def information_floor(library: Path, channel: Channel) -> int:
    """Return the quality up to which a picture shows too little to accuse anybody, as the channel's card says it.

    The card is the library's copy; without one, and for hashes, it is that of a page of text.
    """
    try:
        card = tomllib.loads(kept_card(library, channel.name)[CARD].decode())
    except (KeyError, ValueError, RecursionError):
        return TEXT_PAGE
    floor = card.get("low_information", TEXT_PAGE)
    return floor if isinstance(floor, int) and 0 <= floor <= _MOST else TEXT_PAGE


def kept_card(library: Path, channel: str) -> Card:
    """Return a library's copy of a channel's card; nothing where it has none."""
    folder = library / MODELS / channel
    require_folder(folder.parent)
    require_folder(folder)
    if not folder.is_dir():
        return {}
    return {path.name: read_file(path) for path in sorted(folder.iterdir())}
