"""The report's further sections: edits in a row, thresholds that moved, sweeps, perception's table, ranking, templates.

Each is left out where the run did not measure it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from simsearch.benchmark.report import plots
from simsearch.benchmark.report.html_parts import area, dot, inline, section, share, shares, table
from simsearch.benchmark.report.labels import edit_title
from simsearch.benchmark.report.leaderboard import contenders, label
from simsearch.benchmark.report.markup import Child, Markup, tag, text
from simsearch.benchmark.results import CopyDetection, Estimate, PerceptionRow, Results, Templates, Transfer

Named: TypeAlias = Transfer | PerceptionRow | CopyDetection | Templates


def others(results: Results) -> Markup:
    """All sections for which there are figures."""
    return text([_chains(results), _transfer(results), _sweeps(results), _perception(results), _ranking(results)])


def _chains(results: Results) -> Markup:
    with plots.drawing("chains"):
        if (figure := plots.chains(results)) is None:
            return Markup()
        caption = "Each step is a mild edit drawn by chance; the threshold is the same for all lengths. Bands: 95 %."
        return section("chains", "Edits that add up", inline(figure, caption, "Recall against chained edits"))


def _transfer(results: Results) -> Markup:
    if not results.transfer:
        return Markup()
    there = ", ".join(other.name for other in results.other_photographs) or "other photographs"
    lead = (
        f"A threshold was set on {results.photographs.name} and used on {there}. Where the full dot lies far to the "
        "right of the hollow one, a threshold cannot be carried over: calibrate on your own strangers."
    )
    rows = results.transfer
    columns: list[list[Child]] = [
        _names(results, rows),
        shares("strangers here", [row.fpr_here for row in rows]),
        shares("strangers there", [row.fpr_there for row in rows]),
        shares("any match here", [row.recall_here for row in rows]),
        shares("any match there", [row.recall_there for row in rows]),
        shares("original found there", [row.recall_right_image_there for row in rows]),
    ]
    with plots.drawing("transfer"):
        figure = plots.transfer(results)
        drawn = inline(figure, "", "Strangers flagged here and there") if figure else None
    return section("transfer", "Does a threshold travel?", tag("p", lead), drawn, table(columns))


def _sweeps(results: Results) -> Markup:
    with plots.drawing("sweeps"):
        if (figure := plots.sweeps(results)) is None:
            return Markup()
        caption = "Means over splits; whiskers from the lowest to the highest."
        return section("sweeps", "Longer, more, larger", inline(figure, caption, "Area against what was swept"))


def _perception(results: Results) -> Markup:
    if not results.perception:
        return Markup()
    rate = results.perception[0].fpr
    lead = (
        "The table of thorn's perception: every original is in the database, and each copy is compared with its own "
        f"and with the nearest other image. Recall at a rate of {100 * rate:g} %."
    )
    whole = [row for row in results.perception if row.category == "all" and row.transform == "all"]
    detail = [row for row in results.perception if row.transform == "all" and row.category != "all"]
    edits = [row for row in results.perception if row.category == "all" and row.transform != "all"]
    folded = [
        _folded("By folder", results, [(row.method, row.metric, row.category, row.recall) for row in detail]),
        _folded("By edit", results, [(row.method, row.metric, edit_title(row.transform), row.recall) for row in edits]),
    ]
    rows = sorted(whole, key=lambda row: -row.recall.value)
    columns: list[list[Child]] = [
        _names(results, rows),
        shares("recall", [row.recall for row in rows]),
        shares("false-positive rate", [row.measured_fpr for row in rows]),
        ["threshold", *("none" if row.threshold is None else f"{row.threshold:.4g}" for row in rows)],
    ]
    return section("perception", "Recall at a threshold", tag("p", lead), table(columns), folded)


def _ranking(results: Results) -> Markup:
    parts: list[Markup] = []
    columns: list[list[Child]]
    if results.copy_detection:
        precision = results.copy_detection[0].precision
        rows = sorted(results.copy_detection, key=lambda row: -row.micro_average_precision.value)
        columns = [
            _names(results, rows),
            ["micro average precision", *(area(row.micro_average_precision) for row in rows)],
            shares(f"recall at {100 * precision:g} % precision", [row.recall_at_precision for row in rows]),
        ]
        lead = "Copies and strangers in one list, the nearest first; a prediction is right when the image is."
        parts.append(section("ranking", "All queries in one list", tag("p", lead), table(columns)))
    if results.templates:
        sets = results.templates
        columns = [
            _names(results, sets),
            ["templates", *(f"{row.templates:,}" for row in sets)],
            ["variants + strangers", *(f"{row.positives:,} + {row.negatives:,}" for row in sets)],
            ["AUC, any match", *(area(row.auc) for row in sets)],
            ["AUC, right image", *(area(row.auc_right_image) for row in sets)],
            ["template found", *(share(row.operating[0].recall_right_image) if row.operating else "" for row in sets)],
        ]
        lead = f"Half of the templates of {sets[0].name} are the database, the others' variants strangers."
        parts.append(section("templates", "Templates and their variants", tag("p", lead), table(columns)))
    return text(parts)


def _folded(title: str, results: Results, cells: Iterable[tuple[str, str, str, Estimate]]) -> Markup:
    """A folded table of shares: what is in the third place a line, a method a column."""
    grid: dict[str, dict[tuple[str, str], Child]] = {}
    for method, metric, line, value in cells:
        grid.setdefault(line, {})[method, metric] = share(value)
    if not grid:
        return Markup()
    keys = list(dict.fromkeys(key for row in grid.values() for key in row))
    columns: list[list[Child]] = [["", *grid]]
    columns += [[label(results, key), *(row.get(key, "") for row in grid.values())] for key in keys]
    return tag("details", tag("summary", title), table(columns))


def _names(results: Results, entries: Iterable[Named]) -> list[Child]:
    """The column of the methods that these entries are about."""
    places = {(one.method.name, one.metric): one.place for one in contenders(results)}
    keys = [(one.method, one.metric) for one in entries]
    return ["", *(text([dot(places.get(key, len(places))), label(results, key)]) for key in keys)]
