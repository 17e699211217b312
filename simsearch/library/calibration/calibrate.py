"""Rates of strangers counted on a library's own rows: against strangers, against its queries, or among its items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simsearch.decide.calibration import Calibration, Origin
from simsearch.distance import by_name, hamming
from simsearch.errors import ImageRejected, InputError
from simsearch.extract.extractor import Extractor
from simsearch.images.source import MEBIBYTES, MEGAPIXELS, Limits, read_range
from simsearch.images.workers.single import decode_apart
from simsearch.library.calibration.background import background_of
from simsearch.library.calibration.comparison import Group, Progress, Rule
from simsearch.library.calibration.contents import (
    CopyPair,
    folders_of,
    name_of_item,
    name_of_query,
    places_of_contents,
)
from simsearch.library.calibration.count import Counted, count
from simsearch.library.format.channel import Channel
from simsearch.library.format.items import numbers
from simsearch.library.format.snapshot import Place, Snapshot
from simsearch.library.read.query import Query

_ASKED = 4000  # items of a library that are compared with all of it, where it is calibrated on itself
_SHOWN = 1000  # pairs that look like copies, which are reported
_SIDE = 320  # pixels that an edited picture has at least
_LIMITS = Limits(max_pixels=50 * MEGAPIXELS, max_bytes=64 * MEBIBYTES)
EDITS = (
    *("jpg_compression_30", "crop_anywhere_20", "caption_below_10", "screenshot_phone_50", "black_and_white"),
    *("thumbnail_96", "flip_horizontal", "chain_5"),
)
"""Edits of the copies that people meet."""


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """A calibration that was made, and what was left out of it.

    Attributes:
        calibration: The rates.
        channel: Of which channel.
        copies: The nearest of the pairs that look like copies, nearest first: look at them, since a rate is too low
            where strangers are among them.
    """

    calibration: Calibration
    channel: str
    copies: tuple[CopyPair, ...]


def calibrated(
    snapshot: Snapshot,
    channel: Channel,
    metric: str,
    *,
    queries: Sequence[Query] | None = None,
    origin: Origin = "library",
    seed: int = 0,
    progress: Progress | None = None,
) -> CalibrationReport:
    """Return the rates of a library's rows.

    Args:
        snapshot: Of the library.
        channel: Whose rows.
        metric: The distance.
        queries: Strangers, or what is asked of the library; None for the library's own items among themselves.
        origin: Which of them.
        seed: Of samples.
        progress: Called with queries compared and their number.

    Raises:
        InputError: There are too few pairs of strangers.
    """
    places = places_of_contents(snapshot)
    exact = list[CopyPair]()
    held = Group.of(
        _rows(snapshot, channel, places, seed),
        sources=folders_of(snapshot, places),
        qualities=_qualities(snapshot, places),
    )
    if queries is None:
        chosen = np.random.default_rng(seed).permutation(len(places))[:_ASKED]
        asked, rule = held.some(np.sort(chosen)), Rule(metric, channel.bits, one_set=True)
        names = [name_of_item(snapshot, places[i]) for i in asked.images.tolist()]
        across = "of different folders" if held.sources.max(initial=-1) >= 0 else "of this library"
        what = f"items {across}, without what looks like copies"
    else:
        usable = []
        for i, query in enumerate(query for query in queries if query.row is not None):
            same = None if query.sha256 is None else snapshot.by_content(query.sha256)
            if same is None:
                usable.append(query)
            else:
                exact.append(CopyPair(name_of_query(query, i), name_of_item(snapshot, same), 0.0))
        if not usable:
            raise InputError("there is no image that could be compared with the library; give a folder of photographs")
        rng = np.random.default_rng(seed)
        rows = np.stack([rng.choice(list(query.rows.values())) for query in usable])
        qualities = np.array([-1 if query.quality is None else query.quality for query in usable], np.int64)
        asked, rule = Group.of(rows, qualities=qualities), Rule(metric, channel.bits)
        held = Group.of(held.rows)
        names = [name_of_query(query, i) for i, query in enumerate(usable)]
        what = {
            "negatives": "photographs that are strangers to this library, against its items",
            "queries": "queries of this library, against its items, without what looks like copies",
        }[origin]
    known = background_of(channel.model, channel.fingerprint)
    background = None if known is None else Group.of(known)
    counted = count(asked, held, rule, background=background, seed=seed, progress=progress)
    made = counted.calibration(channel.fingerprint, metric, origin=origin, what=what, sizes=(len(asked), len(snapshot)))
    copies = (*exact, *_copies(counted, names, snapshot, places))[:_SHOWN]
    return CalibrationReport(replace(made, left_out=made.left_out + len(exact)), channel.name, copies)


@dataclass(frozen=True, slots=True)
class EditedCopies:
    """Distances of edited copies of a library's own images from their originals.

    Attributes:
        distances: (n, e), one row an image, one column an edit.
        edits: Their names.
    """

    distances: NDArray[np.float64]
    edits: tuple[str, ...]


def edited_copies(
    snapshot: Snapshot,
    channel: Channel,
    metric: str,
    extractor: Extractor,
    *,
    images: int,
    edits: Sequence[str] = EDITS,
    seed: int = 0,
) -> EditedCopies:
    """Edit some of a library's images, and return how far each copy lies from the stored row of its original.

    Args:
        snapshot: Of the library.
        channel: Whose rows.
        metric: The distance.
        extractor: Of the channel.
        images: How many; those whose file is gone or cannot be read are passed over.
        edits: Names of perturbations.
        seed: Of the choice, and of what is left to chance in an edit.

    Raises:
        InputError: Not one image can be read, or an edit is not known.
    """
    from simsearch.images.perturb import by_name as edit_named

    made = [edit_named(name) for name in edits]
    places = [Place(s, int(p)) for s in range(len(snapshot.segments)) for p in snapshot.live(s)]
    rows = list[NDArray[Any]]()
    for i in np.random.default_rng(seed).permutation(len(places)).tolist():
        if len(rows) == images:
            break
        path = snapshot.path(places[i])
        picture = None if path is None else _picture(path)
        if picture is None:
            continue
        copies = extractor.embed([edit.apply(picture, np.random.default_rng((seed, i))) for edit in made])
        own = snapshot.row(places[i], channel.name)
        assert own is not None  # every item has a row
        copies = channel.round(copies)
        apart = (
            hamming(copies, own[None], bits=channel.bits) if metric == "hamming" else by_name(metric)(copies, own[None])
        )
        rows.append(apart[:, 0])
    if not rows:
        raise InputError(
            "not one image of the library can be read to edit it: bring the files back, or leave --edits out"
        )
    return EditedCopies(np.array(rows, np.float64), tuple(edits))


def _picture(path: bytes) -> Image.Image | None:
    try:
        data = read_range(path, offset=0, size=0, limit=_LIMITS.max_bytes)
        return decode_apart(data, limits=_LIMITS, at_least=_SIDE).image
    except ImageRejected:
        return None


def _copies(
    counted: Counted, names: Sequence[str], snapshot: Snapshot, places: Sequence[Place]
) -> tuple[CopyPair, ...]:
    near = counted.copies
    shown = zip(
        near.left[:_SHOWN].tolist(), near.right[:_SHOWN].tolist(), near.distances[:_SHOWN].tolist(), strict=True
    )
    return tuple(CopyPair(names[a], name_of_item(snapshot, places[b]), distance) for a, b, distance in shown)


def _qualities(snapshot: Snapshot, places: Sequence[Place]) -> NDArray[np.int64]:
    columns = [numbers(segment.items.column("quality")) for segment in snapshot.segments]
    return np.array([columns[place.segment][place.position] for place in places], np.int64)


def _rows(snapshot: Snapshot, channel: Channel, places: Sequence[Place], seed: int) -> NDArray[Any]:
    """Return a row of each item (n, d), of several one that is drawn."""
    parts, rng = [], np.random.default_rng(seed)
    for s, segment in enumerate(snapshot.segments):
        held = segment.channels[channel.name]
        positions = np.array([place.position for place in places if place.segment == s], np.int64)
        if held.parts > 1:
            first, end = (np.searchsorted(held.item, positions, side) for side in ("left", "right"))
            positions = rng.integers(first, end)
        parts.append(np.asarray(held.row[positions]))
    return np.concatenate(parts) if parts else np.empty((0, channel.dimension), channel.numpy_dtype)
