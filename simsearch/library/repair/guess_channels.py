"""What the channels of a library were, from its segments, its copies of model cards, and the models that are here."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from simsearch.errors import SimsearchError
from simsearch.extract.zoo.card import ModelCard, load_card
from simsearch.extract.zoo.find import list_models
from simsearch.library.format.cards import card_digest, kept_card
from simsearch.library.format.channel import Channel
from simsearch.library.format.layout import SEGMENTS
from simsearch.library.format.segment import open_segment
from simsearch.library.repair.survey import Rows


def channels_of(
    library: Path, surveyed: Mapping[str, Sequence[Rows]], known: Sequence[Channel]
) -> tuple[list[Channel], list[str]]:
    """Return the channels that most of a library's rows belong to, and what could not be known of them, in sentences.

    Args:
        library: The folder.
        surveyed: What the rows in each segment are, by its name.
        known: Channels that the old manifest still names.
    """
    weights: Counter[tuple[tuple[str, str, str, int], ...]] = Counter()
    for name, held in surveyed.items():
        files = [library / SEGMENTS / name / f"{one.name}.arrow" for one in held]
        weights[_keys(held)] += sum(path.stat().st_size for path in files)
    if not weights:
        return [], []
    chosen = weights.most_common(1)[0][0]
    own = {name: held for name, held in surveyed.items() if _keys(held) == chosen}
    by_key = {(c.name, c.fingerprint, c.dtype, c.dimension): c for c in known}
    channels, unknown = [], list[str]()
    for rows in next(iter(own.values())):
        told = [one.told for held in own.values() for one in held if one.key == rows.key and one.told]
        if rows.key in by_key:
            channels.append(by_key[rows.key])
        elif told:
            channels.append(told[-1])
        else:
            channel, missing = _guessed(library, rows, list(own))
            channels.append(channel)
            unknown += missing
    return channels, unknown


def _keys(rows: Sequence[Rows]) -> tuple[tuple[str, str, str, int], ...]:
    return tuple(sorted(one.key for one in rows))


def _guessed(library: Path, rows: Rows, segments: Sequence[str]) -> tuple[Channel, list[str]]:
    digest = card_digest(kept_card(library, rows.name))
    for card in _cards(library, rows.name):
        if card.fingerprint == rows.fingerprint:
            facts = (rows.dimension, rows.dtype, card.metric, card.non_negative, digest)
            return Channel(rows.name, card.name, rows.fingerprint, *facts), []
    bits = rows.dtype == "bits"
    provisional = Channel(rows.name, rows.name, rows.fingerprint, rows.dimension, rows.dtype, "hamming", False, digest)
    if bits:
        missing = "the length of its codes (all bits of their bytes are taken)"
        return provisional, [_sentence(rows.name, missing)]
    non_negative = all(_least(library / SEGMENTS / name, provisional) >= 0 for name in segments)
    metric = "js" if non_negative else "cosine"
    channel = Channel(*_first(provisional), metric, non_negative, digest)
    return channel, [_sentence(rows.name, f"its recommended distance ({metric} is taken)")]


def _first(channel: Channel) -> tuple[str, str, str, int, str]:
    return channel.name, channel.model, channel.fingerprint, channel.dimension, channel.dtype


def _sentence(name: str, more: str) -> str:
    return f"which model made the rows of channel {name} (give it by --model; {name!r} is taken) and {more}"


def _least(segment: Path, channel: Channel) -> float:
    try:
        rows = open_segment(segment, [channel]).channels[channel.name].row
    except (SimsearchError, OSError):
        return 0.0  # it is left aside
    return float(rows.min(initial=0))


def _cards(library: Path, channel: str) -> Iterator[ModelCard]:
    """The library's copy of the channel's card, then all models here."""
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
