"""The library's copy of its models' cards: small files, no weights."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from simsearch.extract.extractor import Extractor
from simsearch.library.channel import Channel
from simsearch.library.storage import sync_file, sync_folder

MODELS = "models"
_SMALL = 1 << 20
_WEIGHTS = ".safetensors"


def copy_card(extractor: Extractor, channel: Channel, library: Path) -> Channel:
    """Copy the card of a model that has one, and return the channel with its digest."""
    folder = getattr(extractor, "card_folder", None)
    if folder is None:
        return channel
    target = library / MODELS / channel.name
    target.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    for path in sorted(Path(folder).iterdir()):
        if path.is_file() and path.stat().st_size <= _SMALL and path.suffix != _WEIGHTS:
            data = path.read_bytes()
            digest.update(path.name.encode() + b"\0" + hashlib.sha256(data).digest())
            (target / path.name).write_bytes(data)
            sync_file(target / path.name)
    sync_folder(target)
    return replace(channel, card=digest.hexdigest())
