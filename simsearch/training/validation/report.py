"""The reports of a run: the guard's table as JSON and as a plot, and the model's README."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from simsearch.errors import DependencyMissing
from simsearch.extract.zoo.card import ModelCard
from simsearch.training.validation.regression_guard import GuardTable

GUARD, PLOT, README = "guard.json", "guard.png", "README.md"


def write_guard(table: GuardTable, folder: Path, facts: dict[str, Any]) -> None:
    """Write the table as `guard.json`, with other facts of the run, and plot it if Matplotlib is installed."""
    from simsearch.runtime.provenance import provenance

    values = {**table.as_json(), **facts, "measured": provenance()}
    (folder / GUARD).write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    try:
        plot(table, folder / PLOT)
    except DependencyMissing:
        (folder / PLOT).unlink(missing_ok=True)  # one of an earlier run would tell other numbers


def verdict(table: GuardTable) -> str:
    """Return the table's verdict in one line."""
    support = "" if table.supported else f"; {table.strangers} strangers are too few to support this rate"
    change = table.overall
    return (
        f"recall of the right image at FPR {table.fpr:g}, all edits: {change.before:.3f} before, {change.after:.3f} "
        f"after ({change.low:+.3f} to {change.high:+.3f}); {len(table.fallen)} of {len(table.families)} families fell "
        f"by more than {table.margin:g}{support}"
    )


def write_readme(card: ModelCard, table: GuardTable, folder: Path, *, command: str, start: str) -> None:
    """Write the README of an exported model: what it is, the command that made it, the table."""
    head, *rows = table.lines()
    lines = [f"# {card.name}", "", f"{card.summary}.", "", f"Made by `{command}` from {start}.", ""]
    lines += [f"Trained on: {card.training_data}. Weights: {card.weights.licence}. Limits: {card.limits}", ""]
    lines += [
        f"Recall of the right image among {table.images} photographs held out of training, at a false-positive rate of "
        f"{table.fpr:g} on {table.strangers} strangers edited alike; intervals are of the change, over source images. "
        "*Trained* tells whether training showed the family.",
        "",
    ]
    lines += ["| " + " | ".join(cells) + " |" for cells in (head, tuple("---" for _ in head), *rows)]
    (folder / README).write_text("\n".join(lines) + "\n", encoding="utf-8")


def plot(table: GuardTable, path: Path) -> None:
    """Draw the recall of each family before and after.

    Raises:
        DependencyMissing: Matplotlib is not installed.
    """
    from simsearch.benchmark.report.palette import FAINT, INK
    from simsearch.benchmark.report.plots import drawing

    with drawing("guard"):
        from matplotlib.figure import Figure

        changes = (*table.families, table.overall)
        figure = Figure(figsize=(7, 0.8 + 0.24 * len(changes)))
        axes = figure.subplots()
        places = range(len(changes))
        axes.hlines(places, [c.before for c in changes], [c.after for c in changes], color=FAINT, linewidth=1)
        axes.plot([c.before for c in changes], places, "o", color=FAINT, label="before", markersize=4)
        axes.plot([c.after for c in changes], places, "o", color=INK, label="after", markersize=4)
        axes.set_yticks(list(places), [c.family + ("" if c.trained else " (not trained)") for c in changes])
        axes.invert_yaxis()
        axes.set_xlim(-0.02, 1.02)
        axes.set_xlabel(f"recall of the right image at a false-positive rate of {table.fpr:g}")
        axes.legend(loc="lower left", ncols=2, bbox_to_anchor=(0, 1))
        figure.savefig(path, dpi=150, bbox_inches="tight")
