"""Pieces of Markdown: paragraphs, lines of tables, escaped cells, numbers with their intervals."""

from __future__ import annotations

import textwrap

from simsearch.benchmark.results import Estimate, Spread

WIDTH = 120  # of a page's lines
UNSUPPORTED = "*not supported*"


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Return the lines of a Markdown table.

    Example:
        >>> table(["edit", "share"], [["crop", "0.5"]])
        ['| edit | share |', '|---|---|', '| crop | 0.5 |']
    """
    lines = [header, *rows]
    marked = [f"| {' | '.join(cells)} |" for cells in lines]
    return [marked[0], "|---" * len(header) + "|", *marked[1:]]


def paragraph(text: str) -> list[str]:
    """Return a text as lines of a page's width."""
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def cell(words: str) -> str:
    """Return a text escaped for a Markdown table, on one line and without HTML.

    Example:
        >>> print(cell("a|b <i>"))
        a&#124;b &lt;i&gt;
    """
    safe = " ".join(words.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return safe.replace("|", "&#124;")


def estimated(estimate: Estimate) -> str:
    """Return a number with its interval, marked where it is not supported.

    Example:
        >>> estimated(Estimate(0.8, 0.75, 0.85, supported=False))
        '0.800 (0.750-0.850) *not supported*'
    """
    mark = "" if estimate.supported else f" {UNSUPPORTED}"
    return f"{estimate.value:.3f} ({estimate.low:.3f}-{estimate.high:.3f}){mark}"


def spread(value: Spread) -> str:
    """Return a mean with the lowest and the highest of the splits."""
    return f"{value.mean:.3f} ({value.lowest:.3f}-{value.highest:.3f})"
