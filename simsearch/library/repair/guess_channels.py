"""The channels of a library, guessed from its segments, its copies of model cards, and the installed models."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from simsearch.errors import SimsearchError
from simsearch.extract.zoo.card import ModelCard, load_card
from simsearch.extract.zoo.find import list_models
from simsearch.library.format.cards import card_digest, kept_card
from simsearch.library.format.channel import Channel
from simsearch.library.format.layout import SEGMENTS
from simsearch.library.format.segment import open_segment
from simsearch.library.repair.survey import RowsHeader, RowsKey


def channels_of(
    library: Path, surveyed: Mapping[str, RowsHeader], known: Sequence[Channel]
) -> tuple[list[Channel], list[str]]:
    """Return the channels of most of a library's rows, and sentences on what could not be known of them.

    Args:
        library: The folder.
        surveyed: The rows' headers in each segment, by its name.
        known: Channels in the old manifest.
    """
    weights: Counter[frozenset[RowsKey]] = Counter()
    for name, held in surveyed.items():
        files = [library / SEGMENTS / name / f"{key.name}.arrow" for key in held]
        weights[frozenset(held)] += sum(path.stat().st_size for path in files)
    if not weights:
        return [], []
    chosen = weights.most_common(1)[0][0]
    own = {name: held for name, held in surveyed.items() if held.keys() == chosen}
    by_key = {RowsKey.of(channel): channel for channel in known}
    channels, unknown = [], list[str]()
    for key in next(iter(own.values())):
        told = [channel for held in own.values() if (channel := held[key]) is not None]
        channel, missing = by_key.get(key) or (told[-1] if told else None), list[str]()
        if channel is None:
            channel, missing = _guessed(library, key, list(own))
        channels.append(channel)
        unknown += missing
    return channels, unknown


def _guessed(library: Path, key: RowsKey, segments: Sequence[str]) -> tuple[Channel, list[str]]:
    digest = card_digest(kept_card(library, key.name))
    guess = Channel(key.name, key.name, key.fingerprint, key.dimension, key.dtype, "hamming", False, digest)
    for card in _cards(library, key.name):
        if card.fingerprint == key.fingerprint:
            return replace(guess, model=card.name, metric=card.metric, non_negative=card.non_negative), []
    if key.dtype == "bits":
        return guess, [_sentence(key.name, "the length of its codes (all bits of their bytes are taken)")]
    non_negative = all(_least(library / SEGMENTS / name, guess) >= 0 for name in segments)
    metric = "js" if non_negative else "cosine"
    missing = _sentence(key.name, f"its recommended distance ({metric} is taken)")
    return replace(guess, metric=metric, non_negative=non_negative), [missing]


def _sentence(name: str, more: str) -> str:
    return f"which model made the rows of channel {name} (give it by --model; {name!r} is taken) and {more}"


def _least(segment: Path, channel: Channel) -> float:
    try:
        rows = open_segment(segment, [channel]).channels[channel.name].row
    except (SimsearchError, OSError):
        return 0.0  # it is put aside
    return float(rows.min(initial=0))


def _cards(library: Path, channel: str) -> Iterator[ModelCard]:
    """Yield the library's copy of the channel's card, then all models here."""
    try:
        with tempfile.TemporaryDirectory() as scratch:
            for name, data in kept_card(library, channel).items():
                Path(scratch, name).write_bytes(data)
            yield load_card(Path(scratch))
    except (SimsearchError, OSError):
        pass
    try:
        yield from list_models()
    except SimsearchError:
        return
