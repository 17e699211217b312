"""One HTML page that tells what a benchmark found: everything is in it, it loads nothing and needs no script."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from simsearch.benchmark.report import plots
from simsearch.benchmark.report.html_gallery import galleries
from simsearch.benchmark.report.html_parts import area, bar, inline, name, section, shares, table, unsupported
from simsearch.benchmark.report.html_rest import others
from simsearch.benchmark.report.html_style import style_sheet
from simsearch.benchmark.report.labels import edit_title, family_title
from simsearch.benchmark.report.leaderboard import Contender, contenders
from simsearch.benchmark.report.markup import Child, Markup, sentence, tag, text
from simsearch.benchmark.report.needle_html import needle_section
from simsearch.benchmark.report.palette import HEAT, SHARE_STEPS, heat
from simsearch.benchmark.report.summary import Answer, answer, hardest, milliseconds, per_cent
from simsearch.benchmark.results import Attack, Results

FILE = "report.html"
_CAPTION = (
    "Strangers are edited as the copies are. A curve further up and to the left is better; the shaded part is where "
    "fewer than three strangers would be expected, so that the curve there is not supported."
)
_WORDS = {
    "copy": "A photograph of the database, edited. It is found when a distance is within the method's threshold.",
    "stranger": "A photograph that is not in the database, edited in the same ways. Flagging it is a false alarm.",
    "original found": "The copy's own original is within the threshold. This is what tables and maps here show.",
    "any match": "Some image of the database is within the threshold, also a wrong one. This is how the paper counts.",
    "AUC": "The chance that a copy is closer than a stranger, over all thresholds: 1 is perfect, 0.5 is chance.",
    "interval": "In 95 of 100 repetitions with other photographs such an interval holds the value; photographs are "
    "drawn again with all their edits. Over several splits, the mean interval of a split.",
    "not supported": "A rate of which fewer than three strangers would be expected; take it as unknown.",
}


def write_report(results: Results, folder: Path) -> Path:
    """Write `report.html` into the folder that holds the results and their thumbnails, and return its path.

    Raises:
        DependencyMissing: Matplotlib is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    path.write_text(report(results, folder), encoding="utf-8")
    return path


def report(results: Results, folder: Path) -> str:
    """The page's HTML.

    Args:
        results: Of a benchmark.
        folder: Where their thumbnails lie.

    Raises:
        DependencyMissing: Matplotlib is not installed.
    """
    said, found = answer(results), contenders(results)
    sections = [one for one in _sections(results, folder, said, found) if one]
    title = f"Which method finds copies? {results.photographs.name}, {results.photographs.count:,} photographs"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Markup(style_sheet())),
    )
    body = tag("body", _header(said, title), _navigation(sections), tag("main", *sections), _footer(results))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _sections(results: Results, folder: Path, said: Answer, found: tuple[Contender, ...]) -> Iterator[Markup]:
    yield needle_section(results)
    if found:
        yield _methods(results, said, found)
        yield _map(found)
        yield _curves(results)
        yield _weak(found)
    yield galleries(results, folder)
    yield others(results)
    yield _measured(results, found)


def _header(said: Answer, title: str) -> Markup:
    shown: Child = said.headline
    if said.best is not None:
        point = said.best.at(said.rate)
        shown = sentence(
            "For these photographs {who} finds {n} of edited copies while flagging {m} of strangers.",
            who=tag("b", said.best.label),
            n=tag("b", per_cent(point.recall_right_image)),
            m=tag("b", per_cent(point.measured_fpr)),
        )
    more = tag("ul", *(tag("li", line) for line in said.sentences), class_="more") if said.sentences else None
    return tag("header", tag("h1", title), tag("p", shown, class_="answer"), more)


def _navigation(sections: list[Markup]) -> Markup:
    anchors = [anchor for one in sections for anchor in re.findall(r'<section id="([\w-]+)">', one)]
    names = [anchor.replace("-", " ").capitalize() for anchor in anchors]
    return tag("nav", *(tag("a", name, href=f"#{anchor}") for anchor, name in zip(anchors, names, strict=True)))


