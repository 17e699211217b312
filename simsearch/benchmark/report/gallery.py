"""The report's pictures: false matches and missed copies."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from simsearch.benchmark.report.grid import Cell
from simsearch.benchmark.report.labels import edit_title
from simsearch.benchmark.report.leaderboard import contenders, label
from simsearch.benchmark.results import Example, Results

_MOST = 45  # cards in all, so that the page stays one that can be mailed
_JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a card: its file, its caption, and a JPEG in base64, empty where there is none."""

    file: str
    words: str
    jpeg: str


@dataclass(frozen=True, slots=True)
class Card:
    """Two pictures that methods judged wrongly or nearly so.

    Attributes:
        pictures: The query and the image beside it.
        edit: What was done to the query.
        verb: What the methods did.
        methods: Each with its distance, the worst first.
    """

    pictures: tuple[Picture, Picture]
    edit: str
    verb: str
    methods: Sequence[Cell]


def gallery(results: Results, folder: Path) -> dict[str, list[Card]]:
    """Return the cards of each kind of example; a false match is not shown again as a closest stranger.

    Args:
        results: Of a benchmark.
        folder: Of their thumbnails.
    """
    kinds = {kind: _pairs(results, kind) for kind in ("false_match", "missed_copy", "closest_stranger")}
    shown = {_key(pair[0]) for pair in kinds["false_match"]}
    kinds["closest_stranger"] = [pair for pair in kinds["closest_stranger"] if _key(pair[0]) not in shown]
    places = {one.key: one.place for one in contenders(results)}
    return {kind: [_card(results, folder, pair, places) for pair in pairs] for kind, pairs in kinds.items()}


def _key(one: Example) -> tuple[str, str, str]:
    return one.query, one.edit, one.image


def _pairs(results: Results, kind: str) -> list[list[Example]]:
    """Return the pairs of one kind: those of the best method first, of these the ones most methods got wrong."""
    ranks = {one.key: rank for rank, one in enumerate(contenders(results))}

    def rank(one: Example) -> int:
        return ranks.get(one.key, len(ranks))

    found: dict[tuple[str, str, str], list[Example]] = {}
    for one in sorted((one for one in results.examples if one.kind == kind), key=rank):
        known = found.setdefault(_key(one), [])
        if all(one.key != other.key for other in known):
            known.append(one)
    return sorted(found.values(), key=lambda pair: (rank(pair[0]), -len(pair)))[:_MOST]


def _card(results: Results, folder: Path, pair: Sequence[Example], places: dict[tuple[str, str], int]) -> Card:
    first = pair[0]
    edit = edit_title(first.edit)
    query = Picture(first.query, f"{first.query}, {edit}", _jpeg(folder, first.query_thumbnail))
    image = Picture(first.image, first.image, _jpeg(folder, first.image_thumbnail))
    methods = [Cell(label(results, one.key) + _distance(one), place=places.get(one.key, 0)) for one in pair]
    verb = "Missed by" if first.kind == "missed_copy" else "Taken for a copy by" if _flagged(first) else "Closest for"
    return Card((query, image), edit[:1].upper() + edit[1:], verb, methods)


def _jpeg(folder: Path, file: str | None) -> str:
    """Return a thumbnail in base64; nothing where there is none, or where it is no JPEG below the folder."""
    path = (folder / (file or "")).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        return ""
    data = path.read_bytes()
    return base64.b64encode(data).decode() if data.startswith(_JPEG) else ""


def _flagged(one: Example) -> bool:
    return one.distance is not None and one.threshold is not None and one.distance <= one.threshold


def _distance(one: Example) -> str:
    if one.distance is None:
        return " (no distance)"
    if one.threshold is None:
        return f" {one.distance:.3g}"
    if one.distance > one.threshold and f"{one.distance:.3g}" == f"{one.threshold:.3g}":
        return f" {one.distance:.3g} (just beyond the limit)"
    return f" {one.distance:.3g} (limit {one.threshold:.3g})"
