"""The report's section on the needle protocol."""

from __future__ import annotations

from simsearch.benchmark.needle_results import NeedleMethod, NeedleResults
from simsearch.benchmark.report import plots
from simsearch.benchmark.report.html_parts import dot, inline, section, table
from simsearch.benchmark.report.labels import edit_title
from simsearch.benchmark.report.leaderboard import label
from simsearch.benchmark.report.markup import Child, Markup, tag, text
from simsearch.benchmark.report.needle_tables import LEGEND, MARKS, lead, multiple, size, worst_of
from simsearch.benchmark.report.palette import heat
from simsearch.benchmark.results import Results


def needle_section(results: Results) -> Markup:
    """Recalls, the figure, every edit, and what stands behind; nothing where the protocol was not run."""
    needle = results.needle
    if needle is None:
        return Markup()
    with plots.drawing("needle"):
        figure = plots.FIGURES["needle_recall"](results)
        drawn = (
            inline(figure, "Where it is shaded, too few stranger pairs stand behind.", "Recall against N")
            if figure
            else None
        )
    names: list[Child] = [text([dot(place), label(results, one.key)]) for place, one in enumerate(needle.methods)]
    return section(
        "needle",
        "A needle in a library of N",
        tag("p", lead(needle)),
        table([["", *names], *_recalls(needle)]),
        tag("p", LEGEND, class_="note"),
        drawn,
        tag("details", tag("summary", "Each edit"), _edits(results, needle)),
        tag("details", tag("summary", "Predicted against observed"), _held_out(results, needle)),
        tag("details", tag("summary", "Who comes near whom"), _near(results, needle)),
    )


def _recalls(needle: NeedleResults) -> list[list[Child]]:
    columns: list[list[Child]] = []
    for number, group in enumerate(needle.group_edits):
        for i in needle.main:
            cells = [_share(one, number, i) for one in needle.methods]
            columns.append([text([group, tag("br"), f"N = {size(needle.limits[i])}"]), *cells])
    return columns


def _share(one: NeedleMethod, group: int, limit: int) -> Child:
    share = one.groups[group].recall[limit]
    if share is None:
        return ""
    mark = MARKS[one.thresholds[limit].support]
    return text([f"{share.value:.3f}{mark}", tag("small", f"{share.low:.3f}-{share.high:.3f}")])


def _edits(results: Results, needle: NeedleResults) -> Markup:
    head = tag("tr", tag("th", ""), *(tag("th", tag("span", label(results, o.key))) for o in needle.methods))
    found = [{edit.name: edit.recall[needle.middle] for edit in one.edits} for one in needle.methods]
    body: list[Markup] = []
    for group, names in needle.group_edits.items():
        body.append(tag("tr", tag("th", group, scope="rowgroup"), class_="family"))
        for name in names:
            shares = [one[name] for one in found]
            cells = [
                tag("td", f"{100 * share.value:.0f}", class_=f"h{heat(share.value)}") if share else tag("td")
                for share in shares
            ]
            body.append(tag("tr", tag("th", edit_title(name), scope="row"), *cells))
    grid = tag("table", tag("thead", head), tag("tbody", *body), class_="heat", style=f"--n:{len(needle.methods)}")
    told = f"Of 100 copies, how many are found in a library of {size(needle.limits[needle.middle])} strangers."
    return text([tag("p", told), tag("div", grid, class_="scroll")])


def _held_out(results: Results, needle: NeedleResults) -> Markup:
    rows = [(one, held) for one in needle.methods for held in one.held_out if held.threshold is not None]
    if not rows:
        return tag("p", "It takes three sources.")
    columns: list[list[Child]] = [
        ["", *(label(results, one.key) for one, _ in rows)],
        ["left out", *(held.source for _, held in rows)],
        ["N", *(f"{held.library:g}{MARKS[held.support]}" for _, held in rows)],
        ["predicted pairs", *(f"{held.predicted:.1f}" for _, held in rows)],
        ["observed", *(f"{held.observed:,}" for _, held in rows)],
        ["ratio, 95 %", *(f"{held.ratio_low:.2f}-{held.ratio_high:.2f}" for _, held in rows)],
    ]
    return table(columns)


def _near(results: Results, needle: NeedleResults) -> Markup:
    parts: list[Markup] = []
    for one in needle.methods:
        worst = worst_of(one, needle.middle)
        told = f"worst two sources: {worst.name}, {multiple(worst, needle)} times the rate asked for" if worst else ""
        pairs = [tag("li", f"{pair.distance:.3f}  {pair.one} - {pair.other}") for pair in one.nearest]
        parts.append(tag("h3", label(results, one.key)))
        parts.append(tag("p", told))
        parts.append(tag("ol", *pairs))
    return text(parts)