def _methods(results: Results, said: Answer, found: tuple[Contender, ...]) -> Markup:
    main, rate = found[0].mean.fpr, f"{100 * said.rate:g}\N{NO-BREAK SPACE}%"
    points = [one.at(said.rate) for one in found]
    bars = [bar(point.recall_right_image, one.place) for one, point in zip(found, points, strict=True)]
    heading, *values = shares(f"original found, {rate} of strangers allowed", [p.recall_right_image for p in points])
    columns: list[list[Child]] = [
        ["", *map(name, found)],
        [heading, *([drawn, text(value)] for drawn, value in zip(bars, values, strict=True))],
    ]
    if main != said.rate:
        columns.append(shares(f"at {100 * main:g} %", [one.at(main).recall_right_image for one in found]))
    columns += [
        shares(f"any match found, {rate}", [point.recall for point in points]),
        ["AUC, right image", *(area(one.auc_right_image) for one in found)],
        ["AUC, any match", *(area(one.auc) for one in found)],
        shares("nearest is the original", [one.right_image_first for one in found]),
    ]
    ranked = {(row.method, row.metric): area(row.micro_average_precision) for row in results.copy_detection}
    if ranked:
        columns.append(["micro AP", *(ranked.get((one.method.name, one.metric), "") for one in found)])
    if results.times:
        columns.append(["time an image", *(milliseconds(one.time.ms) if one.time else "" for one in found)])
    missing = [f"{method.label}: {method.missing}" for method in results.methods if method.missing]
    note = tag("p", "Could not run: ", "; ".join(missing), ".", class_="note") if missing else None
    lead = "The one first that finds most originals. The thin line in a bar is the 95 % interval."
    return section("methods", "The methods", tag("p", lead), table(columns, best=True), note)


def _map(found: tuple[Contender, ...]) -> Markup:
    every = {one.label: one.attacks() for one in found}
    head = tag("tr", tag("th", ""), *(tag("th", tag("span", name(one)), scope="col") for one in found))
    body: list[Markup] = []
    edits = enumerate(found[0].attacks())
    for family, group in groupby(edits, key=lambda pair: pair[1].family):
        body.append(tag("tr", tag("th", family_title(family), scope="rowgroup"), class_="family"))
        for number, edit in group:
            cells = [_cell(label, attacks[number]) for label, attacks in every.items()]
            body.append(tag("tr", tag("th", edit_title(edit.name, edit.family), scope="row"), *cells))
    rate = 100 * found[0].mean.fpr
    lead = (
        f"Of 100 copies edited in one way, how many have their original found when {rate:g} % of strangers may be "
        "flagged. Rest on a number to see its interval."
    )
    grid = tag("table", tag("thead", head), tag("tbody", *body), class_="heat", style=f"--n:{len(found)}")
    return section(
        "edits", "What each edit does", tag("p", lead, _doubt(found)), _scale(), tag("div", grid, class_="scroll")
    )


def _doubt(found: tuple[Contender, ...]) -> Markup:
    """The mark of the main rate, where the strangers do not support it."""
    return Markup() if found[0].at(found[0].mean.fpr).recall.supported else text([" ", unsupported()])


def _cell(label: str, attack: Attack) -> Markup:
    right, any_match = attack.recall_right_image, attack.recall
    title = (
        f"{label}, {edit_title(attack.name, attack.family)}: original found {per_cent(right, 1)} "
        f"({100 * right.low:.0f}-{100 * right.high:.0f}), any match {per_cent(any_match, 1)}, "
        f"AUC {attack.auc:.3f}, right image {attack.auc_right_image:.3f}"
    )
    return tag("td", f"{100 * right.value:.0f}", class_=f"h{heat(right.value)}", title=title)


def _scale() -> Markup:
    edges = [0.0, *SHARE_STEPS]
    steps = [
        tag("span", f"{'' if step == len(HEAT) - 1 else 'from '}{_edge(edges, step)}", class_=f"h{step}")
        for step in range(len(HEAT))
    ]
    return tag("p", *steps, class_="scale")


