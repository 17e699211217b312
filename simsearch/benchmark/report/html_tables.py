"""The tables and heat maps of the report, as values for its template."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from simsearch.benchmark.needle_results import NeedleMethod, NeedleResults
from simsearch.benchmark.report.grid import Cell, Column, HeatCell, HeatMap, Table, areas, named, names, shares, texts
from simsearch.benchmark.report.labels import edit_title, family_title
from simsearch.benchmark.report.leaderboard import Contender, Key, label
from simsearch.benchmark.report.needle_tables import LEGEND, MARKS, lead, multiple, size, worst_of
from simsearch.benchmark.report.palette import SHARE_STEPS
from simsearch.benchmark.report.summary import milliseconds, per_cent
from simsearch.benchmark.results import Attack, Estimate, PerceptionRow, Results


def methods_table(results: Results, rate: float, found: Sequence[Contender]) -> Table:
    """Return every method with its recalls at a false-positive rate, its areas and its time."""
    points = [one.at(rate) for one in found]
    main, shown = found[0].mean.fpr, f"{100 * rate:g}\N{NO-BREAK SPACE}%"
    columns = [
        Column("", [named(one) for one in found]),
        shares(
            f"original found, {shown} of strangers allowed",
            [point.recall_right_image for point in points],
            places=[one.place for one in found],
        ),
    ]
    if main != rate:
        columns.append(shares(f"at {100 * main:g} %", [one.at(main).recall_right_image for one in found]))
    columns += [
        shares(f"any match found, {shown}", [point.recall for point in points]),
        areas("AUC, right image", [one.auc_right_image for one in found]),
        areas("AUC, any match", [one.auc for one in found]),
        shares("nearest is the original", [one.right_image_first for one in found]),
    ]
    ranked = {row.key: row.micro_average_precision for row in results.copy_detection}
    if ranked:
        columns.append(areas("micro AP", [ranked.get(one.key) for one in found]))
    if results.times:
        columns.append(texts("time an image", [milliseconds(one.time.ms) if one.time else "" for one in found]))
    return Table(columns, best_first=True)


def heat_map(found: Sequence[Contender]) -> HeatMap:
    """Return every edit of every method, by family."""
    edits = zip(*(one.attacks() for one in found), strict=True)
    return HeatMap(
        [named(one) for one in found],
        [
            (
                family_title(family),
                [
                    (
                        edit_title(same[0].name),
                        [_heat_cell(one.label, attack) for one, attack in zip(found, same, strict=True)],
                    )
                    for same in group
                ],
            )
            for family, group in groupby(edits, key=lambda same: same[0].family)
        ],
    )


def _heat_cell(label: str, attack: Attack) -> HeatCell:
    right, any_match = attack.recall_right_image, attack.recall
    return HeatCell(
        right.value,
        f"{label}, {edit_title(attack.name)}: original found {per_cent(right, 1)} "
        f"({100 * right.low:.0f}-{100 * right.high:.0f}), any match {per_cent(any_match, 1)}, "
        f"AUC {attack.auc:.3f}, right image {attack.auc_right_image:.3f}",
    )


def heat_scale() -> list[str]:
    """Return the meaning of each step of a heat map's colours, the best first."""
    edges = [f"{100 * step:.0f}" for step in SHARE_STEPS]
    return [*(f"from {edge}" for edge in reversed(edges)), f"below {edges[0]}"]


def transfer_table(results: Results) -> Table:
    """Return the figures of these photographs' thresholds on others."""
    rows = results.transfer
    return Table(
        [
            names(results, [row.key for row in rows]),
            shares("strangers here", [row.fpr_here for row in rows]),
            shares("strangers there", [row.fpr_there for row in rows]),
            shares("any match here", [row.recall_here for row in rows]),
            shares("any match there", [row.recall_there for row in rows]),
            shares("original found there", [row.recall_right_image_there for row in rows]),
        ]
    )


def perception_tables(results: Results) -> dict[str, Table | None]:
    """Return the table of all copies, and by folder and by edit apart."""
    every = results.perception
    rows = sorted((one for one in every if one.category == one.transform == "all"), key=lambda one: -one.recall.value)
    folders = [(one.category, one) for one in every if one.category != one.transform == "all"]
    edits = [(edit_title(one.transform), one) for one in every if one.transform != one.category == "all"]
    whole = Table(
        [
            names(results, [one.key for one in rows]),
            shares("recall", [one.recall for one in rows]),
            shares("false-positive rate", [one.measured_fpr for one in rows]),
            texts("threshold", ["none" if one.threshold is None else f"{one.threshold:.4g}" for one in rows]),
        ]
    )
    return {"whole": whole, "folders": _apart(results, folders), "edits": _apart(results, edits)}


