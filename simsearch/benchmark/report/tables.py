"""Measured figures as Markdown tables: those of a benchmark's results, and those of older records read from JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from simsearch.benchmark.report.labels import edit_title
from simsearch.benchmark.report.leaderboard import Contender, Key, contenders, label
from simsearch.benchmark.report.markdown import UNSUPPORTED, cell, estimated, spread, table
from simsearch.benchmark.report.needle_tables import needle_tables
from simsearch.benchmark.report.summary import answer, milliseconds
from simsearch.benchmark.results import Results

FILE = "tables.md"


def write_tables(results: Results, folder: Path) -> Path:
    """Write `tables.md` into a folder: the answer, then every protocol of the run; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    path.write_text("\n".join(tables(results)) + "\n", encoding="utf-8")
    return path


def tables(results: Results) -> list[str]:
    """Return the lines of all tables, each under its heading; those that were not measured are left out."""
    said, found = answer(results), contenders(results)
    lines = [f"# {results.photographs.name}, {results.photographs.count:,} photographs", "", cell(said.headline)]
    lines += [line for sentence in said.sentences for line in ("", cell(sentence))]
    missing = [f"{method.label}: {method.missing}" for method in results.methods if method.missing]
    lines += ["", cell(f"Could not run: {'; '.join(missing)}.")] if missing else []
    lines += ["", *needle_tables(results)] if results.needle else []
    parts = {
        "Methods": methods_table(found),
        "AUC of each edit, any match": edits_table(found),
        "Copy detection": _copy_detection(results),
        "Mild edits in a row": _chains(results),
        "A threshold used on other photographs": _transfer(results),
        "Recall at a threshold, as perception tells it": _perception(results),
        "Sweeps": _sweeps(results),
        "Templates": _templates(results),
        "Milliseconds an image": _times(results),
    }
    for heading, part in parts.items():
        lines += ["", f"## {heading}", "", *part] if part else []
    return lines


def methods_table(found: Sequence[Contender]) -> list[str]:
    """Return every method's areas and recalls with intervals, the best first; nothing where none ran."""
    if not found:
        return []
    rates = sorted({point.fpr for point in found[0].splits[0].operating})
    header = ["", "AUC, any match", "AUC, right image", "AUC on 20 thresholds", "nearest is the original"]
    header += [f"{what} at {100 * rate:g} %" for rate in rates for what in ("any match", "right image")]
    rows = []
    for one in found:
        points = [one.at(rate) for rate in rates]
        recalls = [estimate for point in points for estimate in (point.recall, point.recall_right_image)]
        grid = f"{spread(one.mean.auc_on_grid)}{'' if one.mean.grid_of_paper else ' (own range)'}"
        figures = [estimated(one.auc), estimated(one.auc_right_image), grid, estimated(one.right_image_first)]
        rows.append([cell(one.label), *figures, *(estimated(recall) for recall in recalls)])
    return table(header, rows)


def edits_table(found: Sequence[Contender]) -> list[str]:
    """Return the area of every edit, an edit a line, a method a column; nothing where none was kept."""
    every = [one.attacks() for one in found]
    rows = [
        [cell(edit_title(same[0].name)), *(f"{attack.auc:.3f}" for attack in same)] for same in zip(*every, strict=True)
    ]
    return table(["edit", *(cell(one.label) for one in found)], rows) if rows else []


def _copy_detection(results: Results) -> list[str]:
    rows = [
        [estimated(row.micro_average_precision), estimated(row.recall_at_precision), f"{row.precision:g}"]
        for row in results.copy_detection
    ]
    return _named(results, ["micro average precision", "recall", "at precision"], results.copy_detection, rows)


def _chains(results: Results) -> list[str]:
    lengths = sorted({point.k for point in results.chains})
    grid: dict[Key, dict[int, str]] = {}
    for point in results.chains:
        grid.setdefault(point.key, {})[point.k] = estimated(point.recall_right_image)
    rows = [[cell(label(results, key)), *(row.get(k, "") for k in lengths)] for key, row in grid.items()]
    return table(["right image found", *(f"{k}" for k in lengths)], rows) if rows else []


def _transfer(results: Results) -> list[str]:
    header = ["rate asked for", "strangers here", "strangers there", "any match here", "any match there", "right there"]
    rows = [
        [
            f"{row.fpr:g}",
            *map(estimated, (row.fpr_here, row.fpr_there, row.recall_here, row.recall_there)),
            estimated(row.recall_right_image_there),
        ]
        for row in results.transfer
    ]
    return _named(results, header, results.transfer, rows)


def _threshold(value: float | None) -> str:
    """Return a threshold as text; none where it is infinite, or negative, where nothing is detected.

    The loosest threshold below a distance of 0 is negative by next to nothing, and -0.0 once it is rounded.
    """
    return "none" if value is None or math.copysign(1, value) < 0 else f"{value:.4g}"


def _perception(results: Results) -> list[str]:
    rows = [
        [
            cell(row.category),
            cell(edit_title(row.transform)),
            f"{row.fpr:g}",
            _threshold(row.threshold),
            estimated(row.recall),
        ]
        for row in results.perception
    ]
    return _named(results, ["category", "transform", "rate", "threshold", "recall"], results.perception, rows)


def _sweeps(results: Results) -> list[str]:
    rows = [
        [
            row.sweep.replace("_", " "),
            f"{row.value:,}",
            *map(spread, (row.auc, row.auc_right_image, row.auc_on_grid, row.recall)),
            "" if row.supported else UNSUPPORTED,
        ]
        for row in results.sweeps
    ]
    header = ["sweep", "value", "AUC, any match", "AUC, right image", "AUC on the grid", "any match", ""]
    return _named(results, header, results.sweeps, rows)


def _templates(results: Results) -> list[str]:
    rows = [
        [cell(row.name), f"{row.templates:,}", f"{row.positives:,}", f"{row.negatives:,}", estimated(row.auc)]
        for row in results.templates
    ]
    return _named(results, ["set", "templates", "variants", "strangers", "AUC, any match"], results.templates, rows)


def _times(results: Results) -> list[str]:
    names = {method.name: method.label for method in results.methods}
    rows = [
        [
            cell(names.get(row.method, row.method)),
            f"{milliseconds(row.ms)} ({row.ms_low:.3g}-{row.ms_high:.3g})",
            milliseconds(row.ms_with_decoding),
            f"{row.batch}",
            cell(row.device),
        ]
        for row in results.times
    ]
    return table(["", "without decoding", "with decoding", "batch", "device"], rows) if rows else []


def _named(results: Results, header: list[str], entries: Iterable[Any], rows: list[list[str]]) -> list[str]:
    """Return a table of rows that each begin with the method by the metric of their entry."""
    if not rows:
        return []
    names = [cell(label(results, entry.key)) for entry in entries]
    return table(["", *header], [[name, *row] for name, row in zip(names, rows, strict=True)])