def _edge(edges: list[float], step: int) -> str:
    low = edges[len(edges) - 1 - step]
    return f"{100 * low:.0f}" if low else f"below {100 * edges[1]:.0f}"


def _curves(results: Results) -> Markup:
    with plots.drawing("right"):
        strict = plots.roc_right_image(results)
        right = inline(strict, _CAPTION, "ROC curves, the right image counts") if strict else None
    with plots.drawing("any"):
        loose = plots.roc(results)
        hint = "A wrong image within the threshold counts as found here, which flatters methods that match at random."
        any_match = inline(loose, hint, "ROC curves, any match counts") if loose else None
    folded = tag("details", tag("summary", "The same when any match counts, as in the paper"), any_match)
    return section("curves", "Copies found against strangers flagged", right, folded)


def _weak(found: tuple[Contender, ...]) -> Markup:
    cards = []
    for one in found:
        by_category = [
            item
            for category, found_there in one.categories().items()
            for item in (
                tag("dt", category, bar(found_there, one.place)),
                tag("dd", per_cent(found_there, 0)),
            )
        ]
        worst = [
            item
            for attack in hardest(one)
            for item in (
                tag("dt", edit_title(attack.name, attack.family)),
                tag("dd", per_cent(attack.recall_right_image, 0)),
            )
        ]
        card = [tag("h3", name(one)), tag("dl", *by_category), tag("p", tag("small", "Its five hardest edits"))]
        cards.append(tag("div", *card, tag("dl", *worst), class_="card"))
    lead = f"Originals found when {100 * found[0].mean.fpr:g} % of strangers may be flagged, by kind of edit."
    return section("weak", "Where each method fails", tag("p", lead, _doubt(found)), tag("div", *cards, class_="cards"))


def _measured(results: Results, found: tuple[Contender, ...]) -> Markup:
    paper = ""
    if found:
        split = found[0].splits[0]
        paper = (
            f"Half of the photographs ({split.database}) are the database, the others strangers. {split.attacked} of "
            f"each are edited in {split.edits} ways, {split.attacked * split.edits * 2:,} queries in each of "
            f"{len(found[0].splits)} split{'s' if len(found[0].splits) > 1 else ''}. A query is detected when a "
            "database image is within the threshold, which is the loosest that keeps within the rate of strangers."
        )
    source = (
        'The protocol is that of Vallez, Kucharavy and Dolamic, "Needle In A Haystack, Fast", 2022, with exact areas, '
        "intervals that draw photographs again, and the stricter count of originals found."
    )
    words = [item for word, meaning in _WORDS.items() for item in (tag("dt", word), tag("dd", meaning))]
    rejected = [f"{one.name}: {one.code}: {one.message}" for one in results.photographs.rejected]
    out = tag("details", tag("summary", f"Files that took no part: {len(rejected)}"), tag("pre", "\n".join(rejected)))
    settings = json.dumps(results.settings, indent=1, ensure_ascii=False)
    facts = json.dumps({"seconds": results.seconds, **results.provenance}, indent=1, ensure_ascii=False)
    command = str(results.provenance.get("command", "simsearch benchmark PATH"))
    return section(
        "measured",
        "How this was measured, and how to repeat it",
        tag("p", paper) if paper else None,
        tag("p", source),
        tag("dl", *words, class_="words"),
        out if rejected else None,
        tag("h3", "To repeat it"),
        tag("pre", tag("code", command)),
        tag("details", tag("summary", "Settings"), tag("pre", settings)),
        tag("details", tag("summary", "Machine, versions, seconds"), tag("pre", facts)),
    )


def _footer(results: Results) -> Markup:
    date, commit = (str(results.provenance.get(key, "")) for key in ("date", "commit"))
    digest = results.photographs.digest[:12]
    parts = [f"simsearch benchmark, {date}", f"commit {commit[:10]}", f"photographs {digest}"]
    line = tag("small", " · ".join(parts), ". This page is complete in itself: nothing was loaded, nothing is sent.")
    return tag("footer", text(line))
