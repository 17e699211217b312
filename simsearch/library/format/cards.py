"""The library's copy of its models' cards: small files, no weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from simsearch.extract.extractor import Extractor
from simsearch.library.format.atomic_files import publish, read_file, remove_folder, sync
from simsearch.library.format.layout import MODELS, PARTIAL, require_folder

_SMALL = 1 << 20
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


def kept_card(library: Path, channel: str) -> Card:
    """Return a library's copy of a channel's card; nothing where it has none."""
    folder = library / MODELS / channel
    require_folder(folder.parent)
    require_folder(folder)
    if not folder.is_dir():
        return {}
    return {path.name: read_file(path) for path in sorted(folder.iterdir())}