def _apart(results: Results, rows: Iterable[tuple[str, PerceptionRow]]) -> Table | None:
    """Return recalls with a named row for each line and a method for each column."""
    grid: dict[str, dict[Key, Estimate]] = {}
    for line, one in rows:
        grid.setdefault(line, {})[one.key] = one.recall
    keys = dict.fromkeys(key for line in grid.values() for key in line)
    columns = [shares(label(results, key), [line.get(key) for line in grid.values()]) for key in keys]
    return Table([texts("", grid), *columns]) if grid else None


def ranking_table(results: Results) -> Table:
    """Return the scores of all queries as one ranking, the best first."""
    rows = sorted(results.copy_detection, key=lambda row: -row.micro_average_precision.value)
    return Table(
        [
            names(results, [row.key for row in rows]),
            areas("micro average precision", [row.micro_average_precision for row in rows]),
            shares(f"recall at {100 * rows[0].precision:g} % precision", [row.recall_at_precision for row in rows]),
        ]
    )


def templates_table(results: Results) -> Table:
    """Return the recall of templates by their variants."""
    sets = results.templates
    return Table(
        [
            names(results, [row.key for row in sets]),
            texts("templates", [f"{row.templates:,}" for row in sets]),
            texts("variants + strangers", [f"{row.positives:,} + {row.negatives:,}" for row in sets]),
            areas("AUC, any match", [row.auc for row in sets]),
            areas("AUC, right image", [row.auc_right_image for row in sets]),
            shares("template found", [row.operating[0].recall_right_image if row.operating else None for row in sets]),
        ]
    )


def needle_section(results: Results, needle: NeedleResults) -> dict[str, Any]:
    """Return the recalls, every edit, and their support."""
    names = [Cell(label(results, one.key), place=place) for place, one in enumerate(needle.methods)]
    return {
        "lead": lead(needle),
        "legend": LEGEND,
        "recalls": Table([Column("", names), *_recalls(needle)]),
        "limit": size(needle.limits[needle.middle]),
        "edits": HeatMap(names, _edits(needle)),
        "held_out": _held_out(results, needle),
        "near": [
            {
                "method": name.text,
                "worst": worst.name if (worst := worst_of(one, needle.middle)) else "",
                "multiple": multiple(worst, needle) if worst else "",
                "pairs": one.nearest,
            }
            for name, one in zip(names, needle.methods, strict=True)
        ],
    }


def _recalls(needle: NeedleResults) -> list[Column]:
    return [
        Column(group, [_share(one, number, i) for one in needle.methods], f"N = {size(needle.limits[i])}")
        for number, group in enumerate(needle.group_edits)
        for i in needle.main
    ]


def _share(one: NeedleMethod, group: int, limit: int) -> Cell:
    share = one.groups[group].recall[limit]
    if share is None:
        return Cell("")
    mark = MARKS[one.thresholds[limit].support]
    return Cell(f"{share.value:.3f}{mark}", f"{share.low:.3f}-{share.high:.3f}")


def _edits(needle: NeedleResults) -> list[tuple[str, list[tuple[str, list[HeatCell | None]]]]]:
    found = [{edit.name: edit.recall[needle.middle] for edit in one.edits} for one in needle.methods]

    def row(name: str) -> list[HeatCell | None]:
        return [HeatCell(share.value) if (share := one[name]) else None for one in found]

    return [(group, [(edit_title(name), row(name)) for name in names]) for group, names in needle.group_edits.items()]


def _held_out(results: Results, needle: NeedleResults) -> Table | None:
    rows = [(one, held) for one in needle.methods for held in one.held_out if held.threshold is not None]
    if not rows:
        return None
    columns = {
        "": [label(results, one.key) for one, _ in rows],
        "left out": [held.source for _, held in rows],
        "N": [f"{held.library:g}{MARKS[held.support]}" for _, held in rows],
        "predicted pairs": [f"{held.predicted:.1f}" for _, held in rows],
        "observed": [f"{held.observed:,}" for _, held in rows],
        "ratio, 95 %": [f"{held.ratio_low:.2f}-{held.ratio_high:.2f}" for _, held in rows],
    }
    return Table([texts(heading, cells) for heading, cells in columns.items()])
