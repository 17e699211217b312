"""The report's pictures: strangers that came too close, and copies that were missed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from simsearch.benchmark.report.html_parts import dot, picture, section
from simsearch.benchmark.report.labels import edit_title
from simsearch.benchmark.report.leaderboard import contenders, label
from simsearch.benchmark.report.markup import Markup, sentence, tag, text
from simsearch.benchmark.results import Example, Results

_FIRST = 9  # cards shown at once; the others unfold
_MOST = 45  # cards in all, so that the page stays one that can be mailed


@dataclass(frozen=True, slots=True)
class Pair:
    """One pair of pictures and every method that was wrong about it, the worst first."""

    examples: tuple[Example, ...]

    @property
    def key(self) -> tuple[str, str, str]:
        """The query, its edit and the image beside it."""
        return self.examples[0].query, self.examples[0].edit, self.examples[0].image


def galleries(results: Results, folder: Path) -> Markup:
    """Both galleries; nothing where the run kept no examples."""
    wrong, missed = _pairs(results, "false_match"), _pairs(results, "missed_copy")
    shown = {pair.key for pair in wrong}
    close = [pair for pair in _pairs(results, "closest_stranger") if pair.key not in shown]
    parts = []
    if wrong or close:
        lead = "Strangers: photographs whose original is not in the database, edited, beside the image they came near."
        hint = "Look whether they are strangers at all: sets of photographs hold pictures of one scene taken twice."
        heads = ("Within the threshold: false matches", "The closest of all")
        blocks = [_cards(results, folder, pairs, head) for pairs, head in zip((wrong, close), heads, strict=True)]
        parts.append(section("false-matches", "Strangers that came too close", tag("p", lead), tag("p", hint), blocks))
    if missed:
        lead = "An edited copy, and beside it the original that should have been found within the threshold. "
        lead += "These are each method's own examples, the best method's first; others may have missed them too."
        parts.append(section("missed", "Copies that were missed", tag("p", lead), _cards(results, folder, missed)))
    return text(parts)


def _pairs(results: Results, kind: str) -> list[Pair]:
    """The pairs of one kind: first those of the best method, of these first what most methods were wrong about."""
    ranks = {(one.method.name, one.metric): rank for rank, one in enumerate(contenders(results))}

    def rank(one: Example) -> int:
        return ranks.get((one.method, one.metric), len(ranks))

    found: dict[tuple[str, str, str], list[Example]] = {}
    for one in sorted((one for one in results.examples if one.kind == kind), key=rank):
        known = found.setdefault((one.query, one.edit, one.image), [])
        if all((one.method, one.metric) != (other.method, other.metric) for other in known):
            known.append(one)
    pairs = [Pair(tuple(same)) for same in found.values()]
    return sorted(pairs, key=lambda pair: (rank(pair.examples[0]), -len(pair.examples)))[:_MOST]


def _cards(results: Results, folder: Path, pairs: Sequence[Pair], heading: str | None = None) -> Markup:
    if not pairs:
        return Markup()
    places = {(one.method.name, one.metric): one.place for one in contenders(results)}
    cards = [_card(results, folder, pair, places) for pair in pairs]
    shown = [tag("h3", heading) if heading else None, tag("div", *cards[:_FIRST], class_="cards")]
    if len(cards) > _FIRST:
        more = tag("summary", f"{len(cards) - _FIRST} more")
        shown.append(tag("details", more, tag("div", *cards[_FIRST:], class_="cards")))
    return text([one for one in shown if one is not None])


def _card(results: Results, folder: Path, pair: Pair, places: dict[tuple[str, str], int]) -> Markup:
    first = pair.examples[0]
    edited = edit_title(first.edit)
    pictures = tag(
        "div",
        tag("div", picture(folder, first.query_thumbnail, f"{first.query}, {edited}"), _caption(first.query)),
        tag("div", picture(folder, first.image_thumbnail, first.image), _caption(first.image)),
        class_="pair",
    )
    by = [
        tag("span", dot(places.get((one.method, one.metric), 0)), label(results, (one.method, one.metric)), _far(one))
        for one in pair.examples
    ]
    verb = "Missed by" if first.kind == "missed_copy" else "Taken for a copy by" if _flagged(first) else "Closest for"
    line = sentence("{edit}. {verb} {by}", edit=tag("b", edited[:1].upper() + edited[1:]), verb=verb, by=by)
    return tag("div", pictures, tag("p", line, class_="by"), class_="card")


def _caption(file: str) -> Markup:
    return tag("small", file.rpartition("/")[2], title=file)


def _flagged(one: Example) -> bool:
    return one.distance is not None and one.threshold is not None and one.distance <= one.threshold


def _far(one: Example) -> str:
    if one.distance is None:
        return " (no distance)"
    if one.threshold is None:
        return f" {one.distance:.3g}"
    if one.distance > one.threshold and f"{one.distance:.3g}" == f"{one.threshold:.3g}":
        return f" {one.distance:.3g} (just beyond the limit)"
    return f" {one.distance:.3g} (limit {one.threshold:.3g})"
