"""Measured figures, as read from JSON, as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SHORT_NAMES = {
    "jpg_compression_30": "JPEG quality 30",
    "scaling_0.5": "half size",
    "cropping_10_and_rescaling": "10 % of each side cropped",
    "cropping_40_and_rescaling": "40 % of each side cropped",
    "rotation_10_and_rescaling": "turned by 10 degrees",
    "text_length_30": "30 letters of text",
    "gaussian_noise_0.05": "noise of variance 0.05",
}
PAPER_FIGURES = {
    "auc": "any-match AUC",
    "auc_right_image": "right-image AUC",
    "recall": "any-match recall",
    "recall_right_image": "right-image recall",
}


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Return the lines of a Markdown table.

    Example:
        >>> table(["edit", "share"], [["crop", "0.5"]])
        ['| edit | share |', '|---|---|', '| crop | 0.5 |']
    """
    lines = [header, *rows]
    marked = [f"| {' | '.join(cells)} |" for cells in lines]
    return [marked[0], "|---" * len(header) + "|", *marked[1:]]


def shares_table(shares: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
    """Return right-image-first shares in per cent with their intervals; an edit a line, an extractor a column."""
    names = list(next(iter(shares.values())))
    rows = [[SHORT_NAMES.get(edit, edit), *(_per_cent(row[name]) for name in names)] for edit, row in shares.items()]
    return table(["edit", *names], rows)


def paper_table(means: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the paper's figures as means over splits with the lowest and highest; an extractor and metric a line."""
    rows = [[name, *(_spread(figures[key]) for key in PAPER_FIGURES)] for name, figures in means.items()]
    return table(["", *PAPER_FIGURES.values()], rows)


def weakest(attacks: Mapping[str, float], count: int = 6) -> str:
    """Return the edits with the lowest AUC, worst first."""
    return ", ".join(f"{name} {auc:.3f}" for name, auc in sorted(attacks.items(), key=lambda pair: pair[1])[:count])


def _per_cent(share: Mapping[str, float]) -> str:
    return f"{100 * share['value']:.1f} % ({100 * share['low']:.1f}-{100 * share['high']:.1f})"


def _spread(value: Mapping[str, float]) -> str:
    return f"{value['mean']:.3f} ({value['lowest']:.3f}-{value['highest']:.3f})"
