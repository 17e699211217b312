"""Reviewing: which contents somebody means, how far apart they lie, and what was decided as pairs of files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from simsearch.distance import METRICS, by_name, hamming
from simsearch.errors import InputError, shown
from simsearch.images.paths import raw
from simsearch.library.format.channel import ASYMMETRIC, POINTS, Channel
from simsearch.library.format.snapshot import Snapshot
from simsearch.library.select_items import PathLike, select
from simsearch.library.verdicts.verdict import Verdict, content_of_hex


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """A pair that somebody decided, as two files of the library.

    Attributes:
        a: Path of a file of the first content.
        b: Path of a file of the second.
        copy: Whether one is a copy of the other.
        distance: Between their rows; None where the channel has no distances.
        verdict: The decision.
    """

    a: bytes
    b: bytes
    copy: bool
    distance: float | None
    verdict: Verdict


def content_named(snapshot: Snapshot, given: PathLike) -> bytes:
    """Return the SHA-256 of what somebody names: an item by its path or `id:N`, any other file, or the SHA-256 itself.

    Raises:
        InputError: There is no such file, several items are below the path, or the item's content is not known.
    """
    name = raw(given)
    content = content_of_hex(os.fsdecode(name))
    if content is not None:
        return content
    [places] = select(snapshot, [given])
    if len(places) > 1:
        raise InputError(f"{shown(name)} holds {len(places):,} images, and a verdict is on two: name one file")
    if places:
        content = snapshot.segments[places[0].segment].content(places[0].position)
        if content is None:
            raise InputError(f"the content of {shown(name)} is not known: only files can be decided")
        return content
    try:
        with open(name, "rb") as file:  # noqa: PTH123 - a name of bytes
            return hashlib.file_digest(file, "sha256").digest()
    except (OSError, ValueError) as error:
        raise InputError(
            f"{shown(name)} is neither in the library nor a file; give a path, id:N or a SHA-256"
        ) from error


def distance_between(
    snapshot: Snapshot, channel: Channel, a: bytes, b: bytes, metric: str | None = None
) -> float | None:
    """Return the distance between the nearest stored rows of two contents; None where one has none."""
    name = channel.choose_metric(metric)
    if channel.dtype == POINTS or name == ASYMMETRIC:
        return None
    places = [snapshot.by_content(content) for content in (a, b)]
    rows = [snapshot.parts(place, channel.name) for place in places if place is not None]
    if len(rows) < len(places) or not all(map(len, rows)):
        return None
    one, other = rows
    if METRICS[name].of_codes:
        return float(hamming(one, other, bits=channel.bits).min())
    return float(np.float32(by_name(name)(one, other).min()))


def judged_pairs(snapshot: Snapshot, channel: Channel, verdicts: Iterable[Verdict]) -> Iterator[JudgedPair | None]:
    """Yield each standing verdict as a pair of files; None for one of which the library has no file, or but one."""
    for one in verdicts:
        paths = []
        for content in dict.fromkeys(one.pair):
            found = (snapshot.path(place) for place in snapshot.contents(content))
            paths.append(next((path for path in found if path is not None), None))
        if len(paths) < 2 or paths[0] is None or paths[1] is None:
            yield None
            continue
        distance = distance_between(snapshot, channel, *one.pair)
        yield JudgedPair(paths[0], paths[1], one.decision == "confirm", distance, one)
